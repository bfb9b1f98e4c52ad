//! The keys of collections that another patient's devices have given to a delegate (DLG-3).

use std::collections::BTreeMap;

use crypto::{Collection, CollectionKey, DelegatedKeyContext, open_delegated_key};
use protocol_spec::{
    api::{self, DelegatedKeysQuery},
    bodies::DelegatedKey,
    delegation::VerifiedDelegation,
    field::ReadsAs,
    ids::CollectionId,
    patient::PatientSigned,
};

use crate::{
    Result,
    connect::Server,
    patient::{delegation::tampered, listed, vault::Vault},
};

/// Keys of the collections of one delegation, by collection and epoch.
pub(super) struct GivenKeys(BTreeMap<(CollectionId, u64), CollectionKey>);

impl GivenKeys {
    /// Opens all keys that come with the delegation, with the vault key of the delegate.
    pub(super) async fn open(
        delegate: &Vault,
        server: &Server,
        delegation: &VerifiedDelegation,
    ) -> Result<Self> {
        let mut opened = BTreeMap::new();
        for id in delegation.collections.ids() {
            let path = api::DELEGATED_KEYS.ask([], DelegatedKeysQuery::of(*id));
            let (mut keys, mut pages) = (Vec::new(), server.pages(path));
            while let Some(page) = pages.next().await? {
                keys.extend(page.keys);
            }
            for key in keys {
                let (collection, key) = open_key(delegate, delegation, key).await?;
                opened.insert((collection.id, collection.epoch), key);
            }
        }
        Ok(Self(opened))
    }

    /// The key of this epoch.
    pub(super) fn get(&self, of: Collection) -> Option<&CollectionKey> {
        self.0.get(&(of.id, of.epoch))
    }

    /// The newest epoch of a collection of which there is a key, and the key.
    pub(super) fn newest(&self, of: CollectionId) -> Option<(Collection, &CollectionKey)> {
        let ((id, epoch), key) = self.0.range((of, 0)..=(of, u64::MAX)).next_back()?;
        let (id, epoch) = (*id, *epoch);
        Some((Collection { id, epoch }, key))
    }
}

async fn open_key(
    delegate: &Vault,
    delegation: &VerifiedDelegation,
    given: impl ReadsAs<PatientSigned<DelegatedKey>>,
) -> Result<(Collection, CollectionKey)> {
    let given = given
        .try_into()
        .and_then(PatientSigned::verify)
        .map_err(tampered)?;
    let fits = given.patient_id == delegation.patient_id
        && given.delegation_hash == delegation.hash()
        && delegation.collections.has(given.collection_id);
    if !fits {
        return Err(tampered("a key of it is of another one"));
    }
    let collection = Collection {
        id: given.collection_id,
        epoch: given.epoch,
    };
    let context = DelegatedKeyContext {
        owner: delegation.patient_id,
        delegate: delegate.id(),
        delegation: delegation.hash(),
        collection,
    };
    let known = listed::known_epoch(delegate, given.root_epoch).await?;
    let with = known
        .vault_key(given.root_epoch)
        .ok_or_else(|| tampered(known.no_vault_key(given.root_epoch)))?;
    let key = open_delegated_key(with, &context, &given.key).map_err(tampered)?;
    Ok((collection, key))
}
