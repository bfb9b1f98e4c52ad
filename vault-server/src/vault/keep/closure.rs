//! The end of an epoch: from the acknowledgement on nothing is released by it, and the data keys that lie under
//! its key are destroyed, also in the store's files. See `spec/revocation.md` §2.

use bytes::Bytes;
use protocol_spec::{
    bodies::EpochClosure, collection::Collection, defence::Defence, ids::PatientId, messages as pb,
    patient::PatientVerified, problem::Problem, submitted, vault_head::Act,
};

use crate::{
    store::SCAN_LIMIT,
    vault::{
        core::{
            proven::{Admitted, Proven},
            refusal::{Refusal, ensure},
            role::OwnDevice,
            run,
            shared::Shared,
            submission::{Submission, Turn},
            tx::{Operation, Tx},
        },
        keep::rewrap,
        tables::{self, Expiring},
        telling::tell::{self, Tells},
    },
};

use pb::history_entry::What;

fn collection(closure: &EpochClosure) -> Collection {
    Collection {
        id: closure.collection_id,
        epoch: closure.epoch,
    }
}

/// Refuses unless whatever is wrapped in this epoch is wrapped in a later one too. It need not be one moment: an
/// old epoch gets no wraps, and the newer ones lose only what the old ones lose (COL-4).
async fn check_rewrapped(shared: &Shared, patient: PatientId, old: Collection) -> Result<(), Refusal> {
    let row = tables::collection(patient, old.id).get(&*shared.ledger).await?;
    let row = row.ok_or_else(|| Refusal::absent("no such collection"))?;
    ensure(
        row.current().is_some_and(|current| current > old.epoch),
        Problem::EpochMismatch,
        "the current epoch is not closed",
    )?;
    let newer: Vec<u64> = row.open().take_while(|epoch| *epoch > old.epoch).collect();
    let mut after = 0;
    loop {
        let rows = rewrap::wrap_rows(shared, patient, old, after, SCAN_LIMIT).await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = last.number;
        let mut missing: Vec<u64> = rows.iter().map(|row| row.number).collect();
        for epoch in &newer {
            if missing.is_empty() {
                break;
            }
            let keys: Vec<_> = missing
                .iter()
                .map(|number| tables::wrap(patient, Collection { epoch: *epoch, ..old }, *number))
                .collect();
            let found = tables::get_many(&keys, &*shared.ledger).await?;
            let mut found = found.into_iter();
            missing.retain(|_| found.next().flatten().is_none());
        }
        ensure(
            missing.is_empty(),
            Problem::WrapsMissing,
            "records would be lost with this epoch",
        )?;
    }
}

/// Shreds a closed epoch unless that is done: whoever closes it again costs nothing.
async fn shred_if_due(shared: &Shared, patient: PatientId, closed: Collection) -> Result<(), Refusal> {
    let due = tables::expiry(AT_ONCE, Expiring::Epoch(patient, closed));
    if due.get(&*shared.ledger).await?.is_some() && !Defence::ClosedEpochs.is_off() {
        shred_epoch(shared, patient, closed).await?;
        run::forget(shared, vec![due.key().clone()]).await?;
    }
    Ok(())
}

/// Destroys the wraps of a closed epoch: deletes them, and has the store forget what was deleted.
pub(in crate::vault) async fn shred_epoch(
    shared: &Shared,
    patient: PatientId,
    closed: Collection,
) -> Result<(), Refusal> {
    loop {
        let rows = rewrap::wrap_rows(shared, patient, closed, 0, SCAN_LIMIT).await?;
        if rows.is_empty() {
            return Ok(shared.ledger.purge(patient.as_bytes()).await?);
        }
        let key = |row: tables::WrapRow| tables::wrap(patient, closed, row.number).key().clone();
        run::forget(shared, rows.into_iter().map(key).collect()).await?;
    }
}

/// When a closed epoch is due.
pub(in crate::vault) const AT_ONCE: u64 = 0;

/// Closes an epoch of the caller's collection (REV-6). Repeating it gives the first closure.
pub(crate) struct CloseEpoch {
    closure: Admitted<PatientVerified<EpochClosure>>,
}

impl Submission for CloseEpoch {
    type Message = submitted::CloseEpoch;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            closure: who.statement(message.closure)?,
        })
    }

    async fn carry_out(&self, turn: Turn<'_>) -> Result<Self::Answer, Refusal> {
        let shared = turn.shared;
        let (patient, collection) = (self.closure.patient_id, collection(&self.closure));
        check_rewrapped(shared, patient, collection).await?;
        let mut logged = turn.commit(self).await?;
        shred_if_due(shared, patient, collection).await?;
        shared.complete_logged(patient, &mut logged).await?;
        Ok(logged)
    }
}

impl Operation for CloseEpoch {
    type Answer = pb::LoggedStatement;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self { closure } = self;
        tx.protects = true;
        let (patient, closed) = (closure.patient_id, collection(closure));
        let stored = tables::closure(patient, closed);
        if let Some(logged) = tx.read(&stored).await? {
            return Ok(logged);
        }
        let key = tables::collection(patient, closed.id);
        let mut row = tx.read_existing(&key).await?;
        let old = usize::try_from(closed.epoch)
            .ok()
            .filter(|epoch| epoch + 1 < row.key_wraps.len());
        let wrap = old.and_then(|epoch| row.key_wraps.get_mut(epoch));
        *wrap.ok_or(Problem::EpochMismatch)? = Bytes::new();
        tx.put(&key, &row);
        let logged = pb::LoggedStatement {
            statement: Some(closure.to_message()),
            proof: None,
        };
        tx.put(&stored, &logged);
        let tells = Tells::logged(patient, closure)
            .act(Act::Closure(closed.id, closure.hash()))
            .history(What::Closed(logged.clone()));
        tell::tell(tx, tells).await?;
        // Should this process end before the wraps are shredded, the sweeper does it.
        tx.expire(AT_ONCE, Expiring::Epoch(patient, closed));
        Ok(logged)
    }
}
