//! Records that go for good, by whoever says so.

use anyhow::{Context, Result};
use protocol_spec::{
    bodies::{RecordDeletion, TakeBack},
    hash::Sha256Digest,
    messages as pb,
    patient::PatientSigned,
    permission::RecordSelector,
    statement::Signed,
};

use super::{Answer, RawInstitution, RawPatient, Wire, now_ms};

impl RawPatient {
    /// The deletion of a record, not sent yet.
    pub fn deletion(&self, record: &RecordSelector) -> pb::DeleteRecord {
        let body = RecordDeletion {
            created: now_ms(),
            patient_id: self.id,
            record_id: record.record_id,
            version_id: record.version_id,
        };
        let signed = Signed::sign(body, |message| self.sign(message));
        let deletion = PatientSigned::new(signed, self.chain().clone());
        pb::DeleteRecord {
            deletion: Some((&deletion).into()),
        }
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn delete(&self, wire: &Wire, record: &RecordSelector) -> Result<()> {
        let message = self.deletion(record);
        let answer = self.post(wire, "/v1/vault/deletions", &message).await?;
        answer.message::<pb::LoggedStatement>()?;
        Ok(())
    }
}

impl RawInstitution {
    /// What an institution signs to take a record back, with the receipt that the patient is shown for it; not sent yet.
    ///
    /// # Errors
    /// When the server does not show the record to her.
    pub async fn take_back(
        &self,
        wire: &Wire,
        patient: &RawPatient,
        record: &RecordSelector,
    ) -> Result<pb::TakeBackUpload> {
        let path = format!("/v1/vault/records/{}", record.version_id);
        let shown: pb::VaultRecord = patient.get(wire, &path).await?.message()?;
        let receipt = shown.record.and_then(|record| record.receipt);
        let receipt = receipt.and_then(|receipt| receipt.statement);
        let body = TakeBack {
            created: now_ms(),
            operator_id: wire.operator_id(),
            patient_id: patient.id,
            institution_id: self.entry.id(),
            record_id: record.record_id,
            version_id: record.version_id,
            receipt_hash: Sha256Digest::of(&receipt.context("no receipt")?.body),
        };
        let signed = Signed::sign(body, |message| self.identity.sign_bytes(message));
        Ok(pb::TakeBackUpload {
            take_back: Some(signed.to_message()),
        })
    }

    /// Takes a record back; the answer.
    ///
    /// # Errors
    /// As [`Self::take_back`].
    pub async fn submit_take_back(
        &self,
        wire: &Wire,
        patient: &RawPatient,
        record: &RecordSelector,
    ) -> Result<Answer> {
        let message = self.take_back(wire, patient, record).await?;
        self.post(wire, "/v1/take-backs", &message).await
    }
}
