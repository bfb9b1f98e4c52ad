//! The keys of her collections, as far as this session knows them. The server keeps them wrapped under the vault
//! root key; what it cannot do is make one, move one to another place, or show an older epoch as the current one.
//! See `protocol-spec/spec/collections.md` §1.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use crypto::{Collection, CollectionKey, TagKey, VaultRootKey, WrappedKey};
use protocol_spec::{
    api,
    field::Name,
    ids::{CollectionId, PatientId},
    messages as pb,
    problem::Problem,
};

use super::{
    Patient,
    known::{Known, readable},
};
use crate::{Error, Result};

/// Her collections, and the number of the vault's last placement.
#[derive(Default)]
pub(super) struct Ring {
    collections: BTreeMap<CollectionId, Keyed>,
    pub(super) last_placement: u64,
}

/// One collection with its keys.
struct Keyed {
    name: Name,
    /// By epoch, from 0, none of those that are closed or do not open; the last is the current one.
    keys: Vec<Option<CollectionKey>>,
    /// Wraps of epochs that are not closed and whose keys do not open, as they are: the server wants them with each new root
    /// key, and nobody can make better ones.
    unreadable: BTreeMap<u64, Bytes>,
    /// The name opens.
    named: bool,
}

impl Ring {
    /// The key of a collection in one epoch.
    pub(super) fn key(&self, collection: Collection) -> Option<&CollectionKey> {
        let epoch = usize::try_from(collection.epoch).ok()?;
        self.collections.get(&collection.id)?.keys.get(epoch)?.as_ref()
    }

    /// The current epoch and its key; none where that key does not open.
    pub(super) fn current(&self, id: CollectionId) -> Option<(Collection, &CollectionKey)> {
        let newest = self.newest(id)?;
        Some((newest, self.key(newest)?))
    }

    /// The current epoch, whether or not its key opens: another device may have wrapped what is none.
    pub(super) fn newest(&self, id: CollectionId) -> Option<Collection> {
        let before = self.collections.get(&id)?.keys.len().checked_sub(1)?;
        let epoch = u64::try_from(before).ok()?;
        Some(Collection { id, epoch })
    }

    /// Whether an epoch is not closed, also where its key does not open.
    pub(super) fn is_open(&self, collection: Collection) -> bool {
        let keyed = self.collections.get(&collection.id);
        let unreadable = keyed.is_some_and(|keyed| keyed.unreadable.contains_key(&collection.epoch));
        unreadable || self.key(collection).is_some()
    }

    /// The wrap of an epoch whose key does not open.
    pub(super) fn unreadable(&self, collection: Collection) -> Option<&Bytes> {
        self.collections
            .get(&collection.id)?
            .unreadable
            .get(&collection.epoch)
    }

    /// The epochs before the current ones that are not closed, of the collections that hold records.
    pub(super) fn old_epochs(&self) -> Vec<Collection> {
        let mut old = Vec::new();
        for (id, _, newest) in self.list() {
            let before = (0..newest).map(|epoch| Collection { id, epoch });
            old.extend(before.filter(|collection| self.is_open(*collection)));
        }
        old
    }

    /// All keys, by id and epoch.
    pub(super) fn keys(&self) -> impl Iterator<Item = (CollectionId, &Name, &[Option<CollectionKey>])> {
        self.collections
            .iter()
            .map(|(id, keyed)| (*id, &keyed.name, keyed.keys.as_slice()))
    }

    /// Ids, names and current epochs of the collections that hold records.
    pub(super) fn list(&self) -> impl Iterator<Item = (CollectionId, &Name, u64)> {
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

impl Patient {
    /// What the tokens of her records are made with (CND-5).
    pub(super) async fn tag_key(&self) -> Result<TagKey> {
        let own = Collection {
            id: CollectionId::OWN,
            epoch: 0,
        };
        let derive = |ring: &Ring| Some(TagKey::derive(ring.key(own)?, &self.id()));
        Ok(self.in_ring(derive).await?.ok_or_else(no_own_collection)??)
    }

    /// Asks the server for her collections, opens them, and remembers them. One that shows an epoch before one that
    /// was seen is refused (COL-3).
    pub(super) async fn refresh_ring(&self) -> Result<tokio::sync::MutexGuard<'_, Ring>> {
        let (list, known) = self.shown_collections().await?;
        known.root()?;
        let (ring, _) = self.open_ring(list, &known).await?;
        let mut known = self.ring.lock().await;
        *known = ring;
        Ok(known)
    }

    /// Her collections as far as they open without the newest root key, by what is kept of epochs before: a new root key is made
    /// from there (DEV-30). Nothing else is done with it.
    pub(super) async fn ring_to_go_on(&self) -> Result<Ring> {
        let (list, known) = self.shown_collections().await?;
        let (ring, kept) = self.open_ring(list, &known).await?;
        if kept {
            Ok(ring)
        } else {
            Err(Error::Usage(format!(
                "the server keeps nothing any more of the root epochs before, so this device cannot go on without the newest root key: \
                 another one, on which that opens, can still remove whoever has put it ({})",
                known.unusable()
            )))
        }
    }

    async fn shown_collections(&self) -> Result<(pb::CollectionList, Arc<Known>)> {
        let before = self.known_acts().await?.acts().clone();
        let placed = before.last_placement();
        let list: pb::CollectionList = self.session.server.get(api::COLLECTIONS.here()).await?;
        Self::check_collections(&before, &list.collections)?;
        self.check_last_placement(placed, list.last_placement).await?;
        let known = self.known_epoch(list.root_epoch).await?;
        if known.newest().root_epoch != list.root_epoch {
            return Err(tampered(
                "it is of another root key than the list of devices names",
            ));
        }
        Ok((list, known))
    }

    /// Opens collections by the root keys that this device has, and what then is missing by what is kept of epochs that are over.
    /// Also whether anything is kept, as far as it was asked for.
    async fn open_ring(&self, list: pb::CollectionList, known: &Known) -> Result<(Ring, bool)> {
        let mut ring = Ring {
            last_placement: list.last_placement,
            ..Ring::default()
        };
        for message in &list.collections {
            let id = CollectionId::try_from(message.collection_id.as_ref())?;
            let keyed = Keyed::open(known, id, message)?;
            self.session
                .home
                .keep_highest(EPOCHS, &id.to_string(), keyed.keys.len())?;
            ring.collections.insert(id, keyed);
        }
        let mut any = false;
        for (epoch, root) in known.roots().filter(|(epoch, _)| list.kept.contains(epoch)) {
            if !ring.collections.values().any(Keyed::lacks) && (any || known.opens()) {
                break;
            }
            let path = api::COLLECTIONS.here().with("kept", &epoch);
            let kept = match self.session.server.get(path).await {
                Err(error) if error.is_problem(Problem::NotFound) => continue,
                kept => kept?,
            };
            any = true;
            for message in &kept.collections {
                let id = CollectionId::try_from(message.collection_id.as_ref())?;
                if let Some(keyed) = ring.collections.get_mut(&id) {
                    keyed.fill(root, &self.id(), id, message);
                }
            }
        }
        Ok((ring, any))
    }

    /// Looks something up in the ring, and once more after asking the server.
    pub(super) async fn in_ring<T>(&self, find: impl Fn(&Ring) -> Option<T>) -> Result<Option<T>> {
        if let Some(found) = find(&*self.ring.lock().await) {
            return Ok(Some(found));
        }
        Ok(find(&*self.refresh_ring().await?))
    }
}

impl Keyed {
    /// Opens a collection as the server shows it. A key that does not open must not stand in the way of the other collections
    /// (DEV-25). The current one counts only under the newest root key, which no removed device knows (DEV-31).
    fn open(known: &Known, id: CollectionId, message: &pb::CollectionEpochs) -> Result<Self> {
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

/// Every vault has it from its enrolment on (COL-9).
pub(super) fn no_own_collection() -> Error {
    tampered("the server does not show the one of her own keys")
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("a collection")(cause)
}

const EPOCHS: &str = "epochs";

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
            let wrapped = root.wrap_collection_key(&key, &patient, &Collection { id, epoch });
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
