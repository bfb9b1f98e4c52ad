//! Immutable leaves of sealed content, named by record version and leaf number. The order of
//! durability is: leaves first, then the ledger commit that refers to them; leaves that no commit
//! ever refers to are collected by whoever recorded the upload. Nothing lists.

use std::ops::Range;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::StoreError;

/// Most bytes in a leaf: 1 MiB, the unit of transfer and of verification.
pub const LEAF_BYTES: usize = 1 << 20;

/// Most bytes for [`BlobStore::put_small`]: 64 KiB. Beyond that writing twice (WAL, then flush)
/// costs more than a file and its sync.
pub const SMALL_LEAF_BYTES: usize = 64 << 10;

/// The name of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafKey {
    /// Record version id, a UUIDv7: rising with time, so new leaves lie behind all others.
    pub version: [u8; 16],
    /// Number of the leaf in its stream, from 0.
    pub leaf: u32,
}

impl LeafKey {
    /// version ‖ leaf number, big-endian: leaves sort as they stand in the stream.
    pub(super) fn encode(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let (version, leaf) = bytes.split_at_mut(16);
        version.copy_from_slice(&self.version);
        leaf.copy_from_slice(&self.leaf.to_be_bytes());
        bytes
    }
}

/// Immutable leaves. Everything may be called concurrently.
///
/// Whoever gives a leaf vouches for its bytes: giving a leaf again is harmless if the bytes are
/// the same, and with other bytes it is left open which of them stay.
///
/// Everything may fail with `Io` and `Unavailable`, whatever writes also with `Full`.
pub trait BlobStore: Send + Sync {
    /// A writer for consecutive leaves of `version`, the first of which is `first_leaf`.
    ///
    /// Several writers may work on one version if their leaves do not overlap.
    fn writer(&self, version: [u8; 16], first_leaf: u32) -> Result<Box<dyn LeafWriter>, StoreError>;

    /// Stores one leaf of at most [`SMALL_LEAF_BYTES`]; it is durable and readable on return.
    /// Concurrent calls share their syncs. Dropping the future does not take the leaf back. Fails with `Misuse` if
    /// the leaf is too large. After `Full` (also while only the reserve is left), `Io` and `Unavailable` the leaf may
    /// or may not be there.
    fn put_small(&self, key: LeafKey, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The leaf, or none if it was never persisted or is deleted. Fails with `Corrupt`, for this leaf only,
    /// rather than give wrong bytes.
    fn get(&self, key: LeafKey) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>>;

    /// Deletes these leaves of `version`, those that are there. Not atomic: after an error some
    /// may be gone, and deleting again is right. After success none of them is readable again.
    /// Freeing the space is cheap for a whole version, less so for a part of one.
    /// No writer may be at work on these leaves.
    fn delete(&self, version: [u8; 16], leaves: Range<u32>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Has the store forget what was deleted of `versions`: after success no file of it holds these bytes. After a
    /// failure, purging again is right.
    fn purge_leaves(&self, versions: Vec<[u8; 16]>) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Takes consecutive leaves of one version. Holds at most two leaves in memory, whatever it is
/// given: [`LeafWriter::put`] waits while the device is slower than the sender.
///
/// Dropping a writer leaves nothing of what it was given since the last
/// [`LeafWriter::persist`]. After an error it takes nothing more.
pub trait LeafWriter: Send + Sync {
    /// Takes the next leaf, of at most [`LEAF_BYTES`]. It is neither durable nor readable yet. Fails with `Misuse` if
    /// the leaf is too large or the leaf numbers are used up. `Full` (also while only the reserve is left), `Io` and
    /// `Unavailable` may also stem from an earlier leaf.
    fn put(&mut self, leaf: Bytes) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The durability barrier: on return every leaf given so far is synced to the device and
    /// readable, all of them at one moment. The writer goes on behind them. After a failure all or none
    /// of these leaves are there.
    fn persist(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// The rule of [`LEAF_BYTES`] and [`SMALL_LEAF_BYTES`].
pub(super) fn check_size(bytes: &Bytes, limit: usize) -> Result<(), StoreError> {
    if bytes.len() > limit {
        return Err(StoreError::Misuse("a leaf is larger than the store takes"));
    }
    Ok(())
}
