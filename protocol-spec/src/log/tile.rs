//! Tiles, as c2sp.org/tlog-tiles has them: the tree and its entries as files that never change, 256 in each.

use std::{fmt, str::FromStr};

use bytes::Bytes;

use super::{checkpoint::decimal, frontier::node_hash, merkle::Hash, note::malformed};
use crate::Error;

/// Hashes or entries of a full tile: the tree is cut at every eighth level.
pub const WIDTH: u64 = 256;

/// The two kinds of tiles: of hashes and of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TileKind {
    /// Hashes of the nodes at eight times this level.
    Hashes(u8),
    /// The entries of the log, which are hashed into leaves.
    Entries,
}

/// The name of a tile, under the log's prefix: `tile/<L>/<N>[.p/<W>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TilePath {
    /// Whether it holds hashes, and of which level, or entries.
    pub kind: TileKind,
    /// Its number within its level.
    pub index: u64,
    /// Hashes or entries, 1 to 256; below that it is partial.
    pub width: u64,
}

impl TilePath {
    /// All tiles of one kind for a log of this size, the last one partial where the size demands it.
    pub fn all(kind: TileKind, size: u64) -> impl Iterator<Item = Self> {
        let level = match kind {
            TileKind::Hashes(level) => u32::from(level),
            TileKind::Entries => 0,
        };
        let nodes = size.checked_shr(8 * level).unwrap_or(0);
        (0..nodes.div_ceil(WIDTH)).map(move |index| Self {
            kind,
            index,
            width: WIDTH.min(nodes - index * WIDTH),
        })
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, index, width } = *self;
        match kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => write!(f, "tile/entries/")?,
        }
        let groups = std::iter::successors(Some(index / 1000), |rest| Some(rest / 1000));
        let mut groups: Vec<u64> = groups
            .take_while(|rest| *rest > 0)
            .map(|rest| rest % 1000)
            .collect();
        groups.reverse();
        for group in groups {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", index % 1000)?;
        if width < WIDTH {
            write!(f, ".p/{width}")?;
        }
        Ok(())
    }
}

impl FromStr for TilePath {
    type Err = Error;

    /// Reads the one form that a tile's name has (LOG-9).
    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((kind, rest)) = text.strip_prefix("tile/").and_then(|rest| rest.split_once('/')) else {
            return malformed("it is no tile");
        };
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => match decimal(level)?.try_into() {
                Ok(level @ 0..=63) => TileKind::Hashes(level),
                _ => return malformed("a tree has 64 levels of tiles"),
            },
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, decimal(width)?),
            None => (rest, WIDTH),
        };
        let mut index = 0_u64;
        for group in number.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let Some(next) = Some(digits)
                .filter(|digits| digits.len() == 3 && digits.bytes().all(|digit| digit.is_ascii_digit()))
                .and_then(|digits| digits.parse::<u64>().ok())
                .and_then(|value| index.checked_mul(1000)?.checked_add(value))
            else {
                return malformed("the number of a tile is not in its form");
            };
            index = next;
        }
        let path = Self { kind, index, width };
        if (1..=WIDTH).contains(&width) && path.to_string() == text {
            Ok(path)
        } else {
            malformed("the name of a tile is not in its form")
        }
    }
}

/// An entry bundle: each entry after its length, u16be. Fails with [`Error::Note`] for an entry that is too long.
pub fn bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Error> {
    let mut bundle = Vec::new();
    for entry in entries {
        let Ok(length) = u16::try_from(entry.len()) else {
            return malformed("an entry is too long");
        };
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a bundle that must have so many.
pub fn entries(mut bundle: Bytes, width: u64) -> Result<Vec<Bytes>, Error> {
    let mut entries = Vec::new();
    while let Some((length, _)) = bundle.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        if bundle.len() < 2 + length {
            return malformed("an entry bundle is cut off");
        }
        entries.push(bundle.split_to(2 + length).slice(2..));
    }
    if bundle.is_empty() && entries.len() as u64 == width {
        Ok(entries)
    } else {
        malformed("an entry bundle has another number of entries")
    }
}

/// The root over as many nodes as a power of two; none over none.
pub fn complete(mut nodes: Vec<Hash>) -> Option<Hash> {
    while nodes.len() > 1 {
        let (pairs, _) = nodes.as_chunks::<2>();
        nodes = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    nodes.pop()
}
