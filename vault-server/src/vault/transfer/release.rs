//! Release sessions: bytes are spent durably before the first of them leaves.

use std::sync::{Arc, Mutex, PoisonError};

use protocol_spec::{
    bodies::ReleaseTicket,
    defence::Defence,
    ids::{PatientId, RecordId, ReleaseId, VersionId},
    permission::PermissionBody,
    problem::Problem,
    released::LeafRanges,
    statement::Signed,
};

use crate::vault::{
    ask::challenge,
    core::{
        account, back,
        refusal::{Refusal, ensure},
        run,
        shared::Shared,
        tx::{Operation, Tx},
    },
    keep::{gone, placed},
    tables::{self, MeterRow, ReleaseRow},
    transfer::{
        charge::{self, Charge},
        opened,
        outflow::{Guard, LeafStream, leaf_range},
    },
    who::{
        caller::Caller,
        principal::Holder,
        standing::{self, Use},
    },
};

/// Releases leaves of a record under an open session: reads the first of them, spends their bytes, then streams.
pub(crate) async fn release_leaves(
    shared: &Arc<Shared>,
    caller: &Caller,
    release: ReleaseId,
    version: VersionId,
    first: u32,
    count: u32,
) -> Result<LeafStream, Refusal> {
    let holder = caller.holder()?;
    let patient = release_vault(shared, release).await?;
    let spend = SpendRelease {
        shared: shared.clone(),
        patient,
        release,
        holder,
        version,
        first,
        count,
        leaves: Mutex::default(),
    };
    let charge = run::run(shared, &spend).await?;
    let leaves = spend.leaves.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut leaves = leaves.ok_or_else(|| Refusal::damaged("leaves were paid and not read"))?;
    leaves.charged(charge);
    Ok(leaves)
}

pub(in crate::vault) async fn release_vault(
    shared: &Shared,
    release: ReleaseId,
) -> Result<PatientId, Refusal> {
    challenge::vault_of(shared, &release)
        .await?
        .ok_or_else(|| Refusal::absent("no such release"))
}

impl ReleaseRow {
    /// The session's ticket, as this server has signed it.
    pub(in crate::vault) fn ticket(&self) -> Result<ReleaseTicket, Refusal> {
        let ticket = Signed::<ReleaseTicket>::try_from(self.ticket.clone()).map_err(Refusal::damaged)?;
        Ok(ticket.claimed().clone())
    }
}

/// A session, if it is this institution's, open, in its time and not revoked, and what is left of its permission.
pub(in crate::vault) async fn open_release(
    tx: &mut Tx<'_>,
    patient: PatientId,
    release: ReleaseId,
    holder: Holder,
) -> Result<(ReleaseRow, ReleaseTicket, MeterRow), Refusal> {
    standing::check_holder(tx, &holder).await?;
    let row = tx.read_existing(&tables::release(patient, release)).await?;
    let ticket = row.ticket()?;
    let own = Defence::SessionOwner.holds(ticket.institution_id == holder.institution);
    ensure(own, Problem::NotPermitted, "another institution's release")?;
    let meter = tables::meter(patient, ticket.permission_id);
    let meter = tx.read_existing(&meter).await?;
    meter.check_not_ended()?;
    back::check_back(tx.shared, patient).await?;
    let open = row.receipt.is_none();
    ensure(open, Problem::ReleaseClosed, "the release is closed")?;
    let over = tx.has_passed(ticket.expires).await;
    ensure(!over, Problem::ReleaseClosed, "the release has expired")?;
    Ok((row, ticket, meter))
}

/// FLW-9.
struct SpendRelease {
    shared: Arc<Shared>,
    patient: PatientId,
    release: ReleaseId,
    holder: Holder,
    version: VersionId,
    first: u32,
    count: u32,
    /// On their way, the first of them read: once, however often the transaction is tried.
    leaves: Mutex<Option<LeafStream>>,
}

impl SpendRelease {
    /// The record and its length, if the permission is for it (PRM-3, PRM-4).
    async fn record(&self, tx: &mut Tx<'_>, body: &PermissionBody) -> Result<(RecordId, u64), Refusal> {
        if let Some(selector) = &body.collection {
            return placed::placed_record(tx, body, selector, self.version).await;
        }
        let selected = body
            .records
            .iter()
            .find(|record| record.version_id == self.version);
        match selected {
            Some(record) => {
                gone::check_stored(tx, self.patient, self.version).await?;
                Ok((record.record_id, record.stream_len))
            }
            None => {
                let given = any_record(tx, self.patient, self.version).await?;
                given.ok_or_else(|| Refusal::absent("the permission does not name the record"))
            }
        }
    }
}

/// What is given of records that no permission names: nothing.
#[cfg(not(feature = "weakened"))]
async fn any_record(_: &mut Tx<'_>, _: PatientId, _: VersionId) -> Result<Option<(RecordId, u64)>, Refusal> {
    Ok(None)
}

/// In a build for negative controls any record of the vault is, where the defence is off.
#[cfg(feature = "weakened")]
async fn any_record(
    tx: &mut Tx<'_>,
    patient: PatientId,
    version: VersionId,
) -> Result<Option<(RecordId, u64)>, Refusal> {
    if !Defence::ReleasedRecords.is_off() {
        return Ok(None);
    }
    let row = tx.read_existing(&tables::record(patient, version)).await?;
    let stored = row.stored.unwrap_or_default();
    Ok(Some((stored.record_id.as_ref().try_into()?, stored.stream_len)))
}

/// What leaves are asked of.
struct AskedLeaves {
    permission: PermissionBody,
    record: RecordId,
    stream_len: u64,
}

impl SpendRelease {
    /// With these leaves what has been handed out, and the bytes of those that have not been before (FLW-9).
    fn new_bytes(&self, before: &LeafRanges, stream_len: u64) -> (LeafRanges, u64) {
        let mut leaves = before.clone();
        leaves.add(self.first, self.count);
        let bytes = leaves.bytes(stream_len).saturating_sub(before.bytes(stream_len));
        (leaves, bytes)
    }

    /// What is asked for, if it may be handed out.
    async fn look(&self, tx: &mut Tx<'_>) -> Result<(AskedLeaves, (ReleaseRow, MeterRow)), Refusal> {
        let (row, ticket, meter) = open_release(tx, self.patient, self.release, self.holder).await?;
        let permission = tables::permission(self.patient, ticket.permission_id);
        let permission = tx.read_existing(&permission).await?.body()?;
        standing::check_key(tx, permission.recipient_key_hash).await?;
        let (record, stream_len) = self.record(tx, &permission).await?;
        leaf_range(stream_len, self.first, self.count)?;
        let asked = AskedLeaves {
            permission,
            record,
            stream_len,
        };
        Ok((asked, (row, meter)))
    }

    /// Begins to read the leaves, if an earlier try has not. A version's leaves never change.
    async fn read(&self, asked: &AskedLeaves) -> Result<(), Refusal> {
        if self
            .leaves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
        {
            return Ok(());
        }
        let guard = Guard::Permission(Use::new(self.holder, &asked.permission));
        let of = (self.patient, self.version);
        let range = (self.first, self.count);
        let mut leaves = LeafStream::new(&self.shared, of, asked.stream_len, range, guard)?;
        leaves.begin().await?;
        *self.leaves.lock().unwrap_or_else(PoisonError::into_inner) = Some(leaves);
        Ok(())
    }
}

impl Operation for SpendRelease {
    type Answer = Charge;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Charge, Refusal> {
        let (asked, (mut row, mut meter)) = self.look(tx).await?;
        let before = charge::noted(tx, self.patient, self.release, self.version).await?;
        let (noted, bytes) = self.new_bytes(&before, asked.stream_len);
        meter.spend(bytes)?;
        // What cannot be paid is not read, and what cannot be read is not paid (FLW-20): this commits behind the first leaf.
        self.read(&asked).await?;
        opened::note_opened(tx, self.patient, self.version).await?;
        if row.bytes == 0 {
            // The first that it hands out (FLW-16).
            meter.bring(0);
            account::has_used(tx, *self.holder.institution.as_bytes()).await?;
        }
        row.bytes = row.bytes.saturating_add(bytes);
        row.asked = row.asked.saturating_add(1);
        charge::note(
            tx,
            (self.patient, self.release),
            (asked.record, self.version),
            &noted,
        );
        let meter_key = tables::meter(self.patient, asked.permission.permission_id);
        tx.put(&meter_key, &meter);
        tx.put(&tables::release(self.patient, self.release), &row);
        Ok(Charge {
            patient: self.patient,
            permission: asked.permission.permission_id,
            release: self.release,
            record: asked.record,
            version: self.version,
            stream_len: asked.stream_len,
            first: self.first,
            asked: row.asked,
            before,
        })
    }
}
