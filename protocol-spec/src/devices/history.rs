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
    /// Who signed that list; itself for the first device.
    pub added_by: DeviceId,
    /// Who vouches for it now: who added it, or whoever has signed the list that removed who vouched before; itself,
    /// if that is itself (DEV-22).
    voucher: DeviceId,
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
    /// Of those that are leaving: who has announced it, and with which list.
    announced: BTreeMap<DeviceId, (DeviceId, u64)>,
}

impl DeviceHistory {
    /// Begins with the first list.
    pub fn begin(list: Signed<DeviceList>, identity_key: &IdentityKey) -> Result<Self, Error> {
        let newest = verify_first(list, identity_key)?;
        let mut history = Self {
            newest: newest.clone(),
            devices: BTreeMap::new(),
            announced: BTreeMap::new(),
        };
        history.note(newest);
        Ok(history)
    }

    /// Takes in the next list. Fails as [`verify_next`] does, and when a device that was removed comes back.
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
            // The identity key is no device: the first one vouches for itself.
            let added_by = if list.sequence == 0 {
                device.id()
            } else {
                list.signer
            };
            let known = self.devices.entry(device.id()).or_insert_with(|| KnownDevice {
                listed: device.clone(),
                root_epoch: list.root_epoch,
                added: list.sequence,
                added_by,
                voucher: added_by,
                placed_before: list.last_placement,
                placed_until: None,
            });
            known.listed = device.clone();
            known.root_epoch = list.root_epoch;
            if list.device(known.voucher).is_none() {
                known.voucher = list.signer;
            }
        }
        self.announced.retain(|id, _| list.leaving.contains(id));
        for id in &list.leaving {
            self.announced.entry(*id).or_insert((list.signer, list.sequence));
        }
        self.newest = list;
    }

    /// The newest list that was taken in.
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

    /// Who has announced that a recovery member leaves, and with which list (DEV-23).
    pub fn announced(&self, id: DeviceId) -> Option<(DeviceId, u64)> {
        self.announced.get(&id).copied()
    }

    /// The devices through which one came to the list, itself first: what it holds, it holds by their word.
    pub fn came_through(&self, id: DeviceId) -> Vec<DeviceId> {
        let mut through = vec![id];
        let mut at = id;
        while let Some(known) = self.devices.get(&at) {
            if through.contains(&known.voucher) {
                break;
            }
            at = known.voucher;
            through.push(at);
        }
        through
    }

    /// The devices of the newest list that are there by the word of another one, directly or by way of one another; those
    /// that are spared are not, and nobody is by way of them (DEV-22).
    pub fn there_by(&self, id: DeviceId, spared: impl Fn(DeviceId) -> bool) -> Vec<DeviceId> {
        let mut there = Vec::new();
        let mut of = vec![id];
        while let Some(by) = of.pop() {
            let listed = self.newest.devices.iter().map(ListedDevice::id);
            let vouched = |id: &DeviceId| self.devices.get(id).is_some_and(|known| known.voucher == by);
            let more = listed.filter(|next| vouched(next) && *next != by && !spared(*next));
            let more: Vec<_> = more.filter(|next| !there.contains(next)).collect();
            there.extend(&more);
            of.extend(more);
        }
        there
    }

    /// The devices of the newest list that were added by these, which are gone, directly or by way of one another: what a
    /// removal that was broken off has left there. Those that are spared are not (DEV-22).
    pub fn left_by(&self, gone: &[DeviceId], spared: impl Fn(DeviceId) -> bool) -> Vec<DeviceId> {
        let mut left = Vec::new();
        let next = |left: &[DeviceId]| {
            let by = |known: &KnownDevice| gone.contains(&known.added_by) || left.contains(&known.added_by);
            let mut listed = self.newest.devices.iter().map(ListedDevice::id);
            listed.find(|id| !left.contains(id) && !spared(*id) && self.devices.get(id).is_some_and(by))
        };
        while let Some(id) = next(&left) {
            left.push(id);
        }
        left
    }

    /// All devices that were removed.
    pub fn removed(&self) -> Vec<DeviceId> {
        let removed = self.devices.iter().filter(|(_, known)| known.is_removed());
        removed.map(|(id, _)| *id).collect()
    }

    /// The devices that were removed and had been added by this one, directly or by way of one another; itself first.
    pub fn gone_with(&self, id: DeviceId) -> Vec<DeviceId> {
        let mut gone = vec![id];
        let mut at = 0;
        while let Some(by) = gone.get(at).copied() {
            at += 1;
            let removed = self.devices.iter().filter(|(_, known)| known.is_removed());
            let added = removed
                .filter(|(_, known)| known.added_by == by)
                .map(|(id, _)| *id);
            let added: Vec<_> = added.filter(|id| !gone.contains(id)).collect();
            gone.extend(added);
        }
        gone
    }
}
