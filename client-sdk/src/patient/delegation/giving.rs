//! Delegations are signed by a device of the owner's, and their keys sealed to the delegate's vault key alone.

use crypto::{Collection, CollectionKey, DelegatedKeyContext, seal_delegated_key};
use protocol_spec::{
    api,
    bodies::{DelegatedKey, Delegation},
    delegation::{Power, Scope, SealedName, VerifiedDelegation},
    field::Name,
    ids::{CollectionId, DelegationId, PatientId},
    problem::Problem,
    submitted,
    vault_head::Act,
};

use crate::{
    Error, Result,
    patient::{
        acts,
        delegation::{self, DelegateAnswer, DelegationInfo, DelegationState, OwnDelegation},
        heads, ring, signers,
        vault::{Vault, ring::Ring},
    },
};

/// What somebody is to be let do.
#[derive(Clone, Debug)]
pub struct DelegationTerms {
    /// What the owner calls her.
    pub name: String,
    /// What the delegate may do.
    pub power: Power,
    /// With what lies in these.
    pub collections: Vec<CollectionId>,
    /// From when on, in milliseconds since 1970; none: now.
    pub not_before: Option<u64>,
    /// Until when, in milliseconds since 1970.
    pub not_after: u64,
}

pub(in crate::patient) async fn delegate(
    vault: &Vault,
    to: PatientId,
    terms: &DelegationTerms,
) -> Result<DelegationInfo> {
    delegate_after(vault, to, terms, None).await
}

/// The same in the place of an earlier delegation: whoever has accepted that one need not accept again (ACC-10).
pub(in crate::patient) async fn delegate_after(
    vault: &Vault,
    to: PatientId,
    terms: &DelegationTerms,
    before: Option<DelegationId>,
) -> Result<DelegationInfo> {
    if to == vault.id() {
        return Err(Error::Usage("you need no delegation from yourself".into()));
    }
    // Before anything is signed for somebody who is not there.
    vault.session.patients.vault_key(to).await?;
    let signed = vault.keys.statement(delegation_body(vault, to, terms)?);
    let id = signed.claimed().delegation_id;
    let own = OwnDelegation {
        delegation: VerifiedDelegation::verify(signed.clone())?,
        end: None,
        given: Vec::new(),
        answer: DelegateAnswer::None,
    };
    let message = submitted::PutDelegation {
        delegation: signed,
        in_place_of: before,
    };
    vault.post(api::PUT_DELEGATION.here(), &message).await?;
    acts::did(vault, Act::Delegation(id, own.delegation.hash())).await;
    heads::put_head(vault).await?;
    give_keys(vault, &own).await?;
    delegation::delegation_info(vault, &own)
}

fn delegation_body(vault: &Vault, to: PatientId, terms: &DelegationTerms) -> Result<Delegation> {
    let now = vault.session.system().now_ms();
    let not_before = terms.not_before.unwrap_or(now.saturating_sub(CLOCK_TOLERANCE));
    if terms.not_after <= now.max(not_before) {
        return Err(Error::Usage("it would be over already: name a later end".into()));
    }
    vault
        .session
        .clock
        .check_given(terms.not_before, terms.not_after)?;
    let id = vault.session.system().id(DelegationId::mint)?;
    let (name, known) = (Name::try_from(terms.name.clone())?, vault.keys.known());
    let sealed = known
        .root()?
        .seal_delegate_name(vault.session.system(), &name, &vault.id(), &id)?;
    let collections = Scope::new(terms.collections.clone())
        .map_err(|_| Error::Usage("name one or more collections, and not the one of your own keys".into()))?;
    Ok(Delegation {
        created: now,
        operator_id: vault.session.server.operator_id(),
        delegation_id: id,
        patient_id: vault.id(),
        delegate_id: to,
        power: terms.power,
        collections,
        not_before,
        not_after: terms.not_after,
        root_epoch: known.newest().root_epoch,
        sealed_name: SealedName::try_from(sealed)?,
    })
}

/// Gives her delegates the keys that they have not yet: of epochs that came later (DLG-4).
pub(in crate::patient) async fn give_delegates_keys(vault: &Vault) -> Result<()> {
    for own in delegation::own_delegations(vault).await? {
        let now = vault.session.clock.now();
        let open = matches!(
            own.state(now),
            DelegationState::Live | DelegationState::NotYet | DelegationState::Offered
        );
        if !open {
            continue;
        }
        match give_keys(vault, &own).await {
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
pub(in crate::patient) async fn give_keys(vault: &Vault, own: &OwnDelegation) -> Result<()> {
    if !signers::delegation_stands(vault, &own.delegation) {
        return Ok(());
    }
    for _ in 0..MAX_TRIES {
        let missing = own.missing(&*ring::refresh_ring(vault).await?);
        match seal_keys(vault, &own.delegation, &missing).await {
            // Another device has closed an epoch meanwhile.
            Err(error) if error.is_problem(Problem::EpochMismatch) => {}
            done => return done,
        }
    }
    Err(Error::Usage(
        "other devices change the collections all the time: try again later".into(),
    ))
}

async fn seal_keys(
    vault: &Vault,
    to: &VerifiedDelegation,
    keys: &[(Collection, CollectionKey)],
) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let receiver = vault.session.patients.vault_key(to.delegate_id).await?;
    let seal = |(collection, key): &(Collection, CollectionKey)| {
        let context = DelegatedKeyContext {
            owner: vault.id(),
            delegate: to.delegate_id,
            delegation: to.hash(),
            collection: *collection,
        };
        let body = DelegatedKey {
            created: vault.session.system().now_ms(),
            patient_id: vault.id(),
            delegation_hash: to.hash(),
            collection_id: collection.id,
            epoch: collection.epoch,
            root_epoch: receiver.root_epoch,
            key: seal_delegated_key(vault.session.system(), &receiver.vault_key, &context, key)?,
        };
        Ok::<_, Error>(vault.keys.statement(body))
    };
    for keys in keys.chunks(submitted::KEYS_AT_ONCE) {
        let message = submitted::PutDelegatedKeys {
            delegation_id: to.delegation_id,
            keys: keys.iter().map(seal).collect::<Result<_>>()?,
        };
        vault.post(api::PUT_DELEGATED_KEYS.here(), &message).await?;
    }
    Ok(())
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
/// Each failure is another device's success.
const MAX_TRIES: usize = 8;
