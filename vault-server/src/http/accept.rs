//! Connections: each has one of a number of [places](super::places), is shaken hands with in time, served with hyper's limits set, and
//! ended when idle, old, unread or at shutdown (API-11). hyper limits little by itself: see the limits' tests.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr},
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::{
    App,
    places::{Activity, ConnectionPlace, Places, Running},
    prefix::Origin,
    stall::Unstalled,
};
use crate::tls::H2;

/// Read from the socket at once. rustls reads 4 KiB at a time, which would be a system call each.
const READ_BUFFER: usize = 128 << 10;
/// Encrypted bytes that wait for the socket.
const TLS_BUFFER: usize = 256 << 10;
/// hyper's buffers of one connection.
const HTTP1_BUFFER: usize = 64 << 10;
/// What an HTTP/2 peer may send ahead of us, on a stream and on the connection: memory that it
/// takes before anything is verified.
const H2_STREAM_WINDOW: u32 = 128 << 10;
const H2_CONNECTION_WINDOW: u32 = 256 << 10;

/// What a request may do to the connection that it came on. While one exists, a request is running.
#[derive(Clone)]
pub(crate) struct Connection {
    activity: Arc<Activity>,
    peer: IpAddr,
    _running: Running,
}

impl Connection {
    /// That of a request which came without one, from this process.
    pub(crate) fn in_process() -> Self {
        let state = PeerState {
            activity: Activity::without_place(),
            peer: Ipv4Addr::LOCALHOST.into(),
        };
        state.request()
    }

    /// The address at its other end.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    pub(super) fn origin(&self) -> Origin {
        self.peer.into()
    }

    /// Cuts the connection off, also in the middle of a response.
    pub(super) fn close(&self, why: &'static str) {
        tracing::info!(why, "connection cut off");
        self.activity.close().cancel();
    }
}

/// Accepts until the server stops, and serves at most so many at once. Each connection counts in `app.tasks`.
pub(crate) async fn accept(
    app: App,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    most: usize,
) {
    let places = Places::new(most);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                // One comes in at a time: beside those that have a place there is never more than one.
                let Some(place) = places.take(peer.ip().into()).await else {
                    app.metrics.connections_refused.inc();
                    continue;
                };
                let serving = serve(
                    app.clone(),
                    (stream, peer.ip()),
                    place,
                    tls.clone(),
                    router.clone(),
                );
                let open = app.metrics.connections.clone();
                open.inc();
                app.tasks.spawn(async move {
                    serving.await;
                    open.dec();
                });
            }
            // Out of file descriptors, mostly: it passes as connections end.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(
    app: App,
    (stream, peer): (TcpStream, IpAddr),
    place: ConnectionPlace,
    tls: Option<TlsAcceptor>,
    router: Router,
) {
    // An error here shows again at the first read.
    drop(stream.set_nodelay(true));
    let stream = BufReader::with_capacity(READ_BUFFER, Unstalled::new(stream, app.limits.write_stall));
    let state = PeerState {
        activity: Arc::clone(place.activity()),
        peer,
    };
    match tls {
        None => serve_http(&app, stream, &state, false, router).await,
        Some(tls) => {
            let handshake = async {
                if !app.handshakes.turn(peer.into(), Instant::now()).await {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                tls.accept_with(stream, |session| session.set_buffer_limit(Some(TLS_BUFFER)))
                    .await
            };
            let handshake = tokio::select! {
                handshake = timeout(app.limits.handshake_timeout, handshake) => handshake,
                () = state.activity.close().cancelled() => return,
                () = app.stop.cancelled() => return,
            };
            if let Ok(Ok(stream)) = handshake {
                let h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
                serve_http(&app, stream, &state, h2, router).await;
            } else {
                app.metrics.handshake_failures.inc();
            }
        }
    }
}

async fn serve_http<IO>(app: &App, io: IO, state: &PeerState, h2: bool, router: Router)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    state.activity.established();
    let (io, service) = (TokioIo::new(io), service(router, state.clone()));
    if h2 {
        run(app, state, http2_builder(app).serve_connection(io, service)).await;
    } else {
        run(app, state, http1_builder(app).serve_connection(io, service)).await;
    }
}

/// Serves until the connection ends by itself, or has to.
async fn run<C: GracefulConnection>(app: &App, state: &PeerState, connection: C) {
    let mut connection = pin!(connection);
    let close = state.activity.close();
    tokio::select! {
        _ = connection.as_mut() => return,
        () = close.cancelled() => return,
        () = state.idle(app.limits.idle_timeout) => {}
        () = sleep(app.limits.connection_age) => {}
        () = app.stop.cancelled() => {}
    }
    GracefulConnection::graceful_shutdown(connection.as_mut());
    tokio::select! {
        _ = connection => {}
        () = close.cancelled() => {}
        () = sleep(app.limits.drain) => {}
    }
}

/// What is known of one connection.
#[derive(Clone)]
struct PeerState {
    activity: Arc<Activity>,
    peer: IpAddr,
}

impl PeerState {
    fn request(&self) -> Connection {
        Connection {
            activity: Arc::clone(&self.activity),
            peer: self.peer,
            _running: self.activity.begin(),
        }
    }

    /// When for `patience` no request came or ran.
    async fn idle(&self, patience: Duration) {
        loop {
            let rest = match self.activity.idle() {
                Some(idle) if idle >= patience => return,
                Some(idle) => patience.saturating_sub(idle),
                None => patience,
            };
            // Times are kept in whole milliseconds.
            sleep(rest + Duration::from_millis(1)).await;
        }
    }
}

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

fn service(
    router: Router,
    state: PeerState,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future = ResponseFuture> {
    service_fn(move |request: Request<Incoming>| {
        let (router, connection) = (router.clone(), state.request());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(connection.clone());
        let answer: ResponseFuture = Box::pin(async move {
            let answer = router.oneshot(request).await;
            drop(connection);
            answer
        });
        answer
    })
}

fn http1_builder(app: &App) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(app.limits.header_timeout)
        .max_headers(app.limits.header_fields)
        .max_header_size(app.limits.header_bytes)
        .max_buf_size(HTTP1_BUFFER.max(app.limits.header_bytes));
    builder
}

fn http2_builder(app: &App) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(app.limits.h2_streams)
        .max_pending_accept_reset_streams(app.limits.h2_resets)
        .max_local_error_reset_streams(app.limits.h2_resets)
        .max_header_list_size(u32::try_from(app.limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .keep_alive_interval(app.limits.keep_alive)
        .keep_alive_timeout(app.limits.write_stall);
    builder
}
