//! A permission in the place of an older one: the same conditions but for what is changed, under the keys as they
//! are now. The server ends the old one in the commit that takes the new one in (PRM-14).

use crypto::{CollectionKey, DataKey, PermissionKey, UploadKey};
use protocol_spec::{
    collection::CollectionSelector,
    ids::PermissionId,
    messages as pb,
    permission::{Kind, PermissionBody, Replaces, VerifiedPermission},
};

use super::{
    Patient, Selection,
    permissions::OwnPermission,
    ring::{Ring, no_own_collection},
};
use crate::{DirectoryEntry, Error, Result, mint};

/// The keys of a new permission, and what beside them goes to the server.
struct Keyed {
    key: PermissionKey,
    collection: Option<CollectionSelector>,
    upload: Option<(u64, crypto::WrappedKey)>,
}

impl Patient {
    /// Signs and sends a permission in the place of a live one; `change` may change its conditions. What is left of
    /// the old one is what is left of the new one.
    pub(crate) async fn replace(
        &self,
        old: &OwnPermission,
        change: impl FnOnce(&mut PermissionBody),
    ) -> Result<PermissionId> {
        let OwnPermission { permission, .. } = old;
        let receiver = self.session.institution(permission.institution_id).await?;
        let id = mint::id(PermissionId::mint)?;
        let keyed = self.replacement_keys(&id, permission).await?;
        let mut body = self.replacement_body(id, old, &receiver, &keyed);
        change(&mut body);
        let (epoch, wrap) = keyed.upload.unzip();
        let message = pb::SubmitPermission {
            permission: Some((&self.seal_permission(&body, keyed.key, &receiver)?).into()),
            upload_key_wrap: wrap
                .map(|wrap| bytes::Bytes::copy_from_slice(wrap.as_bytes()))
                .unwrap_or_default(),
            upload_key_epoch: epoch.unwrap_or_default(),
        };
        self.session
            .server
            .post::<pb::Accepted>("/v1/permissions", &message)
            .await?;
        Ok(id)
    }

    fn replacement_body(
        &self,
        id: PermissionId,
        old: &OwnPermission,
        receiver: &DirectoryEntry,
        keyed: &Keyed,
    ) -> PermissionBody {
        let OwnPermission { permission, entry } = old;
        let replaces = Replaces {
            permission_id: permission.permission_id,
            permission_hash: permission.hash(),
            uses_left: entry.uses_left,
            bytes_left: entry.bytes_left,
        };
        PermissionBody {
            created: mint::now_ms(),
            permission_id: id,
            directory_entry_hash: receiver.entry_hash(),
            recipient_key_hash: receiver.recipient_key().digest(),
            collection: keyed.collection,
            uses: entry.uses_left,
            bytes: entry.bytes_left,
            possession_key: keyed.key.possession(),
            replaces: Some(replaces),
            // It is hers from now on.
            delegation: None,
            ..PermissionBody::clone(permission)
        }
    }

    async fn replacement_keys(&self, id: &PermissionId, old: &VerifiedPermission) -> Result<Keyed> {
        match (old.kind, &old.collection) {
            (Kind::Upload, _) => self.new_upload_key(id).await,
            (_, Some(selector)) => self.current_collection_key(id, selector).await,
            (_, None) => self.same_data_keys(id, old).await,
        }
    }

    /// A key of its own: what was uploaded under the old one opens by the old one's wrap.
    async fn new_upload_key(&self, id: &PermissionId) -> Result<Keyed> {
        let (key, epoch, wrap) = self.mint_upload_key(id).await?;
        Ok(Keyed {
            key: PermissionKey::mint(id, &key)?,
            collection: None,
            upload: Some((epoch, wrap)),
        })
    }

    async fn current_collection_key(
        &self,
        id: &PermissionId,
        selector: &CollectionSelector,
    ) -> Result<Keyed> {
        let current = |ring: &Ring| {
            let (collection, key) = ring.current(selector.collection.id)?;
            Some((collection, PermissionKey::mint::<CollectionKey>(id, key)))
        };
        let (collection, key) = self.in_ring(current).await?.ok_or_else(|| Error::Unknown {
            what: "collection",
            id: selector.collection.id.to_string(),
        })?;
        Ok(Keyed {
            key: key?,
            collection: Some(CollectionSelector {
                collection,
                until: selector.until,
            }),
            upload: None,
        })
    }

    async fn same_data_keys(&self, id: &PermissionId, old: &VerifiedPermission) -> Result<Keyed> {
        let wanted = Selection::Records(old.records.iter().map(|record| record.record_id).collect());
        let mut own = self.own_records(&wanted).await?.0;
        let mut keys: Vec<DataKey> = Vec::with_capacity(old.records.len());
        // In the order of the body, which is that of the keys.
        for selector in &old.records {
            let at = own
                .iter()
                .position(|record| record.entry.version_id == selector.version_id);
            let at = at.ok_or_else(|| Error::Unknown {
                what: "record",
                id: selector.record_id.to_string(),
            })?;
            keys.push(own.swap_remove(at).key);
        }
        Ok(Keyed {
            key: PermissionKey::mint(id, &keys)?,
            collection: None,
            upload: None,
        })
    }

    /// An upload key, and its wrap under the key of the collection of her own keys, of which epoch.
    pub(super) async fn mint_upload_key(
        &self,
        id: &PermissionId,
    ) -> Result<(UploadKey, u64, crypto::WrappedKey)> {
        let key = UploadKey::generate()?;
        let wrapped = |ring: &Ring| {
            let (own, wrapping) = ring.current(protocol_spec::ids::CollectionId::OWN)?;
            Some((own.epoch, wrapping.wrap_upload_key(&key, &own, id)))
        };
        let (epoch, wrap) = self.in_ring(wrapped).await?.ok_or_else(no_own_collection)?;
        Ok((key, epoch, wrap?))
    }
}
