//! Devices of a patient: the first, and those that come and go.

use bytes::Bytes;
use protocol_spec::{
    bodies::DeviceCertificate,
    devices::{DeviceKind, DeviceList, ListedDevice},
    hash::sha256,
    ids::DeviceId,
    keys::{IdentityKey, RecipientKey},
    labels, messages as pb,
    patient::DeviceChain,
    statement::Signed,
};

use crate::{
    key::{KeyPair, recipient, sealed},
    patient::Patient,
};

/// What a device opens of its offer.
const NONCE: [u8; 32] = [9; 32];

/// A device in a list, with filler for its name.
pub fn listed(device: &IdentityKey, recipient: &RecipientKey, kind: DeviceKind) -> ListedDevice {
    ListedDevice {
        device_key: *device,
        recipient_key_hash: recipient.digest(),
        kind,
        sealed_name: vec![2; 136].into(),
    }
}

/// A device as the server is told of it, with filler for the root key.
pub fn new_device(chain: &DeviceChain, recipient: &RecipientKey) -> pb::NewDevice {
    pb::NewDevice {
        chain: Some(chain.into()),
        recipient_key: Bytes::copy_from_slice(recipient.as_bytes()),
        root_key: Some((&sealed()).into()),
        approval: Bytes::new(),
    }
}

impl Patient {
    /// The message that enrols her with this device, whose X-Wing key her list names.
    pub fn enrolment(&self) -> pb::EnrolPatient {
        self.enrolment_with(&self.list.claimed().vault_key)
    }

    /// The message that enrols her with this device and X-Wing key.
    pub fn enrolment_with(&self, recipient: &RecipientKey) -> pb::EnrolPatient {
        pb::EnrolPatient {
            list: Some(self.list.to_message()),
            device: Some(new_device(&self.chain, recipient)),
            vault_key: Some(self.vault_key(self.list.claimed())),
            ..pb::EnrolPatient::default()
        }
    }

    /// What tells others the vault key of a list.
    pub fn vault_key(&self, list: &DeviceList) -> pb::PatientStatement {
        self.says(list.vault_key_statement())
    }

    /// The next list as this device would sign it, changed.
    pub fn next_list(&self, change: impl FnOnce(&mut DeviceList)) -> Signed<DeviceList> {
        let before = self.list.claimed();
        let mut next = DeviceList {
            created: self.at.now(),
            sequence: before.sequence + 1,
            previous_hash: self.list.hash(),
            signer: self.device_id(),
            ..before.clone()
        };
        change(&mut next);
        self.device.signed(next)
    }

    /// Certifies a device, and lists it.
    pub fn adopts(
        &self,
        listed: ListedDevice,
        change: impl FnOnce(&mut DeviceList),
    ) -> (DeviceChain, Signed<DeviceList>) {
        let certificate = DeviceCertificate {
            created: self.at.now(),
            patient_id: self.id,
            device_key: listed.device_key,
            recipient_key_hash: listed.recipient_key_hash,
        };
        let chain = self.chain.extended(self.device.signed(certificate)).unwrap();
        let list = self.next_list(|list| {
            list.devices.push(listed);
            change(list);
        });
        (chain, list)
    }

    /// Adds a device with this seed; the message, and the patient as she is on it.
    pub fn adding(&self, seed: u8) -> (pb::ChangeDevices, Self) {
        self.adding_of(seed, DeviceKind::Device)
    }

    /// Adds a device of a kind.
    pub fn adding_of(&self, seed: u8, kind: DeviceKind) -> (pb::ChangeDevices, Self) {
        let (device, recipient) = (KeyPair::new(seed), recipient(seed));
        let (chain, list) = self.adopts(listed(&device.public(), &recipient, kind), |_| ());
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            added: Some(new_device(&chain, &recipient)),
            rotation: None,
        };
        let added = Self {
            device,
            chain,
            list,
            ..self.clone()
        };
        (message, added)
    }

    /// Removes another device, with a new root key; the message and the list.
    pub fn removing(
        &self,
        device: DeviceId,
        collections: Vec<pb::CollectionEpochs>,
    ) -> (pb::ChangeDevices, Signed<DeviceList>) {
        let list = self.next_list(|list| {
            list.devices.retain(|listed| listed.id() != device);
            list.leaving.retain(|id| *id != device);
            list.root_epoch += 1;
            list.vault_key = recipient(200);
        });
        let root_keys = list.claimed().devices.iter().map(|_| (&sealed()).into());
        let rotation = pb::Rotation {
            root_keys: root_keys.collect(),
            previous_root_key: vec![5; 104].into(),
            collections,
            vault_key: Some(self.vault_key(list.claimed())),
            passed_over: 0,
        };
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            added: None,
            rotation: Some(rotation),
        };
        (message, list)
    }

    /// What a new device offers.
    pub fn link_offer(&self) -> pb::LinkOffer {
        pb::LinkOffer {
            device_key: self.device.bytes(),
            recipient_key: Bytes::copy_from_slice(recipient(0).as_bytes()),
            commitment: Bytes::copy_from_slice(&sha256(&[&labels::LINK_COMMITMENT.bytes(), &NONCE])),
        }
    }

    /// What a new device opens of its offer, once there is an answer.
    pub fn link_opening(&self) -> pb::LinkOpening {
        pb::LinkOpening {
            device_key: self.device.bytes(),
            nonce: Bytes::from_static(&NONCE),
        }
    }
}
