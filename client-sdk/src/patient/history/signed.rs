//! Whose statement an entry of the history holds, and about which institution it is.

use protocol_spec::{
    delegation::VerifiedDelegation,
    ids::{DeviceId, InstitutionId},
    messages as pb,
    patient::{Device, OfPatient, PatientSigned, PatientVerified},
};

use crate::{
    Result,
    patient::{
        delegation,
        history::{
            Met, ensure,
            item::{DeviceRef, HistoryItem, HistoryKind, tampered},
        },
        vault::Vault,
    },
};

/// The device that signed, which must have been on the list at this point.
pub(super) fn acted(vault: &Vault, device: &Device, met: &Met) -> Result<DeviceRef> {
    let listed = met.devices.claimed().device(device.id()).is_some();
    ensure(listed, "a device signed it that was not on her list then")?;
    device_ref(vault, device.id())
}

/// Who signed: a device of hers, or a delegate whose delegation stands before this and has not ended (DLG-9).
pub(super) fn signed_by(
    vault: &Vault,
    (device, delegation): (&Device, Option<&VerifiedDelegation>),
    met: &Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let Some(delegation) = delegation else {
        let device = Some(acted(vault, device, met)?);
        return Ok(HistoryItem { device, ..blank });
    };
    let before = met.delegations.get(&delegation.hash());
    let held = before.is_some_and(|(_, ended)| !ended) && delegation.check_time(blank.at).is_ok();
    ensure(held, "a delegate signed it who was none at that time")?;
    let delegate = Some(delegation::delegate_ref(vault, delegation)?);
    Ok(HistoryItem { delegate, ..blank })
}

pub(super) fn device_ref(vault: &Vault, id: DeviceId) -> Result<DeviceRef> {
    let name = vault.keys.known().name(id)?.as_str().to_owned();
    let this = id == DeviceId::from(&vault.device_key());
    Ok(DeviceRef { id, name, this })
}

pub(super) async fn concerning(
    vault: &Vault,
    kind: HistoryKind,
    institution: InstitutionId,
    item: HistoryItem,
) -> Result<HistoryItem> {
    let institution = Some(vault.institution_ref(institution).await?);
    Ok(HistoryItem {
        kind,
        institution,
        ..item
    })
}

/// A statement that must be of a device of hers, or of a delegate (DEV-8).
pub(super) async fn own<T: OfPatient>(
    vault: &Vault,
    message: pb::PatientStatement,
) -> Result<PatientVerified<T>> {
    let statement = PatientSigned::<T>::try_from(message)
        .and_then(PatientSigned::verify)
        .map_err(tampered)?;
    ensure(statement.patient_id() == vault.id(), "it is somebody else's")?;
    delegation::known_signer(vault, statement.device(), statement.delegation()).await?;
    Ok(statement)
}
