//! Bytes under a key that other keys are derived from: salt, commitment, ciphertext. See `spec/keys.md` §8.
//!
//! ```text
//! salt (24) ‖ commitment (32) ‖ ChaCha20-Poly1305 (bytes)
//! ```
//! Each sealing derives an AEAD key of its own from a fresh salt, so that the key above it may be used any number
//! of times; the commitment keeps one ciphertext from opening under two keys.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305};
use protocol_spec::labels::Label;
use zeroize::Zeroizing;

use crate::{Error, SecureRandom, kdf::Committing};

/// Bytes over those that are sealed.
pub(crate) const OVERHEAD: usize = SALT + 32 + 16;

const SALT: usize = 24;

/// Seals `bytes` under `key`, for one purpose and in one place.
pub(crate) fn seal(
    random: &dyn SecureRandom,
    key: &[u8; 32],
    label: Label,
    aad: &[u8],
    bytes: &[u8],
) -> Result<Vec<u8>, Error> {
    let salt: [u8; SALT] = random.public()?;
    let derived = derive(key, label, &salt, aad);
    let mut body = Zeroizing::new(bytes.to_vec());
    // The derived key serves this one message, so any nonce would do; the derived one costs nothing.
    let tag = derived
        .aead
        .encrypt_inout_detached(&derived.nonce.into(), aad, body.as_mut_slice().into())
        .map_err(|_| Error::Malformed {
            what: "bytes to be sealed",
        })?;
    Ok([&salt[..], &derived.commitment, &body, &tag].concat())
}

/// Opens what [`seal`] made under the same key, for the same purpose, in the same place (KEY-13).
pub(crate) fn open(
    key: &[u8; 32],
    label: Label,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (salt, rest) = sealed.split_first_chunk().ok_or(Error::Open)?;
    let (commitment, rest) = rest.split_first_chunk().ok_or(Error::Open)?;
    let (body, tag) = rest.split_last_chunk::<16>().ok_or(Error::Open)?;
    let derived = derive(key, label, salt, aad);
    derived.check(commitment)?;
    let mut bytes = Zeroizing::new(body.to_vec());
    derived
        .aead
        .decrypt_inout_detached(
            &derived.nonce.into(),
            aad,
            bytes.as_mut_slice().into(),
            tag.into(),
        )
        .map_err(|_| Error::Open)?;
    Ok(bytes)
}

/// key ‖ nonce ‖ commitment = HKDF-Expand-SHA-512 (key, LABEL ‖ salt ‖ aad)
fn derive(key: &[u8; 32], label: Label, salt: &[u8; SALT], aad: &[u8]) -> Committing<ChaCha20Poly1305> {
    Committing::derive(key, &[&label.bytes(), salt, aad])
}

#[cfg(test)]
mod tests {
    use protocol_spec::labels::{HOME_SECRETS, KEY_WRAP};

    use super::*;
    use crate::OperatingSystem;

    /// KEY-13, ATK-19: even where the AEAD could be made to open under two keys, the commitment does not: sealed
    /// bytes with the commitment of another key fail before the AEAD is asked.
    #[test]
    fn the_commitment_is_checked_before_the_aead() {
        let mut forged = seal(&OperatingSystem, &[1; 32], KEY_WRAP, b"place", &[6; 32]).unwrap();
        forged[SALT] ^= 1;
        assert_eq!(open(&[1; 32], KEY_WRAP, b"place", &forged), Err(Error::Open));
        let salt = forged.first_chunk().unwrap();
        let derived = derive(&[1; 32], KEY_WRAP, salt, b"place");
        let (body, tag) = forged[SALT + 32..].split_last_chunk::<16>().unwrap();
        let mut body = body.to_vec();
        let raw = derived.aead.decrypt_inout_detached(
            &derived.nonce.into(),
            b"place",
            body.as_mut_slice().into(),
            tag.into(),
        );
        assert!(raw.is_ok(), "the AEAD alone does not notice");
    }

    #[test]
    fn what_is_sealed_for_one_purpose_opens_for_no_other() {
        let sealed = seal(&OperatingSystem, &[1; 32], KEY_WRAP, b"place", b"bytes").unwrap();
        assert_eq!(sealed.len(), 5 + OVERHEAD);
        assert_eq!(open(&[1; 32], HOME_SECRETS, b"place", &sealed), Err(Error::Open));
        assert_eq!(
            open(&[1; 32], KEY_WRAP, b"place", &sealed).unwrap().as_slice(),
            b"bytes"
        );
    }
}
