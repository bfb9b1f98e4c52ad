//! The whole history held against everything else that the server shows: what it leaves out of one, it would have to
//! leave out of all.

use std::collections::{HashMap, HashSet};

use protocol_spec::ids::{DelegationId, PermissionId};

use super::{
    HistoryItem, Walk,
    trail::{Counts, Trail},
};
use crate::{
    Error, Result,
    patient::{DelegationInfo, DelegationState, Patient, PermissionState},
};

/// What a check of the whole history has found.
#[derive(Clone, Debug)]
pub struct HistoryCheck {
    /// All entries, oldest first.
    pub items: Vec<HistoryItem>,
    /// What was proven.
    pub counts: Counts,
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
        self.findings.is_empty() && self.items.iter().all(|item| item.problem.is_none())
    }
}

impl Patient {
    /// Checks each entry, each with those before it, and all with the permissions and records that the server lists.
    ///
    /// # Errors
    /// Of the connection; [`crate::Error::Tampered`] when numbers are missing, or the history is not the one that this device
    /// has seen before.
    pub async fn check_history(&self) -> Result<HistoryCheck> {
        let Walk {
            items,
            trail,
            delegations,
            seen,
            before,
        } = self.walk_history().await?;
        let mut check = HistoryCheck {
            items,
            counts: trail.counts,
            seen_before: before.as_ref().map_or(0, |before| before.entries),
            permissions: 0,
            records: 0,
            leaves: 0,
            findings: Vec::new(),
        };
        self.compare_permissions(&trail, &mut check).await?;
        self.compare_records(&trail, &mut check).await?;
        let delegations = (delegations.into_values()).map(|(given, ended)| (given.delegation_id, ended));
        self.compare_delegations(delegations.collect(), &mut check)
            .await?;
        self.compare_log(&mut check).await?;
        if check.holds() {
            seen.keep(&self.session.home, before).await?;
        }
        Ok(check)
    }

    /// Reads the log from where this device has read it until now (VLT-9).
    async fn compare_log(&self, check: &mut HistoryCheck) -> Result<()> {
        let mut acts = self.known_acts().await?.acts().clone();
        match self.check_log(&mut acts, self.log_read()?).await {
            Ok(read) => {
                check.leaves = read.own;
                check.counts.log_size = check.counts.log_size.max(read.size);
            }
            Err(Error::HiddenFromVault { what }) => check.findings.push(what),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn compare_permissions(&self, trail: &Trail, check: &mut HistoryCheck) -> Result<()> {
        let mut listed: HashSet<PermissionId> = HashSet::new();
        for own in self.own_permissions().await? {
            let (permission, left) = (&own.permission, own.left);
            let id = permission.permission_id;
            check.permissions += 1;
            listed.insert(id);
            let Some(permitted) = trail.permissions.get(&id) else {
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
            if trail.revoked.contains(&id) && !revoked {
                check
                    .findings
                    .push(format!("{id} was revoked and is not treated as such"));
            }
        }
        for id in trail.permissions.keys().filter(|id| !listed.contains(id)) {
            check.findings.push(format!(
                "{id} is in the history, and not in the list of permissions"
            ));
        }
        Ok(())
    }

    async fn compare_delegations(
        &self,
        mut told: HashMap<DelegationId, bool>,
        check: &mut HistoryCheck,
    ) -> Result<()> {
        for DelegationInfo { delegate, state, .. } in self.delegations().await? {
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

    async fn compare_records(&self, trail: &Trail, check: &mut HistoryCheck) -> Result<()> {
        let mut listed = HashSet::new();
        for (_, version) in self.shown_versions().await? {
            check.records += 1;
            if !trail.stored.contains_key(&version) {
                check.findings.push(format!(
                    "{version} is in the vault, and the history does not say how it came there"
                ));
            }
            listed.insert(version);
        }
        for version in trail.stored.keys().filter(|version| !listed.contains(version)) {
            check
                .findings
                .push(format!("{version} was stored, and is not in the vault any more"));
        }
        self.compare_gone(trail, check).await
    }

    /// What is gone by the acts is gone by the history, and the other way round.
    async fn compare_gone(&self, trail: &Trail, check: &mut HistoryCheck) -> Result<()> {
        let seen = self.known_acts().await?;
        let (deleted, taken_back) = (seen.acts().deletions(), seen.acts().taken_back());
        let gone: HashSet<_> = deleted.keys().chain(taken_back).copied().collect();
        for record in gone.symmetric_difference(&trail.gone) {
            check.findings.push(format!(
                "{record} was deleted or taken back by the history or by what was done to the vault, not by both"
            ));
        }
        Ok(())
    }
}
