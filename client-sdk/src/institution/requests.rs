//! What an institution asks a patient.

use crypto::{TextContext, seal_text};
use protocol_spec::{
    bodies::{DownloadRequest, ReferenceRequest},
    field::SealedBytes,
    ids::{PatientId, RequestId},
    messages as pb,
    patient::verify_device,
    problem::Problem,
    statement::Signed,
};

use super::Institution;
use crate::{DirectoryEntry, Error, Result, mint};

impl Institution {
    /// Asks a patient to let this institution download; `text` says what and why, sealed to her.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a patient whom the server does not know; what it refuses.
    pub async fn request_download(&self, patient: PatientId, text: &str) -> Result<RequestId> {
        let request_id = mint::id(RequestId::mint)?;
        let text = self.seal_to(patient, request_id, text).await?;
        let created = mint::now_ms();
        let request = DownloadRequest {
            created,
            operator_id: self.session.server.operator_id(),
            request_id,
            institution_id: self.id(),
            patient_id: patient,
            expires: created + OPEN_FOR,
            text,
        };
        let signed = Signed::sign(request, |message| self.keys.sign(message));
        let message = pb::SubmitDownloadRequest {
            request: Some(signed.to_message()),
        };
        self.session
            .server
            .post::<pb::Accepted>("/v1/requests/download", &message)
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
    ) -> Result<RequestId> {
        let request_id = mint::id(RequestId::mint)?;
        let text = self.seal_to(patient, request_id, text).await?;
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
        };
        let signed = Signed::sign(request, |message| self.keys.sign(message));
        let message = pb::SubmitReferenceRequest {
            request: Some(signed.to_message()),
        };
        self.session
            .server
            .post::<pb::Accepted>("/v1/requests/reference", &message)
            .await?;
        Ok(request_id)
    }

    /// Seals a text to the device that the patient's own key vouches for.
    async fn seal_to(&self, patient: PatientId, request: RequestId, text: &str) -> Result<SealedBytes> {
        let info: pb::PatientInfo = self
            .session
            .server
            .get(&format!("/v1/patients/{patient}"))
            .await
            .map_err(|error| {
                let unknown = error.is_problem(Problem::NotPermitted) || error.is_problem(Problem::NotFound);
                if unknown {
                    Error::Unknown {
                        what: "patient",
                        id: patient.to_string(),
                    }
                } else {
                    error
                }
            })?;
        let certificate = info
            .device_certificate
            .try_into()
            .map_err(Error::tampered(WHAT))?;
        let device = verify_device(certificate, patient).map_err(Error::tampered(WHAT))?;
        let context = TextContext::to_patient(request, &self.id(), &patient);
        Ok(seal_text(&device.recipient_key, &context, text)?)
    }
}

const WHAT: &str = "the patient's device certificate";
/// A request can be answered for 30 days, in milliseconds.
const OPEN_FOR: u64 = 30 * 24 * 3600 * 1000;
