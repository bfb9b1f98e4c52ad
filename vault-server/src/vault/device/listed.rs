//! Whether a device is in the list of its patient, and the list of its root epoch.

use protocol_spec::{
    defence::Defence,
    ids::{DeviceId, PatientId},
    problem::Problem,
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        shared::Shared,
        tx::Tx,
    },
    tables::{self, PatientRow},
    who::caller::Caller,
};

pub(crate) async fn still_listed(shared: &Shared, caller: &Caller) -> Result<(), Refusal> {
    let Some((patient, device)) = caller.speaker() else {
        return Ok(());
    };
    let row = tables::patient(patient).get(&*shared.ledger).await?;
    check_listed(row, device)
}

/// Refuses a patient's device that is no longer in her newest list; the commit will check that this is still so
/// (DEV-6).
pub(in crate::vault) async fn check_caller_listed(tx: &mut Tx<'_>, caller: &Caller) -> Result<(), Refusal> {
    let Some((patient, device)) = caller.speaker() else {
        return Ok(());
    };
    let row = tx.read(&tables::patient(patient)).await?;
    check_listed(row, device)
}

/// Refuses unless this is the epoch of the patient's vault root key (DEV-7, DEV-13).
pub(in crate::vault) async fn check_root_epoch(
    tx: &mut Tx<'_>,
    patient: PatientId,
    epoch: u64,
) -> Result<(), Refusal> {
    let row = tx.read_existing(&tables::patient(patient)).await?;
    ensure(
        row.root_epoch == epoch,
        Problem::EpochMismatch,
        "another epoch of the vault root key",
    )
}

pub(in crate::vault) fn check_listed(row: Option<PatientRow>, device: DeviceId) -> Result<(), Refusal> {
    let listed = row.is_some_and(|row| row.has(device));
    ensure(
        Defence::ListedDevices.holds(listed),
        Problem::Unauthenticated,
        "the device was removed",
    )
}
