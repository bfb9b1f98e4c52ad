//! How many new devices have been offered of late, and from where. Anybody may offer one, under a key of its own making, so that
//! there is no principal to be counted (DEV-12). Kept in memory only: the vault bounds them in all.
//!
//! Each network may have a part of the places that are still free, and networks are looked at in several sizes. So whoever has a
//! block of addresses, of whatever size, leaves places for everybody else, and nobody's offer has to go for another's: a network
//! that has made none finds a place as long as there is one.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use protocol_spec::defence::Defence;

use super::prefix::Prefix;

/// So many in a while, in all and for each address.
pub(super) struct Offers {
    most: usize,
    of_address: usize,
    made: Mutex<RecentOffers>,
}

/// What was made within the while.
#[derive(Default)]
struct RecentOffers {
    order: VecDeque<(Instant, IpAddr)>,
    counts: HashMap<Prefix, usize>,
}

impl Offers {
    pub(super) fn new(most: usize, of_address: usize) -> Self {
        Self {
            most,
            of_address,
            made: Mutex::default(),
        }
    }

    /// Counts one more, if there is a place for this address.
    pub(super) fn admit(&self, from: IpAddr, now: Instant) -> bool {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.forget(now);
        let free = self.most.saturating_sub(made.order.len());
        let own = networks(from)
            .next()
            .map_or(0, |(network, _)| made.count(network));
        let fair = networks(from).all(|(network, part)| made.count(network).saturating_mul(part) < free);
        let admitted = free > 0
            && Defence::OffersOfAddress.holds(own < self.of_address)
            && Defence::OffersOfNetworks.holds(fair);
        if admitted {
            made.add(from, now);
        }
        admitted
    }
}

impl RecentOffers {
    fn count(&self, network: Prefix) -> usize {
        self.counts.get(&network).copied().unwrap_or_default()
    }

    fn add(&mut self, from: IpAddr, now: Instant) {
        self.order.push_back((now, from));
        for (network, _) in networks(from) {
            *self.counts.entry(network).or_default() += 1;
        }
    }

    fn forget(&mut self, now: Instant) {
        let is_over = |since: Instant| now.saturating_duration_since(since) >= WHILE;
        while let Some((_, from)) = self.order.pop_front_if(|(since, _)| is_over(*since)) {
            for (network, _) in networks(from) {
                let Entry::Occupied(mut count) = self.counts.entry(network) else {
                    continue;
                };
                if *count.get() > 1 {
                    *count.get_mut() -= 1;
                } else {
                    count.remove();
                }
            }
        }
    }
}

/// The networks that an address lies in, the smallest first, each with the part of the free places that it may have: one in so
/// many. A home has one IPv4 address, or 56 to 64 bits of IPv6; whoever rents machines has larger blocks.
fn networks(address: IpAddr) -> impl Iterator<Item = (Prefix, usize)> {
    let sizes: &[(u32, usize)] = match address.to_canonical() {
        IpAddr::V4(_) => &[(32, 16), (24, 8), (16, 4)],
        IpAddr::V6(_) => &[(64, 16), (56, 8), (48, 4), (32, 2)],
    };
    sizes
        .iter()
        .map(move |(bits, part)| (Prefix::of(address, *bits), *part))
}

/// As long as an offer is kept.
const WHILE: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    struct World {
        offers: Offers,
        begin: Instant,
    }

    impl World {
        fn new(most: usize, of_address: usize) -> Self {
            Self {
                offers: Offers::new(most, of_address),
                begin: Instant::now(),
            }
        }

        fn admit(&self, address: &str, seconds: u64) -> bool {
            let now = self.begin + Duration::from_secs(seconds);
            self.offers.admit(address.parse().unwrap(), now)
        }

        /// As many as are admitted of these, one after the other.
        fn flood(&self, addresses: impl Iterator<Item = String>) -> usize {
            addresses.filter(|address| self.admit(address, 1)).count()
        }
    }

    /// DEV-12
    #[test]
    fn each_address_has_its_own_count_for_a_while() {
        let world = World::new(4096, 2);
        for address in ["192.0.2.1", "2001:db8::1"] {
            assert!(world.admit(address, 0) && world.admit(address, 1));
        }
        assert!(!world.admit("192.0.2.1", 2) && !world.admit("::ffff:192.0.2.1", 2));
        assert!(!world.admit("2001:db8::ffff:2", 2), "of the same network");
        assert!(world.admit("192.0.2.2", 2) && world.admit("2001:db8:0:1::1", 2));
        assert!(!world.admit("192.0.2.1", 599));
        assert!(world.admit("192.0.2.1", 600) && !world.admit("192.0.2.1", 600));
        assert!(world.admit("192.0.2.1", 601));
    }

    /// DEV-12, ATK-74: blocks of every size, 64 offers of each address: somebody elsewhere finds a place, and so does
    /// who is next to the block.
    #[test]
    fn no_block_of_addresses_takes_all_places() {
        let v6 = |shift: u32, count: u128| {
            let base = u128::from_be_bytes([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            (0..count * 64).map(move |at| Ipv6Addr::from_bits(base + ((at / 64) << shift)).to_string())
        };
        let v4 = |count: u32| {
            let base = Ipv4Addr::new(198, 18, 0, 0).to_bits();
            (0..count * 64).map(move |at| Ipv4Addr::from_bits(base + at / 64).to_string())
        };
        // The networks of /64 in a /56, of /56 in a /48, of /48 in a /32; the addresses of an IPv4 /24 and /16.
        let floods: [(Box<dyn Iterator<Item = String>>, usize, &str); 5] = [
            (Box::new(v6(64, 256)), 456, "2001:db8:0:100::1"),
            (Box::new(v6(72, 256)), 820, "2001:db8:1::1"),
            (Box::new(v6(80, 4096)), 1366, "2001:db9::1"),
            (Box::new(v4(256)), 456, "198.18.1.1"),
            (Box::new(v4(4096)), 820, "198.19.0.1"),
        ];
        for (flood, most, beside) in floods {
            let world = World::new(4096, 64);
            assert_eq!(world.flood(flood), most);
            for address in [beside, "192.0.2.1"] {
                assert!((0..64).all(|_| world.admit(address, 2)), "{address}");
            }
        }
    }

    /// DEV-12: a hundred large blocks leave places too.
    #[test]
    fn many_blocks_leave_places_for_who_has_none() {
        let world = World::new(4096, 64);
        let addresses = (0..64_u32 * 40 * 100).map(|at| {
            let (block, address) = (at % 100, at / 100 / 64);
            Ipv4Addr::from_bits((10 << 24) + (block << 16) + address).to_string()
        });
        let taken = world.flood(addresses);
        assert!(taken < 4000, "{taken}");
        assert!(world.admit("192.0.2.1", 2) && world.admit("192.0.2.1", 2));
    }

    #[test]
    fn all_places_are_bounded_and_come_back() {
        let world = World::new(9, 9);
        let addresses = (0..100_u32).map(|at| Ipv4Addr::from_bits(at << 16).to_string());
        assert_eq!(world.flood(addresses), 9);
        assert!(!world.admit("192.0.2.1", 599));
        assert!(world.admit("192.0.2.1", 601));
        let made = world.offers.made.lock().unwrap();
        assert_eq!((made.order.len(), made.counts.len()), (1, 3));
    }
}
