//! What the server shows of the vault, held against what has been done to it. See `protocol-spec/spec/vault-head.md` §2.
//!
//! Each check is given what was known to have been done when the server was asked. What another device has done meanwhile is
//! asked for only if something does not fit.

use std::collections::{HashMap, HashSet};

use protocol_spec::{
    defence::Defence,
    ids::RecordId,
    index::IndexEntry,
    messages::{self as pb, PermissionState},
    vault_head::{Acts, HeadRef, epoch_hash},
};

use crate::{
    Contradiction, Error, Result,
    patient::{
        catching_up,
        standing::ShownPermission,
        vault::{
            Vault,
            acts::{hidden, text},
        },
    },
};

/// Whether all records are shown, each with the placement that is its last, and no others (VLT-5).
#[tracing::instrument(level = "debug", name = "verify", skip_all)]
pub(super) async fn check_records(
    vault: &Vault,
    before: &Acts,
    entries: &[IndexEntry],
    refused: &[(RecordId, Error)],
) -> Result<()> {
    if Defence::VaultHeads.is_off() {
        return Ok(());
    }
    let placed = before.placements();
    let listed = entries.iter().map(|entry| entry.record_id);
    let shown: HashSet<_> = listed.chain(refused.iter().map(|(record, _)| *record)).collect();
    let again = shown.iter().find(|record| before.is_gone(record));
    if let (Some(record), false) = (again, Defence::Deletions.is_off()) {
        return Err(hidden(format!(
            "{record} was deleted or taken back, and is shown again"
        )));
    }
    let missing: Vec<_> = placed.keys().filter(|record| !shown.contains(record)).collect();
    if !missing.is_empty() {
        // Another device may have deleted it since.
        let seen = catching_up::catch_up(vault).await?;
        if let Some(record) = missing.into_iter().find(|record| !seen.acts().is_gone(record)) {
            return Err(hidden(format!("{record} lies in the vault and is not shown")));
        }
    }
    let last = |record: &RecordId| placed.get(record).map(|(number, _)| *number);
    let moved: Vec<_> = entries
        .iter()
        .filter(|entry| last(&entry.record_id) != Some(entry.number))
        .collect();
    if moved.is_empty() {
        return Ok(());
    }
    // Placed since, by this device or another one; it may even have been moved on meanwhile.
    let seen = catching_up::catch_up(vault).await?;
    let since = |entry: &&IndexEntry| {
        last(&entry.record_id) <= Some(entry.number)
            && seen.acts().placed(entry.number) == Some(entry.record_id)
    };
    match moved.into_iter().find(|entry| !since(entry)) {
        Some(entry) => Err(hidden(format!(
            "{} is shown with placement {}, which is not its last",
            entry.record_id, entry.number
        ))),
        None => Ok(()),
    }
}

/// Whether all permissions are shown, as she signed them, revoked those that are, and no others (VLT-5).
pub(super) async fn check_permissions(vault: &Vault, before: &Acts, shown: &[ShownPermission]) -> Result<()> {
    if Defence::VaultHeads.is_off() {
        return Ok(());
    }
    let by_id: HashMap<_, _> = shown
        .iter()
        .map(|own| (own.permission.permission_id, own))
        .collect();
    for (id, done) in before.permissions() {
        let Some(own) = by_id.get(&id) else {
            return Err(hidden(format!("{id} was given and is not shown")));
        };
        if done.revoked && !is_revoked(own) {
            return Err(hidden(format!("{id} was revoked and is shown as if it were not")));
        }
    }
    let not_done = |acts: &Acts| {
        let given = acts.permissions();
        let wrong = shown.iter().find(|own| {
            let done = given.get(&own.permission.permission_id);
            done.is_none_or(|done| done.hash != own.permission.hash() || (is_revoked(own) && !done.revoked))
        });
        wrong.map(|own| own.permission.permission_id)
    };
    if not_done(before).is_none() {
        return Ok(());
    }
    match not_done(catching_up::catch_up(vault).await?.acts()) {
        Some(id) => Err(hidden(format!(
            "{id} is shown otherwise than it was given or revoked"
        ))),
        None => Ok(()),
    }
}

/// Whether the number that is said to be the vault's last placement's is that of an act: one that was
/// signed further on would let a removed device place what comes later (DEV-8), and a permission for what
/// there is now cover it (COL-6).
pub(super) async fn check_last_placement(vault: &Vault, before: u64, shown: u64) -> Result<()> {
    if Defence::VaultHeads.is_off() || shown == before {
        return Ok(());
    }
    // Placed since, by another device.
    let now = catching_up::catch_up(vault).await?.acts().last_placement();
    if (before..=now).contains(&shown) {
        return Ok(());
    }
    Err(hidden(format!(
        "placement {shown} is shown as the vault's last, which is {now}"
    )))
}

/// The number of the vault's last placement by the acts, of those that are said to be there: for the index, which the server may
/// withhold, but not have signed over more than there is.
pub(super) async fn last_placement(vault: &Vault, before: u64, shown: u64) -> Result<u64> {
    if Defence::VaultHeads.is_off() {
        return Ok(shown);
    }
    if shown <= before {
        return Ok(before);
    }
    Ok(shown.min(catching_up::catch_up(vault).await?.acts().last_placement()))
}

/// Whether all epochs of all collections are shown, each collection with its newest key (VLT-5).
pub(super) fn check_collections(before: &Acts, shown: &[pb::CollectionEpochs]) -> Result<()> {
    if Defence::VaultHeads.is_off() {
        return Ok(());
    }
    for (id, (count, newest)) in before.epochs() {
        let mut shown = shown.iter();
        let of_this = shown.find(|shown| shown.collection_id == id.as_bytes()[..]);
        let wraps = of_this.map(|shown| &shown.key_wraps[..]);
        let fits = match wraps.and_then(|wraps| wraps.split_last()) {
            Some((last, before)) if before.len() + 1 == count => {
                epoch_hash(before.len() as u64, last) == newest
            }
            Some((_, before)) => before.len() >= count,
            None => false,
        };
        if !fits {
            return Err(hidden(format!(
                "{id} is shown without its newest key, or not at all"
            )));
        }
    }
    Ok(())
}

/// Whether a receipt names a head of her vault (VLT-8).
#[tracing::instrument(level = "debug", name = "verify", skip_all)]
pub(crate) async fn check_receipt_head(vault: &Vault, named: Option<HeadRef>) -> Result<()> {
    if Defence::VaultHeads.is_off() {
        return Ok(());
    }
    let Some(named) = named else {
        return Err(Error::tampered("the receipt")("it names no head of the vault"));
    };
    let known = catching_up::known_acts(vault).await?.acts().newest();
    if known.is_none_or(|known| known.sequence < named.sequence) {
        drop(catching_up::catch_up(vault).await?);
    }
    let known = catching_up::known_acts(vault).await?.acts().head(named.sequence);
    if known == Some(named) {
        return Ok(());
    }
    Err(Error::Contradicted(Contradiction::OtherVault {
        seen: known.map_or_else(
            || format!("no head {} at all", named.sequence),
            |known| text(known.sequence, &known.hash),
        ),
        shown: format!("a receipt over {}", text(named.sequence, &named.hash)),
    }))
}

fn is_revoked(own: &ShownPermission) -> bool {
    own.entry.state() == PermissionState::Revoked
}
