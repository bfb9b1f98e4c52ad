//! Public keys, admitted only when they are safe to use. See `spec/keys.md` §3.

use std::fmt;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};

use crate::{Error, defence::Defence, hash::Sha256Digest};

/// An Ed25519 public key that is canonical and not of small order (KEY-2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdentityKey(VerifyingKey);

impl IdentityKey {
    /// The 32 bytes of RFC 8032 §5.1.5.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// RFC 8032 §5.1.7 with the strict rules of `verify_strict` (STM-3). Fails with
    /// [`Error::Signature`] whatever the reason.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), Error> {
        let signature = Signature::from_bytes(signature);
        let verified = if Defence::KeyAdmission.is_off() {
            self.0.verify(message, &signature)
        } else {
            self.0.verify_strict(message, &signature)
        };
        verified.map_err(|_| Error::Signature)
    }
}

impl IdentityKey {
    /// Prefix of a registrar's key as people hand it over: `regkey_…`.
    pub const REGISTRAR_PREFIX: &str = "regkey";

    /// `prefix_` and the 32 bytes in lower-case base32 without padding, as ids have it (KEY-4).
    pub fn to_text(&self, prefix: &str) -> String {
        format!(
            "{prefix}_{}",
            BASE32_NOPAD.encode(self.as_bytes()).to_ascii_lowercase()
        )
    }

    /// Inverse of [`IdentityKey::to_text`]. Fails with [`Error::IdText`] for another form or prefix, and with
    /// [`Error::DegenerateKey`] for a key that is weak.
    pub fn from_text(text: &str, prefix: &'static str) -> Result<Self, Error> {
        let malformed = Error::IdText { want: prefix };
        let body = text
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|body| !body.bytes().any(|c| c.is_ascii_uppercase()))
            .ok_or_else(|| malformed.clone())?;
        let bytes = BASE32_NOPAD
            .decode(body.to_ascii_uppercase().as_bytes())
            .map_err(|_| malformed)?;
        Self::try_from(bytes.as_slice())
    }
}

impl TryFrom<&[u8]> for IdentityKey {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.try_into().map_err(|_| Error::Length {
            field: "ed25519 key",
            got: bytes.len(),
            want: 32,
        })?;
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if Defence::KeyAdmission.holds(is_admissible(&key, bytes)) => Ok(Self(key)),
            _ => Err(Error::DegenerateKey { kind: "ed25519" }),
        }
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey({})", HEXLOWER.encode(self.as_bytes()))
    }
}

/// An X-Wing public key (ML-KEM-768 encapsulation key ‖ X25519 key) whose both halves are canonical
/// and whose X25519 half is not of low order (KEY-3).
#[derive(Clone, PartialEq, Eq)]
pub struct RecipientKey(Box<[u8; Self::LEN]>);

impl RecipientKey {
    /// Bytes: 1184 of ML-KEM-768 and 32 of X25519.
    pub const LEN: usize = 1216;
    const ML_KEM_COEFFICIENTS: usize = 1152;
    const ML_KEM_LEN: usize = 1184;

    /// The encoded key, as HPKE takes it.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// SHA-256 of the encoded key, as statements name it.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(self.0.as_slice())
    }
}

impl TryFrom<&[u8]> for RecipientKey {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        let key: Box<[u8; Self::LEN]> =
            bytes
                .to_vec()
                .into_boxed_slice()
                .try_into()
                .map_err(|_| Error::Length {
                    field: "x-wing key",
                    got: bytes.len(),
                    want: Self::LEN,
                })?;
        let (ml_kem, x25519) = key.split_at(Self::ML_KEM_LEN);
        if !Defence::KeyAdmission.holds(ml_kem_is_canonical(ml_kem)) {
            return Err(Error::DegenerateKey { kind: "ml-kem-768" });
        }
        if !Defence::KeyAdmission.holds(x25519_is_admissible(x25519)) {
            return Err(Error::DegenerateKey { kind: "x25519" });
        }
        Ok(Self(key))
    }
}

impl fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecipientKey(sha-256 {})", self.digest())
    }
}

/// Neither of small order nor another encoding of its point.
fn is_admissible(key: &VerifyingKey, bytes: &[u8; 32]) -> bool {
    !key.is_weak() && key.to_edwards().compress().as_bytes() == bytes
}

/// FIPS 203 §7.2, the modulus check: every 12-bit coefficient is below q = 3329.
fn ml_kem_is_canonical(encapsulation_key: &[u8]) -> bool {
    let (coefficients, _seed) =
        encapsulation_key.split_at(RecipientKey::ML_KEM_COEFFICIENTS.min(encapsulation_key.len()));
    coefficients.chunks_exact(3).all(|three| {
        let &[a, b, c] = three else { return false };
        let low = u16::from(a) | (u16::from(b & 0x0f) << 8);
        let high = u16::from(b >> 4) | (u16::from(c) << 4);
        low < 3329 && high < 3329
    })
}

/// RFC 7748 §5 allows non-canonical u and points of low order; we admit neither.
fn x25519_is_admissible(bytes: &[u8]) -> bool {
    let Ok(u) = <[u8; 32]>::try_from(bytes) else {
        return false;
    };
    let point = curve25519_dalek::MontgomeryPoint(u);
    is_below_field_prime(&u) && point.mul_clamped([0x55; 32]).0 != [0; 32]
}

/// u < 2^255 − 19, little-endian.
fn is_below_field_prime(u: &[u8; 32]) -> bool {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    u.iter().rev().lt(prime.iter().rev())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ATK-7
    #[test]
    fn weak_and_non_canonical_ed25519_keys_are_refused() {
        let mut identity_point = [0; 32];
        identity_point[0] = 1;
        assert_eq!(
            IdentityKey::try_from(&identity_point[..]),
            Err(Error::DegenerateKey { kind: "ed25519" })
        );
        assert_eq!(
            IdentityKey::try_from(&[0xff; 32][..]),
            Err(Error::DegenerateKey { kind: "ed25519" })
        );
        assert!(IdentityKey::try_from(&[1; 31][..]).is_err());
    }

    #[test]
    fn an_identity_key_survives_its_text_form_and_nothing_else_passes() {
        let signing_key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let key = IdentityKey::try_from(signing_key.verifying_key().as_bytes().as_slice()).unwrap();
        let text = key.to_text(IdentityKey::REGISTRAR_PREFIX);
        let read = |text: &str| IdentityKey::from_text(text, IdentityKey::REGISTRAR_PREFIX);
        assert_eq!(read(&text), Ok(key));
        let upper = text.replace("regkey", "REGKEY").to_uppercase();
        for wrong in [&text[7..], &text[..20], "regkey_", "opkey_aaaa", &upper] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    /// ATK-7
    #[test]
    fn recipient_keys_with_a_bad_half_are_refused() {
        let mut key = [0; RecipientKey::LEN];
        key[1184] = 9;
        assert!(RecipientKey::try_from(&key[..]).is_ok());
        key[1184] = 1;
        assert_eq!(
            RecipientKey::try_from(&key[..]),
            Err(Error::DegenerateKey { kind: "x25519" })
        );
        key[1184..].fill(0xff);
        assert_eq!(
            RecipientKey::try_from(&key[..]),
            Err(Error::DegenerateKey { kind: "x25519" })
        );
        key[1184..].fill(0);
        key[1184] = 9;
        key[..2].fill(0xff);
        assert_eq!(
            RecipientKey::try_from(&key[..]),
            Err(Error::DegenerateKey { kind: "ml-kem-768" })
        );
    }
}
