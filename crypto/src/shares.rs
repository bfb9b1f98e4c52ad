//! The secret of a recovery member divided among trustees, of whom some together have it and fewer
//! know nothing. See `spec/recovery.md` §4.
//!
//! Shamir over GF(2^8), byte by byte (crate `vsss-rs`): its coefficients are uniform over the whole field, zero
//! included, its arithmetic takes no secret-dependent time. What Shamir does not do is done around it: each share
//! has a commitment that the division's signature covers, so that a wrong one is named before anything is
//! combined; and what comes out is compared with the public key that the division is for.

use std::{collections::BTreeMap, fmt};

use protocol_spec::{
    defence::Defence,
    field::SealedBytes,
    hash::{Sha256Digest, sha256},
    ids::{InstitutionId, PatientId},
    keys::{IdentityKey, RecipientKey},
    labels,
    recovery::{Division, MAX_SHARES},
};
use vsss_rs::{Gf256, IdentifierGf256};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    Error, RecipientSecret, RecoverySecret, SecureRandom,
    random::Drawn,
    wrap::{self, Info, Opens},
};

/// One share: point `number` of 32 polynomials, whose values at zero are the secret.
pub struct Share {
    number: u8,
    /// 32 random bytes: the commitment tells nothing about the value.
    salt: Zeroizing<[u8; 32]>,
    value: Zeroizing<[u8; 32]>,
}

impl RecoverySecret {
    /// Divides the secret into `holders` shares, numbered from 1, any `threshold` of which give it back (RCV-5).
    /// Fails with [`Error::Malformed`] unless 2 ≤ threshold ≤ holders ≤ [`MAX_SHARES`].
    pub fn divide(&self, random: &dyn SecureRandom, threshold: u8, holders: u8) -> Result<Vec<Share>, Error> {
        let malformed = Error::Malformed {
            what: "number of shares",
        };
        if !(2..=holders).contains(&threshold) || holders > MAX_SHARES {
            return Err(malformed);
        }
        let mut coefficients = Drawn::<COEFFICIENT_RANDOMNESS>::draw(random)?;
        let points = Gf256::split_bytes_with_participant_ids_iter(
            threshold.into(),
            holders.into(),
            self.expose(),
            &mut coefficients,
            (1..=holders).map(|x| IdentifierGf256(Gf256(x))),
        )
        .map_err(|_| malformed.clone())?;
        if coefficients.ran_dry() {
            return Err(Error::Randomness);
        }
        let points = Zeroizing::new(points);
        let share = |point: &Vec<u8>| {
            let (number, value) = point.split_first().ok_or_else(|| malformed.clone())?;
            Ok(Share {
                number: *number,
                salt: random.secret()?,
                value: Zeroizing::new(value.try_into().map_err(|_| malformed.clone())?),
            })
        };
        points.iter().map(share).collect()
    }

    /// Puts shares of a division together (RCV-10). Those beyond the threshold are not needed. Fails with
    /// [`Error::TooFewShares`] below the threshold, and with [`Error::Open`] if they do not give the secret
    /// that the division is for.
    pub fn combine(division: &Division, shares: &[Share]) -> Result<Self, Error> {
        let distinct: BTreeMap<u8, &Share> = shares.iter().map(|share| (share.number, share)).collect();
        let threshold = division.threshold();
        if distinct.len() < usize::from(threshold) {
            return Err(Error::TooFewShares {
                have: distinct.len(),
                need: threshold,
            });
        }
        let points: Zeroizing<Vec<Vec<u8>>> = Zeroizing::new(
            distinct
                .values()
                .take(threshold.into())
                .map(|share| [&[share.number], share.value.as_slice()].concat())
                .collect(),
        );
        let secret = Gf256::combine_bytes(points.as_slice()).map_err(|_| Error::Open)?;
        let secret = Zeroizing::new(secret);
        let secret = Self::from_bytes(secret.as_slice().try_into().map_err(|_| Error::Open)?);
        if secret.keys()?.identity.public() == division.recovery_key {
            Ok(secret)
        } else {
            Err(Error::Open)
        }
    }
}

/// To whom a share is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareReader([u8; 32]);

impl ShareReader {
    /// A trustee who is a patient.
    pub fn patient(id: &PatientId) -> Self {
        Self(*id.as_bytes())
    }

    /// A trustee that is an institution.
    pub fn institution(id: &InstitutionId) -> Self {
        Self(*id.as_bytes())
    }
}

impl Share {
    /// Which share it is, counted from 1.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// `SHA-256 (LABEL(SHARE_COMMITMENT) ‖ patient id ‖ recovery key ‖ u8 number ‖ salt ‖ value)` (RCV-7).
    pub fn commitment(&self, patient: &PatientId, recovery_key: &IdentityKey) -> Sha256Digest {
        Sha256Digest::from_bytes(sha256(&[
            &labels::SHARE_COMMITMENT.bytes(),
            patient.as_bytes(),
            recovery_key.as_bytes(),
            &[self.number],
            self.salt.as_slice(),
            self.value.as_slice(),
        ]))
    }

    /// Seals the share to one key of its holder (RCV-8).
    pub fn seal(
        &self,
        random: &dyn SecureRandom,
        to: &RecipientKey,
        division: &Division,
        holder: &ShareReader,
    ) -> Result<SealedBytes, Error> {
        wrap::wrap(
            random,
            to,
            holder_info(division, self.number, holder),
            &self.plaintext(),
        )
    }

    /// Opens what [`Self::seal`] made, if it is what the division commits to (RCV-7, RCV-8).
    pub fn open<R: Opens>(
        with: &R,
        division: &Division,
        number: u8,
        holder: &ShareReader,
        sealed: &SealedBytes,
    ) -> Result<Self, R::Error> {
        let plaintext = with.open_sealed(&holder_info(division, number, holder), sealed)?;
        Ok(Self::committed(division, number, &plaintext)?)
    }

    /// Seals the share to the fresh key of a machine that recovers (RCV-9).
    pub fn give_back(
        &self,
        random: &dyn SecureRandom,
        to: &RecipientKey,
        division: &Division,
    ) -> Result<SealedBytes, Error> {
        wrap::wrap(
            random,
            to,
            return_info(division, self.number, to),
            &self.plaintext(),
        )
    }

    /// Opens what [`Self::give_back`] made, if it is what the division commits to (RCV-7, RCV-9).
    pub fn take_back(
        with: &RecipientSecret,
        division: &Division,
        number: u8,
        sealed: &SealedBytes,
    ) -> Result<Self, Error> {
        let plaintext = wrap::unwrap(with, return_info(division, number, with.public()), sealed)?;
        Self::committed(division, number, &plaintext)
    }

    /// salt (32) ‖ value (32)
    fn plaintext(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.salt.as_slice(), self.value.as_slice()].concat())
    }

    fn committed(division: &Division, number: u8, plaintext: &[u8]) -> Result<Self, Error> {
        let (salt, value) = plaintext.split_first_chunk().ok_or(Error::Open)?;
        let share = Self {
            number,
            salt: Zeroizing::new(*salt),
            value: Zeroizing::new(value.try_into().map_err(|_| Error::Open)?),
        };
        let commitment = share.commitment(&division.patient_id, &division.recovery_key);
        if Defence::ShareCommitments.holds(division.commitment(number) == Some(&commitment)) {
            Ok(share)
        } else {
            Err(Error::Open)
        }
    }
}

/// info = SHA-256 (LABEL(SEAL_SHARE) ‖ SHA-256 of the division's body ‖ u8 number ‖ holder's id)
fn holder_info(division: &Division, number: u8, holder: &ShareReader) -> Info {
    Info::new(
        labels::SEAL_SHARE,
        &[division.hash().as_bytes(), &[number], &holder.0],
    )
}

/// info = SHA-256 (LABEL(RETURN_SHARE) ‖ SHA-256 of the division's body ‖ u8 number ‖ SHA-256 of the key)
fn return_info(division: &Division, number: u8, to: &RecipientKey) -> Info {
    Info::new(
        labels::RETURN_SHARE,
        &[division.hash().as_bytes(), &[number], to.digest().as_bytes()],
    )
}

impl ZeroizeOnDrop for Share {}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            salt: _,
            value: _,
        } = self;
        f.debug_struct("Share")
            .field("number", number)
            .finish_non_exhaustive()
    }
}

/// The library takes a `u32` for each coefficient: 32 polynomials of degree 15 at most.
const COEFFICIENT_RANDOMNESS: usize = 4 * 32 * (MAX_SHARES as usize - 1);

#[cfg(test)]
mod tests;
