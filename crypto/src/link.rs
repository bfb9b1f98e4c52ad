//! The code of a new device: what a person carries from it to one that she has already, so that neither needs to
//! believe the server between them. See `spec/devices.md` §4.

use std::{fmt, str::FromStr};

use argon2::{Algorithm, Argon2, Params, Version};
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

use crate::{Error, kdf, random};

/// A secret and a hash of the device's keys. Whoever has the text has the secret.
pub struct LinkCode {
    secret: Zeroizing<[u8; Self::SECRET]>,
    offer: Sha256Digest,
}

impl LinkCode {
    const PREFIX: &str = "code_";
    const SECRET: usize = 16;

    /// The code of a device with these keys (DEV-9).
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(device_key: &IdentityKey, recipient_key: &RecipientKey) -> Result<Self, Error> {
        Ok(Self {
            secret: random::secret()?,
            offer: offer(device_key, recipient_key),
        })
    }

    /// Where the device offers its keys: SHA-256 (LABEL(LINK_PLACE) ‖ secret).
    pub fn place(&self) -> LinkId {
        let label = labels::LINK_PLACE.bytes();
        LinkId::from_bytes(sha256(&[&label, self.secret.as_slice()]))
    }

    /// Whether these are the keys of the device that shows the code (DEV-9).
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn check_offer(&self, device_key: &IdentityKey, recipient_key: &RecipientKey) -> Result<(), Error> {
        if Defence::LinkOffer.holds(offer(device_key, recipient_key) == self.offer) {
            Ok(())
        } else {
            Err(Error::Open)
        }
    }

    /// Nine digits, in threes, by Argon2id over the hash of both keys (DEV-10). It takes a tenth of a second and
    /// 64 MiB.
    ///
    /// # Errors
    /// [`Error::Malformed`] on a machine without the memory.
    pub fn short_string(&self) -> Result<String, Error> {
        let failed = |_| Error::Malformed { what: "short string" };
        let params = Params::new(64 * 1024, 3, 1, Some(8)).map_err(failed)?;
        let salt = labels::LINK_SHORT_STRING.bytes();
        let mut digest = [0; 8];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(self.offer.as_bytes(), &salt, &mut digest)
            .map_err(failed)?;
        let number = u64::from_be_bytes(digest) % 1_000_000_000;
        let [high, middle, low] = [number / 1_000_000, number / 1_000 % 1_000, number % 1_000];
        Ok(format!("{high:03}-{middle:03}-{low:03}"))
    }

    /// HKDF-Expand-SHA-512 (secret, LABEL(LINK_APPROVAL) ‖ patient id ‖ SHA-256(list) ‖ device id, 32): by which a
    /// device that has read the code proves its list to the new one (DEV-11).
    ///
    /// # Errors
    /// None for lengths as they are.
    pub fn approval(
        &self,
        patient: &PatientId,
        list: &Sha256Digest,
        device: &DeviceId,
    ) -> Result<[u8; 32], Error> {
        approval(
            self.secret.as_slice(),
            labels::LINK_APPROVAL,
            patient,
            list,
            device,
        )
    }

    /// Whether an approval is of this list (DEV-11).
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn check_approval(
        &self,
        approval: &[u8],
        patient: &PatientId,
        list: &Sha256Digest,
        device: &DeviceId,
    ) -> Result<(), Error> {
        let same: bool = self
            .approval(patient, list, device)?
            .as_slice()
            .ct_eq(approval)
            .into();
        if Defence::LinkApproval.holds(same) {
            Ok(())
        } else {
            Err(Error::Open)
        }
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
) -> Result<[u8; 32], Error> {
    let label = label.bytes();
    let info = [&label[..], patient.as_bytes(), list.as_bytes(), device.as_bytes()];
    Ok(*kdf::expand::<32>(secret, &info)?)
}

/// SHA-256 (LABEL(LINK_OFFER) ‖ device key ‖ recipient key)
fn offer(device_key: &IdentityKey, recipient_key: &RecipientKey) -> Sha256Digest {
    let label = labels::LINK_OFFER.bytes();
    let parts: [&[u8]; 3] = [&label, device_key.as_bytes(), recipient_key.as_bytes()];
    Sha256Digest::from_bytes(sha256(&parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecipientSecret, SigningIdentity};

    fn keys(seed: u8) -> (SigningIdentity, RecipientSecret) {
        let device = SigningIdentity::from_seed(&[seed; 32]).unwrap();
        (device, RecipientSecret::from_seed(&[seed; 32]).unwrap())
    }

    fn code(secret: u8, seed: u8) -> LinkCode {
        let (device, recipient) = keys(seed);
        LinkCode {
            secret: Zeroizing::new([secret; 16]),
            offer: offer(&device.public(), recipient.public()),
        }
    }

    #[test]
    fn a_code_survives_its_text_and_nothing_else_passes() {
        let code = code(1, 2);
        let text = code.to_text();
        let again: LinkCode = format!(" {}\n{}", &text[..40], &text[40..]).parse().unwrap();
        assert_eq!((again.place(), again.offer), (code.place(), code.offer));
        for wrong in [&text[1..], &text[..text.len() - 1], "", "code_", "code_!"] {
            assert!(wrong.parse::<LinkCode>().is_err(), "{wrong}");
        }
    }

    /// DEV-9: the code names both keys.
    #[test]
    fn other_keys_are_not_those_of_the_code() {
        let code = code(1, 2);
        let ((device, recipient), (other_device, other_recipient)) = (keys(2), keys(3));
        assert!(code.check_offer(&device.public(), recipient.public()).is_ok());
        assert!(
            code.check_offer(&other_device.public(), recipient.public())
                .is_err()
        );
        assert!(
            code.check_offer(&device.public(), other_recipient.public())
                .is_err()
        );
    }

    /// DEV-10: pinned, so that two programs show the same; another pair of keys gives another string.
    #[test]
    fn the_short_string_follows_from_the_keys_alone() {
        let short = code(1, 2).short_string().unwrap();
        assert_eq!(short, code(9, 2).short_string().unwrap());
        assert_ne!(short, code(1, 3).short_string().unwrap());
        insta::assert_snapshot!(short, @"968-636-817");
    }

    /// DEV-11: an approval is of one list, for one device of one patient, by somebody who has the code.
    #[test]
    fn an_approval_is_of_its_list_alone() {
        let (patient, device) = (PatientId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32]));
        let list = Sha256Digest::of(b"list");
        let approval = code(1, 2).approval(&patient, &list, &device).unwrap();
        let check =
            |code: LinkCode, patient, list, device| code.check_approval(&approval, &patient, &list, &device);
        assert!(check(code(1, 2), patient, list, device).is_ok());
        assert!(check(code(8, 2), patient, list, device).is_err(), "another code");
        assert!(check(code(1, 2), PatientId::from_bytes([9; 32]), list, device).is_err());
        assert!(check(code(1, 2), patient, Sha256Digest::of(b"other"), device).is_err());
        assert!(check(code(1, 2), patient, list, DeviceId::from_bytes([9; 32])).is_err());
        let short = code(1, 2).check_approval(&approval[..31], &patient, &list, &device);
        assert!(short.is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", code(0x41, 2));
        assert!(!shown.contains("41414141") && !shown.contains("[65"), "{shown}");
    }
}
