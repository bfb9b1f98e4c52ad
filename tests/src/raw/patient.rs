//! A patient whose every statement a test may shape.

use std::ops::{Deref, DerefMut};

use actors::{HOUR, Patient, Setting, devices::listed};
use anyhow::{Context, Result};
use bytes::Bytes;
use crypto::{
    CollectionKey, ConditionsKey, DataKey, OperatingSystem, PermissionKey, RecipientSecret, RecoveryKeys,
    RecoverySecret, RootKeyContext, SigningIdentity, TagKey, TextContext, UploadKey, VaultRootKey,
    open_root_key, seal_root_key, seal_text,
};
use protocol_spec::{
    attributes::Attributes,
    bodies::{Denial, UploadRequest, VaultHead},
    collection::{Collection, CollectionSelector},
    conditions::Conditions,
    devices::{DeviceKind, DeviceList, FirstDevice, ListedDevice},
    directory::Institution,
    field::{Name, SealedBytes},
    hash::Sha256Digest,
    ids::{DeviceId, OperatorId, PatientId, PermissionId, RequestId},
    keys::{IdentityKey, RecipientKey},
    messages as pb,
    patient::DeviceChain,
    permission::{Kind, PermissionBody, RecordSelector, SignedPermission},
    statement::{Body, Signed},
    tags::SealedConditions,
    vault_head::{Acts, HeadRef},
};

use super::{Answer, Call, Key, Wire, now_ms, pair, random};

/// A patient on one of her devices.
pub struct RawPatient {
    /// Who she is, and what she signs.
    pub actor: Patient,
    /// What is sealed to her is sealed to this.
    pub vault_key: RecipientSecret,
    pub(super) name: String,
    pub(super) signing: SigningIdentity,
    pub(super) recipient: RecipientSecret,
    pub(super) root: VaultRootKey,
}

impl Deref for RawPatient {
    type Target = Patient;

    fn deref(&self) -> &Patient {
        &self.actor
    }
}

impl DerefMut for RawPatient {
    fn deref_mut(&mut self) -> &mut Patient {
        &mut self.actor
    }
}

/// At no server.
const NOWHERE: Setting = Setting {
    operator: OperatorId::from_bytes([0; 32]),
    now: now_ms,
};

/// An upload request with its permission, as it goes to the server.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The request.
    pub request_id: RequestId,
    /// The permission.
    pub permission_id: PermissionId,
    /// The message for `POST /v1/requests/upload`.
    pub message: pb::SubmitUploadRequest,
}

impl RawPatient {
    /// Makes keys; enrols nobody.
    pub fn new() -> Result<Self> {
        let (identity, signing) = (
            SigningIdentity::generate(&OperatingSystem)?,
            SigningIdentity::generate(&OperatingSystem)?,
        );
        let (recipient, root) = (
            RecipientSecret::generate(&OperatingSystem)?,
            VaultRootKey::generate(&OperatingSystem)?,
        );
        let id = PatientId::from(&identity.public());
        let vault_key = root.vault_key(&id, 0)?;
        let device = DeviceId::from(&signing.public());
        let first = FirstDevice {
            created: now_ms(),
            identity_key: identity.public(),
            device_key: signing.public(),
            recipient_key: recipient.public(),
            vault_key: vault_key.public(),
            sealed_name: root
                .seal_device_name(&OperatingSystem, &a_device()?, &id, &device)?
                .into(),
        };
        let list = first.sign(|message| identity.sign_bytes(message));
        Self::known(signing, list, (recipient, root))
    }

    /// The patient as the device knows her that a chain leads to, at the root epoch of her list.
    pub(super) fn known(
        signing: SigningIdentity,
        list: (DeviceChain, Signed<DeviceList>),
        (recipient, root): (RecipientSecret, VaultRootKey),
    ) -> Result<Self> {
        let actor = Patient::known(pair(&signing), list, NOWHERE);
        Ok(Self {
            vault_key: root.vault_key(&actor.id, actor.list.claimed().root_epoch)?,
            name: actor.device_id().to_string(),
            actor,
            signing,
            recipient,
            root,
        })
    }

    /// Makes keys and enrols.
    pub async fn enrol(wire: &Wire) -> Result<Self> {
        let mut patient = Self::new()?;
        patient
            .post(wire, "/v1/patients", &patient.enrolment()?)
            .await?
            .message::<pb::Accepted>()?;
        patient.actor.head = patient.put_head(wire).await?;
        Ok(patient)
    }

    /// Puts a head over whatever the server says has been done to the vault; nothing of it is checked.
    pub async fn put_head(&self, wire: &Wire) -> Result<HeadRef> {
        let shown: pb::VaultActs = self.get(wire, "/v1/vault/acts").await?.message()?;
        let salt: pb::LogSalt = self.get(wire, "/v1/log/salt").await?.message()?;
        let mut acts = Acts::default();
        acts.extend(&shown.acts)?;
        let next = acts.next_head();
        let (head, hash) = self.statement(VaultHead {
            operator_id: wire.operator_id(),
            ..self.vault_head(&next, &salt.salt)
        });
        let message = pb::SubmitVaultHead { head: Some(head) };
        self.post(wire, "/v1/vault/heads", &message)
            .await?
            .message::<pb::LoggedStatement>()?;
        Ok(HeadRef {
            sequence: next.sequence,
            hash,
        })
    }

    /// The recovery member with these words, at work as one of her devices: whoever has the words can do all that it can.
    pub async fn by_words(wire: &Wire, words: &str) -> Result<Self> {
        let RecoveryKeys { identity, recipient } = RecoverySecret::from_words(words)?.keys()?;
        let device = DeviceId::from(&identity.public());
        let name = device.to_string();
        let key = Key {
            id: &name,
            signing: &identity,
        };
        let shown: pb::DeviceLists = wire.call(&Call::get("/v1/vault/devices"), key).await?.message()?;
        let newest = shown.lists.last().cloned().context("no list")?;
        let list = Signed::<DeviceList>::try_from(newest)?;
        let (id, epoch) = (list.claimed().patient_id, list.claimed().root_epoch);
        let mut listed = list.claimed().devices.iter().zip(&shown.devices);
        let own = listed.find(|(listed, _)| listed.id() == device);
        let (_, own) = own.context("it is not listed")?;
        let context = RootKeyContext {
            patient: id,
            epoch,
            device,
        };
        let sealed = SealedBytes::try_from(shown.root_key.clone())?;
        let root = open_root_key(&recipient, &context, &sealed, &list.claimed().vault_key)?;
        let chain = DeviceChain::try_from(own.chain.clone())?;
        Self::known(identity, (chain, list), (recipient, root))
    }

    /// How she signs requests.
    pub fn key(&self) -> Key<'_> {
        Key {
            id: &self.name,
            signing: &self.signing,
        }
    }

    /// The message that enrols her.
    pub fn enrolment(&self) -> Result<pb::EnrolPatient> {
        Ok(pb::EnrolPatient {
            list: Some(self.list.to_message()),
            device: Some(self.new_device(self)?),
            vault_key: Some(self.actor.vault_key(self.list.claimed())),
            ..pb::EnrolPatient::default()
        })
    }

    /// Her device's keys, as it offers them to another.
    pub fn link_offer(&self) -> pb::LinkOffer {
        pb::LinkOffer {
            device_key: self.device.bytes(),
            recipient_key: Bytes::copy_from_slice(self.recipient.public().as_bytes()),
            ..pb::LinkOffer::default()
        }
    }

    /// What leads to her device.
    pub fn chain(&self) -> &DeviceChain {
        &self.chain
    }

    /// Signs by her device.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.device.sign(message)
    }

    /// Her vault root key.
    pub fn root(&self) -> &VaultRootKey {
        &self.root
    }

    /// The same patient on a device that this one has certified, and the message that adds it; `edit` may change the
    /// list before it is signed.
    pub fn adding(&self, edit: impl FnOnce(&mut DeviceList)) -> Result<(Self, pb::ChangeDevices)> {
        let (signing, recipient) = (
            SigningIdentity::generate(&OperatingSystem)?,
            RecipientSecret::generate(&OperatingSystem)?,
        );
        let list = self.adopting(&signing.public(), recipient.public(), edit)?;
        let root = VaultRootKey::from_bytes(self.root.expose());
        let mut added = Self::known(signing, list, (recipient, root))?;
        added.vault_key = RecipientSecret::from_seed(&self.vault_key.expose_seed())?;
        added.actor.head = self.head;
        let message = pb::ChangeDevices {
            list: Some(added.list.to_message()),
            added: Some(self.new_device(&added)?),
            rotation: None,
        };
        Ok((added, message))
    }

    /// The message that adds somebody's device, without its doing; it gets her root key.
    pub fn taking_in(&self, offer: &pb::LinkOffer) -> Result<pb::ChangeDevices> {
        self.taking_in_as(DeviceKind::Device, offer)
    }

    /// The same with a device of this kind.
    pub fn taking_in_as(&self, kind: DeviceKind, offer: &pb::LinkOffer) -> Result<pb::ChangeDevices> {
        let device_key = IdentityKey::try_from(offer.device_key.as_ref())?;
        let recipient = RecipientKey::try_from(offer.recipient_key.as_ref())?;
        let (chain, list) = self.adopting(&device_key, &recipient, |list| {
            if let Some(device) = list.devices.last_mut() {
                device.kind = kind;
            }
        })?;
        let context = RootKeyContext {
            patient: self.id,
            epoch: 0,
            device: DeviceId::from(&device_key),
        };
        Ok(pb::ChangeDevices {
            list: Some(list.to_message()),
            added: Some(pb::NewDevice {
                chain: Some((&chain).into()),
                recipient_key: offer.recipient_key.clone(),
                root_key: Some((&seal_root_key(&OperatingSystem, &recipient, &context, &self.root)?).into()),
                approval: Bytes::copy_from_slice(&random::<32>()?),
            }),
            rotation: None,
        })
    }

    fn adopting(
        &self,
        device_key: &IdentityKey,
        recipient: &RecipientKey,
        edit: impl FnOnce(&mut DeviceList),
    ) -> Result<(DeviceChain, Signed<DeviceList>)> {
        let listed = ListedDevice {
            sealed_name: self.sealed_name(device_key)?,
            ..listed(device_key, recipient, DeviceKind::Device)
        };
        Ok(self.adopts(listed, edit))
    }

    fn sealed_name(&self, device: &IdentityKey) -> Result<Bytes> {
        let sealed =
            self.root
                .seal_device_name(&OperatingSystem, &a_device()?, &self.id, &DeviceId::from(device))?;
        Ok(sealed.into())
    }

    /// The message that removes a device from the list, of a vault without collections, and the new list.
    pub fn removing(&self, device: DeviceId) -> Result<(pb::ChangeDevices, Signed<DeviceList>)> {
        let root = VaultRootKey::generate(&OperatingSystem)?;
        let epoch = self.list.claimed().root_epoch + 1;
        let vault_key = root.vault_key(&self.id, epoch)?;
        let list = self.next_list(|list| {
            list.devices.retain(|listed| listed.id() != device);
            list.root_epoch = epoch;
            list.vault_key = vault_key.public().clone();
        });
        let sealed = seal_root_key(
            &OperatingSystem,
            self.recipient.public(),
            &self.root_context(epoch),
            &root,
        )?;
        let previous = root.wrap_previous(&OperatingSystem, &self.root, &self.id, epoch - 1)?;
        let rotation = pb::Rotation {
            root_keys: vec![(&sealed).into(); list.claimed().devices.len()],
            previous_root_key: Bytes::copy_from_slice(previous.as_bytes()),
            collections: Vec::new(),
            vault_key: Some(self.actor.vault_key(list.claimed())),
            passed_over: 0,
        };
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            added: None,
            rotation: Some(rotation),
        };
        Ok((message, list))
    }

    /// Changes what the list says of the devices that there are; the server must take it.
    pub async fn relist(&mut self, wire: &Wire, edit: impl FnOnce(&mut DeviceList)) -> Result<()> {
        let list = self.next_list(edit);
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            ..pb::ChangeDevices::default()
        };
        self.change(wire, &message).await?.message::<pb::Accepted>()?;
        self.actor.list = list;
        Ok(())
    }

    /// Posts a change of the list.
    pub async fn change(&self, wire: &Wire, message: &pb::ChangeDevices) -> Result<Answer> {
        self.post(wire, "/v1/vault/devices", message).await
    }

    fn new_device(&self, device: &Self) -> Result<pb::NewDevice> {
        let context = device.root_context(self.list.claimed().root_epoch);
        let sealed = seal_root_key(&OperatingSystem, device.recipient.public(), &context, &self.root)?;
        Ok(pb::NewDevice {
            chain: Some((&device.chain).into()),
            recipient_key: Bytes::copy_from_slice(device.recipient.public().as_bytes()),
            root_key: Some((&sealed).into()),
            approval: Bytes::new(),
        })
    }

    fn root_context(&self, epoch: u64) -> RootKeyContext {
        RootKeyContext {
            patient: self.id,
            epoch,
            device: self.device_id(),
        }
    }

    /// Sends a message, signed.
    pub async fn post(&self, wire: &Wire, path: &str, message: &impl prost::Message) -> Result<Answer> {
        wire.call(&Call::post(path, message)?, self.key()).await
    }

    /// Reads, signed.
    pub async fn get(&self, wire: &Wire, path: &str) -> Result<Answer> {
        wire.call(&Call::get(path), self.key()).await
    }

    /// An upload request with its permission; `edit` may change the permission before it is signed.
    pub fn offer(
        &self,
        wire: &Wire,
        to: &Institution,
        edit: impl FnOnce(&mut PermissionBody),
    ) -> Result<Offer> {
        let request_id = RequestId::mint(now_ms(), random()?);
        let context = TextContext::to_institution(request_id, &self.id, &to.id());
        let (request, hash) = self.statement(UploadRequest {
            operator_id: wire.operator_id(),
            request_id,
            expires: now_ms() + HOUR,
            text: seal_text(&OperatingSystem, to.recipient_key(), &context, "please upload")?,
            ..self.upload_request(to.id())
        });
        let (permission_id, permission) =
            self.permission(wire, to, hash, &UploadKey::generate(&OperatingSystem)?, edit)?;
        let message = pb::SubmitUploadRequest {
            request: Some(request),
            permission: Some(permission),
            upload_key_wrap: Bytes::copy_from_slice(&random::<104>()?),
            upload_key_epoch: 0,
        };
        Ok(Offer {
            request_id,
            permission_id,
            message,
        })
    }

    /// Submits an offer, which must be taken.
    pub async fn submit_offer(&self, wire: &Wire, offer: &Offer) -> Result<()> {
        self.post(wire, "/v1/requests/upload", &offer.message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }

    /// Submits a permission, which must be taken.
    pub async fn grant(&self, wire: &Wire, permission: pb::Permission) -> Result<()> {
        let message = pb::SubmitPermission::from(permission);
        self.post(wire, "/v1/permissions", &message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }

    /// A download permission for these records; `edit` may change it before it is signed.
    pub fn permit(
        &self,
        wire: &Wire,
        to: &Institution,
        request: Sha256Digest,
        records: Vec<RecordSelector>,
        edit: impl FnOnce(&mut PermissionBody),
    ) -> Result<(PermissionId, pb::Permission)> {
        let keys = records
            .iter()
            .map(|_| DataKey::generate(&OperatingSystem))
            .collect::<Result<Vec<_>, _>>()?;
        let bytes = records.iter().map(|record| record.stream_len).sum();
        self.permission(wire, to, request, &keys, |body| {
            body.kind = Kind::Download;
            body.bytes = bytes;
            body.records = records;
            edit(body);
        })
    }

    fn permission<K: crypto::permission::Granted>(
        &self,
        wire: &Wire,
        to: &Institution,
        request_hash: Sha256Digest,
        keys: &K,
        edit: impl FnOnce(&mut PermissionBody),
    ) -> Result<(PermissionId, pb::Permission)> {
        let permission_id = PermissionId::mint(now_ms(), random()?);
        let mut key = PermissionKey::mint(&OperatingSystem, &permission_id, keys)?;
        let permission = self.actor.permission(Kind::Upload).to(to).answers(request_hash);
        let mut body = PermissionBody {
            operator_id: wire.operator_id(),
            possession_key: key.possession(),
            not_before: now_ms() - 60_000,
            ..permission.id(permission_id).body()
        };
        edit(&mut body);
        if body.conditions.is_some() {
            key = PermissionKey::mint_with(
                &OperatingSystem,
                &permission_id,
                keys,
                Some(&ConditionsKey::generate(&OperatingSystem)?),
            )?;
            body.possession_key = key.possession();
        }
        let bytes = body.encode();
        let wrap = key.seal(&OperatingSystem, to.recipient_key(), &bytes)?;
        let sign = |message: &[u8]| self.device.sign(message);
        let signed = SignedPermission::sign(bytes, wrap, self.chain.clone(), sign)?;
        Ok((permission_id, (&signed).into()))
    }

    /// Opens an epoch of a collection; what is wrapped and sealed is random.
    pub async fn put_collection(&self, wire: &Wire, collection: Collection) -> Result<()> {
        let message = pb::PutCollection {
            collection_id: Bytes::copy_from_slice(collection.id.as_bytes()),
            epoch: collection.epoch,
            key_wrap: Bytes::copy_from_slice(&random::<104>()?),
            sealed_name: match collection.epoch {
                0 => Bytes::copy_from_slice(&random::<136>()?),
                _ => Bytes::new(),
            },
            root_epoch: self.list.claimed().root_epoch,
        };
        self.post(wire, "/v1/vault/collections", &message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }

    /// Places a record in a collection.
    pub async fn place(
        &self,
        wire: &Wire,
        record: &RecordSelector,
        collection: Collection,
        number: u64,
    ) -> Result<()> {
        self.place_as(wire, record, &Attributes::of(&[]), collection, number)
            .await
    }

    /// The same, for a record of which the server is to find these attributes.
    pub async fn place_as(
        &self,
        wire: &Wire,
        selector: &RecordSelector,
        record: &Attributes,
        collection: Collection,
        number: u64,
    ) -> Result<()> {
        let message = self.adoption(selector, record, collection, number)?;
        let path = format!("/v1/vault/records/{}/adoption", selector.version_id);
        self.post(wire, &path, &message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }

    pub(super) fn adoption(
        &self,
        selector: &RecordSelector,
        record: &Attributes,
        collection: Collection,
        number: u64,
    ) -> Result<pb::AdoptRecord> {
        let tags = self.tag_key().tags(record, &selector.version_id)?;
        let placement = self.placement(selector, collection, number, tags);
        Ok(pb::AdoptRecord {
            placement: Some(self.says(placement)),
            epoch: collection.epoch,
            data_key_wrap: Bytes::copy_from_slice(&random::<104>()?),
        })
    }

    /// Brings a record's data key under a collection's next key, and closes the epoch before.
    pub async fn end_epoch(
        &self,
        wire: &Wire,
        old: Collection,
        (record, number): (&RecordSelector, u64),
    ) -> Result<()> {
        let epoch = old.epoch + 1;
        self.put_collection(wire, Collection { epoch, ..old }).await?;
        let wraps = vec![pb::Wrap {
            number,
            version_id: Bytes::copy_from_slice(record.version_id.as_bytes()),
            data_key_wrap: Bytes::copy_from_slice(&random::<104>()?),
            record_id: Bytes::new(),
        }];
        let message = pb::PutWraps {
            collection_id: Bytes::copy_from_slice(old.id.as_bytes()),
            from_epoch: old.epoch,
            epoch,
            wraps,
        };
        self.post(wire, "/v1/vault/wraps", &message)
            .await?
            .message::<pb::Accepted>()?;
        self.post(wire, "/v1/vault/closures", &self.closes(old))
            .await?
            .message::<pb::LoggedStatement>()?;
        Ok(())
    }

    /// Permits a download of whatever lies in a collection.
    pub async fn permit_collection(
        &self,
        wire: &Wire,
        to: &Institution,
        request: Sha256Digest,
        collection: Collection,
    ) -> Result<PermissionId> {
        self.permit_collection_with(wire, to, request, collection, |_| ())
            .await
    }

    /// The same; `edit` may change the permission before it is signed.
    pub async fn permit_collection_with(
        &self,
        wire: &Wire,
        to: &Institution,
        request: Sha256Digest,
        collection: Collection,
        edit: impl FnOnce(&mut PermissionBody),
    ) -> Result<PermissionId> {
        let (id, permission) = self.over_collection(wire, to, request, collection, edit)?;
        self.grant(wire, permission).await?;
        Ok(id)
    }

    /// A permission for a download of whatever lies in a collection; `edit` may change it before it is signed.
    pub fn over_collection(
        &self,
        wire: &Wire,
        to: &Institution,
        request: Sha256Digest,
        collection: Collection,
        edit: impl FnOnce(&mut PermissionBody),
    ) -> Result<(PermissionId, pb::Permission)> {
        let key = CollectionKey::generate(&OperatingSystem)?;
        self.permission(wire, to, request, &key, |body| {
            body.kind = Kind::Download;
            body.collection = Some(CollectionSelector {
                collection,
                until: None,
            });
            edit(body);
        })
    }

    /// What she makes tokens and tags with.
    pub fn tag_key(&self) -> TagKey {
        TagKey::derive(&CollectionKey::from_bytes(&[0x70; 32]), &self.id)
    }

    /// Conditions as a permission over a collection has them. What is sealed is random: the server cannot tell.
    pub fn conditions(&self, conditions: &Conditions) -> Result<SealedConditions> {
        Ok(SealedConditions {
            groups: self.tag_key().groups(conditions)?,
            sealed: Bytes::copy_from_slice(&random::<136>()?),
        })
    }

    /// A denial of a request.
    pub fn denial(
        &self,
        request_id: RequestId,
        request_hash: Sha256Digest,
        asker: &Institution,
    ) -> Result<pb::SubmitDenial> {
        let context = TextContext::to_institution(request_id, &self.id, &asker.id());
        let text = seal_text(&OperatingSystem, asker.recipient_key(), &context, "no")?;
        let denial = self.actor.denial(request_id, request_hash, asker.id());
        Ok(self.denies(Denial { text, ..denial }))
    }

    /// A revocation of a permission.
    pub fn revocation(
        &self,
        permission: &pb::Permission,
        permission_id: PermissionId,
    ) -> pb::SubmitRevocation {
        let revocation = self
            .actor
            .revocation(permission_id, Sha256Digest::of(&permission.body));
        pb::SubmitRevocation {
            revocation: Some(self.says(revocation)),
        }
    }
}

/// What every device is called.
fn a_device() -> Result<Name> {
    Ok(Name::try_from("a device".to_owned())?)
}
