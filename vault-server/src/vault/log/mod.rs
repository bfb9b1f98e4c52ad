//! The transparency log: an RFC 6962 tree over salted hashes of statements. See `spec/log.md`.
//!
//! An operation queues its leaf in its own commit; one task gives the queued leaves their places, all
//! that wait in one further commit, which also signs the new checkpoint. So nothing can be done and not
//! logged, and a restart goes on with what is queued. Stored proofs hold the salt only:
//! [`Log::complete`] adds the rest against the newest checkpoint.

mod sequencer;
pub(super) mod tree;

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use protocol_spec::{
    hash::{Sha256Digest, sha256},
    log, messages as pb,
    problem::Problem,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use self::tree::{Hash, join, subtrees};
use super::{
    Refusal,
    tables::{self, LogHeadRow, LogQueueRow},
    time::Time,
};
use crate::{
    identity::OperatorIdentity,
    store::{CommitId, Ledger},
};

/// The log. Shared by all who append and prove.
pub(super) struct Log {
    ledger: Arc<dyn Ledger>,
    operator: Arc<OperatorIdentity>,
    time: Arc<Time>,
    /// Longest wait for a leaf's place.
    wait: Duration,
    waiting: Mutex<Waiting>,
    queued: Notify,
    size: watch::Sender<u64>,
}

/// A leaf whose commit is durable and whose row stands in the queue.
pub(super) struct Queued {
    pub(super) commit: CommitId,
    pub(super) number: u8,
    pub(super) row: LogQueueRow,
}

/// What the sequencer takes next. Nothing is lost with it: all of it stands in the ledger too, where it is
/// looked for only when somebody misses a leaf, because looking there means to pass all that was ever queued.
struct Waiting {
    leaves: VecDeque<Queued>,
    /// Look into the ledger: after a start, and when a leaf was not told of.
    look: bool,
}

impl Log {
    /// Opens the log; the first time, signs the checkpoint of the empty tree. Time goes on where the
    /// last checkpoint was made.
    pub(super) async fn open(
        ledger: Arc<dyn Ledger>,
        operator: Arc<OperatorIdentity>,
        time: Arc<Time>,
        wait: Duration,
    ) -> Result<Self, Refusal> {
        let log = Self {
            ledger,
            operator,
            time,
            wait,
            waiting: Mutex::new(Waiting {
                leaves: VecDeque::new(),
                look: true,
            }),
            queued: Notify::new(),
            size: watch::Sender::new(0),
        };
        let head = log.ensure_head().await?;
        log.size.send_replace(head.size);
        Ok(log)
    }

    /// Hands leaves to the sequencer.
    pub(super) fn queue(&self, leaves: Vec<Queued>) {
        if !leaves.is_empty() {
            self.waiting().leaves.extend(leaves);
            self.queued.notify_one();
        }
    }

    /// Has the sequencer look for leaves that nobody has handed to it.
    pub(super) fn look(&self) {
        self.waiting().look = true;
        self.queued.notify_one();
    }

    /// Each change of what waits is one call, so no panic leaves it half-changed.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest signed checkpoint.
    pub(super) async fn checkpoint(&self) -> Result<pb::Statement, Refusal> {
        let head = self.head().await?;
        head.checkpoint
            .ok_or_else(|| Refusal::new(Problem::Internal, "the log's head has no checkpoint"))
    }

    /// Completes a proof that holds the salt only: waits until the leaf has its place.
    pub(super) async fn complete(
        &self,
        proof: &mut Option<pb::LogProof>,
        statement: &Sha256Digest,
    ) -> Result<(), Refusal> {
        let damaged = || Refusal::new(Problem::Internal, "a stored proof has no salt");
        let proof = proof.as_mut().ok_or_else(damaged)?;
        let salt = proof.salt.as_ref().try_into().map_err(|_| damaged())?;
        let index = self.place(log::leaf(salt, statement)).await?;
        let head = self.head().await?;
        proof.index = index;
        proof.path = self.inclusion(index, head.size).await?;
        proof.checkpoint = head.checkpoint;
        Ok(())
    }

    /// The audit path of a leaf in the tree of this size.
    pub(super) async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Bytes>, Refusal> {
        let path = tree::inclusion(index, self.existing(size).await?);
        self.hashes(path.ok_or(Problem::NotFound)?).await
    }

    /// The proof that the tree of the second size continues that of the first.
    pub(super) async fn consistency(&self, first: u64, second: u64) -> Result<Vec<Bytes>, Refusal> {
        let path = tree::consistency(first, self.existing(second).await?);
        self.hashes(path.ok_or(Problem::NotFound)?).await
    }

    async fn existing(&self, size: u64) -> Result<u64, Refusal> {
        if size <= self.head().await?.size {
            Ok(size)
        } else {
            Err(Problem::NotFound.into())
        }
    }

    async fn head(&self) -> Result<LogHeadRow, Refusal> {
        let head = tables::log_head().get(&*self.ledger).await?;
        head.ok_or_else(|| Refusal::new(Problem::Internal, "the log has no head"))
    }

    /// Waits until the sequencer has placed a queued leaf.
    async fn place(&self, leaf: Hash) -> Result<u64, Refusal> {
        let mut size = self.size.subscribe();
        // Also while others' leaves are placed all the time.
        let mut missed = tokio::time::interval_at(Instant::now() + SOON, SOON);
        let placed = async {
            loop {
                if let Some(row) = tables::log_index(leaf).get(&*self.ledger).await? {
                    return Ok(row.index);
                }
                tokio::select! {
                    changed = size.changed() => if changed.is_err() {
                        return Err(Refusal::new(Problem::Unavailable, "the log is closed"));
                    },
                    // Whoever queued it may have been cut off after its commit and before it handed it on.
                    _ = missed.tick() => self.look(),
                }
            }
        };
        let late = |_| Refusal::new(Problem::Unavailable, "the log does not sequence");
        tokio::time::timeout(self.wait, placed).await.map_err(late)?
    }

    async fn hashes(&self, path: Vec<Range<u64>>) -> Result<Vec<Bytes>, Refusal> {
        let mut hashes = Vec::with_capacity(path.len());
        for range in path {
            hashes.push(Bytes::copy_from_slice(&self.range_hash(range).await?));
        }
        Ok(hashes)
    }

    async fn range_hash(&self, range: Range<u64>) -> Result<Hash, Refusal> {
        let mut peaks = Vec::new();
        for node in subtrees(range) {
            let row = tables::log_node(node).get(&*self.ledger).await?;
            let hash = row.and_then(|row| row.hash.as_ref().try_into().ok());
            peaks.push(hash.ok_or_else(|| Refusal::new(Problem::Internal, "a node of the log is missing"))?);
        }
        Ok(join(&peaks))
    }
}

/// A leaf that has no place after this time may be one that the sequencer was not told of.
const SOON: Duration = Duration::from_millis(250);

/// SHA-256 of a stored statement, as its leaf names it.
pub(super) fn statement_hash(statement: Option<&pb::Statement>) -> Sha256Digest {
    Sha256Digest::from_bytes(sha256(&[statement.map_or(&[][..], |statement| &statement.body)]))
}
