//! Authenticates the files of a client's home. Local to a home, no part of the protocol.
//!
//! ```text
//! key = HKDF-SHA-256 (secret, LABEL(HOME_SEAL) ‖ context, 32)      tag = BLAKE3 keyed (key, each part with its length before it)
//! ```

use std::fmt;

use protocol_spec::labels;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::kdf;

/// Makes and checks tags over what lies in one home, any number of times. Never seals or wraps anything.
pub struct HomeSealKey(Box<Zeroizing<[u8; 32]>>);

impl HomeSealKey {
    /// From a secret that only who has opened the home has, for the principal that `context` names.
    pub fn derive(secret: &[u8], context: &[u8]) -> Self {
        let label = labels::HOME_SEAL.bytes();
        Self(Box::new(kdf::extract_and_expand(secret, &[&label, context])))
    }

    /// The tag of these parts. Other borders between the same bytes give another tag.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        *self.hash(parts).as_bytes()
    }

    /// Whether this is their tag, or the beginning of it that is kept: at least 16 bytes. In constant time.
    pub fn check(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        let hash = self.hash(parts);
        let kept = hash.as_bytes().get(..tag.len()).unwrap_or_default();
        tag.len() >= 16 && subtle::ConstantTimeEq::ct_eq(kept, tag).into()
    }

    fn hash(&self, parts: &[&[u8]]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize()
    }
}

impl ZeroizeOnDrop for HomeSealKey {}

impl fmt::Debug for HomeSealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("HomeSealKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_of_one_key_context_and_cut() {
        let key = HomeSealKey::derive(&[1; 32], b"a patient pat_a");
        let tag = key.tag(&[b"met", b"id"]);
        assert!(key.check(&[b"met", b"id"], &tag));
        assert!(key.check(&[b"met", b"id"], &tag[..16]));
        for parts in [
            &[&b"me"[..], b"tid"][..],
            &[b"met"],
            &[b"metid"],
            &[b"met", b"id", b""],
        ] {
            assert!(!key.check(parts, &tag), "{parts:?}");
        }
        for (secret, context) in [(2, "a patient pat_a"), (1, "a patient pat_b")] {
            let other = HomeSealKey::derive(&[secret; 32], context.as_bytes());
            assert!(!other.check(&[b"met", b"id"], &tag));
        }
        for bit in 0..256 {
            let mut flipped = tag;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.check(&[b"met", b"id"], &flipped));
        }
        for length in [0, 1, 15] {
            assert!(!key.check(&[b"met", b"id"], &tag[..length]), "{length}");
        }
        insta::assert_snapshot!(format!("{key:?}"), @"HomeSealKey(..)");
    }
}
