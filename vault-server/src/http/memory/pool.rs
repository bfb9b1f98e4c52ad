//! One section of memory. Whoever finds too little waits, and he who holds least comes first. What was
//! given for a body that is slow to come or to go is taken back, when somebody waits who would still hold less with it
//! than its holder without: so no number of slow bodies keeps others out (API-15, API-16).

mod line;
mod lookout;
mod place;
pub(super) mod share;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use self::share::{Meter, Share};
use self::{lookout::Lookout, place::QueuePlace};
use crate::http::prefix::Prefix;

/// Under what memory is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The whole section, which all share.
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

/// A section of memory, counted in whole KiB.
pub(super) struct Pool {
    most: usize,
    patience: Duration,
    reclaim_after: Option<Duration>,
    used: AtomicUsize,
    lookout: Lookout,
    /// Guards what is held and who waits together.
    state: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    next: u64,
    held: HashMap<Key, usize>,
    holdings: HashMap<u64, HeldMemory>,
    /// By [`Account::queue`]; none is empty.
    waiting: HashMap<Key, VecDeque<WaitingRequest>>,
}

/// What is held for one body.
struct HeldMemory {
    account: Arc<Account>,
    amount: usize,
    meter: Arc<Meter>,
}

/// Somebody who waits for memory, and for how much.
struct WaitingRequest {
    /// Rises with the time of arrival.
    number: u64,
    since: Instant,
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
            reclaim_after: reclaim_after.map(|after| after.max(Duration::from_millis(1))),
            used: AtomicUsize::new(0),
            lookout: Lookout::default(),
            state: Mutex::default(),
        })
    }

    /// How many bytes the section has in all.
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
        let (mut place, may_be_next) = {
            let mut state = self.lock();
            let fits = state.fits(&account, amount);
            if fits && state.waiting.is_empty() {
                return Some(state.grant(self, account, amount));
            }
            let first = !state.waiting.contains_key(&account.queue());
            let place = QueuePlace::in_queue(self, &mut state, account, amount)?;
            (place, fits && first)
        };
        // Those who wait for themselves are in nobody's way. Whoever finds too little makes no difference to others.
        if may_be_next {
            self.serve_the_next();
        }
        tokio::select! {
            biased;
            granted = timeout(self.patience, &mut place.granted) => granted.ok().and_then(Result::ok),
            () = self.look_for_all() => None,
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

    /// Has memory taken back for all who have waited long enough, as long as this is awaited; none of those who wait need do
    /// more than await it. Has no end.
    async fn look_for_all(&self) {
        match self.reclaim_after {
            // Twice as often, so that nobody waits for much longer.
            Some(after) => self.lookout.keep(after / 2, || self.reclaim(after)).await,
            None => std::future::pending().await,
        }
    }

    fn reclaim(&self, after: Duration) {
        let taken = self.lock().to_be_taken(Instant::now(), after);
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

    /// How often somebody has looked for what is to be taken back.
    #[cfg(test)]
    pub(super) fn looks(&self) -> usize {
        self.lookout.times.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
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
            HeldMemory {
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
}
