//! The vault as its patient sees it: records, their leaves, their keys once adopted.

use bytes::Bytes;
use protocol_spec::{
    ids::{PatientId, VersionId},
    messages as pb,
    problem::Problem,
};

use super::{
    Caller, Intent, LeafStream, Refusal, Shared, Vault,
    refusal::ensure,
    requests::KEY_WRAP_LEN,
    tables::{self, RecordRow},
    tx::{Operation, Tx},
};

impl Vault {
    /// The caller's records in the order of their versions, after this one.
    ///
    /// # Errors
    /// `not-permitted` unless a patient asks; those of the store.
    pub async fn vault_records(
        &self,
        caller: &Caller,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<pb::VaultPage, Refusal> {
        let patient = caller.patient()?;
        let first = match after {
            Some(version) => tables::records(patient).after(version.as_bytes()),
            None => tables::records(patient),
        };
        let (rows, mut more) = self.shared.page(first, limit).await?;
        let (mut records, mut bytes) = (Vec::with_capacity(rows.len()), 0);
        for row in rows {
            if bytes > self.shared.limits.page_bytes {
                more = true;
                break;
            }
            let record = self.shared.vault_record(patient, row).await?;
            bytes += record
                .record
                .as_ref()
                .map_or(0, |record| record.sealed_manifest.len());
            records.push(record);
        }
        let last = records
            .last()
            .filter(|_| more)
            .and_then(|last| last.record.as_ref());
        let next = last.map_or_else(Bytes::new, |record| record.version_id.clone());
        Ok(pb::VaultPage { records, next })
    }

    /// Leaves of one of the caller's own records.
    ///
    /// # Errors
    /// `not-permitted`, `range-not-satisfiable`.
    pub async fn own_leaves(
        &self,
        caller: &Caller,
        version: VersionId,
        first: u32,
        count: u32,
    ) -> Result<LeafStream, Refusal> {
        let patient = caller.patient()?;
        let row = tables::record(patient, version).get(&*self.shared.ledger).await?;
        let record = row
            .and_then(|row| row.stored)
            .ok_or_else(|| Refusal::absent("no such record"))?;
        LeafStream::new(&self.shared, version, record.stream_len, first, count, None)
    }

    /// The patient takes a record in: keeps its data key, wrapped under her collection key. A later
    /// adoption replaces the wrap, which is random.
    ///
    /// # Errors
    /// `not-permitted`, `malformed`.
    pub async fn adopt(
        &self,
        caller: &Caller,
        intent: &Intent,
        version: VersionId,
        message: pb::AdoptRecord,
    ) -> Result<pb::Accepted, Refusal> {
        let patient = caller.patient()?;
        let length = message.data_key_wrap.len();
        ensure(
            length == KEY_WRAP_LEN,
            Problem::Malformed,
            "data_key_wrap is not 104 bytes",
        )?;
        let operation = Adopt {
            patient,
            version,
            message,
        };
        self.shared.mutate(caller, intent, operation).await
    }
}

impl Shared {
    async fn vault_record(&self, patient: PatientId, row: RecordRow) -> Result<pb::VaultRecord, Refusal> {
        let upload_key_wrap = row.upload_key_wrap.clone();
        let record = self.complete_record(patient, row).await?;
        let version = record.version_id.as_ref().try_into().map_err(Refusal::damaged)?;
        let adoption = tables::adoption(patient, version).get(&*self.ledger).await?;
        Ok(pb::VaultRecord {
            record: Some(record),
            upload_key_wrap,
            data_key_wrap: adoption.unwrap_or_default().data_key_wrap,
        })
    }

    /// A committed record with its manifest and its receipt's place in the log.
    pub(super) async fn stored_record(
        &self,
        patient: PatientId,
        version: VersionId,
    ) -> Result<pb::StoredRecord, Refusal> {
        let row = tables::record(patient, version).get(&*self.ledger).await?;
        let row = row.ok_or_else(|| Refusal::damaged("a record of a permission is gone"))?;
        self.complete_record(patient, row).await
    }

    async fn complete_record(&self, patient: PatientId, row: RecordRow) -> Result<pb::StoredRecord, Refusal> {
        let mut record = row
            .stored
            .ok_or_else(|| Refusal::damaged("a record's row is empty"))?;
        let version = record.version_id.as_ref().try_into().map_err(Refusal::damaged)?;
        let manifest = tables::manifest(patient, version).get(&*self.ledger).await?;
        let manifest = manifest.ok_or_else(|| Refusal::damaged("a record has no manifest"))?;
        record.sealed_manifest = manifest.sealed;
        if let Some(receipt) = &mut record.receipt {
            self.complete(receipt).await?;
        }
        Ok(record)
    }
}

struct Adopt {
    patient: PatientId,
    version: VersionId,
    message: pb::AdoptRecord,
}

impl Operation for Adopt {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        tx.read_existing(&tables::record(self.patient, self.version))
            .await?;
        tx.put(&tables::adoption(self.patient, self.version), &self.message);
        Ok(pb::Accepted {})
    }
}
