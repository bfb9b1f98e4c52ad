//! Requests. A request is open until it is permitted, denied or expired; an upload request
//! comes with its permission.

use bytes::Bytes;
use protocol_spec::{
    bodies::{DownloadRequest, ReferenceRequest, UploadRequest},
    defence::Defence,
    delegation::Power,
    ids::RequestId,
    messages as pb,
    patient::PatientVerified,
    permission::{Kind, VerifiedPermission},
    problem::Problem,
    statement::Verified,
    submitted,
};

use crate::vault::{
    ask::{
        asked::{self, NewRequest},
        permissions,
        received::{self, Arrival, Asking},
    },
    core::{
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::{AnyTerminal, OwnDevice},
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
    },
    device::listed,
    tables::{self, PermissionRow},
    telling::tell::{self, Tells},
    who::{caller::Caller, entries},
};

use pb::{RequestState, event, history_entry, stored_request::Request};

/// A request and its state, for the patient, the one that asked and the one that may be permitted; what was asked of
/// her, also for a delegate who may answer it.
pub(crate) async fn request(
    shared: &Shared,
    caller: &Caller,
    request: RequestId,
) -> Result<pb::StoredRequest, Refusal> {
    let ledger = &*shared.ledger;
    let place = tables::place(&request).get(ledger).await?;
    let (patient, hash) = asked::request_place(place.ok_or_else(|| Refusal::absent("no such request"))?)?;
    let row = tables::request(patient, hash).get(ledger).await?;
    let row = row.ok_or_else(|| Refusal::damaged("a request has no row"))?;
    let concerned = match caller.acting() {
        Some(_) => caller.acts_for(Power::Permit)? == patient && row.kind() != pb::PermissionKind::Upload,
        None => {
            let principal = caller.principal();
            principal == *patient.as_bytes() || row.asker == principal[..] || row.concerned == principal[..]
        }
    };
    ensure(concerned, Problem::NotPermitted, "somebody else's request")?;
    row.stored
        .ok_or_else(|| Refusal::damaged("a request's row is empty"))
}

/// Opens what an institution asks of a patient: if she takes it, it stands in her history and her inbox (ACC-8).
async fn ask(tx: &mut Tx<'_>, new: NewRequest, message: pb::Statement) -> Result<(), Refusal> {
    let (patient, hash) = (new.patient, new.hash);
    received::admit(
        tx,
        Arrival {
            receiver: *patient.as_bytes(),
            sender: new.asker,
            what: Asking::Request,
            id: hash.as_bytes(),
            expires: new.expires,
        },
    )
    .await?;
    let (asked, told) = match new.kind {
        Kind::Reference => (
            history_entry::What::ReferenceRequested(message.clone()),
            event::What::ReferenceRequested(message),
        ),
        _ => (
            history_entry::What::DownloadRequested(message.clone()),
            event::What::DownloadRequested(message),
        ),
    };
    asked::open_request(tx, new).await?;
    let key = tables::request(patient, hash);
    let mut row = tx.read_existing(&key).await?;
    let tells = Tells::of(patient).history(asked).inbox(*patient.as_bytes(), told);
    let numbers = tell::tell(tx, tells).await?;
    (row.history, row.event) = (numbers.history, numbers.event);
    tx.put(&key, &row);
    Ok(())
}

/// The patient asks an institution to upload, and permits it.
pub(crate) struct SubmitUpload {
    request: Admitted<PatientVerified<UploadRequest>>,
    permission: Admitted<VerifiedPermission>,
    /// What the message holds beside the permission, as it is stored.
    row: PermissionRow,
}

impl Submission for SubmitUpload {
    type Message = submitted::SubmitUploadRequest;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            request: who.statement(message.request)?,
            permission: who.statement(message.permission)?,
            row: PermissionRow {
                upload_key_wrap: message.upload_key_wrap.bytes().clone(),
                upload_key_epoch: message.upload_key_epoch,
                ..PermissionRow::default()
            },
        })
    }
}

impl Operation for SubmitUpload {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self {
            request,
            permission,
            row,
        } = self;
        let fits = permission.kind == Kind::Upload
            && permission.request_hash == request.hash()
            && permission.institution_id == request.institution_id;
        ensure(
            Defence::RequestMatch.holds(fits),
            Problem::RequestMismatch,
            "permission and upload request do not belong together",
        )?;
        let daily = tx.shared.limits.inbox.daily_to_institution;
        received::admit_unasked(
            tx,
            *request.institution_id.as_bytes(),
            *request.patient_id.as_bytes(),
            daily,
        )
        .await?;
        asked::open_request(
            tx,
            NewRequest {
                id: request.request_id,
                hash: request.hash(),
                patient: request.patient_id,
                asker: *request.patient_id.as_bytes(),
                concerned: request.institution_id,
                kind: Kind::Upload,
                expires: request.expires,
                request: Request::Upload(request.to_message()),
                state: RequestState::Permitted,
            },
        )
        .await?;
        let told = event::What::UploadRequested(pb::UploadPermitted {
            request: Some(request.to_message()),
            permission_id: Bytes::copy_from_slice(permission.permission_id.as_bytes()),
        });
        let tells = Tells::of(request.patient_id)
            .history(history_entry::What::UploadRequested(request.to_message()))
            .inbox(*request.institution_id.as_bytes(), told);
        tell::tell(tx, tells).await?;
        permissions::grant(tx, permission, row.clone()).await
    }
}

/// An institution asks a patient for records.
pub(crate) struct SubmitDownload {
    request: Admitted<Verified<DownloadRequest>>,
}

impl Submission for SubmitDownload {
    type Message = submitted::SubmitDownloadRequest;
    type By = AnyTerminal;

    fn admit(message: Self::Message, who: &Proven<'_, AnyTerminal>) -> Result<Self, Refusal> {
        Ok(Self {
            request: who.statement(message.request)?,
        })
    }
}

impl Operation for SubmitDownload {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { request } = self;
        let message = request.to_message();
        listed::check_root_epoch(tx, request.patient_id, request.root_epoch).await?;
        let new = NewRequest {
            id: request.request_id,
            hash: request.hash(),
            patient: request.patient_id,
            asker: *request.institution_id.as_bytes(),
            concerned: request.institution_id,
            kind: Kind::Download,
            expires: request.expires,
            request: Request::Download(message.clone()),
            state: RequestState::Open,
        };
        ask(tx, new, message).await
    }
}

/// An institution asks a patient to let a second institution have records.
pub(crate) struct SubmitReference {
    request: Admitted<Verified<ReferenceRequest>>,
}

impl Submission for SubmitReference {
    type Message = submitted::SubmitReferenceRequest;
    type By = AnyTerminal;

    fn admit(message: Self::Message, who: &Proven<'_, AnyTerminal>) -> Result<Self, Refusal> {
        Ok(Self {
            request: who.statement(message.request)?,
        })
    }
}

impl Operation for SubmitReference {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { request } = self;
        let message = request.to_message();
        listed::check_root_epoch(tx, request.patient_id, request.root_epoch).await?;
        entries::institution(tx, request.second_institution_id).await?;
        let new = NewRequest {
            id: request.request_id,
            hash: request.hash(),
            patient: request.patient_id,
            asker: *request.institution_id.as_bytes(),
            concerned: request.second_institution_id,
            kind: Kind::Reference,
            expires: request.expires,
            request: Request::Reference(message.clone()),
            state: RequestState::Open,
        };
        ask(tx, new, message).await
    }
}
