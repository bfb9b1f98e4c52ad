//! Streams leaves into table files outside the database, and ingests those by moving them in:
//! each byte is written once. The file that is written lies in `incoming/`; ingesting links it
//! into the database after its sync, which is the commit point.
//!
//! One leaf is written on a blocking thread while the next arrives, so a writer holds two.

use std::{mem, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use rocksdb::{IngestExternalFileOptions, SstFileWriter};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Inner, LEAVES, options::LEAF_TABLES};
use crate::store::{LEAF_BYTES, LeafKey, LeafWriter, StoreError, blob::check_size};

/// The async half: numbers the leaves and passes them to [`Files`].
pub(super) struct RocksLeafWriter {
    inner: Arc<Inner>,
    next: LeafKey,
    state: WriterState,
}

enum WriterState {
    Idle(Files),
    Busy(JoinHandle<Result<Files, StoreError>>),
    /// An error was returned, and the files are gone.
    Broken,
}

impl RocksLeafWriter {
    pub(super) fn new(inner: &Arc<Inner>, first: LeafKey) -> Self {
        let files = Files {
            inner: Arc::clone(inner),
            current: None,
            finished: Vec::new(),
        };
        Self {
            inner: Arc::clone(inner),
            next: first,
            state: WriterState::Idle(files),
        }
    }

    /// Waits for the work begun last. Cancelling the wait loses nothing.
    pub(super) async fn settle(&mut self) -> Result<(), StoreError> {
        if let WriterState::Busy(work) = &mut self.state {
            let done = work.await.unwrap_or(Err(StoreError::Unavailable));
            self.state = WriterState::Broken;
            self.state = WriterState::Idle(done?);
        }
        Ok(())
    }

    /// Begins `work` on the files, once they are free.
    async fn begin(
        &mut self,
        work: impl FnOnce(&mut Files) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.settle().await?;
        let WriterState::Idle(mut files) = mem::replace(&mut self.state, WriterState::Broken) else {
            return Err(StoreError::Unavailable);
        };
        files.inner.health.check()?;
        self.state = WriterState::Busy(spawn_blocking(move || work(&mut files).map(|()| files)));
        Ok(())
    }
}

impl LeafWriter for RocksLeafWriter {
    fn put(&mut self, leaf: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            check_size(&leaf, LEAF_BYTES)?;
            self.inner.reserve.check()?;
            let key = self.next;
            let next = key
                .leaf
                .checked_add(1)
                .ok_or(StoreError::Misuse("leaf numbers are used up"))?;
            self.begin(move |files| files.put(key, &leaf)).await?;
            self.next.leaf = next;
            Ok(())
        }
        .boxed()
    }

    fn persist(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.begin(Files::ingest).await?;
            self.settle().await
        }
        .boxed()
    }
}

/// The blocking half: files not yet in the database. Dropping it removes them.
struct Files {
    inner: Arc<Inner>,
    current: Option<OpenFile>,
    finished: Vec<PathBuf>,
}

struct OpenFile {
    path: PathBuf,
    writer: SstFileWriter<'static>,
    bytes: usize,
}

impl Files {
    fn put(&mut self, key: LeafKey, leaf: &Bytes) -> Result<(), StoreError> {
        let mut file = match self.current.take() {
            Some(file) => file,
            None => self.open()?,
        };
        let put = file.writer.put(key.encode(), leaf);
        file.bytes += leaf.len();
        let full = file.bytes >= self.inner.leaf_file_bytes;
        self.current = Some(file);
        self.inner.written_outside(put)?;
        if full { self.finish() } else { Ok(()) }
    }

    fn open(&mut self) -> Result<OpenFile, StoreError> {
        let path = self.inner.incoming_file();
        let writer = SstFileWriter::create(&LEAF_TABLES);
        self.inner.written_outside(writer.open(&path))?;
        Ok(OpenFile {
            path,
            writer,
            bytes: 0,
        })
    }

    /// Syncs and closes the current file, if there is one.
    fn finish(&mut self) -> Result<(), StoreError> {
        let Some(mut file) = self.current.take() else {
            return Ok(());
        };
        self.finished.push(file.path);
        self.inner.written_outside(file.writer.finish())
    }

    /// Moves all files into the database at once. Returns after its manifest is synced.
    fn ingest(&mut self) -> Result<(), StoreError> {
        self.finish()?;
        if self.finished.is_empty() {
            return Ok(());
        }
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        // No snapshot looks at leaves; with one, files would get a new sequence number.
        options.set_snapshot_consistency(false);
        let leaves = self.inner.column_family(LEAVES)?;
        let ingested = self
            .inner
            .db
            .ingest_external_file_cf_opts(&leaves, &options, self.finished.clone());
        self.inner.written(ingested)?;
        self.finished.clear();
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let current = self.current.take().map(|file| file.path);
        for path in self.finished.drain(..).chain(current) {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove an unfinished leaf file");
            }
        }
    }
}
