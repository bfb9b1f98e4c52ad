//! What a device knows of her devices: the lists, verified from the first on, and the root keys that came with
//! them. See `protocol-spec/spec/devices.md`.

use crypto::{RecipientSecret, RootKeyContext, VaultRootKey, WrappedKey, open_root_key};
use protocol_spec::{
    defence::Defence,
    devices::{DeviceHistory, DeviceList, KnownDevice},
    field::{Name, SealedBytes},
    ids::DeviceId,
    messages as pb,
    patient::DeviceChain,
    statement::{Signed, Verified},
};

use super::keys::DeviceKeys;
use crate::{Error, Result};

/// Verified lists, and the keys of every root epoch up to the newest.
pub(crate) struct Known {
    /// As it lies in the home: all lists, the sealed root key, the ones before.
    state: pb::DeviceLists,
    history: DeviceHistory,
    /// By epoch.
    roots: Vec<VaultRootKey>,
    /// By epoch, from each root key.
    vault_keys: Vec<RecipientSecret>,
}

impl Known {
    /// Verifies all lists, and opens what they come with (DEV-2 to DEV-5).
    pub(super) fn read(state: pb::DeviceLists, own: &DeviceKeys, chain: &DeviceChain) -> Result<Self> {
        let mut lists = state.lists.iter().cloned().map(Signed::<DeviceList>::try_from);
        let first = lists.next().ok_or_else(|| tampered("it is empty"))?;
        let mut history = first
            .and_then(|first| DeviceHistory::begin(first, chain.identity_key()))
            .map_err(tampered)?;
        for list in lists {
            list.and_then(|list| history.extend(list)).map_err(tampered)?;
        }
        if history.newest().device(own.id()).is_none() {
            return Err(Error::Usage(
                "this device is no more one of the vault's: link it anew, in a new home".into(),
            ));
        }
        let (roots, vault_keys) = root_keys(&state, own, history.newest())?;
        Ok(Self {
            state: pb::DeviceLists {
                more: false,
                devices: Vec::new(),
                ..state
            },
            history,
            roots,
            vault_keys,
        })
    }

    pub(super) fn state(&self) -> &pb::DeviceLists {
        &self.state
    }

    /// The newest list.
    pub(crate) fn newest(&self) -> &Verified<DeviceList> {
        self.history.newest()
    }

    /// A device that is or was in the lists.
    pub(crate) fn device(&self, id: DeviceId) -> Option<&KnownDevice> {
        self.history.device(id)
    }

    /// Whether a device may have made the placement with this number (DEV-8).
    pub(crate) fn may_have_placed(&self, id: DeviceId, number: u64) -> bool {
        self.history.may_have_placed(id, number)
    }

    /// The list with this number.
    pub(crate) fn list(&self, sequence: u64) -> Option<Signed<DeviceList>> {
        let statement = self.state.lists.get(usize::try_from(sequence).ok()?)?;
        statement.clone().try_into().ok()
    }

    /// The newest root key: wraps the keys of her collections.
    pub(crate) fn root(&self) -> Result<&VaultRootKey> {
        self.roots.last().ok_or_else(|| tampered("there is no root key"))
    }

    /// The root key of an epoch: of what was named then.
    pub(crate) fn root_of(&self, epoch: u64) -> Option<&VaultRootKey> {
        self.roots.get(usize::try_from(epoch).ok()?)
    }

    /// The vault key of an epoch: opens what was sealed to her.
    pub(crate) fn vault_key(&self, epoch: u64) -> Option<&RecipientSecret> {
        self.vault_keys.get(usize::try_from(epoch).ok()?)
    }

    /// What follows from the lists for each device.
    pub(super) fn history(&self) -> &DeviceHistory {
        &self.history
    }

    /// What she calls a device; of one whose name does not open, the beginning of its id.
    pub(crate) fn name(&self, id: DeviceId) -> Result<Name> {
        let named = self
            .device(id)
            .and_then(|known| Some((known, self.root_of(known.root_epoch)?)));
        let (known, root) = named.ok_or_else(|| tampered("a device is in no list"))?;
        let name = root.open_device_name(&known.listed.sealed_name, &self.newest().patient_id, &id);
        readable(name, &id).map_err(tampered)
    }
}

/// The newest root key, which must be the one that the list commits to, and from it those before.
fn root_keys(
    state: &pb::DeviceLists,
    own: &DeviceKeys,
    newest: &DeviceList,
) -> Result<(Vec<VaultRootKey>, Vec<RecipientSecret>)> {
    let patient = newest.patient_id;
    let sealed = SealedBytes::try_from(state.root_key.clone()).map_err(tampered)?;
    let context = RootKeyContext {
        patient,
        epoch: newest.root_epoch,
        device: own.id(),
    };
    let root = open_root_key(&own.recipient, &context, &sealed, &newest.vault_key);
    let mut roots = vec![root.map_err(|_| tampered("its root key is not the one that the list names"))?];
    for (epoch, wrapped) in (0_u64..)
        .zip(&state.previous_root_keys)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        let wrapped = WrappedKey::try_from(wrapped.as_ref()).map_err(tampered)?;
        let next = roots.last().ok_or_else(|| tampered("there is no root key"))?;
        roots.push(
            next.unwrap_previous(&wrapped, &patient, epoch)
                .map_err(tampered)?,
        );
    }
    roots.reverse();
    if u64::try_from(roots.len()).ok() != newest.root_epoch.checked_add(1) {
        return Err(tampered("not every root key is there"));
    }
    let vault_key = |(epoch, root): (u64, &VaultRootKey)| root.vault_key(&patient, epoch);
    let vault_keys = (0..).zip(&roots).map(vault_key).collect::<Result<_, _>>()?;
    Ok((roots, vault_keys))
}

/// A name that any device of hers may have sealed: a server sees only how long it is. One that does not open is shown by the
/// beginning of the id of what it is of, and keeps nobody from anything (DEV-25).
pub(super) fn readable<E>(name: Result<Name, E>, of: &impl std::fmt::Display) -> Result<Name, E> {
    match name {
        Err(_) if !Defence::ForeignNames.is_off() => Ok(Name::unreadable(of)),
        name => name,
    }
}

pub(super) fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the list of devices")(cause)
}
