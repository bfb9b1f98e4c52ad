//! HTTP/1.1 over TLS: a pool of connections, bodies in pieces, timeouts everywhere.

use std::{
    collections::VecDeque,
    convert::Infallible,
    error::Error as StdError,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;

use super::{
    fault::CertificateFault,
    proxy::{Connector, NoWay, Route},
    trace::Exchange,
};

/// Connections to one server. HTTP/1.1 alone: bulk data gains nothing from multiplexing.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpsConnector<Connector>, Pieces>,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The certificate is not taken.
    Certificate(CertificateFault),
    /// A proxy does not lead to the server.
    Proxy {
        /// Which, and who has named it.
        proxy: String,
        /// Why.
        cause: String,
    },
    /// Anything else of the transport, in the words of its innermost cause.
    Transport(String),
}

/// A body in pieces that are sent as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces(VecDeque<Bytes>);

impl Pieces {
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.remaining() as u64).sum()
    }

    /// A message, which is one piece.
    pub(crate) fn whole(&self) -> Bytes {
        self.0.front().cloned().unwrap_or_default()
    }
}

impl From<Vec<Bytes>> for Pieces {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self(pieces.into())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

/// An answer's body, as it arrives.
pub(crate) struct Incoming {
    body: hyper::body::Incoming,
    exchange: Option<Exchange>,
}

impl Incoming {
    /// The next bytes; nothing at the end of a complete body.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let next = self.next_piece().await;
        match (&mut self.exchange, &next) {
            (Some(exchange), Ok(Some(piece))) => exchange.piece(piece),
            (Some(exchange), Err(failure)) => exchange.lost(failure),
            _ => {}
        }
        next
    }

    /// What is empty is not a byte: a body that only goes on does not keep anybody waiting.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, Failure> {
        let piece = async {
            while let Some(frame) = self.body.frame().await.transpose()? {
                match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Ok(Some(data)),
                    Err(_trailers) => {}
                }
            }
            Ok::<_, hyper::Error>(None)
        };
        tokio::time::timeout(IDLE, piece)
            .await
            .map_err(|_| Failure::Transport("no bytes came for 30 seconds".into()))?
            .map_err(|error| Failure::of(&error))
    }

    /// The whole body, of at most `limit` bytes.
    pub(crate) async fn collect(mut self, limit: usize) -> Result<Bytes, Failure> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > limit {
                return Err(Failure::Transport(
                    "the answer is longer than any answer may be".into(),
                ));
            }
            whole.extend_from_slice(&piece);
        }
        let whole = Bytes::from(whole);
        if let Some(exchange) = &self.exchange {
            exchange.whole(&whole);
        }
        Ok(whole)
    }
}

impl Http {
    /// By this route to one server.
    pub(super) fn new(config: ClientConfig, route: &Route) -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .wrap_connector(route.connector(connector));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .http1_max_buf_size(READ_BUFFER)
            .build(https);
        Self { client }
    }

    /// Sends one request and waits for the head of its answer.
    pub(crate) async fn send(
        &self,
        request: hyper::Request<Pieces>,
    ) -> Result<(http::response::Parts, Incoming), Failure> {
        let mut exchange = Exchange::begin(&request);
        let answer = self.answer(request).await;
        match (&mut exchange, &answer) {
            (Some(exchange), Ok((parts, _))) => exchange.head(parts),
            (Some(exchange), Err(failure)) => exchange.lost(failure),
            (None, _) => {}
        }
        let (parts, body) = answer?;
        Ok((parts, Incoming { body, exchange }))
    }

    async fn answer(
        &self,
        request: hyper::Request<Pieces>,
    ) -> Result<(http::response::Parts, hyper::body::Incoming), Failure> {
        let patience = ANSWER + Duration::from_secs(request.body().len() / SLOWEST);
        let answer = tokio::time::timeout(patience, self.client.request(request))
            .await
            .map_err(|_| Failure::Transport("no answer in time".into()))?;
        Ok(answer.map_err(|error| Failure::of(&error))?.into_parts())
    }
}

impl Failure {
    fn of(error: &(dyn StdError + 'static)) -> Self {
        let cause = innermost(error);
        if let Some(rustls::Error::InvalidCertificate(fault)) = cause.downcast_ref() {
            return Self::Certificate(CertificateFault::of(fault));
        }
        match cause.downcast_ref::<NoWay>() {
            Some(NoWay { proxy, cause }) => Self::Proxy {
                proxy: proxy.to_string(),
                cause: cause.clone(),
            },
            None => Self::Transport(cause.to_string()),
        }
    }
}

/// What everything else was caused by. `io::Error` hides what it wraps from `source`, so it is unwrapped here.
pub(super) fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut cause = error;
    loop {
        let known =
            cause.is::<NoWay>() || matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)));
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = wrapped
            .map(|inner| inner as &(dyn StdError + 'static))
            .or_else(|| cause.source());
        match inner {
            Some(inner) if !known => cause = inner,
            _ => return cause,
        }
    }
}

const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence inside a body.
const IDLE: Duration = Duration::from_secs(30);
/// Longest wait for the head of an answer, besides the time that the request's body takes.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes a second that a link must carry.
const SLOWEST: u64 = 64 * 1024;
/// Read buffer: large enough that a leaf arrives in few pieces, small enough to stay in the cache.
const READ_BUFFER: usize = 512 * 1024;
