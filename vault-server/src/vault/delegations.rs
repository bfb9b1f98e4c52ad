//! What patients let others do in their vaults: given, keyed, ended by the owner's devices. See `spec/delegates.md`.

use bytes::Bytes;
use protocol_spec::{
    bodies::{DelegatedKey, Delegation, DelegationEnd},
    collection::Collection,
    defence::Defence,
    delegation::VerifiedDelegation,
    ids::{CollectionId, DelegationId, PatientId},
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    problem::Problem,
    vault_head::Act,
};

use super::{
    Caller, Intent, Refusal, Vault,
    received::{Arrival, Asking},
    refusal::ensure,
    tables::{self, Counted, DelegationRow, HeldRow},
    tx::{Operation, Tx},
};

use pb::{event, history_entry};

impl Vault {
    /// A patient lets another one act in her vault.
    ///
    /// # Errors
    /// `not-permitted` (also when there is no such delegate), `epoch-mismatch` for a collection that is not there,
    /// `delegation-expired`, `already-exists`, `too-many`.
    pub async fn put_delegation(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::PutDelegation,
    ) -> Result<pb::Accepted, Refusal> {
        // Never by a delegate (DLG-2).
        caller.patient()?;
        let signed = PatientSigned::<Delegation>::try_from(message.delegation)?;
        let delegation = VerifiedDelegation::verify(signed)?;
        self.shared
            .check_patient(caller, delegation.patient_id, delegation.operator_id)?;
        caller.check_device(delegation.device())?;
        let follows = match message.in_place_of.as_ref() {
            [] => None,
            id => Some(DelegationId::try_from(id)?),
        };
        let put = PutDelegation { delegation, follows };
        self.shared.mutate(caller, intent, put).await
    }

    /// A patient gives a delegate keys of her collections (DLG-4).
    ///
    /// # Errors
    /// `not-permitted`, `malformed`, `delegation-ended`, `delegation-expired`, `epoch-mismatch`.
    pub async fn put_delegated_keys(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::PutDelegatedKeys,
    ) -> Result<pb::Accepted, Refusal> {
        let patient = caller.patient()?;
        let delegation = DelegationId::try_from(message.delegation_id.as_ref())?;
        let few = (1..=KEYS_AT_ONCE).contains(&message.keys.len());
        ensure(few, Problem::Malformed, "no keys, or too many at once")?;
        let mut keys = Vec::with_capacity(message.keys.len());
        for key in message.keys {
            let key = PatientSigned::<DelegatedKey>::try_from(key)?.verify()?;
            self.shared
                .check_patient(caller, key.patient_id, self.shared.operator.id())?;
            caller.check_device(key.device())?;
            let formed = key.key.ciphertext.len() == SEALED_KEY;
            ensure(formed, Problem::Malformed, "a sealed key has 48 bytes")?;
            keys.push(key);
        }
        let put = PutKeys {
            patient,
            delegation,
            keys,
        };
        self.shared.mutate(caller, intent, put).await
    }

    /// A patient ends a delegation. The same again changes nothing.
    ///
    /// # Errors
    /// `not-permitted`.
    pub async fn end_delegation(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::EndDelegation,
    ) -> Result<pb::Accepted, Refusal> {
        caller.patient()?;
        let end = PatientSigned::<DelegationEnd>::try_from(message.end)?.verify()?;
        self.shared
            .check_patient(caller, end.patient_id, self.shared.operator.id())?;
        caller.check_device(end.device())?;
        self.shared.mutate(caller, intent, EndDelegation { end }).await
    }

    /// What the caller lets others do, in the order of ids, after this one.
    ///
    /// # Errors
    /// `not-permitted` unless a patient asks; those of the store.
    pub async fn given_delegations(
        &self,
        caller: &Caller,
        after: Option<DelegationId>,
        limit: usize,
    ) -> Result<pb::DelegationPage, Refusal> {
        let owner = caller.patient()?;
        let first = tables::delegations(owner).behind(after);
        let (rows, more) = self.shared.short_page(first, limit).await?;
        let mut page = pb::DelegationPage::default();
        if let Some(last) = rows.last().filter(|_| more) {
            page.next = Bytes::copy_from_slice(delegation_of(last)?.claimed().delegation_id.as_bytes());
        }
        page.delegations = rows.into_iter().map(entry).collect();
        Ok(page)
    }
}

pub(super) fn entry(row: DelegationRow) -> pb::DelegationEntry {
    pb::DelegationEntry {
        delegation: row.delegation,
        end: row.end,
        given: row.given,
        accepted: row.accepted,
        refused: row.refused,
    }
}

/// The delegation of a row, which was verified before it was stored.
pub(super) fn delegation_of(row: &DelegationRow) -> Result<PatientSigned<Delegation>, Refusal> {
    PatientSigned::try_from(row.delegation.clone()).map_err(Refusal::damaged)
}

/// Each is a statement of 1.5 to 9 KiB.
const KEYS_AT_ONCE: usize = 64;
/// A key of 32 bytes under HPKE.
const SEALED_KEY: usize = 48;
/// Delegations that one patient may have given.
const MOST: u64 = 1000;

struct PutDelegation {
    delegation: VerifiedDelegation,
    /// The one in whose place it comes.
    follows: Option<DelegationId>,
}

impl Operation for PutDelegation {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self { delegation, follows } = self;
        let (owner, id) = (delegation.patient_id, delegation.delegation_id);
        let key = tables::delegation(owner, id);
        let message = delegation.to_message();
        if let Some(row) = tx.read(&key).await? {
            let same = row.delegation.as_ref() == Some(&message);
            ensure(same, Problem::AlreadyExists, "another delegation has this id")?;
            return Ok(pb::Accepted {});
        }
        let over = tx.has_passed(delegation.not_after).await;
        ensure(
            !over,
            Problem::DelegationExpired,
            "the delegation is over already",
        )?;
        tx.read_existing(&tables::patient(delegation.delegate_id)).await?;
        for collection in delegation.collections.ids() {
            let row = tx.read(&tables::collection(owner, *collection)).await?;
            ensure(
                row.is_some(),
                Problem::EpochMismatch,
                "there is no such collection",
            )?;
        }
        let count = tx.next_number(*owner.as_bytes(), Counted::Delegations).await?;
        ensure(count <= MOST, Problem::TooMany, "too many delegations")?;
        let delegate = *delegation.delegate_id.as_bytes();
        let accepted = match follows {
            Some(before) => tx.follow(delegation, *before).await?,
            None => false,
        };
        if accepted {
            let daily = tx.shared.limits.inbox.daily_of_known;
            tx.admit_unasked(delegate, *owner.as_bytes(), daily).await?;
        } else {
            tx.admit(Arrival {
                receiver: delegate,
                sender: *owner.as_bytes(),
                what: Asking::Delegation,
                id: id.as_bytes(),
                expires: delegation.not_after,
            })
            .await?;
            tx.has_met(*owner.as_bytes(), delegate).await?;
        }
        let row = DelegationRow {
            delegation: Some(message.clone()),
            accepted,
            ..DelegationRow::default()
        };
        tx.put(&key, &row);
        tx.log(*owner.as_bytes(), &delegation.hash()).await?;
        tx.act(owner, Act::Delegation(id, delegation.hash())).await?;
        tx.record_history(owner, history_entry::What::Delegated(message.clone()))
            .await?;
        let hers = HeldRow {
            owner: Bytes::copy_from_slice(owner.as_bytes()),
            delegation: Bytes::copy_from_slice(id.as_bytes()),
            event: tx.notify(delegate, event::What::Delegated(message)).await?,
        };
        let place = if accepted {
            tables::held_delegation(delegation.delegate_id, id)
        } else {
            tables::offered_delegation(delegation.delegate_id, id)
        };
        tx.claim(&place, &hers).await?;
        Ok(pb::Accepted {})
    }
}

impl Tx<'_> {
    /// Puts a delegation in the place of an earlier one, if that is of the same owner to the same delegate, she has accepted it, it
    /// holds, and none has taken its place (ACC-10). Whether that is so.
    async fn follow(
        &mut self,
        delegation: &VerifiedDelegation,
        before: DelegationId,
    ) -> Result<bool, Refusal> {
        let key = tables::delegation(delegation.patient_id, before);
        let Some(mut row) = self.read(&key).await? else {
            return Ok(false);
        };
        let signed = delegation_of(&row)?;
        let before = signed.claimed();
        let to_her = before.delegate_id == delegation.delegate_id;
        let over = self.has_passed(before.not_after).await;
        let holds = row.accepted && !row.refused && row.end.is_none() && !over;
        if !to_her || !holds || row.followed {
            return Ok(false);
        }
        row.followed = true;
        self.put(&key, &row);
        Ok(true)
    }
}

struct PutKeys {
    patient: PatientId,
    delegation: DelegationId,
    keys: Vec<PatientVerified<DelegatedKey>>,
}

impl Operation for PutKeys {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let owner = self.patient;
        let key = tables::delegation(owner, self.delegation);
        let mut row = tx.read_existing(&key).await?;
        let signed = delegation_of(&row)?;
        let delegation = signed.claimed();
        // A key may come before its time, and not after it.
        let ended = row.end.is_some() && !Defence::DelegationLife.is_off();
        ensure(!ended, Problem::DelegationEnded, "the delegation has ended")?;
        let over = tx.has_passed(delegation.not_after).await && !Defence::DelegationLife.is_off();
        ensure(!over, Problem::DelegationExpired, "the delegation is over")?;
        for given in &self.keys {
            let of = Collection {
                id: given.collection_id,
                epoch: given.epoch,
            };
            let fits = given.delegation_hash == signed.hash() && delegation.collections.has(of.id);
            ensure(fits, Problem::NotPermitted, "a key of another delegation")?;
            let open = tx.open_epochs(owner, of.id).await?.contains(&of.epoch);
            ensure(open, Problem::EpochMismatch, "there is no such epoch")?;
            let epoch = pb::GivenEpoch {
                collection_id: Bytes::copy_from_slice(of.id.as_bytes()),
                epoch: of.epoch,
            };
            if !row.given.contains(&epoch) {
                row.given.push(epoch);
            }
            tx.put(
                &tables::delegated_key(owner, self.delegation, of),
                &given.to_message(),
            );
        }
        tx.put(&key, &row);
        Ok(pb::Accepted {})
    }
}

struct EndDelegation {
    end: PatientVerified<DelegationEnd>,
}

impl Operation for EndDelegation {
    type Answer = pb::Accepted;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self { end } = self;
        tx.protects = true;
        let owner = end.patient_id;
        let key = tables::delegation(owner, end.delegation_id);
        let mut row = tx.read_existing(&key).await?;
        let signed = delegation_of(&row)?;
        let same = signed.hash() == end.delegation_hash;
        ensure(same, Problem::NotPermitted, "it ends another delegation")?;
        if row.end.is_some() {
            return Ok(pb::Accepted {});
        }
        row.end = Some(end.to_message());
        for given in &row.given {
            let id = CollectionId::try_from(given.collection_id.as_ref()).map_err(Refusal::damaged)?;
            let of = Collection {
                id,
                epoch: given.epoch,
            };
            // Nothing more is sealed to the delegate (DLG-10).
            tx.delete(&tables::delegated_key(owner, end.delegation_id, of));
        }
        tx.put(&key, &row);
        tx.log(*owner.as_bytes(), &end.hash()).await?;
        tx.act(owner, Act::DelegationEnd(end.delegation_id, end.hash()))
            .await?;
        let message = end.to_message();
        tx.record_history(owner, history_entry::What::DelegationEnded(message.clone()))
            .await?;
        let delegate = signed.claimed().delegate_id;
        // Whoever never accepted it has nothing to do with its end.
        if !tx.withdraw_offer(owner, delegate, end.delegation_id).await? && !row.refused {
            tx.notify(*delegate.as_bytes(), event::What::DelegationEnded(message))
                .await?;
        }
        Ok(pb::Accepted {})
    }
}
