//! What other devices of hers have added since this one was told last: whoever has one of her devices in wrong hands can give
//! nothing that the others do not say aloud. See `protocol-spec/spec/devices.md` §6 (DEV-24).

use std::collections::HashSet;

use protocol_spec::{
    devices::{DeviceKind, DeviceList, ListedDevice},
    ids::{DelegationId, DeviceId, PermissionId},
    permission::Kind,
    vault_head::Act,
};

use crate::{
    Result,
    patient::{catching_up, delegation, known::tampered, permissions, vault::Vault},
};

/// Something that another device has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What kind of news it is.
    pub what: NewsKind,
    /// What she calls it, or to whom it is given.
    pub name: String,
    /// The id of what the news is about.
    pub id: String,
    /// What she calls the device that has done it.
    pub by: String,
    /// The device that has done it.
    pub device: DeviceId,
}

/// What another device has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewsKind {
    /// It has added a device.
    Device,
    /// It has added a kit or trustees.
    Recovery,
    /// It has announced that a kit or trustees leave.
    Leaving,
    /// It has removed a device, a kit or trustees.
    Removed,
    /// It has made somebody a delegate.
    Delegate,
    /// It has made an emergency card.
    Card,
    /// It has named a guardian.
    Guardian,
}

/// What there is to look at among the acts.
#[derive(Default)]
struct Fresh {
    lists: Vec<u64>,
    delegations: HashSet<DelegationId>,
    permissions: HashSet<PermissionId>,
}

pub(super) async fn news(vault: &Vault) -> Result<Vec<News>> {
    let told: Option<u64> = vault.home().read_json(TOLD)?;
    let (fresh, count) = {
        let seen = catching_up::catch_up(vault).await?;
        let acts = seen.acts();
        let known = usize::try_from(told.unwrap_or(acts.count())).unwrap_or(usize::MAX);
        (Fresh::of(acts.iter(), known), acts.count())
    };
    if told == Some(count) {
        return Ok(Vec::new());
    }
    let mut news = news_of_lists(vault, &fresh.lists)?;
    if !fresh.delegations.is_empty() {
        news.extend(news_of_delegations(vault, &fresh.delegations).await?);
    }
    if !fresh.permissions.is_empty() {
        news.extend(news_of_permissions(vault, &fresh.permissions).await?);
    }
    vault.home().write_json(TOLD, &count)?;
    Ok(news)
}

fn news_of_lists(vault: &Vault, lists: &[u64]) -> Result<Vec<News>> {
    let known = vault.keys.known();
    let mut news = Vec::new();
    for sequence in lists.iter().filter(|sequence| **sequence > 0) {
        let list = known.list(*sequence).zip(known.list(sequence - 1));
        let (list, before) = list.ok_or_else(|| tampered("it is in no list"))?;
        let (list, before) = (list.claimed(), before.claimed());
        if list.signer == vault.keys.own.id() {
            continue;
        }
        for (what, id) in changes(list, before) {
            let name = known.name(id)?.as_str().to_owned();
            news.push(told(vault, what, name, id.to_string(), list.signer)?);
        }
    }
    Ok(news)
}

async fn news_of_delegations(vault: &Vault, fresh: &HashSet<DelegationId>) -> Result<Vec<News>> {
    let mut news = Vec::new();
    for own in delegation::own_delegations(vault).await? {
        let delegation = &own.delegation;
        let by = delegation.device().id();
        if by != vault.keys.own.id() && fresh.contains(&delegation.delegation_id) {
            let name = delegation::delegate_ref(vault, delegation)?.name;
            news.push(told(
                vault,
                NewsKind::Delegate,
                name,
                delegation.delegation_id.to_string(),
                by,
            )?);
        }
    }
    Ok(news)
}

async fn news_of_permissions(vault: &Vault, fresh: &HashSet<PermissionId>) -> Result<Vec<News>> {
    let mut news = Vec::new();
    for own in permissions::own_permissions(vault).await? {
        let permission = &own.permission;
        let (id, by) = (permission.permission_id, permission.device().id());
        // One in the place of another is for the same card or guardian.
        let new = permission.replaces.is_none() && fresh.contains(&id);
        if permission.kind != Kind::Emergency || !new || by == vault.keys.own.id() {
            continue;
        }
        let guardian = permission.emergency.as_ref().and_then(|terms| terms.guardian);
        let (what, name) = match guardian {
            Some(terms) => (NewsKind::Guardian, terms.guardian_id.to_string()),
            None => (NewsKind::Card, "emergency card".to_owned()),
        };
        news.push(told(vault, what, name, id.to_string(), by)?);
    }
    Ok(news)
}

fn told(vault: &Vault, what: NewsKind, name: String, id: String, device: DeviceId) -> Result<News> {
    let by = vault.keys.known().name(device)?.as_str().to_owned();
    Ok(News {
        what,
        name,
        id,
        by,
        device,
    })
}

impl Fresh {
    fn of<'a>(acts: impl Iterator<Item = &'a Act>, known: usize) -> Self {
        let mut fresh = Self::default();
        let mut lists = 0;
        for (at, act) in acts.enumerate() {
            match act {
                Act::Devices(_) => {
                    if at >= known {
                        fresh.lists.push(lists);
                    }
                    lists += 1;
                }
                Act::Delegation(id, _) if at >= known => drop(fresh.delegations.insert(*id)),
                Act::Permission(id, _) if at >= known => drop(fresh.permissions.insert(*id)),
                _ => {}
            }
        }
        fresh
    }
}

fn changes(list: &DeviceList, before: &DeviceList) -> Vec<(NewsKind, DeviceId)> {
    let added = |device: &ListedDevice| {
        let what = match device.kind {
            DeviceKind::Device => NewsKind::Device,
            DeviceKind::Recovery => NewsKind::Recovery,
        };
        (what, device.id())
    };
    let mut changes: Vec<_> = list.added(before).map(added).collect();
    let leaving = list.leaving.iter().filter(|id| !before.leaving.contains(id));
    changes.extend(leaving.map(|id| (NewsKind::Leaving, *id)));
    changes.extend(
        list.removed(before)
            .map(|device| (NewsKind::Removed, device.id())),
    );
    changes
}

const TOLD: &str = "told.json";
