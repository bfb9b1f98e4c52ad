//! Her devices: listed, named and added by any of them, and how the list changes. See `protocol-spec/spec/devices.md`.

use bytes::Bytes;
use crypto::{Collection, CollectionKey, RootKeyContext, SecureRandom, VaultRootKey, seal_root_key};
use protocol_spec::{
    api,
    bodies::DeviceCertificate,
    devices::{DeviceList, ListedDevice},
    field::{Name, SealedBytes},
    ids::{DeviceId, PatientId},
    messages as pb,
    patient::DeviceChain,
    problem::Problem,
    statement::Signed,
    submitted::{self, CollectionEpochs, KeyWrap},
    vault_head::Act,
};

use crate::{
    Error, Result,
    patient::{
        acts, catching_up, given, heads,
        known::{KnownDevices, tampered},
        listed::{self, ListProof, Newcomer, RecipientKeys},
        ring,
        vault::{Vault, ring::Ring},
    },
};

/// What changes from one list to the next.
pub(super) enum Change<'a> {
    /// Adds one, and announces that these leave.
    Add(&'a Newcomer<'a>, &'a [DeviceId]),
    /// Removes some, as the newest list says, and adds one in their place.
    Replace(
        &'a (dyn Fn(&KnownDevices) -> Vec<DeviceId> + Sync),
        Option<&'a Newcomer<'a>>,
    ),
    Name(DeviceId, &'a Name),
    /// Announces that a recovery member leaves.
    Leaving(DeviceId),
    /// Takes such an announcement back.
    Staying(DeviceId),
}

pub(super) async fn name_device(vault: &Vault, device: DeviceId, name: &str) -> Result<()> {
    let name = Name::try_from(name.to_owned())?;
    change(vault, &Change::Name(device, &name)).await?;
    heads::put_head(vault).await
}

/// Adds a device, and signs a head over it.
pub(crate) async fn add_device(vault: &Vault, newcomer: &Newcomer<'_>) -> Result<()> {
    change(vault, &Change::Add(newcomer, &[])).await?;
    heads::put_head(vault).await
}

/// Adds a recovery member beside others, whose leaving is announced with it.
pub(super) async fn add_beside(vault: &Vault, newcomer: &Newcomer<'_>, leaving: &[DeviceId]) -> Result<()> {
    change(vault, &Change::Add(newcomer, leaving)).await?;
    heads::put_head(vault).await
}

/// Announces that this recovery member itself leaves: whoever has its words agrees (DEV-23).
pub(super) async fn announce_own_leaving(vault: &Vault) -> Result<()> {
    change(vault, &Change::Leaving(vault.keys.own.id())).await?;
    heads::put_head(vault).await
}

/// Puts the next list. When another device was faster, with a list, a collection or a record, it is
/// done anew behind that (DEV-13).
pub(super) async fn change(vault: &Vault, change: &Change<'_>) -> Result<()> {
    for _ in 0..MAX_TRIES {
        // Before anything is sealed to a list that may be an older one (VLT-3).
        drop(catching_up::catch_up(vault).await?);
        let (known, keys) = listed::fetch_devices(vault).await?;
        let message = if known.opens() {
            let ring = ring::refresh_ring(vault).await?;
            next_list(vault, &known, &keys, &ring, change)?
        } else {
            let ring = ring::ring_to_go_on(vault).await?;
            next_list(vault, &known, &keys, &ring, change)?
        };
        match vault.post(api::CHANGE_DEVICES.here(), &message).await {
            Ok(_) => {
                acts::did(vault, Act::Devices(message.list.hash())).await;
                listed::refresh_devices(vault).await?;
                ring::refresh_ring(vault).await?;
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
    vault: &Vault,
    known: &KnownDevices,
    keys: &RecipientKeys,
    ring: &Ring,
    change: &Change<'_>,
) -> Result<submitted::ChangeDevices> {
    let before = known.newest();
    let mut next = DeviceList {
        created: vault.session.system().now_ms(),
        sequence: before.sequence + 1,
        previous_hash: before.hash(),
        signer: vault.keys.own.id(),
        last_placement: ring.last_placement(),
        ..(**before).clone()
    };
    match change {
        Change::Add(newcomer, leaving) => with_newcomer(vault, known, next, newcomer, leaving),
        Change::Name(id, name) => {
            let listed = next.devices.iter_mut().find(|device| device.id() == *id);
            let listed = listed.ok_or_else(|| unknown(*id))?;
            listed.sealed_name = listed::sealed_name(vault, known.root()?, name, *id)?;
            Ok(only_list(vault, next))
        }
        Change::Leaving(id) | Change::Staying(id) => {
            let member = before.device(*id).filter(|device| device.is_for_recovery());
            member.ok_or_else(|| unknown(*id))?;
            next.leaving.retain(|leaving| leaving != id);
            if let Change::Leaving(id) = change {
                announce(&mut next, &[*id]);
            }
            Ok(only_list(vault, next))
        }
        Change::Replace(old, newcomer) => {
            leave(vault, known, &mut next, old(known))?;
            under_new_root(vault, (known, keys, ring), next, *newcomer)
        }
    }
}

fn only_list(vault: &Vault, next: DeviceList) -> submitted::ChangeDevices {
    submitted::ChangeDevices {
        list: sign_list(vault, next),
        added: None,
        rotation: None,
    }
}

/// The list with one more device, which announces that these leave.
fn with_newcomer(
    vault: &Vault,
    known: &KnownDevices,
    mut next: DeviceList,
    newcomer: &Newcomer<'_>,
    leaving: &[DeviceId],
) -> Result<submitted::ChangeDevices> {
    announce(&mut next, leaving);
    let device = listed::listed(vault, known, known.root()?, newcomer)?;
    next.devices.push(device);
    if !next.finds_room(known.newest()) {
        return Err(Error::Usage(
            "there are as many devices as there can be: remove one first with `medvault device remove` or `medvault device retire`".into(),
        ));
    }
    let list = sign_list(vault, next);
    Ok(submitted::ChangeDevices {
        added: Some(new_device(vault, known.root()?, newcomer, &list)?),
        list,
        rotation: None,
    })
}

/// Takes devices off the list, and with them whoever has put a root key that does not open.
fn leave(vault: &Vault, known: &KnownDevices, next: &mut DeviceList, mut old: Vec<DeviceId>) -> Result<()> {
    // Whoever has put a root key that does not open is given no other; but she is asked about it.
    let more = given::responsible(vault, known);
    if !more.is_empty() && !more.iter().any(|id| old.contains(id)) {
        return Err(known.unusable());
    }
    let more: Vec<_> = more.into_iter().filter(|id| !old.contains(id)).collect();
    old.extend(more);
    let missing = old.iter().find(|id| known.newest().device(**id).is_none());
    if let Some(missing) = missing {
        return Err(unknown(*missing));
    }
    next.devices.retain(|device| !old.contains(&device.id()));
    // What a device has announced that is gone now is not her word.
    let announced = |id: &DeviceId| known.history().announced(*id).map(|(by, _)| by);
    let holds = |id: &DeviceId| announced(id).is_some_and(|by| !old.contains(&by));
    next.leaving.retain(|id| !old.contains(id) && holds(id));
    Ok(())
}

/// Makes a new root key, seals it to the devices of the list, and adds one if there is one to add.
fn under_new_root(
    vault: &Vault,
    (known, keys, ring): (&KnownDevices, &RecipientKeys, &Ring),
    mut next: DeviceList,
    newcomer: Option<&Newcomer<'_>>,
) -> Result<submitted::ChangeDevices> {
    let root = VaultRootKey::generate(vault.session.system())?;
    next.root_epoch += 1;
    next.vault_key = root.vault_key(&vault.id(), next.root_epoch)?.public().clone();
    for device in &mut next.devices {
        let id = device.id();
        device.sealed_name = listed::sealed_name(vault, &root, &known.name(id)?, id)?;
    }
    let rotation = submitted::Rotation {
        root_keys: root_keys(vault, keys, &root, &next)?,
        previous_root_key: previous_root(vault, known, &root)?,
        collections: ring.rewrapped(vault.session.system(), &vault.id(), &root)?,
        vault_key: vault.keys.vault_key(&next),
        passed_over: passed_over(known),
    };
    if let Some(newcomer) = newcomer {
        next.devices.push(listed::listed(vault, known, &root, newcomer)?);
    }
    let list = sign_list(vault, next);
    let added = newcomer.map(|newcomer| new_device(vault, &root, newcomer, &list));
    Ok(submitted::ChangeDevices {
        added: added.transpose()?,
        list,
        rotation: Some(rotation),
    })
}

fn sign_list(vault: &Vault, list: DeviceList) -> Signed<DeviceList> {
    Signed::sign(list, |message| vault.keys.sign(message))
}

/// What comes to the server with a new device: certified by this one, and the list's root key sealed to it.
fn new_device(
    vault: &Vault,
    root: &VaultRootKey,
    newcomer: &Newcomer<'_>,
    list: &Signed<DeviceList>,
) -> Result<submitted::NewDevice> {
    let certificate = DeviceCertificate {
        created: vault.session.system().now_ms(),
        patient_id: vault.id(),
        device_key: newcomer.device_key,
        recipient_key_hash: newcomer.recipient_key.digest(),
    };
    let certificate = Signed::sign(certificate, |message| vault.keys.sign(message));
    let context = RootKeyContext {
        patient: vault.id(),
        epoch: list.claimed().root_epoch,
        device: newcomer.id(),
    };
    let root_key = seal_root_key(vault.session.system(), newcomer.recipient_key, &context, root)?;
    let (patient, hash, device) = (vault.id(), list.hash(), newcomer.id());
    let approval = match newcomer.proof {
        ListProof::Code(code) => Bytes::copy_from_slice(&code.approval(&patient, &hash, &device)),
        ListProof::Secret(secret) => Bytes::copy_from_slice(&secret.approval(&patient, &hash, &device)),
        ListProof::Same => Bytes::new(),
    };
    Ok(submitted::NewDevice {
        chain: vault.keys.chain.extended(certificate)?,
        recipient_key: newcomer.recipient_key.clone(),
        root_key,
        approval,
    })
}

/// A new root key, sealed to those on the verified list and to nobody else (DEV-5).
fn root_keys(
    vault: &Vault,
    keys: &RecipientKeys,
    root: &VaultRootKey,
    next: &DeviceList,
) -> Result<Vec<SealedBytes>> {
    let seal = |device: &ListedDevice| {
        let context = RootKeyContext {
            patient: vault.id(),
            epoch: next.root_epoch,
            device: device.id(),
        };
        let key = keys.get(&context.device);
        let key = key.ok_or_else(|| tampered("a device has no X-Wing key"))?;
        Ok(seal_root_key(vault.session.system(), key, &context, root)?)
    };
    next.devices.iter().map(seal).collect()
}

fn previous_root(vault: &Vault, known: &KnownDevices, root: &VaultRootKey) -> Result<KeyWrap> {
    let (epoch, previous) = known.goes_on_from().ok_or_else(|| known.unusable())?;
    Ok((&root.wrap_previous(vault.session.system(), previous, &vault.id(), epoch)?).into())
}

/// What a list changed, in words, if it is one that this device has verified.
pub(crate) async fn devices_changed_text(
    vault: &Vault,
    list: impl TryInto<Signed<DeviceList>, Error = protocol_spec::Error>,
) -> Result<String> {
    let list = list.try_into().map_err(tampered)?;
    let sequence = list.claimed().sequence;
    let mut known = vault.keys.known();
    if known.newest().sequence < sequence {
        known = listed::refresh_devices(vault).await?;
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

impl Ring {
    /// All collections under a new root key, each with one more epoch, by id.
    fn rewrapped(
        &self,
        random: &dyn SecureRandom,
        patient: &PatientId,
        root: &VaultRootKey,
    ) -> Result<Vec<CollectionEpochs>> {
        let rewrap = |(id, name, keys): (_, &Name, &[Option<CollectionKey>])| {
            let next = Some(CollectionKey::generate(random)?);
            let wrap = |(epoch, key): (u64, &Option<CollectionKey>)| {
                let of = Collection { id, epoch };
                // The key of an epoch that is closed is gone; one that does not open stays as it is.
                let Some(key) = key else {
                    let kept = self.unreadable(of).cloned().map(KeyWrap::try_from);
                    return Ok(kept.transpose()?);
                };
                let wrapped = root.wrap_collection_key(random, key, patient, &of)?;
                Ok::<_, Error>(Some(KeyWrap::from(&wrapped)))
            };
            let keys = (0..).zip(keys.iter().chain([&next]));
            Ok(CollectionEpochs {
                collection_id: id,
                sealed_name: root.seal_collection_name(random, name, patient, &id)?.into(),
                key_wraps: keys.map(wrap).collect::<Result<_>>()?,
            })
        };
        self.keys().map(rewrap).collect()
    }
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
fn passed_over(known: &KnownDevices) -> u64 {
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
