//! The nodes of the tree (RFC 9162 §2.1.1).

use crate::hash::sha256;

/// A node of the tree.
pub type Hash = [u8; 32];

/// MTH({d}) = SHA-256(0x00 ‖ d)
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

/// MTH of an inner node = SHA-256(0x01 ‖ left ‖ right)
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The hash of a range from those of the largest complete subtrees that make it up, left to right; MTH({}) = SHA-256()
/// for none.
pub fn join(peaks: &[Hash]) -> Hash {
    peaks
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or_else(|| sha256(&[]))
}
