//! Memory for bodies in transit, coming and going: each holds its share from before it is read or made
//! until nothing of it is left. Whoever finds too little waits, and is refused after a time. Nobody who holds
//! a share waits for another one, so that no two can wait for each other.
//!
//! Each of the three sections is out of reach for what the others serve, and nobody gets all of one:
//!
//! | section | for | one takes at most |
//! |---|---|---|
//! | transfers | leaves, long messages, long answers | a principal: `principal_share` percent |
//! | messages | short messages and answers, inboxes, lists of permissions | a principal: an eighth |
//! | public | what nobody has signed | a connection: `connection_memory`; long pages: half |

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use protocol_spec::problem::Problem;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::{
    config::{Limits, MESSAGE_PARTS, PUBLIC_PAGE_PARTS},
    vault::Refusal,
};

/// What is as short is a message, and never waits for transfers. A revocation has some 3 KiB.
const MESSAGE: u64 = 64 << 10;

/// One for the process. Counts whole KiB.
pub(super) struct BodyMemory {
    transfers: Section,
    /// None: messages take their share of the transfers' memory.
    messages: Option<Section>,
    public: Arc<Semaphore>,
    /// What long pages may take of `public`.
    public_pages: Arc<Semaphore>,
    connection: usize,
    most: usize,
    patience: Duration,
}

/// In whose share a body is counted.
pub(super) enum Payer {
    /// Who signed the request.
    Principal([u8; 32]),
    /// The connection that an unsigned request came on: see [`BodyMemory::of_connection`].
    Connection(Arc<Semaphore>),
}

/// Memory that is counted as in use, until dropped: in the share of somebody, and in all.
pub(super) struct Share(Vec<OwnedSemaphorePermit>);

impl BodyMemory {
    pub(super) fn new(limits: &Limits) -> Self {
        let size = |bytes| kib(length(bytes));
        let (transfers, public) = (size(limits.body_memory), size(limits.public_memory));
        let messages = size(limits.message_memory);
        let each = size(limits.message_memory / MESSAGE_PARTS);
        Self {
            transfers: Section::new(transfers, size(limits.principal_memory())),
            messages: (messages > 0).then(|| Section::new(messages, each)),
            public: Arc::new(Semaphore::new(public)),
            public_pages: Arc::new(Semaphore::new(public.div_ceil(PUBLIC_PAGE_PARTS))),
            connection: size(limits.connection_memory),
            most: transfers + messages + public,
            patience: limits.queue_timeout,
        }
    }

    /// What a new connection may take for what nobody has signed.
    pub(super) fn of_connection(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.connection))
    }

    /// Bytes in use.
    pub(super) fn in_use(&self) -> usize {
        let messages = self.messages.as_ref().map(|section| &section.free);
        let free: usize = [Some(&self.transfers.free), messages, Some(&self.public)]
            .into_iter()
            .flatten()
            .map(|free| free.available_permits())
            .sum();
        self.most.saturating_sub(free).saturating_mul(1024)
    }

    /// Waits for so many bytes; for all that the payer may have, if they are fewer.
    ///
    /// # Errors
    /// `unavailable` after the queue timeout.
    pub(super) async fn reserve(&self, payer: &Payer, bytes: u64) -> Result<Share, Refusal> {
        match payer {
            Payer::Principal(_) if bytes <= MESSAGE => self.reserve_page(payer, bytes).await,
            Payer::Principal(principal) => {
                self.take(self.transfers.of(*principal), self.transfers.each, bytes)
                    .await
            }
            Payer::Connection(own) => {
                let from = [own, &self.public].map(Arc::clone);
                self.take(from.into(), self.connection, bytes).await
            }
        }
    }

    /// As [`BodyMemory::reserve`], for a page that everybody must be able to read: transfers are not in its
    /// way, nor is it in the way of short public answers.
    ///
    /// # Errors
    /// `unavailable` after the queue timeout.
    pub(super) async fn reserve_page(&self, payer: &Payer, bytes: u64) -> Result<Share, Refusal> {
        match payer {
            Payer::Principal(principal) => {
                let section = self.messages.as_ref().unwrap_or(&self.transfers);
                self.take(section.of(*principal), section.each, bytes).await
            }
            Payer::Connection(own) => {
                let from = [own, &self.public_pages, &self.public].map(Arc::clone);
                self.take(from.into(), self.connection, bytes).await
            }
        }
    }

    /// From one after the other, always the payer's own first: nobody waits behind one who waits for himself.
    async fn take(&self, from: Vec<Arc<Semaphore>>, most: usize, bytes: u64) -> Result<Share, Refusal> {
        let deadline = Instant::now() + self.patience;
        let wanted = u32::try_from(kib(bytes).min(most)).unwrap_or(u32::MAX);
        let mut share = Share(Vec::with_capacity(from.len()));
        for semaphore in from {
            match timeout_at(deadline, semaphore.acquire_many_owned(wanted)).await {
                Ok(Ok(permit)) => share.0.push(permit),
                _ => return Err(Refusal::new(Problem::Unavailable, "no memory for bodies is free")),
            }
        }
        Ok(share)
    }
}

impl Share {
    /// Gives back what exceeds so many bytes.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        for permit in &mut self.0 {
            let surplus = permit.num_permits().saturating_sub(kib(length(bytes)));
            drop(permit.split(surplus));
        }
    }
}

/// Memory that principals share.
struct Section {
    free: Arc<Semaphore>,
    /// What one principal may hold.
    each: usize,
    /// Principals that hold nothing are forgotten.
    principals: Mutex<HashMap<[u8; 32], Weak<Semaphore>>>,
}

impl Section {
    fn new(most: usize, each: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            each: each.clamp(1, most.max(1)),
            principals: Mutex::default(),
        }
    }

    /// The principal's own, and all.
    fn of(&self, principal: [u8; 32]) -> Vec<Arc<Semaphore>> {
        let mut principals = self.principals.lock().unwrap_or_else(PoisonError::into_inner);
        let own = principals.get(&principal).and_then(Weak::upgrade);
        let own = own.unwrap_or_else(|| {
            principals.retain(|_, own| own.strong_count() > 0);
            let own = Arc::new(Semaphore::new(self.each));
            principals.insert(principal, Arc::downgrade(&own));
            own
        });
        vec![own, Arc::clone(&self.free)]
    }
}

fn kib(bytes: u64) -> usize {
    let kib = usize::try_from(bytes.div_ceil(1024)).unwrap_or(usize::MAX);
    kib.min(Semaphore::MAX_PERMITS >> 2)
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
