//! The root epochs of a vault, and what opens them: the newest root key, as it is sealed to this device; those before, each under
//! the one after it; and what of them is kept. See `protocol-spec/spec/devices.md` §3 (DEV-5, DEV-29, DEV-30).

use std::collections::BTreeMap;

use crypto::{RecipientSecret, RootKeyContext, VaultRootKey, WrappedKey, open_root_key};
use protocol_spec::{
    defence::Defence, devices::DeviceList, field::SealedBytes, ids::PatientId, keys::RecipientKey,
    messages as pb,
};

use crate::patient::device_keys::DeviceKeys;

/// All root epochs, from 0, up to that of the newest list.
#[derive(Default)]
pub(super) struct RootEpochs(Vec<RootEpoch>);

/// One root epoch, as the verified lists have it.
struct RootEpoch {
    /// The list that began it.
    began: u64,
    /// As its lists name it.
    vault_key: RecipientKey,
    /// The epoch whose root key is to lie under this one's; of the first, itself.
    before: u64,
    /// The root key of `before` does lie under this one's.
    leads: bool,
    /// Its root key and vault key; none where the root key does not open.
    keys: Option<RootKeys>,
}

/// A root key that gives the vault key of its epoch.
pub(super) struct RootKeys {
    pub(super) root: VaultRootKey,
    /// Opens what was sealed to her.
    pub(super) vault: RecipientSecret,
}

impl RootEpochs {
    /// Takes in the next verified list.
    pub(super) fn note(&mut self, list: &DeviceList) {
        if self.count() == list.root_epoch {
            self.0.push(RootEpoch {
                began: list.sequence,
                vault_key: list.vault_key.clone(),
                before: list.root_epoch.saturating_sub(1),
                leads: false,
                keys: None,
            });
        }
    }

    /// How many root epochs there have been.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    /// Opens the newest root key, from it those before, and what that does not lead to by what is kept of it. Each must be the one
    /// that the lists commit to. Gives what of the kept keys was needed.
    pub(super) fn open(
        &mut self,
        state: &pb::DeviceLists,
        own: &DeviceKeys,
        patient: PatientId,
    ) -> Vec<pb::KeptRootKey> {
        let (links, mut used) = (links(state), Vec::new());
        let newest = self.count().saturating_sub(1);
        for epoch in (0..self.count()).rev() {
            let Some(vault_key) = self.at(epoch).map(|at| at.vault_key.clone()) else {
                break;
            };
            let place = RootKeyPlace {
                patient,
                epoch,
                vault_key: &vault_key,
            };
            let mut found = None;
            if epoch == newest {
                found = place.sealed(own, state.root_key.clone());
            }
            for (under, wrapped) in links.get(&epoch).into_iter().flatten() {
                let Some(under) = self.at_mut(*under) else {
                    continue;
                };
                let previous = under.keys.as_ref().and_then(|keys| place.under(keys, wrapped));
                (under.before, under.leads) = (epoch, previous.is_some());
                found = found.or(previous);
            }
            let kept = state.kept_root_keys.iter();
            for kept in kept.filter(|kept| kept.root_epoch == epoch) {
                if found.is_none() {
                    found = place.sealed(own, kept.root_key.clone());
                    used.extend(found.is_some().then(|| kept.clone()));
                }
            }
            if let Some(at) = self.at_mut(epoch) {
                at.keys = found;
            }
        }
        used
    }

    fn at(&self, epoch: u64) -> Option<&RootEpoch> {
        self.0.get(usize::try_from(epoch).ok()?)
    }

    fn at_mut(&mut self, epoch: u64) -> Option<&mut RootEpoch> {
        self.0.get_mut(usize::try_from(epoch).ok()?)
    }

    /// The root key of an epoch, and the vault key that follows from it; none where the root key does not open.
    pub(super) fn keys(&self, epoch: u64) -> Option<&RootKeys> {
        self.at(epoch)?.keys.as_ref()
    }

    /// The list that began an epoch.
    pub(super) fn began(&self, epoch: u64) -> Option<u64> {
        Some(self.at(epoch)?.began)
    }

    /// The root keys that open, newest first, with their epochs.
    pub(super) fn roots(&self) -> impl Iterator<Item = (u64, &VaultRootKey)> {
        let epochs = (0..self.count()).rev();
        epochs.filter_map(move |epoch| Some((epoch, &self.keys(epoch)?.root)))
    }

    /// The epoch from which a next one goes on: the newest, unless its root key does not open, or does not lead to
    /// one before that opens by other ways.
    pub(super) fn goes_on_from(&self) -> Option<u64> {
        let mut sound: Vec<u64> = Vec::new();
        for (epoch, at) in (0..).zip(&self.0) {
            let alone = epoch == 0 || self.keys(at.before).is_none();
            if at.keys.is_some() && (alone || (at.leads && sound.contains(&at.before))) {
                sound.push(epoch);
            }
        }
        let open = || self.roots().next().map(|(epoch, _)| epoch);
        sound.last().copied().or_else(open)
    }
}

/// By the epoch that each leads to: under the root key of which epoch that one's lies, and the wrap.
fn links(state: &pb::DeviceLists) -> BTreeMap<u64, Vec<(u64, &[u8])>> {
    let mut links = BTreeMap::<_, Vec<_>>::new();
    for (under, wrapped) in (1_u64..).zip(&state.previous_root_keys) {
        let passed = state.passed_over.iter().find(|passed| passed.root_epoch == under);
        let passed = passed.map_or(0, |passed| passed.epochs);
        if let Some(to) = under.checked_sub(1).and_then(|to| to.checked_sub(passed)) {
            links.entry(to).or_default().push((under, wrapped.as_ref()));
        }
    }
    links
}

/// Where a root key belongs.
struct RootKeyPlace<'a> {
    patient: PatientId,
    epoch: u64,
    vault_key: &'a RecipientKey,
}

impl RootKeyPlace<'_> {
    /// The root key that was sealed to a device.
    fn sealed(&self, own: &DeviceKeys, sealed: Option<pb::Sealed>) -> Option<RootKeys> {
        let context = RootKeyContext {
            patient: self.patient,
            epoch: self.epoch,
            device: own.id(),
        };
        let sealed = SealedBytes::try_from(sealed).ok()?;
        self.check(open_root_key(&own.recipient, &context, &sealed, self.vault_key).ok()?)
    }

    /// The root key that lies under a later one.
    fn under(&self, later: &RootKeys, wrapped: &[u8]) -> Option<RootKeys> {
        let wrapped = WrappedKey::try_from(wrapped).ok()?;
        let root = later.root.unwrap_previous(&wrapped, &self.patient, self.epoch);
        self.check(root.ok()?)
    }

    /// A root key must give the vault key of the lists of its epoch (DEV-5).
    fn check(&self, root: VaultRootKey) -> Option<RootKeys> {
        let vault = root.vault_key(&self.patient, self.epoch).ok()?;
        let same = vault.public() == self.vault_key;
        Defence::RootKey.holds(same).then_some(RootKeys { root, vault })
    }
}
