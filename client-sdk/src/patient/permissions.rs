//! stub
use protocol_spec::ids::{PermissionId, RecordId};
use protocol_spec::permission::Kind;
use super::{InstitutionRef, Patient};
use crate::Result;

/// Whether a permission can still be presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionState {
    /// It can.
    Live,
    /// She revoked it.
    Revoked,
    /// Its time is over.
    Expired,
    /// Its uses are spent.
    Spent,
}

/// One of her permissions: what she signed, and what the server says has been used of it.
#[derive(Clone, Debug)]
pub struct PermissionInfo {
    /// Its id.
    pub permission_id: PermissionId,
    /// What it allows.
    pub kind: Kind,
    /// Whom.
    pub institution: InstitutionRef,
    /// As the server keeps it.
    pub state: PermissionState,
    /// Presentations left.
    pub uses_left: u32,
    /// Presentations in all.
    pub uses: u32,
    /// Stream bytes left.
    pub bytes_left: u64,
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
    /// When it ends, in milliseconds since 1970.
    pub not_after: u64,
    /// The records it is for; none for uploads.
    pub records: Vec<RecordId>,
}

impl Patient {
    /// All her permissions; each was checked to be hers.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] when one is not.
    pub async fn permissions(&self) -> Result<Vec<PermissionInfo>> {
        todo!()
    }

    /// Revokes a permission: what starts after this returns releases nothing, what runs stops at the next leaf.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`].
    pub async fn revoke(&self, permission: PermissionId) -> Result<()> {
        todo!()
    }
}
