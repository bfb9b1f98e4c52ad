//! What an institution asks a patient.

use crypto::{TextContext, seal_text};
use protocol_spec::{
    api,
    bodies::{DownloadRequest, ReferenceRequest},
    field::SealedBytes,
    ids::{PatientId, RequestId},
    purpose::Purpose,
    submitted,
};

use super::office::Office;
use crate::{DirectoryEntry, Result};

pub(super) async fn request_download(
    office: &Office,
    patient: PatientId,
    text: &str,
    purpose: Option<Purpose>,
) -> Result<RequestId> {
    let request_id = office.session.system().id(RequestId::mint)?;
    let (text, root_epoch) = seal_to(office, patient, request_id, text).await?;
    let created = office.session.system().now_ms();
    let request = DownloadRequest {
        created,
        operator_id: office.session.server.operator_id(),
        request_id,
        institution_id: office.id(),
        patient_id: patient,
        expires: created + OPEN_FOR,
        text,
        root_epoch,
        purpose,
    };
    let request = office.keys.statement(request)?;
    let message = submitted::SubmitDownloadRequest { request };
    office.post(api::SUBMIT_DOWNLOAD_REQUEST.here(), &message).await?;
    Ok(request_id)
}

pub(super) async fn request_reference(
    office: &Office,
    patient: PatientId,
    to: &DirectoryEntry,
    text: &str,
    purpose: Option<Purpose>,
) -> Result<RequestId> {
    let request_id = office.session.system().id(RequestId::mint)?;
    let (text, root_epoch) = seal_to(office, patient, request_id, text).await?;
    let created = office.session.system().now_ms();
    let request = ReferenceRequest {
        created,
        operator_id: office.session.server.operator_id(),
        request_id,
        institution_id: office.id(),
        second_institution_id: to.id(),
        patient_id: patient,
        expires: created + OPEN_FOR,
        text,
        root_epoch,
        purpose,
    };
    let request = office.keys.statement(request)?;
    let message = submitted::SubmitReferenceRequest { request };
    office
        .post(api::SUBMIT_REFERENCE_REQUEST.here(), &message)
        .await?;
    Ok(request_id)
}

/// Seals a text to the patient's newest vault key; and that key's epoch.
async fn seal_to(
    office: &Office,
    patient: PatientId,
    request: RequestId,
    text: &str,
) -> Result<(SealedBytes, u64)> {
    let key = office.session.patients.vault_key(patient).await?;
    let context = TextContext::to_patient(request, &office.id(), &patient);
    Ok((
        seal_text(office.session.system(), &key.vault_key, &context, text)?,
        key.root_epoch,
    ))
}

/// A request can be answered for 30 days, in milliseconds.
const OPEN_FOR: u64 = 30 * 24 * 3600 * 1000;
