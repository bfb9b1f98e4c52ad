//! The list of a patient's devices: a chain of signed lists, from the first, which her identity key signs once,
//! to the newest. See `spec/devices.md`.

mod history;

use std::time::Duration;

use bytes::Bytes;

pub use self::history::{DeviceHistory, KnownDevice};
pub use crate::bodies::{DeviceKind, DeviceList, ListedDevice, MAX_DEVICES, MAX_SEALED_NAME};
use crate::{
    Error,
    bodies::{DeviceCertificate, VaultKeyStatement},
    defence::Defence,
    ids::{DeviceId, PatientId},
    keys::{IdentityKey, RecipientKey},
    patient::{DeviceChain, PatientSigned, PatientVerified},
    statement::{Signed, Verified},
};

/// Most changes of a vault's list: one a month for eighty years.
pub const MAX_LISTS: u64 = 1000;
/// The last of them, which are kept for removals and recovery: as many as there can be devices.
pub const RESERVED_LISTS: u64 = 16;
/// After it is announced that a recovery member leaves, it stays for so long, unless it or another device agrees (DEV-23).
pub const RECOVERY_DELAY: Duration = Duration::from_secs(7 * 24 * 3600);

impl ListedDevice {
    fn has_keys_of(&self, other: &Self) -> bool {
        (self.device_key, self.recipient_key_hash, self.kind)
            == (other.device_key, other.recipient_key_hash, other.kind)
    }
}

impl DeviceList {
    /// What tells everybody its vault key, and nothing else of it; to be signed by its signer (DEV-19).
    pub fn vault_key_statement(&self) -> VaultKeyStatement {
        VaultKeyStatement {
            created: 0,
            patient_id: self.patient_id,
            root_epoch: self.root_epoch,
            vault_key: self.vault_key.clone(),
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

/// The values of which a patient's first list of devices is made.
pub struct FirstDevice<'a> {
    /// When the list is made, in milliseconds since 1970.
    pub created: u64,
    /// The patient's identity key, which signs the list and is then destroyed.
    pub identity_key: IdentityKey,
    /// The key that verifies what the device signs.
    pub device_key: IdentityKey,
    /// The X-Wing key to which vault root keys are sealed for the device.
    pub recipient_key: &'a RecipientKey,
    /// The vault key of root epoch 0.
    pub vault_key: &'a RecipientKey,
    /// The patient's name for the device, under the vault root key.
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
