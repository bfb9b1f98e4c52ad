//! RFC 6962 §2.1 as arithmetic: which subtrees a proof consists of. No storage.
//!
//! Only complete subtrees are ever stored, and they never change. Every other range that a proof names
//! is hashed from at most 64 of them.

use std::ops::Range;

use protocol_spec::log::frontier::Node;

/// The largest complete subtrees that make up a range, left to right. The range starts where RFC 6962
/// splits a tree: at a multiple of a power of two that is not below its length.
pub(super) fn subtrees(range: Range<u64>) -> Vec<Node> {
    let Range { mut start, end } = range;
    let mut nodes = Vec::new();
    while start < end {
        let level = (end - start).ilog2();
        nodes.push(Node {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            index: start >> level,
        });
        start += 1 << level;
    }
    nodes
}

/// PATH(m, D[n]), as ranges of leaves, from the leaf to the root; none if the leaf is not in the tree.
pub(super) fn inclusion(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    let mut tree = (index < size).then_some(0..size)?;
    let mut path = Vec::new();
    while tree.end - tree.start > 1 {
        let middle = split(&tree);
        if index < middle {
            path.push(middle..tree.end);
            tree.end = middle;
        } else {
            path.push(tree.start..middle);
            tree.start = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// PROOF(m, D[n]), as ranges of leaves; none unless 0 < m ≤ n.
pub(super) fn consistency(first: u64, second: u64) -> Option<Vec<Range<u64>>> {
    let mut tree = (0 < first && first <= second).then_some(0..second)?;
    let mut path = Vec::new();
    let mut whole = true;
    while first != tree.end {
        let middle = split(&tree);
        if first <= middle {
            path.push(middle..tree.end);
            tree.end = middle;
        } else {
            path.push(tree.start..middle);
            tree.start = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(tree);
    }
    path.reverse();
    Some(path)
}

/// Where RFC 6962 splits a tree of two or more leaves: the left part is the largest power of two below it.
fn split(tree: &Range<u64>) -> u64 {
    tree.start + (1 << (tree.end - tree.start - 1).ilog2())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use protocol_spec::{
        hash::sha256,
        log::{
            Hash,
            frontier::{Frontier, join},
        },
    };
    use sha2::Sha256;

    use super::*;

    fn hashes(nodes: &BTreeMap<Node, Hash>, ranges: Vec<Range<u64>>) -> Vec<u8> {
        ranges
            .into_iter()
            .flat_map(|range| {
                let peaks: Vec<Hash> = subtrees(range).iter().map(|node| nodes[node]).collect();
                join(&peaks)
            })
            .collect()
    }

    /// LOG-3, LOG-4, ATK-41: the same roots and proofs as an independent implementation, for all sizes up to 200.
    #[test]
    fn roots_and_proofs_are_those_of_rfc_6962() {
        let mut oracle = MemoryBackedTree::<Sha256, [u8; 32]>::new();
        let (mut frontier, mut nodes) = (Frontier::default(), BTreeMap::new());
        assert_eq!(frontier.root(), sha256(&[]));
        for size in 1..=200_u64 {
            let leaf = sha256(&[&size.to_be_bytes()]);
            oracle.push(leaf);
            nodes.extend(frontier.append(&leaf));
            assert_eq!(&frontier.root()[..], oracle.root().as_bytes().as_slice());
            for index in 0..size {
                let expected = oracle.prove_inclusion(usize::try_from(index).unwrap());
                let path = inclusion(index, size).unwrap();
                assert_eq!(hashes(&nodes, path), expected.as_bytes());
            }
            for first in 1..size {
                let expected = oracle.prove_consistency(usize::try_from(size - first).unwrap());
                let path = consistency(first, size).unwrap();
                assert_eq!(hashes(&nodes, path), expected.as_bytes(), "{first} {size}");
            }
        }
    }

    #[test]
    fn there_is_no_proof_of_what_is_not_in_the_tree() {
        assert!(inclusion(3, 3).is_none());
        assert!(consistency(0, 3).is_none());
        assert!(consistency(4, 3).is_none());
        assert_eq!(consistency(3, 3), Some(vec![]));
    }
}
