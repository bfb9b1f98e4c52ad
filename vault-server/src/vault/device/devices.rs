//! The devices of a patient: the newest list decides who asks and signs for her, and each list continues the one
//! before. See `spec/devices.md` §1 and §5.

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    devices::{DeviceList, ListedDevice, verify_newest, verify_next, verify_vault_key},
    ids::{DeviceId, PatientId},
    messages as pb,
    patient::{Device, DeviceChain},
    problem::Problem,
    statement::{Signed, Verified},
    submitted::{self, CollectionEpochs, NewDevice, Rotation, Submitted},
    vault_head::Act,
};

use crate::vault::{
    core::{
        limits::MAX_COLLECTIONS,
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::OwnDevice,
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
    },
    device::{kept, leaving, links, room},
    keep::collections,
    tables::{self, CollectionRow, Counted, DeviceRow, PatientRow, RowKey},
    telling::{
        acts,
        tell::{self, Tells},
    },
    who::caller::Caller,
};

use pb::{event, history_entry};

/// The caller's lists after this sequence number, and what a device needs with the newest.
pub(crate) async fn device_lists(
    shared: &Shared,
    caller: &Caller,
    after: Option<u64>,
    limit: usize,
) -> Result<pb::DeviceLists, Refusal> {
    let (patient, device) = caller.device()?;
    let ledger = &*shared.ledger;
    let key = tables::patient(patient);
    for _ in 0..MAX_TRIES {
        let (row, version) = key.read(ledger).await?;
        let row = row.ok_or_else(|| Refusal::absent("no such patient"))?;
        let lists = lists(shared, patient, device, row, after, limit).await?;
        if key.read(ledger).await?.1 == version {
            return Ok(lists);
        }
    }
    Err(Refusal::new(
        Problem::Unavailable,
        "the list changes all the time",
    ))
}

async fn lists(
    shared: &Shared,
    patient: PatientId,
    device: DeviceId,
    row: PatientRow,
    after: Option<u64>,
    limit: usize,
) -> Result<pb::DeviceLists, Refusal> {
    let first = after.map_or(0, |after| after.saturating_add(1));
    let (lists, more) = shared
        .short_page(tables::device_list(patient, first), limit)
        .await?;
    let mut devices = Vec::with_capacity(row.devices.len());
    let (mut root_key, mut approval) = (None, Bytes::new());
    let kept_root_keys = kept::kept_root_keys(shared, patient, device, &row).await?;
    for id in &row.devices {
        let id = DeviceId::try_from(id.as_ref()).map_err(Refusal::damaged)?;
        let stored = tables::device(id).get(&*shared.ledger).await?.unwrap_or_default();
        let stored = stored.device.unwrap_or_default();
        if id == device {
            (root_key, approval) = (stored.root_key, stored.approval);
        }
        devices.push(pb::DeviceKeys {
            chain: stored.chain,
            recipient_key: stored.recipient_key,
        });
    }
    Ok(pb::DeviceLists {
        lists,
        more,
        devices,
        root_key,
        previous_root_keys: row.previous_root_keys,
        approval,
        kept_root_keys,
        passed_over: row.passed_over,
    })
}

impl PatientRow {
    /// Whether the newest list has this device.
    pub(in crate::vault) fn has(&self, device: DeviceId) -> bool {
        self.devices.iter().any(|id| id == device.as_bytes().as_slice())
    }
}

/// Notes whose device this is from now on, and takes back its offer; it must not have been anybody's (DEV-12).
pub(in crate::vault) async fn join(
    tx: &mut Tx<'_>,
    device: &Device,
    joining: &NewDevice,
) -> Result<(), Refusal> {
    let row = DeviceRow {
        patient: Bytes::copy_from_slice(device.patient_id().as_bytes()),
        device: Some(joining.write()),
        listed: tx.now,
    };
    tx.claim(&tables::device(device.id()), &row).await?;
    links::end_offer(tx, device.id()).await
}

/// Makes a list the newest, and logs it.
pub(in crate::vault) async fn put_list(
    tx: &mut Tx<'_>,
    key: &RowKey<PatientRow>,
    row: PatientRow,
    list: &Verified<DeviceList>,
    signer: &DeviceChain,
) -> Result<(), Refusal> {
    let id = |device: &ListedDevice| Bytes::copy_from_slice(device.id().as_bytes());
    let row = PatientRow {
        list: Some(list.to_message()),
        signer: Some(signer.into()),
        devices: list.devices.iter().map(id).collect(),
        root_epoch: list.root_epoch,
        ..row
    };
    tx.put(key, &row);
    tx.put(
        &tables::device_list(list.patient_id, list.sequence),
        &list.to_message(),
    );
    acts::act(tx, list.patient_id, Act::Devices(list.hash())).await?;
    tx.log(*list.patient_id.as_bytes(), &list.hash()).await
}

/// Whether the list names the keys of a device that comes to it.
pub(in crate::vault) fn check_keys(
    joining: &NewDevice,
    device: &Device,
    listed: &ListedDevice,
) -> Result<(), Refusal> {
    let digest = joining.recipient_key.digest();
    let same = listed.device_key == *device.key()
        && listed.recipient_key_hash == digest
        && *device.recipient_key_hash() == digest;
    ensure(same, Problem::NotPermitted, "the list names other keys")
}

/// A device puts a list after the newest one (DEV-13).
pub(crate) struct ChangeDevices {
    patient: PatientId,
    list: Admitted<Signed<DeviceList>>,
    added: Option<NewDevice>,
    rotation: Option<Rotation>,
}

impl Submission for ChangeDevices {
    type Message = submitted::ChangeDevices;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        let list = who.statement(message.list)?;
        Ok(Self {
            patient: list.claimed().patient_id,
            list,
            added: message.added,
            rotation: message.rotation,
        })
    }
}

impl Operation for ChangeDevices {
    type Answer = ();

    /// A list to which none is added takes devices off, or replaces keys.
    fn is_urgent(&self) -> bool {
        self.added.is_none()
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let key = tables::patient(self.patient);
        let mut row = tx.read_existing(&key).await?;
        let before = newest(&row, self.patient)?;
        let list = self.next_list(&before)?;
        tx.protects = list.removed(&before).next().is_some();
        let room = room::room(tx, &list, &before).await?;
        ensure(list.sequence < room.lists(), Problem::TooMany, "too many lists")?;
        let placed = tables::count(*self.patient.as_bytes(), Counted::Placements);
        let last = tx.read(&placed).await?.unwrap_or_default().value;
        ensure(
            list.last_placement == last,
            Problem::PlacementConflict,
            "a record was placed meanwhile",
        )?;
        let signer = tx.read_existing(&tables::device(list.signer)).await?;
        let signer = signer.device.and_then(|device| device.chain).try_into();
        let signer: DeviceChain = signer.map_err(Refusal::damaged)?;
        self.take_in(tx, &list, &before).await?;
        row.leaving = leaving::check_leaving(tx, &row.leaving, &list, &before).await?;
        for removed in list.removed(&before) {
            take_root_key(tx, removed.id(), None).await?;
        }
        match (&self.rotation, list.root_epoch == before.root_epoch) {
            (None, true) => {}
            (Some(rotation), false) => {
                begin_root_epoch(&mut row, rotation, &list)?;
                room.check(&rotation.collections)?;
                rotate(tx, &mut row, rotation, &list, &before).await?;
            }
            _ => {
                let why = "root epoch and rotation do not fit";
                return Err(Refusal::new(Problem::Malformed, why));
            }
        }
        put_list(tx, &key, row, &list, &signer).await?;
        let message = list.to_message();
        let tells = Tells::of(self.patient)
            .history(history_entry::What::DevicesChanged(message.clone()))
            .inbox(*self.patient.as_bytes(), event::What::DevicesChanged(message));
        tell::tell(tx, tells).await?;
        Ok(())
    }
}

impl ChangeDevices {
    /// The list, verified as the one behind the newest.
    fn next_list(&self, before: &Verified<DeviceList>) -> Result<Verified<DeviceList>, Refusal> {
        let claimed = self.list.claimed();
        let continues = claimed.sequence == before.sequence + 1 && claimed.previous_hash == before.hash();
        ensure(
            Defence::DeviceLists.holds(continues),
            Problem::DeviceListConflict,
            "it does not continue the newest list",
        )?;
        Ok(verify_next(Signed::clone(&self.list), before)?)
    }

    /// Takes in the device that the list adds, if it adds one: as it was brought, and certified by the list's signer.
    async fn take_in(&self, tx: &mut Tx<'_>, list: &DeviceList, before: &DeviceList) -> Result<(), Refusal> {
        match (list.added(before).next(), &self.added) {
            (None, None) => Ok(()),
            (Some(listed), Some(joining)) => {
                let device = joining.chain.clone().verify(self.patient)?;
                check_keys(joining, &device, listed)?;
                ensure(
                    device.issuer() == Some(list.signer),
                    Problem::NotPermitted,
                    "another device has certified it",
                )?;
                join(tx, &device, joining).await
            }
            _ => Err(Refusal::new(Problem::Malformed, "list and device do not fit")),
        }
    }
}

/// Begins an epoch of the root key: the key of before is kept under the new one, and a new vault key is put.
fn begin_root_epoch(row: &mut PatientRow, rotation: &Rotation, list: &DeviceList) -> Result<(), Refusal> {
    let previous = rotation.previous_root_key.bytes();
    row.previous_root_keys.push(previous.clone());
    let vault_key = verify_vault_key(rotation.vault_key.clone(), list, list.signer)?;
    row.vault_key = Some(vault_key.to_message());
    pass_over(row, rotation, list)
}

/// Puts the new root key to all devices that stay, and all collections under it (DEV-13).
async fn rotate(
    tx: &mut Tx<'_>,
    row: &mut PatientRow,
    rotation: &Rotation,
    list: &DeviceList,
    before: &DeviceList,
) -> Result<(), Refusal> {
    let stay = list
        .devices
        .iter()
        .filter(|device| before.device(device.id()).is_some());
    let stay: Vec<_> = stay.map(ListedDevice::id).collect();
    ensure(
        stay.len() == rotation.root_keys.len(),
        Problem::Malformed,
        "not one root key for each device",
    )?;
    kept::keep_epoch(tx, list.patient_id, row, &stay).await?;
    for (id, sealed) in stay.into_iter().zip(&rotation.root_keys) {
        take_root_key(tx, id, Some(sealed.into())).await?;
    }
    rewrap_collections(tx, list.patient_id, &rotation.collections).await
}

async fn take_root_key(tx: &mut Tx<'_>, device: DeviceId, key: Option<pb::Sealed>) -> Result<(), Refusal> {
    let at = tables::device(device);
    let mut row = tx.read_existing(&at).await?;
    if let Some(device) = &mut row.device {
        device.root_key = key;
    }
    tx.put(&at, &row);
    Ok(())
}

async fn rewrap_collections(
    tx: &mut Tx<'_>,
    patient: PatientId,
    collections: &[CollectionEpochs],
) -> Result<(), Refusal> {
    // Whoever makes a collection counts it, so that a new one makes this commit fail.
    tx.read(&tables::count(*patient.as_bytes(), Counted::Collections))
        .await?;
    let stored = tables::collections(patient)
        .scan(&*tx.shared.ledger, MAX_COLLECTIONS)
        .await?;
    let mismatch = |holds| ensure(holds, Problem::EpochMismatch, "not the collections of the vault");
    let ids = collections
        .iter()
        .map(|new| new.collection_id.as_bytes().as_slice());
    mismatch(stored.iter().map(|(id, _)| id.as_slice()).eq(ids))?;
    for new in collections {
        let key = tables::collection(patient, new.collection_id);
        let old = tx.read_existing(&key).await?;
        mismatch(new.key_wraps.len() == old.key_wraps.len() + 1)?;
        // The key of an epoch that is closed is gone.
        let mut kept = old.key_wraps.iter().zip(&new.key_wraps);
        mismatch(kept.all(|(old, new)| old.is_empty() == new.is_none()))?;
        let pb::CollectionEpochs {
            sealed_name,
            key_wraps,
            ..
        } = new.write();
        let row = CollectionRow {
            sealed_name,
            key_wraps,
        };
        tx.put(&key, &row);
        collections::act_of_epoch(tx, patient, new.collection_id, &row).await?;
    }
    Ok(())
}

/// Notes which root epochs a rotation passes over: there are so many before it.
fn pass_over(row: &mut PatientRow, rotation: &Rotation, list: &DeviceList) -> Result<(), Refusal> {
    let epochs = rotation.passed_over;
    ensure(
        epochs < list.root_epoch,
        Problem::Malformed,
        "it passes over more root epochs than there are",
    )?;
    if epochs > 0 {
        row.passed_over.push(pb::PassedOver {
            root_epoch: list.root_epoch,
            epochs,
        });
    }
    Ok(())
}

/// The newest list, as it was verified before it was stored.
pub(in crate::vault) fn newest(
    row: &PatientRow,
    patient: PatientId,
) -> Result<Verified<DeviceList>, Refusal> {
    let list = Signed::<DeviceList>::try_from(row.list.clone());
    let signer = DeviceChain::try_from(row.signer.clone());
    list.and_then(|list| verify_newest(list, signer?, patient))
        .map_err(Refusal::damaged)
}

/// Each failure is another device's success.
const MAX_TRIES: usize = 8;
