//! Places for connections, shared out between network addresses (API-14). While there are free ones, anybody has as many as
//! he likes. Then whoever comes takes the place of one who has more, and nobody waits behind another's connections.

mod order;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use protocol_spec::defence::Defence;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::order::{Doing, GivingWay, Order};
use super::prefix::Origin;

/// All places of one listener.
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// From when on time is counted.
    begun: Instant,
    /// Guards all connections and their order together.
    taken: Mutex<Taken>,
}

/// The connections that have one.
#[derive(Default)]
struct Taken {
    next: u64,
    connections: HashMap<u64, HeldPlace>,
    /// Of those that were not told to go.
    order: Order,
}

struct HeldPlace {
    origin: Origin,
    turn: GivingWay,
    /// How many of its requests run now.
    running: usize,
    /// It has to go, and counts no more.
    told: bool,
    close: CancellationToken,
}

/// A connection's place, which it has until this is dropped.
pub(super) struct ConnectionPlace {
    activity: Arc<Activity>,
    _permit: OwnedSemaphorePermit,
}

/// What a connection does. Requests may know of it for longer than it has its place.
pub(super) struct Activity {
    places: Arc<Places>,
    number: u64,
    close: CancellationToken,
}

/// A request that runs, until the last clone is dropped.
#[derive(Clone)]
pub(super) struct Running {
    _counted: Arc<RunningRequest>,
}

struct RunningRequest(Arc<Activity>);

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            begun: Instant::now(),
            taken: Mutex::default(),
        })
    }

    /// A place for a new connection: a free one, or that of somebody who has more. None, if there is neither.
    pub(super) async fn take(self: &Arc<Self>, origin: Origin) -> Option<ConnectionPlace> {
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) if Defence::ConnectionShares.is_off() => {
                Arc::clone(&self.free).acquire_owned().await.ok()?
            }
            Err(_) => {
                let displaced = self.lock().displaced(origin, self.now())?;
                displaced.cancel();
                // It lets go as soon as its task runs.
                let freed = timeout(LETTING_GO, Arc::clone(&self.free).acquire_owned());
                freed.await.ok()?.ok()?
            }
        };
        let close = CancellationToken::new();
        let number = self.lock().add(origin, close.clone(), self.now());
        Some(ConnectionPlace {
            activity: Arc::new(Activity {
                places: Arc::clone(self),
                number,
                close,
            }),
            _permit: permit,
        })
    }

    /// Milliseconds since the server began.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a connection that was told to go is waited for.
const LETTING_GO: Duration = Duration::from_secs(1);
/// A connection that did nothing for so many milliseconds gives its place to another from its own address.
const UNUSED: u64 = 1000;

impl Taken {
    fn add(&mut self, origin: Origin, close: CancellationToken, now: u64) -> u64 {
        self.next += 1;
        let turn = GivingWay {
            doing: Doing::Handshake,
            since: now,
            number: self.next,
        };
        self.order.add(origin, turn);
        self.connections.insert(
            self.next,
            HeldPlace {
                origin,
                turn,
                running: 0,
                told: false,
                close,
            },
        );
        self.next
    }

    fn remove(&mut self, number: u64) {
        let Some(held) = self.connections.remove(&number) else {
            return;
        };
        if !held.told {
            self.order.remove(held.origin, held.turn);
        }
    }

    /// What closes the connection whose place goes to one from `comer`: of those who have more than he would, the greediest
    /// one's that does least; else one of his own that does nothing. It counts as gone from now on.
    fn displaced(&mut self, comer: Origin, now: u64) -> Option<CancellationToken> {
        let own = || self.order.unused_since(comer, now.checked_sub(UNUSED)?);
        let turn = self.order.greediest(comer).or_else(own)?;
        let held = self.connections.get_mut(&turn.number)?;
        held.told = true;
        self.order.remove(held.origin, turn);
        Some(held.close.clone())
    }

    /// Notes what a connection does from now on.
    fn does(&mut self, number: u64, doing: Doing, now: u64) {
        let Some(held) = self.connections.get_mut(&number) else {
            return;
        };
        let turn = GivingWay {
            doing,
            since: now,
            number,
        };
        let before = std::mem::replace(&mut held.turn, turn);
        if !held.told {
            self.order.replace(held.origin, before, turn);
        }
    }

    fn begin(&mut self, number: u64, now: u64) {
        let Some(held) = self.connections.get_mut(&number) else {
            return;
        };
        held.running += 1;
        if held.running == 1 {
            self.does(number, Doing::Requests, now);
        }
    }

    fn end(&mut self, number: u64, now: u64) {
        let Some(held) = self.connections.get_mut(&number) else {
            return;
        };
        held.running = held.running.saturating_sub(1);
        if held.running == 0 {
            self.does(number, Doing::Nothing, now);
        }
    }
}

impl ConnectionPlace {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.activity.places.lock().remove(self.activity.number);
    }
}

impl Activity {
    /// Of what has no connection, and so no place: it is counted nowhere, and nobody ends it.
    pub(super) fn without_place() -> Arc<Self> {
        Arc::new(Self {
            places: Places::new(0),
            number: 0,
            close: CancellationToken::new(),
        })
    }

    /// Cancelled when the connection is to end at once.
    pub(super) fn close(&self) -> &CancellationToken {
        &self.close
    }

    pub(super) fn established(&self) {
        let now = self.places.now();
        self.places.lock().does(self.number, Doing::Nothing, now);
    }

    /// Counts a request until what this gives is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        let now = self.places.now();
        self.places.lock().begin(self.number, now);
        Running {
            _counted: Arc::new(RunningRequest(Arc::clone(self))),
        }
    }

    /// For how long no request has run; none while one does.
    pub(super) fn idle(&self) -> Option<Duration> {
        let now = self.places.now();
        let taken = self.places.lock();
        let held = taken.connections.get(&self.number)?;
        let idle = Duration::from_millis(now.saturating_sub(held.turn.since));
        (held.running == 0).then_some(idle)
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        let Self(activity) = self;
        let now = activity.places.now();
        activity.places.lock().end(activity.number, now);
    }
}

#[cfg(test)]
mod tests;
