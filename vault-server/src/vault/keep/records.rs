//! The vault as its patient sees it: records, their leaves, their keys once adopted.

use std::sync::Arc;

use bytes::Bytes;
use protocol_spec::{
    collection::Collection,
    defence::Defence,
    delegation::{Power, Scope},
    ids::{PatientId, VersionId},
    messages as pb,
    problem::Problem,
};

use crate::vault::{
    core::{refusal::Refusal, run, shared::Shared, sizes},
    delegation::acting::{self, NoteRead},
    keep::gone,
    tables::{self, PlacementRow, RecordRow, RowKey, VersionRow, WrapRow},
    transfer::{
        opened::NoteOpened,
        outflow::{Guard, LeafStream},
    },
    who::caller::Caller,
};

/// The caller's placed records, or a delegate's of those that she acts for, in the order of their placements, after
/// this one. Their manifests are not read
/// yet, but measured.
pub(crate) async fn vault_records<'a>(
    shared: &'a Shared,
    caller: &Caller,
    after: u64,
    limit: usize,
) -> Result<RecordList<'a>, Refusal> {
    let patient = caller.acts_for(Power::Read)?;
    let first = tables::placed(patient, after.saturating_add(1));
    let scope = caller
        .acting()
        .map(|acting| acting.delegation.collections.clone());
    let list = record_list(shared, patient, first, limit).await?;
    Ok(RecordList { scope, ..list })
}

/// The caller's records that are not placed yet, in the order of their versions, after this one.
pub(crate) async fn arrivals<'a>(
    shared: &'a Shared,
    caller: &Caller,
    after: Option<VersionId>,
    limit: usize,
) -> Result<RecordList<'a>, Refusal> {
    let patient = caller.patient()?;
    let first = tables::arrivals(patient).behind(after);
    record_list(shared, patient, first, limit).await
}

/// One of the caller's records, its manifest not read yet.
pub(crate) async fn vault_record<'a>(
    shared: &'a Shared,
    caller: &Caller,
    version: VersionId,
) -> Result<RecordList<'a>, Refusal> {
    shared.log.check_uncontradicted()?;
    let patient = caller.patient()?;
    let row = tables::record(patient, version).get(&*shared.ledger).await?;
    gone::check_not_gone_now(shared, patient, version).await?;
    let row = row.ok_or_else(|| Refusal::absent("no such record"))?;
    Ok(RecordList {
        shared,
        patient,
        scope: None,
        manifest_bytes: row.manifest_length,
        rows: vec![row],
        next: VersionRow::default(),
    })
}

/// Leaves of one of the caller's own records.
pub(crate) async fn own_leaves(
    shared: &Arc<Shared>,
    caller: &Caller,
    version: VersionId,
    first: u32,
    count: u32,
) -> Result<LeafStream, Refusal> {
    shared.log.check_uncontradicted()?;
    let patient = caller.acts_for(Power::Read)?;
    if let Some(acting) = caller.acting() {
        acting::check_in_scope(shared, acting, version).await?;
    }
    gone::check_not_gone_now(shared, patient, version).await?;
    let row = tables::record(patient, version).get(&*shared.ledger).await?;
    let record = row
        .and_then(|row| row.stored)
        .ok_or_else(|| Refusal::absent("no such record"))?;
    let guard = Guard::Device(caller.clone());
    let of = (patient, version);
    let mut stream = LeafStream::new(shared, of, record.stream_len, (first, count), guard)?;
    stream.begin().await?;
    run::run(shared, &NoteOpened { patient, version }).await?;
    if let Some(acting) = caller.acting() {
        run::run(shared, &NoteRead { acting, version }).await?;
    }
    Ok(stream)
}

/// Records of a vault whose manifests are still to be read.
pub struct RecordList<'a> {
    shared: &'a Shared,
    patient: PatientId,
    /// Of a delegate: only what lies in these (DLG-6).
    scope: Option<Scope>,
    rows: Vec<RecordRow>,
    /// The last row of the list, if others follow.
    next: VersionRow,
    manifest_bytes: u64,
}

impl RecordList<'_> {
    /// The most bytes that the page will have.
    pub fn page_bytes(&self) -> u64 {
        sizes::placed_bytes(self.rows.len(), self.manifest_bytes)
    }

    /// Reads the manifests.
    pub async fn read(self) -> Result<pb::VaultPage, Refusal> {
        let mut records = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            let record = match complete_vault_record(self.shared, self.patient, row).await {
                // Moved or sealed anew meanwhile: it stands further behind.
                Err(refusal) if refusal.problem == Problem::RecordMismatch => continue,
                record => record?,
            };
            records.extend(delegated(record, self.scope.as_ref())?);
        }
        let VersionRow { version, number } = self.next;
        Ok(pb::VaultPage {
            records,
            next: version,
            next_number: number,
        })
    }

    /// Reads the manifest of a list of one.
    pub async fn read_one(self) -> Result<pb::VaultRecord, Refusal> {
        let page = self.read().await?;
        let record = page.records.into_iter().next();
        record.ok_or_else(replaced)
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

/// The records that the rows from `first` on name.
async fn record_list(
    shared: &Shared,
    patient: PatientId,
    first: RowKey<VersionRow>,
    limit: usize,
) -> Result<RecordList<'_>, Refusal> {
    shared.log.check_uncontradicted()?;
    let (named, mut more) = shared.page(first, limit).await?;
    let keys = named
        .iter()
        .map(|row| Ok(tables::record(patient, row.version()?)));
    let rows = tables::get_many(&keys.collect::<Result<Vec<_>, Refusal>>()?, &*shared.ledger).await?;
    let most = u64::try_from(shared.limits.page_bytes).unwrap_or(u64::MAX);
    let (mut kept, mut manifest_bytes) = (Vec::with_capacity(rows.len()), 0_u64);
    let mut next = VersionRow::default();
    for (row, named) in rows.into_iter().zip(named) {
        if manifest_bytes > most {
            more = true;
            break;
        }
        // As it stands in the list: the record may be moved, or sealed anew, before it is read.
        next = named;
        let Some(row) = row else { continue };
        manifest_bytes = manifest_bytes.saturating_add(row.manifest_length);
        kept.push(row);
    }
    Ok(RecordList {
        shared,
        patient,
        scope: None,
        rows: kept,
        next: if more { next } else { VersionRow::default() },
        manifest_bytes,
    })
}

/// A record as its patient's devices get it.
async fn complete_vault_record(
    shared: &Shared,
    patient: PatientId,
    row: RecordRow,
) -> Result<pb::VaultRecord, Refusal> {
    let (upload_key_wrap, upload_key_epoch) = (row.upload_key_wrap.clone(), row.upload_key_epoch);
    let record = complete_record(shared, patient, row).await?;
    let version = record.version_id.as_ref().try_into().map_err(Refusal::damaged)?;
    let placed = tables::placement(patient, version).get(&*shared.ledger).await?;
    let wrap = match &placed {
        Some(placed) => newest_wrap(shared, patient, placed).await?,
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
async fn newest_wrap(shared: &Shared, patient: PatientId, placed: &PlacementRow) -> Result<WrapRow, Refusal> {
    let ledger = &*shared.ledger;
    let id = placed.body()?.collection_id;
    let collection = tables::collection(patient, id).get(ledger).await?;
    for epoch in collection.unwrap_or_default().open() {
        let key = tables::wrap(patient, Collection { id, epoch }, placed.number);
        if let Some(wrap) = key.get(ledger).await? {
            return Ok(wrap);
        }
    }
    Err(replaced())
}

/// A committed record with its manifest and its receipt's place in the log.
pub(in crate::vault) async fn stored_record(
    shared: &Shared,
    patient: PatientId,
    version: VersionId,
) -> Result<pb::StoredRecord, Refusal> {
    let row = tables::record(patient, version).get(&*shared.ledger).await?;
    let row = row.ok_or_else(replaced)?;
    complete_record(shared, patient, row).await
}

pub(in crate::vault) async fn complete_record(
    shared: &Shared,
    patient: PatientId,
    row: RecordRow,
) -> Result<pb::StoredRecord, Refusal> {
    let mut record = row
        .stored
        .ok_or_else(|| Refusal::damaged("a record's row is empty"))?;
    let version = record.version_id.as_ref().try_into().map_err(Refusal::damaged)?;
    let manifest = tables::manifest(patient, version).get(&*shared.ledger).await?;
    let manifest = manifest.ok_or_else(replaced)?;
    record.sealed_manifest = manifest.sealed;
    if let Some(receipt) = &mut record.receipt {
        shared.complete(patient, receipt).await?;
    }
    Ok(record)
}

/// A version that was there before.
fn replaced() -> Refusal {
    Refusal::new(
        Problem::RecordMismatch,
        "the record was moved or sealed anew meanwhile",
    )
}

impl VersionRow {
    pub(in crate::vault) fn version(&self) -> Result<VersionId, Refusal> {
        self.version.as_ref().try_into().map_err(Refusal::damaged)
    }
}

impl From<VersionId> for VersionRow {
    fn from(version: VersionId) -> Self {
        Self {
            version: Bytes::copy_from_slice(version.as_bytes()),
            number: 0,
        }
    }
}
