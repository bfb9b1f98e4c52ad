//! Emergency access by hand: cards and guardians of a patient, openings by an institution.

use anyhow::{Context, Result};
use bytes::Bytes;
use crypto::{
    CardHalf, CollectionKey, HalfContext, HalfReader, OperatingSystem, PermissionKey, ServerHalf,
    SigningIdentity,
};
use protocol_spec::{
    bodies::{EmergencyHelp, EmergencyObjection, EmergencyOpening},
    collection::Collection,
    emergency::{ANY_INSTITUTION, EmergencyTerms, GuardianTerms, NOTHING, card_preimage},
    ids::{CollectionId, PatientId, PermissionId, RequestId},
    messages as pb,
    permission::{Kind, PermissionBody, SignedPermission},
    statement::Body,
};

use super::{Answer, RawInstitution, RawPatient, Wire, now_ms, random};

/// Both halves of an emergency key, which nobody but a test has together.
pub struct RawCard {
    /// Whose.
    pub patient: PatientId,
    /// On the card, or a guardian's.
    pub half: CardHalf,
    /// The server's.
    pub share: ServerHalf,
    /// What they open.
    pub permission: pb::Permission,
    /// Its id.
    pub permission_id: PermissionId,
}

impl RawCard {
    /// The card's key.
    pub fn key(&self) -> Result<SigningIdentity> {
        Ok(self.half.key(&self.patient)?)
    }
}

impl RawPatient {
    /// Opens the emergency collection, and makes a card, or names a guardian with this waiting time in milliseconds, who
    /// accepts.
    pub async fn prepare_emergency(&self, wire: &Wire, guardian: Option<(&Self, u64)>) -> Result<RawCard> {
        let card = self.prepare(wire, guardian).await?;
        if let Some((guardian, _)) = guardian {
            guardian
                .accept_guardianship(wire, self.id)
                .await?
                .message::<pb::Accepted>()?;
        }
        Ok(card)
    }

    /// Opens the emergency collection, and names a guardian with this waiting time in milliseconds, who says nothing.
    pub async fn name_guardian(&self, wire: &Wire, guardian: &Self, wait: u64) -> Result<RawCard> {
        self.prepare(wire, Some((guardian, wait))).await
    }

    async fn prepare(&self, wire: &Wire, guardian: Option<(&Self, u64)>) -> Result<RawCard> {
        let collection = Collection {
            id: CollectionId::EMERGENCY,
            epoch: 0,
        };
        self.put_collection(wire, collection).await?;
        let (half, share) = (
            CardHalf::generate(&OperatingSystem)?,
            ServerHalf::generate(&OperatingSystem)?,
        );
        let recipient = half.recipient(&share, &self.id)?;
        let card_key = half.key(&self.id)?.public();
        let permission_id = PermissionId::mint(now_ms(), random()?);
        let key = PermissionKey::mint(
            &OperatingSystem,
            &permission_id,
            &CollectionKey::generate(&OperatingSystem)?,
        )?;
        let permission = self.actor.permission(Kind::Emergency).id(permission_id);
        let permission = permission.over(collection);
        let body = PermissionBody {
            operator_id: wire.operator_id(),
            institution_id: ANY_INSTITUTION,
            directory_entry_hash: NOTHING,
            recipient_key_hash: recipient.public().digest(),
            not_before: now_ms() - 60_000,
            request_hash: NOTHING,
            possession_key: key.possession(),
            emergency: Some(EmergencyTerms {
                card_key,
                share_hash: share.hash(),
                guardian: guardian.map(|(guardian, wait)| GuardianTerms {
                    guardian_id: guardian.id,
                    wait,
                }),
            }),
            ..permission.uses(20).bytes(1 << 30).body()
        };
        let bytes = body.encode();
        let wrap = key.seal(&OperatingSystem, recipient.public(), &bytes)?;
        let sign = |message: &[u8]| self.device.sign(message);
        let signed = SignedPermission::sign(bytes, wrap, self.chain().clone(), sign)?;
        let permission = pb::Permission::from(&signed);
        let guardian_half = match guardian {
            Some((guardian, _)) => {
                let context = HalfContext {
                    patient: self.id,
                    card_key,
                    reader: HalfReader::Guardian(guardian.id),
                };
                Some((&half.seal(&OperatingSystem, guardian.vault_key.public(), &context)?).into())
            }
            None => None,
        };
        let message = pb::PutEmergency {
            permission: Some(permission.clone()),
            share: Bytes::copy_from_slice(share.expose()),
            recipient_key: Bytes::copy_from_slice(recipient.public().as_bytes()),
            guardian_half,
            guardian_root_epoch: 0,
        };
        self.post(wire, "/v1/vault/emergency", &message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(RawCard {
            patient: self.id,
            half,
            share,
            permission,
            permission_id,
        })
    }

    /// Accepts to be another patient's guardian.
    pub async fn accept_guardianship(&self, wire: &Wire, patient: PatientId) -> Result<Answer> {
        let message = pb::AcceptGuardianship {
            patient_id: Bytes::copy_from_slice(patient.as_bytes()),
        };
        self.post(wire, "/v1/emergency/guardianships", &message).await
    }

    /// As a guardian, or as somebody who would be one: begins to help with this card key. Gives the help's id.
    pub async fn start_help(
        &self,
        wire: &Wire,
        card: &RawCard,
        to: &RawInstitution,
    ) -> Result<(RequestId, Answer)> {
        let help_id = RequestId::mint(now_ms(), random()?);
        let context = HalfContext {
            patient: card.patient,
            card_key: card.key()?.public(),
            reader: HalfReader::Institution(to.entry.id(), help_id),
        };
        let card_key = card.key()?.public();
        let message = pb::StartHelp {
            help: Some(
                self.says(EmergencyHelp {
                    operator_id: wire.operator_id(),
                    help_id,
                    half: card
                        .half
                        .seal(&OperatingSystem, to.entry.recipient_key(), &context)?,
                    ..self.help(card.patient, to.entry.id(), card_key)
                }),
            ),
        };
        Ok((help_id, self.post(wire, "/v1/emergency/helps", &message).await?))
    }

    /// Objects to a help, which must be taken.
    pub async fn object(&self, wire: &Wire, help_id: RequestId) -> Result<()> {
        let body = EmergencyObjection {
            created: now_ms(),
            operator_id: wire.operator_id(),
            help_id,
            patient_id: self.id,
        };
        let message = pb::SubmitObjection {
            objection: Some(self.says(body)),
        };
        self.post(wire, "/v1/vault/emergency/objections", &message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }
}

impl RawInstitution {
    /// An opening, signed by this institution and by a card's key.
    pub fn opening(&self, wire: &Wire, card: &RawCard, by: &SigningIdentity) -> Result<pb::EmergencyUse> {
        let body = EmergencyOpening {
            operator_id: wire.operator_id(),
            ..self.actor.opening(card.patient, card.key()?.public())
        };
        let (opening, _) = self.actor.statement(body);
        Ok(pb::EmergencyUse {
            card_signature: Bytes::copy_from_slice(&by.sign_bytes(&card_preimage(&opening.body))),
            opening: Some(opening),
            ..pb::EmergencyUse::default()
        })
    }

    /// Opens with a card.
    pub async fn open_emergency(&self, wire: &Wire, card: &RawCard) -> Result<Answer> {
        let message = self.opening(wire, card, &card.key()?)?;
        self.send_opening(wire, &message).await
    }

    /// Sends an opening.
    pub async fn send_opening(&self, wire: &Wire, message: &pb::EmergencyUse) -> Result<Answer> {
        self.post(wire, "/v1/emergency/openings", message)
            .await
            .context("an opening")
    }
}
