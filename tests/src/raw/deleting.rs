//! Records that go for good, by whoever says so.

use anyhow::{Context, Result};
use protocol_spec::{bodies::TakeBack, hash::Sha256Digest, messages as pb, permission::RecordSelector};

use super::{Answer, RawInstitution, RawPatient, Wire, now_ms};

impl RawPatient {
    /// Deletes a record.
    pub async fn delete(&self, wire: &Wire, record: &RecordSelector) -> Result<()> {
        let message = self.deletes(record);
        let answer = self.post(wire, "/v1/vault/deletions", &message).await?;
        answer.message::<pb::LoggedStatement>()?;
        Ok(())
    }
}

impl RawInstitution {
    /// What an institution signs to take a record back, with the receipt that the patient is shown for it; not sent yet.
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
        Ok(pb::TakeBackUpload {
            take_back: Some(self.actor.statement(body).0),
        })
    }

    /// Takes a record back; the answer.
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
