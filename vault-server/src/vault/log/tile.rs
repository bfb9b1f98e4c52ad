//! Tiles: where the hashes of the tree are kept, as c2sp.org/tlog-tiles cuts it. No storage.
//!
//! A tile of level l holds the hashes of nodes at height 8·l, 256 in a full one; all other nodes are hashed from them.
//! `ct-merkle` keeps its whole tree in memory, so storing it is ours.

use protocol_spec::log::{Hash, frontier::Node, tile::complete};

/// Hashes of a full tile.
const WIDTH: u64 = 256;

/// A tile of hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::vault) struct TileId {
    /// An eighth of the height of its nodes.
    pub(in crate::vault) level: u8,
    /// Its number in its level.
    pub(in crate::vault) index: u64,
}

/// Which hashes of which tile a node is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodePlace {
    pub(super) tile: TileId,
    first: usize,
    count: usize,
}

impl NodePlace {
    /// Of a complete node.
    pub(super) fn of(node: Node) -> Self {
        let above = u32::from(node.level % 8);
        let first = node.index << above;
        Self {
            tile: TileId {
                level: node.level / 8,
                index: first / WIDTH,
            },
            first: usize::try_from(first % WIDTH).unwrap_or_default(),
            count: 1 << above,
        }
    }

    /// The node's hash, from its tile's; none if the tile is not that wide.
    pub(super) fn hash(self, tile: &[u8]) -> Option<Hash> {
        let (hashes, _) = tile.as_chunks::<32>();
        complete(hashes.get(self.first..)?.get(..self.count)?.to_vec())
    }
}

/// The tiles at the right edge of a log of this size that hold something, with their widths.
pub(super) fn edge(size: u64) -> impl Iterator<Item = (TileId, usize)> {
    (0..8_u8).filter_map(move |level| {
        let nodes = size >> (8 * u32::from(level));
        let width = usize::try_from(nodes % WIDTH).unwrap_or_default();
        let index = nodes / WIDTH;
        (width > 0).then_some((TileId { level, index }, width))
    })
}

/// Whether a node is kept in a tile.
pub(super) fn is_kept(node: Node) -> bool {
    node.level.is_multiple_of(8)
}
