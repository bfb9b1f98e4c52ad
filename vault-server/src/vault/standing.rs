//! Whether whoever acts for an institution may still do so: the institution has not ended, the terminal is its
//! own and in its time, and the key that a permission is wrapped to has not ended. See `spec/institutions.md`.

use protocol_spec::{
    defence::Defence, hash::Sha256Digest, messages as pb, permission::PermissionBody, problem::Problem,
};

use super::{
    Caller, Refusal, Shared, Vault,
    refusal::ensure,
    tables::{self, MeterRow, RecipientKeyRow, RowKey, TerminalRow},
    tx::Tx,
    who::Holder,
};

/// Of a permission: what must hold before each leaf that leaves under it.
pub(super) struct Use {
    pub(super) holder: Holder,
    meter: RowKey<MeterRow>,
    recipient_key: RowKey<RecipientKeyRow>,
    /// Of the epoch that the permission is over: there once that is closed.
    closure: Option<RowKey<pb::LoggedStatement>>,
}

impl Use {
    pub(super) fn new(holder: Holder, permission: &PermissionBody) -> Self {
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

impl Vault {
    /// Whether this caller, whose signature has been verified, may still ask for anything.
    ///
    /// # Errors
    /// `institution-retired`, `accreditation-withdrawn`, `terminal-removed`, `terminal-expired`; of a delegate, those of [`Self::act`].
    pub async fn check_standing(&self, caller: &Caller) -> Result<(), Refusal> {
        self.shared.check_standing(caller).await
    }
}

impl Shared {
    pub(super) async fn check_standing(&self, caller: &Caller) -> Result<(), Refusal> {
        match (caller.acting(), caller.holder()) {
            (Some(acting), _) => self.check_acting(acting).await,
            (None, Ok(holder)) => self.check_holder(&holder).await,
            (None, Err(_)) => Ok(()),
        }
    }

    async fn check_holder(&self, holder: &Holder) -> Result<(), Refusal> {
        let ledger = &*self.ledger;
        let entry = tables::institution(holder.institution).get(ledger).await?;
        check_entry(entry.as_ref())?;
        if let Some(terminal) = holder.terminal {
            let row = tables::terminal(holder.institution, terminal).get(ledger).await?;
            self.check_terminal(row).await?;
        }
        Ok(())
    }

    /// Whether a leaf may still leave (FLW-5, REV-6, INS-5, INS-8, INS-13, INS-15).
    pub(super) async fn check_use(&self, held: &Use) -> Result<(), Refusal> {
        let meter = held.meter.get(&*self.ledger).await?.unwrap_or_default();
        meter.check_not_ended()?;
        if let Some(closure) = &held.closure {
            let closed = closure.get(&*self.ledger).await?.is_some();
            ensure(
                Defence::ClosedEpochs.holds(!closed),
                Problem::NotPermitted,
                "the epoch was closed",
            )?;
        }
        let key = held.recipient_key.get(&*self.ledger).await?;
        self.check_recipient_key(key).await?;
        self.check_holder(&held.holder).await
    }

    /// INS-8.
    async fn check_terminal(&self, row: Option<TerminalRow>) -> Result<(), Refusal> {
        let row = row.ok_or_else(|| Refusal::damaged("a terminal has no row"))?;
        let removed = row.terminal.is_none_or(|terminal| terminal.removal.is_some());
        ensure(
            Defence::TerminalLife.holds(!removed),
            Problem::TerminalRemoved,
            "a terminal that was removed",
        )?;
        let over = self.time.has_passed(row.not_after).await;
        ensure(
            Defence::TerminalLife.holds(!over),
            Problem::TerminalExpired,
            "the terminal's certificate is over",
        )
    }

    /// INS-5.
    async fn check_recipient_key(&self, row: Option<RecipientKeyRow>) -> Result<(), Refusal> {
        let ends = row.map_or(0, |row| row.ends);
        let ended = ends != 0 && self.time.has_passed(ends).await;
        ensure(
            Defence::KeyOverlap.holds(!ended),
            Problem::KeyEnded,
            "the permission is wrapped to a key that has ended",
        )
    }
}

impl Tx<'_> {
    /// As [`Vault::check_standing`], by rows that the commit checks again. Whoever is only being enrolled has none.
    pub(super) async fn check_caller(&mut self, caller: &Caller) -> Result<(), Refusal> {
        match (caller.acting(), caller.holder()) {
            (Some(acting), _) => self.check_acting(acting).await,
            (None, Ok(holder)) => self.check_holder(&holder).await,
            (None, Err(_)) => Ok(()),
        }
    }

    pub(super) async fn check_holder(&mut self, holder: &Holder) -> Result<(), Refusal> {
        let entry = self.read(&tables::institution(holder.institution)).await?;
        check_entry(entry.as_ref())?;
        if let Some(terminal) = holder.terminal {
            let row = self.read(&tables::terminal(holder.institution, terminal)).await?;
            self.shared.check_terminal(row).await?;
        }
        Ok(())
    }

    /// Whether the key with this hash, of an institution, can still be used.
    pub(super) async fn check_key(&mut self, recipient_key: Sha256Digest) -> Result<(), Refusal> {
        let row = self.read(&tables::recipient_key(recipient_key)).await?;
        self.shared.check_recipient_key(row).await
    }
}

/// INS-13, INS-15.
pub(super) fn check_entry(entry: Option<&pb::DirectoryEntry>) -> Result<(), Refusal> {
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
