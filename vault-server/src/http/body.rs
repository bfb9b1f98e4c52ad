//! Bodies that arrive: bounded in size, memory and time, checked against the digest that was signed. Their
//! memory is taken together with that of the answer, which for most is the only one that they need.

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, request::Parts};
use http_body_util::BodyExt;
use prost::{Message, Name};
use protocol_spec::{
    Error,
    api::Size,
    defence::Defence,
    hash::{Sha256Digest, sha256},
    json,
    messages::{CommitReseal, CommitUpload},
    problem::Problem,
    request::{CONTENT_DIGEST, DELEGATION, IDEMPOTENCY_KEY, RequestSignature, content_digest},
};

use super::{
    App,
    answer::{ReservedResponse, ResponseBudget, SHORT},
    api::{ContentForm, Describe, Endpoint},
    auth::Authenticated,
    format::Format,
    memory::{Payer, Share, Watch},
    problem::RefusedRequest,
    query::Id,
};
use crate::vault::transfer::upload;
use crate::{
    config::ClientLimits,
    vault::{Caller, Intent, Refusal},
};

/// Two ids. A presentation is kept, uncounted, while it waits for the memory of its answer.
const MOST_OF_PRESENTATION: usize = 4 << 10;

/// A signed mutation: caller, intent and message, and room for a short answer.
pub(super) struct SignedRequest<M> {
    pub(super) caller: Caller,
    pub(super) signature: RequestSignature,
    pub(super) intent: Intent,
    pub(super) message: M,
    /// The body that the message was read from.
    pub(super) bytes: Bytes,
    pub(super) parts: Parts,
    pub(super) room: ReservedResponse,
}

impl<M: Message + Default + Name> FromRequest<App> for SignedRequest<M> {
    type Rejection = RefusedRequest;

    async fn from_request(request: Request, app: &App) -> Result<Self, RefusedRequest> {
        let (mut parts, body) = request.into_parts();
        let auth = Authenticated::from_request_parts(&mut parts, app).await?;
        let back = ResponseBudget::from_request_parts(&mut parts, app).await?;
        let declared = http_body::Body::size_hint(&body).exact();
        check_session::<M>(app, &mut parts, declared, &auth.caller).await?;
        let Posted {
            intent,
            message,
            bytes,
            memory,
        } = Posted::read(app, &parts, body, &auth.permit.payer()).await?;
        Ok(Self {
            caller: auth.caller,
            signature: auth.signature,
            intent,
            message,
            bytes,
            parts,
            room: back.with(memory, Some(auth.permit)),
        })
    }
}

impl<M: Name> Describe for SignedRequest<M> {
    fn describe(endpoint: &mut Endpoint) {
        Authenticated::describe(endpoint);
        Posted::<M>::describe(endpoint);
    }
}

/// A mutation that is signed by a key in it, which nobody knows yet.
pub(super) struct Introduced<M> {
    pub(super) posted: Posted<M>,
    pub(super) parts: Parts,
    pub(super) back: ResponseBudget,
}

impl<M: Message + Default + Name> FromRequest<App> for Introduced<M> {
    type Rejection = RefusedRequest;

    async fn from_request(request: Request, app: &App) -> Result<Self, RefusedRequest> {
        let (mut parts, body) = request.into_parts();
        let back = ResponseBudget::from_request_parts(&mut parts, app).await?;
        let posted = Posted::read(app, &parts, body, &back.stranger()).await?;
        Ok(Self { posted, parts, back })
    }
}

impl<M: Name> Describe for Introduced<M> {
    fn describe(endpoint: &mut Endpoint) {
        Authenticated::describe_signature(endpoint);
        Posted::<M>::describe_unsigned(endpoint);
    }
}

/// A mutation that anybody may bring, because what it says is signed by whoever must.
pub(super) struct Brought<M> {
    pub(super) posted: Posted<M>,
    pub(super) back: ResponseBudget,
}

impl<M: Message + Default + Name> FromRequest<App> for Brought<M> {
    type Rejection = RefusedRequest;

    async fn from_request(request: Request, app: &App) -> Result<Self, RefusedRequest> {
        let Introduced { posted, back, .. } = Introduced::from_request(request, app).await?;
        Ok(Self { posted, back })
    }
}

impl<M: Name> Describe for Brought<M> {
    fn describe(endpoint: &mut Endpoint) {
        Posted::<M>::describe_unsigned(endpoint);
    }
}

/// Whether the caller has the session that the message ends, and it may still take as much: before there is memory for
/// the longest messages that there are (API-16).
async fn check_session<M: Name>(
    app: &App,
    parts: &mut Parts,
    declared: Option<u64>,
    caller: &Caller,
) -> Result<(), RefusedRequest> {
    if !matches!(M::NAME, CommitUpload::NAME | CommitReseal::NAME) || Defence::TransferShares.is_off() {
        return Ok(());
    }
    let Id(upload) = Id::from_request_parts(parts, app).await?;
    let key = idempotency_key(&parts.headers)?;
    Ok(upload::check_commit(&app.vault, caller, upload, declared, key).await?)
}

/// A mutation as it was posted; who signed it is another question.
pub(super) struct Posted<M> {
    pub(super) intent: Intent,
    pub(super) message: M,
    /// The body that the message was read from.
    pub(super) bytes: Bytes,
    /// For the body, and then for a short answer.
    pub(super) memory: Share,
}

impl<M: Message + Default + Name> Posted<M> {
    /// Reads the body in the payer's share.
    ///
    /// Errors: `idempotency-key-missing`, `malformed`, `too-large`, `unavailable`, `too-slow`, `digest-mismatch`.
    pub(super) async fn read(app: &App, parts: &Parts, body: Body, payer: &Payer) -> Result<Self, Refusal> {
        let key = idempotency_key(&parts.headers)?;
        let format = Format::of::<M>(&parts.headers)?;
        let limit = match app.callers.row(parts).map(|row| row.size) {
            Some(Size::Commit) => app.limits.commit_bytes,
            Some(Size::Enrolment) => app.limits.enrolment_bytes,
            Some(Size::Presentation) => MOST_OF_PRESENTATION,
            Some(Size::Message) | None => app.limits.message_bytes,
        };
        let limit = limit.min(format.most());
        let declared = declared_length(&body, limit)?;
        let answer = Format::of_answer(&parts.headers).cost().saturating_mul(SHORT);
        let (mut memory, growing) = match payer {
            Payer::Stranger(from) if !Defence::PublicShares.is_off() => {
                format.check_unsigned()?;
                (app.memory.reserve_unsigned(*from, answer).await?, true)
            }
            _ => {
                let wanted = u64::try_from(declared).unwrap_or(u64::MAX);
                let wanted = wanted.saturating_mul(format.cost()).saturating_add(answer);
                (app.memory.reserve(payer, wanted).await?, false)
            }
        };
        let beside = usize::try_from(answer).unwrap_or(usize::MAX);
        let body = PacedBody::new(body, &app.limits, memory.watch());
        let grows = if growing {
            Some((&mut memory, beside))
        } else {
            None
        };
        let bytes = collect(body, (declared, limit), grows).await?;
        let digest = checked_digest(&parts.headers, &bytes)?;
        let intent = Intent {
            key,
            digest: intent_digest(parts, &digest),
        };
        let message = match format {
            // From `Bytes`, so that fields share the body's memory.
            Format::Protobuf => M::decode(bytes.clone()).map_err(|_| Error::Decode { message: M::NAME })?,
            Format::Json => json::decode(&bytes)?,
        };
        Ok(Self {
            intent,
            message,
            bytes,
            memory,
        })
    }
}

impl<M: Name> Describe for Posted<M> {
    fn describe(endpoint: &mut Endpoint) {
        Self::describe_as(endpoint, Format::is_json_for::<M>());
    }
}

impl<M: Name> Posted<M> {
    /// Of whom nobody knows yet, no JSON is read (API-12).
    fn describe_unsigned(endpoint: &mut Endpoint) {
        Self::describe_as(endpoint, false);
    }

    fn describe_as(endpoint: &mut Endpoint, json: bool) {
        endpoint.fields.push(CONTENT_DIGEST);
        endpoint.fields.push(IDEMPOTENCY_KEY);
        endpoint.body = Some(ContentForm::Message { name: M::NAME, json });
        endpoint.refuses(&[
            Problem::Malformed,
            Problem::UnsupportedVersion,
            Problem::DegenerateKey,
            Problem::StorageFull,
            Problem::StorageBudget,
            Problem::IdempotencyKeyMissing,
            Problem::IdempotencyMismatch,
            Problem::TooLarge,
            Problem::TooSlow,
            Problem::DigestMismatch,
        ]);
    }
}

/// 1 to 64 visible characters (API-10), hashed.
fn idempotency_key(headers: &HeaderMap) -> Result<[u8; 32], Refusal> {
    let key = headers
        .get(IDEMPOTENCY_KEY)
        .ok_or(Problem::IdempotencyKeyMissing)?
        .as_bytes();
    if !(1..=64).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::new(
            Problem::IdempotencyKeyMissing,
            "a key is 1 to 64 visible characters",
        ));
    }
    Ok(sha256(&[key]))
}

/// The digest of the body, which is the one that was signed (API-3).
fn checked_digest(headers: &HeaderMap, bytes: &[u8]) -> Result<Sha256Digest, Refusal> {
    let signed = headers
        .get(CONTENT_DIGEST)
        .ok_or_else(|| Refusal::new(Problem::Unauthenticated, "a message needs a content digest"))?;
    if !Defence::ContentDigest.holds(signed.as_bytes() == content_digest(bytes).as_bytes()) {
        return Err(Problem::DigestMismatch.into());
    }
    Ok(Sha256Digest::of(bytes))
}

/// SHA-256 over method, path, query, delegation and content digest, with separators that none of them holds.
fn intent_digest(parts: &Parts, content: &Sha256Digest) -> [u8; 32] {
    let query = parts.uri.query().unwrap_or_default();
    let method = parts.method.as_str();
    let delegation = parts.headers.get(&DELEGATION).map(HeaderValue::as_bytes);
    sha256(&[
        method.as_bytes(),
        b" ",
        parts.uri.path().as_bytes(),
        b"?",
        query.as_bytes(),
        b" ",
        delegation.unwrap_or_default(),
        b" ",
        content.as_bytes(),
    ])
}

/// All of a body, of so many bytes as it declares and at most. `grows`: the memory that grows with what comes, and what there
/// has to be in it beside that.
async fn collect(
    mut body: PacedBody,
    (declared, most): (usize, usize),
    mut grows: Option<(&mut Share, usize)>,
) -> Result<Bytes, Refusal> {
    // Nothing is allocated for what is only declared.
    let mut bytes = Vec::with_capacity(declared.min(FIRST));
    while let Some(frame) = body.next().await? {
        let length = bytes.len() + frame.len();
        if length > most {
            return Err(Problem::TooLarge.into());
        }
        if let Some((memory, beside)) = &mut grows {
            // A body that waits for more is as slow as one that does not come: it gives back what it has, when others need that.
            let more = memory.grow_to(beside.saturating_add(length));
            body.watch.unless_taken(more).await??;
        }
        bytes.extend_from_slice(&frame);
    }
    Ok(bytes.into())
}

/// What the client says the body's length is, or `limit` if it does not say.
pub(super) fn declared_length(body: &Body, limit: usize) -> Result<usize, Refusal> {
    let declared = http_body::Body::size_hint(body).exact();
    match declared.map(usize::try_from) {
        None => Ok(limit),
        Some(Ok(length)) if length <= limit => Ok(length),
        Some(_) => Err(Problem::TooLarge.into()),
    }
}

/// The most that is allocated for a body before it comes.
const FIRST: usize = 64 << 10;

/// A body whose sender must keep up: no pause longer than allowed, and on the whole no slower than the
/// least rate, both the sooner the scarcer memory is (API-16). Only the time that we wait for the sender counts.
pub(super) struct PacedBody {
    body: Body,
    pause: Duration,
    bytes_a_second: f64,
    received: usize,
    waited: Duration,
    watch: Watch,
}

impl PacedBody {
    /// `watch` is of the memory that the body comes into.
    pub(super) fn new(body: Body, limits: &ClientLimits, watch: Watch) -> Self {
        let bytes_a_second = f64::from(u32::try_from(limits.min_rate).unwrap_or(u32::MAX)).max(1.0);
        Self {
            body,
            pause: limits.body_pause,
            bytes_a_second,
            received: 0,
            waited: Duration::ZERO,
            watch: watch.begin(),
        }
    }

    /// The next bytes, or none at the end.
    ///
    /// Errors: `too-slow`; `unavailable` when others need the memory; `malformed` when the connection broke.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let (asked, patience) = (Instant::now(), self.patience());
            let coming = tokio::time::timeout(patience, self.body.frame());
            let frame = self.watch.unless_taken(coming).await?;
            self.waited += asked.elapsed() * self.watch.haste();
            match frame {
                Err(_) => return Err(Problem::TooSlow.into()),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Refusal::new(Problem::Malformed, "the body broke off")),
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.received += bytes.len();
                        self.watch.moved(bytes.len());
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a rate needs no exact count")]
    fn patience(&self) -> Duration {
        let earned = Duration::from_secs_f64(self.received as f64 / self.bytes_a_second);
        (self.pause + earned).saturating_sub(self.waited).min(self.pause) / self.watch.haste()
    }
}

#[cfg(test)]
mod tests;
