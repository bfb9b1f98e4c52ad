//! Re-wrapping: the device reads the data keys of a collection in an old epoch, page by page, and brings them
//! back under the current key; then it closes the old epoch. See `spec/revocation.md` §2.

use protocol_spec::{
    collection::Collection,
    ids::PatientId,
    messages as pb,
    problem::Problem,
    submitted::{self, MAX_WRAPS},
    vault_head::{Act, wraps_hash},
};

use crate::{
    store::SCAN_LIMIT,
    vault::{
        core::{
            proven::Proven,
            refusal::{Refusal, ensure},
            role::OwnDevice,
            shared::Shared,
            submission::Submission,
            tx::{Operation, Tx},
        },
        keep::collections,
        tables::{self, Counted, WrapRow},
        telling::tell::{self, Tells},
        who::caller::Caller,
    },
};

/// Data keys of the caller's collection as they are wrapped in one epoch, in the order of their placements.
pub(crate) async fn wraps(
    shared: &Shared,
    caller: &Caller,
    collection: Collection,
    after: u64,
    limit: usize,
) -> Result<pb::WrapPage, Refusal> {
    let limit = limit.clamp(1, MAX_WRAPS);
    let rows = wrap_rows(shared, caller.patient()?, collection, after, limit + 1).await?;
    let more = rows.len() > limit;
    let wraps: Vec<_> = rows.into_iter().take(limit).map(wrap).collect();
    let last = wraps.last().filter(|_| more);
    let next = last.map_or(0, |wrap: &pb::Wrap| wrap.number);
    Ok(pb::WrapPage { wraps, next })
}

fn wrap(row: WrapRow) -> pb::Wrap {
    pb::Wrap {
        number: row.number,
        version_id: row.version,
        data_key_wrap: row.wrap,
        record_id: row.record,
    }
}

/// At most `limit` wraps of one epoch, after this placement.
pub(in crate::vault) async fn wrap_rows(
    shared: &Shared,
    patient: PatientId,
    collection: Collection,
    after: u64,
    limit: usize,
) -> Result<Vec<WrapRow>, Refusal> {
    let mut from = tables::wrap(patient, collection, after.saturating_add(1));
    let mut rows = Vec::new();
    while rows.len() < limit {
        let step = (limit - rows.len()).min(SCAN_LIMIT);
        let batch = from.scan(&*shared.ledger, step).await?;
        let full = batch.len() == step;
        if let Some((last, _)) = batch.last() {
            from = from.after(last);
        }
        let mut of_epoch = batch
            .into_iter()
            .take_while(|(suffix, _)| tables::is_wrap_of(suffix, collection))
            .peekable();
        let before = rows.len();
        rows.extend(of_epoch.by_ref().map(|(_, row)| row));
        if !full || rows.len() - before < step {
            break;
        }
    }
    Ok(rows)
}

/// Takes data keys of a collection under its current key (REV-5).
pub(crate) struct PutWraps {
    patient: PatientId,
    message: submitted::PutWraps,
}

impl Submission for PutWraps {
    type Message = submitted::PutWraps;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            patient: who.principal(),
            message,
        })
    }
}

impl Operation for PutWraps {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { patient, message } = self;
        tx.protects = true;
        let id = message.collection_id;
        let from = Collection {
            id,
            epoch: message.from_epoch,
        };
        let to = Collection {
            epoch: message.epoch,
            ..from
        };
        collections::check_current_epoch(tx, *patient, to).await?;
        ensure(
            from.epoch < to.epoch,
            Problem::EpochMismatch,
            "not an older epoch",
        )?;
        // Whoever moves a record counts on; so what lies where cannot change before this commit.
        tx.read(&tables::count(*patient.as_bytes(), Counted::Placements))
            .await?;
        let keys: Vec<_> = message
            .wraps
            .iter()
            .map(|wrap| tables::wrap(*patient, from, wrap.number))
            .collect();
        let rows = tx.peek(&keys).await?;
        for (new, row) in message.wraps.iter().zip(rows) {
            let row = row.filter(|row| row.version == new.version_id.as_bytes()[..]);
            let row = row.ok_or(Problem::PlacementConflict)?;
            let row = WrapRow {
                wrap: new.data_key_wrap.bytes().clone(),
                epoch: to.epoch,
                ..row
            };
            tx.put(&tables::wrap(*patient, to, new.number), &row);
        }
        let wraps = message
            .wraps
            .iter()
            .map(|wrap| (wrap.number, wrap.data_key_wrap.bytes().as_ref()));
        let act = Act::Wraps(id, wraps_hash(to.epoch, wraps));
        tell::tell(tx, Tells::of(*patient).act(act)).await?;
        Ok(())
    }
}
