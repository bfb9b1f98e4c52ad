//! Emergency permissions: for whichever institution the registrar has accredited for emergencies, opened with two
//! halves of a key, of which the server keeps one. See `spec/emergency.md`.

use std::ops::Deref;

pub use crate::parts::emergency::{
    ANY_INSTITUTION, EmergencyTerms, GuardianTerms, MAX_WAIT, MIN_WAIT, NOTHING,
};
use crate::{
    Error,
    bodies::EmergencyOpening,
    defence::Defence,
    directory::Institution,
    hash::{Sha256Digest, sha256},
    labels, messages as pb,
    statement::{Signed, Verified, preimage, signature_bytes},
};

/// Most guardians that one patient may have.
pub const MAX_GUARDIANS: usize = 8;
/// How far an opening's `created` may lie from the server's time, in milliseconds.
pub const OPENING_WINDOW: u64 = 5 * 60_000;

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

    /// The statement by which the institution opens.
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
