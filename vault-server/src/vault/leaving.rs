//! How recovery members leave: what she falls back on when all else is lost goes by no single device's word at once. See
//! `spec/devices.md` §6 (DEV-23).

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    devices::{DeviceList, ListedDevice},
    ids::DeviceId,
    problem::Problem,
};

use super::{
    Refusal,
    refusal::ensure,
    tables::{self, LeavingRow},
    tx::Tx,
    units::millis,
};

impl Tx<'_> {
    /// Refuses to let a member go that may not go yet; gives what is announced from this list on.
    pub(super) async fn check_leaving(
        &mut self,
        announced: &[LeavingRow],
        list: &DeviceList,
        before: &DeviceList,
    ) -> Result<Vec<LeavingRow>, Refusal> {
        for member in list.removed(before).filter(|gone| gone.is_for_recovery()) {
            let goes = self.may_leave(member, announced, list, before).await?;
            ensure(
                Defence::KeptRecovery.holds(goes),
                Problem::RecoveryKept,
                "neither announced long enough, nor by itself or by another device",
            )?;
        }
        let row = |id: &DeviceId| {
            let known = announced.iter().find(|row| row.member == id.as_bytes()[..]);
            known.cloned().unwrap_or_else(|| LeavingRow {
                member: Bytes::copy_from_slice(id.as_bytes()),
                by: Bytes::copy_from_slice(list.signer.as_bytes()),
                at: self.now,
            })
        };
        Ok(list.leaving.iter().map(row).collect())
    }

    async fn may_leave(
        &mut self,
        member: &ListedDevice,
        announced: &[LeavingRow],
        list: &DeviceList,
        before: &DeviceList,
    ) -> Result<bool, Refusal> {
        let id = member.id();
        if !self.is_settled(id).await? {
            return Ok(true);
        }
        let Some(row) = announced.iter().find(|row| row.member == id.as_bytes()[..]) else {
            return Ok(false);
        };
        let by = DeviceId::try_from(row.by.as_ref()).map_err(Refusal::damaged)?;
        if by == id || self.now >= row.at.saturating_add(self.delay()) {
            return Ok(true);
        }
        let another = by != list.signer && before.device(by).is_some();
        Ok(another && self.is_settled(by).await? && self.is_settled(list.signer).await?)
    }

    /// Whether a device has been on the list for so long that her other devices have been told.
    pub(super) async fn is_settled(&mut self, device: DeviceId) -> Result<bool, Refusal> {
        let row = self.read_existing(&tables::device(device)).await?;
        Ok(self.now >= row.listed.saturating_add(self.delay()))
    }

    /// How long what she falls back on is safe from a single device, in milliseconds.
    pub(super) fn delay(&self) -> u64 {
        millis(self.shared.limits.recovery_delay)
    }
}
