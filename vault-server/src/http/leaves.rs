//! Leaves in and out: constant memory, each byte copied once on its way in (into its leaf) and not at all
//! on its way out. See `spec/api.md` §2 and `spec/content.md`.

mod buffers;
mod outgoing;

use axum::{
    Extension,
    extract::{Request, State},
    response::Response,
};
use http::HeaderMap;
use protocol_spec::{
    content::LEAF_LEN,
    hash::LeafHash,
    ids::{ReleaseId, UploadId, VersionId},
    messages as pb,
    problem::Problem,
    request::{LEAVES, read_bytes_field},
};
use serde::Deserialize;

pub(super) use self::buffers::LeafBuffers;
use self::{buffers::Assembly, outgoing::send};
use super::{
    App,
    accept::Connection,
    auth::Authenticated,
    body::{PacedBody, declared_length, reserve},
    handlers::{Answer, reply},
    problem::Refused,
    query::{Id, Ids, Params},
};
use crate::vault::{LeafIntake, Refusal};

/// Bytes of a leaf in memory.
const LEAF: usize = 1 << 20;
const _: () = assert!(LEAF as u64 == LEAF_LEN);

/// What one transfer holds at most: a leaf being assembled or sent, and those on their way to or from the store.
const IN_TRANSIT: usize = 5 * LEAF;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct First {
    first: u32,
}

/// `PUT /v1/uploads/{upload}/leaves?first=`
pub(super) async fn receive(
    State(app): State<App>,
    Id(upload): Id<UploadId>,
    Params(First { first }): Params<First>,
    auth: Authenticated,
    request: Request,
) -> Answer<pb::Accepted> {
    let (parts, body) = request.into_parts();
    let hashes = announced(&parts.headers)?;
    let count = hashes.len();
    declared_length(&body, count.saturating_mul(LEAF))?;
    let memory = reserve(&app, IN_TRANSIT).await?;
    let intake = app
        .vault
        .begin_leaves(&auth.caller, upload, first, hashes)
        .await?;
    let body = PacedBody::new(body, &app.limits);
    // A task of its own: when the connection breaks, what has arrived is registered all the same.
    let taken = app
        .tasks
        .spawn(take(app.clone(), body, intake, count, (auth.permit, memory)));
    reply(
        taken
            .await
            .unwrap_or_else(|error| Err(Refusal::new(Problem::Internal, error))),
    )
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

async fn take<Permits>(
    app: App,
    body: PacedBody,
    mut intake: LeafIntake,
    count: usize,
    _permits: Permits,
) -> Result<pb::Accepted, Refusal> {
    match take_leaves(&app, body, &mut intake, count).await {
        Ok(()) => intake.finish().await?,
        Err(refusal) => {
            intake.finish_partial().await?;
            return Err(refusal);
        }
    }
    Ok(pb::Accepted {})
}

async fn take_leaves(
    app: &App,
    mut body: PacedBody,
    intake: &mut LeafIntake,
    count: usize,
) -> Result<(), Refusal> {
    let mut assembly = Assembly::new(&app.leaf_buffers);
    let mut taken = 0;
    while let Some(mut frame) = body.next().await? {
        while let Some(leaf) = assembly.fill(&mut frame) {
            put(app, intake, leaf).await?;
            taken += 1;
        }
        if taken == count && !assembly.is_empty() {
            return Err(Problem::TooLarge.into());
        }
    }
    if let Some(leaf) = assembly.rest() {
        put(app, intake, leaf).await?;
        taken += 1;
    }
    if taken < count {
        return Err(Refusal::new(
            Problem::Malformed,
            "fewer leaves came than were announced",
        ));
    }
    Ok(())
}

async fn put(app: &App, intake: &mut LeafIntake, leaf: bytes::Bytes) -> Result<(), Refusal> {
    let length = u64::try_from(leaf.len()).unwrap_or_default();
    intake.put(leaf).await?;
    app.metrics.leaf_bytes_in.inc_by(length);
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    first: u32,
    count: u32,
}

/// `GET /v1/releases/{release}/records/{version}/leaves?first=&count=`
pub(super) async fn release(
    State(app): State<App>,
    auth: Authenticated,
    Ids(release, version): Ids<ReleaseId, VersionId>,
    Params(Range { first, count }): Params<Range>,
    Extension(connection): Extension<Connection>,
) -> Result<Response, Refused> {
    let memory = reserve(&app, IN_TRANSIT).await?;
    let stream = app
        .vault
        .release_leaves(&auth.caller, release, version, first, count)
        .await?;
    Ok(send(&app, stream, connection, (auth.permit, memory)))
}

/// `GET /v1/vault/records/{version}/leaves?first=&count=`
pub(super) async fn own(
    State(app): State<App>,
    auth: Authenticated,
    Id(version): Id<VersionId>,
    Params(Range { first, count }): Params<Range>,
    Extension(connection): Extension<Connection>,
) -> Result<Response, Refused> {
    let memory = reserve(&app, IN_TRANSIT).await?;
    let stream = app.vault.own_leaves(&auth.caller, version, first, count).await?;
    Ok(send(&app, stream, connection, (auth.permit, memory)))
}
