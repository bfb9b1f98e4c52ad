//! stub
use protocol_spec::ids::{PermissionId, RecordId, RequestId};
use super::{InstitutionRef, Patient};
use crate::Result;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryKind {
    /// She asked an institution to upload.
    UploadRequested,
    /// An institution asked to download.
    DownloadRequested,
    /// An institution referred her to another.
    ReferenceRequested,
    /// She gave a permission.
    Permitted,
    /// She denied a request.
    Denied,
    /// She revoked a permission.
    Revoked,
    /// An institution presented a permission key.
    Presented,
    /// A record was stored.
    Stored,
    /// Bytes were released.
    Released,
    /// The server shows something that is not proven.
    Unverified,
}

/// One entry of her history.
#[derive(Clone, Debug)]
pub struct HistoryItem {
    /// From 1, without gaps.
    pub number: u64,
    /// When, in milliseconds since 1970, by the server's clock.
    pub at: u64,
    /// What.
    pub kind: HistoryKind,
    /// Who did it or whom it concerns; none when it could not be verified.
    pub institution: Option<InstitutionRef>,
    /// The request, where there is one.
    pub request_id: Option<RequestId>,
    /// The permission, where there is one.
    pub permission_id: Option<PermissionId>,
    /// The record, where there is one.
    pub record_id: Option<RecordId>,
    /// Stream bytes stored or released.
    pub bytes: Option<u64>,
    /// For receipts: the size of the log under which it was proven to stand.
    pub logged: Option<u64>,
    /// Why the entry is not believed.
    pub problem: Option<String>,
}

impl Patient {
    /// All that happened to her vault, each entry verified. One that fails is reported, not dropped.
    ///
    /// # Errors
    /// Of the connection, and when numbers are missing.
    pub async fn history(&self) -> Result<Vec<HistoryItem>> {
        todo!()
    }
}
