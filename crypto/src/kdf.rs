//! Key derivation: HKDF (RFC 5869) in the two forms that the protocol uses, and the committing
//! derivation that content and key wraps share. See `spec/keys.md` §8.

use chacha20poly1305::{
    AeadInOut, KeyInit,
    consts::{U12, U16},
};
use hkdf::Hkdf;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::Error;

/// HKDF-Expand-SHA-512 (prk, info, N): for keys that are uniformly random already.
#[allow(
    clippy::expect_used,
    reason = "the library refuses lengths alone, and these are right"
)]
pub(crate) fn expand<const N: usize>(prk: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 64, "HKDF has no output of this length") };
    // The library wants a PRK of at least HashLen bytes. HMAC extends shorter keys with zeros (RFC 2104 §2), so that
    // doing it here changes no output.
    let mut padded = Zeroizing::new([0; 64]);
    let prk = match padded.get_mut(..prk.len()) {
        Some(head) => {
            head.copy_from_slice(prk);
            padded.as_slice()
        }
        None => prk,
    };
    let hkdf = Hkdf::<Sha512>::from_prk(prk).expect("it has 64 bytes or more");
    let mut okm = Zeroizing::new([0; N]);
    hkdf.expand_multi_info(info, okm.as_mut_slice())
        .expect("HKDF has outputs of this length");
    okm
}

/// HKDF-SHA-256 (salt = empty, ikm, info, 32): for keys made from several secrets.
#[allow(
    clippy::expect_used,
    reason = "the library refuses lengths alone, and 32 bytes are right"
)]
pub(crate) fn extract_and_expand(ikm: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut okm = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, ikm)
        .expand_multi_info(info, okm.as_mut_slice())
        .expect("HKDF has outputs of 32 bytes");
    okm
}

/// An AEAD with the sizes that the framing needs: 12-byte nonce, 16-byte tag.
pub(crate) trait Cipher: AeadInOut<NonceSize = U12, TagSize = U16> + KeyInit {}

impl<A: AeadInOut<NonceSize = U12, TagSize = U16> + KeyInit> Cipher for A {}

/// What one committing derivation yields. The commitment is published and checked before anything is
/// opened, because ChaCha20-Poly1305 and AES-GCM open one ciphertext under several keys.
pub(crate) struct Committing<A> {
    pub(crate) aead: A,
    pub(crate) nonce: [u8; 12],
    pub(crate) commitment: [u8; 32],
}

impl<A: Cipher> Committing<A> {
    /// key ‖ nonce (12) ‖ commitment (32) = HKDF-Expand-SHA-512 (prk, info)
    #[allow(clippy::expect_used, reason = "the longest key has 32 bytes")]
    pub(crate) fn derive(prk: &[u8], info: &[&[u8]]) -> Self {
        // Long enough for keys of 32 bytes; a shorter key takes a prefix, as HKDF outputs nest.
        let okm = expand::<76>(prk, info);
        Self::split(okm.as_slice()).expect("76 bytes hold key, nonce and commitment")
    }

    fn split(okm: &[u8]) -> Option<Self> {
        let (key, rest) = okm.split_at_checked(A::key_size())?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let commitment = rest.first_chunk()?;
        Some(Self {
            aead: A::new_from_slice(key).ok()?,
            nonce: *nonce,
            commitment: *commitment,
        })
    }

    /// Compares in constant time (KEY-13).
    pub(crate) fn check(&self, commitment: &[u8; 32]) -> Result<(), Error> {
        if self.commitment.ct_eq(commitment).into() {
            Ok(())
        } else {
            Err(Error::Open)
        }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER_PERMISSIVE as HEX;

    use super::*;

    #[test]
    fn hkdf_sha256_gives_the_output_of_rfc_5869_a_3() {
        let okm = extract_and_expand(&[0x0b; 22], &[]);
        assert_eq!(
            HEX.encode(&okm[..]),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
        );
    }

    #[test]
    fn expanding_a_short_key_is_plain_hmac() {
        use hkdf::hmac::{Hmac, Mac};
        let mut hmac = <Hmac<Sha512> as KeyInit>::new_from_slice(&[7; 32]).unwrap();
        hmac.update(b"info\x01");
        assert_eq!(
            expand::<64>(&[7; 32], &[b"in", b"fo"])[..],
            hmac.finalize().into_bytes()[..]
        );
    }
}
