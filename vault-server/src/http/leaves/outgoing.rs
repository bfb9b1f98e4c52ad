//! The way out. A task feeds the body, so that the next leaf is read while one is sent, and so that a
//! client that does not read is noticed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::{Frame, SizeHint};
use protocol_spec::content::LEAF_LEN;
use tokio::sync::mpsc;

use crate::{
    http::{App, accept::Connection},
    vault::LeafStream,
};

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The response with these leaves; `permits` are held until the last one is handed over.
pub(super) fn send<Permits: Send + 'static>(
    app: &App,
    stream: LeafStream,
    connection: Connection,
    permits: Permits,
) -> Response {
    let (sender, receiver) = mpsc::channel(1);
    let body = LeafBody {
        receiver,
        remaining: stream.total(),
    };
    let app = app.clone();
    app.tasks.clone().spawn(async move {
        feed(&app, stream, &sender, &connection).await;
        drop(permits);
    });
    ([(header::CONTENT_TYPE, OCTETS)], Body::new(body)).into_response()
}

async fn feed(
    app: &App,
    mut stream: LeafStream,
    sender: &mpsc::Sender<io::Result<Bytes>>,
    connection: &Connection,
) {
    let patience = app.limits.write_stall.max(app.time_for(LEAF_LEN));
    while let Some(next) = stream.next().await {
        let (item, length) = match next {
            Ok(leaf) => {
                let length = u64::try_from(leaf.len()).unwrap_or_default();
                (Ok(leaf), Some(length))
            }
            Err(refusal) => {
                tracing::info!(
                    code = refusal.problem.code(),
                    cause = refusal.cause,
                    "leaves broken off"
                );
                (Err(io::Error::other("broken off")), None)
            }
        };
        match (tokio::time::timeout(patience, sender.send(item)).await, length) {
            (Ok(Ok(())), Some(length)) => app.metrics.leaf_bytes_out.inc_by(length),
            (Err(_), _) => return connection.close("the client does not read"),
            // The client is gone, or has been told.
            _ => return,
        };
    }
}

/// Leaves as they come from the task. An end before its time is an error: the connection breaks, and the
/// client sees an incomplete transfer.
struct LeafBody {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    remaining: u64,
}

impl http_body::Body for LeafBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(cx).map(|next| match next {
            Some(Ok(leaf)) => {
                let length = u64::try_from(leaf.len()).unwrap_or(u64::MAX);
                self.remaining = self.remaining.saturating_sub(length);
                Some(Ok(Frame::data(leaf)))
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
