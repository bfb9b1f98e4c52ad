//! Which refusals get a line in the log. Anybody can have requests refused as fast as he likes, so lines are bounded: a few
//! for each network and reason, some for all together; what gets none is counted, and said once its time is over
//! (LKG-4). The metrics count all of them.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use protocol_spec::defence::Defence;

/// How many lines there were of late.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    since: Option<Instant>,
    lines: usize,
    by: HashMap<(IpAddr, &'static str), usize>,
    left_out: BTreeMap<&'static str, u64>,
}

/// What is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Whether the refusal itself is written.
    pub(super) line: bool,
    /// How many of each code had no line in the time that is over now.
    pub(super) left_out: BTreeMap<&'static str, u64>,
}

impl Refusals {
    /// Counts a refusal, and says what of it is written.
    pub(super) fn count(&self, from: Option<IpAddr>, code: &'static str, now: Instant) -> Written {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = window
            .since
            .is_some_and(|since| now.saturating_duration_since(since) < WINDOW);
        let left_out = if running {
            BTreeMap::new()
        } else {
            let over = Window {
                since: Some(now),
                ..Window::default()
            };
            std::mem::replace(&mut *window, over).left_out
        };
        let line = window.has_room(network(from), code);
        if !line {
            *window.left_out.entry(code).or_default() += 1;
        }
        let line = line || Defence::RefusalLog.is_off();
        Written { line, left_out }
    }
}

impl Window {
    /// Both maps grow with lines alone, so with nothing that is without bound.
    fn has_room(&mut self, from: IpAddr, code: &'static str) -> bool {
        if self.lines >= LINES {
            return false;
        }
        let of_this = self.by.entry((from, code)).or_default();
        if *of_this >= LINES_OF_ONE {
            return false;
        }
        *of_this += 1;
        self.lines += 1;
        true
    }
}

/// An IPv4 address; of an IPv6 address the half that a subscriber does not choose.
fn network(address: Option<IpAddr>) -> IpAddr {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        Some(v4) => v4,
        None => Ipv6Addr::UNSPECIFIED.into(),
    }
}

const WINDOW: Duration = Duration::from_secs(10);
/// With a reason each, from one network: enough to see what is wrong there.
const LINES_OF_ONE: usize = 5;
/// A flood from everywhere is some 20 KB in ten seconds.
const LINES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn lines(
        refusals: &Refusals,
        from: Option<IpAddr>,
        code: &'static str,
        times: usize,
        now: Instant,
    ) -> usize {
        (0..times)
            .filter(|_| refusals.count(from, code, now).line)
            .count()
    }

    /// LKG-4
    #[test]
    fn a_flood_of_refusals_has_a_few_lines_and_hides_no_other_reason() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        assert_eq!(
            lines(&refusals, HERE, "unauthenticated", 10_000, now),
            LINES_OF_ONE
        );
        assert_eq!(lines(&refusals, HERE, "malformed", 10, now), LINES_OF_ONE);
        let there = Some("2001:db8::1".parse().unwrap());
        assert_eq!(lines(&refusals, there, "unauthenticated", 10, now), LINES_OF_ONE);
        let neighbour = Some("2001:db8::2".parse().unwrap());
        assert_eq!(lines(&refusals, neighbour, "unauthenticated", 10, now), 0);
    }

    /// LKG-4: however many networks take part.
    #[test]
    fn all_together_have_a_bound() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let mut all = 0;
        for network in 0..1000_u32 {
            let from = Some(IpAddr::V4(network.into()));
            all += lines(&refusals, from, "unauthenticated", 10, now);
        }
        assert_eq!(all, LINES);
        let window = refusals.0.lock().unwrap();
        assert!(window.by.len() <= LINES);
        assert_eq!(window.left_out["unauthenticated"], 9_900);
    }

    #[test]
    fn what_had_no_line_is_said_when_its_time_is_over() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        lines(&refusals, HERE, "malformed", 9, now);
        let next = refusals.count(HERE, "malformed", now + WINDOW);
        assert_eq!(next.left_out, BTreeMap::from([("malformed", 4)]));
        assert!(next.line);
        assert!(
            refusals
                .count(HERE, "malformed", now + WINDOW)
                .left_out
                .is_empty()
        );
    }
}
