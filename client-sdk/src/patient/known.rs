//! What a device knows of her devices: the lists, verified from the first on, and the root keys that
//! came with them. See `protocol-spec/spec/devices.md`.

use crypto::{RecipientSecret, VaultRootKey};
use protocol_spec::{
    defence::Defence,
    devices::{DeviceHistory, DeviceList, KnownDevice, ListedDevice},
    field::Name,
    ids::DeviceId,
    messages as pb,
    patient::DeviceChain,
    statement::{Signed, Verified},
};

use crate::{
    Error, Result,
    patient::{device_keys::DeviceKeys, epochs::RootEpochs},
};

/// Verified lists, and the keys of every root epoch up to the newest, as far as they open.
pub(crate) struct KnownDevices {
    /// As it lies in the home: all lists, the sealed root key, the ones before.
    state: pb::DeviceLists,
    history: DeviceHistory,
    epochs: RootEpochs,
}

impl KnownDevices {
    /// Verifies all lists, and opens what they come with (DEV-2 to DEV-5). A root key that does not open is left out as long
    /// as there is any that does (DEV-30).
    pub(super) fn read(state: pb::DeviceLists, own: &DeviceKeys, chain: &DeviceChain) -> Result<Self> {
        let mut lists = state.lists.iter().cloned().map(Signed::<DeviceList>::try_from);
        let first = lists.next().ok_or_else(|| tampered("it is empty"))?;
        let mut history = first
            .and_then(|first| DeviceHistory::begin(first, chain.identity_key()))
            .map_err(tampered)?;
        let mut epochs = RootEpochs::default();
        epochs.note(history.newest());
        for list in lists {
            list.and_then(|list| history.extend(list)).map_err(tampered)?;
            epochs.note(history.newest());
        }
        if history.newest().device(own.id()).is_none() {
            return Err(Error::Usage(
                "this device is no longer one of the vault's: link it anew, in a new home".into(),
            ));
        }
        let used = epochs.open(&state, own, history.newest().patient_id);
        if epochs.roots().next().is_none() {
            return Err(tampered("its root key is not the one that the list names"));
        }
        Ok(Self {
            state: pb::DeviceLists {
                more: false,
                devices: Vec::new(),
                kept_root_keys: used,
                ..state
            },
            history,
            epochs,
        })
    }

    pub(super) fn state(&self) -> &pb::DeviceLists {
        &self.state
    }

    /// What an answer has of newer lists, with the root keys that this device has besides: those that it was given before are
    /// not lost with a newer one that does not open.
    pub(super) fn with_newer(&self, lists: Vec<pb::Statement>, answer: pb::DeviceLists) -> pb::DeviceLists {
        let mut kept = self.state.kept_root_keys.clone();
        kept.push(pb::KeptRootKey {
            root_epoch: self.newest().root_epoch,
            root_key: self.state.root_key.clone(),
        });
        kept.extend(answer.kept_root_keys);
        pb::DeviceLists {
            lists,
            kept_root_keys: kept,
            ..answer
        }
    }

    /// The newest list of devices that was verified.
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
    /// Errors: [`Error::RootKeyUnusable`] when it does not open on this device.
    pub(crate) fn root(&self) -> Result<&VaultRootKey> {
        self.root_of(self.newest().root_epoch)
            .ok_or_else(|| self.unusable())
    }

    /// Whether the newest root key opens.
    pub(crate) fn opens(&self) -> bool {
        self.root_of(self.newest().root_epoch).is_some()
    }

    /// The root key of an epoch: of what was named then.
    pub(crate) fn root_of(&self, epoch: u64) -> Option<&VaultRootKey> {
        Some(&self.epochs.keys(epoch)?.root)
    }

    /// The vault key of an epoch: opens what was sealed to her.
    pub(crate) fn vault_key(&self, epoch: u64) -> Option<&RecipientSecret> {
        Some(&self.epochs.keys(epoch)?.vault)
    }

    /// Why something that is sealed to the vault key of an epoch does not open.
    pub(crate) fn no_vault_key(&self, epoch: u64) -> String {
        match self.began(epoch).map(|list| self.name(list.claimed().signer)) {
            Some(Ok(by)) => format!(
                "it is sealed to the vault key of root epoch {epoch}, whose root key, put by {:?}, does not open here",
                by.as_str()
            ),
            _ => "it is sealed to a vault key that is not hers".to_owned(),
        }
    }

    /// The root keys that open, newest first, with their epochs.
    pub(super) fn roots(&self) -> impl Iterator<Item = (u64, &VaultRootKey)> {
        self.epochs.roots()
    }

    /// The list that began an epoch.
    fn began(&self, epoch: u64) -> Option<Signed<DeviceList>> {
        self.list(self.epochs.began(epoch)?)
    }

    /// The root key from which a next one goes on, with its epoch (DEV-30).
    pub(super) fn goes_on_from(&self) -> Option<(u64, &VaultRootKey)> {
        let epoch = self.epochs.goes_on_from()?;
        Some((epoch, self.root_of(epoch)?))
    }

    /// Whether a next root key goes on from the newest one.
    pub(super) fn is_sound(&self) -> bool {
        self.first_unusable() > self.newest().root_epoch
    }

    /// The first epoch that is passed over.
    fn first_unusable(&self) -> u64 {
        self.goes_on_from()
            .map_or(0, |(epoch, _)| epoch.saturating_add(1))
    }

    /// Those who began the epochs that are passed over and still are on the list, with when they did, in order.
    fn beginners(&self) -> impl Iterator<Item = (DeviceId, u64)> {
        let epochs = self.first_unusable()..=self.newest().root_epoch;
        let began = epochs.filter_map(move |epoch| self.began(epoch));
        let signed = began.map(|list| (list.claimed().signer, list.claimed().created));
        signed.filter(move |(signer, _)| self.newest().device(*signer).is_some())
    }

    /// The devices by whose lists there are epochs that are passed over: whoever began one, and whatever was added since the first
    /// began, for it was given keys of such an epoch.
    pub(super) fn responsible(&self) -> Vec<DeviceId> {
        let mut found: Vec<_> = self.beginners().map(|(signer, _)| signer).collect();
        if let Some(began) = self.epochs.began(self.first_unusable()) {
            let listed = self.newest().devices.iter().map(ListedDevice::id);
            let since = |id: &DeviceId| self.device(*id).is_some_and(|known| known.added >= began);
            found.extend(listed.filter(since));
        }
        found
    }

    /// That the newest root key does not open, or not lead on, and who has put the first such that is still there.
    pub(super) fn unusable(&self) -> Error {
        let newest = self.newest();
        let (by, at) = self.beginners().next().unwrap_or((newest.signer, newest.created));
        Error::RootKeyUnusable {
            epoch: self.first_unusable().min(newest.root_epoch),
            by: self
                .name(by)
                .map_or_else(|_| by.to_string(), |name| name.as_str().to_owned()),
            device: by.to_string(),
            at,
        }
    }

    /// What follows from the lists for each device.
    pub(super) fn history(&self) -> &DeviceHistory {
        &self.history
    }

    /// What she calls a device: as the last list says in which it can be read, else the beginning of its id.
    pub(crate) fn name(&self, id: DeviceId) -> Result<Name> {
        let known = self
            .device(id)
            .ok_or_else(|| tampered("a device is in no list"))?;
        let open = |epoch: u64, sealed: &[u8]| {
            let root = self.root_of(epoch)?;
            root.open_device_name(sealed, &self.newest().patient_id, &id).ok()
        };
        if let Some(name) = open(known.root_epoch, &known.listed.sealed_name) {
            return Ok(name);
        }
        let earlier = self
            .state
            .lists
            .iter()
            .rev()
            .filter(|_| !Defence::ForeignNames.is_off());
        for list in earlier {
            let list = Signed::<DeviceList>::try_from(list.clone()).map_err(tampered)?;
            let (list, named) = (list.claimed(), list.claimed().device(id));
            if let Some(name) = named.and_then(|named| open(list.root_epoch, &named.sealed_name)) {
                return Ok(name);
            }
        }
        readable(Err(tampered("the name of a device does not open")), &id)
    }
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
