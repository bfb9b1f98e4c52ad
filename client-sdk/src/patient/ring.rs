//! The keys of her collections, as far as this session knows them. The server keeps them wrapped under the
//! vault root key; what it cannot do is make one, move one to another place, or show an older epoch as the
//! current one. See `protocol-spec/spec/collections.md` §1.

use std::sync::Arc;

use crypto::{Collection, TagKey};
use protocol_spec::{
    api::{self, CollectionsQuery},
    ids::CollectionId,
    messages as pb,
    problem::Problem,
};

use crate::{
    Error, Result,
    patient::{
        catching_up,
        known::KnownDevices,
        listed, shown,
        vault::{
            Vault,
            ring::{Ring, tampered},
        },
    },
};

/// What the tokens of her records are made with (CND-5).
pub(super) async fn tag_key(vault: &Vault) -> Result<TagKey> {
    let own = Collection {
        id: CollectionId::OWN,
        epoch: 0,
    };
    let derive = |ring: &Ring| Some(TagKey::derive(ring.key(own)?, &vault.id()));
    in_ring(vault, derive).await?.ok_or_else(no_own_collection)
}

/// Asks the server for her collections, opens them, and remembers them. One that shows an epoch before one that
/// was seen is refused (COL-3).
pub(super) async fn refresh_ring(vault: &Vault) -> Result<Arc<Ring>> {
    let (list, known) = shown_collections(vault).await?;
    known.root()?;
    let (ring, _) = open_ring(vault, list, &known).await?;
    Ok(vault.ring.set(ring))
}

/// Her collections as far as they open without the newest root key, by what is kept of epochs before: a new root key is made
/// from there (DEV-30). Nothing else is done with it.
pub(super) async fn ring_to_go_on(vault: &Vault) -> Result<Ring> {
    let (list, known) = shown_collections(vault).await?;
    let (ring, kept) = open_ring(vault, list, &known).await?;
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

async fn shown_collections(vault: &Vault) -> Result<(pb::CollectionList, Arc<KnownDevices>)> {
    let before = catching_up::known_acts(vault).await?.acts().clone();
    let placed = before.last_placement();
    let list = vault.get(api::COLLECTIONS.here()).await?;
    shown::check_collections(&before, &list.collections)?;
    shown::check_last_placement(vault, placed, list.last_placement).await?;
    let known = listed::known_epoch(vault, list.root_epoch).await?;
    if known.newest().root_epoch != list.root_epoch {
        return Err(tampered(
            "it is of another root key than the list of devices names",
        ));
    }
    Ok((list, known))
}

/// Opens collections by the root keys that this device has, and what then is missing by what is kept of epochs that are over.
/// Also whether anything is kept, as far as it was asked for.
async fn open_ring(vault: &Vault, list: pb::CollectionList, known: &KnownDevices) -> Result<(Ring, bool)> {
    let mut ring = Ring::with(list.last_placement);
    for message in &list.collections {
        let (id, epochs) = ring.take(known, message)?;
        vault.session.home.keep_highest(EPOCHS, &id.to_string(), epochs)?;
    }
    let mut any = false;
    for (epoch, root) in known.roots().filter(|(epoch, _)| list.kept.contains(epoch)) {
        if !ring.lacks() && (any || known.opens()) {
            break;
        }
        let path = api::COLLECTIONS.ask([], CollectionsQuery { kept: Some(epoch) });
        let kept = match vault.get(path).await {
            Err(error) if error.is_problem(Problem::NotFound) => continue,
            kept => kept?,
        };
        any = true;
        for message in &kept.collections {
            ring.fill(root, &vault.id(), message)?;
        }
    }
    Ok((ring, any))
}

/// Looks something up in the ring, and once more after asking the server.
pub(super) async fn in_ring<T>(vault: &Vault, find: impl Fn(&Ring) -> Option<T>) -> Result<Option<T>> {
    if let Some(found) = find(&vault.ring.get()) {
        return Ok(Some(found));
    }
    Ok(find(&*refresh_ring(vault).await?))
}

/// Every vault has it from its enrolment on (COL-9).
pub(super) fn no_own_collection() -> Error {
    tampered("the server does not show the one of her own keys")
}

const EPOCHS: &str = "epochs";

/// Whether an epoch of a collection can still be released from, as the server shows it.
pub(super) async fn is_open(vault: &Vault, collection: Collection) -> Result<bool> {
    Ok(refresh_ring(vault).await?.is_open(collection))
}
