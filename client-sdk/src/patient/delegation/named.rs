//! A delegate as others meet her.

use protocol_spec::ids::{DelegationId, PatientId};

/// A delegate as lists and the history show her.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DelegateRef {
    /// By which delegation she acts.
    #[serde(rename = "delegation_id")]
    pub delegation: DelegationId,
    /// The id of the patient who is the delegate.
    #[serde(rename = "delegate_id")]
    pub id: PatientId,
    /// What the owner calls her.
    pub name: String,
}
