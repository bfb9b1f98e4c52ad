//! Whether whoever acts for an institution may still do so: the institution has not ended, the terminal is its
//! own and in its time, and the key that a permission is wrapped to has not ended. See `spec/institutions.md`.

use protocol_spec::{
    defence::Defence, hash::Sha256Digest, messages as pb, permission::PermissionBody, problem::Problem,
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        shared::Shared,
        tx::Tx,
    },
    delegation::acting,
    tables::{self, MeterRow, RecipientKeyRow, RowKey, TerminalRow},
    who::{caller::Caller, principal::Holder},
};

/// Of a permission: what must hold before each leaf that leaves under it.
pub(in crate::vault) struct Use {
    pub(in crate::vault) holder: Holder,
    meter: RowKey<MeterRow>,
    recipient_key: RowKey<RecipientKeyRow>,
    /// Of the epoch that the permission is over: there once that is closed.
    closure: Option<RowKey<pb::LoggedStatement>>,
}

impl Use {
    pub(in crate::vault) fn new(holder: Holder, permission: &PermissionBody) -> Self {
        let patient = permission.patient_id;
        let over = permission.collection.map(|selector| selector.collection);
        Self {
            holder,
            meter: tables::meter(patient, permission.permission_id),
            recipient_key: tables::recipient_key(permission.recipient_key_hash),
            closure: over.map(|collection| tables::closure(patient, collection)),
        }
    }
}

pub(crate) async fn check_standing(shared: &Shared, caller: &Caller) -> Result<(), Refusal> {
    match (caller.acting(), caller.holder()) {
        (Some(acting), _) => acting::check_acting_now(shared, acting).await,
        (None, Ok(holder)) => check_holder_now(shared, &holder).await,
        (None, Err(_)) => Ok(()),
    }
}

async fn check_holder_now(shared: &Shared, holder: &Holder) -> Result<(), Refusal> {
    let ledger = &*shared.ledger;
    let entry = tables::institution(holder.institution).get(ledger).await?;
    check_entry(entry.as_ref())?;
    if let Some(terminal) = holder.terminal {
        let row = tables::terminal(holder.institution, terminal).get(ledger).await?;
        check_terminal(shared, row).await?;
    }
    Ok(())
}

/// Whether a leaf may still leave (FLW-5, REV-6, INS-5, INS-8, INS-13, INS-15).
pub(in crate::vault) async fn check_use(shared: &Shared, held: &Use) -> Result<(), Refusal> {
    let meter = held.meter.get(&*shared.ledger).await?.unwrap_or_default();
    meter.check_not_ended()?;
    if let Some(closure) = &held.closure {
        let closed = closure.get(&*shared.ledger).await?.is_some();
        ensure(
            Defence::ClosedEpochs.holds(!closed),
            Problem::NotPermitted,
            "the epoch was closed",
        )?;
    }
    let key = held.recipient_key.get(&*shared.ledger).await?;
    check_recipient_key(shared, key).await?;
    check_holder_now(shared, &held.holder).await
}

/// INS-8.
async fn check_terminal(shared: &Shared, row: Option<TerminalRow>) -> Result<(), Refusal> {
    let row = row.ok_or_else(|| Refusal::damaged("a terminal has no row"))?;
    let removed = row.terminal.is_none_or(|terminal| terminal.removal.is_some());
    ensure(
        Defence::TerminalLife.holds(!removed),
        Problem::TerminalRemoved,
        "a terminal that was removed",
    )?;
    let over = shared.time.has_passed(row.not_after).await;
    ensure(
        Defence::TerminalLife.holds(!over),
        Problem::TerminalExpired,
        "the terminal's certificate is over",
    )
}

/// INS-5.
async fn check_recipient_key(shared: &Shared, row: Option<RecipientKeyRow>) -> Result<(), Refusal> {
    let ends = row.map_or(0, |row| row.ends);
    let ended = ends != 0 && shared.time.has_passed(ends).await;
    ensure(
        Defence::KeyOverlap.holds(!ended),
        Problem::KeyEnded,
        "the permission is wrapped to a key that has ended",
    )
}

/// Whether a caller may still act, by rows that the commit checks again. Whoever is only being enrolled has none.
pub(in crate::vault) async fn check_caller(tx: &mut Tx<'_>, caller: &Caller) -> Result<(), Refusal> {
    match (caller.acting(), caller.holder()) {
        (Some(acting), _) => acting::check_acting(tx, acting).await,
        (None, Ok(holder)) => check_holder(tx, &holder).await,
        (None, Err(_)) => Ok(()),
    }
}

pub(in crate::vault) async fn check_holder(tx: &mut Tx<'_>, holder: &Holder) -> Result<(), Refusal> {
    let entry = tx.read(&tables::institution(holder.institution)).await?;
    check_entry(entry.as_ref())?;
    if let Some(terminal) = holder.terminal {
        let row = tx.read(&tables::terminal(holder.institution, terminal)).await?;
        check_terminal(tx.shared, row).await?;
    }
    Ok(())
}

/// Whether the key with this hash, of an institution, can still be used.
pub(in crate::vault) async fn check_key(tx: &mut Tx<'_>, recipient_key: Sha256Digest) -> Result<(), Refusal> {
    let row = tx.read(&tables::recipient_key(recipient_key)).await?;
    check_recipient_key(tx.shared, row).await
}

/// INS-13, INS-15.
pub(in crate::vault) fn check_entry(entry: Option<&pb::DirectoryEntry>) -> Result<(), Refusal> {
    let withdrawn = entry.is_some_and(|entry| entry.withdrawal.is_some());
    ensure(
        Defence::Withdrawal.holds(!withdrawn),
        Problem::AccreditationWithdrawn,
        "an institution whose accreditation was withdrawn",
    )?;
    let retired = entry.is_some_and(|entry| entry.retirement.is_some());
    ensure(
        Defence::Retirement.holds(!retired),
        Problem::InstitutionRetired,
        "an institution that has retired",
    )
}
