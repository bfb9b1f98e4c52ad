//! Deletions of records, as her devices have signed them and the log has them: read and verified (DEL-4).

use std::collections::HashMap;

use protocol_spec::{
    bodies::RecordDeletion,
    defence::Defence,
    field::ReadsAs,
    ids::RecordId,
    log::{Logged, LoggedClaim},
    vault_head::{Acts, Deleted},
};

use crate::{
    Error, Result,
    patient::{
        listed, paged,
        vault::{Vault, acts::hidden},
    },
};

/// Whether every deletion among the acts that came after so many is one that a device of hers has signed which was
/// on the list then (DEL-4).
pub(super) async fn check_deletions(vault: &Vault, acts: &Acts, before: u64) -> Result<()> {
    if Defence::Deletions.is_off() {
        return Ok(());
    }
    if let Some(record) = acts.wrongly_taken_back() {
        return Err(hidden(format!(
            "{record} is said to have been taken back by its sender, and you had taken it in before"
        )));
    }
    let new = acts
        .deletions()
        .iter()
        .filter(|(_, deleted)| deleted.acts >= before);
    let mut new: HashMap<RecordId, Deleted> = new.map(|(record, deleted)| (*record, *deleted)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let mut pages = paged::deletion_pages(vault);
    while !new.is_empty()
        && let Some(page) = pages.next().await?
    {
        for logged in page.deletions {
            let Some(record) = record_of(logged.clone()) else {
                continue;
            };
            let Some(said) = new.get(&record) else { continue };
            match record_deletion(vault, logged).await {
                Ok(deletion) if signed_then(vault, &deletion, said, acts) => drop(new.remove(&record)),
                Ok(_) | Err(Error::Tampered { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    match new.keys().next() {
        Some(record) => Err(hidden(format!(
            "{record} is said to be deleted, and no device of yours has signed that"
        ))),
        None => Ok(()),
    }
}

fn signed_then(vault: &Vault, deletion: &Logged<RecordDeletion>, said: &Deleted, acts: &Acts) -> bool {
    let list = acts.last_list(said.acts);
    let list = list.and_then(|last| vault.keys.known().list(last));
    let signer = deletion.statement.device().id();
    deletion.statement.hash() == said.hash && list.is_some_and(|list| list.claimed().device(signer).is_some())
}

/// Checks a deletion of hers and its place in the log.
pub(super) async fn record_deletion(
    vault: &Vault,
    logged: impl ReadsAs<LoggedClaim<RecordDeletion>>,
) -> Result<Logged<RecordDeletion>> {
    let deletion = logged
        .try_into()
        .and_then(|claim| claim.verify(vault.session.server.operator()))
        .map_err(Error::tampered(DELETION))?;
    vault.session.log.accept(&deletion.checkpoint).await?;
    listed::known_device(vault, deletion.statement.device()).await?;
    if deletion.statement.patient_id == vault.id() {
        Ok(deletion)
    } else {
        Err(Error::tampered(DELETION)("it is somebody else's"))
    }
}

/// The record that a deletion claims to be of.
pub(super) fn record_of(logged: impl ReadsAs<LoggedClaim<RecordDeletion>>) -> Option<RecordId> {
    Some(logged.try_into().ok()?.statement.claimed().record_id)
}

pub(super) const DELETION: &str = "the deletion of a record";
