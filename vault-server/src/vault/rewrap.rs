//! Re-wrapping: the device reads the data keys of a collection in an old epoch, page by page, and brings them
//! back under the current key; then it closes the old epoch. See `spec/revocation.md` §2.

use protocol_spec::{
    collection::Collection,
    ids::{CollectionId, PatientId},
    messages as pb,
    problem::Problem,
    vault_head::{Act, wraps_hash},
};

use super::{
    Caller, Intent, Refusal, Shared, Vault,
    refusal::ensure,
    requests::KEY_WRAP_LEN,
    tables::{self, Counted, WrapRow},
    tx::{Operation, Tx},
};
use crate::store::SCAN_LIMIT;

/// Most wraps of one message: they are about half a mebibyte.
pub const MAX_WRAPS: usize = 4000;

impl Vault {
    /// Data keys of the caller's collection as they are wrapped in one epoch, in the order of their placements.
    ///
    /// # Errors
    /// `not-permitted` unless a patient asks; those of the store.
    pub async fn wraps(
        &self,
        caller: &Caller,
        collection: Collection,
        after: u64,
        limit: usize,
    ) -> Result<pb::WrapPage, Refusal> {
        let limit = limit.clamp(1, MAX_WRAPS);
        let rows = self
            .shared
            .wrap_rows(caller.patient()?, collection, after, limit + 1)
            .await?;
        let more = rows.len() > limit;
        let wraps: Vec<_> = rows.into_iter().take(limit).map(wrap).collect();
        let last = wraps.last().filter(|_| more);
        let next = last.map_or(0, |wrap: &pb::Wrap| wrap.number);
        Ok(pb::WrapPage { wraps, next })
    }

    /// Takes data keys of a collection under its current key (REV-5).
    ///
    /// # Errors
    /// `malformed`, `epoch-mismatch`, `placement-conflict`.
    pub async fn put_wraps(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::PutWraps,
    ) -> Result<pb::Accepted, Refusal> {
        let patient = caller.patient()?;
        let id = CollectionId::try_from(message.collection_id.as_ref())?;
        let formed = message.wraps.len() <= MAX_WRAPS
            && message
                .wraps
                .iter()
                .all(|wrap| wrap.data_key_wrap.len() == KEY_WRAP_LEN && wrap.record_id.is_empty());
        ensure(
            formed,
            Problem::Malformed,
            "too many wraps, or one that is not 104 bytes",
        )?;
        self.shared
            .mutate(caller, intent, PutWraps { patient, id, message })
            .await
    }
}

fn wrap(row: WrapRow) -> pb::Wrap {
    pb::Wrap {
        number: row.number,
        version_id: row.version,
        data_key_wrap: row.wrap,
        record_id: row.record,
    }
}

impl Shared {
    /// At most `limit` wraps of one epoch, after this placement.
    pub(super) async fn wrap_rows(
        &self,
        patient: PatientId,
        collection: Collection,
        after: u64,
        limit: usize,
    ) -> Result<Vec<WrapRow>, Refusal> {
        let mut from = tables::wrap(patient, collection, after.saturating_add(1));
        let mut rows = Vec::new();
        while rows.len() < limit {
            let step = (limit - rows.len()).min(SCAN_LIMIT);
            let batch = from.scan(&*self.ledger, step).await?;
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
}

struct PutWraps {
    patient: PatientId,
    id: CollectionId,
    message: pb::PutWraps,
}

impl Operation for PutWraps {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self { patient, id, message } = self;
        tx.protects = true;
        let (from, to) = (
            Collection {
                id: *id,
                epoch: message.from_epoch,
            },
            Collection {
                id: *id,
                epoch: message.epoch,
            },
        );
        tx.check_current(*patient, to).await?;
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
            let row = row.filter(|row| row.version == new.version_id);
            let row = row.ok_or(Problem::PlacementConflict)?;
            let row = WrapRow {
                wrap: new.data_key_wrap.clone(),
                epoch: to.epoch,
                ..row
            };
            tx.put(&tables::wrap(*patient, to, new.number), &row);
        }
        let wraps = message
            .wraps
            .iter()
            .map(|wrap| (wrap.number, wrap.data_key_wrap.as_ref()));
        tx.act(*patient, Act::Wraps(*id, wraps_hash(to.epoch, wraps)))
            .await?;
        Ok(pb::Accepted {})
    }
}
