//! A delegate as others meet her.

use protocol_spec::ids::{DelegationId, PatientId};

/// A delegate as lists and the history show her.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegateRef {
    /// By which delegation she acts.
    pub delegation: DelegationId,
    /// Who she is.
    pub id: PatientId,
    /// What the owner calls her.
    pub name: String,
}
