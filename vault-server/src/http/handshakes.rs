//! When connections shake hands. A handshake is the dearest thing that a server does for strangers, so those from one
//! address come one after the other, at a pace, and those from one network too; another's do not wait for them (API-14).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use protocol_spec::defence::Defence;

use super::prefix::{Origin, Prefix};

/// So many a second for each subscriber, four times as many for all of a network, and twice as many at once after a pause.
pub(super) struct Handshakes {
    /// From one to the next.
    interval: Duration,
    due: Mutex<Due>,
}

#[derive(Default)]
struct Due {
    /// When the next one of a subscriber or of a network would be due, if they came at the pace.
    next: HashMap<Prefix, Instant>,
    /// When those whose turn is over were forgotten last.
    swept: Option<Instant>,
}

impl Handshakes {
    pub(super) fn new(a_second: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / a_second.max(1),
            due: Mutex::default(),
        }
    }

    /// Waits for the turn of a connection that has come from there. False: too many wait already.
    pub(super) async fn turn(&self, from: Origin, now: Instant) -> bool {
        match self.wait(from, now) {
            _ if Defence::ConnectionShares.is_off() => {}
            None => return false,
            Some(Duration::ZERO) => {}
            Some(wait) => tokio::time::sleep(wait).await,
        }
        true
    }

    /// How long it waits; none, if that is too long, and then it is not counted.
    fn wait(&self, from: Origin, now: Instant) -> Option<Duration> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.forget(now);
        let (own, all) = (due.begun(from.subscriber, now), due.begun(from.network, now));
        let wait_of = |begun: Instant| begun.saturating_duration_since(now + BURST);
        // Whoever comes seldom does not wait for his neighbours. A network has 256 subscribers at most: together that is little.
        let wait = if due.is_seldom(from.subscriber, self.interval, now) {
            wait_of(own)
        } else {
            wait_of(own).max(wait_of(all))
        };
        if wait > LONGEST {
            return None;
        }
        due.next.insert(from.subscriber, own + self.interval);
        if wait_of(all) <= LONGEST {
            due.next.insert(from.network, all + self.interval / OF_NETWORK);
        }
        Some(wait)
    }
}

impl Due {
    /// When one more would be due.
    fn begun(&self, prefix: Prefix, now: Instant) -> Instant {
        self.next.get(&prefix).map_or(now, |next| (*next).max(now))
    }

    /// Whether the subscriber's last one was due long ago, or never.
    fn is_seldom(&self, subscriber: Prefix, interval: Duration, now: Instant) -> bool {
        let next = self.next.get(&subscriber);
        next.is_none_or(|next| now + interval >= *next + SELDOM)
    }

    /// Makes room, if need be and not all the time.
    fn forget(&mut self, now: Instant) {
        let long_ago = |swept: Instant| now.saturating_duration_since(swept) >= SELDOM;
        if self.next.len() >= MOST && self.swept.is_none_or(long_ago) {
            self.next.retain(|_, next| *next + SELDOM > now);
            self.swept = Some(now);
        }
    }
}

/// How many times the pace of a subscriber a network has.
const OF_NETWORK: u32 = 4;
/// Whoever comes no more often than this does not wait for others of his network.
const SELDOM: Duration = Duration::from_secs(1);
/// What comes within it need not wait for the pace.
const BURST: Duration = Duration::from_secs(2);
/// Who would wait longer comes again.
const LONGEST: Duration = Duration::from_secs(3);
/// From so many on, those whose turn is over are forgotten every second. What is kept then is what came within a few seconds:
/// some hundred bytes for each handshake.
const MOST: usize = 1 << 12;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn from(text: &str) -> Origin {
        text.parse::<IpAddr>().unwrap().into()
    }

    /// API-14
    #[test]
    fn those_of_one_address_wait_and_others_do_not() {
        let (handshakes, now) = (Handshakes::new(10), Instant::now());
        let (greedy, other) = (from("192.0.2.1"), from("192.0.2.2"));
        let waits: Vec<_> = (0..100).map(|_| handshakes.wait(greedy, now)).collect();
        assert!(waits[..=20].iter().all(|wait| *wait == Some(Duration::ZERO)));
        assert_eq!(waits[30], Some(Duration::from_secs(1)));
        assert_eq!((waits[50], waits[51]), (Some(LONGEST), None));
        assert_eq!(handshakes.wait(other, now), Some(Duration::ZERO));
        // 51 are due within 5.1 s; those that were sent away do not count.
        let later = now + Duration::from_millis(5100);
        assert_eq!(handshakes.wait(greedy, later), Some(Duration::ZERO));
    }

    /// API-14, ATK-78: all subscribers of a network come as often as each of them may.
    #[test]
    fn a_network_has_its_pace_and_keeps_none_of_its_own_out() {
        let (handshakes, now) = (Handshakes::new(10), Instant::now());
        let near = |number: usize| from(&format!("2001:db8:0:{number:x}00::1"));
        let comes = (0..256 * 60).map(|at| handshakes.wait(near(at / 60), now));
        let let_in = comes.filter(Option::is_some).count();
        // Within 5 s the network's 40 a second, and then the first one of each subscriber.
        assert_eq!(let_in, 201 + 252);
        let other = from("2001:db8:1::1");
        assert_eq!(handshakes.wait(other, now), Some(Duration::ZERO));
        // Once a second any of them may come, however many the others make.
        assert_eq!(handshakes.wait(near(255), now), None);
        let later = now + SELDOM;
        assert_eq!(handshakes.wait(near(255), later), Some(Duration::ZERO));
    }

    /// One comes from each of so many networks.
    fn fill(handshakes: &Handshakes, now: Instant) {
        for number in 0..u32::try_from(MOST).unwrap() {
            let address = IpAddr::from(Ipv4Addr::from_bits(number << 8));
            handshakes.wait(address.into(), now);
        }
    }

    #[test]
    fn who_came_long_ago_is_forgotten() {
        let (handshakes, now) = (Handshakes::new(10), Instant::now());
        fill(&handshakes, now);
        handshakes.wait(from("192.0.2.1"), now + BURST);
        let due = handshakes.due.lock().unwrap();
        assert_eq!(due.next.len(), 2, "a subscriber and its network");
    }

    /// To look through all for what is over takes long.
    #[test]
    fn they_are_forgotten_once_in_a_second() {
        let (handshakes, now) = (Handshakes::new(10), Instant::now());
        fill(&handshakes, now);
        let swept = |after: Duration| {
            handshakes.wait(from("192.0.2.1"), now + after);
            handshakes.due.lock().unwrap().swept
        };
        assert_eq!(swept(SELDOM / 2), Some(now));
        assert_eq!(swept(SELDOM), Some(now + SELDOM));
    }
}
