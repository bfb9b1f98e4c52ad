//! A device in wrong hands: it comes to the list as any other, and then puts what opens for itself alone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use crypto::{
    CollectionKey, LinkCode, LinkNonce, OperatingSystem, RecipientSecret, RootKeyContext, SigningIdentity,
    VaultRootKey, WrappedKey, open_root_key, seal_root_key,
};
use protocol_spec::{
    collection::Collection,
    devices::DeviceList,
    field::{Name, SealedBytes},
    ids::{CollectionId, DeviceId},
    keys::RecipientKey,
    messages as pb,
    patient::DeviceChain,
    statement::Signed,
};

use super::{Call, Key, RawPatient, Wire, random};

/// A device that offers itself to a vault.
pub struct Newcomer {
    device: SigningIdentity,
    recipient: RecipientSecret,
    nonce: LinkNonce,
    code: LinkCode,
    name: String,
}

impl Newcomer {
    /// Makes its keys, and offers them.
    pub async fn offer(wire: &Wire) -> Result<Self> {
        let (device, recipient) = (
            SigningIdentity::generate(&OperatingSystem)?,
            RecipientSecret::generate(&OperatingSystem)?,
        );
        let nonce = LinkNonce::generate(&OperatingSystem)?;
        let commitment = nonce.commitment();
        let code = LinkCode::generate(
            &OperatingSystem,
            &device.public(),
            recipient.public(),
            &commitment,
        )?;
        let newcomer = Self {
            name: DeviceId::from(&device.public()).to_string(),
            device,
            recipient,
            nonce,
            code,
        };
        let message = pb::LinkOffer {
            device_key: Bytes::copy_from_slice(newcomer.device.public().as_bytes()),
            recipient_key: Bytes::copy_from_slice(newcomer.recipient.public().as_bytes()),
            commitment: Bytes::copy_from_slice(commitment.as_bytes()),
        };
        let path = format!("/v1/links/{}", newcomer.code.place());
        newcomer.post(wire, &path, &message).await?;
        Ok(newcomer)
    }

    /// What is entered on a device of hers.
    pub fn code(&self) -> String {
        self.code.to_text().to_string()
    }

    /// Waits for the answer to its code, opens its nonce, and gives what it would show.
    pub async fn short_string(&self, wire: &Wire) -> Result<String> {
        let path = format!("/v1/links/{}", self.code.place());
        for _ in 0..240 {
            let answer = wire.ask(&format!("{path}/answer")).await?;
            if !answer.status.is_success() {
                tokio::time::sleep(Duration::from_millis(250)).await;
                continue;
            }
            let answer: pb::LinkAnswer = answer.message()?;
            let answer = LinkNonce::try_from(answer.nonce.as_ref())?;
            let message = pb::LinkOpening {
                device_key: Bytes::copy_from_slice(self.device.public().as_bytes()),
                nonce: Bytes::copy_from_slice(self.nonce.as_bytes()),
            };
            self.post(wire, &format!("{path}/opening"), &message).await?;
            return Ok(self.code.short_string(&self.nonce, &answer));
        }
        anyhow::bail!("nobody has entered the code")
    }

    /// The device, once it is on the list.
    pub async fn added(self, wire: &Wire) -> Result<RawPatient> {
        let key = Key {
            id: &self.name,
            signing: &self.device,
        };
        let lists: pb::DeviceLists = wire.call(&Call::get("/v1/vault/devices"), key).await?.message()?;
        let list = Signed::<DeviceList>::try_from(lists.lists.last().cloned())?;
        let id = list.claimed().patient_id;
        let own = DeviceId::from(&self.device.public());
        let chains = lists
            .devices
            .iter()
            .map(|keys| DeviceChain::try_from(keys.chain.clone()));
        let chain = chains.flatten().find(|chain| {
            let device = chain.clone().verify(id);
            device.is_ok_and(|device| device.id() == own)
        });
        let context = RootKeyContext {
            patient: id,
            epoch: list.claimed().root_epoch,
            device: own,
        };
        let sealed = SealedBytes::try_from(lists.root_key)?;
        let root = open_root_key(&self.recipient, &context, &sealed, &list.claimed().vault_key)?;
        let chain = chain.context("no chain leads to it")?;
        RawPatient::known(self.device, (chain, list), (self.recipient, root))
    }

    async fn post(&self, wire: &Wire, path: &str, message: &impl prost::Message) -> Result<()> {
        let key = Key {
            id: &self.name,
            signing: &self.device,
        };
        let answer = wire.call(&Call::post(path, message)?, key).await?;
        ensure!(answer.status.is_success(), "{answer:?}");
        Ok(())
    }
}

/// Which keys of a new root epoch open for other devices than the one that makes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation {
    /// The root key.
    pub root_key: bool,
    /// The root key before.
    pub previous: bool,
    /// Names and keys of collections.
    pub collections: bool,
}

impl RawPatient {
    /// Puts a new root epoch with the same members. What is not to open for others is random.
    pub async fn rotate(&mut self, wire: &Wire, opens: Rotation) -> Result<()> {
        let shown: pb::DeviceLists = self.get(wire, "/v1/vault/devices").await?.message()?;
        self.actor.list = Signed::try_from(shown.lists.last().cloned())?;
        let vault: pb::CollectionList = self.get(wire, "/v1/vault/collections").await?.message()?;
        let root = VaultRootKey::generate(&OperatingSystem)?;
        let before = self.list.claimed().root_epoch;
        let vault_key = root.vault_key(&self.id, before + 1)?;
        let name = Name::try_from("a device".to_owned())?;
        let names: Result<Vec<_>, _> = self
            .list
            .claimed()
            .devices
            .iter()
            .map(|device| {
                let sealed = root.seal_device_name(&OperatingSystem, &name, &self.id, &device.id());
                sealed.map(Bytes::from)
            })
            .collect();
        let names = names?;
        let list = self.next_list(|list| {
            list.root_epoch = before + 1;
            list.vault_key = vault_key.public().clone();
            list.last_placement = vault.last_placement;
            for (device, name) in list.devices.iter_mut().zip(names) {
                device.sealed_name = name;
            }
        });
        let mut root_keys = Vec::new();
        for (device, keys) in list.claimed().devices.iter().zip(&shown.devices) {
            let context = RootKeyContext {
                patient: self.id,
                epoch: before + 1,
                device: device.id(),
            };
            let to = RecipientKey::try_from(keys.recipient_key.as_ref())?;
            let other = VaultRootKey::generate(&OperatingSystem)?;
            let sealed = if opens.root_key || device.id() == self.device_id() {
                seal_root_key(&OperatingSystem, &to, &context, &root)?
            } else {
                seal_root_key(&OperatingSystem, &to, &context, &other)?
            };
            root_keys.push((&sealed).into());
        }
        let previous = match opens.previous {
            true => Bytes::copy_from_slice(
                root.wrap_previous(&OperatingSystem, &self.root, &self.id, before)?
                    .as_bytes(),
            ),
            false => Bytes::copy_from_slice(&random::<104>()?),
        };
        let collections = vault.collections.iter();
        let collections = collections.map(|one| self.under(&root, one, opens.collections));
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            added: None,
            rotation: Some(pb::Rotation {
                root_keys,
                previous_root_key: previous,
                collections: collections.collect::<Result<_>>()?,
                vault_key: Some(self.actor.vault_key(list.claimed())),
                passed_over: 0,
            }),
        };
        self.change(wire, &message).await?.message::<pb::Accepted>()?;
        (self.root, self.vault_key, self.actor.list) = (root, vault_key, list);
        Ok(())
    }

    /// A collection with one more epoch, under another root key or none.
    fn under(
        &self,
        root: &VaultRootKey,
        old: &pb::CollectionEpochs,
        opens: bool,
    ) -> Result<pb::CollectionEpochs> {
        let id = CollectionId::try_from(old.collection_id.as_ref())?;
        let mut key_wraps = Vec::new();
        for (epoch, wrap) in (0..).zip(&old.key_wraps) {
            let collection = Collection { id, epoch };
            let key = WrappedKey::try_from(wrap.as_ref())
                .and_then(|wrap| self.root.unwrap_collection_key(&wrap, &self.id, &collection));
            key_wraps.push(match (wrap.is_empty(), opens, key) {
                (true, ..) => Bytes::new(),
                (false, true, Ok(key)) => {
                    let wrap = root.wrap_collection_key(&OperatingSystem, &key, &self.id, &collection)?;
                    Bytes::copy_from_slice(wrap.as_bytes())
                }
                _ => Bytes::copy_from_slice(&random::<104>()?),
            });
        }
        let next = Collection {
            id,
            epoch: u64::try_from(key_wraps.len())?,
        };
        let next = match opens {
            true => {
                let wrap = root.wrap_collection_key(
                    &OperatingSystem,
                    &CollectionKey::generate(&OperatingSystem)?,
                    &self.id,
                    &next,
                )?;
                Bytes::copy_from_slice(wrap.as_bytes())
            }
            false => Bytes::copy_from_slice(&random::<104>()?),
        };
        key_wraps.push(next);
        let name = Name::try_from("mine now".to_owned())?;
        Ok(pb::CollectionEpochs {
            collection_id: old.collection_id.clone(),
            sealed_name: match opens {
                true => root
                    .seal_collection_name(&OperatingSystem, &name, &self.id, &id)?
                    .into(),
                false => Bytes::copy_from_slice(&random::<136>()?),
            },
            key_wraps,
        })
    }

    /// Opens an epoch of a collection under a key of nobody's, brings all that lies there under it, and closes the one before.
    pub async fn bring_away(&self, wire: &Wire, old: Collection) -> Result<()> {
        let epoch = old.epoch + 1;
        self.put_collection(wire, Collection { epoch, ..old }).await?;
        let path = format!("/v1/vault/wraps?collection={}&epoch={}", old.id, old.epoch);
        let mut page: pb::WrapPage = self.get(wire, &path).await?.message()?;
        for wrap in &mut page.wraps {
            wrap.data_key_wrap = Bytes::copy_from_slice(&random::<104>()?);
            wrap.record_id = Bytes::new();
        }
        let message = pb::PutWraps {
            collection_id: Bytes::copy_from_slice(old.id.as_bytes()),
            from_epoch: old.epoch,
            epoch,
            wraps: page.wraps,
        };
        let answer = self.post(wire, "/v1/vault/wraps", &message).await?;
        answer.message::<pb::Accepted>()?;
        let answer = self.post(wire, "/v1/vault/closures", &self.closes(old)).await?;
        answer.message::<pb::LoggedStatement>()?;
        Ok(())
    }
}
