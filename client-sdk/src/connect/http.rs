//! Requests and answers as bytes: timeouts everywhere, and what is told of them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{TryStreamExt, stream::BoxStream};

use super::trace::{Exchange, Tracer};
use crate::{
    Result,
    ground::{Answer, Connection, Ground, Pieces, System, TransportFailure, Trust},
};

/// The way to one server, over which requests go.
#[derive(Clone)]
pub(crate) struct Http {
    connection: Arc<dyn Connection>,
    pub(super) system: Arc<dyn System>,
    tracer: Option<Tracer>,
}

/// An answer's body, as it arrives.
pub(crate) struct Incoming {
    body: BoxStream<'static, Result<Bytes, TransportFailure>>,
    system: Arc<dyn System>,
    exchange: Option<Exchange>,
}

impl Incoming {
    /// The next bytes; nothing at the end of a complete body.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, TransportFailure> {
        let next = self.next_piece().await;
        match (&mut self.exchange, &next) {
            (Some(exchange), Ok(Some(piece))) => exchange.piece(piece),
            (Some(exchange), Err(failure)) => exchange.lost(failure),
            _ => {}
        }
        next
    }

    /// What is empty is not a byte: a body that only goes on does not keep anybody waiting.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, TransportFailure> {
        let piece = async {
            while let Some(data) = self.body.try_next().await? {
                if !data.is_empty() {
                    return Ok(Some(data));
                }
            }
            Ok(None)
        };
        let silent = || TransportFailure::Transport("no bytes came for 30 seconds".into());
        self.system.within(IDLE, piece).await.ok_or_else(silent)?
    }

    /// The whole body, of at most `limit` bytes.
    pub(crate) async fn collect(mut self, limit: usize) -> Result<Bytes, TransportFailure> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > limit {
                return Err(TransportFailure::Transport(
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
    pub(super) fn to(authority: &str, trust: Trust, ground: &Ground) -> Result<Self> {
        Ok(Self {
            connection: ground.transport.to(authority, trust)?,
            system: ground.system.clone(),
            tracer: ground.tracer.clone(),
        })
    }

    /// Sends one request and waits for the head of its answer.
    pub(crate) async fn send(
        &self,
        request: http::Request<Pieces>,
    ) -> Result<(http::response::Parts, Incoming), TransportFailure> {
        let mut exchange = self
            .tracer
            .as_ref()
            .map(|tracer| Exchange::begin(tracer, &self.system, &request));
        let answer = self.answer(request).await;
        match (&mut exchange, &answer) {
            (Some(exchange), Ok(Answer { head, .. })) => exchange.head(head),
            (Some(exchange), Err(failure)) => exchange.lost(failure),
            (None, _) => {}
        }
        let Answer { head, body } = answer?;
        let incoming = Incoming {
            body,
            system: self.system.clone(),
            exchange,
        };
        Ok((head, incoming))
    }

    /// Says that a request is made once more.
    pub(super) fn again(&self, attempts: u32) {
        if let Some(tracer) = &self.tracer {
            tracer.again(attempts);
        }
    }

    async fn answer(&self, request: http::Request<Pieces>) -> Result<Answer, TransportFailure> {
        let patience = ANSWER + Duration::from_secs(request.body().len() / SLOWEST);
        let late = || TransportFailure::Transport("no answer in time".into());
        let answer = self.connection.send(request);
        self.system.within(patience, answer).await.ok_or_else(late)?
    }
}

/// Longest silence inside a body.
const IDLE: Duration = Duration::from_secs(30);
/// Longest wait for the head of an answer, besides the time that the request's body takes.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes a second that a link must carry.
const SLOWEST: u64 = 64 * 1024;
