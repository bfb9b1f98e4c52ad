//! The right edge of a tree of RFC 6962 §2.1: what appending to it and its root need. `ct-merkle` keeps its whole tree
//! in memory, so this is ours.

use super::node::Hash;
pub use super::node::{join, leaf_hash, node_hash};
use crate::{Error, hash::Sha256Digest};

/// A complete subtree: the leaves `index << level .. (index + 1) << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Height of its root above the leaves.
    pub level: u8,
    /// Its number among the subtrees of this height.
    pub index: u64,
}

/// The right edge of a tree: all that appending needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    /// How many leaves the tree has.
    pub size: u64,
    /// Roots of the largest complete subtrees, left to right.
    pub peaks: Vec<Hash>,
}

impl Frontier {
    /// The edge as it was stored. Fails with [`Error::Length`] for what is no hash, [`Error::Field`] for another
    /// number of peaks than the size has.
    pub fn read(size: u64, peaks: &[bytes::Bytes]) -> Result<Self, Error> {
        if peaks.len() != usize::try_from(size.count_ones()).unwrap_or(usize::MAX) {
            return Err(Error::Field { field: "peaks" });
        }
        let peaks: Result<_, _> = peaks
            .iter()
            .map(|peak| Ok(*Sha256Digest::try_from(peak.as_ref())?.as_bytes()))
            .collect();
        Ok(Self { size, peaks: peaks? })
    }

    /// Appends a leaf and returns the nodes that became complete by it.
    pub fn append(&mut self, leaf: &[u8]) -> Vec<(Node, Hash)> {
        let mut node = Node {
            level: 0,
            index: self.size,
        };
        let mut hash = leaf_hash(leaf);
        let mut complete = vec![(node, hash)];
        while node.index % 2 == 1
            && let Some(left) = self.peaks.pop()
        {
            node = Node {
                level: node.level + 1,
                index: node.index / 2,
            };
            hash = node_hash(&left, &hash);
            complete.push((node, hash));
        }
        self.peaks.push(hash);
        self.size += 1;
        complete
    }

    /// Root of the whole tree, `MTH(D[n])` of RFC 6962 §2.1.
    pub fn root(&self) -> Hash {
        join(&self.peaks)
    }
}
