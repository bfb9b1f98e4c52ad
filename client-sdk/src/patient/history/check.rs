//! The whole history held against everything else that the server shows: what it leaves out of one, it would have to leave
//! out of the others as well.

use std::collections::{BTreeSet, HashMap, HashSet};

use protocol_spec::{
    history::{ProvenCounts, Walk},
    ids::{DelegationId, PermissionId},
};

use crate::{
    Contradiction, Error, Result,
    patient::{
        acts, catching_up,
        delegation::{self, DelegationInfo, DelegationState},
        history::{self, WholeHistory, item::HistoryItem, reading::OwnGrounds},
        leaves, listing, permissions,
        standing::PermissionState,
        vault::Vault,
    },
};

/// What a check of the whole history has found.
#[derive(Clone, Debug)]
pub struct HistoryCheck {
    /// All entries, the oldest of them first.
    pub items: Vec<HistoryItem>,
    /// How much of them was proven.
    pub counts: ProvenCounts,
    /// Entries that this device had seen before, and found unchanged.
    pub seen_before: u64,
    /// Permissions in the server's list that were compared with the history.
    pub permissions: u64,
    /// Records in the vault that were compared with the history.
    pub records: u64,
    /// Leaves of the log that are this vault's, each of which is of something shown here; those of earlier checks left out.
    pub leaves: u64,
    /// What does not hold, besides the problems of single entries.
    pub findings: Vec<String>,
}

impl HistoryCheck {
    /// Whether no problem was found, neither in an entry nor in the history as a whole.
    pub fn holds(&self) -> bool {
        self.findings.is_empty() && self.items.iter().all(|item| item.problem().is_none())
    }
}

pub(in crate::patient) async fn check_history(vault: &Vault) -> Result<HistoryCheck> {
    let WholeHistory {
        items,
        walk,
        seen,
        before,
    } = history::walk_history(vault).await?;
    let mut check = HistoryCheck {
        items,
        counts: walk.counts,
        seen_before: before.as_ref().map_or(0, |before| before.entries),
        permissions: 0,
        records: 0,
        leaves: 0,
        findings: Vec::new(),
    };
    compare_permissions(vault, &walk, &mut check).await?;
    compare_records(vault, &walk, &mut check).await?;
    compare_delegations(vault, &walk, &mut check).await?;
    compare_log(vault, &mut check).await?;
    if check.holds() {
        seen.keep(&vault.session.home, before).await?;
    }
    Ok(check)
}

/// Reads the log from where this device has read it until now (VLT-9).
async fn compare_log(vault: &Vault, check: &mut HistoryCheck) -> Result<()> {
    let mut acts = catching_up::known_acts(vault).await?.acts().clone();
    match leaves::check_log(vault, &mut acts, acts::log_read(vault)?).await {
        Ok(read) => {
            check.leaves = read.own;
            check.counts.log_size = check.counts.log_size.max(read.size);
        }
        Err(Error::Contradicted(Contradiction::HiddenFromVault { what })) => check.findings.push(what),
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn compare_permissions(vault: &Vault, walk: &Walk<OwnGrounds>, check: &mut HistoryCheck) -> Result<()> {
    let mut listed: HashSet<PermissionId> = HashSet::new();
    for own in permissions::own_permissions(vault).await? {
        let (permission, left) = (&own.permission, own.left);
        let id = permission.permission_id;
        check.permissions += 1;
        listed.insert(id);
        let Some(permitted) = walk.permissions().get(&id) else {
            check
                .findings
                .push(format!("{id} is in force or was, and the history leaves it out"));
            continue;
        };
        if permitted.permission.hash() != permission.hash() {
            check
                .findings
                .push(format!("{id} is another permission than in the history"));
        }
        let unspent = permission.uses.saturating_sub(permitted.uses.spent());
        // A release that has no receipt yet may have spent its use.
        let (least, most) = (unspent.saturating_sub(permitted.uses.open()), unspent);
        if !(least..=most).contains(&left.uses()) || left.uses_held() > left.uses() {
            let left = left.uses();
            check.findings.push(format!(
                "{id} has {left} uses left, by the history {least} to {most}: something was left out or made up"
            ));
        }
        let revoked = own.state == PermissionState::Revoked;
        if permitted.revoked && !revoked {
            check
                .findings
                .push(format!("{id} was revoked and is not treated as such"));
        }
    }
    for id in walk.permissions().keys().filter(|id| !listed.contains(id)) {
        check.findings.push(format!(
            "{id} is in the history, and not in the list of permissions"
        ));
    }
    Ok(())
}

async fn compare_delegations(vault: &Vault, walk: &Walk<OwnGrounds>, check: &mut HistoryCheck) -> Result<()> {
    let given = walk.delegations();
    let mut told: HashMap<DelegationId, bool> = given
        .map(|given| (given.delegation.delegation_id, given.ended))
        .collect();
    for DelegationInfo { delegate, state, .. } in delegation::delegations(vault).await? {
        let id = delegate.delegation;
        let ended = state == DelegationState::Ended;
        if told.remove(&id) != Some(ended) {
            check
                .findings
                .push(format!("{id} is listed otherwise than the history has it"));
        }
    }
    let missing = told
        .keys()
        .map(|id| format!("{id} is in the history, and not in the list of delegations"));
    check.findings.extend(missing);
    Ok(())
}

async fn compare_records(vault: &Vault, walk: &Walk<OwnGrounds>, check: &mut HistoryCheck) -> Result<()> {
    let mut listed = HashSet::new();
    for (_, version) in listing::shown_versions(vault).await? {
        check.records += 1;
        if !walk.stored_versions().contains_key(&version) {
            check.findings.push(format!(
                "{version} is in the vault, and the history does not say how it came there"
            ));
        }
        listed.insert(version);
    }
    for version in walk
        .stored_versions()
        .keys()
        .filter(|version| !listed.contains(version))
    {
        check
            .findings
            .push(format!("{version} was stored, and is not in the vault any more"));
    }
    compare_gone(vault, walk, check).await
}

/// What is gone by the acts is gone by the history, and the other way round.
async fn compare_gone(vault: &Vault, walk: &Walk<OwnGrounds>, check: &mut HistoryCheck) -> Result<()> {
    let seen = catching_up::known_acts(vault).await?;
    let (deleted, taken_back) = (seen.acts().deletions(), seen.acts().taken_back());
    let gone: BTreeSet<_> = deleted.keys().chain(taken_back).copied().collect();
    for record in gone.symmetric_difference(walk.gone_records()) {
        check.findings.push(format!(
            "{record} was deleted or taken back by the history or by what was done to the vault, not by both"
        ));
    }
    Ok(())
}
