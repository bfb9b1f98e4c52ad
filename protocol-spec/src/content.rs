//! Geometry and hashes of a sealed record: chunks, leaves, padding, content root. See `spec/content.md`.
//!
//! Everything here works on lengths and ciphertext alone, so that server and clients share it.

use blake3::hazmat::{self, ChainingValue, HasherExt, Mode};

use crate::{
    Error,
    hash::{ContentRoot, LeafHash},
};

/// Plaintext bytes of a full chunk (C2SP chunked-encryption).
pub const CHUNK_LEN: u64 = 16 * 1024;
/// Bytes that the AEAD adds to each chunk.
pub const TAG_LEN: u64 = 16;
/// Salt (24) and key commitment (32) in front of the chunks.
pub const HEADER_LEN: u64 = 56;
/// Ciphertext bytes of a leaf: the unit of storage, transfer and hashing. A power of two of BLAKE3 chunks.
pub const LEAF_LEN: u64 = 1 << 20;
/// The longest stream: 2^32 leaves are addressable, the counter of chunks reaches further.
pub const MAX_STREAM_LEN: u64 = LEAF_LEN << 32;

/// Length of the sealed stream for so many plaintext bytes; the last chunk is always short (CNT-3).
pub const fn stream_len(plaintext: u64) -> u64 {
    HEADER_LEN + plaintext + TAG_LEN * (plaintext / CHUNK_LEN + 1)
}

/// Plaintext length of a sealed stream, if any plaintext seals to this length. Fails with [`Error::Field`] for
/// lengths that no stream has.
pub fn plaintext_len(stream: u64) -> Result<u64, Error> {
    let invalid = Error::Field {
        field: "stream length",
    };
    let body = stream.checked_sub(HEADER_LEN).ok_or(invalid.clone())?;
    let last = body % (CHUNK_LEN + TAG_LEN);
    if last < TAG_LEN || stream > MAX_STREAM_LEN {
        return Err(invalid);
    }
    Ok(body - TAG_LEN * (body / (CHUNK_LEN + TAG_LEN) + 1))
}

/// Number of leaves of a stream of this length.
pub const fn leaf_count(stream: u64) -> u64 {
    stream.div_ceil(LEAF_LEN)
}

/// Length of leaf `index` in a stream of this length; zero beyond its end.
pub fn leaf_len(stream: u64, index: u64) -> u64 {
    stream
        .saturating_sub(index.saturating_mul(LEAF_LEN))
        .min(LEAF_LEN)
}

/// Offset in the stream where chunk `index` starts.
pub const fn chunk_offset(index: u64) -> u64 {
    HEADER_LEN + index * (CHUNK_LEN + TAG_LEN)
}

/// Padmé: rounds a length up so that at most log log of it leaks, for at most 12 % more (CNT-5).
///
/// L ↦ the next multiple of 2^(E − S), E = ⌊log₂ L⌋, S = ⌊log₂ E⌋ + 1.
pub fn padme(length: u64) -> u64 {
    if length < 2 {
        return length;
    }
    let exponent = u64::from(length.ilog2());
    let kept = u64::from(exponent.checked_ilog2().unwrap_or(0)) + 1;
    let mask = (1_u64 << exponent.saturating_sub(kept)) - 1;
    length.saturating_add(mask) & !mask
}

/// Hash of one leaf of a stream that has several (CNT-7).
pub fn leaf_hash(index: u64, leaf: &[u8]) -> LeafHash {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(index * LEAF_LEN).update(leaf);
    LeafHash::from_bytes(hasher.finalize_non_root())
}

/// Content root of a stream that fits one leaf: plain BLAKE3.
pub fn single_leaf_root(stream: &[u8]) -> ContentRoot {
    ContentRoot::from_bytes(*blake3::hash(stream).as_bytes())
}

/// Content root from the hashes of all leaves, in order (CNT-8). Fails with [`Error::Field`] for fewer than two
/// leaves: a stream of one leaf is hashed by [`single_leaf_root`].
pub fn content_root(leaves: &[LeafHash]) -> Result<ContentRoot, Error> {
    let (left, right) = split(leaves).ok_or(Error::Field { field: "leaf hashes" })?;
    Ok(ContentRoot::from_bytes(
        *hazmat::merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes(),
    ))
}

fn subtree(leaves: &[LeafHash]) -> ChainingValue {
    match (leaves, split(leaves)) {
        (_, Some((left, right))) => {
            hazmat::merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
        ([leaf, ..], None) => *leaf.as_bytes(),
        ([], None) => [0; 32],
    }
}

/// The left subtree of a BLAKE3 node holds the largest power of two of leaves that leaves the right one some.
fn split(leaves: &[LeafHash]) -> Option<(&[LeafHash], &[LeafHash])> {
    (leaves.len() > 1).then(|| leaves.split_at(1 << (leaves.len() - 1).ilog2()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn root_from_leaves_is_what_b3sum_prints() {
        for length in [LEAF_LEN + 1, 2 * LEAF_LEN, 3 * LEAF_LEN, 5 * LEAF_LEN + 77] {
            let stream: Vec<u8> = (0..length).map(|i| (i * 31 % 251).to_le_bytes()[0]).collect();
            let leaves: Vec<_> = stream
                .chunks(1 << 20)
                .zip(0..)
                .map(|(leaf, i)| leaf_hash(i, leaf))
                .collect();
            assert_eq!(
                content_root(&leaves),
                Ok(ContentRoot::from_bytes(*blake3::hash(&stream).as_bytes()))
            );
        }
        assert!(content_root(&[]).is_err());
        assert!(content_root(&[LeafHash::from_bytes([1; 32])]).is_err());
    }

    proptest! {
        #[test]
        fn stream_length_inverts(plaintext in 0_u64..1 << 40) {
            prop_assert_eq!(plaintext_len(stream_len(plaintext)), Ok(plaintext));
        }

        #[test]
        fn padme_grows_by_at_most_twelve_percent_and_is_idempotent(length in 0_u64..1 << 50) {
            let padded = padme(length);
            prop_assert!(padded >= length && padded - length <= length / 8);
            prop_assert_eq!(padme(padded), padded);
        }
    }

    #[test]
    fn lengths_that_no_stream_has_are_refused() {
        assert!(plaintext_len(HEADER_LEN).is_err());
        assert!(plaintext_len(HEADER_LEN + TAG_LEN - 1).is_err());
        assert_eq!(plaintext_len(HEADER_LEN + TAG_LEN), Ok(0));
        assert!(plaintext_len(HEADER_LEN + CHUNK_LEN + TAG_LEN).is_err());
        assert_eq!(plaintext_len(HEADER_LEN + CHUNK_LEN + 2 * TAG_LEN), Ok(CHUNK_LEN));
    }
}
