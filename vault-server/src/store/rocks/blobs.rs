//! The blob store over RocksDB. A leaf lies in `small` or in `leaves`, by the way it came.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use rocksdb::{Direction, IteratorMode, ReadOptions};

use super::{Inner, LEAVES, ReadError, RocksStore, SMALL, committer::WriteJob, leaf_writer::RocksLeafWriter};
use crate::store::{BlobStore, LeafKey, LeafWriter, SMALL_LEAF_BYTES, StoreError, blob::check_size};

impl BlobStore for RocksStore {
    fn writer(&self, version: [u8; 16], first_leaf: u32) -> Result<Box<dyn LeafWriter>, StoreError> {
        self.inner.health.check()?;
        Ok(Box::new(RocksLeafWriter::new(
            &self.inner,
            LeafKey {
                version,
                leaf: first_leaf,
            },
        )))
    }

    fn put_small(&self, key: LeafKey, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            check_size(&bytes, SMALL_LEAF_BYTES)?;
            self.submit(WriteJob::PutSmall(key, bytes)).await.map(drop)
        }
        .boxed()
    }

    fn get(&self, key: LeafKey) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        async move {
            // First where a miss costs nothing: its filters are in memory.
            let small = self
                .inner
                .read(move |inner, options| inner.leaf(SMALL, key, &options))
                .await?;
            if small.is_some() {
                return Ok(small);
            }
            self.inner
                .read(move |inner, options| inner.leaf(LEAVES, key, &options))
                .await
        }
        .boxed()
    }

    fn delete(&self, version: [u8; 16], leaves: Range<u32>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let Some(last) = leaves.end.checked_sub(1).filter(|last| *last >= leaves.start) else {
                return Ok(());
            };
            self.inner.health.check()?;
            let first = LeafKey {
                version,
                leaf: leaves.start,
            };
            let last = LeafKey { version, leaf: last };
            self.inner
                .blocking(move |inner| inner.drop_files(first, last))
                .await?;
            for family in [SMALL, LEAVES] {
                let left = self
                    .inner
                    .blocking(move |inner| inner.leaf_keys(family, first, last))
                    .await?;
                self.submit(WriteJob::DeleteLeaves(family, left))
                    .await
                    .map(drop)?;
            }
            Ok(())
        }
        .boxed()
    }

    fn purge_leaves(&self, versions: Vec<[u8; 16]>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.inner.health.check()?;
            self.inner
                .blocking(move |inner| {
                    inner.flush_tables()?;
                    for version in versions {
                        let key = |leaf| LeafKey { version, leaf }.encode();
                        for family in [SMALL, LEAVES] {
                            inner.rewrite(family, &key(0), &key(u32::MAX))?;
                        }
                    }
                    Ok(())
                })
                .await
        }
        .boxed()
    }
}

impl Inner {
    fn leaf(&self, family: &str, key: LeafKey, options: &ReadOptions) -> Result<Option<Bytes>, ReadError> {
        let family = self.column_family(family)?;
        let stored = self.db.get_pinned_cf_opt(&family, key.encode(), options)?;
        Ok(stored.map(|bytes| Bytes::copy_from_slice(&bytes)))
    }

    /// Frees the leaf files that lie in the range as a whole, without reading them.
    fn drop_files(&self, first: LeafKey, last: LeafKey) -> Result<(), StoreError> {
        let leaves = self.column_family(LEAVES)?;
        self.written(
            self.db
                .delete_file_in_range_cf(&leaves, first.encode(), last.encode()),
        )
    }

    fn leaf_keys(&self, family: &str, first: LeafKey, last: LeafKey) -> Result<Vec<Box<[u8]>>, StoreError> {
        let family = self.column_family(family)?;
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound([&last.encode()[..], &[0]].concat());
        let first = first.encode();
        let keys = self
            .db
            .iterator_cf_opt(&family, options, IteratorMode::From(&first, Direction::Forward));
        keys.map(|row| Ok(row.map_err(|error| super::classify(&error))?.0))
            .collect()
    }
}
