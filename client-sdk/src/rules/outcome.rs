//! What comes of a request under rules.

use protocol_spec::ids::{PermissionId, RecordId, RequestId};

use crate::{Error, patient::InstitutionRef};

/// One request that the agent has dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The request that was decided.
    pub request_id: RequestId,
    /// Who asks; none where that could not be verified.
    pub from: Option<InstitutionRef>,
    /// The rule that answers; none when no rule matches.
    pub rule: Option<String>,
    /// The number of the rules.
    pub sequence: u64,
    /// What was done about it.
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
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
