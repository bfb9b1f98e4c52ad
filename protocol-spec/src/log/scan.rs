//! Reading a log: all its entries under one checkpoint, in order, each verified before it is given out. No I/O, and
//! never more in memory than one tile of each level.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    checkpoint::Checkpoint,
    frontier::{join, leaf_hash},
    merkle::Hash,
    tile::{self, TileKind, TilePath, WIDTH, complete},
};
use crate::{Error, defence::Defence};

/// A log that is being read (LOG-14).
///
/// The partial tiles at the right edge make the root; a full tile has the hash that the tile above it names, and a bundle's
/// entries are the leaves that the tile above them names. So no entry is given out that is not what the checkpoint says
/// stands in its place, and none is left out.
#[derive(Debug)]
pub struct Scan {
    plan: TilePlan,
    root: Hash,
    from: u64,
    /// The partial tiles at the right edge, by level.
    edge: BTreeMap<u8, Vec<Hash>>,
    /// The full tile that was read last, by level, and its number.
    full: BTreeMap<u8, (u64, Vec<Hash>)>,
}

/// Which tiles a scan reads, in order: whoever fetches them can be ahead of it.
#[derive(Clone, Debug)]
pub struct TilePlan {
    size: u64,
    /// Partial tiles that are still to be read; the next one is the last.
    edge: Vec<TilePath>,
    /// Numbers of the full tiles that were read last, by level.
    read: BTreeMap<u8, u64>,
    /// Number of the next entry bundle.
    bundle: u64,
}

impl Scan {
    /// Reads the entries from number `from` on.
    pub fn new(checkpoint: &Checkpoint, from: u64) -> Self {
        Self {
            plan: TilePlan::new(checkpoint.size, from),
            root: *checkpoint.root.as_bytes(),
            from,
            edge: BTreeMap::new(),
            full: BTreeMap::new(),
        }
    }

    /// What is still to be read.
    pub fn plan(&self) -> TilePlan {
        self.plan.clone()
    }

    /// Takes the next tile of the plan, and gives out the entries that it holds, with their numbers
    /// (LOG-14). Fails with [`Error::LogProof`] for what is not in the tree, [`Error::Note`] or
    /// [`Error::Length`] for what is no tile.
    pub fn take(&mut self, tile: Bytes) -> Result<Vec<(u64, Bytes)>, Error> {
        let path = self.plan.next().ok_or(Error::Field { field: "tile" })?;
        match path.kind {
            TileKind::Entries => return self.take_bundle(path, tile),
            TileKind::Hashes(level) => {
                let hashes = hashes(&tile, path.width)?;
                if path.width < WIDTH {
                    self.edge.insert(level, hashes);
                } else {
                    let named = self.named(level + 1, path.index);
                    must(named.is_some() && named == complete(hashes.clone()))?;
                    self.full.insert(level, (path.index, hashes));
                }
            }
        }
        if path.width < WIDTH && self.plan.edge.is_empty() {
            let peaks: Vec<Hash> = self
                .edge
                .values()
                .rev()
                .flat_map(|hashes| peaks(hashes))
                .collect();
            must(join(&peaks) == self.root)?;
        }
        Ok(Vec::new())
    }

    fn take_bundle(&self, path: TilePath, bundle: Bytes) -> Result<Vec<(u64, Bytes)>, Error> {
        let entries = tile::entries(bundle, path.width)?;
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        must(if path.width < WIDTH {
            self.edge.get(&0) == Some(&leaves)
        } else {
            let named = self.named(1, path.index);
            named.is_some() && named == complete(leaves)
        })?;
        let numbered = (path.index * WIDTH..).zip(entries);
        Ok(numbered.filter(|(index, _)| *index >= self.from).collect())
    }

    /// The hash of a node at eight times this level.
    fn named(&self, level: u8, index: u64) -> Option<Hash> {
        let (tile, place) = (index / WIDTH, usize::try_from(index % WIDTH).ok()?);
        let full = self.full.get(&level).filter(|(number, _)| *number == tile);
        let hashes = full.map(|(_, hashes)| hashes).or_else(|| self.edge.get(&level))?;
        hashes.get(place).copied()
    }
}

impl TilePlan {
    fn new(size: u64, from: u64) -> Self {
        let size = if from < size { size } else { 0 };
        let partial = |level: u8| {
            let nodes = size >> (8 * u32::from(level));
            let (index, width) = (nodes / WIDTH, nodes % WIDTH);
            let kind = TileKind::Hashes(level);
            (width > 0).then_some(TilePath { kind, index, width })
        };
        Self {
            size,
            edge: (0..8).filter_map(partial).collect(),
            read: BTreeMap::new(),
            bundle: from / WIDTH,
        }
    }

    /// The highest full tile above the next bundle that is not the one read last.
    fn above(&mut self) -> Option<TilePath> {
        for level in (1..8_u8).rev() {
            let shift = 8 * u32::from(level);
            let index = self.bundle >> shift;
            let is_full = index < self.size >> (shift + 8).min(63);
            if is_full && self.read.insert(level, index) != Some(index) {
                let kind = TileKind::Hashes(level);
                return Some(TilePath {
                    kind,
                    index,
                    width: WIDTH,
                });
            }
        }
        None
    }
}

impl Iterator for TilePlan {
    type Item = TilePath;

    fn next(&mut self) -> Option<TilePath> {
        if let Some(tile) = self.edge.pop() {
            return Some(tile);
        }
        let first = self.bundle.checked_mul(WIDTH)?;
        let width = WIDTH.min(self.size.checked_sub(first).filter(|left| *left > 0)?);
        if width == WIDTH
            && let Some(tile) = self.above()
        {
            return Some(tile);
        }
        let index = self.bundle;
        self.bundle += 1;
        Some(TilePath {
            kind: TileKind::Entries,
            index,
            width,
        })
    }
}

/// The roots of the largest complete subtrees over so many nodes, left to right.
fn peaks(mut nodes: &[Hash]) -> Vec<Hash> {
    let mut peaks = Vec::new();
    while let Some(level) = nodes.len().checked_ilog2() {
        let (left, rest) = nodes.split_at(1 << level);
        peaks.extend(complete(left.to_vec()));
        nodes = rest;
    }
    peaks
}

fn hashes(tile: &[u8], width: u64) -> Result<Vec<Hash>, Error> {
    let (hashes, rest) = tile.as_chunks::<32>();
    if rest.is_empty() && hashes.len() as u64 == width {
        return Ok(hashes.to_vec());
    }
    Err(Error::Length {
        field: "tile",
        got: tile.len(),
        want: 32 * usize::try_from(width).unwrap_or_default(),
    })
}

fn must(holds: bool) -> Result<(), Error> {
    Defence::LogProofs.check(if holds { Ok(()) } else { Err(Error::LogProof) })
}

#[cfg(test)]
mod tests;
