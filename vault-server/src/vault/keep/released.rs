//! What a permission over a collection is for, now: the records that lie in it, with their placements and their
//! data keys under the permission's epoch. See `spec/collections.md` §3.

use protocol_spec::{
    collection::CollectionSelector,
    ids::{PatientId, ReleaseId, VersionId},
    messages as pb,
    problem::Problem,
    tags::SealedConditions,
};

use crate::vault::{
    core::{
        refusal::Refusal,
        run,
        shared::Shared,
        sizes::placed_bytes,
        tx::{Operation, Tx},
    },
    keep::{collections, placed, records},
    tables::{self, RecordRow, WrapRow},
    transfer::release,
    who::{caller::Caller, principal::Holder, standing},
};

/// The records of an open release of a permission over a collection, in the order of their placements, after
/// this number. Their manifests are not read yet, but measured (COL-7).
pub(crate) async fn released_records<'a>(
    shared: &'a Shared,
    caller: &Caller,
    release: ReleaseId,
    after: u64,
    limit: usize,
) -> Result<ReleasedList<'a>, Refusal> {
    let holder = caller.holder()?;
    let patient = release::release_vault(shared, release).await?;
    let inspect = InspectRelease {
        patient,
        release,
        holder,
    };
    let (selector, conditions) = run::run(shared, &inspect).await?;
    let first = tables::wrap(patient, selector.collection, after.saturating_add(1));
    let (placed, mut more) = shared.page(first, limit).await?;
    let mut list = ReleasedList {
        shared,
        patient,
        selector,
        conditions,
        records: Vec::new(),
        manifest_bytes: 0,
        next: 0,
    };
    let most = u64::try_from(shared.limits.page_bytes).unwrap_or(u64::MAX);
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

/// Records under a release whose manifests are still to be read.
pub(crate) struct ReleasedList<'a> {
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
    pub(crate) fn page_bytes(&self) -> u64 {
        placed_bytes(self.records.len(), self.manifest_bytes)
    }

    /// Reads the manifests.
    pub(crate) async fn read(self) -> Result<pb::ReleasedPage, Refusal> {
        let mut records = Vec::with_capacity(self.records.len());
        for (row, mut record) in self.records {
            record.record = match records::complete_record(self.shared, self.patient, row).await {
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
        if moved || !placed::admitted(self.conditions.as_ref(), &placement) {
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
        let ticket = release::open_release(tx, self.patient, self.release, self.holder)
            .await?
            .1;
        let permission = tables::permission(self.patient, ticket.permission_id);
        let body = tx.read_existing(&permission).await?.body()?;
        standing::check_key(tx, body.recipient_key_hash).await?;
        let selector = body.collection;
        let selector = selector.ok_or_else(|| Refusal::absent("the permission names its records"))?;
        collections::check_open(tx, self.patient, selector.collection).await?;
        Ok((selector, body.conditions))
    }
}
