//! How many patients one network address has enrolled of late. Anybody may, under a key of its own making, so that there is no
//! principal to be counted (ACC-5). Kept in memory only.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::prefix::Prefix;

/// So many for each subscriber in a while.
pub(super) struct Enrolments {
    limit: usize,
    span: Duration,
    /// By network; those whose while is over are forgotten when there is no room.
    made: Mutex<HashMap<Prefix, Made>>,
}

struct Made {
    since: Instant,
    count: usize,
}

impl Made {
    fn is_over(&self, span: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= span
    }
}

impl Enrolments {
    pub(super) fn new(limit: usize, span: Duration) -> Self {
        Self {
            limit,
            span,
            made: Mutex::default(),
        }
    }

    /// Counts one more, unless the address has made all it may.
    pub(super) fn admit(&self, from: IpAddr, now: Instant) -> bool {
        let network = Prefix::of_subscriber(from);
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_NETWORKS {
            all.retain(|_, made| !made.is_over(self.span, now));
        }
        if all.len() >= MOST_NETWORKS && !all.contains_key(&network) {
            return false;
        }
        let made = all.entry(network).or_insert(Made { since: now, count: 0 });
        if made.is_over(self.span, now) {
            *made = Made { since: now, count: 0 };
        }
        made.count += 1;
        made.count <= self.limit
    }
}

/// The while.
pub(super) const HOUR: Duration = Duration::from_secs(3600);
/// Some megabytes.
const MOST_NETWORKS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(600);

    /// ACC-5
    #[test]
    fn each_network_has_its_own_count_for_a_while() {
        let (enrolments, begin) = (Enrolments::new(2, SPAN), Instant::now());
        let admit = |address: &str, seconds| {
            enrolments.admit(address.parse().unwrap(), begin + Duration::from_secs(seconds))
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

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let (enrolments, begin) = (Enrolments::new(9, SPAN), Instant::now());
        for number in 0..u32::try_from(MOST_NETWORKS).unwrap() {
            assert!(enrolments.admit(std::net::Ipv4Addr::from_bits(number).into(), begin));
        }
        let one_more = "2001:db8::1".parse().unwrap();
        assert!(!enrolments.admit(one_more, begin));
        assert!(
            enrolments.admit("0.0.0.7".parse().unwrap(), begin),
            "who is counted goes on"
        );
        assert!(enrolments.admit(one_more, begin + SPAN));
    }
}
