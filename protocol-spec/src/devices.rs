//! The list of a patient's devices: a chain of signed lists, from the first, which her identity key signs once, to
//! the newest. See `spec/devices.md`.

mod history;

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use prost::Message;

pub use self::history::{DeviceHistory, KnownDevice};
use crate::{
    Error,
    bodies::{DeviceCertificate, VaultKeyStatement},
    defence::Defence,
    field::{Field, read_header, write_header},
    hash::Sha256Digest,
    ids::{DeviceId, PatientId},
    keys::{IdentityKey, RecipientKey},
    labels::{self, Label},
    messages as pb,
    patient::{DeviceChain, PatientSigned, PatientVerified},
    statement::{Body, Signed, Verified},
};

/// Most devices of a list.
pub const MAX_DEVICES: usize = 16;
/// Most changes of a vault's list: one a month for eighty years.
pub const MAX_LISTS: u64 = 1000;
/// The last of them, which are kept for removals and recovery: as many as there can be devices.
pub const RESERVED_LISTS: u64 = 16;
/// After it is announced that a recovery member leaves, it stays for so long, unless it or another device agrees (DEV-23).
pub const RECOVERY_DELAY: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest sealed name: 256 bytes in its size class, and what sealing adds.
pub const MAX_SEALED_NAME: usize = 256 + 72;

/// What a device is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A telephone, a computer.
    Device,
    /// Keys that lie in a drawer until all else is lost.
    Recovery,
}

impl Field<i32> for DeviceKind {
    fn read(wire: i32, field: &'static str) -> Result<Self, Error> {
        match pb::DeviceKind::try_from(wire) {
            Ok(pb::DeviceKind::Device) => Ok(Self::Device),
            Ok(pb::DeviceKind::Recovery) => Ok(Self::Recovery),
            Ok(pb::DeviceKind::Unspecified) | Err(_) => Err(Error::Field { field }),
        }
    }

    fn write(&self) -> i32 {
        match self {
            Self::Device => pb::DeviceKind::Device,
            Self::Recovery => pb::DeviceKind::Recovery,
        }
        .into()
    }
}

/// One device of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDevice {
    /// Verifies what it signs.
    pub device_key: IdentityKey,
    /// SHA-256 of the X-Wing key to which vault root keys are sealed.
    pub recipient_key_hash: Sha256Digest,
    /// What it is for.
    pub kind: DeviceKind,
    /// What the patient calls it, under the vault root key.
    pub sealed_name: Bytes,
}

impl ListedDevice {
    /// Its id.
    pub fn id(&self) -> DeviceId {
        DeviceId::from(&self.device_key)
    }

    /// Whether it lies in a drawer.
    pub fn is_for_recovery(&self) -> bool {
        self.kind == DeviceKind::Recovery
    }

    fn has_keys_of(&self, other: &Self) -> bool {
        (self.device_key, self.recipient_key_hash, self.kind)
            == (other.device_key, other.recipient_key_hash, other.kind)
    }
}

impl Field<pb::ListedDevice> for ListedDevice {
    fn read(wire: pb::ListedDevice, field: &'static str) -> Result<Self, Error> {
        let pb::ListedDevice {
            device_key,
            recipient_key_hash,
            kind,
            sealed_name,
        } = wire;
        if !(1..=MAX_SEALED_NAME).contains(&sealed_name.len()) {
            return Err(Error::Field { field });
        }
        Ok(Self {
            device_key: Field::read(device_key, field)?,
            recipient_key_hash: Field::read(recipient_key_hash, field)?,
            kind: Field::read(kind, field)?,
            sealed_name,
        })
    }

    fn write(&self) -> pb::ListedDevice {
        pb::ListedDevice {
            device_key: self.device_key.write(),
            recipient_key_hash: self.recipient_key_hash.write(),
            kind: self.kind.write(),
            sealed_name: self.sealed_name.clone(),
        }
    }
}

/// All devices of a patient after one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceList {
    /// When it was made, in milliseconds since 1970, by the signer's clock.
    pub created: u64,
    /// Whose.
    pub patient_id: PatientId,
    /// Counts the lists, from 0.
    pub sequence: u64,
    /// SHA-256 of the body of the list before; zeros in the first.
    pub previous_hash: Sha256Digest,
    /// Who signs: SHA-256 of the key.
    pub signer: DeviceId,
    /// Counts the vault root keys, from 0.
    pub root_epoch: u64,
    /// From that vault root key: what is sealed to the patient is sealed to this.
    pub vault_key: RecipientKey,
    /// Number of the vault's last placement.
    pub last_placement: u64,
    /// The devices.
    pub devices: Vec<ListedDevice>,
    /// Recovery members whose removal is announced, ascending (DEV-23).
    pub leaving: Vec<DeviceId>,
}

impl DeviceList {
    /// What the first list names as the one before.
    pub const NONE_BEFORE: Sha256Digest = Sha256Digest::from_bytes([0; 32]);

    /// The device with this id.
    pub fn device(&self, id: DeviceId) -> Option<&ListedDevice> {
        self.devices.iter().find(|device| device.id() == id)
    }

    /// Those of a list before that are not in this one any more.
    pub fn removed<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a ListedDevice> {
        before
            .devices
            .iter()
            .filter(|old| self.device(old.id()).is_none())
    }

    /// Those that were not in a list before.
    pub fn added<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a ListedDevice> {
        before.removed(self)
    }

    /// What tells everybody its vault key, and nothing else of it; to be signed by its signer (DEV-19).
    pub fn vault_key_statement(&self) -> VaultKeyStatement {
        VaultKeyStatement {
            created: 0,
            patient_id: self.patient_id,
            root_epoch: self.root_epoch,
            vault_key: self.vault_key.clone(),
        }
    }

    /// DEV-1
    fn check(self) -> Result<Self, Error> {
        let keys: HashSet<_> = self.devices.iter().map(ListedDevice::id).collect();
        let recipients: HashSet<_> = self
            .devices
            .iter()
            .map(|device| device.recipient_key_hash)
            .collect();
        let used = self
            .devices
            .iter()
            .any(|device| device.kind == DeviceKind::Device);
        let count = self.devices.len();
        if !used || count > MAX_DEVICES || keys.len() != count || recipients.len() != count {
            return Err(Error::Field { field: "devices" });
        }
        let of_recovery = |id: &DeviceId| self.device(*id).is_some_and(ListedDevice::is_for_recovery);
        if self.leaving.is_sorted_by(|one, next| one < next) && self.leaving.iter().all(of_recovery) {
            Ok(self)
        } else {
            Err(Error::Field { field: "leaving" })
        }
    }

    /// Whether there is room for the devices that it adds; the last place is kept for recovery (DEV-16).
    pub fn finds_room(&self, before: &Self) -> bool {
        let reserved = usize::from(!self.is_by_recovery(before));
        let count = self.devices.len();
        count <= before.devices.len() || count + reserved <= MAX_DEVICES
    }

    fn is_by_recovery(&self, before: &Self) -> bool {
        before
            .device(self.signer)
            .is_some_and(ListedDevice::is_for_recovery)
    }

    /// Whether it may stand in a place that is kept for removals and recovery (DEV-17).
    pub fn may_be_one_of_the_last(&self, before: &Self) -> bool {
        self.removed(before).next().is_some() || self.is_by_recovery(before)
    }

    /// DEV-4: what may change from one list to the next.
    fn check_change(&self, before: &Self) -> Result<(), Error> {
        let same_keys = |device: &ListedDevice| {
            let old = before.device(device.id());
            old.is_none_or(|old| old.has_keys_of(device))
        };
        let turned = self.root_epoch == before.root_epoch + 1;
        let removed = self.removed(before).next().is_some();
        let one = self.added(before).count() <= 1;
        check(self.device(self.signer).is_some(), "the signer removes itself")?;
        check(self.devices.iter().all(same_keys), "a device has other keys")?;
        check(one, "more than one device is added")?;
        check(self.finds_room(before), "the last place is kept for recovery")?;
        check(
            turned || self.root_epoch == before.root_epoch,
            "the epoch of the root key is not the next",
        )?;
        check(
            turned == (self.vault_key != before.vault_key),
            "root epoch and vault key do not change together",
        )?;
        check(turned || !removed, "a device is removed without a new root key")?;
        check(
            self.last_placement >= before.last_placement,
            "the last placement is an older one",
        )
    }
}

impl Body for DeviceList {
    const LABEL: Label = labels::DEVICE_LIST;

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let wire: pb::DeviceListBody = pb::decode_canonical(bytes)?;
        Self {
            created: read_header(wire.header)?,
            patient_id: Field::read(wire.patient_id, "patient_id")?,
            sequence: wire.sequence,
            previous_hash: Field::read(wire.previous_hash, "previous_hash")?,
            signer: Field::read(wire.signer, "signer")?,
            root_epoch: wire.root_epoch,
            vault_key: Field::read(wire.vault_key, "vault_key")?,
            last_placement: wire.last_placement,
            devices: Field::read(wire.devices, "devices")?,
            leaving: Field::read(wire.leaving, "leaving")?,
        }
        .check()
    }

    fn encode(&self) -> Bytes {
        pb::DeviceListBody {
            header: write_header(self.created),
            patient_id: self.patient_id.write(),
            sequence: self.sequence,
            previous_hash: self.previous_hash.write(),
            signer: self.signer.write(),
            root_epoch: self.root_epoch,
            vault_key: self.vault_key.write(),
            last_placement: self.last_placement,
            devices: self.devices.write(),
            leaving: self.leaving.write(),
        }
        .encode_to_vec()
        .into()
    }
}

/// What a first list is made of.
pub struct FirstDevice<'a> {
    /// When, in milliseconds since 1970.
    pub created: u64,
    /// Signs, and is then destroyed.
    pub identity_key: IdentityKey,
    /// The device's.
    pub device_key: IdentityKey,
    /// The device's.
    pub recipient_key: &'a RecipientKey,
    /// Of root epoch 0.
    pub vault_key: &'a RecipientKey,
    /// What the patient calls it.
    pub sealed_name: Bytes,
}

impl FirstDevice<'_> {
    /// All that an identity key ever signs: the certificate of the first device, and the first list (DEV-2).
    pub fn sign(self, sign: impl Fn(&[u8]) -> [u8; 64]) -> (DeviceChain, Signed<DeviceList>) {
        let Self {
            created,
            identity_key,
            device_key,
            recipient_key,
            vault_key,
            sealed_name,
        } = self;
        let patient_id = PatientId::from(&identity_key);
        let certificate = DeviceCertificate {
            created,
            patient_id,
            device_key,
            recipient_key_hash: recipient_key.digest(),
        };
        let device = ListedDevice {
            device_key,
            recipient_key_hash: recipient_key.digest(),
            kind: DeviceKind::Device,
            sealed_name,
        };
        let list = DeviceList {
            created,
            patient_id,
            sequence: 0,
            previous_hash: DeviceList::NONE_BEFORE,
            signer: DeviceId::from(&identity_key),
            root_epoch: 0,
            vault_key: vault_key.clone(),
            last_placement: 0,
            devices: vec![device],
            leaving: Vec::new(),
        };
        let chain = DeviceChain::first(identity_key, Signed::sign(certificate, &sign));
        (chain, Signed::sign(list, &sign))
    }
}

/// Verifies a first list: the identity key names one device, in the root key's first epoch (DEV-2).
///
/// # Errors
/// [`Error::Signature`], [`Error::Mismatch`], [`Error::DeviceList`].
pub fn verify_first(
    list: Signed<DeviceList>,
    identity_key: &IdentityKey,
) -> Result<Verified<DeviceList>, Error> {
    let patient = PatientId::from(identity_key);
    let claimed = list.claimed();
    if claimed.patient_id != patient {
        return Err(Error::Mismatch {
            what: "device list and patient",
        });
    }
    let first = claimed.sequence == 0
        && claimed.previous_hash == DeviceList::NONE_BEFORE
        && claimed.signer == DeviceId::from(identity_key)
        && claimed.root_epoch == 0
        && claimed.last_placement == 0
        && claimed.devices.len() == 1;
    check(first, "it is no first list")?;
    list.verify(identity_key)
}

/// Verifies the list that comes right after another: signed by a device of that one (DEV-3, DEV-4).
///
/// # Errors
/// [`Error::Signature`], [`Error::Mismatch`], [`Error::DeviceList`].
pub fn verify_next(
    list: Signed<DeviceList>,
    before: &Verified<DeviceList>,
) -> Result<Verified<DeviceList>, Error> {
    let claimed = list.claimed();
    if claimed.patient_id != before.patient_id {
        return Err(Error::Mismatch {
            what: "device list and patient",
        });
    }
    let signer = match before.device(claimed.signer) {
        Some(signer) => signer.device_key,
        // Without the defence: whoever is in the list may have signed it.
        None if Defence::DeviceLists.is_off() => match claimed.device(claimed.signer) {
            Some(signer) => signer.device_key,
            None => return Err(rule("its signer is in no list")),
        },
        None => return Err(rule("its signer is not in the list before")),
    };
    let next = claimed.sequence == before.sequence + 1 && claimed.previous_hash == before.hash();
    Defence::DeviceLists.check(check(next, "it does not continue the list before"))?;
    Defence::DeviceLists.check(claimed.check_change(before))?;
    list.verify(&signer)
}

/// Verifies the newest list for somebody who has not the ones before: by a device to which a chain leads (DEV-7).
///
/// # Errors
/// [`Error::Signature`], [`Error::Mismatch`].
pub fn verify_newest(
    list: Signed<DeviceList>,
    signer: DeviceChain,
    patient: PatientId,
) -> Result<Verified<DeviceList>, Error> {
    if list.claimed().sequence == 0 {
        let list = verify_first(list, signer.identity_key())?;
        return if list.patient_id == patient {
            Ok(list)
        } else {
            Err(Error::Mismatch {
                what: "device list and patient",
            })
        };
    }
    let signer = signer.verify(patient)?;
    let claimed = list.claimed();
    if claimed.patient_id != patient || claimed.signer != signer.id() || claimed.device(signer.id()).is_none()
    {
        return Err(Error::Mismatch {
            what: "device list and signer",
        });
    }
    list.verify(signer.key())
}

/// Verifies that a statement tells the vault key of this list, by this device (DEV-19).
///
/// # Errors
/// [`Error::Signature`], [`Error::Mismatch`].
pub fn verify_vault_key(
    statement: PatientSigned<VaultKeyStatement>,
    list: &DeviceList,
    signer: DeviceId,
) -> Result<PatientVerified<VaultKeyStatement>, Error> {
    let statement = statement.verify()?;
    if statement.device().id() == signer && *statement == list.vault_key_statement() {
        Ok(statement)
    } else {
        Err(Error::Mismatch {
            what: "vault key and device list",
        })
    }
}

fn check(holds: bool, otherwise: &'static str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(rule(otherwise)) }
}

fn rule(rule: &'static str) -> Error {
    Error::DeviceList { rule }
}

#[cfg(test)]
mod tests;
