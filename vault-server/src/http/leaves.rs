//! Leaves in and out: constant memory, each byte copied once on its way in (into its leaf) and not at all
//! on its way out. See `spec/api.md` §2 and `spec/content.md`.

mod buffers;

use std::convert::Infallible;

use axum::{
    Extension,
    body::Body,
    extract::{FromRequest, Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use prost::Name;
use protocol_spec::{
    api::{FirstLeaf, LeafQuery},
    content::LEAF_LEN,
    defence::Defence,
    hash::LeafHash,
    ids::{ReleaseId, UploadId, VersionId},
    messages::Accepted,
    problem::Problem,
    request::{LEAVES, read_bytes_field},
};

use self::buffers::Assembly;
pub(super) use self::buffers::LeafBuffers;
use super::{
    App,
    accept::Connection,
    api::{ContentForm, Describe, Endpoint},
    auth::{Authenticated, QuotaPermit},
    body::{PacedBody, declared_length},
    format::{Format, JSON, PROTOBUF},
    memory::Share,
    outgoing,
    problem::RefusedRequest,
    query::{Id, Ids, TypedQuery},
};
use crate::vault::{LeafIntake, LeafStream, Refusal};
use crate::vault::{
    keep::records,
    transfer::{intake, release, upload},
};

/// Bytes of a leaf in memory.
const LEAF: usize = 1 << 20;
const _: () = assert!(LEAF as u64 == LEAF_LEN);

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What one transfer holds at most: a leaf being assembled or sent, and those on their way to or from the store.
const IN_TRANSIT: u64 = 5 * LEAF_LEN;

/// What carries leaves to the server.
pub(super) struct LeavesIn(Request);

impl FromRequest<App> for LeavesIn {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &App) -> Result<Self, Infallible> {
        Ok(Self(request))
    }
}

impl Describe for LeavesIn {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.fields.push(LEAVES);
        endpoint.body = Some(ContentForm::Raw("application/octet-stream"));
        endpoint.refuses(&[
            Problem::Malformed,
            Problem::TooLarge,
            Problem::TooSlow,
            Problem::DigestMismatch,
        ]);
    }
}

/// What says that they have come: `Accepted`, which is empty.
pub(super) struct LeavesTaken(Format);

impl IntoResponse for LeavesTaken {
    fn into_response(self) -> Response {
        match self.0 {
            Format::Protobuf => ([(header::CONTENT_TYPE, PROTOBUF)], Body::empty()).into_response(),
            Format::Json => ([(header::CONTENT_TYPE, JSON)], "{}").into_response(),
        }
    }
}

impl Describe for LeavesTaken {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.answer = ContentForm::Message {
            name: Accepted::NAME,
            json: true,
        };
    }
}

/// Takes leaves of an upload: `PUT /v1/uploads/{upload}/leaves?first=`.
pub(super) async fn receive_leaves(
    State(app): State<App>,
    Id(upload): Id<UploadId>,
    TypedQuery(FirstLeaf { first }): TypedQuery<FirstLeaf>,
    auth: Authenticated,
    LeavesIn(request): LeavesIn,
) -> Result<LeavesTaken, RefusedRequest> {
    let (parts, body) = request.into_parts();
    let hashes = announced(&parts.headers)?;
    let count = hashes.len();
    declared_length(&body, count.saturating_mul(LEAF))?;
    if !Defence::TransferShares.is_off() {
        upload::check_session(&app.vault, &auth.caller, upload).await?;
    }
    let memory = app.memory.reserve(&auth.permit.payer(), IN_TRANSIT).await?;
    let intake = intake::begin_leaves(&app.vault, &auth.caller, upload, first, hashes).await?;
    let body = PacedBody::new(body, &app.limits, memory.watch());
    let mut taking = Taking {
        app,
        intake: Some(intake),
        permits: Some((auth.permit, memory)),
    };
    let taken = taking.take_leaves(body, count).await;
    taking.finish(taken).await?;
    Ok(LeavesTaken(Format::of_answer(&parts.headers)))
}

/// The hashes of the leaves in the body, as signed (API-2).
fn announced(headers: &HeaderMap) -> Result<Vec<LeafHash>, Refusal> {
    let bytes = read_bytes_field(headers, &LEAVES)?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.is_empty() || !rest.is_empty() {
        return Err(Refusal::new(
            Problem::Malformed,
            "hashes of leaves are 32 bytes each",
        ));
    }
    Ok(hashes.iter().copied().map(LeafHash::from_bytes).collect())
}

/// Leaves being received. Work goes on in the connection's own task, as handing each frame to another
/// would cost more than hashing it; so when the connection breaks, this is dropped.
struct Taking {
    app: App,
    intake: Option<LeafIntake>,
    permits: Option<(QuotaPermit, Share)>,
}

impl Taking {
    async fn take_leaves(&mut self, mut body: PacedBody, count: usize) -> Result<(), Refusal> {
        let app = self.app.clone();
        let mut assembly = Assembly::new(&app.leaf_buffers);
        let mut taken = 0;
        while let Some(mut frame) = body.next().await? {
            while let Some(leaf) = assembly.fill(&mut frame) {
                self.put(leaf).await?;
                taken += 1;
            }
            if taken == count && !assembly.is_empty() {
                return Err(Problem::TooLarge.into());
            }
        }
        match assembly.rest() {
            Some(leaf) => self.put(leaf).await,
            None => Ok(()),
        }
    }

    async fn put(&mut self, leaf: Bytes) -> Result<(), Refusal> {
        let length = u64::try_from(leaf.len()).unwrap_or_default();
        let intake = self.intake.as_mut().ok_or(Problem::Internal)?;
        intake.put(leaf).await?;
        self.app.metrics.leaf_bytes_in.inc_by(length);
        Ok(())
    }

    /// Registers what was taken, all of it or as far as it came.
    async fn finish(mut self, taken: Result<(), Refusal>) -> Result<(), Refusal> {
        let (intake, permits) = (self.intake.take().ok_or(Problem::Internal)?, self.permits.take());
        let whole = taken.is_ok();
        // A task of its own, which goes on when the client is gone.
        let registered = self.app.tasks.spawn(async move {
            let _permits = permits;
            match whole {
                true => intake.finish().await,
                false => intake.finish_partial().await,
            }
        });
        let registered = registered
            .await
            .map_err(|error| Refusal::new(Problem::Internal, error))?;
        taken.and(registered)
    }
}

/// The connection broke: what has arrived is registered all the same, so that a resumed upload profits.
impl Drop for Taking {
    fn drop(&mut self) {
        let Some(intake) = self.intake.take() else { return };
        let permits = self.permits.take();
        self.app.tasks.spawn(async move {
            let _permits = permits;
            if let Err(Refusal { problem, cause }) = intake.finish_partial().await {
                tracing::info!(
                    code = problem.code(),
                    cause,
                    "leaves of a broken upload were not kept"
                );
            }
        });
    }
}

/// Leaves on their way to a client.
pub(super) struct LeavesOut(Response);

impl IntoResponse for LeavesOut {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Describe for LeavesOut {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.answer = ContentForm::Raw("application/octet-stream");
    }
}

/// Hands out leaves of a release: `GET /v1/releases/{release}/records/{version}/leaves?first=&count=`.
pub(super) async fn release_leaves(
    State(app): State<App>,
    auth: Authenticated,
    Ids(release, version): Ids<ReleaseId, VersionId>,
    TypedQuery(LeafQuery { first, count }): TypedQuery<LeafQuery>,
    Extension(connection): Extension<Connection>,
) -> Result<LeavesOut, RefusedRequest> {
    let memory = app.memory.reserve(&auth.permit.payer(), IN_TRANSIT).await?;
    let stream = release::release_leaves(&app.vault, &auth.caller, release, version, first, count).await?;
    Ok(send(&app, stream, connection, (auth.permit, memory)))
}

/// Hands out leaves of the caller's own vault: `GET /v1/vault/records/{version}/leaves?first=&count=`.
pub(super) async fn own_leaves(
    State(app): State<App>,
    auth: Authenticated,
    Id(version): Id<VersionId>,
    TypedQuery(LeafQuery { first, count }): TypedQuery<LeafQuery>,
    Extension(connection): Extension<Connection>,
) -> Result<LeavesOut, RefusedRequest> {
    let memory = app.memory.reserve(&auth.permit.payer(), IN_TRANSIT).await?;
    let stream = records::own_leaves(&app.vault, &auth.caller, version, first, count).await?;
    Ok(send(&app, stream, connection, (auth.permit, memory)))
}

fn send(app: &App, stream: LeafStream, connection: Connection, permits: (QuotaPermit, Share)) -> LeavesOut {
    let watch = permits.1.watch();
    let body = outgoing::leaves(app, stream, (connection, watch), permits);
    LeavesOut(([(header::CONTENT_TYPE, OCTETS)], body).into_response())
}
