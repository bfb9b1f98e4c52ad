//! stub
use protocol_spec::ids::{InstitutionId, PermissionId};

/// Who made a record, proven by its signed manifest and the verified directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The institution that signed it.
    pub institution_id: InstitutionId,
    /// Its accredited name.
    pub name: String,
    /// The upload permission it was made under.
    pub permission_id: PermissionId,
    /// When it was made, in milliseconds since 1970, by the institution's clock.
    pub created: u64,
}
