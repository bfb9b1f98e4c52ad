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
    patient::{PatientSigned, PatientVerified},
    permission::{Kind, SignedPermission, VerifiedPermission},
    problem::Problem,
    statement::{Signed, Verified},
};

use super::{
    Caller, Intent, Refusal, Shared, Vault,
    received::{Arrival, Asking},
    refusal::ensure,
    tables::{self, PermissionRow, PlaceRow, RequestRow},
    tx::{Operation, Tx},
};

use pb::{RequestState, event, history_entry, stored_request::Request};

/// Bytes of a key under a key.
pub(super) const KEY_WRAP_LEN: usize = 104;

impl Vault {
    /// The patient asks an institution to upload, and permits it.
    ///
    /// # Errors
    /// `not-permitted`, `request-mismatch`, `request-expired`, `permission-expired`, `already-exists`.
    pub async fn submit_upload_request(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::SubmitUploadRequest,
    ) -> Result<pb::Accepted, Refusal> {
        let request = PatientSigned::<UploadRequest>::try_from(message.request)?.verify()?;
        let permission = SignedPermission::try_from(message.permission)?.verify()?;
        let wrap = message.upload_key_wrap;
        ensure(
            wrap.len() == KEY_WRAP_LEN,
            Problem::Malformed,
            "upload_key_wrap is not 104 bytes",
        )?;
        self.shared
            .check_patient(caller, request.patient_id, request.operator_id)?;
        self.shared
            .check_patient(caller, permission.patient_id, permission.operator_id)?;
        caller.check_device(request.device())?;
        caller.check_device(permission.device())?;
        let operation = SubmitUpload {
            request,
            permission,
            wrap,
            epoch: message.upload_key_epoch,
        };
        self.shared.mutate(caller, intent, operation).await
    }

    /// An institution asks a patient for records.
    ///
    /// # Errors
    /// `not-permitted` (also when there is no such patient), `request-expired`, `already-exists`.
    pub async fn submit_download_request(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::SubmitDownloadRequest,
    ) -> Result<pb::Accepted, Refusal> {
        let institution = caller.institution()?;
        let request = Signed::<DownloadRequest>::try_from(message.request)?.verify_by(institution)?;
        caller.check_signer(&request)?;
        self.shared
            .check_institution(caller, request.institution_id, request.operator_id)?;
        self.shared
            .mutate(caller, intent, SubmitDownload { request })
            .await
    }

    /// An institution asks a patient to let a second institution have records.
    ///
    /// # Errors
    /// As [`Vault::submit_download_request`]; `malformed` when the second is the first.
    pub async fn submit_reference_request(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::SubmitReferenceRequest,
    ) -> Result<pb::Accepted, Refusal> {
        let institution = caller.institution()?;
        let request = Signed::<ReferenceRequest>::try_from(message.request)?.verify_by(institution)?;
        caller.check_signer(&request)?;
        self.shared
            .check_institution(caller, request.institution_id, request.operator_id)?;
        let second = request.second_institution_id != request.institution_id;
        ensure(second, Problem::Malformed, "a referral names another institution")?;
        self.shared
            .mutate(caller, intent, SubmitReference { request })
            .await
    }

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

impl Shared {
    /// A patient's statement speaks of the caller and of this server (FLW-12).
    pub(super) fn check_patient(
        &self,
        caller: &Caller,
        patient: PatientId,
        operator: protocol_spec::ids::OperatorId,
    ) -> Result<(), Refusal> {
        self.check_own(caller.patient()?, patient, operator)
    }

    /// As [`Self::check_patient`], where delegates may speak who can permit (DLG-7, DLG-8).
    pub(super) fn check_answer(
        &self,
        caller: &Caller,
        patient: PatientId,
        operator: protocol_spec::ids::OperatorId,
    ) -> Result<(), Refusal> {
        self.check_own(caller.acts_for(Power::Permit)?, patient, operator)
    }

    fn check_own(
        &self,
        own: PatientId,
        patient: PatientId,
        operator: protocol_spec::ids::OperatorId,
    ) -> Result<(), Refusal> {
        ensure(
            Defence::OwnStatements.holds(own == patient),
            Problem::NotPermitted,
            "the statement is another patient's",
        )?;
        ensure(
            Defence::OwnStatements.holds(operator == self.operator.id()),
            Problem::NotPermitted,
            "the statement is for another server",
        )
    }

    pub(super) fn check_institution(
        &self,
        caller: &Caller,
        institution: InstitutionId,
        operator: protocol_spec::ids::OperatorId,
    ) -> Result<(), Refusal> {
        let own = caller.institution()?.id() == institution;
        ensure(
            Defence::OwnStatements.holds(own),
            Problem::NotPermitted,
            "the statement is another institution's",
        )?;
        ensure(
            Defence::OwnStatements.holds(operator == self.operator.id()),
            Problem::NotPermitted,
            "the statement is for another server",
        )
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
        row.history = self.record_history(patient, asked).await?;
        row.event = self.notify(*patient.as_bytes(), told).await?;
        self.put(&key, &row);
        Ok(())
    }
}

struct SubmitUpload {
    request: PatientVerified<UploadRequest>,
    permission: VerifiedPermission,
    wrap: Bytes,
    epoch: u64,
}

impl Operation for SubmitUpload {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self {
            request,
            permission,
            wrap,
            epoch,
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
        let asked = history_entry::What::UploadRequested(request.to_message());
        tx.record_history(request.patient_id, asked).await?;
        let row = PermissionRow {
            upload_key_wrap: wrap.clone(),
            upload_key_epoch: *epoch,
            ..PermissionRow::default()
        };
        tx.grant(permission, row).await?;
        let event = event::What::UploadRequested(pb::UploadPermitted {
            request: Some(request.to_message()),
            permission_id: Bytes::copy_from_slice(permission.permission_id.as_bytes()),
        });
        tx.notify(*request.institution_id.as_bytes(), event).await?;
        Ok(pb::Accepted {})
    }
}

struct SubmitDownload {
    request: Verified<DownloadRequest>,
}

impl Operation for SubmitDownload {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
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
        tx.ask(new, message).await?;
        Ok(pb::Accepted {})
    }
}

struct SubmitReference {
    request: Verified<ReferenceRequest>,
}

impl Operation for SubmitReference {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
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
        tx.ask(new, message).await?;
        Ok(pb::Accepted {})
    }
}

/// Where a request's row lies.
pub(super) fn request_place(row: PlaceRow) -> Result<(PatientId, Sha256Digest), Refusal> {
    let patient = row.patient.as_ref().try_into().map_err(Refusal::damaged)?;
    let hash = row.request_hash.as_ref().try_into().map_err(Refusal::damaged)?;
    Ok((patient, hash))
}
