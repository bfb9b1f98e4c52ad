//! Transactional metadata as ordered keys, with optimistic checks and no transaction held over an await: read rows,
//! decide, then commit under the versions that were read. [`super::transact()`] is the loop around it. A rule over a
//! range of rows holds by bumping a guard row in each commit that touches the range.

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::StoreError;

/// Most rows that one [`Ledger::scan`] returns, whatever the caller asks for.
pub const SCAN_LIMIT: usize = 1000;

/// Ordered rows, read at one moment and changed by atomic commits.
///
/// Everything may be called concurrently, also by several processes where a backend allows it.
/// Whoever starts a call after another one's commit was answered sees that commit.
/// Dropping a future of [`Ledger::commit`] does not take the commit back.
/// Everything may fail with `Io` and `Unavailable`.
pub trait Ledger: Send + Sync {
    /// The rows under `keys`, in that order, all as of one moment after the call began. Fails with
    /// `Corrupt` if a row is damaged.
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Versioned>>, StoreError>>;

    /// The rows of one table in one partition whose suffix is not below `from`, in ascending
    /// order of suffix, as of one moment; at most `limit`, and never more than [`SCAN_LIMIT`].
    /// To go on after a suffix, append a zero byte to it.
    fn scan<'a>(
        &'a self,
        partition: &'a [u8; 32],
        table: Table,
        from: &'a [u8],
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>>;

    /// Makes all writes if all checks hold, or none.
    ///
    /// `Applied` means durable: synced to the device and visible to every later read.
    /// `Conflict` means that nothing was written and names the first check that failed; what it
    /// met is durable and visible. Commits form one order, in which each check was true.
    ///
    /// A commit that is not urgent is refused while only the reserve is left, before anything is written. `Full`,
    /// `Io` and `Unavailable` leave the outcome unknown: the commit may be found applied after a restart. Settle it
    /// by reading back a row that only this commit writes.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>>;

    /// Destroys what was deleted or overwritten in this partition before the call: once it returns, those bytes are
    /// in no file of the backend any more. Slow, in proportion to the partition; copies that were made of the files
    /// are out of reach. After a failure it may be repeated.
    fn purge<'a>(&'a self, partition: &'a [u8; 32]) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// A table within a partition: one byte of the key, so tables sort apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(u8);

impl Table {
    /// The table with this number, which is part of the stored format.
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// Its number, as keys have it.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// The name of a row: partition (a vault or principal id, never time), table and suffix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whose row it is; rows of one partition lie together.
    pub partition: [u8; 32],
    /// Which kind of row it is.
    pub table: Table,
    /// Which row of its kind; integers go big-endian so that they sort.
    pub suffix: Vec<u8>,
}

impl Key {
    /// How many bytes of a key stand before the suffix.
    const PREFIX: usize = 33;

    /// The key of a row of this partition and table.
    pub fn new(partition: [u8; 32], table: Table, suffix: impl Into<Vec<u8>>) -> Self {
        Self {
            partition,
            table,
            suffix: suffix.into(),
        }
    }

    /// partition ‖ table ‖ suffix
    pub(crate) fn encode(&self) -> Vec<u8> {
        Self::encode_parts(&self.partition, self.table, &self.suffix)
    }

    /// What [`Key::encode`] gives, for a key whose parts lie apart.
    pub(super) fn encode_parts(partition: &[u8; 32], table: Table, suffix: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::PREFIX + suffix.len());
        bytes.extend_from_slice(partition);
        bytes.push(table.0);
        bytes.extend_from_slice(suffix);
        bytes
    }

    /// Inverse of [`Key::encode`]; none if the bytes are too short for any key.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (partition, rest) = bytes.split_first_chunk::<32>()?;
        let (table, suffix) = rest.split_first()?;
        Some(Self::new(*partition, Table(*table), suffix))
    }
}

/// Partitions are ids of patients and institutions: they stay out of logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition: _,
            table,
            suffix,
        } = self;
        write!(f, "Key {{ table: {}, suffix: {} bytes }}", table.0, suffix.len())
    }
}

/// The name of a commit and the version of every row it wrote. Never reuse one: a check tells versions apart by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommitId([u8; 16]);

impl CommitId {
    /// An id that no commit has yet (UUIDv7).
    pub fn fresh() -> Self {
        Self(uuid::Uuid::now_v7().into_bytes())
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes as stored before each value.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A row as read. `Debug` shows its size only.
#[derive(Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The bytes that the commit wrote.
    pub value: Bytes,
    /// The commit that wrote it.
    pub version: CommitId,
}

impl Versioned {
    /// The row as it is stored: commit id ‖ value.
    pub(super) fn encode(version: CommitId, value: &[u8]) -> Vec<u8> {
        [version.as_bytes(), value].concat()
    }

    /// Reads a stored row: inverse of [`Versioned::encode`]. Fails with `Corrupt` if there is not even a version.
    pub(super) fn decode(stored: &[u8]) -> Result<Self, StoreError> {
        let (version, value) = stored.split_first_chunk::<16>().ok_or_else(|| {
            StoreError::Corrupt(format!(
                "a row has {} bytes, fewer than its version",
                stored.len()
            ))
        })?;
        Ok(Self {
            value: Bytes::copy_from_slice(value),
            version: CommitId(*version),
        })
    }
}

impl fmt::Debug for Versioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, version } = self;
        write!(
            f,
            "Versioned {{ value: {} bytes, version: {version:?} }}",
            value.len()
        )
    }
}

/// What shall become of some rows, and under which condition. Of several writes to one key the last counts.
#[derive(Clone)]
#[must_use = "a commit does nothing until it is given to a ledger"]
pub struct Commit {
    /// Becomes the version of all rows written.
    pub id: CommitId,
    /// Each key must have this version, or be absent if none.
    pub checks: Vec<(Key, Option<CommitId>)>,
    /// The new value of each key, or none to delete the row.
    pub writes: Vec<(Key, Option<Bytes>)>,
    /// Whether it may take from the reserve (FLW-14).
    pub urgent: bool,
}

impl Commit {
    /// A commit without checks and writes.
    pub const fn new(id: CommitId) -> Self {
        Self {
            id,
            checks: Vec::new(),
            writes: Vec::new(),
            urgent: false,
        }
    }

    /// Lets it take from the reserve: for what takes access away, for the log, and for what frees space.
    pub const fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }

    /// Adds the condition that the row still is as it was read.
    #[cfg(test)]
    pub fn check(mut self, key: Key, read: Option<&Versioned>) -> Self {
        self.checks.push((key, read.map(|row| row.version)));
        self
    }

    /// Adds a row to write.
    pub fn put(mut self, key: Key, value: impl Into<Bytes>) -> Self {
        self.writes.push((key, Some(value.into())));
        self
    }

    /// Adds a row to delete; it need not exist.
    pub fn delete(mut self, key: Key) -> Self {
        self.writes.push((key, None));
        self
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            checks,
            writes,
            urgent,
        } = self;
        write!(
            f,
            "Commit {{ id: {id:?}, {} checks, {} writes, urgent: {urgent} }}",
            checks.len(),
            writes.len()
        )
    }
}

/// How a commit ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a conflict means that nothing was written"]
pub enum Outcome {
    /// All writes are made and durable.
    Applied,
    /// Nothing was written: this checked row has another version.
    Conflict(Key),
}
