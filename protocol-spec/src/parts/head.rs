//! How a vault head is named.

use crate::{declare::fields, hash::Sha256Digest};

fields! {
    /// A head as permissions and receipts name it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    HeadRef: VaultHeadRef {
        /// Counts the heads, from 0.
        sequence: u64,
        hash: Sha256Digest,
    }
}
