//! The way out. Bodies leave in pieces, each fed by a task that notices a client who does not read; what
//! was taken for them is held until the last piece is gone, and not only until it was handed over.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use protocol_spec::content::LEAF_LEN;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{App, accept::Connection, memory::Watch};
use crate::vault::{LeafStream, Refusal};

/// Pieces of a body that are out at once: one waits for hyper, one is with hyper.
const AHEAD: u64 = 2;

/// A body of these leaves; `permits` are held until the last one is gone.
pub(super) fn leaves<Permits: Send + Sync + 'static>(
    app: &App,
    stream: LeafStream,
    (connection, watch): (Connection, Watch),
    permits: Permits,
) -> Body {
    let (lease, gone) = Lease::of(permits);
    let total = stream.total();
    let (sender, body) = Outgoing::channel(total);
    let way = Way {
        app: app.clone(),
        connection,
        watch: watch.begin(),
        sender,
        total,
        gone,
    };
    let leaves = Leaves {
        app: app.clone(),
        stream,
        lease,
    };
    app.tasks.spawn(way.feed(leaves));
    Body::new(body)
}

/// A body of these bytes; `permits` are held until the last one is gone.
pub(super) fn message<Permits: Send + Sync + 'static>(
    app: &App,
    bytes: Vec<u8>,
    (connection, watch): (Connection, Watch),
    permits: Permits,
) -> Body {
    if bytes.is_empty() {
        return Body::empty();
    }
    let (lease, gone) = Lease::of(permits);
    let total = length(&bytes);
    let (sender, body) = Outgoing::channel(total);
    let mut rest = Pieces(lease.hold(bytes.into()));
    drop(lease);
    // At once, so that it leaves together with the head. There is room for one.
    if let Some(first) = rest.cut() {
        drop(sender.try_send(Ok(first)));
    }
    let way = Way {
        app: app.clone(),
        connection,
        watch: watch.begin(),
        sender,
        total,
        gone,
    };
    app.tasks.spawn(way.feed(rest));
    Body::new(body)
}

/// What a body is made of.
trait Source {
    /// The next piece, or none at the end. After an error the body must be broken off.
    fn next(&mut self) -> impl Future<Output = Option<Result<Bytes, Refusal>>> + Send;
}

struct Leaves<Permits> {
    app: App,
    stream: LeafStream,
    lease: Lease<Permits>,
}

impl<Permits: Send + Sync + 'static> Source for Leaves<Permits> {
    async fn next(&mut self) -> Option<Result<Bytes, Refusal>> {
        let leaf = self.stream.next().await?;
        Some(leaf.map(|leaf| {
            self.app.metrics.leaf_bytes_out.inc_by(length(&leaf));
            self.lease.hold(leaf)
        }))
    }
}

/// A message, cut into pieces as long as leaves.
struct Pieces(Bytes);

impl Pieces {
    fn cut(&mut self) -> Option<Bytes> {
        let most = usize::try_from(LEAF_LEN).unwrap_or(usize::MAX);
        let piece = self.0.split_to(self.0.len().min(most));
        (!piece.is_empty()).then_some(piece)
    }
}

impl Source for Pieces {
    async fn next(&mut self) -> Option<Result<Bytes, Refusal>> {
        self.cut().map(Ok)
    }
}

/// From a source to a body.
struct Way {
    app: App,
    connection: Connection,
    watch: Watch,
    sender: mpsc::Sender<io::Result<Bytes>>,
    total: u64,
    /// Cancelled when nothing of the body is in memory any more.
    gone: CancellationToken,
}

impl Way {
    /// Until the client has it all, is gone, or is given up: for being slow, or because others need the memory.
    async fn feed(self, source: impl Source) {
        tokio::select! {
            () = self.feed_all(source) => {}
            () = self.watch.taken() => self.connection.close("others need the memory of a slow answer"),
        }
    }

    async fn feed_all(&self, mut source: impl Source) {
        while let Some(next) = source.next().await {
            let whole = next.is_ok();
            let length = next.as_ref().map_or(0, Bytes::len);
            let item = next.map_err(|refusal| {
                tracing::info!(
                    code = refusal.problem.code(),
                    cause = refusal.cause,
                    "leaves broken off"
                );
                io::Error::other("broken off")
            });
            match timeout(self.patience(LEAF_LEN), self.sender.send(item)).await {
                Ok(Ok(())) if whole => self.watch.moved(length),
                Err(_) => return self.give_up(),
                // The client is gone, or has been told.
                Ok(_) => return,
            }
        }
        drop(source);
        // HTTP/2 takes the last pieces without sending them.
        let last = self.patience(self.total.min(AHEAD * LEAF_LEN));
        if timeout(last, self.gone.cancelled()).await.is_err() {
            self.give_up();
        }
    }

    /// How long so many bytes may stay unread: the shorter, the scarcer memory is (API-16).
    fn patience(&self, bytes: u64) -> Duration {
        self.app.limits.write_stall.max(self.app.time_for(bytes)) / self.watch.haste()
    }

    fn give_up(&self) {
        self.connection.close("the client does not read");
    }
}

/// Permits that are held as long as bytes are.
pub(super) struct Lease<Permits>(Arc<Leased<Permits>>);

/// In this order: when it is known that the bytes are gone, the permits are back.
struct Leased<Permits> {
    _permits: Permits,
    _gone: DropGuard,
}

impl<Permits: Send + Sync + 'static> Lease<Permits> {
    /// And what is cancelled at its end.
    pub(super) fn of(permits: Permits) -> (Self, CancellationToken) {
        let gone = CancellationToken::new();
        let leased = Leased {
            _permits: permits,
            _gone: gone.clone().drop_guard(),
        };
        (Self(Arc::new(leased)), gone)
    }

    pub(super) fn hold(&self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(LeasedBytes {
            bytes,
            _lease: Arc::clone(&self.0),
        })
    }
}

struct LeasedBytes<Permits> {
    bytes: Bytes,
    _lease: Arc<Leased<Permits>>,
}

impl<Permits> AsRef<[u8]> for LeasedBytes<Permits> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Pieces as they come from the task. An end before its time is an error: the connection breaks, and the
/// client sees an incomplete transfer.
struct Outgoing {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    remaining: u64,
}

impl Outgoing {
    fn channel(total: u64) -> (mpsc::Sender<io::Result<Bytes>>, Self) {
        let (sender, receiver) = mpsc::channel(1);
        let body = Self {
            receiver,
            remaining: total,
        };
        (sender, body)
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(cx).map(|next| match next {
            Some(Ok(piece)) => {
                self.remaining = self.remaining.saturating_sub(length(&piece));
                Some(Ok(Frame::data(piece)))
            }
            Some(Err(error)) => Some(Err(error)),
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
