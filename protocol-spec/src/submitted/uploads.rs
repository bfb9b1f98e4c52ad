//! Sessions of upload: what a patient's device opens to seal a record anew, and what ends any of them.

use bytes::Bytes;

use super::{AdoptRecord, fits, submitted};
use crate::{
    Error,
    content::{self, LEAF_LEN},
    hash::ContentRoot,
    ids::VersionId,
    messages as pb,
};

submitted! {
    /// A placed record is to be sealed anew (REV-9).
    OpenReseal {
        replaces: VersionId,
        version_id: VersionId,
    }
    /// A stream that is complete; it comes along if it fits one leaf.
    CommitUpload {
        content_root: ContentRoot,
        stream_len: u64,
        sealed_manifest: Bytes,
        content: Bytes,
    } => is_whole
    /// The new version, and where it lies.
    CommitReseal {
        upload: CommitUpload,
        adoption: AdoptRecord,
    }
}

impl CommitUpload {
    /// The whole stream, if it fits one leaf.
    pub fn inline(&self) -> Option<&Bytes> {
        (self.stream_len <= LEAF_LEN).then_some(&self.content)
    }
}

fn is_whole(message: &CommitUpload) -> Result<(), Error> {
    content::plaintext_len(message.stream_len)?;
    fits(!message.sealed_manifest.is_empty(), "sealed_manifest")?;
    let wanted = message.inline().map_or(0, |_| message.stream_len);
    fits(message.content.len() as u64 == wanted, "content")
}
