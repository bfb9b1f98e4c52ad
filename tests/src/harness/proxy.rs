//! A TCP relay in front of a server that can be told to cut every connection after so many bytes.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread,
};

use anyhow::Result;

/// A relay; ends with the process.
#[derive(Clone, Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    /// Bytes until the next cut; negative: none is planned.
    until_cut: AtomicI64,
    cuts: AtomicU64,
    /// Bytes of answers after which each connection is cut; negative: none is.
    each_after: AtomicI64,
}

impl Proxy {
    /// Relays a free port of the loopback interface to `upstream`.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let state = Arc::new(State {
            upstream,
            until_cut: AtomicI64::new(-1),
            cuts: AtomicU64::new(0),
            each_after: AtomicI64::new(-1),
        });
        let proxy = Self {
            address: listener.local_addr()?,
            state: state.clone(),
        };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = state.clone();
                thread::spawn(move || relay(&client, &state));
            }
        });
        Ok(proxy)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the connection that carries the byte after the next `bytes`, in either direction, once.
    pub fn cut_after(&self, bytes: u32) {
        self.state.until_cut.store(i64::from(bytes), Ordering::SeqCst);
    }

    /// Cuts each connection that begins from now on after so many bytes of answers; none without a number.
    pub fn cut_each_after(&self, bytes: Option<u32>) {
        let bytes = bytes.map_or(-1, i64::from);
        self.state.each_after.store(bytes, Ordering::SeqCst);
    }

    /// How often a connection was cut.
    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

fn relay(client: &TcpStream, state: &Arc<State>) {
    let Ok(server) = TcpStream::connect(state.upstream) else {
        return;
    };
    let answers = state.each_after.load(Ordering::SeqCst);
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &server, state, -1));
        copy(&server, client, state, answers);
    });
}

/// Copies until the end, or so many bytes, if that is not negative.
fn copy(mut from: &TcpStream, mut to: &TcpStream, state: &State, most: i64) {
    let mut buffer = vec![0; 64 * 1024];
    let mut copied = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        copied += i64::try_from(count).unwrap_or(i64::MAX);
        if (0..copied).contains(&most) {
            state.cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
        let cut = state.spend(count);
        if cut || to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl State {
    /// Counts bytes down; true for whoever crosses zero.
    fn spend(&self, count: usize) -> bool {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let before = self.until_cut.load(Ordering::SeqCst);
        if before < 0 {
            return false;
        }
        let after = self.until_cut.fetch_sub(count, Ordering::SeqCst) - count;
        if after >= 0 {
            return false;
        }
        self.until_cut.store(-1, Ordering::SeqCst);
        self.cuts.fetch_add(1, Ordering::SeqCst);
        true
    }
}
