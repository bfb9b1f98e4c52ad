//! Inboxes: durable, numbered from 1 without gaps, delivered in order and at least once. A wake is a hint
//! that may be lost or repeated; the rows are the truth.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
};

use protocol_spec::{ids::PatientId, messages as pb};
use tokio::sync::watch;

use super::{
    Caller, Refusal, Vault,
    tables::{self, Counted},
    tx::Tx,
};

use pb::event::What;

impl Vault {
    /// The caller's events after this number, oldest first, and the number of the newest.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn inbox(&self, caller: &Caller, after: u64, limit: usize) -> Result<pb::InboxPage, Refusal> {
        let principal = caller.principal();
        let first = tables::inbox(principal, after.saturating_add(1));
        let (mut events, _) = self.shared.short_page(first, limit).await?;
        for event in &mut events {
            // Receipts come to the patient whose vault they are about.
            if let Some(What::Stored(receipt) | What::Released(receipt) | What::TakenBack(receipt)) =
                &mut event.what
            {
                let patient = PatientId::from_bytes(caller.principal());
                self.shared.complete(patient, receipt).await?;
            }
        }
        let count = tables::count(principal, Counted::Inbox);
        let count = count.get(&*self.shared.ledger).await?.unwrap_or_default();
        Ok(pb::InboxPage {
            events,
            newest: count.value,
        })
    }

    /// Resolves once something may have come. It counts from its creation on, not from its first poll:
    /// create it, then read the inbox, then await it.
    pub fn inbox_changed(&self, caller: &Caller) -> impl Future<Output = ()> + Send + use<> {
        let mut changes = self.shared.wakes.subscribe(caller.principal());
        async move {
            // The sender goes only when the vault does: then look again, too.
            let _ = changes.changed().await;
        }
    }
}

impl Tx<'_> {
    /// Puts an event into a principal's inbox (FLW-11); its number.
    pub(super) async fn notify(&mut self, principal: [u8; 32], what: What) -> Result<u64, Refusal> {
        let number = self.next_number(principal, Counted::Inbox).await?;
        let event = pb::Event {
            number,
            at: self.now,
            what: Some(what),
        };
        self.put(&tables::inbox(principal, number), &event);
        self.wake(principal);
        Ok(number)
    }

    /// Leaves nothing of an event but its number (ACC-9).
    pub(super) async fn empty_event(&mut self, principal: [u8; 32], number: u64) -> Result<(), Refusal> {
        let key = tables::inbox(principal, number);
        let mut event = self.read_existing(&key).await?;
        event.what = Some(What::Deleted(pb::Deleted::default()));
        self.put(&key, &event);
        Ok(())
    }
}

/// Who waits for which inbox.
#[derive(Default)]
pub(super) struct Wakes {
    waiting: Mutex<HashMap<[u8; 32], watch::Sender<()>>>,
}

impl Wakes {
    fn subscribe(&self, principal: [u8; 32]) -> watch::Receiver<()> {
        let mut waiting = self.waiting();
        waiting.retain(|_, sender| sender.receiver_count() > 0);
        waiting.entry(principal).or_default().subscribe()
    }

    /// Wakes whoever waits for this inbox.
    pub(super) fn wake(&self, principal: &[u8; 32]) {
        if let Some(sender) = self.waiting().get(principal) {
            sender.send_replace(());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<[u8; 32], watch::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
