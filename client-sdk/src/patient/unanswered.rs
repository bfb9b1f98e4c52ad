//! What she does about what she was asked and does not want to answer: she has it deleted, or blocks
//! who asks. See `protocol-spec/spec/accounts.md` §4.

use std::fmt;

use protocol_spec::{
    api,
    ids::{DelegationId, InstitutionId, PatientId, RequestId},
    submitted::DeleteUnanswered,
};

use crate::{Result, patient::vault::Vault};

/// Something that others have asked of a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// A request that an institution has made.
    Request(RequestId),
    /// To be a delegate; or what came of it.
    Delegation(DelegationId),
    /// To be this patient's guardian; or what came of it.
    Guardianship(PatientId),
}

/// Who puts things before others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum SenderId {
    /// A sender that is a patient.
    Patient(PatientId),
    /// A sender that is an institution.
    Institution(InstitutionId),
}

impl fmt::Display for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patient(id) => id.fmt(f),
            Self::Institution(id) => id.fmt(f),
        }
    }
}

impl SenderId {
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        match self {
            Self::Patient(id) => id.as_bytes(),
            Self::Institution(id) => id.as_bytes(),
        }
    }
}

/// Somebody with whom the reader deals, who has put something before her, or whom she has blocked, as the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SenderInfo {
    /// The id of the sender.
    pub id: SenderId,
    /// The reader has dealt with it.
    pub known: bool,
    /// The reader has blocked it.
    pub blocked: bool,
    /// What of it is unanswered.
    #[serde(rename = "unanswered")]
    pub open: u32,
}

pub(super) async fn delete_unanswered(vault: &Vault, what: Unanswered) -> Result<()> {
    let message = match what {
        Unanswered::Request(id) => DeleteUnanswered::Request(id),
        Unanswered::Delegation(id) => DeleteUnanswered::Delegation(id),
        Unanswered::Guardianship(id) => DeleteUnanswered::Guardianship(id),
    };
    vault.post(api::DELETE_UNANSWERED.here(), &message).await?;
    Ok(())
}
