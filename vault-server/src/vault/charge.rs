//! What a range of leaves has cost, given back as far as it did not leave (FLW-20).

use protocol_spec::{
    ids::{PatientId, PermissionId, RecordId, ReleaseId, VersionId},
    released::LeafRanges,
};

use super::{
    Refusal, Shared, tables,
    tx::{Operation, Tx},
};

/// What was taken for a range of leaves that are about to be handed out.
pub(super) struct Charge {
    pub(super) patient: PatientId,
    pub(super) permission: PermissionId,
    pub(super) release: ReleaseId,
    pub(super) record: RecordId,
    pub(super) version: VersionId,
    pub(super) stream_len: u64,
    pub(super) first: u32,
    /// The number of this request among those of the release.
    pub(super) asked: u64,
    /// What had been noted before it.
    pub(super) before: LeafRanges,
}

impl Charge {
    /// Gives back what was taken for leaves from this one on, which did not leave (FLW-20).
    pub(super) async fn give_back(self, shared: &Shared, first: u32) -> Result<(), Refusal> {
        let unsent = Unsent { charge: self, first };
        shared.run(&unsent).await
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
        let noted = tx.noted(of.patient, of.release, of.version).await?;
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
            tx.has_not_used(*institution.as_bytes()).await?;
        }
        tx.note((of.patient, of.release), (of.record, of.version), &sent);
        tx.put(&meter_key, &meter);
        tx.put(&key, &row);
        Ok(())
    }
}
