//! Connections in the order in which they give way to others (API-14): of the network that has most, and of its subscriber that
//! has most, the one that does least.
//!
//! The order is kept, not looked for. Whatever changes and whatever is asked costs a few steps in sorted sets, however many
//! connections there are and whosever they are: else those who open many would make the server slow for who comes next.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use crate::http::prefix::{Origin, Prefix};

/// What a connection does, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    /// It has not even shaken hands.
    Handshake,
    /// No request of the connection runs.
    Nothing,
    /// Requests of the connection run.
    Requests,
}

/// A connection among those of its subscriber: the least one gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GivingWay {
    pub(super) doing: Doing,
    /// Since when, in milliseconds: the longer, the sooner.
    pub(super) since: u64,
    pub(super) number: u64,
}

/// How many connections a subscriber has, and the first of them to give way.
type OfSubscriber = (usize, Reverse<GivingWay>);
/// How many a network has, and its greediest subscriber.
type OfNetwork = (usize, OfSubscriber);

/// All connections, in the order in which they make room.
#[derive(Default)]
pub(super) struct Order {
    networks: HashMap<Prefix, Network>,
    /// Networks by what they hold, the greediest last.
    greed: BTreeSet<(OfNetwork, Prefix)>,
}

#[derive(Default)]
struct Network {
    count: usize,
    subscribers: HashMap<Prefix, BTreeSet<GivingWay>>,
    /// Subscribers by what they hold, the greediest last.
    greed: BTreeSet<(OfSubscriber, Prefix)>,
}

impl Order {
    pub(super) fn add(&mut self, origin: Origin, turn: GivingWay) {
        self.change(origin, |turns| {
            turns.insert(turn);
        });
    }

    pub(super) fn remove(&mut self, origin: Origin, turn: GivingWay) {
        self.change(origin, |turns| {
            turns.remove(&turn);
        });
    }

    /// Moves a connection to another turn, because it does something else now.
    pub(super) fn replace(&mut self, origin: Origin, before: GivingWay, after: GivingWay) {
        self.change(origin, |turns| {
            turns.remove(&before);
            turns.insert(after);
        });
    }

    /// Who has to give way to one more connection from `comer`, of those who have more than he would. Between networks by what
    /// each has; within one, between its subscribers.
    pub(super) fn greediest(&self, comer: Origin) -> Option<GivingWay> {
        let ((most, (_, Reverse(first))), _) = self.greed.last()?;
        let own = self.networks.get(&comer.network);
        if *most > own.map_or(0, |own| own.count) + 1 {
            return Some(*first);
        }
        let own = own?;
        let ((most, Reverse(first)), _) = own.greed.last()?;
        let count = own.subscribers.get(&comer.subscriber).map_or(0, BTreeSet::len);
        (*most > count + 1).then_some(*first)
    }

    /// One of the subscriber's own that has done nothing since then or longer.
    pub(super) fn unused_since(&self, subscriber: Origin, then: u64) -> Option<GivingWay> {
        let network = self.networks.get(&subscriber.network)?;
        let turns = network.subscribers.get(&subscriber.subscriber)?;
        [Doing::Handshake, Doing::Nothing].into_iter().find_map(|doing| {
            let least = GivingWay {
                doing,
                since: 0,
                number: 0,
            };
            let first = turns.range(least..).next()?;
            (first.doing == doing && first.since <= then).then_some(*first)
        })
    }

    fn change(&mut self, origin: Origin, change: impl FnOnce(&mut BTreeSet<GivingWay>)) {
        let network = self.networks.entry(origin.network).or_default();
        let before = network.greed();
        network.change(origin.subscriber, change);
        let after = network.greed();
        if let Some(before) = before {
            self.greed.remove(&(before, origin.network));
        }
        if let Some(after) = after {
            self.greed.insert((after, origin.network));
        } else {
            self.networks.remove(&origin.network);
        }
    }
}

impl Network {
    fn greed(&self) -> Option<OfNetwork> {
        self.greed.last().map(|(greediest, _)| (self.count, *greediest))
    }

    fn change(&mut self, subscriber: Prefix, change: impl FnOnce(&mut BTreeSet<GivingWay>)) {
        let turns = self.subscribers.entry(subscriber).or_default();
        let (had, before) = (turns.len(), greed(turns));
        change(turns);
        let (has, after) = (turns.len(), greed(turns));
        self.count = (self.count + has).saturating_sub(had);
        if let Some(before) = before {
            self.greed.remove(&(before, subscriber));
        }
        if let Some(after) = after {
            self.greed.insert((after, subscriber));
        } else {
            self.subscribers.remove(&subscriber);
        }
    }
}

/// None of who has no connections.
fn greed(turns: &BTreeSet<GivingWay>) -> Option<OfSubscriber> {
    turns.first().map(|first| (turns.len(), Reverse(*first)))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// The same rules, as a look at all connections.
    #[derive(Default)]
    struct Model(Vec<(Origin, GivingWay)>);

    impl Model {
        fn of_network(&self, origin: Origin) -> usize {
            let same = |(other, _): &&(Origin, GivingWay)| other.network == origin.network;
            self.0.iter().filter(same).count()
        }

        fn of_subscriber(&self, origin: Origin) -> usize {
            let same = |(other, _): &&(Origin, GivingWay)| other.subscriber == origin.subscriber;
            self.0.iter().filter(same).count()
        }

        fn greediest(&self, comer: Origin) -> Option<GivingWay> {
            let has_more = |(origin, _): &&(Origin, GivingWay)| {
                if origin.network == comer.network {
                    self.of_subscriber(*origin) > self.of_subscriber(comer) + 1
                } else {
                    self.of_network(*origin) > self.of_network(comer) + 1
                }
            };
            let greed = |(origin, turn): &&(Origin, GivingWay)| {
                (
                    self.of_network(*origin),
                    self.of_subscriber(*origin),
                    Reverse(*turn),
                )
            };
            let greediest = self.0.iter().filter(has_more).max_by_key(greed);
            greediest.map(|(_, turn)| *turn)
        }

        fn unused_since(&self, subscriber: Origin, then: u64) -> Option<GivingWay> {
            let unused = |(origin, turn): &&(Origin, GivingWay)| {
                origin.subscriber == subscriber.subscriber
                    && turn.doing != Doing::Requests
                    && turn.since <= then
            };
            self.0.iter().filter(unused).map(|(_, turn)| *turn).min()
        }
    }

    /// Some of 16 subscribers of four networks.
    fn origin(number: u64) -> Origin {
        let [network, host] = [(number / 4) % 4, number % 4].map(|part| u8::try_from(part).unwrap());
        std::net::IpAddr::from(Ipv4Addr::new(192, 0, network, host)).into()
    }

    fn turn(random: u64, number: u64) -> GivingWay {
        let doing = [Doing::Handshake, Doing::Nothing, Doing::Requests][usize::try_from(random % 3).unwrap()];
        GivingWay {
            doing,
            since: random / 3 % 10,
            number,
        }
    }

    #[test]
    fn the_order_is_that_of_a_look_at_all() {
        let (mut order, mut model) = (Order::default(), Model::default());
        let mut state = 1_u64;
        let mut random = || {
            // Knuth's MMIX; its low bits repeat soon.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        for number in 0..4000 {
            let place = usize::try_from(random()).unwrap() % 40;
            match model.0.get_mut(place) {
                Some((origin, before)) if random() % 2 == 0 => {
                    let after = turn(random(), before.number);
                    order.replace(*origin, *before, after);
                    *before = after;
                }
                Some(_) => {
                    let (origin, turn) = model.0.swap_remove(place);
                    order.remove(origin, turn);
                }
                None => {
                    let (origin, turn) = (origin(random()), turn(random(), number));
                    order.add(origin, turn);
                    model.0.push((origin, turn));
                }
            }
            let (comer, then) = (origin(random()), random() % 10);
            assert_eq!(order.greediest(comer), model.greediest(comer));
            assert_eq!(order.unused_since(comer, then), model.unused_since(comer, then));
        }
        for (origin, turn) in model.0 {
            order.remove(origin, turn);
        }
        assert!(order.networks.is_empty() && order.greed.is_empty());
    }
}
