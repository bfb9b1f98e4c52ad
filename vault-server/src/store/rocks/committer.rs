//! The commit thread: takes all that waits, checks it in order, and makes it durable by one
//! synced write (group commit), so the cost of a sync is shared by whoever waits for it.

use std::{
    collections::HashMap,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use rocksdb::{WriteBatch, WriteOptions};
use tokio::sync::{mpsc, oneshot};

use super::{Inner, LEDGER, SMALL, health::classify};
use crate::store::{Commit, CommitId, LeafKey, Outcome, StoreError, Versioned};

/// Jobs that may wait; with the largest small leaf in each they hold 16 MiB.
const QUEUE: usize = 256;

/// Bytes after which a group is written though more is waiting: bounds memory and pauses.
const GROUP_BYTES: usize = 4 << 20;

/// What goes through the WAL.
pub(super) enum WriteJob {
    Commit(Commit),
    PutSmall(LeafKey, Bytes),
    /// Keys of leaves in a column family.
    DeleteLeaves(&'static str, Vec<Box<[u8]>>),
    /// Ends the thread after what was queued before.
    Close,
}

impl WriteJob {
    /// Whether it may take from the reserve.
    pub(super) const fn is_urgent(&self) -> bool {
        match self {
            Self::Commit(commit) => commit.urgent,
            Self::PutSmall(..) => false,
            // It frees space.
            Self::DeleteLeaves(..) | Self::Close => true,
        }
    }
}

/// Whom to tell how it ended.
type Reply = oneshot::Sender<Result<Outcome, StoreError>>;

/// The thread and the way to it.
#[derive(Debug)]
pub(super) struct Committer {
    /// Gone only while the committer is dropped.
    jobs: Option<mpsc::Sender<(WriteJob, Reply)>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(super) fn start(inner: Arc<Inner>) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("ledger-commit".to_owned());
        let thread = thread.spawn(move || run(&inner, jobs))?;
        Ok(Self {
            jobs: Some(sender),
            thread: Some(thread),
        })
    }

    /// Has the thread do this together with what else waits, and waits for the answer.
    pub(super) async fn submit(&self, work: WriteJob) -> Result<Outcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(StoreError::Unavailable)?;
        jobs.send((work, reply))
            .await
            .map_err(|_| StoreError::Unavailable)?;
        answer.await.map_err(|_| StoreError::Unavailable)?
    }
}

/// Waits for the thread, which does what is queued (some milliseconds): RocksDB must not be
/// closing on one thread while the process exits on another.
impl Drop for Committer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the commit thread has panicked");
        }
    }
}

/// Runs until [`WriteJob::Close`], or until all senders are gone.
fn run(inner: &Inner, mut jobs: mpsc::Receiver<(WriteJob, Reply)>) {
    let mut open = true;
    while open && let Some(first) = jobs.blocking_recv() {
        let mut group = Group::new(inner);
        let mut next = Some(first);
        while let Some((work, reply)) = next {
            open = !matches!(work, WriteJob::Close);
            group.add(work, reply);
            next = if open && group.has_room() {
                jobs.try_recv().ok()
            } else {
                None
            };
        }
        group.finish();
    }
}

/// Jobs that share one write.
struct Group<'a> {
    inner: &'a Inner,
    batch: WriteBatch,
    /// Versions of the rows written by this group, which the database does not show yet.
    written: HashMap<Vec<u8>, Option<CommitId>>,
    /// Who waits, with the answer that holds once the write is durable. A conflict waits too: what
    /// it met may be part of this write.
    waiting: Vec<(Reply, Outcome)>,
}

impl<'a> Group<'a> {
    fn new(inner: &'a Inner) -> Self {
        Self {
            inner,
            batch: WriteBatch::default(),
            written: HashMap::new(),
            waiting: Vec::new(),
        }
    }

    fn has_room(&self) -> bool {
        self.batch.size_in_bytes() < GROUP_BYTES && self.waiting.len() < QUEUE
    }

    fn add(&mut self, work: WriteJob, reply: Reply) {
        let added = match work {
            WriteJob::Commit(commit) => self.add_commit(commit),
            WriteJob::PutSmall(key, bytes) => self.put_small(key, &bytes),
            WriteJob::DeleteLeaves(family, keys) => self.delete_leaves(family, &keys),
            WriteJob::Close => Ok(Outcome::Applied),
        };
        match added {
            Ok(outcome) => self.waiting.push((reply, outcome)),
            // A read failed, nothing of this job is in the batch.
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn add_commit(&mut self, commit: Commit) -> Result<Outcome, StoreError> {
        for (key, expected) in commit.checks {
            if self.version(&key.encode())? != expected {
                return Ok(Outcome::Conflict(key));
            }
        }
        let ledger = self.inner.column_family(LEDGER)?;
        for (key, value) in commit.writes {
            let key = key.encode();
            match &value {
                Some(value) => self
                    .batch
                    .put_cf(&ledger, &key, Versioned::encode(commit.id, value)),
                None => self.batch.delete_cf(&ledger, &key),
            }
            self.written.insert(key, value.map(|_| commit.id));
        }
        Ok(Outcome::Applied)
    }

    /// The version of a row as it is after the jobs before.
    fn version(&self, key: &[u8]) -> Result<Option<CommitId>, StoreError> {
        if let Some(version) = self.written.get(key) {
            return Ok(*version);
        }
        let ledger = self.inner.column_family(LEDGER)?;
        let row = self
            .inner
            .db
            .get_pinned_cf(&ledger, key)
            .map_err(|error| classify(&error))?;
        row.map(|stored| Ok(Versioned::decode(&stored)?.version))
            .transpose()
    }

    fn put_small(&mut self, key: LeafKey, bytes: &Bytes) -> Result<Outcome, StoreError> {
        self.batch
            .put_cf(&self.inner.column_family(SMALL)?, key.encode(), bytes);
        Ok(Outcome::Applied)
    }

    fn delete_leaves(&mut self, family: &str, keys: &[Box<[u8]>]) -> Result<Outcome, StoreError> {
        let family = self.inner.column_family(family)?;
        keys.iter().for_each(|key| self.batch.delete_cf(&family, key));
        Ok(Outcome::Applied)
    }

    /// The commit point of everything that goes through the WAL.
    fn finish(self) {
        let written = write(self.inner, self.batch);
        for (reply, outcome) in self.waiting {
            // Whoever no longer waits has nothing to be told.
            drop(reply.send(written.clone().map(|()| outcome)));
        }
    }
}

fn write(inner: &Inner, batch: WriteBatch) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    inner.health.check()?;
    let mut options = WriteOptions::default();
    options.set_sync(true);
    inner.written(inner.db.write_opt(batch, &options))
}
