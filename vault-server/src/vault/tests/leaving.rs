//! How recovery members leave (DEV-23).

use actors::{Patient, recipient, sealed};
use protocol_spec::{
    devices::{DeviceKind, DeviceList, RECOVERY_DELAY},
    ids::DeviceId,
    messages as pb,
    problem::Problem,
    statement::Signed,
};

use super::{
    problem,
    world::{START, World, intent},
};
use crate::vault::{Refusal, core::units::millis};
use crate::vault::{core::submission::submit, device::devices::ChangeDevices};

/// A patient with two devices and a kit.
struct Drawer {
    world: World,
    first: Patient,
    second: Patient,
    kit: Patient,
}

impl Drawer {
    /// The kit is as old as this, the second device so much younger.
    async fn of(age: u64, younger: u64) -> Self {
        let world = World::new().await;
        let (added, kit) = world.patient.adding_of(60, DeviceKind::Recovery);
        let drawer = Self {
            first: world.patient.clone(),
            second: kit.clone(),
            world,
            kit,
        };
        drawer.put(&drawer.first, added).await.unwrap();
        drawer.world.clock.set(START + younger);
        let (added, second) = drawer.seen(&drawer.first, &drawer.kit).adding(61);
        drawer.put(&drawer.first, added).await.unwrap();
        drawer.world.clock.set(START + age);
        let newest = second.clone();
        Self {
            first: drawer.seen(&drawer.first, &newest),
            kit: drawer.seen(&drawer.kit, &newest),
            second,
            world: drawer.world,
        }
    }

    fn seen(&self, patient: &Patient, newest: &Patient) -> Patient {
        Patient {
            list: newest.list.clone(),
            ..patient.clone()
        }
    }

    async fn put(&self, by: &Patient, message: pb::ChangeDevices) -> Result<pb::Accepted, Refusal> {
        let caller = self.world.as_device(by).await.unwrap();
        submit::<ChangeDevices>(&self.world.vault, &caller, &intent(), message).await
    }

    /// Says of the kit that it leaves, or that it stays.
    async fn say(&mut self, by: Patient, leaves: bool) {
        let kit = self.kit.device_id();
        let list = by.next_list(|list| list.leaving = leaves.then_some(kit).into_iter().collect());
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            ..pb::ChangeDevices::default()
        };
        self.put(&by, message).await.unwrap();
        for patient in [&mut self.first, &mut self.second, &mut self.kit] {
            patient.list = list.clone();
        }
    }

    async fn remove(&self, by: &Patient) -> Result<pb::Accepted, Refusal> {
        let (message, _) = by.removing(self.kit.device_id(), Vec::new());
        self.put(by, message).await
    }
}

fn week() -> u64 {
    millis(RECOVERY_DELAY)
}

#[tokio::test]
async fn a_member_that_is_not_settled_leaves_at_once() {
    let drawer = Drawer::of(week() - 1, 0).await;
    assert!(drawer.remove(&drawer.first).await.is_ok());
    let drawer = Drawer::of(week(), 0).await;
    assert_eq!(problem(drawer.remove(&drawer.first).await), Problem::RecoveryKept);
    drawer.world.check().await;
}

#[tokio::test]
async fn a_settled_member_leaves_by_its_own_word_at_once() {
    let mut drawer = Drawer::of(week(), 0).await;
    drawer.say(drawer.kit.clone(), true).await;
    assert!(drawer.remove(&drawer.first).await.is_ok());
    drawer.world.check().await;
}

#[tokio::test]
async fn a_settled_member_leaves_by_the_word_of_two_settled_devices() {
    let mut drawer = Drawer::of(week(), 0).await;
    drawer.say(drawer.first.clone(), true).await;
    assert_eq!(problem(drawer.remove(&drawer.first).await), Problem::RecoveryKept);
    assert!(drawer.remove(&drawer.second).await.is_ok());

    // A device that was added just now is nobody else: whoever has one device can add as many as he likes.
    for by_first in [true, false] {
        let mut drawer = Drawer::of(week(), week()).await;
        let (one, other) = (drawer.first.clone(), drawer.second.clone());
        let (announces, removes) = if by_first { (one, other) } else { (other, one) };
        drawer.say(announces, true).await;
        let removes = Patient {
            list: drawer.first.list.clone(),
            ..removes
        };
        assert_eq!(problem(drawer.remove(&removes).await), Problem::RecoveryKept);
    }
}

#[tokio::test]
async fn a_settled_member_leaves_a_week_after_it_was_announced() {
    let mut drawer = Drawer::of(week(), 0).await;
    drawer.say(drawer.first.clone(), true).await;
    drawer.world.clock.set(START + 2 * week() - 1);
    assert_eq!(problem(drawer.remove(&drawer.first).await), Problem::RecoveryKept);
    drawer.world.clock.set(START + 2 * week());
    assert!(drawer.remove(&drawer.first).await.is_ok());

    let mut drawer = Drawer::of(week(), 0).await;
    drawer.say(drawer.first.clone(), true).await;
    drawer.say(drawer.second.clone(), false).await;
    drawer.say(drawer.first.clone(), true).await;
    drawer.world.clock.set(START + 2 * week());
    assert!(
        drawer.remove(&drawer.first).await.is_ok(),
        "announced again at the same moment"
    );
    let mut drawer = Drawer::of(week(), 0).await;
    drawer.say(drawer.first.clone(), true).await;
    drawer.say(drawer.second.clone(), false).await;
    drawer.world.clock.set(START + 3 * week());
    assert_eq!(
        problem(drawer.remove(&drawer.first).await),
        Problem::RecoveryKept,
        "another device has taken it back"
    );
}

/// Whoever has a device of hers, and what he adds.
struct Thief {
    device: Patient,
    keys: u8,
}

impl Thief {
    /// A new root key, for a list without these.
    async fn turn(&mut self, drawer: &Drawer, gone: &Patient) -> Result<pb::Accepted, Refusal> {
        self.keys = self.keys.wrapping_add(1);
        let (message, list) = turning(&self.device, gone.device_id(), self.keys);
        let done = drawer.put(&self.device, message).await?;
        self.device.list = list;
        Ok(done)
    }
}

fn turning(by: &Patient, gone: DeviceId, key: u8) -> (pb::ChangeDevices, Signed<DeviceList>) {
    let list = by.next_list(|list| {
        list.devices.retain(|listed| listed.id() != gone);
        list.root_epoch += 1;
        list.vault_key = recipient(100 + key % 50);
    });
    let root_keys = list.claimed().devices.iter().map(|_| (&sealed()).into());
    let rotation = pb::Rotation {
        root_keys: root_keys.collect(),
        previous_root_key: vec![5; 104].into(),
        vault_key: Some(by.vault_key(list.claimed())),
        ..pb::Rotation::default()
    };
    let message = pb::ChangeDevices {
        list: Some(list.to_message()),
        rotation: Some(rotation),
        ..pb::ChangeDevices::default()
    };
    (message, list)
}

/// DEV-17, ATK-96: he changes the list until no more is taken, then removes devices that he has added, and signs by a kit of his own.
/// Hers is settled, and still removes him.
#[tokio::test]
async fn a_settled_kit_has_room_when_all_else_is_used_up() {
    let week = millis(RECOVERY_DELAY);
    let drawer = Drawer::of(week, week).await;
    let mut thief = Thief {
        device: drawer.second.clone(),
        keys: 0,
    };
    let mut his = Vec::new();
    for seed in 70..82 {
        let kind = if seed == 70 {
            DeviceKind::Recovery
        } else {
            DeviceKind::Device
        };
        let (added, newest) = thief.device.adding_of(seed, kind);
        drawer.put(&thief.device, added).await.unwrap();
        thief.device.list = newest.list.clone();
        his.push(newest);
    }
    let rename = |by: &Patient| {
        let number = by.list.claimed().sequence.to_le_bytes()[0];
        let list = by.next_list(|list| list.devices[0].sealed_name = vec![number; 136].into());
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            ..pb::ChangeDevices::default()
        };
        (message, list)
    };
    while thief.device.list.claimed().sequence < 983 {
        let (message, list) = rename(&thief.device);
        drawer.put(&thief.device, message).await.unwrap();
        thief.device.list = list;
    }
    let mut kit = his.remove(0);
    for gone in his {
        thief.turn(&drawer, &gone).await.unwrap();
    }
    kit.list = thief.device.list.clone();
    while kit.list.claimed().sequence < 999 {
        let (message, list) = rename(&kit);
        drawer.put(&kit, message).await.unwrap();
        kit.list = list;
    }
    thief.device.list = kit.list.clone();
    assert_eq!(problem(thief.turn(&drawer, &kit).await), Problem::TooMany);
    assert_eq!(problem(drawer.put(&kit, rename(&kit).0).await), Problem::TooMany);

    let hers = drawer.seen(&drawer.kit, &kit);
    let (message, _) = turning(&hers, drawer.second.device_id(), 90);
    drawer.put(&hers, message).await.unwrap();
    assert!(drawer.world.as_device(&drawer.second).await.is_none());
}
