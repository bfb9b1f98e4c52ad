//! Memory for bodies in transit, coming and going: each holds its share from before it is read or made
//! until nothing of it is left. Whoever finds too little waits, and is refused after a time. Nobody who holds
//! a share waits for another one, so that no two can wait for each other.

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

use crate::{config::Limits, vault::Refusal};

/// One for the process. Counts whole KiB.
pub(super) struct BodyMemory {
    most: usize,
    free: Arc<Semaphore>,
    /// What the answers of each principal may hold; principals whose answers hold nothing are forgotten.
    answers: Mutex<HashMap<[u8; 32], Weak<Semaphore>>>,
    patience: Duration,
}

/// Memory that is counted as in use, until dropped.
pub(super) struct Share {
    permit: OwnedSemaphorePermit,
    /// Of an answer: also counted for who asked.
    own: Option<OwnedSemaphorePermit>,
}

impl BodyMemory {
    pub(super) fn new(limits: &Limits) -> Self {
        let most = kib(limits.body_memory);
        Self {
            most,
            free: Arc::new(Semaphore::new(most)),
            answers: Mutex::default(),
            patience: limits.queue_timeout,
        }
    }

    /// Bytes in use.
    pub(super) fn in_use(&self) -> usize {
        self.most
            .saturating_sub(self.free.available_permits())
            .saturating_mul(1024)
    }

    /// Waits for so many bytes; for all there are, if they are fewer.
    ///
    /// # Errors
    /// `unavailable` after the queue timeout.
    pub(super) async fn reserve(&self, bytes: usize) -> Result<Share, Refusal> {
        let deadline = Instant::now() + self.patience;
        let permit = take(&self.free, kib(bytes).min(self.most), deadline).await?;
        Ok(Share { permit, own: None })
    }

    /// As [`BodyMemory::reserve`], for an answer. All answers to one principal hold at most half of the
    /// memory, or one answer that needs more: who reads slowly is first in his own way.
    ///
    /// # Errors
    /// `unavailable` after the queue timeout.
    pub(super) async fn reserve_answer(&self, principal: [u8; 32], bytes: u64) -> Result<Share, Refusal> {
        let deadline = Instant::now() + self.patience;
        let wanted = kib(usize::try_from(bytes).unwrap_or(usize::MAX)).min(self.most);
        // Always in this order, so that nobody waits behind one who waits for himself.
        let own = take(&self.answers_of(principal), wanted.min(self.half()), deadline).await?;
        let permit = take(&self.free, wanted, deadline).await?;
        Ok(Share {
            permit,
            own: Some(own),
        })
    }

    fn half(&self) -> usize {
        self.most.div_ceil(2)
    }

    fn answers_of(&self, principal: [u8; 32]) -> Arc<Semaphore> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = answers.get(&principal).and_then(Weak::upgrade) {
            return own;
        }
        answers.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.half()));
        answers.insert(principal, Arc::downgrade(&own));
        own
    }
}

impl Share {
    /// Gives back what exceeds so many bytes.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        for permit in [Some(&mut self.permit), self.own.as_mut()].into_iter().flatten() {
            let surplus = permit.num_permits().saturating_sub(kib(bytes));
            drop(permit.split(surplus));
        }
    }
}

async fn take(from: &Arc<Semaphore>, kib: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, Refusal> {
    let wanted = u32::try_from(kib).unwrap_or(u32::MAX);
    match timeout_at(deadline, Arc::clone(from).acquire_many_owned(wanted)).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Refusal::new(Problem::Unavailable, "no memory for bodies is free")),
    }
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024).min(Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(most: usize) -> BodyMemory {
        BodyMemory {
            most,
            free: Arc::new(Semaphore::new(most)),
            answers: Mutex::default(),
            patience: Duration::from_millis(20),
        }
    }

    #[tokio::test]
    async fn what_is_held_is_counted_until_it_shrinks_or_goes() {
        let memory = memory(8);
        let mut share = memory.reserve_answer([1; 32], 3 << 10).await.unwrap();
        assert_eq!(memory.in_use(), 3 << 10);
        share.shrink_to(1);
        assert_eq!(memory.in_use(), 1 << 10);
        share.shrink_to(1 << 20);
        assert_eq!(memory.in_use(), 1 << 10);
        drop(share);
        assert_eq!(memory.in_use(), 0);
    }

    #[tokio::test]
    async fn one_who_wants_more_than_there_is_gets_all() {
        let memory = memory(8);
        let all = memory.reserve_answer([1; 32], 1 << 20).await.unwrap();
        assert_eq!(memory.in_use(), 8 << 10);
        assert!(memory.reserve(1).await.is_err());
        drop(all);
        assert!(memory.reserve(1).await.is_ok());
    }

    #[tokio::test]
    async fn one_principal_waits_for_itself_and_not_in_the_way_of_others() {
        let memory = memory(8);
        let _held = memory.reserve_answer([1; 32], 4 << 10).await.unwrap();
        let (own, other) = tokio::join!(
            memory.reserve_answer([1; 32], 1),
            memory.reserve_answer([2; 32], 4 << 10)
        );
        assert!(own.is_err() && other.is_ok());
    }

    #[tokio::test]
    async fn principals_are_forgotten() {
        let memory = memory(8);
        for principal in 0..100 {
            drop(memory.reserve_answer([principal; 32], 1).await.unwrap());
        }
        assert_eq!(memory.answers.lock().unwrap().len(), 1);
    }
}
