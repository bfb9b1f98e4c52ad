//! Taking back what went to the wrong patient, before anybody has opened it. See `protocol-spec/spec/deletion.md` §3.

use prost::Message;
use protocol_spec::{
    api,
    bodies::{TakeBack, UploadReceipt},
    ids::{PatientId, RecordId},
    messages as pb,
    statement::{Signed, Verified},
};

use super::Institution;
use crate::{Error, Result, mint, trust::TAKE_BACK};

/// A record that was stored and taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// The record.
    pub record_id: RecordId,
    /// In whose vault it was.
    pub patient_id: PatientId,
    /// When this institution signed that, in milliseconds since 1970.
    pub at: u64,
    /// Entries of the log under which it was proven to stand.
    pub log_size: u64,
}

impl Institution {
    /// Takes back a record that this home has sent, or has met in [`Self::stored_under`], as long as nobody has opened it: the server destroys it (DEL-6). The use of the
    /// permission stays spent. One that was taken back already is told again.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a record that this home has not sent; `record-opened` when it is too late: then only the patient can
    /// delete it.
    pub async fn take_back(&self, record: RecordId) -> Result<TakenBack> {
        let receipt = self.sent(record)?;
        let said = &*receipt;
        let body = TakeBack {
            created: mint::now_ms(),
            operator_id: self.session.server.operator_id(),
            patient_id: said.patient_id,
            institution_id: self.id(),
            record_id: said.record_id,
            version_id: said.version_id,
            receipt_hash: receipt.hash(),
        };
        let message = pb::TakeBackUpload {
            take_back: Some(self.keys.statement(body)?.to_message()),
        };
        let answer: pb::Receipt = self.session.server.post(api::TAKE_BACK.here(), &message).await?;
        let (taken, log_size) = self.session.records.taken_back(answer).await?;
        if taken.record_id != record || taken.receipt_hash != receipt.hash() {
            return Err(Error::tampered(TAKE_BACK)("it is of another record"));
        }
        Ok(TakenBack {
            record_id: record,
            patient_id: taken.patient_id,
            at: taken.created,
            log_size,
        })
    }

    /// The records that this home can take back.
    ///
    /// # Errors
    /// [`Error::HomeDamaged`].
    pub fn sent_records(&self) -> Result<Vec<RecordId>> {
        let mut records = Vec::new();
        for name in self.session.home.kept_names(SENT)? {
            records.push(name.parse().map_err(|_| self.session.home.damaged(SENT))?);
        }
        records.sort_unstable();
        Ok(records)
    }

    /// Keeps what is needed to take a record back.
    pub(super) fn keep_sent(&self, receipt: &Verified<UploadReceipt>) -> Result<()> {
        let name = receipt.record_id.to_string();
        let bytes = receipt.to_message().encode_to_vec();
        self.session.home.keep_last(SENT, &name, &bytes)
    }

    fn sent(&self, record: RecordId) -> Result<Verified<UploadReceipt>> {
        let unknown = || Error::Unknown {
            what: "record that this home has sent (`upload stored PERMISSION` finds what another terminal has):",
            id: record.to_string(),
        };
        let kept = self.session.home.kept(SENT, &record.to_string())?;
        let kept: pb::Statement = protocol_spec::messages::decode(&kept.ok_or_else(unknown)?)?;
        let receipt = Signed::<UploadReceipt>::try_from(Some(kept))
            .and_then(|receipt| receipt.verify(self.session.server.operator()));
        receipt.map_err(|_| self.session.home.damaged(SENT))
    }
}

const SENT: &str = "sent";
