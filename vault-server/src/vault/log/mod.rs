//! The transparency log: an RFC 6962 tree in tiles. See `spec/log.md`.
//!
//! An operation queues its entry in its own commit; one task gives the queued entries their places, all
//! that wait in one further commit, which also signs the new checkpoint. So nothing can be done and not
//! logged, and a restart goes on with what is queued. Proofs are not stored: [`Log::prove`] makes them against the newest
//! checkpoint, and a salted leaf is found again by its owner's salt.

mod contradiction;
mod queued;
pub(crate) mod restoring;
mod rounds;
mod seen;
mod sequencer;
pub(super) mod tile;
mod tree;

pub(super) use self::queued::Queued;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use protocol_spec::{
    hash::{Sha256Digest, sha256},
    log::{
        DirectoryHead, Entry, Generation, Hash, SignedCheckpoint, TlogProof, VaultSalt, VerifiedCheckpoint,
        frontier::{join, leaf_hash},
        tile::{TileKind, TilePath, WIDTH, bundle},
    },
    messages as pb,
    problem::Problem,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

pub(crate) use self::{contradiction::Contradiction, rounds::Rounds, seen::for_who_has_seen};

use crate::{
    identity::OperatorIdentity,
    store::{Commit, CommitId, Ledger},
    vault::{
        core::{refusal::Refusal, time::Time},
        log::{
            tile::{NodePlace, TileId},
            tree::subtrees,
        },
        tables::{self, LogCosignedRow, LogHeadRow, LogSaltRow, LogTileRow, Row},
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

    /// The proof of a statement in somebody's vault, once its leaf has its place (LOG-5).
    pub(super) async fn prove(
        &self,
        whose: [u8; 32],
        statement: &Sha256Digest,
    ) -> Result<pb::LogProof, Refusal> {
        let row = tables::log_salt(whose).get(&*self.ledger).await?;
        let row = row.ok_or_else(|| Refusal::new(Problem::Internal, "a principal has no salt"))?;
        let mark = row.salt()?.mark(statement);
        Ok(pb::LogProof {
            salt: Bytes::copy_from_slice(&mark.salt),
            tag: Bytes::copy_from_slice(&mark.tag),
            ..self.proof(&mark.entry(statement)).await?
        })
    }

    /// The proof of what stands in the log in clear.
    pub(super) async fn prove_published(&self, entry: &Entry) -> Result<pb::LogProof, Refusal> {
        self.proof(entry).await
    }

    /// Under the cosigned checkpoint, if it is large enough, and under the newest before that (LOG-13).
    async fn proof(&self, entry: &Entry) -> Result<pb::LogProof, Refusal> {
        let index = self.place(leaf_hash(&entry.bytes()?)).await?;
        let cosigned = self.cosigned().await?.filter(|cosigned| index < cosigned.size);
        let (size, checkpoint) = match cosigned {
            Some(cosigned) => (cosigned.size, cosigned.checkpoint),
            None => {
                let head = self.head().await?;
                (head.size, head.checkpoint)
            }
        };
        let proof = TlogProof {
            extra: None,
            index,
            path: self.inclusion(index, size).await?,
            checkpoint: SignedCheckpoint::parse(checkpoint.as_bytes()).map_err(Refusal::damaged)?,
        };
        self.lead_on(size).await?;
        Ok(pb::LogProof {
            proof: proof.to_string(),
            ..pb::LogProof::default()
        })
    }

    /// The audit path of a leaf in the tree of this size.
    pub(super) async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, Refusal> {
        let path = tree::inclusion(index, self.existing(size).await?);
        self.hashes(path.ok_or(Problem::NotFound)?).await
    }

    /// Events of the directory after this number, with their places under this checkpoint (LOG-17): at most so many, and no more
    /// than the first with which they have so many bytes.
    pub(super) async fn events(
        &self,
        checkpoint: String,
        after: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<pb::DirectoryEvents, Refusal> {
        let signed = SignedCheckpoint::parse(checkpoint.as_bytes()).map_err(Refusal::damaged)?;
        let size = signed.claimed().size;
        let count = DirectoryHead::of(signed.claimed())
            .map_err(Refusal::damaged)?
            .events;
        let left = usize::try_from(count.saturating_sub(after)).unwrap_or(usize::MAX);
        let first = tables::log_event(after.saturating_add(1));
        let places = first.scan(&*self.ledger, limit.min(left)).await?;
        let places: Vec<u64> = places.iter().map(|(_, row)| row.index).collect();
        let keys: Vec<_> = places.iter().copied().map(tables::log_entry).collect();
        let rows = tables::get_many(&keys, &*self.ledger).await?;
        let mut total = 0;
        let mut events = Vec::new();
        for (index, row) in places.into_iter().zip(rows) {
            let row = row.ok_or_else(|| Refusal::new(Problem::Internal, "an entry of the log is missing"))?;
            // A page without an event would say that there are no more.
            if total >= bytes.max(1) {
                break;
            }
            total += row.entry.len() + EVENT_PATH;
            events.push((index, row.entry));
        }
        let paths = self.paths(&events, size).await?;
        let events = events.into_iter().zip(paths).map(|((index, entry), path)| {
            let path = path.iter().map(|hash| Bytes::copy_from_slice(hash)).collect();
            pb::DirectoryEvent { entry, index, path }
        });
        self.lead_on(size).await?;
        Ok(pb::DirectoryEvents {
            checkpoint,
            events: events.collect(),
        })
    }

    /// The audit paths of several leaves, from tiles that are read once.
    async fn paths(&self, leaves: &[(u64, Bytes)], size: u64) -> Result<Vec<Vec<Hash>>, Refusal> {
        let paths: Option<Vec<_>> = leaves
            .iter()
            .map(|(index, _)| tree::inclusion(*index, size))
            .collect();
        let paths = paths.ok_or_else(|| Refusal::new(Problem::Internal, "an event is not in the log"))?;
        let lengths: Vec<usize> = paths.iter().map(Vec::len).collect();
        let mut hashes = self
            .hashes(paths.into_iter().flatten().collect())
            .await?
            .into_iter();
        Ok(lengths
            .into_iter()
            .map(|length| hashes.by_ref().take(length).collect())
            .collect())
    }

    /// Waits until an entry in clear stands in the tree (LOG-5).
    pub(super) async fn placed(&self, entry: &Entry) -> Result<(), Refusal> {
        self.place(leaf_hash(&entry.bytes()?)).await.map(drop)
    }

    /// The proof that the tree of the second size continues that of the first.
    pub(super) async fn consistency(&self, first: u64, second: u64) -> Result<Vec<Hash>, Refusal> {
        let path = tree::consistency(first, self.existing(second).await?);
        self.hashes(path.ok_or(Problem::NotFound)?).await
    }

    /// The bytes of a tile. The rightmost ones grow, so a narrower one is the beginning of what is kept (LOG-9).
    pub(super) async fn tile(&self, TilePath { kind, index, width }: TilePath) -> Result<Vec<u8>, Refusal> {
        let width = usize::try_from(width).map_err(Refusal::damaged)?;
        let size = self.head().await?.size;
        match kind {
            TileKind::Hashes(level) => {
                let row = tables::log_tile(TileId { level, index })
                    .get(&*self.ledger)
                    .await?;
                let hashes = row.and_then(|row| Some(row.hashes.get(..width * 32)?.to_vec()));
                hashes.ok_or(Problem::NotFound.into())
            }
            TileKind::Entries => {
                let first = index.checked_mul(WIDTH).filter(|first| *first < size);
                let first = first.ok_or(Problem::NotFound)?;
                let rows = tables::log_entry(first).scan(&*self.ledger, width).await?;
                if rows.len() < width {
                    return Err(Problem::NotFound.into());
                }
                Ok(bundle(rows.iter().map(|(_, row)| &row.entry[..]))?)
            }
        }
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

    /// Waits until the sequencer has placed a queued leaf; not while there is no room to write it down.
    async fn place(&self, leaf: Hash) -> Result<u64, Refusal> {
        let (mut size, mut full) = (self.size.subscribe(), self.full.subscribe());
        // Also while others' leaves are placed all the time.
        let mut missed = tokio::time::interval_at(Instant::now() + SOON, SOON);
        let placed = async {
            loop {
                if let Some(row) = tables::log_index(leaf).get(&*self.ledger).await? {
                    return Ok(row.index);
                }
                if *full.borrow_and_update() {
                    let cause = "the log cannot be written: the volume is full";
                    return Err(Refusal::new(Problem::Unavailable, cause));
                }
                tokio::select! {
                    // Its sender lives as long as the log.
                    _ = full.changed() => {}
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

    /// The hashes of ranges of leaves, from the tiles that they are made of, which are read at once.
    async fn hashes(&self, path: Vec<Range<u64>>) -> Result<Vec<Hash>, Refusal> {
        let places: Vec<Vec<NodePlace>> = path
            .into_iter()
            .map(|range| subtrees(range).into_iter().map(NodePlace::of).collect())
            .collect();
        let tiles: BTreeSet<TileId> = places.iter().flatten().map(|place| place.tile).collect();
        let keys: Vec<_> = tiles.iter().copied().map(tables::log_tile).collect();
        let rows = tables::get_many(&keys, &*self.ledger).await?;
        let tiles: BTreeMap<TileId, Option<LogTileRow>> = tiles.into_iter().zip(rows).collect();
        let hash = |place: &NodePlace| {
            let tile = tiles.get(&place.tile).and_then(Option::as_ref);
            let hash = tile.and_then(|row| place.hash(&row.hashes));
            hash.ok_or_else(|| Refusal::new(Problem::Internal, "a tile of the log is missing"))
        };
        places
            .iter()
            .map(|range| Ok(join(&range.iter().map(hash).collect::<Result<Vec<_>, _>>()?)))
            .collect()
    }
}

impl LogHeadRow {
    /// Which log it is the head of.
    pub(super) fn generation(&self) -> Result<Generation, Refusal> {
        Generation::new(self.restorations.saturating_add(1)).map_err(Refusal::damaged)
    }

    fn restored(&self) -> Option<u64> {
        (self.restorations > 0).then_some(self.restored)
    }

    fn signed(&self) -> Result<SignedCheckpoint, Refusal> {
        SignedCheckpoint::parse(self.checkpoint.as_bytes()).map_err(Refusal::damaged)
    }

    /// The log's name, as its checkpoint has it.
    pub(super) fn log_name(&self) -> Result<String, Refusal> {
        Ok(self.signed()?.claimed().origin.clone())
    }

    /// What its checkpoint says of the directory.
    fn directory(&self) -> Result<DirectoryHead, Refusal> {
        Ok(DirectoryHead {
            events: self.events,
            hash: self.events_hash.as_ref().try_into().map_err(Refusal::damaged)?,
        })
    }
}

impl LogSaltRow {
    pub(super) fn salt(&self) -> Result<VaultSalt, Refusal> {
        let salt = self.salt.as_ref().try_into().map_err(Refusal::damaged)?;
        Ok(VaultSalt::from_bytes(salt))
    }
}

/// Bytes of an audit path, about: what is counted of it for a page.
const EVENT_PATH: usize = 1024;

/// A leaf that has no place after this time may be one that the sequencer was not told of.
const SOON: Duration = Duration::from_millis(250);

/// SHA-256 of a stored statement, as its leaf names it.
pub(super) fn statement_hash(statement: Option<&pb::Statement>) -> Sha256Digest {
    Sha256Digest::from_bytes(sha256(&[statement.map_or(&[][..], |statement| &statement.body)]))
}
