//! Delegations, and what delegates ask and sign, message by message.

use anyhow::Result;
use bytes::Bytes;
use crypto::{
    CollectionKey, DelegatedKeyContext, OperatingSystem, TextContext, seal_delegated_key, seal_text,
};
use protocol_spec::{
    bodies::{DelegatedKey, Delegation, Denial},
    collection::{Collection, CollectionSelector},
    delegation::{Power, Scope, SealedName},
    directory::Institution,
    field::Name,
    hash::Sha256Digest,
    ids::{CollectionId, DelegationId, PatientId, RequestId},
    messages as pb,
    patient::PatientSigned,
    permission::PermissionBody,
};

use super::{Answer, Call, RawPatient, Wire, now_ms, random};

/// What one patient lets another one do.
#[derive(Clone)]
pub struct RawDelegation {
    /// Its id.
    pub id: DelegationId,
    /// Whose vault it is about.
    pub owner: PatientId,
    /// As it was signed.
    pub signed: PatientSigned<Delegation>,
}

impl RawDelegation {
    /// SHA-256 of its body.
    pub fn hash(&self) -> Sha256Digest {
        self.signed.hash()
    }

    /// The message that hands it in.
    pub fn message(&self) -> pb::PutDelegation {
        pb::PutDelegation {
            delegation: Some((&self.signed).into()),
            ..pb::PutDelegation::default()
        }
    }

    /// The message that hands it in, in the place of another delegation.
    pub fn message_after(&self, before: &Self) -> pb::PutDelegation {
        pb::PutDelegation {
            in_place_of: Bytes::copy_from_slice(before.id.as_bytes()),
            ..self.message()
        }
    }

    /// Adds it to a call.
    #[must_use]
    pub fn on(&self, call: Call) -> Call {
        call.with("medvault-delegation", self.id.to_string())
    }
}

impl RawPatient {
    /// A delegation to permit in `default` for four hours; `edit` may change it before it is signed. Nothing is sent.
    pub fn delegation(
        &self,
        wire: &Wire,
        to: PatientId,
        edit: impl FnOnce(&mut Delegation),
    ) -> Result<RawDelegation> {
        let id = DelegationId::mint(now_ms(), random()?);
        let name = Name::try_from("a delegate".to_owned())?;
        let mut body = Delegation {
            created: now_ms(),
            operator_id: wire.operator_id(),
            delegation_id: id,
            patient_id: self.id,
            delegate_id: to,
            power: Power::Permit,
            collections: Scope::new(vec![CollectionId::DEFAULT])?,
            not_before: now_ms() - 60_000,
            not_after: now_ms() + 14_400_000,
            root_epoch: self.list.claimed().root_epoch,
            sealed_name: SealedName::try_from(self.root().seal_delegate_name(
                &OperatingSystem,
                &name,
                &self.id,
                &id,
            )?)?,
        };
        edit(&mut body);
        let owner = body.patient_id;
        let signed = self.signs(body);
        Ok(RawDelegation { id, owner, signed })
    }

    /// Lets another patient act, who accepts; both must be taken.
    pub async fn delegate(
        &self,
        wire: &Wire,
        to: &Self,
        edit: impl FnOnce(&mut Delegation),
    ) -> Result<RawDelegation> {
        let delegation = self.delegation(wire, to.id, edit)?;
        self.post(wire, "/v1/vault/delegations", &delegation.message())
            .await?
            .message::<pb::Accepted>()?;
        to.accept(wire, &delegation).await?.message::<pb::Accepted>()?;
        Ok(delegation)
    }

    /// Accepts what another patient has offered.
    pub async fn accept(&self, wire: &Wire, delegation: &RawDelegation) -> Result<Answer> {
        let message = pb::AcceptDelegation {
            delegation_id: Bytes::copy_from_slice(delegation.id.as_bytes()),
        };
        self.post(wire, "/v1/delegations/acceptances", &message).await
    }

    /// The message that gives a delegate a made-up key of a collection.
    pub fn delegated_key(
        &self,
        to: &Self,
        delegation: &RawDelegation,
        collection: Collection,
    ) -> Result<pb::PutDelegatedKeys> {
        let context = DelegatedKeyContext {
            owner: self.id,
            delegate: to.id,
            delegation: delegation.hash(),
            collection,
        };
        let body = DelegatedKey {
            created: now_ms(),
            patient_id: self.id,
            delegation_hash: delegation.hash(),
            collection_id: collection.id,
            epoch: collection.epoch,
            root_epoch: to.list.claimed().root_epoch,
            key: seal_delegated_key(
                &OperatingSystem,
                to.vault_key.public(),
                &context,
                &CollectionKey::generate(&OperatingSystem)?,
            )?,
        };
        Ok(pb::PutDelegatedKeys {
            delegation_id: Bytes::copy_from_slice(delegation.id.as_bytes()),
            keys: vec![self.says(body)],
        })
    }

    /// The message that ends a delegation.
    pub fn end_of(&self, delegation: &RawDelegation) -> pb::EndDelegation {
        self.ends(&delegation.signed)
    }

    /// Ends a delegation, which must be taken.
    pub async fn end_delegation(&self, wire: &Wire, delegation: &RawDelegation) -> Result<()> {
        self.post(wire, "/v1/vault/delegations/ends", &self.end_of(delegation))
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }

    /// Reads for another patient.
    pub async fn get_for(&self, wire: &Wire, path: &str, delegation: &RawDelegation) -> Result<Answer> {
        wire.call(&delegation.on(Call::get(path)), self.key()).await
    }

    /// Sends a message for another patient.
    pub async fn post_for(
        &self,
        wire: &Wire,
        path: &str,
        message: &impl prost::Message,
        delegation: &RawDelegation,
    ) -> Result<Answer> {
        let call = delegation.on(Call::post(path, message)?);
        wire.call(&call, self.key()).await
    }

    /// A denial for another patient.
    pub fn denial_for(
        &self,
        request_id: RequestId,
        request_hash: Sha256Digest,
        asker: &Institution,
        by: &RawDelegation,
    ) -> Result<pb::SubmitDenial> {
        let context = TextContext::to_institution(request_id, &by.owner, &asker.id());
        let denial = self.signs(Denial {
            patient_id: by.owner,
            text: seal_text(&OperatingSystem, asker.recipient_key(), &context, "no")?,
            ..self.actor.denial(request_id, request_hash, asker.id())
        });
        let denial = denial.through(by.signed.clone());
        Ok(pb::SubmitDenial {
            denial: Some((&denial).into()),
        })
    }

    /// A permission that was made for another patient: what `permission` is, with the delegation beside it.
    pub fn through(permission: pb::Permission, delegation: &RawDelegation) -> pb::SubmitPermission {
        pb::SubmitPermission::from(pb::Permission {
            delegation: Some((&delegation.signed).into()),
            ..permission
        })
    }
}

impl RawDelegation {
    /// Makes a permission one for the owner, by this delegation.
    pub fn names(&self, body: &mut PermissionBody) {
        body.patient_id = self.owner;
        body.delegation = Some(self.hash());
        body.vault_head = None;
    }

    /// The same, over a collection.
    pub fn over(&self, body: &mut PermissionBody, collection: Collection) {
        self.names(body);
        body.records.clear();
        body.collection = Some(CollectionSelector {
            collection,
            until: None,
        });
    }
}
