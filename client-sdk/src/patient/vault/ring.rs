//! The keys of her collections, as far as this session has opened them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use crypto::{Collection, CollectionKey, VaultRootKey, WrappedKey};
use protocol_spec::{
    field::Name,
    ids::{CollectionId, PatientId},
    messages as pb,
};

use crate::{
    Error, Result,
    patient::known::{KnownDevices, readable},
};

/// The ring that this session has. It is replaced as a whole: whoever looks something up holds no lock.
#[derive(Default)]
pub(in crate::patient) struct KnownRing(Mutex<Arc<Ring>>);

impl KnownRing {
    pub(in crate::patient) fn get(&self) -> Arc<Ring> {
        self.lock().clone()
    }

    pub(in crate::patient) fn set(&self, ring: Ring) -> Arc<Ring> {
        let ring = Arc::new(ring);
        *self.lock() = ring.clone();
        ring
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Ring>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Her collections, and the number of the vault's last placement.
#[derive(Default)]
pub(in crate::patient) struct Ring {
    collections: BTreeMap<CollectionId, Keyed>,
    /// The number of the vault's last placement.
    last_placement: AtomicU64,
}

/// One collection with its keys.
struct Keyed {
    name: Name,
    /// By epoch, from 0, none of those that are closed or do not open; the last is the current one.
    keys: Vec<Option<CollectionKey>>,
    /// Wraps of epochs that are not closed and whose keys do not open, as they are: the server wants them with each new root
    /// key, and nobody can make better ones.
    unreadable: BTreeMap<u64, Bytes>,
    /// Whether the collection's name opens.
    named: bool,
}

impl Ring {
    /// A ring that has no collections yet.
    pub(in crate::patient) fn with(last_placement: u64) -> Self {
        Self {
            last_placement: last_placement.into(),
            ..Self::default()
        }
    }

    /// Opens a collection as the server shows it, and tells its id and how many epochs it has had.
    pub(in crate::patient) fn take(
        &mut self,
        known: &KnownDevices,
        message: &pb::CollectionEpochs,
    ) -> Result<(CollectionId, usize)> {
        let id = CollectionId::try_from(message.collection_id.as_ref())?;
        let keyed = Keyed::open(known, id, message)?;
        let epochs = keyed.keys.len();
        self.collections.insert(id, keyed);
        Ok((id, epochs))
    }

    /// The number of the vault's last placement.
    pub(in crate::patient) fn last_placement(&self) -> u64 {
        self.last_placement.load(Ordering::Relaxed)
    }

    /// This session has placed something.
    pub(in crate::patient) fn placed(&self, number: u64) {
        self.last_placement.fetch_max(number, Ordering::Relaxed);
    }

    /// Whether a name, or a key before a current one, does not open.
    pub(in crate::patient) fn lacks(&self) -> bool {
        self.collections.values().any(Keyed::lacks)
    }

    /// Takes what lies there under an earlier root key for what does not open, but for current keys (DEV-31).
    pub(in crate::patient) fn fill(
        &mut self,
        root: &VaultRootKey,
        patient: &PatientId,
        kept: &pb::CollectionEpochs,
    ) -> Result<()> {
        let id = CollectionId::try_from(kept.collection_id.as_ref())?;
        if let Some(keyed) = self.collections.get_mut(&id) {
            keyed.fill(root, patient, id, kept);
        }
        Ok(())
    }

    /// The key of a collection in one epoch.
    pub(in crate::patient) fn key(&self, collection: Collection) -> Option<&CollectionKey> {
        let epoch = usize::try_from(collection.epoch).ok()?;
        self.collections.get(&collection.id)?.keys.get(epoch)?.as_ref()
    }

    /// The current epoch and its key; none where that key does not open.
    pub(in crate::patient) fn current(&self, id: CollectionId) -> Option<(Collection, &CollectionKey)> {
        let newest = self.newest(id)?;
        Some((newest, self.key(newest)?))
    }

    /// The current epoch, whether or not its key opens: another device may have wrapped what is none.
    pub(in crate::patient) fn newest(&self, id: CollectionId) -> Option<Collection> {
        let before = self.collections.get(&id)?.keys.len().checked_sub(1)?;
        let epoch = u64::try_from(before).ok()?;
        Some(Collection { id, epoch })
    }

    /// Whether an epoch is not closed, also where its key does not open.
    pub(in crate::patient) fn is_open(&self, collection: Collection) -> bool {
        let keyed = self.collections.get(&collection.id);
        let unreadable = keyed.is_some_and(|keyed| keyed.unreadable.contains_key(&collection.epoch));
        unreadable || self.key(collection).is_some()
    }

    /// The wrap of an epoch whose key does not open.
    pub(in crate::patient) fn unreadable(&self, collection: Collection) -> Option<&Bytes> {
        self.collections
            .get(&collection.id)?
            .unreadable
            .get(&collection.epoch)
    }

    /// The epochs before the current ones that are not closed, of the collections that hold records.
    pub(in crate::patient) fn old_epochs(&self) -> Vec<Collection> {
        let mut old = Vec::new();
        for (id, _, newest) in self.list() {
            let before = (0..newest).map(|epoch| Collection { id, epoch });
            old.extend(before.filter(|collection| self.is_open(*collection)));
        }
        old
    }

    /// All keys, by id and epoch.
    pub(in crate::patient) fn keys(
        &self,
    ) -> impl Iterator<Item = (CollectionId, &Name, &[Option<CollectionKey>])> {
        self.collections
            .iter()
            .map(|(id, keyed)| (*id, &keyed.name, keyed.keys.as_slice()))
    }

    /// Ids, names and current epochs of the collections that hold records.
    pub(in crate::patient) fn list(&self) -> impl Iterator<Item = (CollectionId, &Name, u64)> {
        let records = self
            .collections
            .iter()
            .filter(|(id, _)| **id != CollectionId::OWN);
        records.filter_map(|(id, keyed)| {
            let epoch = u64::try_from(keyed.keys.len().checked_sub(1)?).ok()?;
            Some((*id, &keyed.name, epoch))
        })
    }
}

impl Keyed {
    /// Opens a collection as the server shows it. A key that does not open must not stand in the way of the other collections
    /// (DEV-25). The current one counts only under the newest root key, which no removed device knows (DEV-31).
    fn open(known: &KnownDevices, id: CollectionId, message: &pb::CollectionEpochs) -> Result<Self> {
        let (patient, newest) = (known.newest().patient_id, known.newest().root_epoch);
        let open_name = |(_, root): (u64, &VaultRootKey)| {
            root.open_collection_name(&message.sealed_name, &patient, &id)
                .ok()
        };
        let name = known.roots().find_map(open_name);
        let (mut keys, mut unreadable) = (Vec::with_capacity(message.key_wraps.len()), BTreeMap::new());
        for (epoch, wrap) in (0..).zip(&message.key_wraps) {
            let is_current = keys.len().checked_add(1) == Some(message.key_wraps.len());
            let mut roots = known.roots();
            let key = roots.find_map(|(of, root)| {
                let counts = of == newest || !is_current;
                counts
                    .then(|| unwrapped(root, wrap, &patient, Collection { id, epoch }))
                    .flatten()
            });
            if key.is_none() && !wrap.is_empty() {
                unreadable.insert(epoch, wrap.clone());
            }
            keys.push(key);
        }
        Ok(Self {
            named: name.is_some(),
            name: readable(name.ok_or_else(|| tampered("its name does not open")), &id)?,
            keys,
            unreadable,
        })
    }

    /// Whether a key before the current one, or the name, does not open.
    fn lacks(&self) -> bool {
        let current = self.current();
        !self.named || self.unreadable.keys().any(|epoch| *epoch < current)
    }

    fn current(&self) -> u64 {
        u64::try_from(self.keys.len().saturating_sub(1)).unwrap_or(u64::MAX)
    }

    /// Takes what lies there under an earlier root key for what does not open, but for the current key (DEV-31).
    fn fill(
        &mut self,
        root: &VaultRootKey,
        patient: &PatientId,
        id: CollectionId,
        kept: &pb::CollectionEpochs,
    ) {
        if !self.named
            && let Ok(name) = root.open_collection_name(&kept.sealed_name, patient, &id)
        {
            (self.name, self.named) = (name, true);
        }
        let current = self.current();
        for (epoch, wrap) in (0..current).zip(&kept.key_wraps) {
            let at = usize::try_from(epoch).ok().and_then(|at| self.keys.get_mut(at));
            if let (Some(at), true) = (at, self.unreadable.contains_key(&epoch))
                && let Some(key) = unwrapped(root, wrap, patient, Collection { id, epoch })
            {
                *at = Some(key);
                self.unreadable.remove(&epoch);
            }
        }
    }
}

fn unwrapped(
    root: &VaultRootKey,
    wrap: &[u8],
    patient: &PatientId,
    collection: Collection,
) -> Option<CollectionKey> {
    let wrapped = WrappedKey::try_from(wrap).ok()?;
    root.unwrap_collection_key(&wrapped, patient, &collection).ok()
}

pub(in crate::patient) fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("a collection")(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DEV-31: whoever knows the root key of an epoch that is over, and has a server that helps, can have said to be kept there what
    /// he likes: nothing is sealed with it.
    #[test]
    fn what_is_kept_is_never_the_current_key() {
        let (patient, id) = (PatientId::from_bytes([1; 32]), CollectionId::DEFAULT);
        let root = VaultRootKey::from_bytes(&[2; 32]);
        let wrap = |epoch: u64| {
            let key = CollectionKey::from_bytes(&[3; 32]);
            let wrapped = root.wrap_collection_key(
                &crypto::OperatingSystem,
                &key,
                &patient,
                &Collection { id, epoch },
            );
            Bytes::copy_from_slice(wrapped.unwrap().as_bytes())
        };
        let mut keyed = Keyed {
            name: Name::try_from("default".to_owned()).unwrap(),
            keys: vec![None, None, None],
            unreadable: [1, 2].map(|epoch| (epoch, Bytes::from_static(&[0; 104]))).into(),
            named: true,
        };
        let kept = pb::CollectionEpochs {
            key_wraps: vec![wrap(0), wrap(1), wrap(2)],
            ..pb::CollectionEpochs::default()
        };
        keyed.fill(&root, &patient, id, &kept);
        // The first is closed, and stays so.
        let open: Vec<_> = keyed.keys.iter().map(Option::is_some).collect();
        assert_eq!(open, [false, true, false]);
        assert!(!keyed.lacks() && keyed.unreadable.contains_key(&2));
    }
}
