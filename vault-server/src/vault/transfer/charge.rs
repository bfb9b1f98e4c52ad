//! What a range of leaves has cost, given back as far as it did not leave (FLW-20).

use bytes::Bytes;
use protocol_spec::{
    ids::{PatientId, PermissionId, RecordId, ReleaseId, VersionId},
    released::LeafRanges,
};

use crate::vault::{
    core::{
        account,
        refusal::Refusal,
        run,
        shared::Shared,
        tx::{Operation, Tx},
    },
    tables::{self, ReleasedRow},
};

/// What was taken for a range of leaves that are about to be handed out.
pub(in crate::vault) struct Charge {
    pub(in crate::vault) patient: PatientId,
    pub(in crate::vault) permission: PermissionId,
    pub(in crate::vault) release: ReleaseId,
    pub(in crate::vault) record: RecordId,
    pub(in crate::vault) version: VersionId,
    pub(in crate::vault) stream_len: u64,
    pub(in crate::vault) first: u32,
    /// The number of this request among those of the release.
    pub(in crate::vault) asked: u64,
    /// What had been noted before it.
    pub(in crate::vault) before: LeafRanges,
}

impl Charge {
    /// Gives back what was taken for leaves from this one on, which did not leave (FLW-20).
    pub(in crate::vault) async fn give_back(self, shared: &Shared, first: u32) -> Result<(), Refusal> {
        let unsent = Unsent { charge: self, first };
        run::run(shared, &unsent).await
    }
}

/// FLW-20. Leaves that were asked for meanwhile, at no cost since they were noted, stay paid.
struct Unsent {
    charge: Charge,
    first: u32,
}

impl Operation for Unsent {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let of = &self.charge;
        let key = tables::release(of.patient, of.release);
        let mut row = tx.read_existing(&key).await?;
        if row.asked != of.asked || row.receipt.is_some() {
            return Ok(());
        }
        let noted = noted(tx, of.patient, of.release, of.version).await?;
        let mut sent = of.before.clone();
        sent.add(of.first, self.first.saturating_sub(of.first));
        let bytes = noted
            .bytes(of.stream_len)
            .saturating_sub(sent.bytes(of.stream_len));
        let meter_key = tables::meter(of.patient, of.permission);
        let mut meter = tx.read_existing(&meter_key).await?;
        meter.unspend(bytes);
        row.bytes = row.bytes.saturating_sub(bytes);
        if row.bytes == 0 {
            // It has brought nothing yet after all (FLW-16).
            meter.hold_again();
            let institution = row.ticket()?.institution_id;
            account::has_not_used(tx, *institution.as_bytes()).await?;
        }
        note(tx, (of.patient, of.release), (of.record, of.version), &sent);
        tx.put(&meter_key, &meter);
        tx.put(&key, &row);
        Ok(())
    }
}

/// What a release has handed out of a version so far, or is about to; the release's row guards it.
pub(in crate::vault) async fn noted(
    tx: &mut Tx<'_>,
    patient: PatientId,
    release: ReleaseId,
    version: VersionId,
) -> Result<LeafRanges, Refusal> {
    let key = tables::released(patient, release, version);
    let row = tx.read(&key).await?.unwrap_or_default();
    LeafRanges::try_from(row.leaves).map_err(Refusal::damaged)
}

/// Notes what a release has handed out of a version, or is about to (REV-3).
pub(in crate::vault) fn note(
    tx: &mut Tx<'_>,
    (patient, release): (PatientId, ReleaseId),
    (record, version): (RecordId, VersionId),
    leaves: &LeafRanges,
) {
    let row = ReleasedRow {
        record: Bytes::copy_from_slice(record.as_bytes()),
        leaves: leaves.into(),
    };
    tx.put(&tables::released(patient, release, version), &row);
}
