//! What each principal has the server keep, and how much it may. Every mutation is charged to whoever asks, in the commit that it
//! makes; the budget grows with what the principal has by others' doing, and with time. See `spec/accounts.md` §3.
//!
//! Not charged: leaves, which a permission's bytes bound; segments of the index, which have a budget of their own; rows that go by
//! themselves within a day, but for the answers kept for repetitions, which are counted by the day.

use protocol_spec::{defence::Defence, ids::PatientId, problem::Problem};

use crate::vault::{
    core::{
        payer::{Payer, Written},
        refusal::{Refusal, ensure},
        tx::Tx,
    },
    tables::{self, AccountRow},
};

/// Charges the payer with what this try writes, and refuses what is beyond its budget; what protects, or takes away, has as
/// much again (ACC-6).
pub(in crate::vault) async fn charge(tx: &mut Tx<'_>, payer: Payer, written: Written) -> Result<(), Refusal> {
    let limits = tx.shared.limits.budgets;
    let key = tables::account(payer.principal);
    let mut row = tx.read(&key).await?.unwrap_or(AccountRow {
        since: tx.now,
        ..AccountRow::default()
    });
    row.bytes = row
        .bytes
        .saturating_add(written.came)
        .saturating_sub(written.went);
    let answers = row.answer(tx.now, written.answers);
    let (base, most_answers) = if payer.patient {
        (limits.patient, limits.patient_answers)
    } else {
        (limits.institution, limits.institution_answers)
    };
    let parts = if tx.protects { 2 } else { 1 };
    let most = row.budget(base, tx.now).saturating_mul(parts);
    let grows = written.came > written.went;
    ensure(
        !grows || Defence::StorageBudget.holds(row.bytes <= most),
        Problem::StorageBudget,
        "the account's rows take as much as they may",
    )?;
    ensure(
        Defence::StorageBudget.holds(answers <= most_answers.saturating_mul(parts)),
        Problem::StorageBudget,
        "as many answers are kept for repetitions as there may be in a day",
    )?;
    tx.put(&key, &row);
    Ok(())
}

/// A record has come into a vault, with a manifest of so many bytes.
pub(in crate::vault) async fn holds_record(
    tx: &mut Tx<'_>,
    patient: PatientId,
    manifest: u64,
) -> Result<(), Refusal> {
    account(tx, *patient.as_bytes(), |row| {
        row.records += 1;
        row.manifests = row.manifests.saturating_add(manifest);
    })
    .await
}

/// What was taken for a use was given back (FLW-20).
pub(in crate::vault) async fn has_not_used(tx: &mut Tx<'_>, institution: [u8; 32]) -> Result<(), Refusal> {
    account(tx, institution, |row| {
        row.relations = row.relations.saturating_sub(1)
    })
    .await
}

/// The manifest of a record is gone. That the record came stays true (ACC-6).
pub(in crate::vault) async fn lost_manifest(
    tx: &mut Tx<'_>,
    patient: PatientId,
    manifest: u64,
) -> Result<(), Refusal> {
    account(tx, *patient.as_bytes(), |row| {
        row.manifests = row.manifests.saturating_sub(manifest);
    })
    .await
}

/// Rows are gone that this principal has paid for, by another one's doing.
pub(in crate::vault) async fn returned_bytes(
    tx: &mut Tx<'_>,
    principal: [u8; 32],
    bytes: u64,
) -> Result<(), Refusal> {
    account(tx, principal, |row| row.bytes = row.bytes.saturating_sub(bytes)).await
}

/// An institution has spent a use of what a patient has permitted.
pub(in crate::vault) async fn has_used(tx: &mut Tx<'_>, institution: [u8; 32]) -> Result<(), Refusal> {
    account(tx, institution, |row| {
        row.relations = row.relations.saturating_add(1)
    })
    .await
}

/// Two patients have accepted one another, for the first time: each holds more then. Only with so many: accounts that are free
/// would give each other any budget.
pub(in crate::vault) async fn have_met(
    tx: &mut Tx<'_>,
    one: [u8; 32],
    other: [u8; 32],
) -> Result<(), Refusal> {
    for principal in [one, other] {
        let more = |row: &mut AccountRow| row.relations = MOST_RELATIONS.min(row.relations + 1);
        account(tx, principal, more).await?;
    }
    Ok(())
}

/// Most bytes of the segments of a vault's index (ACC-7).
pub(in crate::vault) async fn index_budget(tx: &mut Tx<'_>, patient: PatientId) -> Result<u64, Refusal> {
    let row = tx
        .read(&tables::account(*patient.as_bytes()))
        .await?
        .unwrap_or_default();
    let held = row.records.saturating_mul(OF_INDEX_ENTRY);
    let manifests = row.manifests.saturating_mul(2);
    let base = tx.shared.limits.budgets.index;
    Ok(base.saturating_add(held).saturating_add(manifests))
}

async fn account(
    tx: &mut Tx<'_>,
    principal: [u8; 32],
    change: impl FnOnce(&mut AccountRow) + Send,
) -> Result<(), Refusal> {
    let key = tables::account(principal);
    let mut row = tx.read(&key).await?.unwrap_or(AccountRow {
        since: tx.now,
        ..AccountRow::default()
    });
    change(&mut row);
    tx.put(&key, &row);
    Ok(())
}

impl AccountRow {
    /// Bytes that the principal may have the server keep (ACC-6).
    fn budget(&self, base: u64, now: u64) -> u64 {
        let held = self.records.saturating_add(self.relations);
        let days = now.saturating_sub(self.since) / DAY;
        base.saturating_add(held.saturating_mul(OF_HELD))
            .saturating_add(self.manifests)
            .saturating_add(days.saturating_mul(OF_DAY))
    }

    /// Adds bytes of an answer; how many that makes today.
    fn answer(&mut self, now: u64, bytes: u64) -> u64 {
        if self.answers_day != now / DAY {
            self.answers_day = now / DAY;
            self.answers = 0;
        }
        self.answers = self.answers.saturating_add(bytes);
        self.answers
    }
}

/// Bytes for each record and relation: what is asked, permitted, presented and released about one, many times over.
const OF_HELD: u64 = 256 << 10;
/// Patients with whom one has to do, as far as her budget grows with it.
pub(in crate::vault) const MOST_RELATIONS: u64 = 64;
/// Bytes for each day: a request that is denied, a device that is renamed.
const OF_DAY: u64 = 64 << 10;
/// Bytes of the index for each record beside what its manifest takes: entries are written anew when a record moves.
const OF_INDEX_ENTRY: u64 = 8 << 10;
/// In milliseconds.
pub(in crate::vault) const DAY: u64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    /// ACC-6
    #[test]
    fn a_budget_grows_with_what_is_held_and_with_time() {
        let row = AccountRow {
            since: 5 * DAY,
            ..AccountRow::default()
        };
        assert_eq!(row.budget(100, 5 * DAY), 100);
        assert_eq!(row.budget(100, 8 * DAY), 100 + 3 * OF_DAY);
        let held = AccountRow {
            records: 2,
            relations: 1,
            manifests: 7,
            ..row
        };
        assert_eq!(held.budget(100, 5 * DAY), 107 + 3 * OF_HELD);
    }

    #[test]
    fn answers_are_counted_by_the_day() {
        let mut row = AccountRow::default();
        assert_eq!([1, 2].map(|bytes| row.answer(DAY, bytes)), [1, 3]);
        assert_eq!(row.answer(2 * DAY, 5), 5);
    }
}
