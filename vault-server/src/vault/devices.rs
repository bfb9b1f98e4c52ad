//! The devices of a patient: the newest list decides who asks and signs for her, and each list continues the one
//! before. See `spec/devices.md` §1 and §5.

use bytes::Bytes;
use protocol_spec::{
    bodies::VaultKeyStatement,
    defence::Defence,
    devices::{
        DeviceList, ListedDevice, MAX_LISTS, RESERVED_LISTS, verify_newest, verify_next, verify_vault_key,
    },
    field::SealedBytes,
    ids::{DeviceId, PatientId},
    messages as pb,
    patient::{Device, DeviceChain, PatientSigned},
    problem::Problem,
    statement::{Signed, Verified},
    vault_head::Act,
};

use super::{
    Caller, Intent, Refusal, Shared, Vault,
    collections::{MAX_COLLECTIONS, MAX_EPOCHS, MAX_OPEN_EPOCHS, MAX_SEALED_NAME, RESERVED_EPOCHS},
    enrolment::Joining,
    refusal::ensure,
    requests::KEY_WRAP_LEN,
    tables::{self, CollectionRow, Counted, DeviceRow, PatientRow, RowKey},
    tx::{Operation, Tx},
};

use pb::{event, history_entry};

impl Vault {
    /// A device puts a list after the newest one (DEV-13).
    ///
    /// # Errors
    /// `not-permitted`, `malformed`, `device-list-conflict`, `placement-conflict`, `epoch-mismatch`,
    /// `already-exists`, `too-many`, `recovery-kept`.
    pub async fn change_devices(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::ChangeDevices,
    ) -> Result<pb::Accepted, Refusal> {
        let (patient, device) = caller.device()?;
        let list = Signed::<DeviceList>::try_from(message.list)?;
        let claimed = list.claimed();
        ensure(
            Defence::OwnStatements.holds(claimed.patient_id == patient && claimed.signer == device),
            Problem::NotPermitted,
            "the list is another's",
        )?;
        let added = message.added.map(|added| Joining::try_from(Some(added)));
        let operation = ChangeDevices {
            patient: claimed.patient_id,
            list,
            added: added.transpose()?,
            rotation: message.rotation,
        };
        self.shared.mutate(caller, intent, operation).await
    }

    /// The caller's lists after this sequence number, and what a device needs with the newest.
    ///
    /// # Errors
    /// `not-permitted` unless a patient asks; those of the store.
    pub async fn device_lists(
        &self,
        caller: &Caller,
        after: Option<u64>,
        limit: usize,
    ) -> Result<pb::DeviceLists, Refusal> {
        let (patient, device) = caller.device()?;
        let ledger = &*self.shared.ledger;
        let key = tables::patient(patient);
        for _ in 0..MAX_TRIES {
            let (row, version) = key.read(ledger).await?;
            let row = row.ok_or_else(|| Refusal::absent("no such patient"))?;
            let lists = self.shared.lists(patient, device, row, after, limit).await?;
            if key.read(ledger).await?.1 == version {
                return Ok(lists);
            }
        }
        Err(Refusal::new(
            Problem::Unavailable,
            "the list changes all the time",
        ))
    }

    /// Refuses a device that is no longer in its patient's newest list (DEV-6).
    ///
    /// # Errors
    /// `unauthenticated`; those of the store.
    pub async fn still_listed(&self, caller: &Caller) -> Result<(), Refusal> {
        self.shared.still_listed(caller).await
    }
}

impl Shared {
    pub(super) async fn still_listed(&self, caller: &Caller) -> Result<(), Refusal> {
        let Some((patient, device)) = caller.speaker() else {
            return Ok(());
        };
        let row = tables::patient(patient).get(&*self.ledger).await?;
        check_listed(row, device)
    }

    async fn lists(
        &self,
        patient: PatientId,
        device: DeviceId,
        row: PatientRow,
        after: Option<u64>,
        limit: usize,
    ) -> Result<pb::DeviceLists, Refusal> {
        let first = after.map_or(0, |after| after.saturating_add(1));
        let (lists, more) = self
            .short_page(tables::device_list(patient, first), limit)
            .await?;
        let mut devices = Vec::with_capacity(row.devices.len());
        let (mut root_key, mut approval) = (None, Bytes::new());
        let kept_root_keys = self.kept_root_keys(patient, device, &row).await?;
        for id in &row.devices {
            let id = DeviceId::try_from(id.as_ref()).map_err(Refusal::damaged)?;
            let stored = tables::device(id).get(&*self.ledger).await?.unwrap_or_default();
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
}

impl PatientRow {
    /// Whether the newest list has this device.
    pub(super) fn has(&self, device: DeviceId) -> bool {
        self.devices.iter().any(|id| id == device.as_bytes().as_slice())
    }
}

impl Tx<'_> {
    /// Refuses a patient's device that is no longer in her newest list; the commit will check that this is still so
    /// (DEV-6).
    pub(super) async fn check_listed(&mut self, caller: &Caller) -> Result<(), Refusal> {
        let Some((patient, device)) = caller.speaker() else {
            return Ok(());
        };
        let row = self.read(&tables::patient(patient)).await?;
        check_listed(row, device)
    }

    /// Refuses unless this is the epoch of the patient's vault root key (DEV-7, DEV-13).
    pub(super) async fn check_root_epoch(&mut self, patient: PatientId, epoch: u64) -> Result<(), Refusal> {
        let row = self.read_existing(&tables::patient(patient)).await?;
        ensure(
            row.root_epoch == epoch,
            Problem::EpochMismatch,
            "another epoch of the vault root key",
        )
    }

    /// Notes whose device this is from now on, and takes back its offer; it must not have been anybody's (DEV-12).
    pub(super) async fn join(&mut self, device: &Device, joining: &Joining) -> Result<(), Refusal> {
        let row = DeviceRow {
            patient: Bytes::copy_from_slice(device.patient_id().as_bytes()),
            device: Some(joining.message.clone()),
            listed: self.now,
        };
        self.claim(&tables::device(device.id()), &row).await?;
        self.end_offer(device.id()).await
    }

    /// Makes a list the newest, and logs it.
    pub(super) async fn put_list(
        &mut self,
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
        self.put(key, &row);
        self.put(
            &tables::device_list(list.patient_id, list.sequence),
            &list.to_message(),
        );
        self.act(list.patient_id, Act::Devices(list.hash())).await?;
        self.log(*list.patient_id.as_bytes(), &list.hash()).await
    }
}

fn check_listed(row: Option<PatientRow>, device: DeviceId) -> Result<(), Refusal> {
    let listed = row.is_some_and(|row| row.has(device));
    ensure(
        Defence::ListedDevices.holds(listed),
        Problem::Unauthenticated,
        "the device was removed",
    )
}

impl Joining {
    /// Whether the list names this device's keys.
    pub(super) fn check(&self, device: &Device, listed: &ListedDevice) -> Result<(), Refusal> {
        let digest = self.recipient_key.digest();
        let same = listed.device_key == *device.key()
            && listed.recipient_key_hash == digest
            && *device.recipient_key_hash() == digest;
        ensure(same, Problem::NotPermitted, "the list names other keys")
    }
}

struct ChangeDevices {
    patient: PatientId,
    list: Signed<DeviceList>,
    added: Option<Joining>,
    rotation: Option<pb::Rotation>,
}

impl Operation for ChangeDevices {
    type Answer = pb::Accepted;

    /// A list to which none is added takes devices off, or replaces keys.
    fn is_urgent(&self) -> bool {
        self.added.is_none()
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let key = tables::patient(self.patient);
        let mut row = tx.read_existing(&key).await?;
        let before = newest(&row, self.patient)?;
        let claimed = self.list.claimed();
        let continues = claimed.sequence == before.sequence + 1 && claimed.previous_hash == before.hash();
        ensure(
            Defence::DeviceLists.holds(continues),
            Problem::DeviceListConflict,
            "it does not continue the newest list",
        )?;
        let list = verify_next(self.list.clone(), &before)?;
        tx.protects = list.removed(&before).next().is_some();
        let room = tx.room(&list, &before).await?;
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
        match (list.added(&before).next(), &self.added) {
            (None, None) => {}
            (Some(listed), Some(joining)) => {
                let device = joining.chain.clone().verify(self.patient)?;
                joining.check(&device, listed)?;
                ensure(
                    device.issuer() == Some(list.signer),
                    Problem::NotPermitted,
                    "another device has certified it",
                )?;
                tx.join(&device, joining).await?;
            }
            _ => return Err(Refusal::new(Problem::Malformed, "list and device do not fit")),
        }
        row.leaving = tx.check_leaving(&row.leaving, &list, &before).await?;
        for removed in list.removed(&before) {
            tx.take_root_key(removed.id(), None).await?;
        }
        match (&self.rotation, list.root_epoch == before.root_epoch) {
            (None, true) => {}
            (Some(rotation), false) => {
                row.previous_root_keys
                    .push(key_wrap(&rotation.previous_root_key)?);
                let vault_key = PatientSigned::<VaultKeyStatement>::try_from(rotation.vault_key.clone())?;
                let vault_key = verify_vault_key(vault_key, &list, list.signer)?;
                row.vault_key = Some(vault_key.to_message());
                pass_over(&mut row, rotation, &list)?;
                room.check(&rotation.collections)?;
                tx.rotate(&mut row, rotation, &list, &before).await?;
            }
            _ => {
                return Err(Refusal::new(
                    Problem::Malformed,
                    "root epoch and rotation do not fit",
                ));
            }
        }
        tx.put_list(&key, row, &list, &signer).await?;
        let message = list.to_message();
        tx.record_history(self.patient, history_entry::What::DevicesChanged(message.clone()))
            .await?;
        tx.notify(*self.patient.as_bytes(), event::What::DevicesChanged(message))
            .await?;
        Ok(pb::Accepted {})
    }
}

impl Tx<'_> {
    /// Puts the new root key to all devices that stay, and all collections under it (DEV-13).
    async fn rotate(
        &mut self,
        row: &mut PatientRow,
        rotation: &pb::Rotation,
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
        self.keep_epoch(list.patient_id, row, &stay).await?;
        for (id, sealed) in stay.into_iter().zip(&rotation.root_keys) {
            SealedBytes::try_from(Some(sealed.clone()))?;
            self.take_root_key(id, Some(sealed.clone())).await?;
        }
        self.rewrap_collections(list.patient_id, &rotation.collections)
            .await
    }

    async fn take_root_key(&mut self, device: DeviceId, key: Option<pb::Sealed>) -> Result<(), Refusal> {
        let at = tables::device(device);
        let mut row = self.read_existing(&at).await?;
        if let Some(device) = &mut row.device {
            device.root_key = key;
        }
        self.put(&at, &row);
        Ok(())
    }

    async fn rewrap_collections(
        &mut self,
        patient: PatientId,
        collections: &[pb::CollectionEpochs],
    ) -> Result<(), Refusal> {
        // Whoever makes a collection counts it, so that a new one makes this commit fail.
        self.read(&tables::count(*patient.as_bytes(), Counted::Collections))
            .await?;
        let stored = tables::collections(patient)
            .scan(&*self.shared.ledger, MAX_COLLECTIONS)
            .await?;
        let ids = |ids: &mut dyn Iterator<Item = &[u8]>| ids.map(<[u8]>::to_vec).collect::<Vec<_>>();
        let mismatch = |holds| ensure(holds, Problem::EpochMismatch, "not the collections of the vault");
        mismatch(
            ids(&mut stored.iter().map(|(id, _)| id.as_slice()))
                == ids(&mut collections.iter().map(|new| new.collection_id.as_ref())),
        )?;
        for new in collections {
            let key = tables::collection(patient, new.collection_id.as_ref().try_into()?);
            let old = self.read_existing(&key).await?;
            mismatch(new.key_wraps.len() == old.key_wraps.len() + 1)?;
            // The key of an epoch that is closed is gone.
            let mut kept = old.key_wraps.iter().zip(&new.key_wraps);
            mismatch(kept.all(|(old, new)| old.is_empty() == new.is_empty()))?;
            let named = (1..=MAX_SEALED_NAME).contains(&new.sealed_name.len());
            ensure(named, Problem::Malformed, "no sealed name")?;
            for wrap in new
                .key_wraps
                .iter()
                .filter(|wrap| !wrap.is_empty())
                .chain(new.key_wraps.last())
            {
                key_wrap(wrap)?;
            }
            let row = CollectionRow {
                sealed_name: new.sealed_name.clone(),
                key_wraps: new.key_wraps.clone(),
            };
            self.put(&key, &row);
            self.act_of_epoch(patient, new.collection_id.as_ref().try_into()?, &row)
                .await?;
        }
        Ok(())
    }
}

/// Who uses up what has an end: the more it serves to come back, the longer it goes on.
#[derive(Clone, Copy)]
enum Room {
    /// Any change.
    Ordinary,
    /// A removal, or whatever a recovery member signs.
    Reserved,
    /// By a settled recovery member, which no device in wrong hands can have made on the way.
    Settled,
}

impl Room {
    /// How many lists there may be then.
    fn lists(self) -> u64 {
        match self {
            Self::Ordinary => MAX_LISTS - RESERVED_LISTS,
            Self::Reserved => MAX_LISTS,
            Self::Settled => MAX_LISTS + RESERVED_LISTS,
        }
    }

    /// Whether a rotation leaves so many epochs that the next one fits a message (COL-11).
    fn check(self, collections: &[pb::CollectionEpochs]) -> Result<(), Refusal> {
        let parts = match self {
            Self::Ordinary => 0,
            Self::Reserved => 1,
            Self::Settled => 2,
        };
        let reserved = parts * RESERVED_EPOCHS;
        let open = |one: &pb::CollectionEpochs| one.key_wraps.iter().filter(|wrap| !wrap.is_empty()).count();
        let each = collections
            .iter()
            .all(|one| one.key_wraps.len() <= MAX_EPOCHS - RESERVED_EPOCHS + reserved);
        let all = collections.iter().map(open).sum::<usize>();
        ensure(
            each && all <= MAX_OPEN_EPOCHS + reserved * MAX_COLLECTIONS,
            Problem::TooMany,
            "what epochs are left are kept for removals of devices, and then for recovery",
        )
    }
}

impl Tx<'_> {
    /// For whom a list uses up what has an end (DEV-17).
    async fn room(&mut self, list: &DeviceList, before: &DeviceList) -> Result<Room, Refusal> {
        let member = before
            .device(list.signer)
            .is_some_and(ListedDevice::is_for_recovery);
        Ok(if member && self.is_settled(list.signer).await? {
            Room::Settled
        } else if list.may_be_one_of_the_last(before) {
            Room::Reserved
        } else {
            Room::Ordinary
        })
    }
}

/// Notes which root epochs a rotation passes over: there are so many before it.
fn pass_over(row: &mut PatientRow, rotation: &pb::Rotation, list: &DeviceList) -> Result<(), Refusal> {
    let pb::Rotation {
        passed_over: epochs, ..
    } = *rotation;
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

fn key_wrap(wrap: &Bytes) -> Result<Bytes, Refusal> {
    ensure(
        wrap.len() == KEY_WRAP_LEN,
        Problem::Malformed,
        "a wrap is not 104 bytes",
    )?;
    Ok(wrap.clone())
}

/// The newest list, as it was verified before it was stored.
pub(super) fn newest(row: &PatientRow, patient: PatientId) -> Result<Verified<DeviceList>, Refusal> {
    let list = Signed::<DeviceList>::try_from(row.list.clone());
    let signer = DeviceChain::try_from(row.signer.clone());
    list.and_then(|list| verify_newest(list, signer?, patient))
        .map_err(Refusal::damaged)
}

/// Each failure is another device's success.
const MAX_TRIES: usize = 8;
