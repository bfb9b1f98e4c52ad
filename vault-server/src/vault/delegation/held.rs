//! What others let a patient do: offered to her, and hers once she has accepted it. See `spec/delegates.md` §1.

use protocol_spec::{
    ids::{DelegationId, PatientId},
    messages as pb,
    problem::Problem,
    submitted,
};

use crate::vault::{
    ask::received::{self, Asking},
    core::{
        account,
        proven::Proven,
        refusal::{Refusal, ensure},
        role::OwnDevice,
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
    },
    delegation::delegation_rows::{self, entry},
    tables::{self, HeldRow, RowKey},
    telling::inbox,
    who::caller::Caller,
};

/// What the caller has accepted, in the order of ids, after this one.
pub(crate) async fn held_delegations(
    shared: &Shared,
    caller: &Caller,
    after: Option<DelegationId>,
    limit: usize,
) -> Result<pb::DelegationPage, Refusal> {
    let first = tables::held_delegations(caller.patient()?);
    delegations_from(shared, first, after, limit).await
}

/// What the caller was offered and has not answered, in the order of ids, after this one.
pub(crate) async fn offered_delegations(
    shared: &Shared,
    caller: &Caller,
    after: Option<DelegationId>,
    limit: usize,
) -> Result<pb::DelegationPage, Refusal> {
    let first = tables::offered_delegations(caller.patient()?);
    delegations_from(shared, first, after, limit).await
}

async fn delegations_from(
    shared: &Shared,
    first: RowKey<HeldRow>,
    after: Option<DelegationId>,
    limit: usize,
) -> Result<pb::DelegationPage, Refusal> {
    let first = first.behind(after);
    let (rows, more) = shared.short_page(first, limit.min(OF_PAGE)).await?;
    let mut page = pb::DelegationPage::default();
    for HeldRow {
        owner, delegation, ..
    } in rows
    {
        let owner = PatientId::try_from(owner.as_ref()).map_err(Refusal::damaged)?;
        let id = DelegationId::try_from(delegation.as_ref()).map_err(Refusal::damaged)?;
        let row = tables::delegation(owner, id).get(&*shared.ledger).await?;
        let row = row.ok_or_else(|| Refusal::damaged("a delegation has no row"))?;
        page.delegations.push(pb::DelegationEntry {
            given: Vec::new(),
            ..entry(row)
        });
        if more {
            page.next = delegation;
        }
    }
    Ok(page)
}

/// The caller accepts what she was offered: from now on she may act (ACC-10). The same again changes nothing.
pub(crate) struct AcceptDelegation {
    delegate: PatientId,
    id: DelegationId,
}

impl Submission for AcceptDelegation {
    type Message = submitted::AcceptDelegation;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            delegate: who.principal(),
            id: message.delegation_id,
        })
    }
}

impl Operation for AcceptDelegation {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { delegate, id } = *self;
        let (offered, held) = (
            tables::offered_delegation(delegate, id),
            tables::held_delegation(delegate, id),
        );
        if tx.read(&held).await?.is_some() {
            return Ok(());
        }
        let row = tx.read_existing(&offered).await?;
        let owner = PatientId::try_from(row.owner.as_ref()).map_err(Refusal::damaged)?;
        let key = tables::delegation(owner, id);
        let mut given = tx.read_existing(&key).await?;
        let not_after = delegation_rows::delegation_of(&given)?.claimed().not_after;
        let over = tx.has_passed(not_after).await;
        ensure(!over, Problem::DelegationExpired, "the delegation is over")?;
        given.accepted = true;
        tx.put(&key, &given);
        tx.put(&held, &row);
        tx.delete(&offered);
        received::settle(
            tx,
            *delegate.as_bytes(),
            *owner.as_bytes(),
            Asking::Delegation,
            id.as_bytes(),
        )
        .await?;
        let (delegate, owner) = (*delegate.as_bytes(), *owner.as_bytes());
        if received::has_met(tx, delegate, owner).await? {
            account::have_met(tx, delegate, owner).await?;
        }
        Ok(())
    }
}

/// Takes an offer away that was not accepted, with its event; whether there was one.
pub(in crate::vault) async fn withdraw_offer(
    tx: &mut Tx<'_>,
    owner: PatientId,
    delegate: PatientId,
    id: DelegationId,
) -> Result<bool, Refusal> {
    let key = tables::offered_delegation(delegate, id);
    let Some(row) = tx.read(&key).await? else {
        return Ok(false);
    };
    tx.delete(&key);
    let receiver = *delegate.as_bytes();
    inbox::empty_event(tx, receiver, row.event).await?;
    received::settle(tx, receiver, *owner.as_bytes(), Asking::Delegation, id.as_bytes()).await?;
    Ok(true)
}

/// A delegation each is two statements with their chains.
const OF_PAGE: usize = 64;
