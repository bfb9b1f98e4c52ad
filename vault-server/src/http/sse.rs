//! The inbox as server-sent events: id = number, data = base64 of the event. See `spec/api.md` §7.
//! Rows are the truth; a wake is only a hint to read them again.

use std::{convert::Infallible, future::Future};

use axum::{
    Extension,
    body::Body,
    extract::{FromRequestParts, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderName, HeaderValue, header, request::Parts};
use prost::Message;
use protocol_spec::{api::StreamQuery, messages as pb, problem::Problem};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

use crate::{
    http::{
        App,
        accept::Connection,
        api::{ContentForm, Describe, Endpoint},
        auth::{Authenticated, QuotaPermit, principal},
        outgoing::Lease,
        problem::RefusedRequest,
        query::TypedQuery,
    },
    vault::{Caller, Refusal, device::listed, telling::inbox, who::standing},
};

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
pub(super) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
/// A comment: says that the stream lives, and brings the response's head on its way.
const ALIVE: Bytes = Bytes::from_static(b":\n\n");
/// How many events are read from the store at once.
const BATCH: usize = 32;

/// The last event that a client has of a stream that broke.
pub(super) struct LastEvent(Option<u64>);

impl FromRequestParts<App> for LastEvent {
    type Rejection = RefusedRequest;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, RefusedRequest> {
        let Some(id) = parts.headers.get(LAST_EVENT) else {
            return Ok(Self(None));
        };
        let number = id.to_str().ok().and_then(|id| id.parse().ok());
        Ok(Self(Some(number.ok_or(Problem::Malformed)?)))
    }
}

impl Describe for LastEvent {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.fields.push(LAST_EVENT);
    }
}

/// An answer that goes on with each event that comes.
pub(super) struct Events(Response);

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Describe for Events {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.answer = ContentForm::Raw("text/event-stream");
    }
}

/// Streams the caller's inbox: `GET /v1/inbox/stream?after=`.
pub(super) async fn inbox_stream(
    State(app): State<App>,
    auth: Authenticated,
    TypedQuery(StreamQuery { after }): TypedQuery<StreamQuery>,
    LastEvent(last): LastEvent,
    Extension(connection): Extension<Connection>,
) -> Result<Events, RefusedRequest> {
    let after = last.or(after).unwrap_or_default();
    let Authenticated { caller, permit, .. } = auth;
    let listening = app
        .inbox_streams
        .acquire(principal(&caller, connection.origin()))
        .ok_or_else(|| Refusal::new(Problem::TooMany, "inbox streams of one principal"))?;
    // The stream has its own quota; it does not count as a running request.
    drop(permit);
    let (sender, receiver) = mpsc::channel(4);
    let feed = Feed {
        caller,
        after,
        sender,
        connection,
        listening,
    };
    app.tasks.spawn(feed.run(app.clone()));
    let body = Body::from_stream(ReceiverStream::new(receiver).map(Ok::<_, Infallible>));
    Ok(Events(
        ([(header::CONTENT_TYPE, EVENT_STREAM)], body).into_response(),
    ))
}

/// What one listener has had, and waits for.
struct Feed {
    caller: Caller,
    after: u64,
    sender: mpsc::Sender<Bytes>,
    connection: Connection,
    listening: QuotaPermit,
}

impl Feed {
    /// Until the client goes, the server stops or the connection is old.
    async fn run(mut self, app: App) {
        let end = Instant::now() + app.limits.connection_age;
        let sender = self.sender.clone();
        tokio::select! {
            () = sender.closed() => {}
            () = app.stop.cancelled() => {}
            () = tokio::time::sleep_until(end) => {}
            outcome = self.feed(&app) => {
                if let Err(refusal) = outcome {
                    tracing::warn!(code = refusal.problem.code(), cause = refusal.cause, "inbox stream broken off");
                }
            }
        }
    }

    async fn feed(&mut self, app: &App) -> Result<(), Refusal> {
        loop {
            let changed = inbox::inbox_changed(&app.vault, &self.caller);
            let payer = self.listening.payer();
            let wanted = rendered(app.vault.short_page_bytes(app.vault.message_bytes()));
            let mut memory = app.memory.reserve_page(&payer, wanted).await?;
            // It may have ended since the stream began.
            standing::check_standing(&app.vault, &self.caller).await?;
            let page = inbox::inbox(&app.vault, &self.caller, self.after, BATCH).await?;
            // A removal wakes whoever listens (DEV-6).
            listed::still_listed(&app.vault, &self.caller).await?;
            if page.events.is_empty() {
                drop(memory);
                self.send(app, ALIVE).await?;
                drop(tokio::time::timeout(app.limits.keep_alive, changed).await);
                continue;
            }
            let events: Vec<Bytes> = page.events.iter().map(render).collect();
            let bytes = events.iter().map(Bytes::len).sum();
            memory.shrink_to(bytes);
            self.after = page.events.last().map_or(self.after, |event| event.number);
            drop(page);
            let watch = memory.watch().begin();
            let (lease, gone) = Lease::of(memory);
            let sending = async {
                for event in events {
                    watch.moved(event.len());
                    self.send(app, lease.hold(event)).await?;
                }
                drop(lease);
                // HTTP/2 takes events without sending them.
                self.in_time(app, gone.cancelled()).await
            };
            tokio::select! {
                sent = sending => sent?,
                () = watch.taken() => {
                    self.connection.close("others need the memory of a slow answer");
                    return Err(Refusal::new(Problem::TooSlow, "others need the memory of a slow answer"));
                }
            }
        }
    }

    async fn send(&self, app: &App, bytes: Bytes) -> Result<(), Refusal> {
        let sent = self.in_time(app, self.sender.send(bytes)).await?;
        sent.map_err(|_| Refusal::new(Problem::Unavailable, "the client is gone"))
    }

    /// What waits for the client to read does so for a time.
    async fn in_time<T>(&self, app: &App, reading: impl Future<Output = T>) -> Result<T, Refusal> {
        let read = tokio::time::timeout(app.limits.write_stall, reading).await;
        read.map_err(|_| {
            self.connection.close("the client does not read");
            Refusal::new(Problem::TooSlow, "the client does not read")
        })
    }
}

/// The most bytes of so many as base64, with what stands beside it.
fn rendered(bytes: u64) -> u64 {
    let beside = u64::try_from(BATCH * 64).unwrap_or(u64::MAX);
    (bytes / 3)
        .saturating_add(1)
        .saturating_mul(4)
        .saturating_add(beside)
}

fn render(event: &pb::Event) -> Bytes {
    format!(
        "id: {}\ndata: {}\n\n",
        event.number,
        BASE64.encode(&event.encode_to_vec())
    )
    .into()
}
