//! How many patients one network address has enrolled of late. Anybody may, under a key of its own making, so that there is no
//! principal to be counted (ACC-5). Kept in memory only.
//!
//! The table cannot be filled against others: an attempt of which no patient comes is counted only while it runs, and where
//! there is no room for one more subscriber, those who are not in the table yet are counted together, by larger networks.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::prefix::Prefix;

/// So many for each subscriber in a while.
pub(super) struct Enrolments {
    /// None: whoever may enrol is decided elsewhere, and nothing is counted.
    limit: Option<usize>,
    span: Duration,
    made: Arc<Mutex<EnrolmentCounts>>,
}

/// One that is counted, or needs not be.
#[derive(Default)]
pub(super) struct CountedEnrolment(Option<(Arc<Mutex<EnrolmentCounts>>, CountedNetwork)>);

/// What was made, by subscribers and then by larger networks: see [`LEVELS`].
#[derive(Default)]
struct EnrolmentCounts([Level; LEVELS.len()]);

#[derive(Default)]
struct Level {
    of: HashMap<Prefix, Count>,
    /// When those whose while is over were forgotten last, for want of room.
    swept: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Count {
    since: Instant,
    count: usize,
}

/// The network and address under which an enrolment is counted.
struct CountedNetwork {
    level: usize,
    prefix: Prefix,
    since: Instant,
}

impl Enrolments {
    pub(super) fn new(limit: Option<usize>, span: Duration) -> Self {
        Self {
            limit,
            span,
            made: Arc::default(),
        }
    }

    /// Counts one more; none, if the address has made all it may.
    pub(super) fn admit(&self, from: IpAddr, now: Instant) -> Option<CountedEnrolment> {
        let Some(limit) = self.limit else {
            return Some(CountedEnrolment::default());
        };
        let place = lock(&self.made).count(from, limit, self.span, now)?;
        Some(CountedEnrolment(Some((Arc::clone(&self.made), place))))
    }
}

impl CountedEnrolment {
    /// No new patient came of it: it counts no more. One that is dropped goes on to count.
    pub(super) fn take_back(self) {
        if let Some((made, place)) = self.0 {
            lock(&made).take_back(&place);
        }
    }
}

/// The networks by which enrolments are counted, as bits of IPv4 and of IPv6, and how many times as many as a subscriber each may
/// make. The last ones are so few that there is always room.
const LEVELS: [(u32, u32, usize); 4] = [(32, 56, 1), (24, 48, 4), (16, 32, 16), (8, 16, 64)];

impl EnrolmentCounts {
    /// Where it is counted: in the smallest network that is in the table or finds room there. None, if that has all it may.
    fn count(&mut self, from: IpAddr, limit: usize, span: Duration, now: Instant) -> Option<CountedNetwork> {
        let last = LEVELS.len() - 1;
        let sizes = self.0.iter_mut().zip(LEVELS).enumerate();
        for (at, (level, (v4, v6, times))) in sizes {
            let prefix = Prefix::of(from, if from.to_canonical().is_ipv4() { v4 } else { v6 });
            if at == last || level.has_room(prefix, span, now) {
                let most = limit.saturating_mul(times);
                let since = level.count(prefix, most, span, now)?;
                return Some(CountedNetwork {
                    level: at,
                    prefix,
                    since,
                });
            }
        }
        None
    }

    fn take_back(&mut self, place: &CountedNetwork) {
        let Some(level) = self.0.get_mut(place.level) else {
            return;
        };
        let Entry::Occupied(mut made) = level.of.entry(place.prefix) else {
            return;
        };
        // In another while it is not counted.
        if made.get().since != place.since {
            return;
        }
        if made.get().count > 1 {
            made.get_mut().count -= 1;
        } else {
            made.remove();
        }
    }
}

impl Level {
    /// Looks for what is over once in a second, because that takes long.
    fn has_room(&mut self, prefix: Prefix, span: Duration, now: Instant) -> bool {
        if self.of.len() < MOST || self.of.contains_key(&prefix) {
            return true;
        }
        let long_ago = |swept: Instant| now.saturating_duration_since(swept) >= SELDOM;
        if self.swept.is_none_or(long_ago) {
            self.of.retain(|_, made| !made.is_over(span, now));
            self.swept = Some(now);
        }
        self.of.len() < MOST
    }

    /// Since when this one's while runs; none, if there were as many in it as may be.
    fn count(&mut self, prefix: Prefix, most: usize, span: Duration, now: Instant) -> Option<Instant> {
        let begun = Count { since: now, count: 0 };
        let before = self.of.get(&prefix).filter(|made| !made.is_over(span, now));
        let Count { since, count } = before.copied().unwrap_or(begun);
        if count >= most {
            return None;
        }
        self.of.insert(
            prefix,
            Count {
                since,
                count: count + 1,
            },
        );
        Some(since)
    }
}

impl Count {
    fn is_over(&self, span: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= span
    }
}

fn lock(made: &Mutex<EnrolmentCounts>) -> MutexGuard<'_, EnrolmentCounts> {
    made.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time over which enrolments are counted.
pub(super) const HOUR: Duration = Duration::from_secs(3600);
/// From one look for what is over to the next.
const SELDOM: Duration = Duration::from_secs(1);
/// Of each size: some megabytes.
const MOST: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const SPAN: Duration = Duration::from_secs(600);

    /// ACC-5
    #[test]
    fn each_network_has_its_own_count_for_a_while() {
        let (enrolments, begin) = (Enrolments::new(Some(2), SPAN), Instant::now());
        let admit = |address: &str, seconds| {
            let now = begin + Duration::from_secs(seconds);
            enrolments.admit(address.parse().unwrap(), now).is_some()
        };
        for address in ["192.0.2.1", "2001:db8::1"] {
            assert!(admit(address, 0) && admit(address, 1));
        }
        assert!(!admit("192.0.2.1", 2) && !admit("::ffff:192.0.2.1", 2));
        for same in ["2001:db8::ffff:2", "2001:db8:0:1::1", "2001:db8:0:ff::1"] {
            assert!(!admit(same, 2), "{same} is of the same /56");
        }
        assert!(admit("192.0.2.2", 2) && admit("2001:db8:0:100::1", 2));
        assert!(!admit("192.0.2.1", 599));
        assert!(admit("192.0.2.1", 600) && admit("192.0.2.1", 601) && !admit("192.0.2.1", 602));
    }

    fn table_sizes(enrolments: &Enrolments) -> [usize; LEVELS.len()] {
        lock(&enrolments.made).0.each_ref().map(|level| level.of.len())
    }

    /// ACC-5
    #[test]
    fn where_there_is_no_limit_nothing_is_counted() {
        let enrolments = Enrolments::new(None, SPAN);
        for number in 0..100 {
            let from = Ipv4Addr::from_bits(number << 16).into();
            assert!(enrolments.admit(from, Instant::now()).is_some());
        }
        assert_eq!(table_sizes(&enrolments), [0; 4]);
    }

    /// ACC-5
    #[test]
    fn an_attempt_of_which_no_patient_comes_is_not_counted() {
        let (enrolments, begin) = (Enrolments::new(Some(2), SPAN), Instant::now());
        let from = "192.0.2.1".parse().unwrap();
        let (first, second) = (enrolments.admit(from, begin), enrolments.admit(from, begin));
        assert!(enrolments.admit(from, begin).is_none(), "also while they run");
        second.unwrap().take_back();
        let again = enrolments.admit(from, begin).unwrap();
        assert!(enrolments.admit(from, begin).is_none());
        again.take_back();
        first.unwrap().take_back();
        assert_eq!(table_sizes(&enrolments), [0; 4]);
        // Nor does it take another one's place, which was counted after its own while was over.
        let old = enrolments.admit(from, begin).unwrap();
        assert!((0..2).all(|_| enrolments.admit(from, begin + SPAN).is_some()));
        old.take_back();
        assert!(enrolments.admit(from, begin + SPAN).is_none());
    }

    /// ACC-5, ATK-80: nobody is refused because the table is full; memory is bounded, and comes back.
    #[test]
    fn whoever_finds_no_room_is_counted_with_his_network() {
        let (enrolments, begin) = (Enrolments::new(Some(2), SPAN), Instant::now());
        let admit = |address: IpAddr, now| enrolments.admit(address, now).is_some();
        for number in 0..u32::try_from(MOST).unwrap() {
            assert!(admit(Ipv4Addr::from_bits(number).into(), begin));
        }
        let known = "0.0.0.7".parse().unwrap();
        assert!(admit(known, begin) && !admit(known, begin), "as before");
        let near = |number: u8| IpAddr::from(Ipv4Addr::new(192, 0, 2, number));
        assert!((0..8).all(|number| admit(near(number), begin)));
        assert!(!admit(near(9), begin), "four times as many as one may");
        assert!(admit("2001:db8::1".parse().unwrap(), begin), "another network");
        assert_eq!(table_sizes(&enrolments), [MOST, 2, 0, 0]);
        // What is over is looked for once in a second.
        let (over, swept) = (begin + SPAN, lock(&enrolments.made).0[0].swept);
        assert_eq!(swept, Some(begin));
        assert!(admit(near(9), over));
        assert_eq!(table_sizes(&enrolments), [1, 2, 0, 0]);
    }

    #[test]
    fn each_size_of_networks_is_bounded() {
        let (enrolments, begin) = (Enrolments::new(Some(1), SPAN), Instant::now());
        // Each in a /24 of its own.
        let come = |number: u32| enrolments.admit(Ipv4Addr::from_bits(number << 8).into(), begin);
        let twice = 2 * u32::try_from(MOST).unwrap();
        assert!((0..=twice).all(|number| come(number).is_some()));
        assert_eq!(table_sizes(&enrolments), [MOST, MOST, 1, 0]);
    }
}
