//! The devices on her lists: fetched, verified, and remembered. See `protocol-spec/spec/devices.md` §2.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use crypto::{LinkCode, RecoverySecret, VaultRootKey};
use protocol_spec::{
    defence::Defence,
    devices::{DeviceKind, DeviceList, ListedDevice},
    field::Name,
    ids::DeviceId,
    keys::{IdentityKey, RecipientKey},
    messages as pb,
    names::Look,
    patient::Device,
    statement::Signed,
};

use crate::{
    Error, Result,
    patient::{
        known::{KnownDevices, tampered},
        lists::device_lists,
        vault::Vault,
    },
};

pub(super) async fn devices(vault: &Vault) -> Result<Vec<DeviceInfo>> {
    let known = refresh_devices(vault).await?;
    let info = |device: &ListedDevice| {
        let id = device.id();
        let added = known.device(id).and_then(|device| known.list(device.added));
        Ok(DeviceInfo {
            id,
            name: known.name(id)?.as_str().to_owned(),
            kind: device.kind,
            this: id == vault.keys.own.id(),
            added: added.map_or(0, |list| list.claimed().created),
            leaving: known.newest().leaving.contains(&id),
        })
    };
    known.newest().devices.iter().map(info).collect()
}

pub(super) fn unusable_root_key(vault: &Vault) -> Option<Error> {
    let known = vault.keys.known();
    (!known.is_sound()).then(|| known.unusable())
}

pub(super) async fn find_device(vault: &Vault, id_or_name: &str) -> Result<DeviceInfo> {
    let by_id = id_or_name.parse::<DeviceId>().ok();
    let look = Look::of(id_or_name);
    let mut found = devices(vault)
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

/// A new device as the list names it.
pub(super) fn listed(
    vault: &Vault,
    known: &KnownDevices,
    root: &VaultRootKey,
    newcomer: &Newcomer<'_>,
) -> Result<ListedDevice> {
    if known.device(newcomer.id()).is_some() {
        return Err(Error::Usage(
            "this device was added before: its code is used up".into(),
        ));
    }
    Ok(ListedDevice {
        device_key: newcomer.device_key,
        recipient_key_hash: newcomer.recipient_key.digest(),
        kind: newcomer.kind,
        sealed_name: sealed_name(vault, root, newcomer.name, newcomer.id())?,
    })
}

pub(super) fn sealed_name(
    vault: &Vault,
    root: &VaultRootKey,
    name: &Name,
    device: DeviceId,
) -> Result<Bytes> {
    Ok(root
        .seal_device_name(vault.session.system(), name, &vault.id(), &device)?
        .into())
}

/// Asks for newer lists, verifies and keeps them. The server must show the newest that this device has seen, and
/// whatever comes after that must continue it (DEV-14).
pub(crate) async fn refresh_devices(vault: &Vault) -> Result<Arc<KnownDevices>> {
    Ok(fetch_devices(vault).await?.0)
}

/// As `refresh_devices`, with the X-Wing keys of the newest list's devices.
pub(super) async fn fetch_devices(vault: &Vault) -> Result<(Arc<KnownDevices>, RecipientKeys)> {
    match ask_for_devices(vault).await {
        Err(error) => Err(vault.session.restorations.or_restored(error).await),
        fetched => fetched,
    }
}

async fn ask_for_devices(vault: &Vault) -> Result<(Arc<KnownDevices>, RecipientKeys)> {
    let known = vault.keys.known();
    let seen = known.newest();
    // Before the server is asked: what another process sees later is no older state.
    let count = vault.keys.seen(&vault.session.home)?;
    let answer = device_lists(&vault.session.server, seen.sequence.checked_sub(1)).await?;
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
    let fresh = KnownDevices::read(state, &vault.keys.own, &vault.keys.chain)?;
    let keys = recipient_keys(fresh.newest(), &devices)?;
    let _lock = vault.session.home.lock().await?;
    Ok((vault.keys.learn(&vault.session.home, fresh)?, keys))
}

/// What is known when a root epoch is; newer lists are asked for if it is not.
pub(crate) async fn known_epoch(vault: &Vault, epoch: u64) -> Result<Arc<KnownDevices>> {
    let known = vault.keys.known();
    if known.newest().root_epoch >= epoch {
        return Ok(known);
    }
    refresh_devices(vault).await
}

/// Whether a device that a verified chain leads to is, or was, on her lists (DEV-8).
pub(super) async fn known_device(vault: &Vault, device: &Device) -> Result<Arc<KnownDevices>> {
    let mut known = vault.keys.known();
    if known.device(device.id()).is_none() {
        known = refresh_devices(vault).await?;
    }
    if known.device(device.id()).is_some() {
        Ok(known)
    } else {
        Err(tampered("it has not the device that signed a statement"))
    }
}

/// The X-Wing key of each listed device.
pub(super) type RecipientKeys = HashMap<DeviceId, RecipientKey>;

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

/// A device that is to be added.
pub(crate) struct Newcomer<'a> {
    pub(crate) device_key: IdentityKey,
    pub(crate) recipient_key: &'a RecipientKey,
    pub(crate) kind: DeviceKind,
    pub(crate) name: &'a Name,
    /// By which the list is proven to it.
    pub(crate) proof: ListProof<'a>,
}

/// What a device that is added shares with the one that adds it.
#[derive(Clone, Copy)]
pub(crate) enum ListProof<'a> {
    /// The code that it shows.
    Code(&'a LinkCode),
    /// The secret from which its keys follow.
    Secret(&'a RecoverySecret),
    /// It is this machine that adds it.
    Same,
}

impl Newcomer<'_> {
    pub(super) fn id(&self) -> DeviceId {
        DeviceId::from(&self.device_key)
    }
}

/// A device as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeviceInfo {
    /// The device's id, which follows from its key.
    #[serde(rename = "device_id")]
    pub id: DeviceId,
    /// The name that the patient gave it.
    pub name: String,
    /// Whether it is a device or a recovery member.
    pub kind: DeviceKind,
    /// Whether it is the one that asks.
    pub this: bool,
    /// When it was added, in milliseconds since 1970, by the clock of the device that added it.
    #[serde(serialize_with = "crate::text::moment")]
    pub added: u64,
    /// Whether it is announced that it leaves.
    pub leaving: bool,
}
