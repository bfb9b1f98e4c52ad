//! The vault as its patient sees it: records, their leaves, their keys once adopted.

use bytes::Bytes;
use protocol_spec::{
    collection::Collection,
    defence::Defence,
    delegation::{Power, Scope},
    ids::{PatientId, VersionId},
    messages as pb,
    problem::Problem,
};

use super::{
    Caller, LeafStream, Refusal, Shared, Vault,
    acting::NoteRead,
    outflow::Guard,
    tables::{self, PlacementRow, RecordRow, RowKey, VersionRow, WrapRow},
    take_back::NoteOpened,
};

impl Vault {
    /// The caller's placed records, or a delegate's of those that she acts for, in the order of their placements, after
    /// this one. Their manifests are not read
    /// yet, but measured.
    ///
    /// # Errors
    /// `not-permitted` unless a patient asks; those of the store.
    pub async fn vault_records(
        &self,
        caller: &Caller,
        after: u64,
        limit: usize,
    ) -> Result<RecordList<'_>, Refusal> {
        let patient = caller.acts_for(Power::Read)?;
        let first = tables::placed(patient, after.saturating_add(1));
        let scope = caller
            .acting()
            .map(|acting| acting.delegation.collections.clone());
        let list = self.shared.record_list(patient, first, limit).await?;
        Ok(RecordList { scope, ..list })
    }

    /// The caller's records that are not placed yet, in the order of their versions, after this one.
    ///
    /// # Errors
    /// As [`Self::vault_records`].
    pub async fn arrivals(
        &self,
        caller: &Caller,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<RecordList<'_>, Refusal> {
        let patient = caller.patient()?;
        let first = tables::arrivals(patient).behind(after);
        self.shared.record_list(patient, first, limit).await
    }

    /// One of the caller's records, its manifest not read yet.
    ///
    /// # Errors
    /// `not-permitted`; those of the store.
    pub async fn vault_record(&self, caller: &Caller, version: VersionId) -> Result<RecordList<'_>, Refusal> {
        self.shared.log.check_uncontradicted()?;
        let patient = caller.patient()?;
        let row = tables::record(patient, version).get(&*self.shared.ledger).await?;
        self.shared.check_not_gone(patient, version).await?;
        let row = row.ok_or_else(|| Refusal::absent("no such record"))?;
        Ok(RecordList {
            shared: &self.shared,
            patient,
            scope: None,
            manifest_bytes: row.manifest_length,
            rows: vec![row],
            next: VersionRow::default(),
        })
    }

    /// Leaves of one of the caller's own records.
    ///
    /// # Errors
    /// `not-permitted`, `range-not-satisfiable`, `log-contradicted`.
    pub async fn own_leaves(
        &self,
        caller: &Caller,
        version: VersionId,
        first: u32,
        count: u32,
    ) -> Result<LeafStream, Refusal> {
        self.shared.log.check_uncontradicted()?;
        let patient = caller.acts_for(Power::Read)?;
        if let Some(acting) = caller.acting() {
            self.shared.check_in_scope(acting, version).await?;
        }
        self.shared.check_not_gone(patient, version).await?;
        let row = tables::record(patient, version).get(&*self.shared.ledger).await?;
        let record = row
            .and_then(|row| row.stored)
            .ok_or_else(|| Refusal::absent("no such record"))?;
        let guard = Guard::Device(caller.clone());
        let of = (patient, version);
        let mut stream = LeafStream::new(&self.shared, of, record.stream_len, (first, count), guard)?;
        stream.begin().await?;
        self.shared.run(&NoteOpened { patient, version }).await?;
        if let Some(acting) = caller.acting() {
            self.shared.run(&NoteRead { acting, version }).await?;
        }
        Ok(stream)
    }
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
        placed_bytes(self.rows.len(), self.manifest_bytes)
    }

    /// Reads the manifests.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(self) -> Result<pb::VaultPage, Refusal> {
        let mut records = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            let record = match self.shared.vault_record(self.patient, row).await {
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
    ///
    /// # Errors
    /// Those of the store.
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

/// A record's ids, root, key wraps and receipt: 1 KiB and its proof, which has 45 bytes for each doubling of the log and some 130
/// for each witness: up to 2^26 leaves with three.
const BESIDE_MANIFEST: u64 = 3 << 10;

/// A device's statement with the longest chain: 32 certificates of less than 200 bytes.
const PLACEMENT: u64 = 7 << 10;

impl Shared {
    /// The records that the rows from `first` on name.
    async fn record_list(
        &self,
        patient: PatientId,
        first: RowKey<VersionRow>,
        limit: usize,
    ) -> Result<RecordList<'_>, Refusal> {
        self.log.check_uncontradicted()?;
        let (named, mut more) = self.page(first, limit).await?;
        let keys = named
            .iter()
            .map(|row| Ok(tables::record(patient, row.version()?)));
        let rows = tables::get_many(&keys.collect::<Result<Vec<_>, Refusal>>()?, &*self.ledger).await?;
        let most = u64::try_from(self.limits.page_bytes).unwrap_or(u64::MAX);
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
            shared: self,
            patient,
            scope: None,
            rows: kept,
            next: if more { next } else { VersionRow::default() },
            manifest_bytes,
        })
    }

    /// A record as its patient's devices get it.
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
        Err(replaced())
    }

    /// A committed record with its manifest and its receipt's place in the log.
    pub(super) async fn stored_record(
        &self,
        patient: PatientId,
        version: VersionId,
    ) -> Result<pb::StoredRecord, Refusal> {
        let row = tables::record(patient, version).get(&*self.ledger).await?;
        let row = row.ok_or_else(replaced)?;
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
        let manifest = manifest.ok_or_else(replaced)?;
        record.sealed_manifest = manifest.sealed;
        if let Some(receipt) = &mut record.receipt {
            self.complete(patient, receipt).await?;
        }
        Ok(record)
    }
}

/// A version that was there before.
fn replaced() -> Refusal {
    Refusal::new(
        Problem::RecordMismatch,
        "the record was moved or sealed anew meanwhile",
    )
}

impl VersionRow {
    pub(super) fn version(&self) -> Result<VersionId, Refusal> {
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
