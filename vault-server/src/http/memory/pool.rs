//! One section of memory. Whoever finds too little waits, and he who holds least comes first. What was
//! given for a body that is slow to come or to go is taken back, when somebody waits who would still hold less with it
//! than its holder without: so no number of slow bodies keeps others out (API-15, API-16).

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout_at};

use super::share::{Meter, Share};
use crate::http::prefix::Prefix;

/// Under what memory is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The section.
    All,
    /// Long pages, in the section of public answers.
    Pages,
    /// All patients: anybody enrols as one, any number of times.
    Patients,
    Network(Prefix),
    Subscriber(Prefix),
    Principal([u8; 32]),
}

impl Key {
    /// Whether others than those of one account are counted under it.
    fn is_shared(self) -> bool {
        matches!(self, Self::All | Self::Pages | Self::Patients)
    }
}

/// In whose name memory is held.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Between whom memory is shared out, the wider one first; the same twice, if there is only one.
    pub(super) between: [Key; 2],
    /// Under what it is counted, and how much there may be at most.
    pub(super) bounds: Vec<(Key, usize)>,
}

impl Account {
    fn is_under(&self, key: Key) -> bool {
        self.bounds.iter().any(|(under, _)| *under == key)
    }

    /// In which queue its requests wait: nobody waits behind one who waits for himself.
    fn queue(&self) -> Key {
        self.bounds.first().map_or(Key::All, |(own, _)| *own)
    }
}

/// Counts whole KiB.
pub(super) struct Pool {
    most: usize,
    patience: Duration,
    reclaim_after: Duration,
    used: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    held: HashMap<Key, usize>,
    holdings: HashMap<u64, Holding>,
    /// By [`Account::queue`]; none is empty.
    waiting: HashMap<Key, VecDeque<Waiting>>,
}

/// What is held for one body.
struct Holding {
    account: Arc<Account>,
    amount: usize,
    meter: Arc<Meter>,
}

/// Somebody who waits.
struct Waiting {
    /// Rises with the time of arrival.
    number: u64,
    since: tokio::time::Instant,
    account: Arc<Account>,
    amount: usize,
    granted: oneshot::Sender<Share>,
}

impl Pool {
    /// `reclaim_after`: how long somebody waits before memory is taken back for him; none: it is not.
    pub(super) fn new(most: usize, patience: Duration, reclaim_after: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            most,
            patience,
            reclaim_after: reclaim_after
                .unwrap_or(Duration::MAX)
                .max(Duration::from_millis(1)),
            used: AtomicUsize::new(0),
            state: Mutex::default(),
        })
    }

    /// Of everything.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Waits for so much; for all that the account may have, if that is less. None: there was too little for too long.
    pub(super) async fn take(self: &Arc<Self>, account: Account, wanted: usize) -> Option<Share> {
        let least_of = |least: usize, (_, most): &(Key, usize)| least.min(*most);
        let amount = account.bounds.iter().fold(wanted.max(1), least_of);
        let account = Arc::new(account);
        let mut place = {
            let mut state = self.lock();
            if state.waiting.is_empty() && state.fits(&account, amount) {
                return Some(state.grant(self, account, amount));
            }
            Place::in_queue(self, &mut state, account, amount)?
        };
        // Whoever waits for himself is in nobody's way.
        self.serve_the_next();
        let deadline = tokio::time::Instant::now() + self.patience;
        loop {
            let now = tokio::time::Instant::now();
            let pause = now
                .checked_add(self.reclaim_after)
                .unwrap_or(deadline)
                .min(deadline);
            match timeout_at(pause, &mut place.granted).await {
                Ok(granted) => return granted.ok(),
                Err(_) if pause == deadline => return None,
                Err(_) => self.reclaim(),
            }
        }
    }

    /// What is over is given back.
    pub(super) fn give_back(self: &Arc<Self>, number: u64, amount: usize) {
        self.lock().release(self, number, amount);
        self.serve_the_next();
    }

    /// One holding in the place of two.
    pub(super) fn merge(&self, number: u64, other: u64) {
        let mut state = self.lock();
        let Some(other) = state.holdings.remove(&other) else {
            return;
        };
        match state.holdings.get_mut(&number) {
            Some(holding) => holding.amount += other.amount,
            None => drop(state.holdings.insert(number, other)),
        }
    }

    fn serve_the_next(self: &Arc<Self>) {
        loop {
            // A share that nobody takes any more goes back, for which the lock must be free.
            let next = self.lock().next_grant(self);
            let Some((granted, share)) = next else { return };
            drop(granted.send(share));
        }
    }

    /// Has memory taken back for who is next and has waited long enough.
    fn reclaim(&self) {
        let now = tokio::time::Instant::now();
        let taken = self.lock().to_be_taken(now, self.reclaim_after);
        taken.iter().for_each(|meter| meter.take_back());
    }

    /// Whether nobody holds anything, waits, or is remembered.
    #[cfg(test)]
    pub(super) fn is_unused(&self) -> bool {
        let state = self.lock();
        let rows = state.held.len() + state.holdings.len() + state.waiting.len();
        self.used() == 0 && rows == 0
    }

    /// How many hold something, and how many wait.
    #[cfg(test)]
    pub(super) fn holding_and_waiting(&self) -> (usize, usize) {
        let state = self.lock();
        let waiting = state.waiting.values().map(VecDeque::len).sum();
        (state.holdings.len(), waiting)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held(&self, key: Key) -> usize {
        self.held.get(&key).copied().unwrap_or_default()
    }

    /// By what an account holds, wide and narrow.
    fn rank(&self, account: &Account) -> [usize; 2] {
        account.between.map(|key| self.held(key))
    }

    fn fits(&self, account: &Account, amount: usize) -> bool {
        self.lacking(account, amount, |_| true).is_none()
    }

    /// The first bound of this sort that leaves no room.
    fn lacking(&self, account: &Account, amount: usize, sort: impl Fn(Key) -> bool) -> Option<Key> {
        let full = |(key, most): &&(Key, usize)| sort(*key) && self.held(*key) + amount > *most;
        account.bounds.iter().find(full).map(|(key, _)| *key)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn grant(&mut self, pool: &Arc<Pool>, account: Arc<Account>, amount: usize) -> Share {
        let number = self.number();
        for (key, _) in &account.bounds {
            *self.held.entry(*key).or_default() += amount;
        }
        pool.used.fetch_add(amount, Ordering::Relaxed);
        let meter = Arc::new(Meter::new());
        let share = Share::new(
            Arc::clone(pool),
            number,
            amount,
            Arc::clone(&account),
            Arc::clone(&meter),
        );
        self.holdings.insert(
            number,
            Holding {
                account,
                amount,
                meter,
            },
        );
        share
    }

    fn release(&mut self, pool: &Pool, number: u64, amount: usize) {
        let Some(holding) = self.holdings.get_mut(&number) else {
            return;
        };
        let amount = amount.min(holding.amount);
        holding.amount -= amount;
        let account = Arc::clone(&holding.account);
        if holding.amount == 0 {
            self.holdings.remove(&number);
        }
        pool.used.fetch_sub(amount, Ordering::Relaxed);
        for (key, _) in &account.bounds {
            if let Some(held) = self.held.get_mut(key) {
                *held = held.saturating_sub(amount);
                if *held == 0 {
                    self.held.remove(key);
                }
            }
        }
    }

    /// Who waits for what is shared, in the order in which they are served.
    fn line(&self) -> Vec<&Waiting> {
        let heads = self.waiting.values().filter_map(VecDeque::front);
        let for_others = |waiting: &&Waiting| {
            let own = |key: Key| !key.is_shared();
            self.lacking(&waiting.account, waiting.amount, own).is_none()
        };
        let mut line: Vec<_> = heads.filter(for_others).collect();
        line.sort_by_key(|waiting| (self.rank(&waiting.account), waiting.number));
        line
    }

    /// The first in line for each kind of memory that is short, with what it is that he lacks; or one who lacks nothing.
    fn firsts(&self) -> Vec<(&Waiting, Option<Key>)> {
        let mut firsts: Vec<(&Waiting, Option<Key>)> = Vec::new();
        for waiting in self.line() {
            // Nobody overtakes one who waits for the same.
            let behind = |(_, lacking): &(&Waiting, Option<Key>)| {
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

    fn next_grant(&mut self, pool: &Arc<Pool>) -> Option<(oneshot::Sender<Share>, Share)> {
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
    fn to_be_taken(&self, now: tokio::time::Instant, after: Duration) -> Vec<Arc<Meter>> {
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
        waiting: &Waiting,
        lacking: Key,
        missing: usize,
        after: Duration,
    ) -> Vec<Arc<Meter>> {
        let due = |holding: &&Holding| {
            holding.account.is_under(lacking)
                && holding.meter.is_slow(after)
                && self.holds_more(&holding.account, waiting)
        };
        let mut due: Vec<_> = self.holdings.values().filter(due).collect();
        due.sort_by_key(|holding| (Reverse(self.rank(&holding.account)), holding.meter.rate()));
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
    fn holds_more(&self, account: &Account, waiting: &Waiting) -> bool {
        let mut both = account.between.into_iter().zip(waiting.account.between);
        let differ = both.find(|(holder, other)| holder != other);
        differ.is_some_and(|(holder, other)| self.held(holder) > self.held(other) + waiting.amount)
    }
}

/// A place in a queue, until dropped.
struct Place {
    pool: Arc<Pool>,
    queue: Key,
    number: u64,
    granted: oneshot::Receiver<Share>,
}

impl Place {
    /// None, if too many are before it.
    fn in_queue(pool: &Arc<Pool>, state: &mut State, account: Arc<Account>, amount: usize) -> Option<Self> {
        let (queue, number) = (account.queue(), state.number());
        let waiting = state.waiting.entry(queue).or_default();
        if waiting.len() >= LONGEST_QUEUE {
            return None;
        }
        let (sender, granted) = oneshot::channel();
        waiting.push_back(Waiting {
            number,
            since: tokio::time::Instant::now(),
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

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.pool.lock();
            if let Some(queue) = state.waiting.get_mut(&self.queue) {
                queue.retain(|waiting| waiting.number != self.number);
                if queue.is_empty() {
                    state.waiting.remove(&self.queue);
                }
            }
        }
        self.pool.serve_the_next();
    }
}
