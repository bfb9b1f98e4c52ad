//! A patient on one of her devices, and what she says by it.

use protocol_spec::{
    bodies::{
        DelegationEnd, Denial, EmergencyHelp, EmergencyObjection, EpochClosure, Placement, RecordDeletion,
        Revocation, UploadRequest, VaultHead,
    },
    collection::Collection,
    devices::{DeviceList, FirstDevice},
    hash::Sha256Digest,
    ids::{DeviceId, InstitutionId, PatientId, PermissionId, RequestId},
    keys::RecipientKey,
    messages as pb,
    patient::{DeviceChain, OfPatient, PatientSigned},
    permission::{Kind, PermissionBody, RecordSelector, SignedPermission},
    statement::{Body as _, Signed},
    tags::RecordTags,
    vault_head::{HeadRef, NextHead},
};

use crate::{
    key::{KeyPair, random, recipient, sealed},
    permission::Permission,
    setting::{HOUR, Setting, no_head},
};

/// A patient on one of her devices.
#[derive(Clone)]
pub struct Patient {
    /// Her id.
    pub id: PatientId,
    /// Signs all that she says.
    pub device: KeyPair,
    /// Leads to the device.
    pub chain: DeviceChain,
    /// Her devices, as this one knows them.
    pub list: Signed<DeviceList>,
    /// A head of her vault, which her permissions name.
    pub head: HeadRef,
    /// Where and when she acts.
    pub at: Setting,
}

impl Patient {
    /// A patient with her first device, whose seed is 100 more than hers.
    pub fn new(seed: u8) -> Self {
        Self::with_device(seed, seed + 100)
    }

    /// A patient with a first device.
    pub fn with_device(seed: u8, device: u8) -> Self {
        let (identity, device) = (KeyPair::new(seed), KeyPair::new(device));
        Self::first(&identity, device, &recipient(0), Setting::default())
    }

    /// A patient with a first device, to whom and to which is sealed with one key.
    pub fn first(identity: &KeyPair, device: KeyPair, recipient: &RecipientKey, at: Setting) -> Self {
        let first = FirstDevice {
            created: at.now(),
            identity_key: identity.public(),
            device_key: device.public(),
            recipient_key: recipient,
            vault_key: recipient,
            sealed_name: vec![1; 136].into(),
        };
        Self::known(device, first.sign(|message| identity.sign(message)), at)
    }

    /// The patient to whose device a chain leads, as its newest list has it.
    pub fn known(device: KeyPair, (chain, list): (DeviceChain, Signed<DeviceList>), at: Setting) -> Self {
        Self {
            id: list.claimed().patient_id,
            device,
            chain,
            list,
            head: no_head(),
            at,
        }
    }

    /// The id of her device.
    pub fn device_id(&self) -> DeviceId {
        DeviceId::from(&self.device.public())
    }

    /// Signs a body by her device.
    pub fn signs<T: OfPatient>(&self, body: T) -> PatientSigned<T> {
        PatientSigned::new(self.device.signed(body), self.chain.clone())
    }

    /// Signs a body by her device; the message, and the body's hash.
    pub fn statement<T: OfPatient>(&self, body: T) -> (pb::PatientStatement, Sha256Digest) {
        let statement = self.signs(body);
        ((&statement).into(), statement.hash())
    }

    /// Signs a body by her device; the message.
    pub fn says<T: OfPatient>(&self, body: T) -> pb::PatientStatement {
        self.statement(body).0
    }

    /// What she asks an institution to upload.
    pub fn upload_request(&self, institution: InstitutionId) -> UploadRequest {
        let created = self.at.now();
        UploadRequest {
            created,
            operator_id: self.at.operator,
            request_id: RequestId::mint(created, random()),
            patient_id: self.id,
            institution_id: institution,
            expires: created + 24 * HOUR,
            text: sealed(),
        }
    }

    /// The denial of a request.
    pub fn denial(&self, request_id: RequestId, request_hash: Sha256Digest, to: InstitutionId) -> Denial {
        Denial {
            created: self.at.now(),
            request_id,
            request_hash,
            patient_id: self.id,
            institution_id: to,
            text: sealed(),
        }
    }

    /// A permission of hers, to be filled in.
    pub fn permission(&self, kind: Kind) -> Permission<'_> {
        Permission::by(self, kind)
    }

    /// Signs a permission as it is, with filler for a wrap.
    pub fn permit(&self, body: &PermissionBody) -> pb::Permission {
        let sign = |message: &[u8]| self.device.sign(message);
        let signed = SignedPermission::sign(body.encode(), sealed(), self.chain.clone(), sign);
        (&signed.unwrap()).into()
    }

    /// The revocation of a permission.
    pub fn revocation(&self, permission_id: PermissionId, permission_hash: Sha256Digest) -> Revocation {
        Revocation {
            created: self.at.now(),
            permission_id,
            permission_hash,
            patient_id: self.id,
        }
    }

    /// The message that revokes a permission.
    pub fn revokes(&self, permission: &PermissionBody) -> pb::SubmitRevocation {
        let hash = Sha256Digest::of(&permission.encode());
        pb::SubmitRevocation {
            revocation: Some(self.says(self.revocation(permission.permission_id, hash))),
        }
    }

    /// The message that denies a request.
    pub fn denies(&self, denial: Denial) -> pb::SubmitDenial {
        pb::SubmitDenial {
            denial: Some(self.says(denial)),
        }
    }

    /// Where a record lies, under this number.
    pub fn placement(
        &self,
        of: &RecordSelector,
        into: Collection,
        number: u64,
        tags: RecordTags,
    ) -> Placement {
        Placement {
            created: self.at.now(),
            patient_id: self.id,
            record_id: of.record_id,
            version_id: of.version_id,
            content_root: of.content_root,
            stream_len: of.stream_len,
            collection_id: into.id,
            number,
            tags,
        }
    }

    /// The message that closes an epoch of a collection.
    pub fn closes(&self, collection: Collection) -> pb::CloseEpoch {
        self.closure(EpochClosure {
            created: self.at.now(),
            patient_id: self.id,
            collection_id: collection.id,
            epoch: collection.epoch,
        })
    }

    /// The message that closes an epoch.
    pub fn closure(&self, body: EpochClosure) -> pb::CloseEpoch {
        pb::CloseEpoch {
            closure: Some(self.says(body)),
        }
    }

    /// The message that deletes a record.
    pub fn deletes(&self, record: &RecordSelector) -> pb::DeleteRecord {
        let body = RecordDeletion {
            created: self.at.now(),
            patient_id: self.id,
            record_id: record.record_id,
            version_id: record.version_id,
        };
        pb::DeleteRecord {
            deletion: Some(self.says(body)),
        }
    }

    /// A head over what has been done to her vault, of a log with this salt.
    pub fn vault_head(&self, next: &NextHead, salt: &[u8]) -> VaultHead {
        VaultHead {
            created: self.at.now(),
            operator_id: self.at.operator,
            patient_id: self.id,
            sequence: next.sequence,
            previous_hash: next.previous_hash,
            acts: next.acts,
            root: next.root,
            log_salt_hash: Sha256Digest::of(salt),
            log_size: 0,
        }
    }

    /// As a guardian: what lets an institution open another patient's vault.
    pub fn help(
        &self,
        of: PatientId,
        to: InstitutionId,
        card_key: protocol_spec::keys::IdentityKey,
    ) -> EmergencyHelp {
        let created = self.at.now();
        EmergencyHelp {
            created,
            operator_id: self.at.operator,
            help_id: RequestId::mint(created, random()),
            patient_id: of,
            guardian_id: self.id,
            institution_id: to,
            card_key,
            half: sealed(),
        }
    }

    /// The message that objects to a guardian's help.
    pub fn objects(&self, help_id: RequestId) -> pb::SubmitObjection {
        let body = EmergencyObjection {
            created: self.at.now(),
            operator_id: self.at.operator,
            help_id,
            patient_id: self.id,
        };
        pb::SubmitObjection {
            objection: Some(self.says(body)),
        }
    }

    /// The message that ends a delegation over `default`.
    pub fn ends(&self, delegation: &PatientSigned<protocol_spec::bodies::Delegation>) -> pb::EndDelegation {
        let body = DelegationEnd {
            created: self.at.now(),
            patient_id: self.id,
            delegation_id: delegation.claimed().delegation_id,
            delegation_hash: delegation.hash(),
            last: vec![Collection::DEFAULT],
        };
        pb::EndDelegation {
            end: Some(self.says(body)),
        }
    }
}
