//! What others see of a patient: the key to which they seal, and nothing else. Her list of devices is for her own devices,
//! and for whoever holds a share of a recovery key that is in it. See `spec/devices.md` §2.

use protocol_spec::{
    defence::Defence,
    devices::DeviceKind,
    ids::{DeviceId, PatientId},
    messages as pb,
    problem::Problem,
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        shared::Shared,
    },
    device::devices::newest,
    tables::{self, PatientRow},
    who::caller::Caller,
};

/// The newest vault key of a patient, for whoever is enrolled and knows her id (DEV-7, DEV-18).
pub(crate) async fn patient_info(
    shared: &Shared,
    caller: &Caller,
    patient: PatientId,
) -> Result<pb::PatientInfo, Refusal> {
    let row = for_stranger(shared, caller, patient).await?;
    Ok(pb::PatientInfo {
        vault_key: row.vault_key,
    })
}

/// A patient's newest list of devices, for whoever knows a recovery key that is in it (DEV-18, RCV-8).
pub(crate) async fn member_list(
    shared: &Shared,
    caller: &Caller,
    patient: PatientId,
    member: DeviceId,
) -> Result<pb::MemberList, Refusal> {
    let row = for_stranger(shared, caller, patient).await?;
    let list = newest(&row, patient)?;
    let member = list.device(member);
    let known = member.is_some_and(|device| device.kind == DeviceKind::Recovery);
    ensure(
        Defence::StrangersView.holds(known),
        Problem::NotPermitted,
        "no recovery key that is in the list",
    )?;
    Ok(pb::MemberList {
        list: row.list,
        signer: row.signer,
    })
}

async fn for_stranger(shared: &Shared, caller: &Caller, patient: PatientId) -> Result<PatientRow, Refusal> {
    ensure(
        caller.institution().is_ok() || caller.patient().is_ok(),
        Problem::NotPermitted,
        "whoever asks is enrolled",
    )?;
    let row = tables::patient(patient).get(&*shared.ledger).await?;
    row.ok_or_else(|| Refusal::absent("no such patient"))
}
