//! The first thing that a patient's device does after a restoration: the server has an older vault than the device has seen, in which what
//! was taken back since holds again. The device begins anew with what there is (VLT-9), takes all of that back, and only then
//! signs the head by which the vault moves again (RST-9). See `protocol-spec/spec/restoration.md` §4.

use std::{collections::HashSet, sync::atomic::Ordering};

use protocol_spec::{
    ids::{DelegationId, PermissionId, RecordId},
    vault_head::{Act, Acts},
};

use crate::{
    Error, Ground, Result, Unlock,
    home::{At, Home},
    patient::{
        catching_up, delegation, deleting, heads, lines, listing,
        lists::device_lists,
        opening, permissions, resending, revoking,
        standing::PermissionState,
        vault::{Vault, acts::ACTS},
    },
    trust::RestorationInfo,
};

/// What a patient is told of a restoration, and what her device has done about it.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Returned {
    /// The restoration that the operator and the registrar have signed.
    #[serde(skip)]
    pub restoration: RestorationInfo,
    /// What of her vault was lost with the newest data.
    #[serde(flatten)]
    pub lost: LostActs,
    /// Permissions that she had taken back, or given another for, and that are revoked again.
    #[serde(rename = "revoked_again")]
    pub revoked: Vec<PermissionId>,
    /// Delegations that she had ended, and that are ended again.
    #[serde(rename = "ended_again")]
    pub ended: Vec<DelegationId>,
    /// Records that she had deleted, and that are deleted again.
    #[serde(rename = "deleted_again")]
    pub deleted: Vec<RecordId>,
    /// All of it was done before.
    #[serde(skip)]
    pub already: bool,
}

/// What was done to a vault, as her device has seen it, and is not done any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LostActs {
    /// How many acts were lost in all.
    #[serde(rename = "lost_acts")]
    pub acts: u64,
    /// Permissions that were given and are lost.
    #[serde(rename = "lost_permissions")]
    pub permissions: Vec<PermissionId>,
    /// Permissions that were taken back.
    #[serde(rename = "lost_revocations")]
    pub revocations: Vec<PermissionId>,
    /// Records that had come and are lost.
    #[serde(rename = "lost_records")]
    pub records: Vec<RecordId>,
    /// Delegations that were given and are lost.
    #[serde(rename = "lost_delegations")]
    pub delegations: Vec<DelegationId>,
    /// Delegations whose ends are lost.
    #[serde(rename = "lost_delegation_ends")]
    pub delegation_ends: Vec<DelegationId>,
    /// Records whose deletions are lost.
    #[serde(rename = "lost_deletions")]
    pub deletions: Vec<RecordId>,
    /// Uploads that were taken back.
    #[serde(rename = "lost_take_backs")]
    pub taken_back: Vec<RecordId>,
    /// Whether a collection had a new key.
    #[serde(rename = "lost_keys")]
    pub keys: bool,
}

impl LostActs {
    /// What of the acts that were seen does not stand among those that are shown.
    fn between(seen: &Acts, shown: &Acts) -> Self {
        let there: HashSet<&Act> = shown.iter().collect();
        let placed: HashSet<RecordId> = shown.iter().filter_map(placement).collect();
        let mut lost = Self::default();
        for act in seen.iter().filter(|act| !there.contains(act)) {
            lost.acts += 1;
            match act {
                Act::Permission(id, _) => lost.permissions.push(*id),
                Act::Revocation(id, _) => lost.revocations.push(*id),
                Act::Placement(id, _) if !placed.contains(id) && !lost.records.contains(id) => {
                    lost.records.push(*id);
                }
                Act::Delegation(id, _) => lost.delegations.push(*id),
                Act::DelegationEnd(id, _) => lost.delegation_ends.push(*id),
                Act::Deletion(id, _) => lost.deletions.push(*id),
                Act::TakeBack(id, _) => lost.taken_back.push(*id),
                Act::Epoch(..) | Act::Closure(..) | Act::Wraps(..) => lost.keys = true,
                Act::Placement(..) | Act::Devices(_) | Act::Head(_) => {}
            }
        }
        lost
    }
}

fn placement(act: &Act) -> Option<RecordId> {
    match act {
        Act::Placement(id, _) => Some(*id),
        _ => None,
    }
}

pub(super) async fn accept_restoration(home: Ground, unlock: &Unlock) -> Result<Returned> {
    let vault = &opening::open(home.clone(), unlock).await?;
    let Some(found) = vault.session.restorations.find().await? else {
        return come_back(vault).await;
    };
    if let Err(error) = lists_are_there(vault).await {
        revoke_all_again(vault).await?;
        return Err(error);
    }
    vault.session.restorations.take(found, false).await?;
    come_back(&opening::open(home, unlock).await?).await
}

async fn come_back(vault: &Vault) -> Result<Returned> {
    let mut lived = vault.session.home.restorations()?;
    let (Some(last), Some(before)) = (lived.last_mut(), vault.session.home.before()) else {
        return Err(Error::Usage(
            "the server has not been restored, as far as this home is shown: there is nothing to accept"
                .into(),
        ));
    };
    let seen = kept_acts(&before)?;
    let lost = {
        let shown = catching_up::catch_up(vault).await?;
        LostActs::between(&seen, shown.acts())
    };
    let mut returned = Returned {
        restoration: RestorationInfo::from(&*last),
        lost,
        revoked: Vec::new(),
        ended: Vec::new(),
        deleted: Vec::new(),
        already: last.done,
    };
    if !last.done {
        vault.returning.store(true, Ordering::Relaxed);
        take_back_again(vault, &mut returned).await?;
        heads::put_head_anyway(vault).await?;
        last.done = true;
        let _lock = vault.session.home.lock().await?;
        vault.session.home.keep_restorations(&lived)?;
        vault.returning.store(false, Ordering::Relaxed);
    }
    Ok(returned)
}

/// Revokes what was revoked, and what another permission had taken the place of; ends delegations that were ended,
/// and deletes what was deleted.
async fn take_back_again(vault: &Vault, returned: &mut Returned) -> Result<()> {
    let lost = &returned.lost;
    let mut gone: HashSet<PermissionId> = lost.revocations.iter().copied().collect();
    for permission in &lost.permissions {
        gone.extend(lines::took_place_of(vault, *permission)?);
    }
    for own in permissions::own_permissions(vault).await? {
        let id = own.permission.permission_id;
        let over = matches!(own.state, PermissionState::Revoked | PermissionState::Replaced);
        if gone.contains(&id) && !over {
            revoking::submit_revocation(vault, &own).await?;
            returned.revoked.push(id);
        }
    }
    for own in delegation::own_delegations(vault).await? {
        let id = own.delegation.delegation_id;
        if lost.delegation_ends.contains(&id) && own.end.is_none() {
            delegation::ending::submit_end(vault, &own).await?;
            returned.ended.push(id);
        }
    }
    for (record, version) in listing::shown_versions(vault).await? {
        if lost.deletions.contains(&record) {
            deleting::submit_deletion(vault, record, version).await?;
            returned.deleted.push(record);
        }
    }
    Ok(())
}

/// Whether the server has the newest list of her devices that this one knows. An older one cannot be gone on from: the next list
/// would be another one under a number that others have met (RST-10).
async fn lists_are_there(vault: &Vault) -> Result<()> {
    let known = vault.keys.known();
    let newest = known.newest();
    let answer = device_lists(&vault.session.server, newest.sequence.checked_sub(1)).await?;
    let shown = answer.lists.first();
    let same = shown.is_some_and(|list| list.body == newest.to_message().body);
    if same {
        return Ok(());
    }
    Err(Error::Usage(
        "your list of devices was changed since the copy was made, and the server has the one of before, with devices on it that you may have \
         removed: this home cannot go on there. What you had revoked is revoked again, and nothing else was done. Ask the operator whether a newer \
         copy can be found; else begin a new vault in a new home"
            .into(),
    ))
}

/// Revokes all that this device knows to be revoked, whatever the server shows (REV-11).
async fn revoke_all_again(vault: &Vault) -> Result<()> {
    let known = {
        let mut seen = vault.acts.lock().await;
        seen.kept(&vault.session.home)?.permissions()
    };
    for (id, permission) in known.into_iter().filter(|(_, permission)| permission.revoked) {
        // What the older copy has not is not there to be revoked.
        if let Err(error) = resending::revoke_one_unseen(vault, id, permission.hash).await
            && error.is_of_this_side()
        {
            return Err(error);
        }
    }
    Ok(())
}

/// What a home had seen before it accepted the restoration.
fn kept_acts(before: &Home) -> Result<Acts> {
    let mut acts = Acts::default();
    let more = before.read_chain(ACTS, &mut At::default())?;
    for bytes in more.into_iter().flat_map(|more| more.entries) {
        acts.extend(&bytes).map_err(|_| before.damaged(ACTS))?;
    }
    Ok(acts)
}

#[cfg(test)]
mod tests {
    use protocol_spec::hash::Sha256Digest;

    use super::*;

    fn acts(all: &[Act]) -> Acts {
        let mut acts = Acts::default();
        all.iter().for_each(|act| acts.push(*act));
        acts
    }

    /// RST-9: what was lost is what this device has seen and is not shown any more, whatever came since.
    #[test]
    fn what_was_lost_is_told_by_what_it_was() {
        let hash = |byte| Sha256Digest::from_bytes([byte; 32]);
        let (one, two) = (
            PermissionId::from_bytes([1; 16]),
            PermissionId::from_bytes([2; 16]),
        );
        let (old, new) = (RecordId::from_bytes([3; 16]), RecordId::from_bytes([4; 16]));
        let copy = [
            Act::Devices(hash(1)),
            Act::Permission(one, hash(2)),
            Act::Placement(old, hash(3)),
        ];
        let since = [
            Act::Head(hash(4)),
            Act::Revocation(one, hash(5)),
            Act::Permission(two, hash(6)),
            Act::Placement(old, hash(7)),
            Act::Placement(new, hash(8)),
            Act::Placement(new, hash(9)),
        ];
        let seen = acts(&[&copy[..], &since[..]].concat());
        let shown = acts(&[&copy[..], &[Act::Head(hash(10))][..]].concat());
        let lost = LostActs::between(&seen, &shown);
        let expected = LostActs {
            acts: 6,
            permissions: vec![two],
            revocations: vec![one],
            records: vec![new],
            ..LostActs::default()
        };
        assert_eq!(lost, expected);
        assert_eq!(LostActs::between(&shown, &shown), LostActs::default());
        assert_eq!(LostActs::between(&acts(&copy), &seen), LostActs::default());
    }
}
