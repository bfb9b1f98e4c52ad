//! All lists of a patient's devices, one after the other, and what follows from them for each device.

use std::collections::BTreeMap;

use super::{DeviceList, ListedDevice, check, verify_first, verify_next};
use crate::{
    Error,
    defence::Defence,
    ids::DeviceId,
    keys::IdentityKey,
    statement::{Signed, Verified},
};

/// What is known of a device that is, or was, in the lists.
#[derive(Clone, Debug)]
pub struct KnownDevice {
    /// As the newest list that has it says.
    pub listed: ListedDevice,
    /// Of the vault root key that its name is sealed under.
    pub root_epoch: u64,
    /// The list that added it.
    pub added: u64,
    /// Number of the last placement before it was added.
    placed_before: u64,
    /// Number of the last placement before it was removed.
    placed_until: Option<u64>,
}

impl KnownDevice {
    /// Whether the newest list does not have it any more.
    pub fn is_removed(&self) -> bool {
        self.placed_until.is_some()
    }
}

/// All lists of a patient's devices, verified one by one.
#[derive(Clone, Debug)]
pub struct DeviceHistory {
    newest: Verified<DeviceList>,
    devices: BTreeMap<DeviceId, KnownDevice>,
}

impl DeviceHistory {
    /// Begins with the first list.
    ///
    /// # Errors
    /// As [`verify_first`].
    pub fn begin(list: Signed<DeviceList>, identity_key: &IdentityKey) -> Result<Self, Error> {
        let newest = verify_first(list, identity_key)?;
        let mut history = Self {
            newest: newest.clone(),
            devices: BTreeMap::new(),
        };
        history.note(newest);
        Ok(history)
    }

    /// Takes in the next list.
    ///
    /// # Errors
    /// As [`verify_next`]; also when a device that was removed comes back.
    pub fn extend(&mut self, list: Signed<DeviceList>) -> Result<(), Error> {
        let list = verify_next(list, &self.newest)?;
        let back = list.devices.iter().any(|device| {
            let known = self.devices.get(&device.id());
            known.is_some_and(KnownDevice::is_removed)
        });
        Defence::DeviceLists.check(check(!back, "a removed device comes back"))?;
        self.note(list);
        Ok(())
    }

    fn note(&mut self, list: Verified<DeviceList>) {
        for (id, known) in &mut self.devices {
            if list.device(*id).is_none() {
                known.placed_until.get_or_insert(list.last_placement);
            }
        }
        for device in &list.devices {
            let known = self.devices.entry(device.id()).or_insert_with(|| KnownDevice {
                listed: device.clone(),
                root_epoch: list.root_epoch,
                added: list.sequence,
                placed_before: list.last_placement,
                placed_until: None,
            });
            known.listed = device.clone();
            known.root_epoch = list.root_epoch;
        }
        self.newest = list;
    }

    /// The newest list.
    pub fn newest(&self) -> &Verified<DeviceList> {
        &self.newest
    }

    /// A device that is or was in the lists.
    pub fn device(&self, id: DeviceId) -> Option<&KnownDevice> {
        self.devices.get(&id)
    }

    /// Whether a device may have made the placement with this number: it was in the list then (DEV-8).
    pub fn may_have_placed(&self, id: DeviceId, number: u64) -> bool {
        self.devices.get(&id).is_some_and(|known| {
            number > known.placed_before && known.placed_until.is_none_or(|until| number <= until)
        })
    }
}
