//! How recovery members leave (DEV-23).

use protocol_spec::{
    devices::{DeviceKind, RECOVERY_DELAY},
    messages as pb,
    problem::Problem,
};

use super::{
    principals::Patient,
    problem,
    world::{START, World, intent},
};
use crate::vault::{Refusal, time::millis};

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
        self.world.vault.change_devices(&caller, &intent(), message).await
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
