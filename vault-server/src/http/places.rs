//! Places for connections, shared out between network addresses (API-14). While there are free ones, anybody has as many as
//! he likes. Then whoever comes takes the place of one who has more, and nobody waits behind another's connections.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use protocol_spec::defence::Defence;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::prefix::{Origin, Prefix};

/// All places of one listener.
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

/// The connections that have one, by number, and how many of whom.
#[derive(Default)]
struct Taken {
    next: u64,
    connections: HashMap<u64, (Origin, Arc<Activity>)>,
    of: HashMap<Prefix, usize>,
    /// When a place was last looked for, for subscribers who have many.
    looked: HashMap<Prefix, Instant>,
}

/// A place, until dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    activity: Arc<Activity>,
    _permit: OwnedSemaphorePermit,
}

/// What a connection does.
pub(super) struct Activity {
    since: Instant,
    /// It has shaken hands.
    established: AtomicBool,
    /// Requests that run.
    running: AtomicUsize,
    /// When one began or ended last, in milliseconds from `since`.
    last: AtomicU64,
    close: CancellationToken,
}

/// A request that runs, until the last clone is dropped.
#[derive(Clone)]
pub(super) struct Running {
    _counted: Arc<Counted>,
}

struct Counted(Arc<Activity>);

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            taken: Mutex::default(),
        })
    }

    /// A place for a new connection: a free one, or that of somebody who has more. None, if there is neither.
    pub(super) async fn take(self: &Arc<Self>, origin: Origin) -> Option<Place> {
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) if Defence::ConnectionShares.is_off() => {
                Arc::clone(&self.free).acquire_owned().await.ok()?
            }
            Err(_) => {
                self.lock().look_for(origin)?.close.cancel();
                // It lets go as soon as its task runs.
                let freed = timeout(LETTING_GO, Arc::clone(&self.free).acquire_owned());
                freed.await.ok()?.ok()?
            }
        };
        let activity = Arc::new(Activity::new());
        let number = self.lock().add(origin, Arc::clone(&activity));
        Some(Place {
            places: Arc::clone(self),
            number,
            activity,
            _permit: permit,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many connections of one subscriber, and so long between two looks for a place for one more.
const MANY: usize = 8;
const SELDOM: Duration = Duration::from_millis(50);
/// How long a connection that was told to go is waited for.
const LETTING_GO: Duration = Duration::from_secs(1);

impl Taken {
    fn add(&mut self, origin: Origin, activity: Arc<Activity>) -> u64 {
        self.next += 1;
        self.connections.insert(self.next, (origin, activity));
        for prefix in [origin.network, origin.subscriber] {
            *self.of.entry(prefix).or_default() += 1;
        }
        self.next
    }

    fn remove(&mut self, number: u64) {
        let Some((origin, _)) = self.connections.remove(&number) else {
            return;
        };
        for prefix in [origin.network, origin.subscriber] {
            if let Some(count) = self.of.get_mut(&prefix) {
                *count -= 1;
                if *count == 0 {
                    self.of.remove(&prefix);
                    self.looked.remove(&prefix);
                }
            }
        }
    }

    /// As [`Taken::displaced`], but seldom for who has many already: looking takes longer than to send one away, and others
    /// wait to be accepted.
    fn look_for(&mut self, comer: Origin) -> Option<&Activity> {
        if self.count(comer.subscriber) >= MANY {
            let now = Instant::now();
            let last = self.looked.get(&comer.subscriber);
            if last.is_some_and(|last| now.saturating_duration_since(*last) < SELDOM) {
                return None;
            }
            self.looked.insert(comer.subscriber, now);
        }
        self.displaced(comer)
    }

    /// Whose place goes to a connection from `comer`: of those who have more than he would, the greediest one's that does
    /// least; else one of his own that does nothing.
    fn displaced(&self, comer: Origin) -> Option<&Activity> {
        let greedy = self
            .connections
            .values()
            .filter(|(origin, activity)| !activity.close.is_cancelled() && self.has_more(*origin, comer));
        let greediest = greedy.max_by_key(|(origin, activity)| (self.counts(*origin), activity.idleness()));
        let own = || {
            let own = self.connections.values().filter(|(origin, activity)| {
                origin.subscriber == comer.subscriber && activity.is_replaceable()
            });
            own.max_by_key(|(_, activity)| activity.idleness())
        };
        greediest.or_else(own).map(|(_, activity)| &**activity)
    }

    /// Between networks by what each has; within one, between its subscribers.
    fn has_more(&self, origin: Origin, comer: Origin) -> bool {
        if origin.network == comer.network {
            self.count(origin.subscriber) > self.count(comer.subscriber) + 1
        } else {
            self.count(origin.network) > self.count(comer.network) + 1
        }
    }

    fn counts(&self, origin: Origin) -> (usize, usize) {
        (self.count(origin.network), self.count(origin.subscriber))
    }

    fn count(&self, prefix: Prefix) -> usize {
        self.of.get(&prefix).copied().unwrap_or_default()
    }
}

impl Place {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(self.number);
    }
}

impl Activity {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            established: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            close: CancellationToken::new(),
        }
    }

    /// Cancelled when the connection is to end at once.
    pub(super) fn close(&self) -> &CancellationToken {
        &self.close
    }

    pub(super) fn established(&self) {
        self.established.store(true, Ordering::Relaxed);
        self.touch();
    }

    /// Counts a request.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.touch();
        Running {
            _counted: Arc::new(Counted(Arc::clone(self))),
        }
    }

    /// For how long no request has run; none while one does.
    pub(super) fn idle(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        let idle = self.since.elapsed().saturating_sub(last);
        (self.running.load(Ordering::Relaxed) == 0).then_some(idle)
    }

    fn touch(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// The first to go has not even shaken hands, then come those that are idle, each by how long.
    fn idleness(&self) -> (bool, bool, Duration) {
        let fresh = !self.established.load(Ordering::Relaxed);
        let idle = self.idle();
        (
            fresh,
            idle.is_some(),
            idle.unwrap_or_else(|| self.since.elapsed()),
        )
    }

    /// Whether its own address may need the place more.
    fn is_replaceable(&self) -> bool {
        !self.close.is_cancelled() && self.idle().is_some_and(|idle| idle >= UNUSED)
    }
}

/// A connection that did nothing for so long gives its place to another from its own address.
const UNUSED: Duration = Duration::from_secs(1);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.touch();
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse::<IpAddr>().unwrap().into()
    }

    /// Serves a place as a connection's task does: until it is told to go.
    fn serve(place: Place) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move { place.activity().close().clone().cancelled_owned().await })
    }

    /// API-14
    #[tokio::test]
    async fn whoever_comes_takes_the_place_of_who_has_more() {
        let places = Places::new(4);
        let mut greedy = Vec::new();
        for _ in 0..4 {
            greedy.push(serve(places.take(origin("192.0.2.1")).await.unwrap()));
        }
        let first = places.take(origin("198.51.100.1")).await;
        // Two of two networks each: nobody has more.
        let second = places.take(origin("198.51.100.2")).await;
        assert!(first.is_some() && second.is_some());
        assert!(places.take(origin("198.51.100.3")).await.is_none());
        tokio::task::yield_now().await;
        assert_eq!(greedy.iter().filter(|task| task.is_finished()).count(), 2);
        for task in greedy {
            task.abort();
        }
    }

    #[tokio::test]
    async fn within_a_network_it_is_between_its_subscribers() {
        let places = Places::new(3);
        let tasks: Vec<_> = [
            places.take(origin("192.0.2.1")).await.unwrap(),
            places.take(origin("192.0.2.1")).await.unwrap(),
            places.take(origin("192.0.2.1")).await.unwrap(),
        ]
        .map(serve)
        .into();
        let neighbour = places.take(origin("192.0.2.2")).await;
        assert!(neighbour.is_some());
        assert_eq!(places.lock().count(origin("192.0.2.1").subscriber), 2);
        for task in tasks {
            task.abort();
        }
    }

    #[tokio::test]
    async fn who_does_least_goes_first() {
        let places = Places::new(3);
        let (busy, idle, new) = (
            places.take(origin("192.0.2.1")).await.unwrap(),
            places.take(origin("192.0.2.1")).await.unwrap(),
            places.take(origin("192.0.2.1")).await.unwrap(),
        );
        busy.activity().established();
        let running = busy.activity().begin();
        idle.activity().established();
        let taken = places.lock();
        let displaced = |taken: &Taken| taken.displaced(origin("198.51.100.1")).unwrap() as *const Activity;
        assert_eq!(displaced(&taken), &raw const *new.activity as *const _);
        new.activity().close.cancel();
        assert_eq!(displaced(&taken), &raw const *idle.activity as *const _);
        idle.activity().close.cancel();
        assert_eq!(displaced(&taken), &raw const *busy.activity as *const _);
        drop(taken);
        drop(running);
        assert!(busy.activity().idle().is_some());
    }
}
