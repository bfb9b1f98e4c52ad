//! Network addresses by who has them. An address costs nothing to whoever has a block of them, so what is shared out
//! between strangers is shared out between blocks of several sizes (API-14, DEV-12, ACC-5).

use std::net::IpAddr;

/// A block of addresses: the first bits of an address. IPv4 is counted as what it is mapped to in IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Prefix {
    bits: u128,
    length: u32,
}

impl Prefix {
    /// What one subscriber has: an IPv4 address; of an IPv6 address, 56 bits.
    pub(crate) fn of_subscriber(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(_) => Self::of(address, 32),
            IpAddr::V6(_) => Self::of(address, 56),
        }
    }

    /// What a small network has: of an IPv4 address, 24 bits; of an IPv6 address, 48.
    pub(crate) fn of_network(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(_) => Self::of(address, 24),
            IpAddr::V6(_) => Self::of(address, 48),
        }
    }

    /// The first bits of an IPv4 address (of 32), or of an IPv6 address (of 128).
    pub(crate) fn of(address: IpAddr, bits: u32) -> Self {
        let (address, length) = match address.to_canonical() {
            IpAddr::V4(address) => (address.to_ipv6_mapped(), 96_u32.saturating_add(bits)),
            IpAddr::V6(address) => (address, bits),
        };
        let mask = u128::MAX
            .checked_shl(128_u32.saturating_sub(length))
            .unwrap_or_default();
        Self {
            bits: address.to_bits() & mask,
            length,
        }
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) network: Prefix,
    pub(crate) subscriber: Prefix,
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self {
            network: Prefix::of_network(address),
            subscriber: Prefix::of_subscriber(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse::<IpAddr>().unwrap().into()
    }

    /// API-14
    #[test]
    fn one_subscriber_is_one_whatever_address_he_takes() {
        assert_eq!(
            origin("2001:db8:0:100::1").subscriber,
            origin("2001:db8:0:1ff:ffff::2").subscriber
        );
        assert_eq!(origin("192.0.2.1"), origin("::ffff:192.0.2.1"));
        assert_ne!(
            origin("2001:db8:0:100::1").subscriber,
            origin("2001:db8:0:200::1").subscriber
        );
        assert_ne!(origin("192.0.2.1").subscriber, origin("192.0.2.2").subscriber);
    }

    #[test]
    fn a_network_holds_its_subscribers_and_no_others() {
        assert_eq!(origin("192.0.2.1").network, origin("192.0.2.255").network);
        assert_ne!(origin("192.0.2.1").network, origin("192.0.3.1").network);
        assert_eq!(
            origin("2001:db8:0:100::1").network,
            origin("2001:db8:0:ff00::1").network
        );
        assert_ne!(origin("2001:db8::1").network, origin("2001:db8:1::1").network);
    }

    #[test]
    fn ipv4_and_ipv6_are_never_taken_for_each_other() {
        assert_ne!(origin("0.0.0.1").network, origin("::1").network);
    }
}
