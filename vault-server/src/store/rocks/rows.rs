//! The ledger over RocksDB: reads come from snapshots, commits go to the commit thread.

use futures_util::{FutureExt, future::BoxFuture};
use rocksdb::{BottommostLevelCompaction, CompactOptions, Direction, IteratorMode, PrefixRange, ReadOptions};

use super::{Inner, LEDGER, ReadError, RocksStore, committer::WriteJob};
use crate::store::{Commit, Key, Ledger, Outcome, SCAN_LIMIT, StoreError, Table, Versioned};

impl Ledger for RocksStore {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Versioned>>, StoreError>> {
        let keys: Vec<Vec<u8>> = keys.iter().map(Key::encode).collect();
        self.inner
            .read(move |inner, options| inner.rows(&keys, options))
            .boxed()
    }

    fn scan<'a>(
        &'a self,
        partition: &'a [u8; 32],
        table: Table,
        from: &'a [u8],
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        let prefix = Key::encode_parts(partition, table, &[]);
        let start = Key::encode_parts(partition, table, from);
        let limit = limit.min(SCAN_LIMIT);
        self.inner
            .read(move |inner, options| inner.rows_from(&prefix, &start, limit, options))
            .boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        self.submit(WriteJob::Commit(commit)).boxed()
    }

    fn purge<'a>(&'a self, partition: &'a [u8; 32]) -> BoxFuture<'a, Result<(), StoreError>> {
        let partition = *partition;
        async move {
            self.inner.health.check()?;
            self.inner.blocking(move |inner| inner.purge(&partition)).await
        }
        .boxed()
    }
}

impl Inner {
    /// Writes what is in memory to tables, which lets go of the logs, and rewrites the partition's tables, which
    /// drops what is deleted or overwritten.
    fn purge(&self, partition: &[u8]) -> Result<(), StoreError> {
        self.flush_tables()?;
        self.rewrite(LEDGER, partition, &[partition, &[u8::MAX]].concat())
    }

    /// Rewrites the tables of a range of keys, without what is deleted or overwritten.
    pub(super) fn rewrite(&self, family: &str, first: &[u8], last: &[u8]) -> Result<(), StoreError> {
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        let family = self.column_family(family)?;
        self.db
            .compact_range_cf_opt(&family, Some(first), Some(last), &options);
        self.health.check()
    }

    fn rows(&self, keys: &[Vec<u8>], options: ReadOptions) -> Result<Vec<Option<Versioned>>, ReadError> {
        let ledger = self.column_family(LEDGER)?;
        let moment = self.db.snapshot();
        let mut options = options;
        options.set_snapshot(&moment);
        let row = |key| match self.db.get_pinned_cf_opt(&ledger, key, &options)? {
            Some(stored) => Ok(Some(Versioned::decode(&stored)?)),
            None => Ok(None),
        };
        keys.iter().map(row).collect()
    }

    fn rows_from(
        &self,
        prefix: &[u8],
        start: &[u8],
        limit: usize,
        mut options: ReadOptions,
    ) -> Result<Vec<(Key, Versioned)>, ReadError> {
        let ledger = self.column_family(LEDGER)?;
        options.set_iterate_range(PrefixRange(prefix));
        let rows = self
            .db
            .iterator_cf_opt(&ledger, options, IteratorMode::From(start, Direction::Forward));
        rows.take(limit)
            .map(|row| {
                let (key, stored) = row?;
                Ok((decode_key(&key)?, Versioned::decode(&stored)?))
            })
            .collect()
    }
}

fn decode_key(key: &[u8]) -> Result<Key, StoreError> {
    Key::decode(key)
        .ok_or_else(|| StoreError::Corrupt(format!("a row's key has {} bytes, fewer than any", key.len())))
}
