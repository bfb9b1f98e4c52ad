//! HPKE to one X-Wing key: the only way in which anything is sealed to somebody. See `spec/keys.md` §7.
//!
//! Base mode alone is reachable: X-Wing has no authenticated mode, and the library panics when asked for
//! it. Who sealed something is proven by the signature around it.

use bytes::Bytes;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::XWing,
    single_shot_open, single_shot_seal_with_rng,
};
use protocol_spec::{field::SealedBytes, hash::sha256, keys::RecipientKey, labels::Label};
use zeroize::Zeroizing;

use crate::{Error, RecipientSecret, SecureRandom, random::Drawn};

/// What the sealed thing is for: `info = SHA-256 (LABEL ‖ context)`, so that a thing sealed in one place
/// does not open in another (KEY-10).
#[derive(Clone, Copy)]
pub struct Info([u8; 32]);

impl Info {
    /// The 32 bytes, as HPKE takes them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn new(label: Label, context: &[&[u8]]) -> Self {
        Self(sha256(&[&label.bytes(), &context.concat()]))
    }
}

/// Opens what is sealed to one X-Wing key, wherever its secret half is kept: in memory, or in a store that
/// opens and never shows it.
pub trait Opens {
    /// Why it does not open.
    type Error: From<Error>;

    /// `pt = OpenBase (enc, skR, info, aad = "", ct)` (KEY-11). What does not open must not be told apart by its
    /// reason. Fails with [`Error::Open`], or as the store does.
    fn open_sealed(&self, info: &Info, sealed: &SealedBytes) -> Result<Zeroizing<Vec<u8>>, Self::Error>;
}

impl Opens for RecipientSecret {
    type Error = Error;

    fn open_sealed(&self, info: &Info, sealed: &SealedBytes) -> Result<Zeroizing<Vec<u8>>, Error> {
        unwrap(self, *info, sealed)
    }
}

/// Longest plaintext that the messages carry.
pub(crate) const MAX_PLAINTEXT: usize = SealedBytes::MAX_CIPHERTEXT - 16;
/// Random bytes that one X-Wing encapsulation takes.
const ENCAPSULATION_RANDOMNESS: usize = 64;

/// `enc, ct = SealBase (pkR, info, aad = "", pt)` with X-Wing, HKDF-SHA256, ChaCha20-Poly1305 (KEY-11).
pub(crate) fn wrap(
    random: &dyn SecureRandom,
    to: &RecipientKey,
    info: Info,
    plaintext: &[u8],
) -> Result<SealedBytes, Error> {
    wrap_with(Drawn::draw(random)?, to, info.0.as_slice(), plaintext)
}

fn wrap_with(
    mut random: Drawn<ENCAPSULATION_RANDOMNESS>,
    to: &RecipientKey,
    info: &[u8],
    plaintext: &[u8],
) -> Result<SealedBytes, Error> {
    if plaintext.len() > MAX_PLAINTEXT {
        return Err(Error::TooLong {
            what: "what is sealed to one key",
            max: MAX_PLAINTEXT as u64,
        });
    }
    let key = <XWing as Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| Error::Malformed {
        what: "x-wing public key",
    })?;
    // RFC 9180 §6.1  SealBase(pkR, info, aad, pt)
    let (enc, ciphertext) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &key,
        info,
        plaintext,
        b"",
        &mut random,
    )
    .map_err(|_| Error::Malformed {
        what: "x-wing public key",
    })?;
    if random.ran_dry() {
        return Err(Error::Randomness);
    }
    Ok(SealedBytes {
        enc: Bytes::copy_from_slice(&enc.to_bytes()),
        ciphertext: ciphertext.into(),
    })
}

/// `pt = OpenBase (enc, skR, info, aad = "", ct)` (KEY-11).
pub(crate) fn unwrap(
    with: &RecipientSecret,
    info: Info,
    sealed: &SealedBytes,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let enc = <XWing as Kem>::EncappedKey::from_bytes(&sealed.enc).map_err(|_| Error::Malformed {
        what: "hpke encapsulation",
    })?;
    // RFC 9180 §6.1  OpenBase(enc, skR, info, aad, ct)
    single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeR::Base,
        with.hpke_key(),
        &enc,
        &info.0,
        &sealed.ciphertext,
        b"",
    )
    .map(Zeroizing::new)
    .map_err(|_| Error::Open)
}

#[cfg(test)]
mod tests;
