//! The commit of an upload, kept so that it is sent again as the same bytes.

use bytes::Bytes;
use protocol_spec::hash::Sha256Digest;

/// A commit as it is sent, and of which contents it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptCommit {
    /// SHA-256 of each part, in order.
    pub(crate) contents: Vec<Sha256Digest>,
    /// The commit as it is sent: an encoded `CommitUpload`.
    pub(crate) message: Bytes,
}

impl KeptCommit {
    /// u32be(number of parts) ‖ their hashes ‖ message
    pub(super) fn bytes(&self) -> Vec<u8> {
        let count = u32::try_from(self.contents.len()).unwrap_or(u32::MAX);
        let hashes = self.contents.iter().flat_map(Sha256Digest::as_bytes);
        let mut bytes = count.to_be_bytes().to_vec();
        bytes.extend(hashes);
        bytes.extend_from_slice(&self.message);
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
        let (hashes, message) = rest.split_at_checked(count.checked_mul(32)?)?;
        let (hashes, _) = hashes.as_chunks::<32>();
        Some(Self {
            contents: hashes.iter().copied().map(Sha256Digest::from_bytes).collect(),
            message: Bytes::copy_from_slice(message),
        })
    }
}
