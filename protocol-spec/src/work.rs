//! Work that whoever enrols does where anybody may: a hash with zeros in front, over a challenge of the server's and
//! her own id. See `spec/accounts.md` §2.
//!
//! Own code, since it is one hash: the crates for it bring a format, a clock and a store of what was spent, which the
//! patient's id makes needless here.

use crate::{hash::sha256, ids::PatientId, labels, messages as pb};

/// What is asked for (ACC-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The server's, new every few minutes: nobody can begin before.
    pub challenge: [u8; 32],
    /// How many zero bits the hash must begin with.
    pub bits: u32,
}

impl Work {
    /// Most zero bits that a client should be asked for: a minute or so.
    pub const MAX_BITS: u32 = 32;

    /// Whether this counter makes it, for this patient.
    ///
    /// SHA-256(LABEL(ENROLMENT_WORK) ‖ challenge ‖ patient id ‖ u64be(counter)) begins with so many zero bits.
    pub fn is_done(&self, patient: PatientId, counter: u64) -> bool {
        let hash = sha256(&[
            &labels::ENROLMENT_WORK.bytes(),
            &self.challenge,
            patient.as_bytes(),
            &counter.to_be_bytes(),
        ]);
        zero_bits(&hash) >= self.bits
    }

    /// Does it: the first counter that makes it. As long as the bits say.
    pub fn find(&self, patient: PatientId) -> Option<u64> {
        (0..=u64::MAX).find(|counter| self.is_done(patient, *counter))
    }

    /// The message that shows it.
    pub fn shown(&self, counter: u64) -> pb::EnrolmentWork {
        pb::EnrolmentWork {
            challenge: self.challenge.to_vec().into(),
            counter,
        }
    }
}

fn zero_bits(hash: &[u8]) -> u32 {
    let mut zeros = 0;
    for byte in hash {
        zeros += byte.leading_zeros();
        if *byte != 0 {
            break;
        }
    }
    zeros
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ACC-4: work for one patient and challenge is none for another.
    #[test]
    fn work_is_for_one_patient_and_one_challenge() {
        let (anna, bert) = (PatientId::from_bytes([1; 32]), PatientId::from_bytes([2; 32]));
        let work = Work {
            challenge: [3; 32],
            bits: 12,
        };
        let counter = work.find(anna).unwrap();
        assert!(work.is_done(anna, counter));
        assert!((0..counter).all(|less| !work.is_done(anna, less)));
        assert!(!work.is_done(bert, counter));
        let other = Work {
            challenge: [4; 32],
            ..work
        };
        assert!(!other.is_done(anna, counter));
        let more = Work { bits: 64, ..work };
        assert!(!more.is_done(anna, counter));
        assert!(Work { bits: 0, ..work }.is_done(bert, 7));
    }

    #[test]
    fn zeros_are_counted_from_the_front() {
        assert_eq!(zero_bits(&[0x80, 0]), 0);
        assert_eq!(zero_bits(&[0, 0x10, 0]), 11);
        assert_eq!(zero_bits(&[0, 0]), 16);
    }
}
