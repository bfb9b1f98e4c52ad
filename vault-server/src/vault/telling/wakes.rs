//! Who waits for which inbox.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// Who waits for which inbox.
#[derive(Default)]
pub(in crate::vault) struct Wakes {
    waiting: Mutex<HashMap<[u8; 32], watch::Sender<()>>>,
}

impl Wakes {
    pub(in crate::vault) fn subscribe(&self, principal: [u8; 32]) -> watch::Receiver<()> {
        let mut waiting = self.waiting();
        waiting.retain(|_, sender| sender.receiver_count() > 0);
        waiting.entry(principal).or_default().subscribe()
    }

    /// Wakes whoever waits for this inbox.
    pub(in crate::vault) fn wake(&self, principal: &[u8; 32]) {
        if let Some(sender) = self.waiting().get(principal) {
            sender.send_replace(());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<[u8; 32], watch::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
