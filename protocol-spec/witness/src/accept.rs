//! Connections: as many as the witness has been given, each with little time. When there are more, the oldest of whoever has
//! most makes room, so that nobody keeps a log from being cosigned by holding connections open (LOG-21).

use std::{collections::HashMap, future::Future, net::IpAddr, pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use protocol_spec::defence::Defence;
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::sleep,
};

/// Serves until `stop`; at most so many connections at once. What is cut off then was remembered before it was answered.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    most: usize,
    stop: impl Future<Output = ()>,
) {
    let mut held = OpenConnections::default();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.as_mut() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                if !Defence::WitnessLimits.is_off() {
                    held.make_room(most);
                }
                let task = tokio::spawn(serve_one(stream, router.clone())).abort_handle();
                held.connections.push((Network::of(peer.ip()), task));
            }
            // Out of file descriptors, mostly: it passes as connections end.
            Err(_) => sleep(PAUSE).await,
        }
    }
    held.make_room(1);
}

async fn serve_one(stream: TcpStream, router: Router) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).max_buf_size(HEADER_BYTES);
    let header_time = if Defence::WitnessLimits.is_off() {
        None
    } else {
        Some(HEADER_TIME)
    };
    builder.header_read_timeout(header_time);
    let service = TowerToHyperService::new(router);
    // Whoever broke off knows.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

/// The connections that are open, the oldest first.
#[derive(Default)]
struct OpenConnections {
    connections: Vec<(Network, AbortHandle)>,
}

impl OpenConnections {
    /// Ends the oldest connections of whoever has most, until there is room for one more.
    fn make_room(&mut self, most: usize) {
        self.connections.retain(|(_, task)| !task.is_finished());
        while self.connections.len() >= most.max(1) {
            let greediest = self.greediest();
            let Some(oldest) = self
                .connections
                .iter()
                .position(|(source, _)| Some(*source) == greediest)
            else {
                return;
            };
            self.connections.remove(oldest).1.abort();
        }
    }

    fn greediest(&self) -> Option<Network> {
        let mut counts = HashMap::<Network, usize>::new();
        for (source, _) in &self.connections {
            *counts.entry(*source).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(source, _)| source)
    }
}

/// Who may well be one: an IPv4 address, or the half of an IPv6 address that its network has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Network {
    V4([u8; 4]),
    V6([u16; 4]),
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// For the header section of a request, and between two of them.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// A request has a line and some short fields.
const HEADER_BYTES: usize = 16 << 10;
/// After a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Network {
        Network::of(IpAddr::from([192, 0, 2, last]))
    }

    /// LOG-21: who holds most loses its oldest, and nobody else loses any.
    #[tokio::test]
    async fn the_greediest_makes_room() {
        let mut held = OpenConnections::default();
        let hold = |last| {
            (
                source(last),
                tokio::spawn(std::future::pending::<()>()).abort_handle(),
            )
        };
        held.connections = [1, 2, 2, 3, 2].map(hold).into();
        let (honest, oldest) = (held.connections[0].1.id(), held.connections[1].1.id());
        held.make_room(5);
        let left: Vec<_> = held.connections.iter().map(|(_, task)| task.id()).collect();
        assert_eq!(left.len(), 4);
        assert!(left.contains(&honest) && !left.contains(&oldest));
        held.make_room(1);
        assert!(held.connections.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let [one, other, far] = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"]
            .map(|text| Network::of(text.parse().unwrap()));
        assert_eq!(one, other);
        assert_ne!(one, far);
        assert_eq!(Network::of("::ffff:192.0.2.7".parse().unwrap()), source(7));
    }
}
