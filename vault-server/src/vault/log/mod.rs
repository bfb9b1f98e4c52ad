//! The transparency log: an RFC 6962 tree in tiles. See `spec/log.md`.
//!
//! An operation queues its entry in its own commit; one task gives the queued entries their places, all
//! that wait in one further commit, which also signs the new checkpoint. So nothing can be done and not
//! logged, and a restart goes on with what is queued. Proofs are not stored: [`Log::prove`] makes them against the newest
//! checkpoint, and a salted leaf is found again by its owner's salt.

mod contradiction;
mod proofs;
mod queued;
pub(crate) mod restoring;
mod rounds;
mod rows;
mod seen;
mod sequencer;
pub(super) mod tile;
mod tree;

pub(super) use self::queued::Queued;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use protocol_spec::{
    hash::{Sha256Digest, sha256},
    log::{Generation, VerifiedCheckpoint},
    messages as pb,
    problem::Problem,
};
use tokio::sync::{Notify, watch};

pub(crate) use self::{contradiction::Contradiction, rounds::Rounds, seen::with_growth_from};

use crate::{
    identity::OperatorIdentity,
    store::{Commit, CommitId, Ledger},
    vault::{
        core::{refusal::Refusal, time::Time},
        tables::{self, LogCosignedRow, LogHeadRow, Row},
    },
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
    /// Whether the volume had no room when the sequencer wrote last.
    full: watch::Sender<bool>,
    /// Whether cosigned checkpoints are shown.
    witnessed: AtomicBool,
    rounds: Rounds,
    contradiction: Contradiction,
    /// Of the log, and where the restoration stands that began it; neither changes while a server runs.
    generation: Generation,
    restored: Option<u64>,
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
        let before = tables::log_head().get(&*ledger).await?.unwrap_or_default();
        let log = Self {
            generation: before.generation()?,
            restored: before.restored(),
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
            full: watch::Sender::new(false),
            witnessed: AtomicBool::new(false),
            rounds: Rounds::default(),
            contradiction: Contradiction::default(),
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

    /// The checkpoint that is shown.
    pub(super) async fn checkpoint(&self) -> Result<String, Refusal> {
        match self.cosigned().await? {
            Some(cosigned) => Ok(cosigned.checkpoint),
            None => self.newest().await,
        }
    }

    /// The newest signed checkpoint.
    pub(super) async fn newest(&self) -> Result<String, Refusal> {
        Ok(self.head().await?.checkpoint)
    }

    /// Leaves, from now on.
    pub(super) fn growth(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }

    /// Whether the witnesses agree with this log, as far as they have said (LOG-22).
    pub(super) fn check_uncontradicted(&self) -> Result<(), Refusal> {
        self.contradiction.check()
    }

    /// Where the restoration stands that has begun it, if one has.
    pub(super) fn restored(&self) -> Option<u64> {
        self.restored
    }

    /// What witnesses say of it.
    pub(super) fn contradiction(&self) -> &Contradiction {
        &self.contradiction
    }

    /// How often witnesses are asked.
    pub(super) fn rounds(&self) -> &Rounds {
        &self.rounds
    }

    /// Has the witnesses asked once more, if there are any, and waits for what they say, but not for long (LOG-23).
    pub(super) async fn ask_witnesses(&self) {
        if self.witnessed.load(Ordering::Relaxed) {
            self.rounds.another().await;
        }
    }

    /// From now on what the quorum has cosigned is shown.
    pub(super) fn await_witnesses(&self) {
        self.witnessed.store(true, Ordering::Relaxed);
    }

    /// Keeps a checkpoint that the quorum has cosigned, unless there is a larger one.
    pub(super) async fn publish_cosigned(&self, checkpoint: &VerifiedCheckpoint) -> Result<(), Refusal> {
        let key = tables::log_cosigned();
        let (kept, version) = key.read(&*self.ledger).await?;
        if kept.is_some_and(|kept| kept.size > checkpoint.size) {
            return Ok(());
        }
        let row = LogCosignedRow {
            size: checkpoint.size,
            checkpoint: checkpoint.note().to_string(),
        };
        let commit = Commit::new(CommitId::fresh()).urgent();
        let mut commit = commit.put(key.key().clone(), row.bytes());
        commit.checks.push((key.key().clone(), version));
        // After a conflict another process shows one that is as good.
        self.ledger.commit(commit).await.map(drop)?;
        Ok(())
    }

    async fn cosigned(&self) -> Result<Option<LogCosignedRow>, Refusal> {
        if !self.witnessed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        Ok(tables::log_cosigned().get(&*self.ledger).await?)
    }

    async fn head(&self) -> Result<LogHeadRow, Refusal> {
        let head = tables::log_head().get(&*self.ledger).await?;
        head.ok_or_else(|| Refusal::new(Problem::Internal, "the log has no head"))
    }
}

/// SHA-256 of a stored statement, as its leaf names it.
pub(super) fn statement_hash(statement: Option<&pb::Statement>) -> Sha256Digest {
    Sha256Digest::from_bytes(sha256(&[statement.map_or(&[][..], |statement| &statement.body)]))
}
