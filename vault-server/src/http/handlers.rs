//! The endpoints that take and give one message: parse, ask the vault, encode. Streams are in
//! [`super::leaves`] and [`super::sse`].

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::header;
use prost::{Message, Name};
use protocol_spec::{
    ids::{InstitutionId, PatientId, PermissionId, ReleaseId, RequestId, UploadId, VersionId},
    messages as pb,
    problem::Problem,
    request::{CHALLENGE, SignatureLabel, read_bytes_field},
};
use serde::Deserialize;

use super::{
    App,
    auth::Authenticated,
    body::{PROTOBUF, Posted, Signed},
    problem::Refused,
    query::{Id, Page, Params},
};
use crate::vault::{Caller, Proof, Refusal, Vault};

/// A message as the answer, or a refusal.
pub(super) type Answer<M> = Result<Reply<M>, Refused>;

/// A message as the body of a response.
pub(super) struct Reply<M>(M);

impl<M: Message> IntoResponse for Reply<M> {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, PROTOBUF)], self.0.encode_to_vec()).into_response()
    }
}

pub(super) fn reply<M>(result: Result<M, Refusal>) -> Answer<M> {
    Ok(Reply(result?))
}

/// `POST` of a message that the vault's method of the same name takes.
macro_rules! submissions {
    ($($name:ident: $message:ident;)*) => {$(
        pub(super) async fn $name(State(app): State<App>, signed: Signed<pb::$message>) -> Answer<pb::Accepted> {
            reply(app.vault.$name(&signed.auth.caller, &signed.intent, signed.message).await)
        }
    )*};
}

submissions! {
    submit_upload_request: SubmitUploadRequest;
    submit_download_request: SubmitDownloadRequest;
    submit_reference_request: SubmitReferenceRequest;
    submit_permission: SubmitPermission;
    submit_denial: SubmitDenial;
    submit_revocation: SubmitRevocation;
}

/// `GET` of what an id names.
macro_rules! readings {
    ($($name:ident: $id:ident -> $message:ident;)*) => {$(
        pub(super) async fn $name(State(app): State<App>, auth: Authenticated, Id(id): Id<$id>) -> Answer<pb::$message> {
            reply(app.vault.$name(&auth.caller, id).await)
        }
    )*};
}

readings! {
    patient_info: PatientId -> PatientInfo;
    request: RequestId -> StoredRequest;
    deliver: PermissionId -> Delivery;
    upload_status: UploadId -> UploadStatus;
}

pub(super) async fn server(State(app): State<App>) -> Answer<pb::ServerInfo> {
    reply(Ok(app.vault.server_info()))
}

pub(super) async fn directory(
    State(app): State<App>,
    page: Page<InstitutionId>,
) -> Answer<pb::DirectoryPage> {
    reply(app.vault.directory(page.after, page.limit).await)
}

pub(super) async fn directory_entry(
    State(app): State<App>,
    Id(institution): Id<InstitutionId>,
) -> Answer<pb::DirectoryEntry> {
    reply(app.vault.directory_entry(institution).await)
}

pub(super) async fn log_checkpoint(State(app): State<App>) -> Answer<pb::Statement> {
    reply(app.vault.log_checkpoint().await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inclusion {
    index: u64,
    size: u64,
}

pub(super) async fn log_inclusion(
    State(app): State<App>,
    Params(Inclusion { index, size }): Params<Inclusion>,
) -> Answer<pb::InclusionProof> {
    reply(app.vault.log_inclusion(index, size).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consistency {
    first: u64,
    second: u64,
}

pub(super) async fn log_consistency(
    State(app): State<App>,
    Params(Consistency { first, second }): Params<Consistency>,
) -> Answer<pb::ConsistencyProof> {
    reply(app.vault.log_consistency(first, second).await)
}

pub(super) async fn enrol_patient(State(app): State<App>, request: Request) -> Answer<pb::Accepted> {
    enrol(&app, request, Vault::enrolling_patient).await
}

pub(super) async fn enrol_institution(State(app): State<App>, request: Request) -> Answer<pb::Accepted> {
    enrol(&app, request, Vault::enrolling_institution).await
}

/// The key that signs is in the message, so the message is read first.
async fn enrol<M: Message + Default + Name>(
    app: &App,
    request: Request,
    check: fn(&Vault, M) -> Result<Caller, Refusal>,
) -> Answer<pb::Accepted> {
    let (parts, body) = request.into_parts();
    let Posted {
        intent,
        message,
        memory: _memory,
    } = Posted::read(app, &parts, body).await?;
    let auth = Authenticated::enrolling(app, &parts, check(&app.vault, message)?)?;
    reply(app.vault.enrol(&auth.caller, &intent).await)
}

pub(super) async fn present(
    State(app): State<App>,
    Id(permission): Id<PermissionId>,
    signed: Signed<pb::Presentation>,
) -> Answer<pb::PresentationAnswer> {
    let Signed {
        auth,
        intent,
        message,
        parts,
        ..
    } = signed;
    let pop = app
        .gate
        .signature(&parts, SignatureLabel::Pop, app.vault.now_ms())?;
    let challenge = read_bytes_field(&parts.headers, &CHALLENGE)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Problem::ChallengeInvalid)?;
    let proof = Proof {
        challenge,
        pop: &pop,
        id: &auth.signature,
    };
    reply(
        app.vault
            .present(&auth.caller, &intent, permission, proof, message)
            .await,
    )
}

pub(super) async fn commit_upload(
    State(app): State<App>,
    Id(upload): Id<UploadId>,
    signed: Signed<pb::CommitUpload>,
) -> Answer<pb::Receipt> {
    reply(
        app.vault
            .commit_upload(&signed.auth.caller, &signed.intent, upload, signed.message)
            .await,
    )
}

pub(super) async fn close_release(
    State(app): State<App>,
    Id(release): Id<ReleaseId>,
    signed: Signed<pb::Accepted>,
) -> Answer<pb::Receipt> {
    reply(
        app.vault
            .close_release(&signed.auth.caller, &signed.intent, release)
            .await,
    )
}

pub(super) async fn adopt(
    State(app): State<App>,
    Id(version): Id<VersionId>,
    signed: Signed<pb::AdoptRecord>,
) -> Answer<pb::Accepted> {
    reply(
        app.vault
            .adopt(&signed.auth.caller, &signed.intent, version, signed.message)
            .await,
    )
}

pub(super) async fn vault_records(
    State(app): State<App>,
    auth: Authenticated,
    page: Page<VersionId>,
) -> Answer<pb::VaultPage> {
    reply(
        app.vault
            .vault_records(&auth.caller, page.after, page.limit)
            .await,
    )
}

pub(super) async fn vault_permissions(
    State(app): State<App>,
    auth: Authenticated,
    page: Page<PermissionId>,
) -> Answer<pb::PermissionList> {
    reply(
        app.vault
            .vault_permissions(&auth.caller, page.after, page.limit)
            .await,
    )
}

pub(super) async fn history(
    State(app): State<App>,
    auth: Authenticated,
    page: Page<u64>,
) -> Answer<pb::HistoryPage> {
    reply(
        app.vault
            .history(&auth.caller, page.after.unwrap_or_default(), page.limit)
            .await,
    )
}

pub(super) async fn inbox(
    State(app): State<App>,
    auth: Authenticated,
    page: Page<u64>,
) -> Answer<pb::InboxPage> {
    reply(
        app.vault
            .inbox(&auth.caller, page.after.unwrap_or_default(), page.limit)
            .await,
    )
}
