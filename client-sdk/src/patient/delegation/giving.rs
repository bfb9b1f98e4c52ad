//! Delegations are signed by a device of the owner's, and their keys sealed to the delegate's vault key alone.

use bytes::Bytes;
use crypto::{Collection, CollectionKey, DelegatedKeyContext, seal_delegated_key};
use protocol_spec::{
    api,
    bodies::{DelegatedKey, Delegation},
    delegation::{Power, Scope, SealedName, VerifiedDelegation},
    field::Name,
    ids::{CollectionId, DelegationId, PatientId},
    messages as pb,
    patient::PatientSigned,
    problem::Problem,
    statement::Signed,
    vault_head::Act,
};

use super::{Answer, DelegationInfo, DelegationState, OwnDelegation};
use crate::{Error, Patient, Result, mint, patient::ring::Ring};

/// What somebody is to be let do.
#[derive(Clone, Debug)]
pub struct DelegationTerms {
    /// What the owner calls her.
    pub name: String,
    /// What she may do.
    pub power: Power,
    /// With what lies in these.
    pub collections: Vec<CollectionId>,
    /// From when on, in milliseconds since 1970; none: now.
    pub not_before: Option<u64>,
    /// Until when, in milliseconds since 1970.
    pub not_after: u64,
}

impl Patient {
    /// Lets another patient of the server act in her vault, and gives her the keys for it.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a patient or collection that is not there, [`Error::Usage`] for terms that make no
    /// sense, [`Error::Tampered`] when the delegate's vault key does not verify: then no key is given.
    pub async fn delegate(&self, to: PatientId, terms: &DelegationTerms) -> Result<DelegationInfo> {
        self.delegate_after(to, terms, None).await
    }

    /// The same in the place of an earlier delegation: whoever has accepted that one need not accept again (ACC-10).
    pub(in crate::patient) async fn delegate_after(
        &self,
        to: PatientId,
        terms: &DelegationTerms,
        before: Option<DelegationId>,
    ) -> Result<DelegationInfo> {
        if to == self.id() {
            return Err(Error::Usage("you need no delegation from yourself".into()));
        }
        // Before anything is signed for somebody who is not there.
        self.session.patient_key(to).await?;
        let now = mint::now_ms();
        let not_before = terms.not_before.unwrap_or(now.saturating_sub(CLOCK_TOLERANCE));
        if terms.not_after <= now.max(not_before) {
            return Err(Error::Usage("it would be over already: name a later end".into()));
        }
        self.session
            .clock
            .check_given(terms.not_before, terms.not_after)?;
        let id = mint::id(DelegationId::mint)?;
        let (name, known) = (Name::try_from(terms.name.clone())?, self.keys.known());
        let sealed = known.root()?.seal_delegate_name(&name, &self.id(), &id)?;
        let collections = Scope::new(terms.collections.clone()).map_err(|_| {
            Error::Usage("name one or more collections, and not the one of your own keys".into())
        })?;
        let body = Delegation {
            created: now,
            operator_id: self.session.server.operator_id(),
            delegation_id: id,
            patient_id: self.id(),
            delegate_id: to,
            power: terms.power,
            collections,
            not_before,
            not_after: terms.not_after,
            root_epoch: known.newest().root_epoch,
            sealed_name: SealedName::try_from(sealed)?,
        };
        let signed = Signed::sign(body, |message| self.keys.sign(message));
        let signed = PatientSigned::new(signed, self.keys.chain.clone());
        let message = pb::PutDelegation {
            delegation: Some((&signed).into()),
            in_place_of: before.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes())),
        };
        let own = OwnDelegation {
            delegation: VerifiedDelegation::verify(signed)?,
            end: None,
            given: Vec::new(),
            answer: Answer::None,
        };
        self.session
            .server
            .post(api::PUT_DELEGATION.here(), &message)
            .await?;
        self.did(Act::Delegation(id, own.delegation.hash())).await;
        self.put_head().await?;
        self.give_keys(&own).await?;
        self.delegation_info(&own)
    }

    /// Gives her delegates the keys that they have not yet: of epochs that came later (DLG-4).
    pub(in crate::patient) async fn give_delegates_keys(&self) -> Result<()> {
        for own in self.own_delegations().await? {
            let now = self.session.clock.now();
            let open = matches!(
                own.state(now),
                DelegationState::Live | DelegationState::NotYet | DelegationState::Offered
            );
            if !open {
                continue;
            }
            match self.give_keys(&own).await {
                // It has ended since it was looked at: whoever has it is to get nothing any more.
                Err(Error::Refused {
                    problem: Problem::DelegationEnded | Problem::DelegationExpired,
                    ..
                }) => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Seals to the delegate's verified vault key whatever key of her collections she has not (DLG-3); nothing to one by the
    /// word of a device that is gone (DEV-23).
    pub(super) async fn give_keys(&self, own: &OwnDelegation) -> Result<()> {
        if !self.delegation_stands(&own.delegation) {
            return Ok(());
        }
        for _ in 0..MAX_TRIES {
            let missing = own.missing(&*self.refresh_ring().await?);
            match self.seal_keys(&own.delegation, &missing).await {
                // Another device has closed an epoch meanwhile.
                Err(error) if error.is_problem(Problem::EpochMismatch) => {}
                done => return done,
            }
        }
        Err(Error::Usage(
            "other devices change the collections all the time: try again later".into(),
        ))
    }

    async fn seal_keys(&self, to: &VerifiedDelegation, keys: &[(Collection, CollectionKey)]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let vault = self.session.patient_key(to.delegate_id).await?;
        let seal = |(collection, key): &(Collection, CollectionKey)| {
            let context = DelegatedKeyContext {
                owner: self.id(),
                delegate: to.delegate_id,
                delegation: to.hash(),
                collection: *collection,
            };
            let body = DelegatedKey {
                created: mint::now_ms(),
                patient_id: self.id(),
                delegation_hash: to.hash(),
                collection_id: collection.id,
                epoch: collection.epoch,
                root_epoch: vault.root_epoch,
                key: seal_delegated_key(&vault.vault_key, &context, key)?,
            };
            let signed = Signed::sign(body, |message| self.keys.sign(message));
            Ok::<_, Error>(pb::PatientStatement::from(&PatientSigned::new(
                signed,
                self.keys.chain.clone(),
            )))
        };
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let message = pb::PutDelegatedKeys {
                delegation_id: Bytes::copy_from_slice(to.delegation_id.as_bytes()),
                keys: keys.iter().map(seal).collect::<Result<_>>()?,
            };
            self.session
                .server
                .post(api::PUT_DELEGATED_KEYS.here(), &message)
                .await?;
        }
        Ok(())
    }
}

impl OwnDelegation {
    /// The keys that the delegate is to have and has not.
    fn missing(&self, ring: &Ring) -> Vec<(Collection, CollectionKey)> {
        let scope = &self.delegation.collections;
        let mut missing = Vec::new();
        for (id, _, keys) in ring.keys().filter(|(id, ..)| scope.has(*id)) {
            for (epoch, key) in (0..).zip(keys) {
                let collection = Collection { id, epoch };
                if let Some(key) = key
                    && !self.given.contains(&collection)
                {
                    missing.push((collection, CollectionKey::from_bytes(key.expose())));
                }
            }
        }
        missing
    }
}

/// Five minutes, in milliseconds: clocks differ.
const CLOCK_TOLERANCE: u64 = 5 * 60 * 1000;
/// As many as a server takes.
const KEYS_AT_ONCE: usize = 64;
/// Each failure is another device's success.
const MAX_TRIES: usize = 8;
