//! A place in the queue of those who wait in one name.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use super::share::Share;
use super::{Account, Accounts, Key, Pool, WaitingRequest};

/// A place in a queue, until dropped.
pub(super) struct QueuePlace {
    pool: Arc<Pool>,
    queue: Key,
    number: u64,
    pub(super) granted: oneshot::Receiver<Share>,
}

impl QueuePlace {
    /// None, if too many are before it.
    pub(super) fn in_queue(
        pool: &Arc<Pool>,
        state: &mut Accounts,
        account: Arc<Account>,
        amount: usize,
    ) -> Option<Self> {
        let (queue, number) = (account.queue(), state.number());
        let waiting = state.waiting.entry(queue).or_default();
        if waiting.len() >= LONGEST_QUEUE {
            return None;
        }
        let (sender, granted) = oneshot::channel();
        waiting.push_back(WaitingRequest {
            number,
            since: Instant::now(),
            account,
            amount,
            granted: sender,
        });
        Some(Self {
            pool: Arc::clone(pool),
            queue,
            number,
            granted,
        })
    }
}

/// As many as a principal may have requests running: more of one address are refused at once.
const LONGEST_QUEUE: usize = 64;

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let was_first = self.pool.lock().leave(self.queue, self.number);
        // Only the first of a queue has others wait behind it.
        if was_first {
            self.pool.serve_the_next();
        }
    }
}

impl Accounts {
    /// Whether it was the first of those who still wait in this queue.
    fn leave(&mut self, queue: Key, number: u64) -> bool {
        let Some(waiting) = self.waiting.get_mut(&queue) else {
            return false;
        };
        let place = waiting.iter().position(|other| other.number == number);
        if let Some(place) = place {
            drop(waiting.remove(place));
        }
        if waiting.is_empty() {
            self.waiting.remove(&queue);
        }
        place == Some(0)
    }
}
