//! What a device has given, by itself and by way of what it has added: what ends when it is lost, and what is signed again
//! when it is retired. See `protocol-spec/spec/devices.md` §6 (DEV-22).

use std::collections::{HashMap, HashSet};

use protocol_spec::{
    devices::DeviceKind,
    ids::{DeviceId, PermissionId},
    permission::Kind,
    vault_head::Act,
};

use crate::{
    Result,
    patient::{
        catching_up,
        delegation::{self, OwnDelegation},
        known::{KnownDevices, tampered},
        listed, permissions,
        signers::Words,
        standing::{OwnPermission, PermissionState},
        times,
        vault::Vault,
    },
};

/// What kind of thing a device has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GivenKind {
    /// A device that it has added.
    Device,
    /// A recovery kit, or the shares of trustees.
    Recovery,
    /// Somebody may act for her.
    Delegation,
    /// An institution may send or read.
    Permission,
    /// The half on an emergency card.
    Card,
    /// The half that a guardian has.
    Guardian,
}

/// Something that a device has given, and that still holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Given {
    /// Of the device, delegation or permission.
    pub id: String,
    /// What kind of thing was given.
    pub kind: GivenKind,
    /// To whom, or what she calls it.
    pub name: String,
    /// When, in milliseconds since 1970, by the clock of whoever has signed it: it may say what it likes.
    #[serde(rename = "given", serialize_with = "crate::text::moment")]
    pub created: u64,
    /// Whether this device had seen it before the moment that was asked about.
    pub earlier: bool,
    /// Nothing is left of it, as the server says; what was begun with it may still run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spent: bool,
}

/// The same, with what is needed to end it or to sign it again.
pub(super) struct Item {
    pub(super) given: Given,
    /// The devices by whose word it is.
    pub(super) under: HashSet<DeviceId>,
    pub(super) word: Holding,
}

impl Item {
    /// Whether it is by the word of another one of these devices than the first, which is asked about: what these
    /// have given ends with them.
    pub(super) fn rests_on_others(&self, going: &[DeviceId]) -> bool {
        let mut others = going.iter().skip(1);
        others.any(|other| self.under.contains(other))
    }
}

pub(super) enum Holding {
    Device,
    Delegation(Box<OwnDelegation>),
    Permission(Box<OwnPermission>),
}

pub(super) async fn given_by(vault: &Vault, device: DeviceId, since: Option<u64>) -> Result<Vec<Given>> {
    let known = listed::refresh_devices(vault).await?;
    let by = going_with(vault, &known, device, |_| false);
    let items = given(vault, &by, since).await?;
    Ok(items.into_iter().map(|item| item.given).collect())
}

pub(super) async fn staying(
    vault: &Vault,
    device: DeviceId,
    since: Option<u64>,
    keep: impl Fn(&Given) -> bool,
) -> Result<Vec<Given>> {
    let known = listed::refresh_devices(vault).await?;
    let by = going_with(vault, &known, device, |_| false);
    let mut items = given(vault, &by, since).await?;
    items.retain(|item| keep(&item.given));
    let kept: HashSet<String> = items.iter().map(|item| item.given.id.clone()).collect();
    let going = going_with(vault, &known, device, |id| kept.contains(&id.to_string()));
    items.retain(|item| !item.rests_on_others(&going));
    Ok(items.into_iter().map(|item| item.given).collect())
}

pub(super) async fn left_behind(vault: &Vault) -> Result<Vec<(DeviceId, usize)>> {
    let gone = vault.keys.known().history().removed();
    let mut left = Vec::new();
    if gone.is_empty() {
        return Ok(left);
    }
    let items = given(vault, &gone, None).await?;
    for device in gone {
        let held = |item: &&Item| item.under.contains(&device) && !item.given.spent;
        let count = items.iter().filter(held).count();
        if count > 0 {
            left.push((device, count));
        }
    }
    Ok(left)
}

/// A device, and those that are there by its word; of one that was removed, those that have gone with it, and those that it
/// has added and are listed still. This one stays, and whatever it has come by: it is in her hand.
pub(super) fn going_with(
    vault: &Vault,
    known: &KnownDevices,
    device: DeviceId,
    keep: impl Fn(DeviceId) -> bool,
) -> Vec<DeviceId> {
    let history = known.history();
    let through = history.came_through(vault.keys.own.id());
    let spared = |id| through.contains(&id) || keep(id);
    if known.newest().device(device).is_none() {
        let mut gone = history.gone_with(device);
        gone.extend(history.left_by(&gone, spared));
        return gone;
    }
    let mut going = vec![device];
    going.extend(history.there_by(device, spared));
    going
}

/// What holds by the word of these devices. Whether it does follows from the acts and from this machine's clock: what only
/// the server calls over or spent, it could still let be used (DEV-26).
pub(super) async fn given(vault: &Vault, by: &[DeviceId], since: Option<u64>) -> Result<Vec<Item>> {
    let seen = match since {
        Some(moment) => times::seen(&vault.session.home, moment)?,
        None => 0,
    };
    let delegations = delegation::own_delegations(vault).await?;
    let permissions = permissions::own_permissions(vault).await?;
    let order = Order::of(&*catching_up::known_acts(vault).await?, seen);
    let mut items = given_devices(vault, by, &order)?;
    for own in delegations {
        items.extend(given_delegation(vault, own, by, &order)?);
    }
    let words = Words::of(&permissions);
    for own in permissions {
        items.extend(given_permission(vault, own, by, (&words, &order)).await?);
    }
    Ok(items)
}

/// The devices among these that are still listed, but for the first, which is the one that is asked about.
fn given_devices(vault: &Vault, by: &[DeviceId], order: &Order) -> Result<Vec<Item>> {
    let known = vault.keys.known();
    let mut items = Vec::new();
    for id in by.iter().skip(1) {
        let Some(listed) = known.newest().device(*id) else {
            continue;
        };
        let added = known.device(*id).and_then(|device| known.list(device.added));
        let added = added.ok_or_else(|| tampered("a device is in no list"))?;
        let given = Given {
            id: id.to_string(),
            kind: match listed.kind {
                DeviceKind::Device => GivenKind::Device,
                DeviceKind::Recovery => GivenKind::Recovery,
            },
            name: known.name(*id)?.as_str().to_owned(),
            created: added.claimed().created,
            earlier: order.is_earlier(&Act::Devices(added.hash())),
            spent: false,
        };
        items.push(Item {
            given,
            under: HashSet::new(),
            word: Holding::Device,
        });
    }
    Ok(items)
}

fn given_delegation(
    vault: &Vault,
    own: OwnDelegation,
    by: &[DeviceId],
    order: &Order,
) -> Result<Option<Item>> {
    let delegation = &own.delegation;
    let signer = delegation.device().id();
    let over = own.end.is_some() || vault.session.clock.now().is_over(delegation.not_after);
    if over || !by.contains(&signer) {
        return Ok(None);
    }
    let given = Given {
        id: delegation.delegation_id.to_string(),
        kind: GivenKind::Delegation,
        name: delegation::delegate_ref(vault, delegation)?.name,
        created: delegation.created,
        earlier: order.is_earlier(&Act::Delegation(delegation.delegation_id, delegation.hash())),
        spent: false,
    };
    Ok(Some(Item {
        given,
        under: [signer].into(),
        word: Holding::Delegation(Box::new(own)),
    }))
}

async fn given_permission(
    vault: &Vault,
    own: OwnPermission,
    by: &[DeviceId],
    (words, order): (&Words, &Order),
) -> Result<Option<Item>> {
    let permission = &own.permission;
    let id = permission.permission_id;
    let under = words.under(id);
    let theirs: Vec<_> = under.iter().filter(|(_, word)| by.contains(&word.by)).collect();
    let ended = matches!(own.state, PermissionState::Revoked | PermissionState::Replaced);
    if ended || vault.session.clock.now().is_over(permission.not_after) || theirs.is_empty() {
        return Ok(None);
    }
    let guardian = permission.emergency.as_ref().and_then(|terms| terms.guardian);
    let (kind, name) = match (permission.kind, guardian) {
        (Kind::Emergency, Some(guardian)) => (GivenKind::Guardian, guardian.guardian_id.to_string()),
        (Kind::Emergency, None) => (GivenKind::Card, "emergency card".to_owned()),
        _ => (
            GivenKind::Permission,
            vault.institution_ref(permission.institution_id).await?.name,
        ),
    };
    let given = Given {
        id: id.to_string(),
        kind,
        name,
        created: permission.created,
        earlier: theirs.iter().all(|(id, _)| order.is_permission_earlier(**id)),
        spent: own.state == PermissionState::Spent,
    };
    Ok(Some(Item {
        given,
        under: under.values().map(|word| word.by).collect(),
        word: Holding::Permission(Box::new(own)),
    }))
}

/// What was done first, as this device has seen it.
struct Order {
    seen: HashSet<Act>,
    permissions: HashMap<PermissionId, bool>,
}

impl Order {
    fn of(acts: &crate::patient::vault::acts::SeenActs, seen: u64) -> Self {
        let seen = usize::try_from(seen).unwrap_or(usize::MAX);
        let mut permissions = HashMap::new();
        for (at, act) in acts.acts().iter().enumerate() {
            if let Act::Permission(id, _) = act {
                permissions.entry(*id).or_insert(at < seen);
            }
        }
        Self {
            seen: acts.acts().iter().take(seen).copied().collect(),
            permissions,
        }
    }

    fn is_earlier(&self, act: &Act) -> bool {
        self.seen.contains(act)
    }

    fn is_permission_earlier(&self, id: PermissionId) -> bool {
        self.permissions.get(&id).copied().unwrap_or(false)
    }
}

/// The devices that are to go because the newest root key does not open, or not lead on, with those that are there by their word;
/// recovery members have their time (DEV-23). None if it does.
pub(super) fn responsible(vault: &Vault, known: &KnownDevices) -> Vec<DeviceId> {
    let mut going = responsible_with_members(vault, known);
    going.retain(|id| {
        let listed = known.newest().device(*id);
        listed.is_some_and(|device| !device.is_for_recovery())
    });
    going
}

/// The devices and recovery members that put root keys which do not open, and those that are there by their word.
pub(super) fn responsible_with_members(vault: &Vault, known: &KnownDevices) -> Vec<DeviceId> {
    let mut going = Vec::new();
    for device in known.responsible() {
        let with = going_with(vault, known, device, |_| false);
        let more: Vec<_> = with.into_iter().filter(|id| !going.contains(id)).collect();
        going.extend(more);
    }
    going.retain(|id| *id != vault.keys.own.id());
    going
}
