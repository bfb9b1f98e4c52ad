//! HTTP/1.1 over TLS: a pool of connections, bodies in pieces.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    failure,
    proxy::{Choice, Connector, Route},
    tls,
};
use crate::{
    Result,
    ground::{Answer, Connection, Pieces, Transport, TransportFailure, Trust},
};

/// The sockets of this machine, by the proxy that was chosen.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) proxy: Choice,
}

impl Transport for Sockets {
    fn to(&self, authority: &str, trust: Trust) -> Result<Arc<dyn Connection>> {
        let route = Route::to(&self.proxy, authority)?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(authority, trust)?)
            .https_only()
            .enable_http1()
            .wrap_connector(route.connector(connector));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .http1_max_buf_size(READ_BUFFER)
            .build(https);
        Ok(Arc::new(Pool { client }))
    }
}

/// Connections to one server. HTTP/1.1 alone: bulk data gains nothing from multiplexing.
#[derive(Debug)]
struct Pool {
    client: Client<HttpsConnector<Connector>, Pieces>,
}

impl Connection for Pool {
    fn send(&self, request: http::Request<Pieces>) -> BoxFuture<'_, Result<Answer, TransportFailure>> {
        let answered = self.client.request(request);
        async move {
            let answer = answered.await.map_err(|error| failure::of(&error))?;
            let (head, body) = answer.into_parts();
            let body = body.into_data_stream().map_err(|error| failure::of(&error));
            Ok(Answer {
                head,
                body: body.boxed(),
            })
        }
        .boxed()
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

const CONNECT: Duration = Duration::from_secs(10);
/// Read buffer: large enough that a leaf arrives in few pieces, small enough to stay in the cache.
const READ_BUFFER: usize = 512 * 1024;
