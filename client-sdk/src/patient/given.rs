//! What a device has given, by itself and by way of what it has added: what ends when it is lost, and what is signed again
//! when it is retired. See `protocol-spec/spec/devices.md` §6 (DEV-22).

use std::collections::{HashMap, HashSet};

use protocol_spec::{
    devices::DeviceKind,
    ids::{DeviceId, PermissionId},
    permission::Kind,
    vault_head::Act,
};

use super::{
    Patient, PermissionState,
    delegation::OwnDelegation,
    known::{Known, tampered},
    signers::Words,
    standing::OwnPermission,
    times,
};
use crate::Result;

/// What kind of thing a device has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenKind {
    /// A device that it has added.
    Device,
    /// A kit, or trustees.
    Recovery,
    /// Somebody may act for her.
    Delegation,
    /// An institution may send or read.
    Permission,
    /// An emergency card.
    Card,
    /// A guardian.
    Guardian,
}

/// Something that a device has given, and that still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Of the device, delegation or permission.
    pub id: String,
    /// What it is.
    pub kind: GivenKind,
    /// To whom, or what she calls it.
    pub name: String,
    /// When, in milliseconds since 1970, by the clock of whoever has signed it: it may say what it likes.
    pub created: u64,
    /// Whether this device had seen it before the moment that was asked about.
    pub earlier: bool,
    /// Nothing is left of it, as the server says; what was begun with it may still run.
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
    /// Whether it is by the word of another one of these devices than the first, which is asked about: what these have given
    /// ends with them.
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

impl Patient {
    /// What a device has given that still holds, also by way of devices that it has added: all of it, each with whether this
    /// device had seen it at `since`, in milliseconds since 1970. Of a device that was removed, what its removal has left.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] for what is not hers; of the connection.
    pub async fn given_by(&self, device: DeviceId, since: Option<u64>) -> Result<Vec<Given>> {
        let known = self.refresh_devices().await?;
        let by = self.going_with(&known, device, |_| false);
        let items = self.given(&by, since).await?;
        Ok(items.into_iter().map(|item| item.given).collect())
    }

    /// Of what [`Self::given_by`] shows, what stays when the device is removed and this is kept: nothing by devices that go with it.
    ///
    /// # Errors
    /// As [`Self::given_by`].
    pub async fn staying(
        &self,
        device: DeviceId,
        since: Option<u64>,
        keep: impl Fn(&Given) -> bool,
    ) -> Result<Vec<Given>> {
        let known = self.refresh_devices().await?;
        let by = self.going_with(&known, device, |_| false);
        let mut items = self.given(&by, since).await?;
        items.retain(|item| keep(&item.given));
        let kept: HashSet<String> = items.iter().map(|item| item.given.id.clone()).collect();
        let going = self.going_with(&known, device, |id| kept.contains(&id.to_string()));
        items.retain(|item| !item.rests_on_others(&going));
        Ok(items.into_iter().map(|item| item.given).collect())
    }

    /// What still holds by the word of devices that are off the list, as a removal that was broken off or asked for nothing leaves it:
    /// how much, by device. It gets no new keys (DEV-21), and what is spent gets none anyway.
    ///
    /// # Errors
    /// As [`Self::given_by`].
    pub async fn left_behind(&self) -> Result<Vec<(DeviceId, usize)>> {
        let gone = self.keys.known().history().removed();
        let mut left = Vec::new();
        if gone.is_empty() {
            return Ok(left);
        }
        let items = self.given(&gone, None).await?;
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
        &self,
        known: &Known,
        device: DeviceId,
        keep: impl Fn(DeviceId) -> bool,
    ) -> Vec<DeviceId> {
        let history = known.history();
        let through = history.came_through(self.keys.own.id());
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
    pub(super) async fn given(&self, by: &[DeviceId], since: Option<u64>) -> Result<Vec<Item>> {
        let seen = match since {
            Some(moment) => times::seen(&self.session.home, moment)?,
            None => 0,
        };
        let delegations = self.own_delegations().await?;
        let permissions = self.own_permissions().await?;
        let order = Order::of(&*self.known_acts().await?, seen);
        let mut items = self.given_devices(by, &order)?;
        for own in delegations {
            items.extend(self.given_delegation(own, by, &order)?);
        }
        let words = Words::of(&permissions);
        for own in permissions {
            items.extend(self.given_permission(own, by, (&words, &order)).await?);
        }
        Ok(items)
    }

    /// The devices among these that are still listed, but for the first, which is the one that is asked about.
    fn given_devices(&self, by: &[DeviceId], order: &Order) -> Result<Vec<Item>> {
        let known = self.keys.known();
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

    fn given_delegation(&self, own: OwnDelegation, by: &[DeviceId], order: &Order) -> Result<Option<Item>> {
        let delegation = &own.delegation;
        let signer = delegation.device().id();
        let over = own.end.is_some() || self.session.clock.now().is_over(delegation.not_after);
        if over || !by.contains(&signer) {
            return Ok(None);
        }
        let given = Given {
            id: delegation.delegation_id.to_string(),
            kind: GivenKind::Delegation,
            name: self.delegate_ref(delegation)?.name,
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
        &self,
        own: OwnPermission,
        by: &[DeviceId],
        (words, order): (&Words, &Order),
    ) -> Result<Option<Item>> {
        let permission = &own.permission;
        let id = permission.permission_id;
        let under = words.under(id);
        let theirs: Vec<_> = under.iter().filter(|(_, word)| by.contains(&word.by)).collect();
        let ended = matches!(own.state, PermissionState::Revoked | PermissionState::Replaced);
        if ended || self.session.clock.now().is_over(permission.not_after) || theirs.is_empty() {
            return Ok(None);
        }
        let guardian = permission.emergency.as_ref().and_then(|terms| terms.guardian);
        let (kind, name) = match (permission.kind, guardian) {
            (Kind::Emergency, Some(guardian)) => (GivenKind::Guardian, guardian.guardian_id.to_string()),
            (Kind::Emergency, None) => (GivenKind::Card, "emergency card".to_owned()),
            _ => (
                GivenKind::Permission,
                self.institution_ref(permission.institution_id).await?.name,
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
}

/// What was done first, as this device has seen it.
struct Order {
    seen: HashSet<Act>,
    permissions: HashMap<PermissionId, bool>,
}

impl Order {
    fn of(acts: &super::acts::SeenActs, seen: u64) -> Self {
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
