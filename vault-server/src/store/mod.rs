//! Where the server keeps what it cannot read: a transactional [`Ledger`] for metadata and a
//! [`BlobStore`] for sealed leaves. The state machines above know only these two traits, whose
//! comments are the contract; [`RocksStore`] implements both on one machine and `MemoryStore`
//! doubles for it in tests. One conformance suite holds for all.
//!
//! What a data directory holds:
//!
//! | path | what | written by |
//! |---|---|---|
//! | `FORMAT` | version of this layout; locked while a server has the directory open | first open |
//! | `db/` | RocksDB, with the column families below | RocksDB |
//! | `incoming/` | leaf files that are not persisted yet; emptied at open | leaf writers |
//!
//! | column family | key | value | written by |
//! |---|---|---|---|
//! | `ledger` | partition (32) ‖ table (1) ‖ suffix | commit id (16) ‖ value | the commit thread, through the WAL |
//! | `small` | version id (16) ‖ leaf number (u32, big-endian) | sealed bytes, at most 64 KiB | the commit thread, through the WAL |
//! | `leaves` | version id (16) ‖ leaf number (u32, big-endian) | sealed bytes, at most 1 MiB | leaf writers, as ingested files |
//!
//! Small and large leaves lie apart because flushed small ones would fall between the ingested
//! files and have them compacted, that is rewritten, again and again.

mod blob;
#[cfg(test)]
mod conformance;
mod error;
mod ledger;
#[cfg(test)]
mod memory;
mod rocks;
mod transact;

pub use blob::{BlobStore, LEAF_BYTES, LeafKey, LeafWriter, SMALL_LEAF_BYTES};
pub use error::StoreError;
pub use ledger::{Commit, CommitId, Key, Ledger, Outcome, SCAN_LIMIT, Table, Versioned};
#[cfg(test)]
pub use memory::MemoryStore;
pub use rocks::{OpenError, RocksConfig, RocksStore};
pub use transact::{Decision, transact};
