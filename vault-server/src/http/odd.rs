//! The endpoints that no generic handler serves: those that answer with files, whose keys nobody knows yet, or whose answers say
//! themselves how long they are.

use axum::extract::State;
use protocol_spec::{
    api::{CheckpointQuery, CollectionsQuery, PageQuery, ServerQuery},
    ids::{LinkId, PermissionId, ReleaseId, VersionId},
    log::tile::TileKind,
    messages as pb,
    problem::Problem,
};

use crate::{
    http::{
        App,
        answer::{ApiAnswer, Checkpoint, Description, ResponseBudget, SHORT, Served, Tile},
        auth::{Authenticated, Called},
        body::{Introduced, SignedRequest},
        enrolments::CountedEnrolment,
        presenting::Presenting,
        query::{Id, TileName, TypedQuery},
    },
    vault::{
        Caller, Proof, Refusal, Vault,
        ask::presentation,
        core::submission::submit,
        device::{
            kept,
            links::{self, Offer, OpenLink},
        },
        keep::{collections, records, released},
        who::enrol,
    },
};

pub(super) async fn server(
    State(app): State<App>,
    back: ResponseBudget,
    TypedQuery(asked): TypedQuery<ServerQuery>,
    called: Called,
) -> ApiAnswer<pb::ServerInfo> {
    let room = back.public_room(SHORT).await?;
    let Some(nonce) = asked.nonce else {
        return room.reply(Ok(app.vault.server_info()));
    };
    room.reply(app.vault.proven_info(called.authority(), &nonce))
}

/// The API's description, made once at the start (API-13).
pub(super) async fn openapi(State(app): State<App>, back: ResponseBudget) -> Served<Description> {
    let document = app.document.as_bytes();
    let room = back
        .public_page_room(u64::try_from(document.len()).unwrap_or(u64::MAX))
        .await?;
    room.file(Ok(document.to_vec()))
}

pub(super) async fn log_checkpoint(
    State(app): State<App>,
    back: ResponseBudget,
    TypedQuery(asked): TypedQuery<CheckpointQuery>,
) -> Served<Checkpoint> {
    if asked.fresh.unwrap_or_default() {
        // Without room: it may take some seconds.
        app.vault.ask_witnesses().await;
    }
    let room = back.public_room(SHORT).await?;
    room.file(app.vault.log_checkpoint().await.map(String::into_bytes))
}

pub(super) async fn log_tile(
    State(app): State<App>,
    back: ResponseBudget,
    TileName(tile): TileName,
) -> Served<Tile> {
    let room = match tile.kind {
        TileKind::Hashes(_) => back.public_room(2 * SHORT).await?,
        // Salted entries are short, an institution's have some 2 KiB.
        TileKind::Entries => back.public_page_room(tile.width * SHORT).await?,
    };
    room.file(app.vault.log_tile(tile).await)
}

/// The key that signs is in the message, so the message is read first.
pub(super) async fn enrol_patient(
    State(app): State<App>,
    Introduced { posted, parts, back }: Introduced<pb::EnrolPatient>,
) -> ApiAnswer<pb::Accepted> {
    let auth = Authenticated::enrolling(&app, &parts, enrol::enrolling_patient(posted.message)?)?;
    let known = enrol::find_key(&app.vault, &auth.caller.key_id()).await?;
    // Whoever is enrolled asks again what became of it, and makes no other patient.
    let counted = match known {
        Some(known) if known.principal() == auth.caller.principal() => CountedEnrolment::default(),
        _ => back.admit_enrolment()?,
    };
    let room = back.with(posted.memory, Some(auth.permit));
    let (vault, caller, intent) = (app.vault.clone(), auth.caller, posted.intent);
    // A task of its own, which goes on when the client is gone: what came of it is known in any case.
    let enrolled = app.tasks.spawn(async move {
        let enrolled = enrol::enrol(&vault, &caller, &intent).await;
        if enrolled.is_err() {
            counted.take_back();
        }
        room.reply(enrolled)
    });
    enrolled
        .await
        .map_err(|error| Refusal::new(Problem::Internal, error))?
}

/// As a patient, but nobody counts them: each is accredited.
pub(super) async fn enrol_institution(
    State(app): State<App>,
    Introduced { posted, parts, back }: Introduced<pb::EnrolInstitution>,
) -> ApiAnswer<pb::Accepted> {
    let auth = Authenticated::enrolling(
        &app,
        &parts,
        enrol::enrolling_institution(&app.vault, posted.message)?,
    )?;
    let room = back.with(posted.memory, Some(auth.permit));
    room.reply(enrol::enrol(&app.vault, &auth.caller, &posted.intent).await)
}

/// By a device that is nobody's yet.
pub(super) async fn offer_link(
    State(app): State<App>,
    Id(link): Id<LinkId>,
    Introduced { posted, parts, back }: Introduced<pb::LinkOffer>,
) -> ApiAnswer<pb::Accepted> {
    let auth = Authenticated::enrolling(&app, &parts, links::offering(&posted.message)?)?;
    back.admit_offer()?;
    let room = back.with(posted.memory, Some(auth.permit));
    room.reply(submit::<Offer>(&app.vault, &auth.caller, &posted.intent, (link, posted.message)).await)
}

/// By a device that is nobody's yet.
pub(super) async fn open_link(
    State(app): State<App>,
    Id(link): Id<LinkId>,
    Introduced { posted, parts, back }: Introduced<pb::LinkOpening>,
) -> ApiAnswer<pb::Accepted> {
    let auth = Authenticated::enrolling(&app, &parts, links::opening(&posted.message)?)?;
    let room = back.with(posted.memory, Some(auth.permit));
    room.reply(submit::<OpenLink>(&app.vault, &auth.caller, &posted.intent, (link, posted.message)).await)
}

pub(super) async fn present(
    State(app): State<App>,
    Id(permission): Id<PermissionId>,
    Presenting {
        signed,
        pop,
        challenge,
    }: Presenting,
) -> ApiAnswer<pb::PresentationAnswer> {
    let SignedRequest {
        caller,
        signature,
        intent,
        message,
        bytes,
        room,
        ..
    } = signed;
    let proof = Proof {
        challenge,
        pop: &pop,
        id: &signature,
    };
    let possession = presentation::possession(&app.vault, &caller, permission, proof).await?;
    // Before anything is spent.
    let room = room.exchanged(possession.answer_bytes()).await?;
    room.reply(possession.present(&intent, message, bytes).await)
}

pub(super) async fn vault_records(
    State(app): State<App>,
    auth: Authenticated,
    back: ResponseBudget,
    TypedQuery(page): TypedQuery<PageQuery<u64>>,
) -> ApiAnswer<pb::VaultPage> {
    let after = page.after.unwrap_or_default();
    let list = records::vault_records(&app.vault, &auth.caller, after, page.most()).await?;
    let room = back.room(auth.permit, list.page_bytes()).await?;
    room.reply(list.read().await)
}

pub(super) async fn arrivals(
    State(app): State<App>,
    auth: Authenticated,
    back: ResponseBudget,
    TypedQuery(page): TypedQuery<PageQuery<VersionId>>,
) -> ApiAnswer<pb::VaultPage> {
    let list = records::arrivals(&app.vault, &auth.caller, page.after, page.most()).await?;
    let room = back.room(auth.permit, list.page_bytes()).await?;
    room.reply(list.read().await)
}

pub(super) async fn vault_record(
    State(app): State<App>,
    auth: Authenticated,
    back: ResponseBudget,
    Id(version): Id<VersionId>,
) -> ApiAnswer<pb::VaultRecord> {
    let list = records::vault_record(&app.vault, &auth.caller, version).await?;
    let room = back.room(auth.permit, list.page_bytes()).await?;
    room.reply(list.read_one().await)
}

pub(super) async fn released_records(
    State(app): State<App>,
    auth: Authenticated,
    back: ResponseBudget,
    Id(release): Id<ReleaseId>,
    TypedQuery(page): TypedQuery<PageQuery<u64>>,
) -> ApiAnswer<pb::ReleasedPage> {
    let after = page.after.unwrap_or_default();
    let list = released::released_records(&app.vault, &auth.caller, release, after, page.most()).await?;
    let room = back.room(auth.permit, list.page_bytes()).await?;
    room.reply(list.read().await)
}

/// As they are, or as the end of a root epoch found them (DEV-29).
pub(super) async fn collections(
    vault: &Vault,
    caller: &Caller,
    asked: CollectionsQuery,
) -> Result<pb::CollectionList, Refusal> {
    match asked.kept {
        Some(root_epoch) => kept::kept_collections(vault, caller, root_epoch).await,
        None => collections::collections(vault, caller).await,
    }
}
