//! What comes of a request under rules.

use protocol_spec::ids::{PermissionId, RecordId, RequestId};

use crate::{Error, patient::InstitutionRef};

/// One request that the agent has dealt with.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Decision {
    /// When, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub at: u64,
    /// The request that was decided.
    pub request_id: RequestId,
    /// Who asks; none where that could not be verified.
    #[serde(flatten, serialize_with = "crate::text::from_if")]
    pub from: Option<InstitutionRef>,
    /// The rule that answers; none when no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The number of the rules.
    pub sequence: u64,
    /// What was done about it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Outcome {
    /// A permission was signed and sent.
    Permitted {
        /// The permission that answers it.
        permission_id: PermissionId,
        /// The records that it gives.
        records: Vec<RecordId>,
    },
    /// A denial was signed and sent.
    Denied,
    /// It is left for her.
    Ask {
        /// Why it was left to the patient.
        why: String,
    },
}

/// Whether an error leaves this request for her, while the others go on: it does not verify, or its answer is refused.
pub(super) fn is_about_the_request(error: &Error) -> bool {
    match error {
        Error::Tampered { .. }
        | Error::Protocol(_)
        | Error::UnknownInstitution { .. }
        | Error::Unknown { .. }
        | Error::Usage(_) => true,
        Error::Refused { .. } => !error.passes(),
        _ => false,
    }
}
