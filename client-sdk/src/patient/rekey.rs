//! New keys for a collection: a new epoch is opened, the data keys are brought under its key, the permissions that
//! still hold are given anew, and the old epoch is closed. Each step may be broken off and done again: what is done
//! already is seen at the server. See `protocol-spec/spec/revocation.md` §2.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use crypto::{Collection, CollectionKey};
use protocol_spec::{
    api,
    bodies::EpochClosure,
    field::ReadsAs,
    ids::{CollectionId, VersionId},
    log::{Logged, LoggedClaim},
    problem::Problem,
    submitted::{self, KeyWrap},
    vault_head::{Act, epoch_hash, wraps_hash},
};

use crate::{
    Error, Progress, Result,
    patient::{
        acts, catching_up, delegation, examine, listed, listing, replacing, ring, signers,
        vault::Vault,
        wraps::{self, MAX_WRAPS},
    },
};

/// Takes an epoch out of use: nothing that its key opens is released any more, and the server destroys what
/// lies under it. Counts records.
pub(super) async fn retire_epoch(
    vault: &Vault,
    old: Collection,
    progress: &dyn Progress,
) -> Result<LoggedClaim<EpochClosure>> {
    for _ in 0..MAX_TRIES {
        let done = async {
            let current = newer_epoch(vault, old).await?;
            if vault.ring.get().is_open(old) {
                rewrap(vault, old, current, progress).await?;
            }
            // Who still acts for her is not left without the new key.
            delegation::giving::give_delegates_keys(vault).await?;
            give_anew(vault, old).await?;
            close_epoch(vault, old).await
        };
        match done.await {
            // Another device has opened a newer epoch or moved a record: what is left is less each time.
            Err(Error::Refused {
                problem: Problem::EpochMismatch | Problem::PlacementConflict | Problem::WrapsMissing,
                ..
            }) => {
                ring::refresh_ring(vault).await?;
            }
            done => return done,
        }
    }
    Err(Error::Usage(
        "other devices change the collection all the time: try again later".into(),
    ))
}

/// The current epoch, which is opened now if that is still the old one.
pub(super) async fn newer_epoch(vault: &Vault, old: Collection) -> Result<Collection> {
    let unknown = || Error::Unknown {
        what: "collection",
        id: old.id.to_string(),
    };
    drop(catching_up::catch_up(vault).await?);
    let (newest, opens) = {
        let ring = ring::refresh_ring(vault).await?;
        let newest = ring.newest(old.id).ok_or_else(unknown)?;
        (newest, ring.key(newest).is_some())
    };
    // Under a key that does not open nothing can be brought.
    if newest.epoch > old.epoch && opens {
        return Ok(newest);
    }
    let next = Collection {
        epoch: newest.epoch + 1,
        ..newest
    };
    let known = vault.keys.known();
    let wrap = known.root()?.wrap_collection_key(
        vault.session.system(),
        &CollectionKey::generate(vault.session.system())?,
        &vault.id(),
        &next,
    )?;
    let message = submitted::PutCollection {
        collection_id: next.id,
        epoch: next.epoch,
        key_wrap: (&wrap).into(),
        sealed_name: Bytes::new(),
        root_epoch: known.newest().root_epoch,
    };
    vault.post(api::PUT_COLLECTION.here(), &message).await?;
    let act = Act::Epoch(next.id, epoch_hash(next.epoch, wrap.as_bytes()));
    acts::did(vault, act).await;
    ring::refresh_ring(vault).await?;
    Ok(next)
}

/// Brings the data keys of an epoch under the current key, page by page (REV-5).
async fn rewrap(vault: &Vault, old: Collection, current: Collection, progress: &dyn Progress) -> Result<()> {
    let placed = placed_in(vault, old.id).await?;
    let mut pages = wraps::all_wraps(vault, old);
    loop {
        let after = pages.place().unwrap_or_default();
        let (page, done) = tokio::try_join!(pages.next(), wraps::wraps(vault, current, after, MAX_WRAPS))?;
        let Some(page) = page else {
            return Ok(());
        };
        progress.advanced(page.wraps.len() as u64);
        let done: HashSet<u64> = done.wraps.iter().map(|wrap| wrap.number).collect();
        let mut wraps = Vec::with_capacity(page.wraps.len());
        for wrap in page.wraps.iter().filter(|wrap| !done.contains(&wrap.number)) {
            let version = VersionId::try_from(wrap.version_id.as_ref())?;
            if placed.get(&wrap.number) != Some(&version)
                && !lies_there(vault, old.id, wrap.number, version).await?
            {
                continue;
            }
            wraps.push(submitted::Wrap {
                number: wrap.number,
                version_id: version,
                data_key_wrap: rewrapped(vault, &wrap.data_key_wrap, version, old, current).await?,
            });
        }
        if !wraps.is_empty() {
            let message = submitted::PutWraps {
                collection_id: old.id,
                from_epoch: old.epoch,
                epoch: current.epoch,
                wraps,
            };
            vault.post(api::PUT_WRAPS.here(), &message).await?;
            let wraps = message.wraps.iter();
            let wraps = wraps.map(|wrap| (wrap.number, wrap.data_key_wrap.bytes().as_ref()));
            acts::did(vault, Act::Wraps(old.id, wraps_hash(current.epoch, wraps))).await;
        }
    }
}

/// What her devices have verified to lie in a collection: versions by the numbers of their placements. The server
/// could show the wrap of a record that was moved away, to have it given to whoever gets the new key.
async fn placed_in(vault: &Vault, collection: CollectionId) -> Result<HashMap<u64, VersionId>> {
    let all = listing::listing(vault).await?.entries;
    let there = all.iter().filter(|entry| entry.collection_id == collection);
    Ok(there.map(|entry| (entry.number, entry.version_id)).collect())
}

/// Of a record that does not verify, or was placed just now: whether a device of hers has placed it there.
async fn lies_there(
    vault: &Vault,
    collection: CollectionId,
    number: u64,
    version: VersionId,
) -> Result<bool> {
    let shown = examine::shown(vault, version).await?;
    let placement = examine::placement_of(vault, shown.placement).await?;
    Ok(
        placement.version_id == version
            && placement.number == number
            && placement.collection_id == collection,
    )
}

/// A data key under the current key, out of its wrap under an old one. A wrap that does not open is replaced by what
/// the record came with; one that never opened to anybody stays as it is, for it must not keep the epoch open.
async fn rewrapped(
    vault: &Vault,
    wrap: &Bytes,
    version: VersionId,
    old: Collection,
    current: Collection,
) -> Result<KeyWrap> {
    let key = match wraps::unwrapped(vault, wrap, version, old).await {
        Ok(key) => Some(key),
        Err(_) => examine::arrived_key(vault, examine::shown(vault, version).await?)
            .await
            .ok(),
    };
    let missing = || Error::tampered("a collection")("an epoch of it is not shown");
    let Some(key) = key else {
        return Ok(wrap.clone().try_into()?);
    };
    let ring = vault.ring.get();
    let to = ring.key(current).ok_or_else(missing)?;
    Ok((&to.wrap_data_key(vault.session.system(), &key, &current, &version)?).into())
}

/// Gives permissions over an old epoch of a collection anew, under its current key: those that rest on the word of devices
/// which she still has (DEV-21).
async fn give_anew(vault: &Vault, old: Collection) -> Result<()> {
    for _ in 0..MAX_TRIES {
        let mut used_meanwhile = false;
        for own in signers::standing_permissions(vault).await? {
            let over = own.permission.collection.map(|selector| selector.collection);
            if !own.is_live() || over != Some(old) {
                continue;
            }
            if signers::is_for_a_retired_one(vault, &own).await? {
                continue;
            }
            match replacing::replace(vault, &own, |_| ()).await {
                Err(Error::Refused {
                    problem: Problem::ReplacementConflict,
                    ..
                }) => used_meanwhile = true,
                done => drop(done?),
            }
        }
        if !used_meanwhile {
            return Ok(());
        }
    }
    Err(Error::Usage(
        "a permission over the collection is used all the time: try again later".into(),
    ))
}

async fn close_epoch(vault: &Vault, old: Collection) -> Result<LoggedClaim<EpochClosure>> {
    let closure = EpochClosure {
        created: vault.session.system().now_ms(),
        patient_id: vault.id(),
        collection_id: old.id,
        epoch: old.epoch,
    };
    let closure = vault.keys.statement(closure);
    let message = submitted::CloseEpoch { closure };
    let logged = vault.post(api::CLOSE_EPOCH.here(), &message).await?;
    let closed = epoch_closure(vault, logged.clone()).await?;
    if (closed.statement.collection_id, closed.statement.epoch) != (old.id, old.epoch) {
        return Err(Error::tampered(CLOSURE)("it is of another epoch"));
    }
    acts::did(vault, Act::Closure(old.id, closed.statement.hash())).await;
    logged.try_into().map_err(Error::tampered(CLOSURE))
}

/// Checks a closure of hers and its place in the log.
pub(super) async fn epoch_closure(
    vault: &Vault,
    logged: impl ReadsAs<LoggedClaim<EpochClosure>>,
) -> Result<Logged<EpochClosure>> {
    let closure = logged
        .try_into()
        .and_then(|claim| claim.verify(vault.session.server.operator()))
        .map_err(Error::tampered(CLOSURE))?;
    vault.session.log.accept(&closure.checkpoint).await?;
    listed::known_device(vault, closure.statement.device()).await?;
    if closure.statement.patient_id == vault.id() {
        Ok(closure)
    } else {
        Err(Error::tampered(CLOSURE)("it is somebody else's"))
    }
}

/// Each failure is another device's success, or a use of a permission.
const MAX_TRIES: usize = 8;

const CLOSURE: &str = "the end of an epoch";

/// Brings whatever lies in her collections under their current keys, and closes the epochs before. Upload keys
/// are replaced: whoever knew one could read what is yet to come under it.
pub(super) async fn retire_old_epochs(vault: &Vault, progress: &dyn Progress) -> Result<()> {
    let old = ring::refresh_ring(vault).await?.old_epochs();
    for collection in old {
        retire_epoch(vault, collection, progress).await?;
    }
    replacing::replace_old_upload_keys(vault).await
}
