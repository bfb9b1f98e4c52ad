//! What a stranger learns of a vault: the key to seal to, and nothing else.

use anyhow::{Context, Result, ensure};
use protocol_spec::{
    bodies::VaultKeyStatement,
    defence::Defence,
    devices::{DeviceKind, DeviceList, verify_newest},
    messages as pb,
    patient::PatientSigned,
    problem::Problem,
    statement::Signed,
};
use tests::raw::{RawPatient, RawWorld, defended};

/// DEV-18, ATK-84: a free account that knows a patient's id asks for her list of devices, which tells how many records and
/// devices there are. It gets the vault key alone; without the defence, the list.
#[tokio::test]
async fn a_stranger_reads_neither_records_nor_devices() -> Result<()> {
    defended(&[Defence::StrangersView], Problem::NotPermitted, async |world| {
        let wire = &world.wire;
        let (hers, stranger) = (RawPatient::enrol(wire).await?, RawPatient::enrol(wire).await?);
        let path = format!("/v1/patients/{}", hers.id);
        let info: pb::PatientInfo = stranger.get(wire, &path).await?.message()?;
        let key = PatientSigned::<VaultKeyStatement>::try_from(info.vault_key)?.verify()?;
        ensure!(*key == hers.list.claimed().vault_key_statement(), "{key:?}");
        ensure!(key.created == 0, "nobody needs the time: {key:?}");
        // Her own device is no recovery key: who names it learns nothing.
        stranger
            .get(wire, &format!("{path}/recovery/{}", hers.device_id()))
            .await
    })
    .await
}

/// DEV-18, RCV-8: whoever knows the recovery key that a share is of reads whether it is in force.
#[tokio::test]
async fn a_trustee_reads_the_list_by_the_recovery_key() -> Result<()> {
    let world = RawWorld::start().await?;
    let wire = &world.wire;
    let (hers, trustee) = (RawPatient::enrol(wire).await?, RawPatient::enrol(wire).await?);
    let member = RawPatient::new()?;
    let id = member.device_id();
    let path = format!("/v1/patients/{}/recovery/{id}", hers.id);
    let before = trustee.get(wire, &path).await?;
    ensure!(before.problem() == Some(Problem::NotPermitted), "{before:?}");
    hers.change(
        wire,
        &hers.taking_in_as(DeviceKind::Recovery, &member.link_offer())?,
    )
    .await?
    .message::<pb::Accepted>()?;
    let answer: pb::MemberList = trustee.get(wire, &path).await?.message()?;
    let list = Signed::<DeviceList>::try_from(answer.list)?;
    let list = verify_newest(list, answer.signer.try_into()?, hers.id)?;
    let found = list.device(id).context("the list has not the member")?;
    ensure!(found.kind == DeviceKind::Recovery, "{found:?}");
    Ok(())
}
