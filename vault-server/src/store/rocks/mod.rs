//! Both contracts on one machine, by RocksDB.
//!
//! Ledger commits and small leaves pass through one commit thread ([`committer`]) that syncs the WAL once for all
//! that wait; large leaves are streamed into files of their own and ingested ([`leaf_writer`]), never through the
//! WAL. Before the database is opened its logs are checked ([`wal`]). After a failed write the process must not go on
//! as if nothing had happened ([`health`]).

mod blobs;
mod committer;
mod data_dir;
mod health;
mod leaf_writer;
mod options;
mod reserve;
mod rows;
#[cfg(test)]
mod tests;
mod wal;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rocksdb::{
    BoundColumnFamily, DB, ErrorKind, FlushOptions, ReadOptions, ReadTier, WriteBatch, WriteOptions,
};

use self::{
    committer::{Committer, WriteJob},
    data_dir::DataDir,
    health::{Health, classify},
    reserve::Reserve,
};
use super::{Outcome, StoreError};

pub use data_dir::OpenError;

const LEDGER: &str = "ledger";
const SMALL: &str = "small";
const LEAVES: &str = "leaves";

/// Sizes of a [`RocksStore`], in bytes unless said otherwise.
#[derive(Debug, Clone)]
pub struct RocksConfig {
    /// Block cache for ledger rows and small leaves.
    pub cache_bytes: usize,
    /// Where a leaf writer begins its next file.
    pub leaf_file_bytes: usize,
    /// Most table files held open, each with its index (a few KiB).
    pub max_open_files: i32,
    /// Of the volume, for urgent commits alone.
    pub reserve_bytes: u64,
}

impl Default for RocksConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            leaf_file_bytes: 64 << 20,
            max_open_files: 512,
            reserve_bytes: 0,
        }
    }
}

/// A [`super::Ledger`] and [`super::BlobStore`] in a data directory of its own.
#[derive(Debug)]
pub struct RocksStore {
    // First, so that its thread has let go of the database when that is closed.
    committer: Committer,
    inner: Arc<Inner>,
}

/// What leaf writers and blocking tasks share with the store.
#[derive(Debug)]
struct Inner {
    // First, so that it is closed before the lock of the data directory is released.
    db: DB,
    health: Health,
    reserve: Reserve,
    data_dir: DataDir,
    leaf_file_bytes: usize,
    next_file: AtomicU64,
}

impl RocksStore {
    /// Opens the data directory at `path`, and makes it if it does not exist. Blocks.
    pub fn open(path: &Path, config: &RocksConfig) -> Result<Self, OpenError> {
        let data_dir = DataDir::open(path)?;
        wal::mend(&data_dir.db())?;
        let db = DB::open_cf_descriptors(
            &options::database(config),
            data_dir.db(),
            options::column_families(config),
        )
        .map_err(|error| classify(&error))?;
        let inner = Arc::new(Inner {
            db,
            health: Health::default(),
            reserve: Reserve::new(path, config.reserve_bytes),
            data_dir,
            leaf_file_bytes: config.leaf_file_bytes,
            next_file: AtomicU64::new(0),
        });
        let committer =
            Committer::start(Arc::clone(&inner)).map_err(|error| StoreError::Io(error.to_string()))?;
        Ok(Self { committer, inner })
    }

    /// Waits until a write to the device has failed, and returns why; pending for ever otherwise.
    ///
    /// From that moment every operation gives `Unavailable`, since what the device holds is
    /// unknown until the store is opened anew: the process must exit with an error.
    pub async fn failed(&self) -> String {
        self.inner.health.failed().await
    }

    /// Makes what is queued durable, takes nothing more, and writes out the WAL so that the next
    /// open has nothing to replay. The directory is released once the store is dropped. Fails as
    /// [`super::Ledger::commit`] does; nothing acknowledged is lost.
    pub async fn close(&self) -> Result<(), StoreError> {
        let closed = self.submit(WriteJob::Close).await;
        self.inner.health.close();
        closed.map(drop)?;
        self.inner.blocking(Inner::flush).await
    }

    async fn submit(&self, work: WriteJob) -> Result<Outcome, StoreError> {
        self.inner.health.check()?;
        if !work.is_urgent() {
            self.inner.reserve.check()?;
        }
        self.committer.submit(work).await
    }
}

impl Inner {
    fn column_family(&self, name: &str) -> Result<Arc<BoundColumnFamily<'_>>, StoreError> {
        self.db
            .cf_handle(name)
            .ok_or_else(|| StoreError::Corrupt(format!("column family {name} is missing")))
    }

    /// Reads at once what lies in memory, and otherwise again on a thread that may block.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl Fn(&Self, ReadOptions) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.health.check()?;
        let mut in_memory = ReadOptions::default();
        in_memory.set_read_tier(ReadTier::BlockCache);
        match read(self, in_memory) {
            Err(ReadError::NotInMemory) => {
                self.blocking(move |inner| Ok(read(inner, ReadOptions::default())?))
                    .await
            }
            done => Ok(done?),
        }
    }

    /// Runs `work` on a thread that may block. Dropping the future does not stop it.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .unwrap_or(Err(StoreError::Unavailable))
    }

    /// A new path in `incoming/`, which is emptied at open.
    fn incoming_file(&self) -> PathBuf {
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        self.data_dir.incoming().join(format!("{number}.sst"))
    }

    /// Passes on the result of a write to the device, and gives the store up if the write failed
    /// for another reason than a full volume. RocksDB recovers from that one by itself. Where the system was only short of
    /// something, RocksDB knows whether the write may have been torn, and takes no more then.
    fn written<T>(&self, result: Result<T, rocksdb::Error>) -> Result<T, StoreError> {
        result.map_err(|error| {
            let error = classify(&error);
            match &error {
                StoreError::Full => {}
                StoreError::Short(_) if self.takes_writes() => {}
                _ => self.health.fail(&error),
            }
            error
        })
    }

    /// The same for a file that is not part of the database yet: being short of something tears nothing in it.
    fn written_outside<T>(&self, result: Result<T, rocksdb::Error>) -> Result<T, StoreError> {
        match result.map_err(|error| (classify(&error), error)) {
            Ok(done) => Ok(done),
            Err((error @ StoreError::Short(_), _)) => Err(error),
            Err((_, error)) => self.written(Err(error)),
        }
    }

    /// Whether RocksDB still takes writes: one that changes nothing is refused as any other would be.
    fn takes_writes(&self) -> bool {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(WriteBatch::default(), &options).is_ok()
    }

    fn flush_tables(&self) -> Result<(), StoreError> {
        for name in [LEDGER, SMALL, LEAVES] {
            let flushed = self
                .db
                .flush_cf_opt(&self.column_family(name)?, &FlushOptions::default());
            self.written(flushed)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.flush_tables()?;
        self.db.cancel_all_background_work(true);
        Ok(())
    }
}

/// Why a read in memory gave nothing.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    /// The answer lies on the device.
    #[error("not in memory")]
    NotInMemory,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rocksdb::Error> for ReadError {
    fn from(error: rocksdb::Error) -> Self {
        match error.kind() {
            ErrorKind::Incomplete => Self::NotInMemory,
            _ => Self::Store(classify(&error)),
        }
    }
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        match error {
            // Does not happen: without a read tier RocksDB goes to the device.
            ReadError::NotInMemory => Self::Io("a read stopped short of the device".to_owned()),
            ReadError::Store(error) => error,
        }
    }
}
