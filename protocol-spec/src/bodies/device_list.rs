//! All devices of a patient after one change. See `spec/devices.md` §1.

use std::collections::HashSet;

use bytes::Bytes;

use crate::{
    Error,
    declare::{bodies, fields},
    field::Field,
    hash::Sha256Digest,
    ids::{DeviceId, PatientId},
    keys::{IdentityKey, RecipientKey},
    messages as pb,
};

/// Most devices of a list.
pub const MAX_DEVICES: usize = 16;
/// Longest sealed name: 256 bytes in its size class, and what sealing adds.
pub const MAX_SEALED_NAME: usize = 256 + 72;

/// What a device is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A telephone or computer that the patient uses.
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

fields! {
    /// One device of a list.
    #[derive(Clone, Debug, PartialEq, Eq)]
    ListedDevice: ListedDevice where is_named {
        device_key: IdentityKey,
        /// SHA-256 of the X-Wing key to which vault root keys are sealed.
        recipient_key_hash: Sha256Digest,
        kind: DeviceKind,
        /// What the patient calls it, under the vault root key.
        sealed_name: Bytes,
    }
}

bodies! {
    /// All devices of a patient after one change.
    DeviceList: DeviceListBody, DEVICE_LIST = "medvault/v1 device list", by identity or device where check {
        patient_id: PatientId,
        /// Counts the lists, from 0.
        sequence: u64,
        /// SHA-256 of the body of the list before; zeros in the first.
        previous_hash: Sha256Digest,
        /// Device that signs this list.
        signer: DeviceId,
        /// Counts the vault root keys, from 0.
        root_epoch: u64,
        /// Key that follows from that vault root key: what is sealed to the patient is sealed to this.
        vault_key: RecipientKey,
        /// Number of the vault's last placement.
        last_placement: u64,
        devices: Vec<ListedDevice>,
        /// Recovery members whose removal is announced, ascending (DEV-23).
        leaving: Vec<DeviceId>,
    }
}

impl ListedDevice {
    /// The device's id, which follows from its key.
    pub fn id(&self) -> DeviceId {
        DeviceId::from(&self.device_key)
    }

    /// Whether it lies in a drawer.
    pub fn is_for_recovery(&self) -> bool {
        self.kind == DeviceKind::Recovery
    }

    fn is_named(&self) -> Result<(), Error> {
        if (1..=MAX_SEALED_NAME).contains(&self.sealed_name.len()) {
            Ok(())
        } else {
            Err(Error::Field { field: "sealed_name" })
        }
    }
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

    /// What DEV-1 asks of every list.
    fn check(&self) -> Result<(), Error> {
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
            Ok(())
        } else {
            Err(Error::Field { field: "leaving" })
        }
    }
}
