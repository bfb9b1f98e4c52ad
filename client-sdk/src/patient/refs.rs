//! Institutions as lists and the history name them.

use protocol_spec::ids::InstitutionId;

/// An institution as a list shows it; the name is the accredited one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct InstitutionRef {
    /// The institution's id, which follows from its key.
    #[serde(rename = "institution_id")]
    pub id: InstitutionId,
    /// Its name in the verified directory.
    pub name: String,
}
