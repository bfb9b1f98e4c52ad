//! Taking back what went to the wrong patient, before anybody has opened it. See `protocol-spec/spec/deletion.md` §3.

use protocol_spec::{
    api,
    bodies::{TakeBack, UploadReceipt},
    ids::{PatientId, RecordId},
    statement::{Signed, Verified},
    submitted,
};

use super::office::Office;
use crate::{Error, Result, trust::TAKE_BACK};

/// A record that was stored and taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TakenBack {
    /// The record that was taken back.
    pub record_id: RecordId,
    /// In whose vault it was.
    pub patient_id: PatientId,
    /// When this institution signed that, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub at: u64,
    /// Entries of the log under which it was proven to stand.
    pub log_size: u64,
}

pub(super) async fn take_back(office: &Office, record: RecordId) -> Result<TakenBack> {
    let receipt = sent(office, record)?;
    let said = &*receipt;
    let body = TakeBack {
        created: office.session.system().now_ms(),
        operator_id: office.session.server.operator_id(),
        patient_id: said.patient_id,
        institution_id: office.id(),
        record_id: said.record_id,
        version_id: said.version_id,
        receipt_hash: receipt.hash(),
    };
    let message = submitted::TakeBackUpload {
        take_back: office.keys.statement(body)?,
    };
    let answer = office.post(api::TAKE_BACK.here(), &message).await?;
    let (taken, log_size) = office.session.records.taken_back(answer).await?;
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

pub(super) fn sent_records(office: &Office) -> Result<Vec<RecordId>> {
    let mut records = Vec::new();
    for name in office.session.home.kept_names(SENT)? {
        records.push(name.parse().map_err(|_| office.session.home.damaged(SENT))?);
    }
    records.sort_unstable();
    Ok(records)
}

/// Keeps what is needed to take a record back.
pub(super) fn keep_sent(office: &Office, receipt: &Verified<UploadReceipt>) -> Result<()> {
    let name = receipt.record_id.to_string();
    let bytes = receipt.signed().to_bytes();
    office.session.home.keep_last(SENT, &name, &bytes)
}

fn sent(office: &Office, record: RecordId) -> Result<Verified<UploadReceipt>> {
    let unknown = || Error::Unknown {
        what: "record that this home has sent (`upload stored PERMISSION` finds what another terminal has):",
        id: record.to_string(),
    };
    let kept = office.session.home.kept(SENT, &record.to_string())?;
    let receipt = Signed::<UploadReceipt>::from_bytes(&kept.ok_or_else(unknown)?)
        .and_then(|receipt| receipt.verify(office.session.server.operator()));
    receipt.map_err(|_| office.session.home.damaged(SENT))
}

const SENT: &str = "sent";
