//! What an institution asks a patient.

use crypto::{TextContext, seal_text};
use protocol_spec::{
    api,
    bodies::{DownloadRequest, ReferenceRequest},
    field::SealedBytes,
    ids::{PatientId, RequestId},
    messages as pb,
    purpose::Purpose,
};

use super::Institution;
use crate::{DirectoryEntry, Result, mint};

impl Institution {
    /// Asks a patient to let this institution download; `text` says what and why, sealed to her, and `purpose` what for,
    /// for the server to see too.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] for a patient whom the server does not know; what it refuses.
    pub async fn request_download(
        &self,
        patient: PatientId,
        text: &str,
        purpose: Option<Purpose>,
    ) -> Result<RequestId> {
        let request_id = mint::id(RequestId::mint)?;
        let (text, root_epoch) = self.seal_to(patient, request_id, text).await?;
        let created = mint::now_ms();
        let request = DownloadRequest {
            created,
            operator_id: self.session.server.operator_id(),
            request_id,
            institution_id: self.id(),
            patient_id: patient,
            expires: created + OPEN_FOR,
            text,
            root_epoch,
            purpose,
        };
        let signed = self.keys.statement(request)?;
        let message = pb::SubmitDownloadRequest {
            request: Some(signed.to_message()),
        };
        self.session
            .server
            .post(api::SUBMIT_DOWNLOAD_REQUEST.here(), &message)
            .await?;
        Ok(request_id)
    }

    /// Asks a patient to let another institution download: a referral.
    ///
    /// # Errors
    /// As [`Self::request_download`].
    pub async fn request_reference(
        &self,
        patient: PatientId,
        to: &DirectoryEntry,
        text: &str,
        purpose: Option<Purpose>,
    ) -> Result<RequestId> {
        let request_id = mint::id(RequestId::mint)?;
        let (text, root_epoch) = self.seal_to(patient, request_id, text).await?;
        let created = mint::now_ms();
        let request = ReferenceRequest {
            created,
            operator_id: self.session.server.operator_id(),
            request_id,
            institution_id: self.id(),
            second_institution_id: to.id(),
            patient_id: patient,
            expires: created + OPEN_FOR,
            text,
            root_epoch,
            purpose,
        };
        let signed = self.keys.statement(request)?;
        let message = pb::SubmitReferenceRequest {
            request: Some(signed.to_message()),
        };
        self.session
            .server
            .post(api::SUBMIT_REFERENCE_REQUEST.here(), &message)
            .await?;
        Ok(request_id)
    }

    /// Seals a text to the patient's newest vault key; and that key's epoch.
    async fn seal_to(
        &self,
        patient: PatientId,
        request: RequestId,
        text: &str,
    ) -> Result<(SealedBytes, u64)> {
        let key = self.session.patients.vault_key(patient).await?;
        let context = TextContext::to_patient(request, &self.id(), &patient);
        Ok((seal_text(&key.vault_key, &context, text)?, key.root_epoch))
    }
}

/// A request can be answered for 30 days, in milliseconds.
const OPEN_FOR: u64 = 30 * 24 * 3600 * 1000;
