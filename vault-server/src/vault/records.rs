//! The vault as its patient sees it: records, their leaves, their keys once adopted.

use bytes::Bytes;
use protocol_spec::{
    collection::Collection,
    defence::Defence,
    delegation::{Power, Scope},
    ids::{PatientId, VersionId},
    messages as pb,
};

use super::{
    Caller, LeafStream, Refusal, Shared, Vault,
    outflow::Guard,
    tables::{self, PlacementRow, RecordRow, WrapRow},
};

impl Vault {
    /// The caller's records, or a delegate's of those that she acts for, in the order of their versions, after this one. Their manifests are not read
    /// yet, but measured.
    ///
    /// # Errors
    /// `not-permitted` unless a patient asks; those of the store.
    pub async fn vault_records(
        &self,
        caller: &Caller,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<RecordList<'_>, Refusal> {
        let patient = caller.acts_for(Power::Read)?;
        let first = match after {
            Some(version) => tables::records(patient).after(version.as_bytes()),
            None => tables::records(patient),
        };
        let (mut rows, mut more) = self.shared.page(first, limit).await?;
        let most = u64::try_from(self.shared.limits.page_bytes).unwrap_or(u64::MAX);
        let (mut count, mut manifest_bytes) = (0, 0_u64);
        for row in &rows {
            if manifest_bytes > most {
                more = true;
                break;
            }
            manifest_bytes = manifest_bytes.saturating_add(row.manifest_length);
            count += 1;
        }
        rows.truncate(count);
        Ok(RecordList {
            shared: &self.shared,
            patient,
            scope: caller
                .acting()
                .map(|acting| acting.delegation.collections.clone()),
            rows,
            more,
            manifest_bytes,
        })
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
        let patient = caller.acts_for(Power::Read)?;
        if let Some(acting) = caller.acting() {
            self.shared.check_in_scope(acting, version).await?;
        }
        let row = tables::record(patient, version).get(&*self.shared.ledger).await?;
        let record = row
            .and_then(|row| row.stored)
            .ok_or_else(|| Refusal::absent("no such record"))?;
        let guard = Guard::Device(caller.clone());
        LeafStream::new(&self.shared, version, record.stream_len, first, count, guard)
    }
}

/// Records of a vault whose manifests are still to be read.
pub struct RecordList<'a> {
    shared: &'a Shared,
    patient: PatientId,
    /// Of a delegate: only what lies in these (DLG-6).
    scope: Option<Scope>,
    rows: Vec<RecordRow>,
    /// Others follow.
    more: bool,
    manifest_bytes: u64,
}

impl RecordList<'_> {
    /// The most bytes that the page will have.
    pub fn page_bytes(&self) -> u64 {
        placed_bytes(self.rows.len(), self.manifest_bytes)
    }

    /// Reads the manifests.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(self) -> Result<pb::VaultPage, Refusal> {
        let last = self.rows.last().filter(|_| self.more);
        let last = last.and_then(|last| last.stored.as_ref());
        let next = last.map_or_else(Bytes::new, |record| record.version_id.clone());
        let mut records = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            let record = self.shared.vault_record(self.patient, row).await?;
            records.extend(delegated(record, self.scope.as_ref())?);
        }
        Ok(pb::VaultPage { records, next })
    }
}

/// A record as a delegate sees it; none if it does not lie in her collections (DLG-6).
fn delegated(record: pb::VaultRecord, scope: Option<&Scope>) -> Result<Option<pb::VaultRecord>, Refusal> {
    let Some(scope) = scope else {
        return Ok(Some(record));
    };
    let placed = PlacementRow {
        placement: record.placement.clone(),
        number: 0,
    };
    let within = placed.placement.is_some() && scope.has(placed.body()?.collection_id);
    // What arrived under an upload key is for her devices alone.
    let shown = pb::VaultRecord {
        upload_key_wrap: Bytes::new(),
        upload_key_epoch: 0,
        ..record
    };
    Ok(Defence::DelegationScope.holds(within).then_some(shown))
}

/// The most bytes of an answer with so many records, whose sealed manifests have so many.
pub(super) fn release_bytes(records: usize, manifest_bytes: u64) -> u64 {
    // One more, for what stands beside them.
    let records = u64::try_from(records).unwrap_or(u64::MAX).saturating_add(1);
    records
        .saturating_mul(BESIDE_MANIFEST)
        .saturating_add(manifest_bytes)
}

/// The most bytes of an answer in which each record comes with its placement.
pub(super) fn placed_bytes(records: usize, manifest_bytes: u64) -> u64 {
    let placements = u64::try_from(records)
        .unwrap_or(u64::MAX)
        .saturating_mul(PLACEMENT);
    release_bytes(records, manifest_bytes).saturating_add(placements)
}

/// A record's ids, root, key wraps and receipt: 1 KiB and the path of its proof, which has 32 bytes for
/// each doubling of the log.
const BESIDE_MANIFEST: u64 = 3 << 10;

/// A device's statement with the longest chain: 32 certificates of less than 200 bytes.
const PLACEMENT: u64 = 7 << 10;

impl Shared {
    async fn vault_record(&self, patient: PatientId, row: RecordRow) -> Result<pb::VaultRecord, Refusal> {
        let (upload_key_wrap, upload_key_epoch) = (row.upload_key_wrap.clone(), row.upload_key_epoch);
        let record = self.complete_record(patient, row).await?;
        let version = record.version_id.as_ref().try_into().map_err(Refusal::damaged)?;
        let placed = tables::placement(patient, version).get(&*self.ledger).await?;
        let wrap = match &placed {
            Some(placed) => self.newest_wrap(patient, placed).await?,
            None => WrapRow::default(),
        };
        Ok(pb::VaultRecord {
            record: Some(record),
            upload_key_wrap,
            upload_key_epoch,
            placement: placed.and_then(|placed| placed.placement),
            epoch: wrap.epoch,
            data_key_wrap: wrap.wrap,
        })
    }

    /// The data key of a placed record, under the newest key that it is wrapped under.
    async fn newest_wrap(&self, patient: PatientId, placed: &PlacementRow) -> Result<WrapRow, Refusal> {
        let ledger = &*self.ledger;
        let id = placed.body()?.collection_id;
        let collection = tables::collection(patient, id).get(ledger).await?;
        for epoch in collection.unwrap_or_default().open() {
            let key = tables::wrap(patient, Collection { id, epoch }, placed.number);
            if let Some(wrap) = key.get(ledger).await? {
                return Ok(wrap);
            }
        }
        Err(Refusal::damaged("a placed record has no data key"))
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

    pub(super) async fn complete_record(
        &self,
        patient: PatientId,
        row: RecordRow,
    ) -> Result<pb::StoredRecord, Refusal> {
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
