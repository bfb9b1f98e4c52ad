//! The endpoints that take and give one message: parse, ask the vault, encode. Streams are in
//! [`super::leaves`] and [`super::sse`].

use axum::extract::State;
use prost::Message;
use protocol_spec::{
    collection::Collection,
    ids::{
        CollectionId, DelegationId, DeviceId, InstitutionId, LinkId, PatientId, PermissionId, RecordId,
        ReleaseId, RequestId, TerminalId, UploadId, VersionId,
    },
    log::tile::TileKind,
    messages as pb,
    problem::Problem,
    vault_head::Act,
};

use super::{
    App,
    answer::{Answer, Checkpoint, Description, SHORT, Served, Tile, WayBack},
    auth::{Authenticated, Called},
    body::{Brought, Introduced, Signed},
    enrolments::Counted,
    presenting::Presenting,
    query::{Id, Ids, Page, Params, Principal, Text, TileName, parameters},
};
use crate::vault::{KEYS_OF_PAGE, MAX_ACTS, MAX_VERSIONS, MAX_WRAPS, Proof, Refusal};

/// `POST` of a message that the vault's method of the same name takes.
macro_rules! submissions {
    ($($name:ident: $message:ident -> $answer:ident;)*) => {$(
        pub(super) async fn $name(State(app): State<App>, signed: Signed<pb::$message>) -> Answer<pb::$answer> {
            signed.room.reply(app.vault.$name(&signed.caller, &signed.intent, signed.message).await)
        }
    )*};
}

submissions! {
    submit_upload_request: SubmitUploadRequest -> Accepted;
    submit_download_request: SubmitDownloadRequest -> Accepted;
    submit_reference_request: SubmitReferenceRequest -> Accepted;
    submit_permission: SubmitPermission -> PermissionAnswer;
    submit_denial: SubmitDenial -> Accepted;
    put_collection: PutCollection -> Accepted;
    put_wraps: PutWraps -> Accepted;
    change_devices: ChangeDevices -> Accepted;
    rotate_institution: RotateInstitution -> Accepted;
    retire_institution: RetireInstitution -> Accepted;
    add_terminal: AddTerminal -> Accepted;
    remove_terminal: RemoveTerminal -> Accepted;
    put_delegation: PutDelegation -> Accepted;
    put_delegated_keys: PutDelegatedKeys -> Accepted;
    end_delegation: EndDelegation -> Accepted;
    accept_delegation: AcceptDelegation -> Accepted;
    accept_guardianship: AcceptGuardianship -> Accepted;
    delete_unanswered: DeleteUnanswered -> Accepted;
    block_sender: BlockSender -> Accepted;
    put_emergency: PutEmergency -> Accepted;
    submit_objection: SubmitObjection -> Accepted;
    put_segment: SignedSegment -> Accepted;
    open_emergency: EmergencyUse -> EmergencyOpened;
    start_help: StartHelp -> HelpStarted;
    submit_revocation: SubmitRevocation -> RevocationAnswer;
    submit_head: SubmitVaultHead -> LoggedStatement;
    close_epoch: CloseEpoch -> LoggedStatement;
    delete_record: DeleteRecord -> LoggedStatement;
    take_back: TakeBackUpload -> Receipt;
    open_reseal: OpenReseal -> ResealOpened;
}

/// `GET` of what an id names, with the most bytes of the answer.
macro_rules! readings {
    ($($name:ident: $id:ident -> $message:ident, $most:expr;)*) => {$(
        pub(super) async fn $name(
            State(app): State<App>,
            auth: Authenticated,
            back: WayBack,
            Id(id): Id<$id>,
        ) -> Answer<pb::$message> {
            let room = back.room(auth.permit, $most(&app)).await?;
            room.reply(app.vault.$name(&auth.caller, id).await)
        }
    )*};
}

readings! {
    patient_info: PatientId -> PatientInfo, enrolled;
    request: RequestId -> StoredRequest, two_messages;
    deliver: PermissionId -> Delivery, two_messages;
    upload_status: UploadId -> UploadStatus, two_messages;
    link_state: LinkId -> LinkState, enrolled;
    emergency_info: PatientId -> EmergencyInfo, two_messages;
}

pub(super) async fn member_list(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    Ids(patient, member): Ids<PatientId, DeviceId>,
) -> Answer<pb::MemberList> {
    let room = back.room(auth.permit, enrolled(&app)).await?;
    room.reply(app.vault.member_list(&auth.caller, patient, member).await)
}

/// What was enrolled, with a proof.
fn enrolled(app: &App) -> u64 {
    u64::try_from(app.limits.enrolment_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(SHORT)
}

/// At most a permission and its request, which came as messages.
fn two_messages(app: &App) -> u64 {
    app.vault.message_bytes().saturating_mul(2)
}

parameters! {
    struct Asking {
        nonce: Option<String>,
    }
}

pub(super) async fn server(
    State(app): State<App>,
    back: WayBack,
    Params(asking): Params<Asking>,
    called: Called,
) -> Answer<pb::ServerInfo> {
    let room = back.public_room(SHORT).await?;
    let Some(nonce) = asking.nonce else {
        return room.reply(Ok(app.vault.server_info()));
    };
    room.reply(app.vault.proven_info(called.authority(), &nonce))
}

/// API-13
pub(super) async fn openapi(State(app): State<App>, back: WayBack) -> Served<Description> {
    let document = app.document.as_bytes();
    let room = back
        .public_page_room(u64::try_from(document.len()).unwrap_or(u64::MAX))
        .await?;
    room.file(Ok(document.to_vec()))
}

parameters! {
    struct Events {
        after: Option<u64>,
        limit: Option<usize>,
        witnessed: Option<bool>,
    }
}

pub(super) async fn directory_events(
    State(app): State<App>,
    back: WayBack,
    Params(asked): Params<Events>,
) -> Answer<pb::DirectoryEvents> {
    let most = app.vault.short_page_bytes(enrolled(&app));
    let room = back.public_page_room(most).await?;
    let (after, limit) = (asked.after.unwrap_or_default(), asked.limit.unwrap_or_default());
    let witnessed = asked.witnessed.unwrap_or_default();
    room.reply(app.vault.directory_events(after, limit, witnessed).await)
}

pub(super) async fn directory_entries(
    State(app): State<App>,
    back: WayBack,
    Id(institution): Id<InstitutionId>,
    page: Page<u64>,
) -> Answer<pb::EntryPage> {
    let most = app.vault.short_page_bytes(enrolled(&app));
    let room = back.public_page_room(most).await?;
    room.reply(
        app.vault
            .directory_entries(institution, page.after, page.limit)
            .await,
    )
}

parameters! {
    struct Shown {
        fresh: Option<bool>,
    }
}

pub(super) async fn log_checkpoint(
    State(app): State<App>,
    back: WayBack,
    Params(asked): Params<Shown>,
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
    back: WayBack,
    TileName(tile): TileName,
) -> Served<Tile> {
    let room = match tile.kind {
        TileKind::Hashes(_) => back.public_room(2 * SHORT).await?,
        // Salted entries are short, an institution's have some 2 KiB.
        TileKind::Entries => back.public_page_room(tile.width * SHORT).await?,
    };
    room.file(app.vault.log_tile(tile).await)
}

parameters! {
    struct Consistency {
        first: u64,
        second: u64,
    }
}

pub(super) async fn log_consistency(
    State(app): State<App>,
    back: WayBack,
    Params(Consistency { first, second }): Params<Consistency>,
) -> Answer<pb::ConsistencyProof> {
    let room = back.public_room(SHORT).await?;
    room.reply(app.vault.log_consistency(first, second).await)
}

/// The key that signs is in the message, so the message is read first.
pub(super) async fn enrol_patient(
    State(app): State<App>,
    Introduced { posted, parts, back }: Introduced<pb::EnrolPatient>,
) -> Answer<pb::Accepted> {
    let auth = Authenticated::enrolling(&app, &parts, app.vault.enrolling_patient(posted.message)?)?;
    let known = app.vault.find_key(&auth.caller.key_id()).await?;
    // Whoever is enrolled asks again what became of it, and makes no other patient.
    let counted = match known {
        Some(known) if known.principal() == auth.caller.principal() => Counted::default(),
        _ => back.admit_enrolment()?,
    };
    let room = back.with(posted.memory, Some(auth.permit));
    let (vault, caller, intent) = (app.vault.clone(), auth.caller, posted.intent);
    // A task of its own, which goes on when the client is gone: what came of it is known in any case.
    let enrolled = app.tasks.spawn(async move {
        let enrolled = vault.enrol(&caller, &intent).await;
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
) -> Answer<pb::Accepted> {
    let auth = Authenticated::enrolling(&app, &parts, app.vault.enrolling_institution(posted.message)?)?;
    let room = back.with(posted.memory, Some(auth.permit));
    room.reply(app.vault.enrol(&auth.caller, &posted.intent).await)
}

/// By anybody: the registrar's statement is all there is to check.
pub(super) async fn withdraw_institution(
    State(app): State<App>,
    Brought { posted, back }: Brought<pb::WithdrawInstitution>,
) -> Answer<pb::Withdrawn> {
    let room = back.with(posted.memory, None);
    room.reply(app.vault.withdraw_institution(posted.message).await)
}

/// By anybody, as withdrawals are.
pub(super) async fn publish_program(
    State(app): State<App>,
    Brought { posted, back }: Brought<pb::PublishProgram>,
) -> Answer<pb::ProgramPublished> {
    let room = back.with(posted.memory, None);
    room.reply(app.vault.publish_program(posted.message).await)
}

/// By a device that is nobody's yet.
pub(super) async fn offer_link(
    State(app): State<App>,
    Id(link): Id<LinkId>,
    Introduced { posted, parts, back }: Introduced<pb::LinkOffer>,
) -> Answer<pb::Accepted> {
    let auth = Authenticated::enrolling(&app, &parts, app.vault.offering(&posted.message)?)?;
    back.admit_offer()?;
    let room = back.with(posted.memory, Some(auth.permit));
    room.reply(
        app.vault
            .offer(&auth.caller, &posted.intent, link, posted.message)
            .await,
    )
}

pub(super) async fn answer_link(
    State(app): State<App>,
    Id(link): Id<LinkId>,
    signed: Signed<pb::LinkAnswer>,
) -> Answer<pb::Accepted> {
    signed.room.reply(
        app.vault
            .answer_link(&signed.caller, &signed.intent, link, signed.message)
            .await,
    )
}

/// By whoever knows the place: the new device is nobody yet.
pub(super) async fn link_answer(
    State(app): State<App>,
    back: WayBack,
    Id(link): Id<LinkId>,
) -> Answer<pb::LinkAnswer> {
    let room = back.public_room(SHORT).await?;
    room.reply(app.vault.link_answer(link).await)
}

/// By a device that is nobody's yet.
pub(super) async fn open_link(
    State(app): State<App>,
    Id(link): Id<LinkId>,
    Introduced { posted, parts, back }: Introduced<pb::LinkOpening>,
) -> Answer<pb::Accepted> {
    let auth = Authenticated::enrolling(&app, &parts, app.vault.opening(&posted.message)?)?;
    let room = back.with(posted.memory, Some(auth.permit));
    room.reply(
        app.vault
            .open_link(&auth.caller, &posted.intent, link, posted.message)
            .await,
    )
}

pub(super) async fn present(
    State(app): State<App>,
    Id(permission): Id<PermissionId>,
    Presenting {
        signed,
        pop,
        challenge,
    }: Presenting,
) -> Answer<pb::PresentationAnswer> {
    let Signed {
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
    let possession = app.vault.possession(&caller, permission, proof).await?;
    // Before anything is spent.
    let room = room.exchanged(possession.answer_bytes()).await?;
    room.reply(possession.present(&intent, message, bytes).await)
}

pub(super) async fn commit_upload(
    State(app): State<App>,
    Id(upload): Id<UploadId>,
    signed: Signed<pb::CommitUpload>,
) -> Answer<pb::Receipt> {
    signed.room.reply(
        app.vault
            .commit_upload(&signed.caller, &signed.intent, upload, signed.message)
            .await,
    )
}

pub(super) async fn commit_reseal(
    State(app): State<App>,
    Id(upload): Id<UploadId>,
    signed: Signed<pb::CommitReseal>,
) -> Answer<pb::Receipt> {
    signed.room.reply(
        app.vault
            .commit_reseal(&signed.caller, &signed.intent, upload, signed.message)
            .await,
    )
}

pub(super) async fn close_release(
    State(app): State<App>,
    Id(release): Id<ReleaseId>,
    signed: Signed<pb::Accepted>,
) -> Answer<pb::Receipt> {
    signed.room.reply(
        app.vault
            .close_release(&signed.caller, &signed.intent, release)
            .await,
    )
}

pub(super) async fn adopt(
    State(app): State<App>,
    Id(version): Id<VersionId>,
    signed: Signed<pb::AdoptRecord>,
) -> Answer<pb::Accepted> {
    signed.room.reply(
        app.vault
            .adopt(&signed.caller, &signed.intent, version, signed.message)
            .await,
    )
}

pub(super) async fn vault_records(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<u64>,
) -> Answer<pb::VaultPage> {
    let after = page.after.unwrap_or_default();
    let list = app.vault.vault_records(&auth.caller, after, page.limit).await?;
    let room = back.room(auth.permit, list.page_bytes()).await?;
    room.reply(list.read().await)
}

pub(super) async fn arrivals(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<VersionId>,
) -> Answer<pb::VaultPage> {
    let list = app.vault.arrivals(&auth.caller, page.after, page.limit).await?;
    let room = back.room(auth.permit, list.page_bytes()).await?;
    room.reply(list.read().await)
}

pub(super) async fn vault_record(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    Id(version): Id<VersionId>,
) -> Answer<pb::VaultRecord> {
    let list = app.vault.vault_record(&auth.caller, version).await?;
    let room = back.room(auth.permit, list.page_bytes()).await?;
    room.reply(list.read_one().await)
}

pub(super) async fn index(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<u64>,
) -> Answer<pb::IndexPage> {
    let room = back.room(auth.permit, app.vault.page_bytes()).await?;
    let from = page.after.unwrap_or_default();
    room.reply(app.vault.index(&auth.caller, from, page.limit).await)
}

pub(super) async fn released_records(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    Id(release): Id<ReleaseId>,
    page: Page<u64>,
) -> Answer<pb::ReleasedPage> {
    let after = page.after.unwrap_or_default();
    let list = app
        .vault
        .released_records(&auth.caller, release, after, page.limit)
        .await?;
    let room = back.room(auth.permit, list.page_bytes()).await?;
    room.reply(list.read().await)
}

pub(super) async fn acts(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<u64>,
) -> Answer<pb::VaultActs> {
    let limit = Some(page.limit)
        .filter(|limit| *limit > 0)
        .unwrap_or(MAX_ACTS)
        .min(MAX_ACTS);
    let acts = u64::try_from(limit * Act::LEN).unwrap_or(u64::MAX);
    let room = back
        .room(auth.permit, enrolled(&app).saturating_add(acts))
        .await?;
    let after = page.after.unwrap_or_default();
    room.reply(app.vault.acts(&auth.caller, after, limit).await)
}

parameters! {
    /// As the end of this root epoch found them; without, as they are.
    struct Collections {
        kept: Option<u64>,
    }
}

pub(super) async fn collections(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    Params(asked): Params<Collections>,
) -> Answer<pb::CollectionList> {
    let list = match asked.kept {
        Some(root_epoch) => app.vault.kept_collections(&auth.caller, root_epoch).await?,
        None => app.vault.collections(&auth.caller).await?,
    };
    let bytes = u64::try_from(list.encoded_len()).unwrap_or(u64::MAX);
    back.room(auth.permit, bytes).await?.reply(Ok(list))
}

pub(super) async fn emergency(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
) -> Answer<pb::EmergencyList> {
    let list = app.vault.emergency(&auth.caller).await?;
    let bytes = u64::try_from(list.encoded_len()).unwrap_or(u64::MAX);
    back.room(auth.permit, bytes).await?.reply(Ok(list))
}

parameters! {
    struct Wraps {
        collection: Text<CollectionId>,
        epoch: u64,
        after: Option<u64>,
        limit: Option<usize>,
    }
}

pub(super) async fn wraps(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    Params(asked): Params<Wraps>,
) -> Answer<pb::WrapPage> {
    let collection = Collection {
        id: asked.collection.0,
        epoch: asked.epoch,
    };
    let limit = asked.limit.unwrap_or(MAX_WRAPS).min(MAX_WRAPS);
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_mul(WRAP);
    let room = back.room(auth.permit, most).await?;
    let after = asked.after.unwrap_or_default();
    room.reply(app.vault.wraps(&auth.caller, collection, after, limit).await)
}

/// The most bytes of one wrap with its ids.
const WRAP: u64 = 192;

pub(super) async fn deletions(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<RecordId>,
) -> Answer<pb::DeletionPage> {
    let room = back.room(auth.permit, app.vault.page_bytes()).await?;
    room.reply(app.vault.deletions(&auth.caller, page.after, page.limit).await)
}

pub(super) async fn past_releases(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    Id(permission): Id<PermissionId>,
    page: Page<ReleaseId>,
) -> Answer<pb::ReleaseList> {
    let room = back.room(auth.permit, app.vault.page_bytes()).await?;
    let list = app
        .vault
        .past_releases(&auth.caller, permission, page.after, page.limit);
    room.reply(list.await)
}

pub(super) async fn released_ranges(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    Id(release): Id<ReleaseId>,
    page: Page<VersionId>,
) -> Answer<pb::ReleasedRanges> {
    let limit = page.limit.min(MAX_VERSIONS);
    let most = u64::try_from(limit)
        .unwrap_or(u64::MAX)
        .saturating_mul(VERSION_RANGES);
    let room = back.room(auth.permit, most).await?;
    let ranges = app
        .vault
        .released_ranges(&auth.caller, release, page.after, limit);
    room.reply(ranges.await)
}

/// The most bytes of one version with all its ranges.
const VERSION_RANGES: u64 = 64 + 16 * protocol_spec::released::MAX_RANGES as u64;

pub(super) async fn device_lists(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<u64>,
) -> Answer<pb::DeviceLists> {
    let lists = app
        .vault
        .device_lists(&auth.caller, page.after, page.limit)
        .await?;
    let bytes = u64::try_from(lists.encoded_len()).unwrap_or(u64::MAX);
    back.room(auth.permit, bytes).await?.reply(Ok(lists))
}

pub(super) async fn log_salt(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
) -> Answer<pb::LogSalt> {
    let room = back.room(auth.permit, SHORT).await?;
    room.reply(app.vault.log_salt(&auth.caller).await)
}

pub(super) async fn terminal(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
) -> Answer<pb::Terminal> {
    let room = back.room(auth.permit, enrolled(&app)).await?;
    room.reply(app.vault.terminal(&auth.caller).await)
}

pub(super) async fn terminals(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<TerminalId>,
) -> Answer<pb::TerminalPage> {
    let most = app.vault.short_page_bytes(enrolled(&app));
    let room = back.page_room(auth.permit, most).await?;
    room.reply(app.vault.terminals(&auth.caller, page.after, page.limit).await)
}

pub(super) async fn committed_uploads(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    Id(permission): Id<PermissionId>,
    page: Page<UploadId>,
) -> Answer<pb::UploadPage> {
    let most = app.vault.short_page_bytes(enrolled(&app));
    let room = back.page_room(auth.permit, most).await?;
    let Page { after, limit, .. } = page;
    room.reply(
        app.vault
            .committed_uploads(&auth.caller, permission, after, limit)
            .await,
    )
}

pub(super) async fn vault_permissions(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<PermissionId>,
) -> Answer<pb::PermissionList> {
    let most = app.vault.short_page_bytes(app.vault.message_bytes());
    let room = back.page_room(auth.permit, most).await?;
    room.reply(
        app.vault
            .vault_permissions(&auth.caller, page.after, page.limit)
            .await,
    )
}

pub(super) async fn given_delegations(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<DelegationId>,
) -> Answer<pb::DelegationPage> {
    let most = app.vault.short_page_bytes(app.vault.message_bytes());
    let room = back.page_room(auth.permit, most).await?;
    let given = app.vault.given_delegations(&auth.caller, page.after, page.limit);
    room.reply(given.await)
}

pub(super) async fn held_delegations(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<DelegationId>,
) -> Answer<pb::DelegationPage> {
    let most = app.vault.short_page_bytes(app.vault.message_bytes());
    let room = back.page_room(auth.permit, most).await?;
    room.reply(
        app.vault
            .held_delegations(&auth.caller, page.after, page.limit)
            .await,
    )
}

pub(super) async fn offered_delegations(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<DelegationId>,
) -> Answer<pb::DelegationPage> {
    let most = app.vault.short_page_bytes(app.vault.message_bytes());
    let room = back.page_room(auth.permit, most).await?;
    let offered = app
        .vault
        .offered_delegations(&auth.caller, page.after, page.limit);
    room.reply(offered.await)
}

pub(super) async fn senders(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<Principal>,
) -> Answer<pb::SenderPage> {
    let room = back
        .page_room(auth.permit, app.vault.short_page_bytes(SHORT))
        .await?;
    let after = page.after.map(Principal::into_bytes);
    room.reply(app.vault.senders(&auth.caller, after, page.limit).await)
}

parameters! {
    struct Keys {
        collection: Text<CollectionId>,
        from: Option<u64>,
        limit: Option<usize>,
    }
}

pub(super) async fn delegated_keys(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    Params(asked): Params<Keys>,
) -> Answer<pb::DelegatedKeyPage> {
    let collection = Collection {
        id: asked.collection.0,
        epoch: asked.from.unwrap_or_default(),
    };
    let limit = asked.limit.unwrap_or(KEYS_OF_PAGE).min(KEYS_OF_PAGE);
    let most = u64::try_from(limit)
        .unwrap_or(u64::MAX)
        .saturating_mul(DELEGATED_KEY);
    let room = back.room(auth.permit, most).await?;
    room.reply(app.vault.delegated_keys(&auth.caller, collection, limit).await)
}

/// The most bytes of one key with the longest chain.
const DELEGATED_KEY: u64 = 9 << 10;

pub(super) async fn delegated_requests(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<RequestId>,
) -> Answer<pb::RequestPage> {
    let most = app.vault.short_page_bytes(app.vault.message_bytes());
    let room = back.page_room(auth.permit, most).await?;
    room.reply(
        app.vault
            .delegated_requests(&auth.caller, page.after, page.limit)
            .await,
    )
}

pub(super) async fn history(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<u64>,
) -> Answer<pb::HistoryPage> {
    let room = back.room(auth.permit, app.vault.page_bytes()).await?;
    room.reply(
        app.vault
            .history(&auth.caller, page.after.unwrap_or_default(), page.limit)
            .await,
    )
}

pub(super) async fn inbox(
    State(app): State<App>,
    auth: Authenticated,
    back: WayBack,
    page: Page<u64>,
) -> Answer<pb::InboxPage> {
    let most = app.vault.short_page_bytes(app.vault.message_bytes());
    let room = back.page_room(auth.permit, most).await?;
    room.reply(
        app.vault
            .inbox(&auth.caller, page.after.unwrap_or_default(), page.limit)
            .await,
    )
}
