//! The keys of her collections, as far as this session knows them. The server keeps them wrapped under the vault
//! root key; what it cannot do is make one, move one to another place, or show an older epoch as the current one.
//! See `protocol-spec/spec/collections.md` §1.

use std::collections::BTreeMap;

use bytes::Bytes;
use crypto::{Collection, CollectionKey, TagKey, VaultRootKey, WrappedKey};
use protocol_spec::{field::Name, ids::CollectionId, messages as pb};

use super::{Patient, known::readable};
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
    /// By epoch, from 0, none of those that are closed; the last is the current one.
    keys: Vec<Option<CollectionKey>>,
    /// Wraps of epochs that are not closed and whose keys do not open, as they are: the server wants them with each new root
    /// key, and nobody can make better ones.
    unreadable: BTreeMap<u64, Bytes>,
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
        let before = self.known_acts().await?.acts().clone();
        let placed = before.last_placement();
        let list: pb::CollectionList = self.session.server.get("/v1/vault/collections").await?;
        Self::check_collections(&before, &list.collections)?;
        self.check_last_placement(placed, list.last_placement).await?;
        let known = self.known_epoch(list.root_epoch).await?;
        if known.newest().root_epoch != list.root_epoch {
            return Err(tampered(
                "it is of another root key than the list of devices names",
            ));
        }
        let root = known.root()?;
        let mut ring = Ring {
            last_placement: list.last_placement,
            ..Ring::default()
        };
        for message in list.collections {
            let id = CollectionId::try_from(message.collection_id.as_ref())?;
            let keyed = self.open_collection(root, id, &message)?;
            self.session
                .home
                .keep_highest(EPOCHS, &id.to_string(), keyed.keys.len())?;
            ring.collections.insert(id, keyed);
        }
        let mut known = self.ring.lock().await;
        *known = ring;
        Ok(known)
    }

    fn open_collection(
        &self,
        root: &VaultRootKey,
        id: CollectionId,
        message: &pb::CollectionEpochs,
    ) -> Result<Keyed> {
        let name = root.open_collection_name(&message.sealed_name, &self.id(), &id);
        let name = readable(name, &id).map_err(tampered)?;
        let mut keys = Vec::with_capacity(message.key_wraps.len());
        let mut unreadable = BTreeMap::new();
        for (epoch, wrap) in (0..).zip(&message.key_wraps) {
            if wrap.is_empty() {
                keys.push(None);
                continue;
            }
            // One that does not open must not stand in the way of the other collections (DEV-25).
            let wrapped = WrappedKey::try_from(wrap.as_ref());
            let open = |wrapped| root.unwrap_collection_key(&wrapped, &self.id(), &Collection { id, epoch });
            let key = wrapped.and_then(open).ok();
            if key.is_none() {
                unreadable.insert(epoch, wrap.clone());
            }
            keys.push(key);
        }
        Ok(Keyed {
            name,
            keys,
            unreadable,
        })
    }

    /// Looks something up in the ring, and once more after asking the server.
    pub(super) async fn in_ring<T>(&self, find: impl Fn(&Ring) -> Option<T>) -> Result<Option<T>> {
        if let Some(found) = find(&*self.ring.lock().await) {
            return Ok(Some(found));
        }
        Ok(find(&*self.refresh_ring().await?))
    }
}

/// Every vault has it from its enrolment on (COL-9).
pub(super) fn no_own_collection() -> Error {
    tampered("the server does not show the one of her own keys")
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("a collection")(cause)
}

const EPOCHS: &str = "epochs";
