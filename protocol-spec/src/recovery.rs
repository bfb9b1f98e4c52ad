//! Recovery keys that are divided among trustees. See `spec/recovery.md` §4.

use std::ops::Deref;

use data_encoding::BASE32_NOPAD;

use crate::{
    Error,
    bodies::RecoveryShares,
    defence::Defence,
    hash::{Sha256Digest, sha256},
    keys::RecipientKey,
    labels, messages as pb,
    statement::{Signed, Verified},
};

/// Most shares of one secret. People remember fewer trustees than this.
pub const MAX_SHARES: u8 = 16;

/// How a secret is divided, signed by the key that follows from it.
#[derive(Clone, Debug)]
pub struct Division {
    statement: Verified<RecoveryShares>,
    threshold: u8,
}

impl Division {
    /// Checks the numbers and the signature (RCV-6). Whose recovery key it is, if anybody's, is not known by that:
    /// a list of devices says it (RCV-3).
    pub fn verify(signed: Signed<RecoveryShares>) -> Result<Self, Error> {
        let RecoveryShares {
            recovery_key,
            threshold,
            ref commitments,
            ..
        } = *signed.claimed();
        let shares = u8::try_from(commitments.len()).unwrap_or(u8::MAX);
        let threshold = u8::try_from(threshold).unwrap_or(u8::MAX);
        if shares > MAX_SHARES || !(2..=shares).contains(&threshold) {
            return Err(Error::Field { field: "shares" });
        }
        Ok(Self {
            statement: signed.verify(&recovery_key)?,
            threshold,
        })
    }

    /// Shares that give the secret.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// What share `number`, counted from 1, must be.
    pub fn commitment(&self, number: u8) -> Option<&Sha256Digest> {
        self.statement
            .commitments
            .get(usize::from(number).checked_sub(1)?)
    }

    /// SHA-256 of the exact body.
    pub fn hash(&self) -> Sha256Digest {
        self.statement.hash()
    }

    /// The message that carries it.
    pub fn to_message(&self) -> pb::Statement {
        self.statement.to_message()
    }
}

impl Deref for Division {
    type Target = RecoveryShares;

    fn deref(&self) -> &RecoveryShares {
        &self.statement
    }
}

/// What people compare before a share goes to a machine that recovers: 16 characters of
/// SHA-256 (LABEL(RECOVERY_CHECK) ‖ recipient key), in four groups (RCV-9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckString(String);

impl CheckString {
    /// Of the machine with this key.
    pub fn of(key: &RecipientKey) -> Self {
        Self(characters(key, LENGTH))
    }

    /// Whether somebody has said this one, in any case, with or without white space and hyphens.
    pub fn is(&self, said: &str) -> bool {
        let said: String = said
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .collect::<String>()
            .to_ascii_lowercase();
        Defence::ShareCheck.holds(said == self.0)
    }
}

impl std::fmt::Display for CheckString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let groups: Vec<&str> = [0, 4, 8, 12]
            .iter()
            .filter_map(|&at| self.0.get(at..at + 4))
            .collect();
        f.write_str(&groups.join("-"))
    }
}

/// The first characters of the key's hash in base32.
fn characters(key: &RecipientKey, length: usize) -> String {
    let digest = sha256(&[&labels::RECOVERY_CHECK.bytes(), key.as_bytes()]);
    let text = BASE32_NOPAD.encode(&digest).to_ascii_lowercase();
    text.chars().take(length).collect()
}

/// 80 bits. Only the last 32 bytes of a key need to change from one attempt to the next, so that an attempt is one or two
/// compressions of SHA-256 and an addition on the curve: with 60 bits, that is within reach of who rents machines, and a list of
/// strings made in advance serves against everybody.
const LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::{ids::PatientId, keys::IdentityKey};

    fn division(signer: u8, threshold: u32, shares: usize) -> Result<Division, Error> {
        let key = |seed| SigningKey::from_bytes(&[seed; 32]);
        let recovery_key = IdentityKey::try_from(key(1).verifying_key().as_bytes().as_slice())?;
        let body = RecoveryShares {
            created: 1,
            patient_id: PatientId::from_bytes([2; 32]),
            recovery_key,
            threshold,
            commitments: vec![Sha256Digest::of(b"share"); shares],
        };
        let signed = Signed::sign(body, |message| key(signer).sign(message).to_bytes());
        Division::verify(Signed::try_from(signed.to_message())?)
    }

    /// RCV-6
    #[test]
    fn a_division_needs_its_keys_signature_and_sensible_numbers() {
        for (threshold, shares) in [(2, 2), (2, 3), (16, 16)] {
            let division = division(1, threshold, shares).unwrap();
            assert_eq!(u32::from(division.threshold()), threshold);
            assert!(division.commitment(1).is_some() && division.commitment(2).is_some());
            assert_eq!((division.commitment(0), division.commitment(17)), (None, None));
        }
        for (threshold, shares) in [(0, 3), (1, 3), (4, 3), (2, 0), (2, 17), (258, 3), (2, 258)] {
            let refused = division(1, threshold, shares).unwrap_err();
            assert_eq!(
                refused,
                Error::Field { field: "shares" },
                "{threshold} of {shares}"
            );
        }
        assert_eq!(division(2, 2, 3).unwrap_err(), Error::Signature);
    }

    fn key(curve: [u8; 32]) -> Option<RecipientKey> {
        let mut bytes = [0; RecipientKey::LEN];
        bytes[RecipientKey::LEN - 32..].copy_from_slice(&curve);
        RecipientKey::try_from(&bytes[..]).ok()
    }

    /// The attack: changes the last 32 bytes of a key, as somebody does who adds points on the curve, until its string is the
    /// same in as many characters as are compared. How many attempts it took, if it came to an end.
    fn another_with_its_string(of: &RecipientKey, length: usize, budget: u32) -> Option<u32> {
        let wanted = characters(of, length);
        (1..=budget).find(|attempt| {
            let mut curve = [0; 32];
            curve[..4].copy_from_slice(&attempt.to_le_bytes());
            curve[4] = 9;
            key(curve).is_some_and(|other| other != *of && characters(&other, length) == wanted)
        })
    }

    /// RCV-9, ATK-71: each character multiplies the attempts by 32, and there are sixteen: 2^80.
    #[test]
    fn another_key_with_the_same_check_string_is_not_found() {
        let honest = key([7; 32]).unwrap();
        assert_eq!(CheckString::of(&honest).0.len() * 5, 80);
        assert_eq!(another_with_its_string(&honest, LENGTH, 1 << 14), None);
    }

    /// ATK-71, the control: of shorter strings one is found, in about 32 to the power of their length.
    #[test]
    fn another_key_with_the_same_short_check_string_is_found() {
        let honest = key([7; 32]).unwrap();
        for length in 1..=2 {
            let attempts = another_with_its_string(&honest, length, 1 << 14).unwrap();
            let expected = 32_u32.pow(u32::try_from(length).unwrap());
            assert!(
                attempts < 16 * expected,
                "{attempts} attempts for {length} characters"
            );
        }
    }

    /// RCV-9
    #[test]
    fn check_strings_are_compared_as_people_say_them() {
        let mut bytes = [0; RecipientKey::LEN];
        bytes[1184] = 9;
        let key = RecipientKey::try_from(&bytes[..]).unwrap();
        bytes[1184] = 10;
        let other = CheckString::of(&RecipientKey::try_from(&bytes[..]).unwrap());
        let check = CheckString::of(&key);
        let text = check.to_string();
        assert_eq!(text.len(), 19);
        assert!(check.is(&text) && check.is(&format!(" {} ", text.to_uppercase().replace('-', " "))));
        assert!(!check.is(&other.to_string()) && !check.is("") && !check.is(&text[..18]));
    }
}
