//! HTTP/1.1 over TLS: a pool of connections, bodies in pieces, timeouts everywhere.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;

use super::{
    failure::Failure,
    pieces::Pieces,
    proxy::{Connector, Route},
    trace::Exchange,
};

/// Connections to one server. HTTP/1.1 alone: bulk data gains nothing from multiplexing.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpsConnector<Connector>, Pieces>,
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

const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence inside a body.
const IDLE: Duration = Duration::from_secs(30);
/// Longest wait for the head of an answer, besides the time that the request's body takes.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes a second that a link must carry.
const SLOWEST: u64 = 64 * 1024;
/// Read buffer: large enough that a leaf arrives in few pieces, small enough to stay in the cache.
const READ_BUFFER: usize = 512 * 1024;
