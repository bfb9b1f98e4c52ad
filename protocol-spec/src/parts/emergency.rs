//! How an emergency permission is opened.

use crate::{
    Error,
    field::Field,
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId},
    keys::IdentityKey,
    messages as pb,
};

/// In the place of an institution: whichever is accredited for emergencies. No SHA-256 of a key that anyone can find
/// is this.
pub const ANY_INSTITUTION: InstitutionId = InstitutionId::from_bytes([0; 32]);

/// In the place of a hash of what an emergency permission does not have: a directory entry, a request.
pub const NOTHING: Sha256Digest = Sha256Digest::from_bytes([0; 32]);

/// Shortest waiting time of a guardian, in milliseconds.
pub const MIN_WAIT: u64 = 1000;

/// Longest waiting time of a guardian: thirty days, in milliseconds.
pub const MAX_WAIT: u64 = 30 * 24 * 3_600_000;

/// How an emergency permission is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmergencyTerms {
    /// Follows from the first half; whoever opens signs with it.
    pub card_key: IdentityKey,
    /// Of the second half, which the server keeps.
    pub share_hash: Sha256Digest,
    /// Who has the first half; none: it stands on the patient's card.
    pub guardian: Option<GuardianTerms>,
}

/// Who helps without a card, and how long the patient can object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardianTerms {
    /// The patient who guards: another than the owner.
    pub guardian_id: PatientId,
    /// How long the patient can object before her help opens, in milliseconds.
    pub wait: u64,
}

impl Field<pb::EmergencyTerms> for EmergencyTerms {
    fn read(wire: pb::EmergencyTerms, _: &'static str) -> Result<Self, Error> {
        Ok(Self {
            card_key: Field::read(wire.card_key, "card_key")?,
            share_hash: Field::read(wire.share_hash, "share_hash")?,
            guardian: Field::read(wire.guardian, "guardian")?,
        })
    }

    fn write(&self) -> pb::EmergencyTerms {
        pb::EmergencyTerms {
            card_key: self.card_key.write(),
            share_hash: self.share_hash.write(),
            guardian: self.guardian.write(),
        }
    }
}

impl Field<pb::GuardianTerms> for GuardianTerms {
    fn read(wire: pb::GuardianTerms, _: &'static str) -> Result<Self, Error> {
        if !(MIN_WAIT..=MAX_WAIT).contains(&wire.wait) {
            return Err(Error::Field { field: "wait" });
        }
        Ok(Self {
            guardian_id: Field::read(wire.guardian_id, "guardian_id")?,
            wait: wire.wait,
        })
    }

    fn write(&self) -> pb::GuardianTerms {
        pb::GuardianTerms {
            guardian_id: self.guardian_id.write(),
            wait: self.wait,
        }
    }
}
