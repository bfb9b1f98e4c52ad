//! How recovery members leave: what she falls back on when all else is lost goes by no single device's word at once. See
//! `spec/devices.md` §6 (DEV-23).

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    devices::{DeviceList, ListedDevice},
    ids::DeviceId,
    problem::Problem,
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        tx::Tx,
        units::millis,
    },
    tables::{self, LeavingRow},
};

/// Refuses to let a member go that may not go yet; gives what is announced from this list on.
pub(in crate::vault) async fn check_leaving(
    tx: &mut Tx<'_>,
    announced: &[LeavingRow],
    list: &DeviceList,
    before: &DeviceList,
) -> Result<Vec<LeavingRow>, Refusal> {
    for member in list.removed(before).filter(|gone| gone.is_for_recovery()) {
        let goes = may_leave(tx, member, announced, list, before).await?;
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
            at: tx.now,
        })
    };
    Ok(list.leaving.iter().map(row).collect())
}

async fn may_leave(
    tx: &mut Tx<'_>,
    member: &ListedDevice,
    announced: &[LeavingRow],
    list: &DeviceList,
    before: &DeviceList,
) -> Result<bool, Refusal> {
    let id = member.id();
    if !is_settled(tx, id).await? {
        return Ok(true);
    }
    let Some(row) = announced.iter().find(|row| row.member == id.as_bytes()[..]) else {
        return Ok(false);
    };
    let by = DeviceId::try_from(row.by.as_ref()).map_err(Refusal::damaged)?;
    if by == id || tx.now >= row.at.saturating_add(delay(tx)) {
        return Ok(true);
    }
    let another = by != list.signer && before.device(by).is_some();
    Ok(another && is_settled(tx, by).await? && is_settled(tx, list.signer).await?)
}

/// Whether a device has been on the list for so long that her other devices have been told.
pub(in crate::vault) async fn is_settled(tx: &mut Tx<'_>, device: DeviceId) -> Result<bool, Refusal> {
    let row = tx.read_existing(&tables::device(device)).await?;
    Ok(tx.now >= row.listed.saturating_add(delay(tx)))
}

/// How long what she falls back on is safe from a single device, in milliseconds.
pub(in crate::vault) fn delay(tx: &Tx<'_>) -> u64 {
    millis(tx.shared.limits.recovery_delay)
}
