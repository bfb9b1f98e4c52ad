//! Connections: accepted up to a number, shaken hands with in time, served with hyper's limits set, and
//! ended when idle, old, unread or at shutdown (API-11). hyper limits little by itself: see the limits' tests.

use std::{
    convert::Infallible,
    io,
    net::IpAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
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
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{App, stall::Unstalled};
use crate::tls::H2;

/// Read from the socket at once. rustls reads 4 KiB at a time, which would be a system call each.
const READ_BUFFER: usize = 128 << 10;
/// Encrypted bytes that wait for the socket.
const TLS_BUFFER: usize = 256 << 10;
/// hyper's buffers of one connection.
const HTTP1_BUFFER: usize = 64 << 10;
/// What an HTTP/2 peer may send ahead of us, on a stream and on the connection: memory that it takes
/// before anything is verified.
const H2_STREAM_WINDOW: u32 = 128 << 10;
const H2_CONNECTION_WINDOW: u32 = 256 << 10;

/// What a request may do to the connection that it came on. While one exists, a request is running.
#[derive(Clone)]
pub(super) struct Connection {
    close: CancellationToken,
    public_memory: Arc<Semaphore>,
    peer: IpAddr,
    _running: Arc<()>,
}

impl Connection {
    /// The address at its other end.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Its part of the memory for what nobody has signed.
    pub(super) fn public_memory(&self) -> Arc<Semaphore> {
        Arc::clone(&self.public_memory)
    }

    /// Cuts the connection off, also in the middle of a response.
    pub(super) fn close(&self, why: &'static str) {
        tracing::info!(why, "connection cut off");
        self.close.cancel();
    }
}

/// Accepts until the server stops. Each connection counts in `app.tasks`.
pub(crate) async fn accept(app: App, listener: TcpListener, tls: Option<TlsAcceptor>, router: Router) {
    let free = Arc::new(Semaphore::new(app.limits.connections.min(Semaphore::MAX_PERMITS)));
    loop {
        // Beyond the limit, connections wait in the kernel's queue.
        let accepted = async {
            let permit = free.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok((permit, listener.accept().await?))
        };
        let accepted: io::Result<_> = tokio::select! {
            accepted = accepted => accepted,
            () = app.stop.cancelled() => return,
        };
        match accepted {
            Ok((permit, (stream, peer))) => {
                let serving = serve(app.clone(), (stream, peer.ip()), tls.clone(), router.clone());
                let open = app.metrics.connections.clone();
                open.inc();
                app.tasks.spawn(async move {
                    serving.await;
                    open.dec();
                    drop(permit);
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

async fn serve(app: App, (stream, peer): (TcpStream, IpAddr), tls: Option<TlsAcceptor>, router: Router) {
    // An error here shows again at the first read.
    drop(stream.set_nodelay(true));
    let stream = BufReader::with_capacity(READ_BUFFER, Unstalled::new(stream, app.limits.write_stall));
    match tls {
        None => serve_http(&app, (stream, peer), false, router).await,
        Some(tls) => {
            let handshake = tls.accept_with(stream, |session| session.set_buffer_limit(Some(TLS_BUFFER)));
            let handshake = tokio::select! {
                handshake = timeout(app.limits.handshake_timeout, handshake) => handshake,
                () = app.stop.cancelled() => return,
            };
            if let Ok(Ok(stream)) = handshake {
                let h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
                serve_http(&app, (stream, peer), h2, router).await;
            } else {
                app.metrics.handshake_failures.inc();
            }
        }
    }
}

async fn serve_http<IO>(app: &App, (io, peer): (IO, IpAddr), h2: bool, router: Router)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (io, state) = (TokioIo::new(io), Arc::new(State::new(app, peer)));
    let service = service(router, Arc::clone(&state));
    if h2 {
        run(app, &state, http2_builder(app).serve_connection(io, service)).await;
    } else {
        run(app, &state, http1_builder(app).serve_connection(io, service)).await;
    }
}

/// Serves until the connection ends by itself, or has to.
async fn run<C: GracefulConnection>(app: &App, state: &State, connection: C) {
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = state.close.cancelled() => return,
        () = state.idle(app.limits.idle_timeout) => {}
        () = sleep(app.limits.connection_age) => {}
        () = app.stop.cancelled() => {}
    }
    GracefulConnection::graceful_shutdown(connection.as_mut());
    tokio::select! {
        _ = connection => {}
        () = state.close.cancelled() => {}
        () = sleep(app.limits.drain) => {}
    }
}

/// What is known of one connection.
struct State {
    close: CancellationToken,
    public_memory: Arc<Semaphore>,
    peer: IpAddr,
    running: Arc<()>,
    requests: AtomicU64,
}

impl State {
    fn new(app: &App, peer: IpAddr) -> Self {
        Self {
            close: CancellationToken::new(),
            public_memory: app.memory.of_connection(),
            peer,
            running: Arc::default(),
            requests: AtomicU64::default(),
        }
    }

    fn request(&self) -> Connection {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Connection {
            close: self.close.clone(),
            public_memory: Arc::clone(&self.public_memory),
            peer: self.peer,
            _running: Arc::clone(&self.running),
        }
    }

    /// When for `patience` no request came or ran.
    async fn idle(&self, patience: Duration) {
        loop {
            let before = self.requests.load(Ordering::Relaxed);
            sleep(patience).await;
            if Arc::strong_count(&self.running) == 1 && self.requests.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

fn service(
    router: Router,
    state: Arc<State>,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future = Answer> {
    service_fn(move |request: Request<Incoming>| {
        let (router, connection) = (router.clone(), state.request());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(connection.clone());
        let answer: Answer = Box::pin(async move {
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
