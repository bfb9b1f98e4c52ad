//! Principals with their keys, and what they sign.

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use protocol_spec::{
    bodies::{
        Accreditation, Denial, DeviceCertificate, DownloadRequest, EpochClosure, InstitutionKeys, Placement,
        ReferenceRequest, Revocation, UploadRequest,
    },
    devices::{DeviceKind, DeviceList, FirstDevice, ListedDevice},
    field::SealedBytes,
    hash::{Sha256Digest, sha256},
    ids::{DeviceId, InstitutionId, OperatorId, PatientId, RegistrarId},
    keys::{IdentityKey, RecipientKey},
    labels, messages as pb,
    patient::{DeviceChain, OfPatient, PatientSigned},
    permission::{PermissionBody, SignedPermission},
    statement::{Body, Signed},
};

pub(super) const SECRET: &[u8] = b"opened from the accreditation";

pub(super) fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn public(key: &SigningKey) -> IdentityKey {
    IdentityKey::try_from(key.verifying_key().as_bytes().as_slice()).unwrap()
}

pub(super) fn signed<T: Body>(body: T, key: &SigningKey) -> Signed<T> {
    Signed::sign(body, |message| key.sign(message).to_bytes())
}

fn recipient_key() -> RecipientKey {
    numbered_key(0)
}

/// An X-Wing key of the right form, one for each number.
pub(super) fn numbered_key(number: u8) -> RecipientKey {
    let mut key = [0; RecipientKey::LEN];
    key[1184] = 9;
    key[1152] = number;
    RecipientKey::try_from(&key[..]).unwrap()
}

/// What could be an HPKE seal.
pub(super) fn sealed() -> SealedBytes {
    SealedBytes {
        enc: Bytes::from(vec![3; SealedBytes::ENC_LEN]),
        ciphertext: Bytes::from(vec![4; 80]),
    }
}

/// A patient on one of her devices.
#[derive(Clone)]
pub(super) struct Patient {
    pub(super) id: PatientId,
    pub(super) device: SigningKey,
    pub(super) chain: DeviceChain,
    /// As this device knows it.
    pub(super) list: Signed<DeviceList>,
}

impl Patient {
    pub(super) fn new(seed: u8) -> Self {
        Self::with_device(seed, seed + 100)
    }

    pub(super) fn with_device(seed: u8, device: u8) -> Self {
        let (identity, device) = (signing_key(seed), signing_key(device));
        let first = FirstDevice {
            created: 1,
            identity_key: public(&identity),
            device_key: public(&device),
            recipient_key: &recipient_key(),
            vault_key: &recipient_key(),
            sealed_name: vec![1; 136].into(),
        };
        let (chain, list) = first.sign(|message| identity.sign(message).to_bytes());
        Self {
            id: PatientId::from(&public(&identity)),
            device,
            chain,
            list,
        }
    }

    pub(super) fn device_id(&self) -> DeviceId {
        DeviceId::from(&public(&self.device))
    }

    pub(super) fn enrolment(&self) -> pb::EnrolPatient {
        pb::EnrolPatient {
            list: Some(self.list.to_message()),
            device: Some(new_device(&self.chain, 0)),
            vault_key: Some(self.vault_key(self.list.claimed())),
            ..pb::EnrolPatient::default()
        }
    }

    /// What tells others the vault key of a list.
    pub(super) fn vault_key(&self, list: &DeviceList) -> pb::PatientStatement {
        self.statement(list.vault_key_statement()).0
    }

    /// The next list as this device would sign it, changed.
    pub(super) fn next_list(&self, change: impl FnOnce(&mut DeviceList)) -> Signed<DeviceList> {
        let before = self.list.claimed();
        let mut next = DeviceList {
            sequence: before.sequence + 1,
            previous_hash: self.list.hash(),
            signer: self.device_id(),
            ..before.clone()
        };
        change(&mut next);
        signed(next, &self.device)
    }

    /// Adds a device with this seed; the message, and the patient as she is on it.
    pub(super) fn adding(&self, seed: u8) -> (pb::ChangeDevices, Self) {
        self.adding_of(seed, DeviceKind::Device)
    }

    /// The same of a kind.
    pub(super) fn adding_of(&self, seed: u8, kind: DeviceKind) -> (pb::ChangeDevices, Self) {
        let device = signing_key(seed);
        let certificate = DeviceCertificate {
            created: 1,
            patient_id: self.id,
            device_key: public(&device),
            recipient_key_hash: numbered_key(seed).digest(),
        };
        let chain = self.chain.extended(signed(certificate, &self.device)).unwrap();
        let list = self.next_list(|list| {
            list.devices.push(ListedDevice {
                device_key: public(&device),
                recipient_key_hash: numbered_key(seed).digest(),
                kind,
                sealed_name: vec![2; 136].into(),
            });
        });
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            added: Some(new_device(&chain, seed)),
            rotation: None,
        };
        let added = Self {
            id: self.id,
            device,
            chain,
            list,
        };
        (message, added)
    }

    /// Removes another device, with a new root key; the message and the list.
    pub(super) fn removing(
        &self,
        device: DeviceId,
        collections: Vec<pb::CollectionEpochs>,
    ) -> (pb::ChangeDevices, Signed<DeviceList>) {
        let list = self.next_list(|list| {
            list.devices.retain(|listed| listed.id() != device);
            list.leaving.retain(|id| *id != device);
            list.root_epoch += 1;
            list.vault_key = numbered_key(200);
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
    pub(super) fn link_offer(&self) -> pb::LinkOffer {
        pb::LinkOffer {
            device_key: Bytes::copy_from_slice(public(&self.device).as_bytes()),
            recipient_key: Bytes::copy_from_slice(recipient_key().as_bytes()),
            commitment: Bytes::copy_from_slice(&sha256(&[&labels::LINK_COMMITMENT.bytes(), &[9; 32]])),
        }
    }

    /// What it opens, once there is an answer.
    pub(super) fn link_opening(&self) -> pb::LinkOpening {
        pb::LinkOpening {
            device_key: Bytes::copy_from_slice(public(&self.device).as_bytes()),
            nonce: Bytes::from_static(&[9; 32]),
        }
    }

    pub(super) fn closure(&self, body: EpochClosure) -> pb::CloseEpoch {
        pb::CloseEpoch {
            closure: Some(self.statement(body).0),
        }
    }

    pub(super) fn statement<T: OfPatient>(&self, body: T) -> (pb::PatientStatement, Sha256Digest) {
        let statement = PatientSigned::new(signed(body, &self.device), self.chain.clone());
        ((&statement).into(), statement.hash())
    }

    pub(super) fn upload_request(&self, body: UploadRequest) -> (pb::PatientStatement, Sha256Digest) {
        self.statement(body)
    }

    pub(super) fn placement(&self, body: Placement) -> pb::PatientStatement {
        self.statement(body).0
    }

    pub(super) fn denial(&self, body: Denial) -> pb::SubmitDenial {
        pb::SubmitDenial {
            denial: Some(self.statement(body).0),
        }
    }

    pub(super) fn revocation(&self, permission: &PermissionBody) -> pb::SubmitRevocation {
        let body = Revocation {
            created: 1,
            permission_id: permission.permission_id,
            permission_hash: Sha256Digest::of(&permission.encode()),
            patient_id: self.id,
        };
        pb::SubmitRevocation {
            revocation: Some(self.statement(body).0),
        }
    }

    pub(super) fn permission(&self, body: &PermissionBody) -> pb::Permission {
        let sign = |message: &[u8]| self.device.sign(message).to_bytes();
        let signed = SignedPermission::sign(body.encode(), sealed(), self.chain.clone(), sign);
        (&signed.unwrap()).into()
    }
}

fn new_device(chain: &DeviceChain, number: u8) -> pb::NewDevice {
    pb::NewDevice {
        chain: Some(chain.into()),
        recipient_key: Bytes::copy_from_slice(numbered_key(number).as_bytes()),
        root_key: Some((&sealed()).into()),
        approval: Bytes::new(),
    }
}

#[derive(Clone)]
pub(super) struct Hospital {
    pub(super) id: InstitutionId,
    pub(super) key: SigningKey,
    pub(super) keys: Signed<InstitutionKeys>,
    pub(super) accreditation: Signed<Accreditation>,
}

impl Hospital {
    pub(super) fn new(seed: u8, registrar: &SigningKey, operator: OperatorId) -> Self {
        Self::accredited(seed, registrar, operator, false)
    }

    /// One that may open in emergencies, or may not.
    pub(super) fn accredited(
        seed: u8,
        registrar: &SigningKey,
        operator: OperatorId,
        emergency: bool,
    ) -> Self {
        let key = signing_key(seed);
        let name: protocol_spec::field::Name = format!("Hospital {seed}").try_into().unwrap();
        let id = InstitutionId::from(&public(&key));
        let accreditation = Accreditation {
            created: 1,
            registrar_id: RegistrarId::from(&public(registrar)),
            institution_id: id,
            name: name.clone(),
            recipient_key_hash: numbered_key(seed).digest(),
            secret_hash: Sha256Digest::of(SECRET),
            emergency,
        };
        let accreditation = signed(accreditation, registrar);
        let keys = InstitutionKeys {
            created: 1,
            operator_id: operator,
            name,
            identity_key: public(&key),
            recipient_key: numbered_key(seed),
            accreditation_hash: accreditation.hash(),
            succession: None,
        };
        Self {
            id,
            keys: signed(keys, &key),
            accreditation,
            key,
        }
    }

    pub(super) fn enrolment(&self) -> pb::EnrolInstitution {
        pb::EnrolInstitution {
            keys: Some(self.keys.to_message()),
            accreditation: Some(self.accreditation.to_message()),
            secret: SECRET.into(),
        }
    }

    pub(super) fn download_request(
        &self,
        body: DownloadRequest,
    ) -> (pb::SubmitDownloadRequest, Sha256Digest) {
        let request = signed(body, &self.key);
        let hash = request.hash();
        let request = Some(request.to_message());
        (pb::SubmitDownloadRequest { request }, hash)
    }

    pub(super) fn reference_request(
        &self,
        body: ReferenceRequest,
    ) -> (pb::SubmitReferenceRequest, Sha256Digest) {
        let request = signed(body, &self.key);
        let hash = request.hash();
        let request = Some(request.to_message());
        (pb::SubmitReferenceRequest { request }, hash)
    }
}
