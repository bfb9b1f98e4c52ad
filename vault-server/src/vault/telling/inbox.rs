//! Inboxes: durable, numbered from 1 without gaps, delivered in order and at least once. A wake is a hint
//! that may be lost or repeated; the rows are the truth.

use std::future::Future;

use protocol_spec::{ids::PatientId, messages as pb};

use crate::vault::{
    core::{refusal::Refusal, shared::Shared, tx::Tx},
    tables::{self, Counted},
    who::caller::Caller,
};

use pb::event::What;

/// The caller's events after this number, oldest first, and the number of the newest.
pub(crate) async fn inbox(
    shared: &Shared,
    caller: &Caller,
    after: u64,
    limit: usize,
) -> Result<pb::InboxPage, Refusal> {
    let principal = caller.principal();
    let first = tables::inbox(principal, after.saturating_add(1));
    let (mut events, _) = shared.short_page(first, limit).await?;
    for event in &mut events {
        // Receipts come to the patient whose vault they are about.
        if let Some(What::Stored(receipt) | What::Released(receipt) | What::TakenBack(receipt)) =
            &mut event.what
        {
            let patient = PatientId::from_bytes(caller.principal());
            shared.complete(patient, receipt).await?;
        }
    }
    let count = tables::count(principal, Counted::Inbox);
    let count = count.get(&*shared.ledger).await?.unwrap_or_default();
    Ok(pb::InboxPage {
        events,
        newest: count.value,
    })
}

/// Resolves once something may have come. It counts from its creation on, not from its first poll:
/// create it, then read the inbox, then await it.
pub(crate) fn inbox_changed(shared: &Shared, caller: &Caller) -> impl Future<Output = ()> + Send + use<> {
    let mut changes = shared.wakes.subscribe(caller.principal());
    async move {
        // The sender goes only when the vault does: then look again, too.
        let _ = changes.changed().await;
    }
}

/// Puts an event into a principal's inbox (FLW-11); its number.
pub(in crate::vault) async fn notify(
    tx: &mut Tx<'_>,
    principal: [u8; 32],
    what: What,
) -> Result<u64, Refusal> {
    let number = tx.next_number(principal, Counted::Inbox).await?;
    let event = pb::Event {
        number,
        at: tx.now,
        what: Some(what),
    };
    tx.put(&tables::inbox(principal, number), &event);
    tx.wake(principal);
    Ok(number)
}

/// Leaves nothing of an event but its number (ACC-9).
pub(in crate::vault) async fn empty_event(
    tx: &mut Tx<'_>,
    principal: [u8; 32],
    number: u64,
) -> Result<(), Refusal> {
    let key = tables::inbox(principal, number);
    let mut event = tx.read_existing(&key).await?;
    event.what = Some(What::Deleted(pb::Deleted::default()));
    tx.put(&key, &event);
    Ok(())
}
