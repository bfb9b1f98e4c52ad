//! Delegates and devices in a history: who was let act, what delegates read, and how the list of devices
//! has changed. The rules are in `protocol-spec/spec/delegates.md` §4.

use protocol_spec::{
    bodies::{Delegation, DelegationEnd},
    devices::{DeviceList, ListedDevice},
    field::ReadsAs,
    ids::RecordId,
    messages as pb,
    patient::PatientSigned,
    statement::Signed,
};

use crate::{
    Result,
    patient::{
        delegation::{self, named::DelegateRef},
        history::{
            named::{DeviceChange, HistorySigner},
            reading::{HistoryReading, Told, ensure, tampered},
        },
    },
};

pub(super) async fn delegated(
    reading: &mut HistoryReading<'_>,
    statement: impl ReadsAs<PatientSigned<Delegation>>,
) -> Result<Told<DelegateRef>> {
    let given = delegation::own_delegation_statement(reading.vault, statement).await?;
    reading.walk.delegated(given.clone()).map_err(tampered)?;
    let delegate = delegation::delegate_ref(reading.vault, &given)?;
    Ok(Told::new(delegate).by(reading.signer(given.device(), None)?))
}

pub(super) async fn delegation_ended(
    reading: &mut HistoryReading<'_>,
    statement: pb::PatientStatement,
) -> Result<Told<DelegateRef>> {
    let end = PatientSigned::<DelegationEnd>::try_from(statement.clone()).map_err(tampered)?;
    let given = reading.walk.delegation(&end.claimed().delegation_hash);
    let given = given.map_err(tampered)?.clone();
    let end = delegation::own_delegation_end(reading.vault, statement, &given).await?;
    reading.walk.delegation_ended(&end).map_err(tampered)?;
    let delegate = delegation::delegate_ref(reading.vault, &given)?;
    Ok(Told::new(delegate).by(reading.signer(end.device(), None)?))
}

/// A request that a delegate's device has signed, for the record that is given (DLG-11).
pub(super) fn delegate_read(
    reading: &mut HistoryReading<'_>,
    read: &pb::DelegateRead,
) -> Result<Told<RecordId>> {
    let (given, record) = reading.walk.delegate_read(read, reading.at).map_err(tampered)?;
    let delegate = delegation::delegate_ref(reading.vault, &given)?;
    Ok(Told::new(record).by(HistorySigner::Delegate(delegate)))
}

/// A list, which must be the next one that this device has verified.
pub(super) fn devices_changed(
    reading: &mut HistoryReading<'_>,
    list: impl ReadsAs<Signed<DeviceList>>,
) -> Result<Told<DeviceChange>> {
    let list = list.try_into().map_err(tampered)?;
    let before = reading.walk.grounds.devices.claimed();
    let verified = reading.vault.keys.known().list(before.sequence + 1);
    let same = verified.is_some_and(|verified| verified.hash() == list.hash());
    ensure(same, "it is not the list that follows the one before")?;
    let shown = |device: &ListedDevice| reading.device(device.id());
    let change = DeviceChange {
        added: list.claimed().added(before).map(shown).collect::<Result<_>>()?,
        removed: list.claimed().removed(before).map(shown).collect::<Result<_>>()?,
    };
    let signer = HistorySigner::Device(reading.device(list.claimed().signer)?);
    reading.walk.grounds.devices = list;
    Ok(Told::new(change).by(signer))
}
