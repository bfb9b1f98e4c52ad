//! Gives queued leaves their places, one batch in one commit. The check on the head row makes the order
//! total, whoever sequences.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use protocol_spec::{
    hash::Sha256Digest,
    log::{
        Checkpoint, DirectoryHead, Entry, Generation, SignedCheckpoint,
        frontier::{Frontier, leaf_hash},
        log_key_of,
    },
    problem::Problem,
};

use crate::{
    identity::OperatorIdentity,
    store::{Commit, CommitId, Key, Ledger, Outcome},
    vault::{
        core::refusal::{Refusal, ensure},
        log::{
            Log, Queued,
            tile::{self, NodePlace, TileId},
        },
        tables::{self, LogEntryRow, LogHeadRow, LogIndexRow, LogQueueRow, LogTileRow, Row},
    },
};

/// Leaves of one batch: a commit of a few hundred rows.
const BATCH: usize = 256;

/// Tiles that grow in one commit, with all their hashes.
pub(super) type Tiles = BTreeMap<TileId, Vec<u8>>;

/// Pause after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

impl Log {
    /// Sequences for ever. A batch is whatever waits when the last one is durable; there is no timer.
    pub(in crate::vault) async fn run(&self) {
        loop {
            let sequenced = self.sequence().await;
            let full = matches!(&sequenced, Err(refusal) if refusal.problem == Problem::StorageFull);
            self.full
                .send_if_modified(|before| std::mem::replace(before, full) != full);
            match sequenced {
                Ok(true) => {}
                Ok(false) => self.queued.notified().await,
                Err(refusal) => {
                    // What was taken and not placed stands in the ledger.
                    self.look();
                    tracing::error!(cause = refusal.cause, "the log is not sequenced, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Places one batch; whether there was any.
    pub(in crate::vault) async fn sequence(&self) -> Result<bool, Refusal> {
        let queued = self.next_batch().await?;
        if queued.is_empty() {
            return Ok(false);
        }
        let (head, version) = tables::log_head().read(&*self.ledger).await?;
        let head = head.ok_or_else(|| Refusal::new(Problem::Internal, "the log has no head"))?;
        let mut frontier = Frontier::read(head.size, &head.peaks).map_err(Refusal::damaged)?;
        let mut events = head.directory()?;
        let mut commit = Commit::new(CommitId::fresh()).urgent();
        commit.checks.push((tables::log_head().key().clone(), version));
        let mut tiles = edge(&*self.ledger, frontier.size).await?;
        for queued in queued {
            commit = append(commit, &mut frontier, &mut tiles, &mut events, &queued.row.entry);
            // A leaf that was sequenced meanwhile is not sequenced again.
            commit = commit.delete(queued.key());
            commit.checks.push((queued.key(), Some(queued.commit)));
        }
        let commit = with_tiles(commit, tiles);
        let commit = self.with_head(commit, &frontier, events)?;
        match self.ledger.commit(commit).await {
            Ok(Outcome::Applied) => drop(self.size.send_replace(frontier.size)),
            // Somebody else sequenced some of it, or nobody knows: what is left stands in the ledger.
            Ok(Outcome::Conflict(_)) => self.look(),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// What was handed on, or, where something may be missing, what the ledger's queue holds.
    async fn next_batch(&self) -> Result<Vec<Queued>, Refusal> {
        {
            let mut waiting = self.waiting();
            if !waiting.look {
                let batch = waiting.leaves.len().min(BATCH);
                return Ok(waiting.leaves.drain(..batch).collect());
            }
            // Queued leaves are in the ledger already: to empty the queue in memory loses nothing.
            waiting.leaves.clear();
            waiting.look = false;
        }
        let rows = tables::log_queued(Vec::new()).scan(&*self.ledger, BATCH).await;
        let found = rows.map_err(Refusal::from).and_then(|rows| {
            rows.into_iter()
                .map(|(suffix, row)| Queued::read(&suffix, row))
                .collect::<Result<Vec<_>, _>>()
        });
        if !matches!(&found, Ok(found) if found.len() < BATCH) {
            self.look();
        }
        found
    }

    /// The head, made if this is the first start; its checkpoint's time is a floor of time.
    pub(super) async fn ensure_head(&self) -> Result<LogHeadRow, Refusal> {
        if let Some(head) = tables::log_head().get(&*self.ledger).await? {
            ensure(
                head.log_name()? == log_key_of(self.operator.key(), self.generation)?.name(),
                Problem::Internal,
                "its log is signed by another operator key, restore operator.key from a backup",
            )?;
            self.time.at_least(head.at);
            return Ok(head);
        }
        let mut commit = Commit::new(CommitId::fresh()).urgent();
        commit.checks.push((tables::log_head().key().clone(), None));
        // A conflict means that another start was faster: its head is as good.
        let _ = self
            .ledger
            .commit(self.with_head(commit, &Frontier::default(), DirectoryHead::NONE)?)
            .await?;
        self.head().await
    }

    /// The new head, with what the checkpoint says of the directory (LOG-15).
    fn with_head(
        &self,
        commit: Commit,
        frontier: &Frontier,
        events: DirectoryHead,
    ) -> Result<Commit, Refusal> {
        let of = LogHeadRow {
            at: self.time.now(),
            restorations: self.generation.number() - Generation::FIRST.number(),
            restored: self.restored.unwrap_or_default(),
            ..LogHeadRow::default()
        };
        let head = of.over(&self.operator, frontier, events)?;
        Ok(commit.put(tables::log_head().key().clone(), head.bytes()))
    }
}

impl LogHeadRow {
    /// The head of the same log over these leaves, signed.
    pub(super) fn over(
        self,
        operator: &OperatorIdentity,
        frontier: &Frontier,
        events: DirectoryHead,
    ) -> Result<Self, Refusal> {
        let log = log_key_of(operator.key(), self.generation()?)?;
        let checkpoint = Checkpoint {
            origin: log.name().to_owned(),
            size: frontier.size,
            root: Sha256Digest::from_bytes(frontier.root()),
            extensions: vec![events.line()],
        };
        let checkpoint = SignedCheckpoint::sign(checkpoint, &log, |text| operator.sign(text))?;
        Ok(Self {
            size: frontier.size,
            peaks: frontier
                .peaks
                .iter()
                .map(|peak| Bytes::copy_from_slice(peak))
                .collect(),
            checkpoint: checkpoint.note().to_string(),
            events: events.events,
            events_hash: Bytes::copy_from_slice(events.hash.as_bytes()),
            ..self
        })
    }
}

impl Queued {
    fn key(&self) -> Key {
        tables::log_queue(self.commit, self.number).key().clone()
    }

    /// From a row of the queue.
    fn read(suffix: &[u8], row: LogQueueRow) -> Result<Self, Refusal> {
        match suffix.split_first_chunk::<16>() {
            Some((commit, &[number])) => Ok(Self {
                commit: CommitId::from_bytes(*commit),
                number,
                row,
            }),
            _ => Err(Refusal::new(
                Problem::Internal,
                "a key of the log's queue is damaged",
            )),
        }
    }
}

/// The tiles that grow. They change only in the commits that the head's row guards.
pub(super) async fn edge(ledger: &dyn Ledger, size: u64) -> Result<Tiles, Refusal> {
    let (ids, widths): (Vec<_>, Vec<_>) = tile::edge(size).unzip();
    let keys: Vec<_> = ids.iter().copied().map(tables::log_tile).collect();
    let rows = tables::get_many(&keys, ledger).await?;
    let mut tiles = Tiles::new();
    for ((id, width), row) in ids.into_iter().zip(widths).zip(rows) {
        let hashes = row.unwrap_or_default().hashes.to_vec();
        ensure(
            hashes.len() == 32 * width,
            Problem::Internal,
            "a tile of the log is damaged",
        )?;
        tiles.insert(id, hashes);
    }
    Ok(tiles)
}

/// Writes the tiles that have grown.
pub(super) fn with_tiles(mut commit: Commit, tiles: Tiles) -> Commit {
    for (tile, hashes) in tiles {
        let row = LogTileRow {
            hashes: hashes.into(),
        };
        commit = commit.put(tables::log_tile(tile).key().clone(), row.bytes());
    }
    commit
}

/// Gives an entry the next place.
pub(super) fn append(
    mut commit: Commit,
    frontier: &mut Frontier,
    tiles: &mut Tiles,
    events: &mut DirectoryHead,
    entry: &Bytes,
) -> Commit {
    let index = frontier.size;
    if Entry::is_event(entry) {
        *events = events.with(index, entry);
        let key = tables::log_event(events.events).key().clone();
        commit = commit.put(key, LogIndexRow { index }.bytes());
    }
    let row = LogEntryRow { entry: entry.clone() };
    commit = commit
        .put(tables::log_entry(index).key().clone(), row.bytes())
        .put(
            tables::log_index(leaf_hash(entry)).key().clone(),
            LogIndexRow { index }.bytes(),
        );
    for (node, hash) in frontier.append(entry) {
        if tile::is_kept(node) {
            tiles.entry(NodePlace::of(node).tile).or_default().extend(hash);
        }
    }
    commit
}
