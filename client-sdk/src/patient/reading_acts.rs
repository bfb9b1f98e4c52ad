//! Reads what has been done to her vault since this device has looked last, and holds the newest head and the newest list
//! of devices against it (VLT-5, VLT-9).

use protocol_spec::{
    api::{self, PageQuery},
    bodies::VaultHead,
    defence::Defence,
    hash::Sha256Digest,
    patient::PatientVerified,
    vault_head::{Act, Acts},
};

use crate::{
    Result,
    pages::Whole,
    patient::{
        acts, deletions, head_check,
        known::tampered,
        listed,
        vault::{Vault, acts::hidden},
    },
};

/// Adds what has come since, and gives the newest head, which is over all of it but what came after. None if there is no
/// head, or nothing has come since this one was verified.
pub(super) async fn read_acts(vault: &Vault, acts: &mut Acts) -> Result<Option<PatientVerified<VaultHead>>> {
    let (before, newest) = (acts.count(), acts.newest());
    let listed = vault.keys.known().newest().sequence;
    let mut whole = Whole::new("the acts");
    let head = loop {
        let path = api::ACTS.ask([], PageQuery::behind_entry(acts.count()));
        let page = vault.get(path).await?;
        if page.count < acts.count() {
            let shown = format!("{} acts", page.count);
            return Err(acts::older(vault, before, newest, shown));
        }
        whole.add(page.acts.len() / Act::LEN, page.acts.len())?;
        acts.extend(&page.acts).map_err(tampered)?;
        if acts.count() == page.count {
            break page.head;
        }
        if page.acts.is_empty() || acts.count() > page.count {
            return Err(tampered("there are not as many acts as the server says"));
        }
    };
    if Defence::VaultHeads.is_off() {
        return Ok(None);
    }
    check_lists(vault, acts, listed).await?;
    deletions::check_deletions(vault, acts, before).await?;
    // Nothing has come, and the head is the one that was verified when it came.
    let shown = head
        .as_ref()
        .and_then(|head| head.statement.as_ref()?.statement.as_ref());
    let shown = shown.map(|statement| Sha256Digest::of(&statement.body));
    if acts.count() == before && shown.is_some() && shown == newest.map(|newest| newest.hash) {
        return Ok(None);
    }
    match head {
        Some(head) => Ok(Some(head_check::check_head(vault, acts, head, newest).await?)),
        None if acts.newest().is_some() => Err(acts::older(vault, before, newest, "no head".to_owned())),
        None => Ok(None),
    }
}

/// The last list of devices of the acts is one that this device has verified, and not older than the one that it knew
/// when it asked for them (VLT-5).
async fn check_lists(vault: &Vault, acts: &Acts, known: u64) -> Result<()> {
    let (Some(last), Some(newest)) = (acts.last_list(acts.count()), acts.devices()) else {
        return Err(tampered("there is no list of devices among the acts"));
    };
    if vault.keys.known().newest().sequence < last {
        drop(listed::refresh_devices(vault).await?);
    }
    let list = vault.keys.known().list(last);
    if known <= last && list.is_some_and(|list| list.hash() == newest) {
        return Ok(());
    }
    Err(hidden(
        "the newest list of devices is not among what was done to the vault",
    ))
}
