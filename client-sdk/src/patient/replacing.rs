//! A permission in the place of an older one: the same conditions but for what is changed, under the keys as they
//! are now. The server ends the old one in the commit that takes the new one in (PRM-14).

use crypto::{CollectionKey, DataKey, PermissionKey, UploadKey};
use protocol_spec::{
    api,
    collection::CollectionSelector,
    ids::{CollectionId, PermissionId},
    permission::{Kind, PermissionBody, RecordSelector, VerifiedPermission},
    problem::Problem,
    submitted,
    tags::SealedConditions,
};

use crate::{
    DirectoryEntry, Error, Result,
    patient::{
        answers, catching_up, emergency, heads, listing, permissions,
        ring::{self, no_own_collection},
        signers,
        standing::OwnPermission,
        terms::Selection,
        vault::{Vault, ring::Ring},
    },
};

/// The keys of a new permission, and what beside them goes to the server.
struct Keyed {
    key: PermissionKey,
    /// As in the old one, without those that are gone.
    records: Vec<RecordSelector>,
    collection: Option<CollectionSelector>,
    upload: Option<(u64, crypto::WrappedKey)>,
    /// Sealed under the new key.
    conditions: Option<SealedConditions>,
}

/// Signs and sends a permission in the place of a live one; `change` may change its conditions. What is left of
/// the old one is what is left of the new one. One for emergencies stays as it is.
pub(crate) async fn replace(
    vault: &Vault,
    old: &OwnPermission,
    change: impl FnOnce(&mut PermissionBody),
) -> Result<PermissionId> {
    let OwnPermission { permission, .. } = old;
    if permission.kind == Kind::Emergency {
        return emergency::rewrap_emergency(vault, old, change).await;
    }
    let receiver = vault.session.mirror.as_of_now(permission.institution_id).await?;
    let id = vault.session.system().id(PermissionId::mint)?;
    let keyed = replacement_keys(vault, &id, permission).await?;
    let mut body = replacement_body(vault, id, old, &receiver, &keyed);
    body.vault_head = Some(heads::head(vault).await?);
    change(&mut body);
    let (epoch, wrap) = keyed.upload.unzip();
    let message = submitted::SubmitPermission {
        permission: answers::seal_permission(vault, &body, keyed.key, receiver.recipient_key())?,
        upload_key_wrap: wrap.as_ref().map(Into::into),
        upload_key_epoch: epoch.unwrap_or_default(),
        // Its caller replaces several, and puts one head over all.
        head: None,
    };
    vault.post(api::SUBMIT_PERMISSION.here(), &message).await?;
    answers::did_permit(vault, &message.permission).await;
    Ok(id)
}

fn replacement_body(
    _vault: &Vault,
    id: PermissionId,
    old: &OwnPermission,
    receiver: &DirectoryEntry,
    keyed: &Keyed,
) -> PermissionBody {
    let OwnPermission { permission, left, .. } = old;
    PermissionBody {
        created: _vault.session.system().now_ms(),
        permission_id: id,
        directory_entry_hash: receiver.entry_hash(),
        recipient_key_hash: receiver.recipient_key().digest(),
        records: keyed.records.clone(),
        collection: keyed.collection,
        uses: left.uses(),
        bytes: left.bytes(),
        possession_key: keyed.key.possession(),
        replaces: Some(old.replaces(false)),
        // It is hers from now on.
        delegation: None,
        conditions: keyed.conditions.clone(),
        ..PermissionBody::clone(permission)
    }
}

async fn replacement_keys(vault: &Vault, id: &PermissionId, old: &VerifiedPermission) -> Result<Keyed> {
    match (old.kind, &old.collection) {
        (Kind::Upload, _) => new_upload_key(vault, id).await,
        (_, Some(selector)) => current_collection_key(vault, id, selector, old).await,
        (_, None) => same_data_keys(vault, id, old).await,
    }
}

/// A key of its own: what was uploaded under the old one opens by the old one's wrap.
async fn new_upload_key(vault: &Vault, id: &PermissionId) -> Result<Keyed> {
    let (key, epoch, wrap) = mint_upload_key(vault, id).await?;
    Ok(Keyed {
        key: PermissionKey::mint(vault.session.system(), id, &key)?,
        records: Vec::new(),
        collection: None,
        upload: Some((epoch, wrap)),
        conditions: None,
    })
}

async fn current_collection_key(
    vault: &Vault,
    id: &PermissionId,
    selector: &CollectionSelector,
    old: &VerifiedPermission,
) -> Result<Keyed> {
    let current = |ring: &Ring| {
        let (collection, key) = ring.current(selector.collection.id)?;
        Some((collection, CollectionKey::from_bytes(key.expose())))
    };
    let (collection, key) = ring::in_ring(vault, current)
        .await?
        .ok_or_else(|| Error::Unknown {
            what: "collection",
            id: selector.collection.id.to_string(),
        })?;
    // Sealed for the old one, they open to nobody under the new one (CND-10).
    let conditions = permissions::conditions(vault, old).await?;
    let (key, conditions) = answers::mint_key(vault, id, &key, &conditions, true).await?;
    Ok(Keyed {
        key,
        records: Vec::new(),
        collection: Some(CollectionSelector {
            collection,
            until: selector.until,
        }),
        upload: None,
        conditions,
    })
}

async fn same_data_keys(vault: &Vault, id: &PermissionId, old: &VerifiedPermission) -> Result<Keyed> {
    let mut records = old.records.clone();
    let seen = catching_up::known_acts(vault).await?;
    // Those go on that are there (DEL-3).
    records.retain(|record| !seen.acts().is_gone(&record.record_id));
    drop(seen);
    let wanted = Selection::Records(records.iter().map(|record| record.record_id).collect());
    let mut own = listing::own_records(vault, &wanted).await?.0;
    let mut keys: Vec<DataKey> = Vec::with_capacity(records.len());
    // In the order of the body, which is that of the keys.
    for selector in &records {
        let at = own
            .iter()
            .position(|record| record.entry.version_id == selector.version_id);
        let at = at.ok_or_else(|| Error::Unknown {
            what: "record",
            id: selector.record_id.to_string(),
        })?;
        keys.push(own.swap_remove(at).key);
    }
    let conditions = permissions::conditions(vault, old).await?;
    let (key, conditions) = answers::mint_key(vault, id, &keys, &conditions, false).await?;
    Ok(Keyed {
        key,
        records,
        collection: None,
        upload: None,
        conditions,
    })
}

/// Gives upload permissions anew whose keys lie under an epoch of `own` before the current one (DEV-15): the devices of
/// then, of which one was removed, know them. One that is used meanwhile is left for the next time.
pub(super) async fn replace_old_upload_keys(vault: &Vault) -> Result<()> {
    for own in signers::standing_permissions(vault).await? {
        let live = own.permission.kind == Kind::Upload && own.is_live();
        if !live || has_current_key(vault, &own).await? {
            continue;
        }
        if signers::is_for_a_retired_one(vault, &own).await? {
            continue;
        }
        match replace(vault, &own, |_| ()).await {
            Err(error) if error.is_problem(Problem::ReplacementConflict) => {}
            done => drop(done?),
        }
    }
    Ok(())
}

/// Whether an upload key lies under the current key of `own`, which its wrap shows by opening.
async fn has_current_key(vault: &Vault, own: &OwnPermission) -> Result<bool> {
    let id = own.permission.permission_id;
    let Ok(wrapped) = crypto::WrappedKey::try_from(own.upload_key_wrap.as_ref()) else {
        return Ok(false);
    };
    let opens = |ring: &Ring| {
        let (of, key) = ring.current(CollectionId::OWN)?;
        Some(key.unwrap_upload_key(&wrapped, &of, &id).is_ok())
    };
    ring::in_ring(vault, opens).await?.ok_or_else(no_own_collection)
}

/// An upload key, and its wrap under the key of the collection of her own keys, of which epoch.
pub(super) async fn mint_upload_key(
    vault: &Vault,
    id: &PermissionId,
) -> Result<(UploadKey, u64, crypto::WrappedKey)> {
    let key = UploadKey::generate(vault.session.system())?;
    let wrapped = |ring: &Ring| {
        let (own, wrapping) = ring.current(CollectionId::OWN)?;
        Some((
            own.epoch,
            wrapping.wrap_upload_key(vault.session.system(), &key, &own, id),
        ))
    };
    let (epoch, wrap) = ring::in_ring(vault, wrapped)
        .await?
        .ok_or_else(no_own_collection)?;
    Ok((key, epoch, wrap?))
}
