//! Secrets of a client at rest: one blob under one key, which a passphrase or a key file gives.
//!
//! ```text
//! salt (24) ‖ commitment (32) ‖ ChaCha20-Poly1305 (secrets)
//! ```
//! Built like a key wrap, so that the blob opens under one key alone: a server or backup that could hand
//! out a blob for two passphrases would learn which of them is used. Local to a home, no part of the protocol.

use std::fmt;

use protocol_spec::labels;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{Error, SecureRandom, committed};

/// Seals the secrets of one home, any number of times: each time a fresh salt derives a key of its own.
/// Never wraps or seals anything else.
pub struct HomeKey(Box<Zeroizing<[u8; 32]>>);

impl HomeKey {
    /// Takes over 32 bytes that are uniformly random, or the output of a password hash.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Box::new(Zeroizing::new(*bytes)))
    }

    /// Seals `secrets` for the principal that `context` names.
    pub fn seal(&self, random: &dyn SecureRandom, context: &[u8], secrets: &[u8]) -> Result<Vec<u8>, Error> {
        committed::seal(random, &self.0, labels::HOME_SECRETS, context, secrets)
    }

    /// Opens what [`Self::seal`] made under the same key and context.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        committed::open(&self.0, labels::HOME_SECRETS, context, sealed)
    }
}

impl ZeroizeOnDrop for HomeKey {}

impl fmt::Debug for HomeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("HomeKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperatingSystem;

    #[test]
    fn open_rejects_wrong_key_context_and_every_flipped_bit() {
        let key = HomeKey::from_bytes(&[1; 32]);
        let sealed = key.seal(&OperatingSystem, b"patient pat_a", &[7; 64]).unwrap();
        assert_eq!(sealed.len(), 24 + 32 + 64 + 16);
        assert_eq!(key.open(b"patient pat_a", &sealed).unwrap().as_slice(), [7; 64]);
        assert_eq!(key.open(b"patient pat_b", &sealed), Err(Error::Open));
        assert_eq!(
            HomeKey::from_bytes(&[2; 32]).open(b"patient pat_a", &sealed),
            Err(Error::Open)
        );
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(b"patient pat_a", &flipped), Err(Error::Open));
        }
        for length in 0..sealed.len() {
            assert_eq!(key.open(b"patient pat_a", &sealed[..length]), Err(Error::Open));
        }
    }

    #[test]
    fn sealing_twice_shares_nothing_and_debug_shows_nothing() {
        let key = HomeKey::from_bytes(&[1; 32]);
        assert_ne!(
            key.seal(&OperatingSystem, b"", &[0; 32]).unwrap()[..56],
            key.seal(&OperatingSystem, b"", &[0; 32]).unwrap()[..56]
        );
        insta::assert_snapshot!(format!("{key:?}"), @"HomeKey(..)");
    }
}
