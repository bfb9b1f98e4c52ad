//! The in-memory double: both contracts without a device, for tests and simulation. "Durable"
//! here means as long as the value lives.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};

use super::{
    BlobStore, Commit, Key, LEAF_BYTES, LeafKey, LeafWriter, Ledger, Outcome, SCAN_LIMIT, SMALL_LEAF_BYTES,
    StoreError, Table, Versioned, blob::check_size,
};

/// Rows and leaves in two ordered maps. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<Stored>>,
}

#[derive(Debug, Default)]
struct Stored {
    rows: BTreeMap<Key, Versioned>,
    leaves: BTreeMap<LeafKey, Bytes>,
}

impl MemoryStore {
    /// The maps, which no panic can leave half-changed: each change to them is one call.
    fn state(&self) -> MutexGuard<'_, Stored> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of all keys and rows.
    pub(crate) fn row_bytes(&self) -> usize {
        let state = self.state();
        let key = |key: &Key| key.partition.len() + size_of::<Table>() + key.suffix.len();
        state.rows.iter().map(|(at, row)| key(at) + row.value.len()).sum()
    }
}

impl Stored {
    fn commit(&mut self, commit: Commit) -> Outcome {
        for (key, version) in commit.checks {
            if self.rows.get(&key).map(|row| row.version) != version {
                return Outcome::Conflict(key);
            }
        }
        for (key, value) in commit.writes {
            match value {
                Some(value) => self.rows.insert(
                    key,
                    Versioned {
                        value,
                        version: commit.id,
                    },
                ),
                None => self.rows.remove(&key),
            };
        }
        Outcome::Applied
    }
}

impl Ledger for MemoryStore {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Versioned>>, StoreError>> {
        async move {
            let state = self.state();
            Ok(keys.iter().map(|key| state.rows.get(key).cloned()).collect())
        }
        .boxed()
    }

    fn scan<'a>(
        &'a self,
        partition: &'a [u8; 32],
        table: Table,
        from: &'a [u8],
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        async move {
            let state = self.state();
            let rows = state.rows.range(Key::new(*partition, table, from)..);
            Ok(rows
                .take_while(|(key, _)| key.partition == *partition && key.table == table)
                .take(limit.min(SCAN_LIMIT))
                .map(|(key, row)| (key.clone(), row.clone()))
                .collect())
        }
        .boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        async move { Ok(self.state().commit(commit)) }.boxed()
    }

    fn purge<'a>(&'a self, _: &'a [u8; 32]) -> BoxFuture<'a, Result<(), StoreError>> {
        // The maps keep nothing that was deleted.
        async { Ok(()) }.boxed()
    }
}

impl BlobStore for MemoryStore {
    fn writer(&self, version: [u8; 16], first_leaf: u32) -> Result<Box<dyn LeafWriter>, StoreError> {
        Ok(Box::new(MemoryLeafWriter {
            store: self.clone(),
            version,
            next: first_leaf,
            staged: Vec::new(),
        }))
    }

    fn put_small(&self, key: LeafKey, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            check_size(&bytes, SMALL_LEAF_BYTES)?;
            self.state().leaves.insert(key, bytes);
            Ok(())
        }
        .boxed()
    }

    fn get(&self, key: LeafKey) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        async move { Ok(self.state().leaves.get(&key).cloned()) }.boxed()
    }

    fn delete(&self, version: [u8; 16], leaves: Range<u32>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.state()
                .leaves
                .retain(|key, _| key.version != version || !leaves.contains(&key.leaf));
            Ok(())
        }
        .boxed()
    }

    fn purge_leaves(&self, _: Vec<[u8; 16]>) -> BoxFuture<'_, Result<(), StoreError>> {
        // The map keeps nothing that was deleted.
        async { Ok(()) }.boxed()
    }
}

/// Stages leaves until they are persisted.
struct MemoryLeafWriter {
    store: MemoryStore,
    version: [u8; 16],
    next: u32,
    staged: Vec<(LeafKey, Bytes)>,
}

impl MemoryLeafWriter {
    fn stage(&mut self, leaf: Bytes) -> Result<(), StoreError> {
        check_size(&leaf, LEAF_BYTES)?;
        let key = LeafKey {
            version: self.version,
            leaf: self.next,
        };
        self.next = self
            .next
            .checked_add(1)
            .ok_or(StoreError::Misuse("leaf numbers are used up"))?;
        self.staged.push((key, leaf));
        Ok(())
    }
}

impl LeafWriter for MemoryLeafWriter {
    fn put(&mut self, leaf: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.stage(leaf) }.boxed()
    }

    fn persist(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.store.state().leaves.extend(self.staged.drain(..));
            Ok(())
        }
        .boxed()
    }
}
