//! Her devices: listed, named and added by any of them, and how the list changes. See `protocol-spec/spec/devices.md`.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use crypto::{
    Collection, CollectionKey, LinkCode, RecoverySecret, RootKeyContext, VaultRootKey, seal_root_key,
};
use protocol_spec::{
    api,
    bodies::DeviceCertificate,
    defence::Defence,
    devices::{DeviceKind, DeviceList, ListedDevice},
    field::Name,
    hash::Sha256Digest,
    ids::{DeviceId, PatientId},
    keys::{IdentityKey, RecipientKey},
    messages as pb,
    names::Look,
    patient::{Device, DeviceChain},
    problem::Problem,
    statement::Signed,
    vault_head::Act,
};

use super::{
    Patient,
    known::{Known, tampered},
    lists::device_lists,
    ring::Ring,
};
use crate::{Error, Result, mint};

/// A device as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its id.
    pub id: DeviceId,
    /// What she calls it.
    pub name: String,
    /// What it is for.
    pub kind: DeviceKind,
    /// Whether it is the one that asks.
    pub this: bool,
    /// When it was added, in milliseconds since 1970, by the clock of the device that added it.
    pub added: u64,
    /// Whether it is announced that it leaves.
    pub leaving: bool,
}

/// A device that is to be added.
pub(crate) struct Newcomer<'a> {
    pub(crate) device_key: IdentityKey,
    pub(crate) recipient_key: &'a RecipientKey,
    pub(crate) kind: DeviceKind,
    pub(crate) name: &'a Name,
    /// By which the list is proven to it.
    pub(crate) proof: Proof<'a>,
}

/// What a device that is added shares with the one that adds it.
#[derive(Clone, Copy)]
pub(crate) enum Proof<'a> {
    /// The code that it shows.
    Code(&'a LinkCode),
    /// The secret from which its keys follow.
    Secret(&'a RecoverySecret),
    /// It is this machine that adds it.
    Same,
}

impl Newcomer<'_> {
    fn id(&self) -> DeviceId {
        DeviceId::from(&self.device_key)
    }
}

/// What changes from one list to the next.
pub(super) enum Change<'a> {
    /// Adds one, and announces that these leave.
    Add(&'a Newcomer<'a>, &'a [DeviceId]),
    /// Removes some, as the newest list says, and adds one in their place.
    Replace(
        &'a (dyn Fn(&Known) -> Vec<DeviceId> + Sync),
        Option<&'a Newcomer<'a>>,
    ),
    Name(DeviceId, &'a Name),
    /// Announces that a recovery member leaves.
    Leaving(DeviceId),
    /// Takes that back.
    Staying(DeviceId),
}

impl Patient {
    /// Her devices, in the order in which they came.
    ///
    /// # Errors
    /// [`Error::Tampered`] when the server shows an older list than this device has seen, or one that a device of
    /// hers has not signed.
    pub async fn devices(&self) -> Result<Vec<DeviceInfo>> {
        let known = self.refresh_devices().await?;
        let info = |device: &ListedDevice| {
            let id = device.id();
            let added = known.device(id).and_then(|device| known.list(device.added));
            Ok(DeviceInfo {
                id,
                name: known.name(id)?.as_str().to_owned(),
                kind: device.kind,
                this: id == self.keys.own.id(),
                added: added.map_or(0, |list| list.claimed().created),
                leaving: known.newest().leaving.contains(&id),
            })
        };
        known.newest().devices.iter().map(info).collect()
    }

    /// If the newest root key that this device knows of does not open, or does not lead on: what can be done about it (DEV-30).
    pub fn unusable_root_key(&self) -> Option<Error> {
        let known = self.keys.known();
        (!known.is_sound()).then(|| known.unusable())
    }

    /// The device with this id or name.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Usage`] when several have the name.
    pub async fn find_device(&self, id_or_name: &str) -> Result<DeviceInfo> {
        let by_id = id_or_name.parse::<DeviceId>().ok();
        let look = Look::of(id_or_name);
        let mut found = self
            .devices()
            .await?
            .into_iter()
            .filter(|info| by_id.map_or(Look::of(&info.name).is_like(&look), |id| info.id == id));
        match (found.next(), found.next()) {
            (Some(info), None) => Ok(info),
            (None, _) => Err(Error::Unknown {
                what: "device",
                id: id_or_name.to_owned(),
            }),
            _ => Err(Error::Usage(format!(
                "several devices are called {id_or_name:?}, or have a name that looks like it: name one by its id"
            ))),
        }
    }

    /// Calls a device something else.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Protocol`] for a text that is no name.
    pub async fn name_device(&self, device: DeviceId, name: &str) -> Result<()> {
        let name = Name::try_from(name.to_owned())?;
        self.change(&Change::Name(device, &name)).await?;
        self.put_head().await
    }

    /// Adds a device.
    pub(crate) async fn add_device(&self, newcomer: &Newcomer<'_>) -> Result<()> {
        self.change(&Change::Add(newcomer, &[])).await?;
        self.put_head().await
    }

    /// Adds a recovery member beside others, whose leaving is announced with it.
    pub(super) async fn add_beside(&self, newcomer: &Newcomer<'_>, leaving: &[DeviceId]) -> Result<()> {
        self.change(&Change::Add(newcomer, leaving)).await?;
        self.put_head().await
    }

    /// Announces that this recovery member itself leaves: whoever has its words agrees (DEV-23).
    pub(super) async fn announce_own_leaving(&self) -> Result<()> {
        self.change(&Change::Leaving(self.keys.own.id())).await?;
        self.put_head().await
    }

    /// Puts the next list. When another device was faster, with a list, a collection or a record, it is done anew
    /// behind that (DEV-13).
    pub(super) async fn change(&self, change: &Change<'_>) -> Result<()> {
        for _ in 0..MAX_TRIES {
            // Before anything is sealed to a list that may be an older one (VLT-3).
            drop(self.catch_up().await?);
            let (known, keys) = self.fetch_devices().await?;
            let message = if known.opens() {
                let ring = self.refresh_ring().await?;
                self.next_list(&known, &keys, &ring, change)?
            } else {
                let ring = self.ring_to_go_on().await?;
                self.next_list(&known, &keys, &ring, change)?
            };
            match self
                .session
                .server
                .post(api::CHANGE_DEVICES.here(), &message)
                .await
            {
                Ok(_) => {
                    let list = message.list.as_ref().map(|list| list.body.as_ref());
                    let list = Sha256Digest::of(list.unwrap_or_default());
                    self.did(Act::Devices(list)).await;
                    self.refresh_devices().await?;
                    drop(self.refresh_ring().await?);
                    return Ok(());
                }
                Err(Error::Refused {
                    problem: Problem::DeviceListConflict | Problem::PlacementConflict | Problem::EpochMismatch,
                    ..
                }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Usage(
            "other devices change the vault all the time: try again later".into(),
        ))
    }

    fn next_list(
        &self,
        known: &Known,
        keys: &RecipientKeys,
        ring: &Ring,
        change: &Change<'_>,
    ) -> Result<pb::ChangeDevices> {
        let before = known.newest();
        let mut next = DeviceList {
            created: mint::now_ms(),
            sequence: before.sequence + 1,
            previous_hash: before.hash(),
            signer: self.keys.own.id(),
            last_placement: ring.last_placement,
            ..(**before).clone()
        };
        match change {
            Change::Add(newcomer, leaving) => {
                announce(&mut next, leaving);
                let device = self.listed(known, known.root()?, newcomer)?;
                next.devices.push(device);
                if !next.finds_room(before) {
                    return Err(Error::Usage(
                        "there are as many devices as there can be: remove one first with `medvault device remove` or `medvault device retire`".into(),
                    ));
                }
                let list = self.sign_list(next);
                Ok(pb::ChangeDevices {
                    added: Some(self.new_device(known.root()?, newcomer, &list)?),
                    list: Some(list.to_message()),
                    rotation: None,
                })
            }
            Change::Name(id, name) => {
                let listed = next.devices.iter_mut().find(|device| device.id() == *id);
                let listed = listed.ok_or_else(|| unknown(*id))?;
                listed.sealed_name = self.sealed_name(known.root()?, name, *id)?;
                Ok(pb::ChangeDevices {
                    list: Some(self.sign_list(next).to_message()),
                    ..pb::ChangeDevices::default()
                })
            }
            Change::Leaving(id) | Change::Staying(id) => {
                let member = before.device(*id).filter(|device| device.is_for_recovery());
                member.ok_or_else(|| unknown(*id))?;
                next.leaving.retain(|leaving| leaving != id);
                if let Change::Leaving(id) = change {
                    announce(&mut next, &[*id]);
                }
                Ok(pb::ChangeDevices {
                    list: Some(self.sign_list(next).to_message()),
                    ..pb::ChangeDevices::default()
                })
            }
            Change::Replace(old, newcomer) => {
                let mut old = old(known);
                // Whoever has put a root key that does not open is given no other; but she is asked about it.
                let more = self.responsible(known);
                if !more.is_empty() && !more.iter().any(|id| old.contains(id)) {
                    return Err(known.unusable());
                }
                let more: Vec<_> = more.into_iter().filter(|id| !old.contains(id)).collect();
                old.extend(more);
                let missing = old.iter().find(|id| before.device(**id).is_none());
                if let Some(missing) = missing {
                    return Err(unknown(*missing));
                }
                next.devices.retain(|device| !old.contains(&device.id()));
                // What a device has announced that is gone now is not her word.
                let announced = |id: &DeviceId| known.history().announced(*id).map(|(by, _)| by);
                let holds = |id: &DeviceId| announced(id).is_some_and(|by| !old.contains(&by));
                next.leaving.retain(|id| !old.contains(id) && holds(id));
                let root = VaultRootKey::generate()?;
                next.root_epoch += 1;
                next.vault_key = root.vault_key(&self.id(), next.root_epoch)?.public().clone();
                for device in &mut next.devices {
                    let id = device.id();
                    device.sealed_name = self.sealed_name(&root, &known.name(id)?, id)?;
                }
                let rotation = pb::Rotation {
                    root_keys: self.root_keys(keys, &root, &next)?,
                    previous_root_key: self.previous_root(known, &root)?,
                    collections: ring.rewrapped(&self.id(), &root)?,
                    vault_key: Some(self.keys.vault_key(&next)),
                    passed_over: passed_over(known),
                };
                if let Some(newcomer) = newcomer {
                    next.devices.push(self.listed(known, &root, newcomer)?);
                }
                let list = self.sign_list(next);
                let added = newcomer.map(|newcomer| self.new_device(&root, newcomer, &list));
                Ok(pb::ChangeDevices {
                    added: added.transpose()?,
                    list: Some(list.to_message()),
                    rotation: Some(rotation),
                })
            }
        }
    }

    /// The devices that are to go because the newest root key does not open, or not lead on, with those that are there by their word;
    /// recovery members have their time (DEV-23). None if it does.
    pub(super) fn responsible(&self, known: &Known) -> Vec<DeviceId> {
        let mut going = self.responsible_with_members(known);
        going.retain(|id| {
            let listed = known.newest().device(*id);
            listed.is_some_and(|device| !device.is_for_recovery())
        });
        going
    }

    /// The devices and recovery members that put root keys which do not open, and those that are there by their word.
    pub(super) fn responsible_with_members(&self, known: &Known) -> Vec<DeviceId> {
        let mut going = Vec::new();
        for device in known.responsible() {
            let with = self.going_with(known, device, |_| false);
            let more: Vec<_> = with.into_iter().filter(|id| !going.contains(id)).collect();
            going.extend(more);
        }
        going.retain(|id| *id != self.keys.own.id());
        going
    }

    /// A new device as the list names it.
    fn listed(&self, known: &Known, root: &VaultRootKey, newcomer: &Newcomer<'_>) -> Result<ListedDevice> {
        if known.device(newcomer.id()).is_some() {
            return Err(Error::Usage(
                "this device was added before: its code is used up".into(),
            ));
        }
        Ok(ListedDevice {
            device_key: newcomer.device_key,
            recipient_key_hash: newcomer.recipient_key.digest(),
            kind: newcomer.kind,
            sealed_name: self.sealed_name(root, newcomer.name, newcomer.id())?,
        })
    }

    fn sign_list(&self, list: DeviceList) -> Signed<DeviceList> {
        Signed::sign(list, |message| self.keys.sign(message))
    }

    fn sealed_name(&self, root: &VaultRootKey, name: &Name, device: DeviceId) -> Result<Bytes> {
        Ok(root.seal_device_name(name, &self.id(), &device)?.into())
    }

    /// What comes to the server with a new device: certified by this one, and the list's root key sealed to it.
    fn new_device(
        &self,
        root: &VaultRootKey,
        newcomer: &Newcomer<'_>,
        list: &Signed<DeviceList>,
    ) -> Result<pb::NewDevice> {
        let certificate = DeviceCertificate {
            created: mint::now_ms(),
            patient_id: self.id(),
            device_key: newcomer.device_key,
            recipient_key_hash: newcomer.recipient_key.digest(),
        };
        let certificate = Signed::sign(certificate, |message| self.keys.sign(message));
        let context = RootKeyContext {
            patient: self.id(),
            epoch: list.claimed().root_epoch,
            device: newcomer.id(),
        };
        let sealed = seal_root_key(newcomer.recipient_key, &context, root)?;
        let (patient, hash, device) = (self.id(), list.hash(), newcomer.id());
        let approval = match newcomer.proof {
            Proof::Code(code) => Bytes::copy_from_slice(&code.approval(&patient, &hash, &device)?),
            Proof::Secret(secret) => Bytes::copy_from_slice(&secret.approval(&patient, &hash, &device)?),
            Proof::Same => Bytes::new(),
        };
        Ok(pb::NewDevice {
            chain: Some((&self.keys.chain.extended(certificate)?).into()),
            recipient_key: Bytes::copy_from_slice(newcomer.recipient_key.as_bytes()),
            root_key: Some((&sealed).into()),
            approval,
        })
    }

    /// A new root key, sealed to those on the verified list and to nobody else (DEV-5).
    fn root_keys(
        &self,
        keys: &RecipientKeys,
        root: &VaultRootKey,
        next: &DeviceList,
    ) -> Result<Vec<pb::Sealed>> {
        let seal = |device: &ListedDevice| {
            let context = RootKeyContext {
                patient: self.id(),
                epoch: next.root_epoch,
                device: device.id(),
            };
            let key = keys.get(&context.device);
            let key = key.ok_or_else(|| tampered("a device has no X-Wing key"))?;
            Ok(pb::Sealed::from(&seal_root_key(key, &context, root)?))
        };
        next.devices.iter().map(seal).collect()
    }

    fn previous_root(&self, known: &Known, root: &VaultRootKey) -> Result<Bytes> {
        let (epoch, previous) = known.goes_on_from().ok_or_else(|| known.unusable())?;
        let wrapped = root.wrap_previous(previous, &self.id(), epoch)?;
        Ok(Bytes::copy_from_slice(wrapped.as_bytes()))
    }

    /// Asks for newer lists, verifies and keeps them. The server must show the newest that this device has seen, and
    /// whatever comes after that must continue it (DEV-14).
    pub(crate) async fn refresh_devices(&self) -> Result<Arc<Known>> {
        Ok(self.fetch_devices().await?.0)
    }

    /// As [`Self::refresh_devices`], with the X-Wing keys of the newest list's devices.
    async fn fetch_devices(&self) -> Result<(Arc<Known>, RecipientKeys)> {
        match self.ask_for_devices().await {
            Err(error) => Err(self.session.or_restored(error).await),
            fetched => fetched,
        }
    }

    async fn ask_for_devices(&self) -> Result<(Arc<Known>, RecipientKeys)> {
        let known = self.keys.known();
        let seen = known.newest();
        // Before the server is asked: what another process sees later is no older state.
        let count = self.keys.seen(&self.session.home)?;
        let answer = device_lists(&self.session.server, seen.sequence.checked_sub(1)).await?;
        let (first, newer) = answer
            .lists
            .split_first()
            .ok_or_else(|| tampered("the server shows an older state than this device has seen"))?;
        let first = Signed::<DeviceList>::try_from(first.clone()).map_err(tampered)?;
        if first.hash() != seen.hash() {
            return Err(tampered(
                "the server shows another list than this device has seen",
            ));
        }
        let shown = known.state().lists.len() + newer.len();
        if !Defence::KeptLists.holds(shown >= count) {
            return Err(tampered(
                "the server shows an older state than this home has seen",
            ));
        }
        if newer.is_empty() {
            let keys = recipient_keys(seen, &answer.devices)?;
            return Ok((known, keys));
        }
        let mut lists = known.state().lists.clone();
        lists.extend_from_slice(newer);
        let devices = answer.devices.clone();
        let state = known.with_newer(lists, answer);
        let fresh = Known::read(state, &self.keys.own, &self.keys.chain)?;
        let keys = recipient_keys(fresh.newest(), &devices)?;
        let _lock = self.session.home.lock().await?;
        Ok((self.keys.learn(&self.session.home, fresh)?, keys))
    }

    /// What a list changed, in words, if it is one that this device has verified.
    pub(crate) async fn devices_changed_text(&self, list: pb::Statement) -> Result<String> {
        let list = Signed::<DeviceList>::try_from(list).map_err(tampered)?;
        let sequence = list.claimed().sequence;
        let mut known = self.keys.known();
        if known.newest().sequence < sequence {
            known = self.refresh_devices().await?;
        }
        let verified = known.list(sequence);
        let before = sequence.checked_sub(1).and_then(|before| known.list(before));
        let (Some(list), Some(before)) = (verified.filter(|verified| verified.hash() == list.hash()), before)
        else {
            return Err(tampered("it is not the list that follows the one before"));
        };
        let (list, before) = (list.claimed(), before.claimed());
        let added = list.added(before).map(|device| ("added", device.id()));
        let removed = list.removed(before).map(|device| ("removed", device.id()));
        let mut words = Vec::new();
        for (what, id) in added.chain(removed) {
            words.push(format!("{what} {}", known.name(id)?.as_str()));
        }
        let by = known.name(list.signer)?;
        let what = if words.is_empty() {
            "renamed".to_owned()
        } else {
            words.join(", ")
        };
        Ok(format!("{what}, by {}", by.as_str()))
    }

    /// What is known when a root epoch is; newer lists are asked for if it is not.
    pub(crate) async fn known_epoch(&self, epoch: u64) -> Result<Arc<Known>> {
        let known = self.keys.known();
        if known.newest().root_epoch >= epoch {
            return Ok(known);
        }
        self.refresh_devices().await
    }

    /// Whether a device that a verified chain leads to is, or was, on her lists (DEV-8).
    pub(super) async fn known_device(&self, device: &Device) -> Result<Arc<Known>> {
        let mut known = self.keys.known();
        if known.device(device.id()).is_none() {
            known = self.refresh_devices().await?;
        }
        if known.device(device.id()).is_some() {
            Ok(known)
        } else {
            Err(tampered("it has not the device that signed a statement"))
        }
    }
}

impl Ring {
    /// All collections under a new root key, each with one more epoch, by id.
    fn rewrapped(&self, patient: &PatientId, root: &VaultRootKey) -> Result<Vec<pb::CollectionEpochs>> {
        let rewrap = |(id, name, keys): (_, &Name, &[Option<CollectionKey>])| {
            let next = Some(CollectionKey::generate()?);
            let wrap = |(epoch, key): (u64, &Option<CollectionKey>)| {
                let of = Collection { id, epoch };
                // The key of an epoch that is closed is gone; one that does not open stays as it is.
                let Some(key) = key else {
                    return Ok(self.unreadable(of).cloned().unwrap_or_default());
                };
                let wrapped = root.wrap_collection_key(key, patient, &of)?;
                Ok::<_, Error>(Bytes::copy_from_slice(wrapped.as_bytes()))
            };
            let keys = (0..).zip(keys.iter().chain([&next]));
            Ok(pb::CollectionEpochs {
                collection_id: Bytes::copy_from_slice(id.as_bytes()),
                sealed_name: root.seal_collection_name(name, patient, &id)?.into(),
                key_wraps: keys.map(wrap).collect::<Result<_>>()?,
            })
        };
        self.keys().map(rewrap).collect()
    }
}

/// X-Wing keys by device.
type RecipientKeys = HashMap<DeviceId, RecipientKey>;

/// X-Wing keys of the devices of a list, each as the list names it.
fn recipient_keys(list: &DeviceList, devices: &[pb::DeviceKeys]) -> Result<RecipientKeys> {
    let key = |(listed, keys): (&ListedDevice, &pb::DeviceKeys)| {
        let key = RecipientKey::try_from(keys.recipient_key.as_ref()).map_err(tampered)?;
        if key.digest() == listed.recipient_key_hash {
            Ok((listed.id(), key))
        } else {
            Err(tampered("a device has another X-Wing key"))
        }
    };
    list.devices.iter().zip(devices).map(key).collect()
}

/// The chain of one of the devices of an answer.
pub(super) fn own_chain(
    devices: &[pb::DeviceKeys],
    own: DeviceId,
    patient: PatientId,
) -> Result<DeviceChain> {
    for device in devices {
        let chain = DeviceChain::try_from(device.chain.clone()).map_err(tampered)?;
        let device = chain.verify(patient).map_err(tampered)?;
        if device.id() == own {
            return Ok(device.chain().clone());
        }
    }
    Err(tampered("no chain leads to this device"))
}

/// How many root epochs before the next one are passed over (DEV-30).
fn passed_over(known: &Known) -> u64 {
    let from = known.goes_on_from().map_or(0, |(epoch, _)| epoch);
    known.newest().root_epoch.saturating_sub(from)
}

fn announce(next: &mut DeviceList, leaving: &[DeviceId]) {
    next.leaving.extend(leaving);
    next.leaving.sort_unstable();
    next.leaving.dedup();
}

pub(super) fn unknown(device: DeviceId) -> Error {
    Error::Unknown {
        what: "device",
        id: device.to_string(),
    }
}

/// Each failure is another device's success.
const MAX_TRIES: usize = 8;
