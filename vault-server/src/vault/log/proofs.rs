//! What the log proves: the place of a leaf, that one tree continues another, and the tiles that all this is made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};

use bytes::Bytes;
use protocol_spec::{
    hash::Sha256Digest,
    log::{
        DirectoryHead, Entry, Hash, SignedCheckpoint, TlogProof,
        frontier::{join, leaf_hash},
        tile::{TileKind, TilePath, WIDTH, bundle},
    },
    messages as pb,
    problem::Problem,
};
use tokio::time::Instant;

use crate::vault::log::{Log, tree};
use crate::vault::{
    core::refusal::Refusal,
    log::{
        tile::{NodePlace, TileId},
        tree::subtrees,
    },
    tables::{self, LogTileRow},
};

impl Log {
    /// The proof of a statement in somebody's vault, once its leaf has its place (LOG-5).
    pub(in crate::vault) async fn prove(
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
    pub(in crate::vault) async fn prove_published(&self, entry: &Entry) -> Result<pb::LogProof, Refusal> {
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
            ..Default::default()
        })
    }

    /// The audit path of a leaf in the tree of this size.
    pub(in crate::vault) async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, Refusal> {
        let path = tree::inclusion(index, self.existing(size).await?);
        self.hashes(path.ok_or(Problem::NotFound)?).await
    }

    /// Events of the directory after this number, with their places under this checkpoint (LOG-17): at most so many, and no more
    /// than the first with which they have so many bytes.
    pub(in crate::vault) async fn events(
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
    pub(in crate::vault) async fn placed(&self, entry: &Entry) -> Result<(), Refusal> {
        self.place(leaf_hash(&entry.bytes()?)).await.map(drop)
    }

    /// The proof that the tree of the second size continues that of the first.
    pub(in crate::vault) async fn consistency(&self, first: u64, second: u64) -> Result<Vec<Hash>, Refusal> {
        let path = tree::consistency(first, self.existing(second).await?);
        self.hashes(path.ok_or(Problem::NotFound)?).await
    }

    /// The bytes of a tile. The rightmost ones grow, so a narrower one is the beginning of what is kept (LOG-9).
    pub(in crate::vault) async fn tile(
        &self,
        TilePath { kind, index, width }: TilePath,
    ) -> Result<Vec<u8>, Refusal> {
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

/// Bytes of an audit path, about: what is counted of it for a page.
const EVENT_PATH: usize = 1024;

/// A leaf that has no place after this time may be one that the sequencer was not told of.
const SOON: Duration = Duration::from_millis(250);
