//! Who comes first of those who wait, and from whom memory is taken back for him.
//!
//! Each look goes through all queues, and for what is to be taken back through all holdings, with the pool locked. So it is
//! made when something has changed, or for all who wait together, and what is compared is worked out once for each.

use std::{cmp::Reverse, collections::VecDeque, sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::share::{Meter, Share};
use super::{Account, Accounts, HeldMemory, Key, Pool, WaitingRequest};

impl Accounts {
    /// Who waits for what is shared, in the order in which they are served.
    fn line(&self) -> Vec<&WaitingRequest> {
        let heads = self.waiting.values().filter_map(VecDeque::front);
        let for_others = |waiting: &&WaitingRequest| {
            let own = |key: Key| !key.is_shared();
            self.lacking(&waiting.account, waiting.amount, own).is_none()
        };
        let mut line: Vec<_> = heads.filter(for_others).collect();
        line.sort_by_cached_key(|waiting| (self.rank(&waiting.account), waiting.number));
        line
    }

    /// The first in line for each kind of memory that is short, with what it is that he lacks; or one who lacks nothing.
    fn firsts(&self) -> Vec<(&WaitingRequest, Option<Key>)> {
        let mut firsts: Vec<(&WaitingRequest, Option<Key>)> = Vec::new();
        for waiting in self.line() {
            // Nobody overtakes one who waits for the same.
            let behind = |(_, lacking): &(&WaitingRequest, Option<Key>)| {
                lacking.is_some_and(|key| waiting.account.is_under(key))
            };
            if firsts.iter().any(behind) {
                continue;
            }
            let lacking = self.lacking(&waiting.account, waiting.amount, Key::is_shared);
            firsts.push((waiting, lacking));
            if lacking.is_none() || lacking == Some(Key::All) {
                break;
            }
        }
        firsts
    }

    /// A share for who is first in line and lacks nothing.
    pub(super) fn next_grant(&mut self, pool: &Arc<Pool>) -> Option<(oneshot::Sender<Share>, Share)> {
        if self.waiting.is_empty() {
            return None;
        }
        let queue = self
            .firsts()
            .iter()
            .find_map(|(waiting, lacking)| lacking.is_none().then(|| waiting.account.queue()))?;
        let first = self.waiting.get_mut(&queue)?.pop_front()?;
        if self.waiting.get(&queue).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(&queue);
        }
        let share = self.grant(pool, first.account, first.amount);
        Some((first.granted, share))
    }

    /// What has to be taken back, so that those who are first and have waited so long get theirs.
    pub(super) fn to_be_taken(&self, now: Instant, after: Duration) -> Vec<Arc<Meter>> {
        let mut taken = Vec::new();
        for (waiting, lacking) in self.firsts() {
            let Some(lacking) = lacking else { continue };
            if now.saturating_duration_since(waiting.since) < after {
                continue;
            }
            let bound = waiting.account.bounds.iter().find(|(key, _)| *key == lacking);
            let most = bound.map_or(0, |(_, most)| *most);
            let missing = (self.held(lacking) + waiting.amount).saturating_sub(most);
            taken.extend(self.of_the_greediest(waiting, lacking, missing, after));
        }
        taken
    }

    /// The slowest of the greediest, and so on, until it is enough; nothing, if it would not be.
    fn of_the_greediest(
        &self,
        waiting: &WaitingRequest,
        lacking: Key,
        missing: usize,
        after: Duration,
    ) -> Vec<Arc<Meter>> {
        let due = |holding: &&HeldMemory| {
            holding.account.is_under(lacking)
                && holding.meter.is_slow(after)
                && self.holds_more(&holding.account, waiting)
        };
        let mut due: Vec<_> = self.holdings.values().filter(due).collect();
        // Worked out once for each, because rates change meanwhile.
        due.sort_by_cached_key(|holding| (Reverse(self.rank(&holding.account)), holding.meter.rate()));
        let mut found = 0;
        let enough = due.iter().position(|holding| {
            found += holding.amount;
            found >= missing
        });
        let last = enough.map_or(0, |last| last + 1);
        due.iter()
            .take(last)
            .map(|holding| Arc::clone(&holding.meter))
            .collect()
    }

    /// Whether the one who waits would still have less than this account has, between those who differ first.
    fn holds_more(&self, account: &Account, waiting: &WaitingRequest) -> bool {
        let mut both = account.between.into_iter().zip(waiting.account.between);
        let differ = both.find(|(holder, other)| holder != other);
        differ.is_some_and(|(holder, other)| self.held(holder) > self.held(other) + waiting.amount)
    }
}
