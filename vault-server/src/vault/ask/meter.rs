//! What may still be used of a permission: times and bytes, as they are stored.

use protocol_spec::{
    ids::{PatientId, PermissionId},
    lifecycle::{Meter, Rules},
    messages as pb,
};

use crate::vault::{
    core::{refusal::Refusal, shared::Shared},
    tables::{self, MeterRow},
};

use pb::PermissionState;

/// What is left of a permission now.
pub(in crate::vault) async fn meter(
    shared: &Shared,
    patient: PatientId,
    permission: PermissionId,
) -> Result<MeterRow, Refusal> {
    let meter = tables::meter(patient, permission).get(&*shared.ledger).await?;
    meter.ok_or_else(|| Refusal::damaged("a permission has no meter"))
}

impl MeterRow {
    /// As decisions are made on it.
    pub(in crate::vault) fn meter(&self) -> Meter {
        Meter {
            uses_left: self.uses_left,
            bytes_left: self.bytes_left,
            uses_held: self.uses_held,
            bytes_held: self.bytes_held,
            presented: self.presented,
            revoked: self.revoked,
            replaced: self.replaced,
        }
    }

    /// With what is decided.
    pub(in crate::vault) fn with(self, meter: Meter) -> Self {
        let Meter {
            uses_left,
            bytes_left,
            uses_held,
            bytes_held,
            presented,
            revoked,
            replaced,
        } = meter;
        Self {
            uses_left,
            bytes_left,
            uses_held,
            bytes_held,
            presented,
            revoked,
            replaced,
            ..self
        }
    }

    /// Neither revoked (FLW-5) nor replaced (PRM-14).
    pub(in crate::vault) fn check_not_ended(&self) -> Result<(), Refusal> {
        Ok(self.meter().check_not_ended(&Rules::in_force())?)
    }

    /// Takes bytes from what is left (FLW-6, FLW-9).
    pub(in crate::vault) fn spend(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.set(self.meter().spend(bytes, &Rules::in_force())?);
        Ok(())
    }

    /// Gives bytes back that were taken for what did not leave (FLW-20).
    pub(in crate::vault) fn unspend(&mut self, bytes: u64) {
        self.bytes_left = self.bytes_left.saturating_add(bytes);
    }

    /// Has a session hold the use again that it had spent (FLW-20).
    pub(in crate::vault) fn hold_again(&mut self) {
        self.uses_held = self.uses_held.saturating_add(1);
    }

    /// Has an upload hold bytes of what is left (FLW-6).
    pub(in crate::vault) fn hold(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.set(self.meter().hold(bytes, &Rules::in_force())?);
        Ok(())
    }

    /// A session has brought something: what it held is spent (FLW-16).
    pub(in crate::vault) fn bring(&mut self, bytes: u64) {
        self.set(self.meter().bring(bytes));
    }

    /// A session has ended in nothing: what it held is left (FLW-16).
    pub(in crate::vault) fn give_back(&mut self, bytes: u64) {
        self.set(self.meter().give_back(bytes));
    }

    fn set(&mut self, meter: Meter) {
        *self = std::mem::take(self).with(meter);
    }
}

pub(in crate::vault) fn state(meter: &MeterRow, expired: bool) -> PermissionState {
    match meter {
        MeterRow { revoked: true, .. } => PermissionState::Revoked,
        MeterRow { replaced: true, .. } => PermissionState::Replaced,
        _ if expired => PermissionState::Expired,
        _ if meter.meter().uses() == 0 || meter.meter().bytes() == 0 => PermissionState::Spent,
        _ => PermissionState::Live,
    }
}
