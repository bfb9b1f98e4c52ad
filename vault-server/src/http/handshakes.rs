//! When connections shake hands. A handshake is the dearest thing that a server does for strangers, so those from one
//! address come one after the other, at a pace; another's do not wait for them (API-14).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use protocol_spec::defence::Defence;

use super::prefix::{Origin, Prefix};

/// So many a second for each subscriber, and twice as many at once after a pause.
pub(super) struct Handshakes {
    /// From one to the next.
    interval: Duration,
    /// When the next one would be due, if they came at the pace.
    due: Mutex<HashMap<Prefix, Instant>>,
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
        if due.len() >= MOST {
            due.retain(|_, due| *due > now);
        }
        let due = due.entry(from.subscriber).or_insert(now);
        let begun = (*due).max(now);
        let wait = begun.saturating_duration_since(now + BURST);
        if wait > LONGEST {
            return None;
        }
        *due = begun + self.interval;
        Some(wait)
    }
}

/// What comes within it need not wait for the pace.
const BURST: Duration = Duration::from_secs(2);
/// Who would wait longer comes again.
const LONGEST: Duration = Duration::from_secs(3);
/// Some hundred kilobytes, if that many come within two seconds; else those whose turn is over are forgotten.
const MOST: usize = 1 << 12;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// API-14
    #[test]
    fn those_of_one_address_wait_and_others_do_not() {
        let (handshakes, now) = (Handshakes::new(10), Instant::now());
        let from = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
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

    #[test]
    fn who_came_long_ago_is_forgotten() {
        let (handshakes, now) = (Handshakes::new(10), Instant::now());
        for number in 0..u32::try_from(MOST).unwrap() {
            handshakes.wait(IpAddr::from(std::net::Ipv4Addr::from_bits(number)).into(), now);
        }
        handshakes.wait("192.0.2.1".parse::<IpAddr>().unwrap().into(), now + BURST);
        assert_eq!(handshakes.due.lock().unwrap().len(), 1);
    }
}
