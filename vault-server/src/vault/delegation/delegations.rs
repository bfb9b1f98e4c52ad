//! What patients let others do in their vaults: given, keyed, ended by the owner's devices. See `spec/delegates.md`.

use bytes::Bytes;
use protocol_spec::{
    bodies::{DelegatedKey, DelegationEnd},
    collection::Collection,
    defence::Defence,
    delegation::VerifiedDelegation,
    ids::{CollectionId, DelegationId, PatientId},
    messages as pb,
    patient::PatientVerified,
    problem::Problem,
    submitted,
    vault_head::Act,
};

use crate::vault::{
    ask::received::{self, Arrival, Asking},
    core::{
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::OwnDevice,
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
    },
    delegation::{delegation_rows, held},
    keep::collections,
    tables::{self, Counted, DelegationRow, HeldRow},
    telling::tell::{self, Tells},
    who::caller::Caller,
};

use pb::{event, history_entry};

/// What the caller lets others do, in the order of ids, after this one.
pub(crate) async fn given_delegations(
    shared: &Shared,
    caller: &Caller,
    after: Option<DelegationId>,
    limit: usize,
) -> Result<pb::DelegationPage, Refusal> {
    let owner = caller.patient()?;
    let first = tables::delegations(owner).behind(after);
    let (rows, more) = shared.short_page(first, limit).await?;
    let mut page = pb::DelegationPage::default();
    if let Some(last) = rows.last().filter(|_| more) {
        page.next = Bytes::copy_from_slice(
            delegation_rows::delegation_of(last)?
                .claimed()
                .delegation_id
                .as_bytes(),
        );
    }
    page.delegations = rows.into_iter().map(delegation_rows::entry).collect();
    Ok(page)
}

/// Delegations that one patient may have given.
const MOST: u64 = 1000;

/// A patient lets another one act in her vault; never does a delegate (DLG-2).
pub(crate) struct PutDelegation {
    delegation: Admitted<VerifiedDelegation>,
    /// The one in whose place it comes.
    follows: Option<DelegationId>,
}

impl Submission for PutDelegation {
    type Message = submitted::PutDelegation;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            delegation: who.statement(message.delegation)?,
            follows: message.in_place_of,
        })
    }
}

impl Operation for PutDelegation {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { delegation, follows } = self;
        let (owner, id) = (delegation.patient_id, delegation.delegation_id);
        let key = tables::delegation(owner, id);
        let message = delegation.to_message();
        if let Some(row) = tx.read(&key).await? {
            let same = row.delegation.as_ref() == Some(&message);
            ensure(same, Problem::AlreadyExists, "another delegation has this id")?;
            return Ok(());
        }
        check_new(tx, delegation).await?;
        let delegate = *delegation.delegate_id.as_bytes();
        let accepted = match follows {
            Some(before) => follow(tx, delegation, *before).await?,
            None => false,
        };
        arrive(tx, delegation, accepted).await?;
        let row = DelegationRow {
            delegation: Some(message.clone()),
            accepted,
            ..DelegationRow::default()
        };
        tx.put(&key, &row);
        let tells = Tells::logged(owner, delegation)
            .act(Act::Delegation(id, delegation.hash()))
            .history(history_entry::What::Delegated(message.clone()))
            .inbox(delegate, event::What::Delegated(message));
        let hers = HeldRow {
            owner: Bytes::copy_from_slice(owner.as_bytes()),
            delegation: Bytes::copy_from_slice(id.as_bytes()),
            event: tell::tell(tx, tells).await?.event,
        };
        let place = if accepted {
            tables::held_delegation(delegation.delegate_id, id)
        } else {
            tables::offered_delegation(delegation.delegate_id, id)
        };
        tx.claim(&place, &hers).await
    }
}

/// Whether a delegation begins something: it is not over, its delegate and its collections are there, and there are not too many.
async fn check_new(tx: &mut Tx<'_>, delegation: &VerifiedDelegation) -> Result<(), Refusal> {
    let owner = delegation.patient_id;
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
    ensure(count <= MOST, Problem::TooMany, "too many delegations")
}

/// Counts what comes before the delegate: one that she has accepted before goes on, any other asks her (ACC-8, ACC-10).
async fn arrive(tx: &mut Tx<'_>, delegation: &VerifiedDelegation, accepted: bool) -> Result<(), Refusal> {
    let (owner, delegate) = (
        *delegation.patient_id.as_bytes(),
        *delegation.delegate_id.as_bytes(),
    );
    if accepted {
        let daily = tx.shared.limits.inbox.daily_of_known;
        return received::admit_unasked(tx, delegate, owner, daily).await;
    }
    let arrival = Arrival {
        receiver: delegate,
        sender: owner,
        what: Asking::Delegation,
        id: delegation.delegation_id.as_bytes(),
        expires: delegation.not_after,
    };
    received::admit(tx, arrival).await?;
    received::has_met(tx, owner, delegate).await?;
    Ok(())
}

/// Puts a delegation in the place of an earlier one, if that is of the same owner to the same delegate, she has accepted it, it
/// holds, and none has taken its place (ACC-10). Whether that is so.
async fn follow(
    tx: &mut Tx<'_>,
    delegation: &VerifiedDelegation,
    before: DelegationId,
) -> Result<bool, Refusal> {
    let key = tables::delegation(delegation.patient_id, before);
    let Some(mut row) = tx.read(&key).await? else {
        return Ok(false);
    };
    let signed = delegation_rows::delegation_of(&row)?;
    let before = signed.claimed();
    let to_her = before.delegate_id == delegation.delegate_id;
    let over = tx.has_passed(before.not_after).await;
    let holds = row.accepted && !row.refused && row.end.is_none() && !over;
    if !to_her || !holds || row.followed {
        return Ok(false);
    }
    row.followed = true;
    tx.put(&key, &row);
    Ok(true)
}

/// A patient gives a delegate keys of her collections (DLG-4).
pub(crate) struct PutKeys {
    patient: PatientId,
    delegation: DelegationId,
    keys: Vec<Admitted<PatientVerified<DelegatedKey>>>,
}

impl Submission for PutKeys {
    type Message = submitted::PutDelegatedKeys;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        let keys: Result<_, _> = message.keys.into_iter().map(|key| who.statement(key)).collect();
        Ok(Self {
            patient: who.principal(),
            delegation: message.delegation_id,
            keys: keys?,
        })
    }
}

impl Operation for PutKeys {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let owner = self.patient;
        let key = tables::delegation(owner, self.delegation);
        let mut row = tx.read_existing(&key).await?;
        let signed = delegation_rows::delegation_of(&row)?;
        let delegation = signed.claimed();
        // A key may come before its time, and not after it.
        ensure(
            Defence::DelegationLife.holds(row.end.is_none()),
            Problem::DelegationEnded,
            "the delegation has ended",
        )?;
        let over = tx.has_passed(delegation.not_after).await;
        ensure(
            Defence::DelegationLife.holds(!over),
            Problem::DelegationExpired,
            "the delegation is over",
        )?;
        for given in &self.keys {
            let of = Collection {
                id: given.collection_id,
                epoch: given.epoch,
            };
            let fits = given.delegation_hash == signed.hash() && delegation.collections.has(of.id);
            ensure(fits, Problem::NotPermitted, "a key of another delegation")?;
            let open = collections::open_epochs(tx, owner, of.id)
                .await?
                .contains(&of.epoch);
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
        Ok(())
    }
}

/// A patient ends a delegation. The same again changes nothing.
pub(crate) struct EndDelegation {
    end: Admitted<PatientVerified<DelegationEnd>>,
}

impl Submission for EndDelegation {
    type Message = submitted::EndDelegation;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            end: who.statement(message.end)?,
        })
    }
}

impl Operation for EndDelegation {
    type Answer = ();

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { end } = self;
        tx.protects = true;
        let owner = end.patient_id;
        let key = tables::delegation(owner, end.delegation_id);
        let mut row = tx.read_existing(&key).await?;
        let signed = delegation_rows::delegation_of(&row)?;
        let same = signed.hash() == end.delegation_hash;
        ensure(same, Problem::NotPermitted, "it ends another delegation")?;
        if row.end.is_some() {
            return Ok(());
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
        let message = end.to_message();
        let tells = Tells::logged(owner, end)
            .act(Act::DelegationEnd(end.delegation_id, end.hash()))
            .history(history_entry::What::DelegationEnded(message.clone()));
        tell::tell(tx, tells).await?;
        let delegate = signed.claimed().delegate_id;
        // Whoever never accepted it has nothing to do with its end.
        if !held::withdraw_offer(tx, owner, delegate, end.delegation_id).await? && !row.refused {
            let told = event::What::DelegationEnded(message);
            tell::tell(tx, Tells::of(owner).inbox(*delegate.as_bytes(), told)).await?;
        }
        Ok(())
    }
}
