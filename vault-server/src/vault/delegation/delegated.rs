//! What a delegate sees of the vault in which she acts.

use std::sync::Arc;

use bytes::Bytes;
use protocol_spec::{
    collection::Collection,
    delegation::Power,
    ids::{DelegationId, PatientId, RequestId},
    messages as pb,
    problem::Problem,
    request::RequestSignature,
};

use crate::vault::{
    ask::asked::request_place,
    core::{refusal::Refusal, shared::Shared, weakened},
    delegation::{acting, delegation_rows::delegation_of},
    tables,
    who::{caller::Caller, principal::Acting},
};

/// The caller as a delegate, by the delegation that its request names (DLG-5).
pub(crate) async fn act(
    shared: &Shared,
    caller: Caller,
    delegation: DelegationId,
    request: &RequestSignature,
) -> Result<Caller, Refusal> {
    let absent = || Refusal::absent("no such delegation of the caller's");
    let Caller::Patient { id, device, key } = caller else {
        return Err(absent());
    };
    let ledger = &*shared.ledger;
    let held = match tables::held_delegation(id, delegation).get(ledger).await? {
        Some(held) => held,
        None => {
            let offered = tables::offered_delegation(id, delegation).get(ledger).await?;
            let offered = offered.ok_or_else(absent)?;
            let accepted = weakened::accepted(offered);
            accepted.ok_or_else(|| Refusal::new(Problem::NotAccepted, "the delegation was not accepted"))?
        }
    };
    let owner = held.owner;
    let owner = PatientId::try_from(owner.as_ref()).map_err(Refusal::damaged)?;
    let row = tables::delegation(owner, delegation).get(ledger).await?;
    let signed = delegation_of(&row.ok_or_else(|| Refusal::damaged("a delegation has no row"))?)?;
    let acting = Acting {
        id,
        device,
        key,
        delegation: signed.claimed().clone(),
        hash: signed.hash(),
        request: request.evidence(),
    };
    acting::check_acting_now(shared, &acting).await?;
    Ok(Caller::Delegate(Arc::new(acting)))
}

/// Keys of a collection that the caller was given, by epoch, from this one on.
pub(crate) async fn delegated_keys(
    shared: &Shared,
    caller: &Caller,
    collection: Collection,
    limit: usize,
) -> Result<pb::DelegatedKeyPage, Refusal> {
    shared.log.check_uncontradicted()?;
    let acting = acting(caller)?;
    let (owner, id) = (acting.owner(), acting.delegation.delegation_id);
    let epochs = tables::delegation(owner, id).get(&*shared.ledger).await?;
    let mut given: Vec<u64> = epochs
        .unwrap_or_default()
        .given
        .iter()
        .filter(|given| given.collection_id == collection.id.as_bytes()[..])
        .map(|given| given.epoch)
        .filter(|epoch| *epoch >= collection.epoch)
        .collect();
    given.sort_unstable();
    let mut page = pb::DelegatedKeyPage::default();
    for epoch in given {
        if page.keys.len() >= limit.clamp(1, KEYS_OF_PAGE) {
            page.next = epoch;
            break;
        }
        let key = tables::delegated_key(owner, id, Collection { epoch, ..collection });
        page.keys.extend(key.get(&*shared.ledger).await?);
    }
    Ok(page)
}

/// What institutions ask the patient for whom the caller acts, and is still open.
pub(crate) async fn delegated_requests(
    shared: &Shared,
    caller: &Caller,
    after: Option<RequestId>,
    limit: usize,
) -> Result<pb::RequestPage, Refusal> {
    acting(caller)?;
    let owner = caller.acts_for(Power::Permit)?;
    let after = match after {
        None => None,
        Some(id) => {
            let place = tables::place(&id).get(&*shared.ledger).await?;
            let place = place.ok_or_else(|| Refusal::absent("no such request"))?;
            Some(request_place(place)?.1)
        }
    };
    let first = tables::requests(owner).behind(after);
    let (rows, more) = shared.short_page(first, limit).await?;
    let mut page = pb::RequestPage {
        next: rows
            .last()
            .filter(|_| more)
            .map_or_else(Bytes::new, |row| row.request_id.clone()),
        ..Default::default()
    };
    for row in rows {
        let asked = row.kind() != pb::PermissionKind::Upload;
        let Some(stored) = row.stored.filter(|_| asked) else {
            continue;
        };
        if stored.state() == pb::RequestState::Open && !shared.time.has_passed(row.expires).await {
            page.requests.push(stored);
        }
    }
    Ok(page)
}

pub(in crate::vault) fn acting(caller: &Caller) -> Result<&Acting, Refusal> {
    caller
        .acting()
        .ok_or_else(|| Refusal::absent("only delegates may do this"))
}

/// Most keys of one page: each is a statement with its chain.
pub const KEYS_OF_PAGE: usize = 32;
