//! Emergency permissions: for whichever institution the registrar has accredited for emergencies, opened with two
//! halves of a key, of which the server keeps one. See `spec/emergency.md`.

use std::ops::Deref;

use crate::{
    Error,
    bodies::EmergencyOpening,
    defence::Defence,
    directory::Institution,
    field::Field,
    hash::{Sha256Digest, sha256},
    ids::{CollectionId, InstitutionId, PatientId},
    keys::IdentityKey,
    labels, messages as pb,
    permission::{Kind, PermissionBody},
    statement::{Signed, Verified, preimage, signature_bytes},
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
/// Guardians of one patient.
pub const MAX_GUARDIANS: usize = 8;
/// How far an opening's `created` may lie from the server's time, in milliseconds.
pub const OPENING_WINDOW: u64 = 5 * 60_000;

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
    /// Another patient.
    pub guardian_id: PatientId,
    /// In milliseconds.
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

/// What an emergency permission must be, and no other may (EMG-1).
pub(crate) fn check(body: &PermissionBody) -> Result<(), Error> {
    let Some(terms) = body.emergency.as_ref().filter(|_| body.kind == Kind::Emergency) else {
        return if body.kind == Kind::Emergency || body.emergency.is_some() {
            Err(Error::Field { field: "emergency" })
        } else {
            Ok(())
        };
    };
    let whole = body.collection.is_some_and(|selector| {
        selector.collection.id == CollectionId::EMERGENCY && selector.until.is_none()
    });
    let nobody = body.institution_id == ANY_INSTITUTION
        && body.directory_entry_hash == NOTHING
        && body.request_hash == NOTHING;
    let own = |guardian: GuardianTerms| guardian.guardian_id == body.patient_id;
    let field = match () {
        () if !whole => "collection",
        () if !nobody => "institution_id",
        () if body.purpose.is_some() => "purpose",
        () if body.conditions.is_some() => "conditions",
        () if body.delegation.is_some() => "delegation_hash",
        () if terms.guardian.is_some_and(own) => "guardian_id",
        () => return Ok(()),
    };
    Err(Error::Field { field })
}

/// SHA-256 (LABEL(EMERGENCY_SHARE) ‖ half): how a permission names the server's half (EMG-2).
pub fn share_hash(half: &[u8]) -> Sha256Digest {
    Sha256Digest::from_bytes(sha256(&[&labels::EMERGENCY_SHARE.bytes(), half]))
}

/// The card key's signature over an opening.
pub fn card_preimage(opening: &[u8]) -> Vec<u8> {
    preimage(labels::EMERGENCY_CARD, opening)
}

/// An opening whose two signatures have been verified.
#[derive(Clone, Debug)]
pub struct Opening {
    statement: Verified<EmergencyOpening>,
    card_signature: [u8; 64],
}

impl Opening {
    /// Checks that the institution, or a terminal of its, and the card's key have signed (EMG-7).
    ///
    /// # Errors
    /// [`Error::Signature`] or [`Error::Mismatch`].
    pub fn verify(message: &pb::EmergencyUse, institution: &Institution) -> Result<Self, Error> {
        let signed = Signed::<EmergencyOpening>::try_from(message.opening.clone())?;
        let card_signature = signature_bytes(&message.card_signature)?;
        let statement = signed.verify_by(institution)?;
        if statement.institution_id != institution.id() {
            return Err(Error::Mismatch {
                what: "opening and institution",
            });
        }
        let by_card = statement
            .card_key
            .verify(&card_preimage(&statement.to_message().body), &card_signature);
        Defence::EmergencyCard.check(by_card)?;
        Ok(Self {
            statement,
            card_signature,
        })
    }

    /// The institution's statement.
    pub fn statement(&self) -> &Verified<EmergencyOpening> {
        &self.statement
    }

    /// As it stands in histories and inboxes.
    pub fn to_message(&self) -> pb::EmergencyUse {
        pb::EmergencyUse {
            opening: Some(self.statement.to_message()),
            card_signature: bytes::Bytes::copy_from_slice(&self.card_signature),
            proof: None,
            entry: None,
        }
    }
}

impl Deref for Opening {
    type Target = EmergencyOpening;

    fn deref(&self) -> &EmergencyOpening {
        &self.statement
    }
}
