//! stub
use std::time::Duration;
use protocol_spec::ids::{PermissionId, RecordId, RequestId};
use super::Patient;
use crate::{DirectoryEntry, Result};

/// What an upload permission allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadTerms {
    /// Bytes of sealed stream, over all uses.
    pub max_bytes: u64,
    /// For how long.
    pub expires: Duration,
    /// How many records.
    pub uses: u32,
}

impl Default for UploadTerms {
    /// One record of at most 16 GiB within a week.
    fn default() -> Self {
        Self { max_bytes: 16 << 30, expires: Duration::from_secs(7 * 24 * 3600), uses: 1 }
    }
}

/// What a download or reference permission allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitTerms {
    /// For how long.
    pub expires: Duration,
    /// How many presentations.
    pub uses: u32,
    /// Bytes of sealed stream, over all uses; without it enough for every use and as much again for
    /// transfers that break off.
    pub bytes: Option<u64>,
}

impl Default for PermitTerms {
    /// Once, within an hour.
    fn default() -> Self {
        Self { expires: Duration::from_secs(3600), uses: 1, bytes: None }
    }
}

/// Which of her records a permission is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// These.
    Records(Vec<RecordId>),
    /// All that are in the vault now.
    All,
}

impl Patient {
    /// Asks an institution to upload, and gives it the permission key to do so.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn request_upload(&self, to: &DirectoryEntry, text: &str, terms: &UploadTerms) -> Result<(RequestId, PermissionId)> {
        todo!()
    }

    /// Permits a download or reference request.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] for a record that is not hers; [`crate::Error::Tampered`] for a request that does not
    /// verify; what the server refuses.
    pub async fn permit(&self, request: RequestId, records: &Selection, terms: &PermitTerms) -> Result<PermissionId> {
        todo!()
    }

    /// Denies a download or reference request; `text` tells the institution why.
    ///
    /// # Errors
    /// As [`Self::permit`].
    pub async fn deny(&self, request: RequestId, text: &str) -> Result<()> {
        todo!()
    }
}
