//! What a permission over a collection is for, now: the records that lie in it, with their placements and their
//! data keys under the permission's epoch. See `spec/collections.md` §3.

use protocol_spec::{
    bodies::Placement,
    collection::CollectionSelector,
    defence::Defence,
    ids::{PatientId, RecordId, ReleaseId, VersionId},
    messages as pb,
    permission::PermissionBody,
    problem::Problem,
    tags::SealedConditions,
};

use super::{
    Caller, Refusal, Shared, Vault,
    records::placed_bytes,
    refusal::ensure,
    tables::{self, RecordRow, WrapRow},
    tx::{Operation, Tx},
    who::Holder,
};

impl Vault {
    /// The records of an open release of a permission over a collection, in the order of their placements, after
    /// this number. Their manifests are not read yet, but measured (COL-7).
    ///
    /// # Errors
    /// `not-permitted`, also where the permission names its records; `release-closed`, `permission-revoked`.
    pub async fn released_records(
        &self,
        caller: &Caller,
        release: ReleaseId,
        after: u64,
        limit: usize,
    ) -> Result<ReleasedList<'_>, Refusal> {
        let holder = caller.holder()?;
        let patient = self.shared.release_vault(release).await?;
        let inspect = InspectRelease {
            patient,
            release,
            holder,
        };
        let (selector, conditions) = self.shared.run(&inspect).await?;
        let first = tables::wrap(patient, selector.collection, after.saturating_add(1));
        let (placed, mut more) = self.shared.page(first, limit).await?;
        let mut list = ReleasedList {
            shared: &self.shared,
            patient,
            selector,
            conditions,
            records: Vec::new(),
            manifest_bytes: 0,
            next: 0,
        };
        let most = u64::try_from(self.shared.limits.page_bytes).unwrap_or(u64::MAX);
        for wrap in placed {
            if list.manifest_bytes > most {
                more = true;
                break;
            }
            // The scan leads on into what lies behind, and that is not covered.
            if !list.add(wrap).await? {
                more = false;
                break;
            }
        }
        if !more {
            list.next = 0;
        }
        Ok(list)
    }
}

/// Records under a release whose manifests are still to be read.
pub struct ReleasedList<'a> {
    shared: &'a Shared,
    patient: PatientId,
    selector: CollectionSelector,
    conditions: Option<SealedConditions>,
    records: Vec<(RecordRow, pb::ReleasedRecord)>,
    manifest_bytes: u64,
    next: u64,
}

impl ReleasedList<'_> {
    /// The most bytes that the page will have.
    pub fn page_bytes(&self) -> u64 {
        placed_bytes(self.records.len(), self.manifest_bytes)
    }

    /// Reads the manifests.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(self) -> Result<pb::ReleasedPage, Refusal> {
        let mut records = Vec::with_capacity(self.records.len());
        for (row, mut record) in self.records {
            record.record = match self.shared.complete_record(self.patient, row).await {
                // Sealed anew meanwhile: it stands further behind.
                Err(refusal) if refusal.problem == Problem::RecordMismatch => continue,
                stored => Some(stored?),
            };
            records.push(record);
        }
        Ok(pb::ReleasedPage {
            records,
            next: self.next,
        })
    }

    /// Adds a version if it is covered; behind one that is not, none is. One that was moved away meanwhile, and one that
    /// does not fit the conditions, is passed over.
    async fn add(&mut self, wrap: WrapRow) -> Result<bool, Refusal> {
        let ledger = &*self.shared.ledger;
        let version: VersionId = wrap.version.as_ref().try_into().map_err(Refusal::damaged)?;
        let row = tables::placement(self.patient, version).get(ledger).await?;
        let Some(row) = row else {
            // Sealed anew meanwhile.
            self.next = wrap.number;
            return Ok(true);
        };
        let placement = row.body()?;
        let moved = placement.number != wrap.number;
        let covers = self.selector.covers(placement.collection_id, wrap.number);
        if wrap.epoch != self.selector.collection.epoch || !(covers || moved) {
            return Ok(false);
        }
        self.next = wrap.number;
        if moved || !admitted(self.conditions.as_ref(), &placement) {
            return Ok(true);
        }
        let record = tables::record(self.patient, version).get(ledger).await?;
        let Some(record) = record else {
            return Ok(true);
        };
        self.manifest_bytes = self.manifest_bytes.saturating_add(record.manifest_length);
        let released = pb::ReleasedRecord {
            record: None,
            placement: row.placement,
            data_key_wrap: wrap.wrap,
        };
        self.records.push((record, released));
        Ok(true)
    }
}

/// Looks at a release without changing it.
struct InspectRelease {
    patient: PatientId,
    release: ReleaseId,
    holder: Holder,
}

impl Operation for InspectRelease {
    type Answer = (CollectionSelector, Option<SealedConditions>);

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let ticket = tx.open_release(self.patient, self.release, self.holder).await?.1;
        let permission = tables::permission(self.patient, ticket.permission_id);
        let body = tx.read_existing(&permission).await?.body()?;
        tx.check_key(body.recipient_key_hash).await?;
        let selector = body.collection;
        let selector = selector.ok_or_else(|| Refusal::absent("the permission names its records"))?;
        tx.check_open(self.patient, selector.collection).await?;
        Ok((selector, body.conditions))
    }
}

/// Whether a record so placed has the tags that the conditions ask for (CND-9).
fn admitted(conditions: Option<&SealedConditions>, placement: &Placement) -> bool {
    let fits = conditions.is_none_or(|conditions| conditions.admit(&placement.version_id, &placement.tags));
    Defence::Conditions.holds(fits)
}

impl Tx<'_> {
    /// The record of a version that a permission over a collection is for, now (COL-6, COL-7, CND-9), and its length.
    pub(super) async fn placed_record(
        &mut self,
        permission: &PermissionBody,
        selector: &CollectionSelector,
        version: VersionId,
    ) -> Result<(RecordId, u64), Refusal> {
        let patient = permission.patient_id;
        self.check_open(patient, selector.collection).await?;
        self.check_not_gone_from(permission, version).await?;
        let placement = self.read_existing(&tables::placement(patient, version)).await?;
        let body = placement.body()?;
        if !Defence::ReleasedRecords.is_off() {
            ensure(
                selector.covers(body.collection_id, body.number),
                Problem::NotPermitted,
                "the permission does not cover the record",
            )?;
            self.read_existing(&tables::wrap(patient, selector.collection, body.number))
                .await?;
        }
        ensure(
            admitted(permission.conditions.as_ref(), &body),
            Problem::NotPermitted,
            "the record does not fit the permission's conditions",
        )?;
        Ok((body.record_id, body.stream_len))
    }
}
