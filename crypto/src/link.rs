//! The code of a new device: what a person carries from it to one that she has already, so that neither needs to
//! believe the server between them. See `spec/devices.md` §4.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;
use protocol_spec::{
    defence::Defence,
    hash::{Sha256Digest, sha256},
    ids::{DeviceId, LinkId, PatientId},
    keys::{IdentityKey, RecipientKey},
    labels::{self, Label},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{Error, SecureRandom, VaultRootKey, kdf};

/// What one side brings to the short string. Nobody is to know it before the other side is bound to its own.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkNonce([u8; 32]);

impl LinkNonce {
    /// The nonce of a new device, fresh and random.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, Error> {
        Ok(Self(*random.secret::<32>()?))
    }

    /// SHA-256 (LABEL(LINK_COMMITMENT) ‖ nonce): binds the new device before there is an answer (DEV-20).
    pub fn commitment(&self) -> Sha256Digest {
        Sha256Digest::from_bytes(sha256(&[&labels::LINK_COMMITMENT.bytes(), &self.0]))
    }

    /// The bytes, to be shown to the other side in its turn.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for LinkNonce {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.try_into();
        bytes.map(Self).map_err(|_| Error::Malformed {
            what: "nonce of a link",
        })
    }
}

impl fmt::Debug for LinkNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.debug_struct("LinkNonce").finish_non_exhaustive()
    }
}

/// A secret and a hash of what the device offers. Whoever has the text has the secret.
pub struct LinkCode {
    secret: Zeroizing<[u8; Self::SECRET]>,
    offer: Sha256Digest,
}

impl LinkCode {
    const PREFIX: &str = "code_";
    const SECRET: usize = 16;

    /// The code of a device with these keys that is bound to its nonce by this commitment (DEV-9, DEV-20).
    pub fn generate(
        random: &dyn SecureRandom,
        device_key: &IdentityKey,
        recipient_key: &RecipientKey,
        commitment: &Sha256Digest,
    ) -> Result<Self, Error> {
        Ok(Self {
            secret: random.secret()?,
            offer: offer(device_key, recipient_key, commitment),
        })
    }

    /// Where the device offers its keys: SHA-256 (LABEL(LINK_PLACE) ‖ secret).
    pub fn place(&self) -> LinkId {
        let label = labels::LINK_PLACE.bytes();
        LinkId::from_bytes(sha256(&[&label, self.secret.as_slice()]))
    }

    /// Whether this is what the device offers that shows the code (DEV-9).
    pub fn check_offer(
        &self,
        device_key: &IdentityKey,
        recipient_key: &RecipientKey,
        commitment: &Sha256Digest,
    ) -> Result<(), Error> {
        if Defence::LinkOffer.holds(offer(device_key, recipient_key, commitment) == self.offer) {
            Ok(())
        } else {
            Err(Error::Open)
        }
    }

    /// SHA-256 (LABEL(LINK_SHORT_STRING) ‖ offer ‖ nonce of the new device ‖ nonce of the answer), as nine digits in threes
    /// (DEV-10). Each side is bound to its own before it learns the other's, so that nobody can choose the string or look for
    /// keys that have it: whoever stands between has one attempt in 10^9.
    pub fn short_string(&self, own: &LinkNonce, answer: &LinkNonce) -> String {
        let number = if Defence::ShortString.is_off() {
            self.number(&[])
        } else {
            self.number(&[own.as_bytes(), answer.as_bytes()])
        };
        let number = number % 1_000_000_000;
        let [high, middle, low] = [number / 1_000_000, number / 1_000 % 1_000, number % 1_000];
        format!("{high:03}-{middle:03}-{low:03}")
    }

    /// The first eight bytes of SHA-256 (LABEL(LINK_SHORT_STRING) ‖ offer ‖ nonces), big-endian.
    fn number(&self, nonces: &[&[u8; 32]]) -> u64 {
        let label = labels::LINK_SHORT_STRING.bytes();
        let mut parts: Vec<&[u8]> = vec![&label, self.offer.as_bytes()];
        parts.extend(nonces.iter().map(|nonce| nonce.as_slice()));
        let digest = sha256(&parts);
        digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }

    /// HKDF-Expand-SHA-512 (secret, LABEL(LINK_APPROVAL) ‖ patient id ‖ SHA-256(list) ‖ device id, 32): by which a
    /// device that has read the code proves its list to the new one (DEV-11).
    pub fn approval(&self, patient: &PatientId, list: &Sha256Digest, device: &DeviceId) -> [u8; 32] {
        approval(
            self.secret.as_slice(),
            labels::LINK_APPROVAL,
            patient,
            list,
            device,
        )
    }

    /// Whether an approval is of this list (DEV-11).
    pub fn check_approval(
        &self,
        approval: &[u8],
        patient: &PatientId,
        list: &Sha256Digest,
        device: &DeviceId,
    ) -> Result<(), Error> {
        check_same(
            &self.approval(patient, list, device),
            approval,
            Defence::LinkApproval,
        )
    }

    /// The text that is shown, typed and scanned.
    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new([self.secret.as_slice(), self.offer.as_bytes()].concat());
        let body = Zeroizing::new(BASE32_NOPAD.encode(&bytes));
        Zeroizing::new([Self::PREFIX, &body.to_ascii_lowercase()].concat())
    }
}

impl FromStr for LinkCode {
    type Err = Error;

    /// White space inside it, as it comes from a line break, is no part of it.
    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = || Error::Malformed {
            what: "code of a new device",
        };
        let text: Zeroizing<String> = Zeroizing::new(text.split_whitespace().collect());
        let body = text.strip_prefix(Self::PREFIX).ok_or_else(malformed)?;
        let bytes = BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes());
        let bytes = Zeroizing::new(bytes.map_err(|_| malformed())?);
        let (secret, offer) = bytes
            .split_first_chunk::<{ Self::SECRET }>()
            .ok_or_else(malformed)?;
        Ok(Self {
            secret: Zeroizing::new(*secret),
            offer: Sha256Digest::try_from(offer).map_err(|_| malformed())?,
        })
    }
}

impl fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret: _, offer } = self;
        f.debug_struct("LinkCode")
            .field("offer", offer)
            .finish_non_exhaustive()
    }
}

/// HKDF-Expand-SHA-512 (secret, LABEL ‖ patient id ‖ SHA-256(list) ‖ device id, 32): only who has the secret makes it.
pub(crate) fn approval(
    secret: &[u8],
    label: Label,
    patient: &PatientId,
    list: &Sha256Digest,
    device: &DeviceId,
) -> [u8; 32] {
    let label = label.bytes();
    let info = [&label[..], patient.as_bytes(), list.as_bytes(), device.as_bytes()];
    *kdf::expand(secret, &info)
}

/// Compares an approval that was shown with the one that was to be made, in constant time.
pub(crate) fn check_same(made: &[u8; 32], shown: &[u8], defence: Defence) -> Result<(), Error> {
    if defence.holds(made.as_slice().ct_eq(shown).into()) {
        Ok(())
    } else {
        Err(Error::Open)
    }
}

impl VaultRootKey {
    /// HKDF-Expand-SHA-512 (vault root key, LABEL(LINK_ANSWER) ‖ patient id ‖ offer, 32): by which a device of hers answers an
    /// offer. Nobody else can know it before it is shown, and whoever tries the code again gives no other (DEV-20).
    pub fn link_answer(&self, patient: &PatientId, code: &LinkCode) -> LinkNonce {
        let label = labels::LINK_ANSWER.bytes();
        let info = [&label[..], patient.as_bytes(), code.offer.as_bytes()];
        LinkNonce(*kdf::expand(self.expose(), &info))
    }
}

/// SHA-256 (LABEL(LINK_OFFER) ‖ device key ‖ recipient key ‖ commitment)
fn offer(device_key: &IdentityKey, recipient_key: &RecipientKey, commitment: &Sha256Digest) -> Sha256Digest {
    let label = labels::LINK_OFFER.bytes();
    let parts: [&[u8]; 4] = [
        &label,
        device_key.as_bytes(),
        recipient_key.as_bytes(),
        commitment.as_bytes(),
    ];
    Sha256Digest::from_bytes(sha256(&parts))
}

#[cfg(test)]
mod tests;
