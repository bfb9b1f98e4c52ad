//! Requests. A request is open until it is permitted, denied or expired; an upload request
//! comes with its permission.

use bytes::Bytes;
use protocol_spec::{
    bodies::{DownloadRequest, ReferenceRequest, UploadRequest},
    defence::Defence,
    delegation::Power,
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId, RequestId},
    messages as pb,
    patient::PatientVerified,
    permission::{Kind, VerifiedPermission},
    problem::Problem,
    statement::Verified,
    submitted,
};

use super::{
    Caller, Refusal, Vault,
    proven::{Admitted, AnyTerminal, OwnDevice, Proven},
    received::{Arrival, Asking},
    refusal::ensure,
    submission::Submission,
    tables::{self, PermissionRow, PlaceRow, RequestRow},
    tell::Tells,
    tx::{Operation, Tx},
};

use pb::{RequestState, event, history_entry, stored_request::Request};

impl Vault {
    /// A request and its state, for the patient, the one that asked and the one that may be permitted; what was asked of
    /// her, also for a delegate who may answer it.
    ///
    /// # Errors
    /// `not-permitted`, `delegation-power`.
    pub async fn request(&self, caller: &Caller, request: RequestId) -> Result<pb::StoredRequest, Refusal> {
        let ledger = &*self.shared.ledger;
        let place = tables::place(&request).get(ledger).await?;
        let (patient, hash) = request_place(place.ok_or_else(|| Refusal::absent("no such request"))?)?;
        let row = tables::request(patient, hash).get(ledger).await?;
        let row = row.ok_or_else(|| Refusal::damaged("a request has no row"))?;
        let concerned = match caller.acting() {
            Some(_) => caller.acts_for(Power::Permit)? == patient && row.kind() != pb::PermissionKind::Upload,
            None => {
                let principal = caller.principal();
                principal == *patient.as_bytes()
                    || row.asker == principal[..]
                    || row.concerned == principal[..]
            }
        };
        ensure(concerned, Problem::NotPermitted, "somebody else's request")?;
        row.stored
            .ok_or_else(|| Refusal::damaged("a request's row is empty"))
    }
}

/// What the ledger must know of a new request.
struct NewRequest {
    id: RequestId,
    hash: Sha256Digest,
    patient: PatientId,
    asker: [u8; 32],
    concerned: InstitutionId,
    kind: Kind,
    expires: u64,
    request: Request,
    state: RequestState,
}

impl Tx<'_> {
    async fn open_request(&mut self, new: NewRequest) -> Result<(), Refusal> {
        if self.has_passed(new.expires).await {
            return Err(Problem::RequestExpired.into());
        }
        let place = PlaceRow {
            patient: Bytes::copy_from_slice(new.patient.as_bytes()),
            request_hash: Bytes::copy_from_slice(new.hash.as_bytes()),
        };
        self.claim(&tables::place(&new.id), &place).await?;
        let row = RequestRow {
            stored: Some(pb::StoredRequest {
                request: Some(new.request),
                state: new.state.into(),
            }),
            request_id: Bytes::copy_from_slice(new.id.as_bytes()),
            asker: Bytes::copy_from_slice(&new.asker),
            concerned: Bytes::copy_from_slice(new.concerned.as_bytes()),
            kind: pb::PermissionKind::from(new.kind).into(),
            expires: new.expires,
            ..RequestRow::default()
        };
        self.claim(&tables::request(new.patient, new.hash), &row).await
    }

    /// Answers an open request: checks that it is open, and notes the answer (FLW-1).
    pub(super) async fn answer_request(
        &mut self,
        patient: PatientId,
        hash: Sha256Digest,
        answer: RequestState,
    ) -> Result<RequestRow, Refusal> {
        let key = tables::request(patient, hash);
        let mut row = self.read(&key).await?.ok_or(Problem::RequestMismatch)?;
        let open = row
            .stored
            .as_ref()
            .is_some_and(|stored| stored.state() == RequestState::Open);
        let open = Defence::RequestMatch.holds(open);
        ensure(open, Problem::RequestAnswered, "the request is not open")?;
        if self.has_passed(row.expires).await {
            return Err(Problem::RequestExpired.into());
        }
        if let Some(stored) = &mut row.stored {
            stored.set_state(answer);
        }
        self.put(&key, &row);
        let asker = row.asker.as_ref().try_into().map_err(Refusal::damaged)?;
        self.settle(*patient.as_bytes(), asker, Asking::Request, hash.as_bytes())
            .await?;
        Ok(row)
    }

    /// Opens what an institution asks of a patient: if she takes it, it stands in her history and her inbox (ACC-8).
    async fn ask(&mut self, new: NewRequest, message: pb::Statement) -> Result<(), Refusal> {
        let (patient, hash) = (new.patient, new.hash);
        self.admit(Arrival {
            receiver: *patient.as_bytes(),
            sender: new.asker,
            what: Asking::Request,
            id: hash.as_bytes(),
            expires: new.expires,
        })
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
        self.open_request(new).await?;
        let key = tables::request(patient, hash);
        let mut row = self.read_existing(&key).await?;
        let tells = Tells::of(patient).history(asked).inbox(*patient.as_bytes(), told);
        let numbers = self.tell(tells).await?;
        (row.history, row.event) = (numbers.history, numbers.event);
        self.put(&key, &row);
        Ok(())
    }
}

/// The patient asks an institution to upload, and permits it.
pub(super) struct SubmitUpload {
    request: Admitted<PatientVerified<UploadRequest>>,
    permission: Admitted<VerifiedPermission>,
    /// What comes beside it.
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
        tx.admit_unasked(
            *request.institution_id.as_bytes(),
            *request.patient_id.as_bytes(),
            daily,
        )
        .await?;
        tx.open_request(NewRequest {
            id: request.request_id,
            hash: request.hash(),
            patient: request.patient_id,
            asker: *request.patient_id.as_bytes(),
            concerned: request.institution_id,
            kind: Kind::Upload,
            expires: request.expires,
            request: Request::Upload(request.to_message()),
            state: RequestState::Permitted,
        })
        .await?;
        let told = event::What::UploadRequested(pb::UploadPermitted {
            request: Some(request.to_message()),
            permission_id: Bytes::copy_from_slice(permission.permission_id.as_bytes()),
        });
        let tells = Tells::of(request.patient_id)
            .history(history_entry::What::UploadRequested(request.to_message()))
            .inbox(*request.institution_id.as_bytes(), told);
        tx.tell(tells).await?;
        tx.grant(permission, row.clone()).await
    }
}

/// An institution asks a patient for records.
pub(super) struct SubmitDownload {
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
        tx.check_root_epoch(request.patient_id, request.root_epoch)
            .await?;
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
        tx.ask(new, message).await
    }
}

/// An institution asks a patient to let a second institution have records.
pub(super) struct SubmitReference {
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
        tx.check_root_epoch(request.patient_id, request.root_epoch)
            .await?;
        tx.institution(request.second_institution_id).await?;
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
        tx.ask(new, message).await
    }
}

/// Where a request's row lies.
pub(super) fn request_place(row: PlaceRow) -> Result<(PatientId, Sha256Digest), Refusal> {
    let patient = row.patient.as_ref().try_into().map_err(Refusal::damaged)?;
    let hash = row.request_hash.as_ref().try_into().map_err(Refusal::damaged)?;
    Ok((patient, hash))
}
