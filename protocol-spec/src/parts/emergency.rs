//! How an emergency permission is opened.

use crate::{
    Error,
    declare::fields,
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId},
    keys::IdentityKey,
};

/// In the place of an institution: whichever is accredited for emergencies. No SHA-256 of a key that
/// anyone can find is this.
pub const ANY_INSTITUTION: InstitutionId = InstitutionId::from_bytes([0; 32]);

/// In the place of a hash of what an emergency permission does not have: a directory entry, a request.
pub const NOTHING: Sha256Digest = Sha256Digest::from_bytes([0; 32]);

/// Shortest waiting time of a guardian, in milliseconds.
pub const MIN_WAIT: u64 = 1000;

/// Longest waiting time of a guardian: thirty days, in milliseconds.
pub const MAX_WAIT: u64 = 30 * 24 * 3_600_000;

fields! {
    /// How an emergency permission is opened.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    EmergencyTerms: EmergencyTerms {
        /// Key that follows from the first half; whoever opens signs with it.
        card_key: IdentityKey,
        /// SHA-256 of the second half, which the server keeps.
        share_hash: Sha256Digest,
        /// Who has the first half; none: it stands on the patient's card.
        guardian: Option<GuardianTerms>,
    }

    /// Who helps without a card, and how long the patient can object.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    GuardianTerms: GuardianTerms where waits {
        /// The patient who guards: another than the owner.
        guardian_id: PatientId,
        /// How long the patient can object before her help opens, in milliseconds.
        wait: u64,
    }
}

impl GuardianTerms {
    fn waits(&self) -> Result<(), Error> {
        if (MIN_WAIT..=MAX_WAIT).contains(&self.wait) {
            Ok(())
        } else {
            Err(Error::Field { field: "wait" })
        }
    }
}
