//! Emergency permissions, the helps of guardians, objections.

use bytes::Bytes;

use super::{Submitted, fits, submitted};
use crate::{
    Error,
    bodies::{EmergencyHelp, EmergencyObjection, EmergencyOpening},
    emergency::share_hash,
    field::{Field, SealedBytes},
    ids::PatientId,
    keys::RecipientKey,
    messages as pb,
    patient::PatientSigned,
    permission::{Kind, SignedPermission},
    statement::{Signed, signature_bytes},
};

submitted! {
    /// A guardian begins to help (EMG-11).
    StartHelp {
        help: PatientSigned<EmergencyHelp>,
    }
    /// The patient objects to a help (EMG-13).
    SubmitObjection {
        objection: PatientSigned<EmergencyObjection>,
    }
    /// The caller accepts to be a patient's guardian (ACC-10).
    AcceptGuardianship {
        patient_id: PatientId,
    }
}

/// An institution opens with the half that it was shown (EMG-7).
#[derive(Clone, Debug)]
pub struct OpenEmergency {
    /// What the institution says.
    pub opening: Signed<EmergencyOpening>,
    /// By the key of that half, over the same.
    pub card_signature: [u8; 64],
}

impl Submitted for OpenEmergency {
    type Wire = pb::EmergencyUse;

    fn read(wire: pb::EmergencyUse) -> Result<Self, Error> {
        Ok(Self {
            opening: wire.opening.try_into()?,
            card_signature: signature_bytes(&wire.card_signature)?,
        })
    }

    fn write(&self) -> pb::EmergencyUse {
        pb::EmergencyUse {
            opening: Some(self.opening.to_message()),
            card_signature: Bytes::copy_from_slice(&self.card_signature),
            ..pb::EmergencyUse::default()
        }
    }
}

/// A card or a guardian, with the halves that its permission names; one in the place of another comes without (EMG-4).
#[derive(Clone, Debug)]
pub struct PutEmergency {
    /// The permission, which is of the kind for emergencies.
    pub permission: SignedPermission,
    /// The halves of its key, where card or guardian are new.
    pub halves: Option<Halves>,
}

/// What a new emergency permission comes with.
#[derive(Clone, Debug)]
pub struct Halves {
    /// The half that the server keeps, 32 bytes.
    pub share: Bytes,
    /// The key that follows from both halves.
    pub recipient_key: RecipientKey,
    /// The half that is sealed to the guardian, if there is one.
    pub guardian_half: Option<SealedBytes>,
    /// Epoch of the vault key that the guardian's half is sealed to.
    pub guardian_root_epoch: u64,
}

impl Submitted for PutEmergency {
    type Wire = pb::PutEmergency;

    fn read(wire: pb::PutEmergency) -> Result<Self, Error> {
        let permission = SignedPermission::try_from(wire.permission.clone())?;
        let body = permission.claimed();
        let terms = body.emergency.as_ref().filter(|_| body.kind == Kind::Emergency);
        let terms = terms.ok_or(Error::Field { field: "kind" })?;
        if body.replaces.is_some() {
            let pb::PutEmergency {
                share,
                recipient_key,
                guardian_half,
                ..
            } = wire;
            let bare = share.is_empty() && recipient_key.is_empty() && guardian_half.is_none();
            fits(bare, "share")?;
            return Ok(Self {
                permission,
                halves: None,
            });
        }
        let halves = Halves {
            recipient_key: Field::read(wire.recipient_key, "recipient_key")?,
            guardian_half: Field::read(wire.guardian_half, "guardian_half")?,
            guardian_root_epoch: wire.guardian_root_epoch,
            share: wire.share,
        };
        let share = halves.share.len() == 32 && share_hash(&halves.share) == terms.share_hash;
        fits(share, "share")?;
        let key = halves.recipient_key.digest() == body.recipient_key_hash;
        fits(key, "recipient_key")?;
        let half = halves.guardian_half.is_some() == terms.guardian.is_some();
        fits(half, "guardian_half")?;
        Ok(Self {
            permission,
            halves: Some(halves),
        })
    }

    fn write(&self) -> pb::PutEmergency {
        let Self { permission, halves } = self;
        let permission = Field::write(permission);
        match halves {
            None => pb::PutEmergency {
                permission,
                ..pb::PutEmergency::default()
            },
            Some(halves) => pb::PutEmergency {
                permission,
                share: halves.share.clone(),
                recipient_key: halves.recipient_key.write(),
                guardian_half: halves.guardian_half.write(),
                guardian_root_epoch: halves.guardian_root_epoch,
            },
        }
    }
}
