//! What is kept of root epochs that are over (DEV-29).

use actors::{Patient, recipient, sealed};
use protocol_spec::{devices::RECOVERY_DELAY, messages as pb, problem::Problem};

use super::{
    problem,
    world::{START, World, intent},
};
use crate::vault::{Refusal, core::units::millis};
use crate::vault::{core::submission::submit, device::devices::ChangeDevices};
use crate::vault::{
    device::{devices, kept},
    keep::collections,
    transfer::sweep,
};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// A patient with one device, which puts one root epoch after the other.
struct Turning {
    world: World,
    first: Patient,
}

impl Turning {
    async fn begin() -> Self {
        let world = World::new().await;
        let first = world.patient.clone();
        Self { world, first }
    }

    fn next(&self, passed_over: u64) -> (pb::ChangeDevices, Patient) {
        let epoch = self.first.list.claimed().root_epoch + 1;
        let list = self.first.next_list(|list| {
            list.root_epoch = epoch;
            list.vault_key = recipient(200_u8.wrapping_add(u8::try_from(epoch).unwrap()));
        });
        let rotation = pb::Rotation {
            root_keys: vec![(&sealed()).into()],
            previous_root_key: vec![5; 104].into(),
            collections: Vec::new(),
            vault_key: Some(self.first.vault_key(list.claimed())),
            passed_over,
        };
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            added: None,
            rotation: Some(rotation),
        };
        let first = Patient {
            list,
            ..self.first.clone()
        };
        (message, first)
    }

    async fn put(&self, message: pb::ChangeDevices) -> Result<pb::Accepted, Refusal> {
        let caller = self.world.as_device(&self.first).await.unwrap();
        submit::<ChangeDevices>(&self.world.vault, &caller, &intent(), message).await
    }

    /// A new root epoch at this time after the start.
    async fn turn(&mut self, after: u64) {
        self.world.clock.set(START + after);
        let (message, first) = self.next(0);
        self.put(message).await.unwrap();
        self.first = first;
    }

    async fn kept(&self) -> Vec<u64> {
        let caller = self.world.as_device(&self.first).await.unwrap();
        let lists = devices::device_lists(&self.world.vault, &caller, None, usize::MAX)
            .await
            .unwrap();
        let keys: Vec<u64> = lists.kept_root_keys.iter().map(|kept| kept.root_epoch).collect();
        let collections = collections::collections(&self.world.vault, &caller)
            .await
            .unwrap();
        assert_eq!(collections.kept, keys);
        for epoch in &keys {
            let kept = kept::kept_collections(&self.world.vault, &caller, *epoch)
                .await
                .unwrap();
            assert_eq!(kept.root_epoch, *epoch);
        }
        keys
    }
}

#[tokio::test]
async fn what_a_root_epoch_could_open_is_kept_for_a_week() {
    let mut turning = Turning::begin().await;
    assert!(turning.kept().await.is_empty());
    turning.turn(DAY).await;
    assert_eq!(turning.kept().await, [0]);
    turning.turn(3 * DAY).await;
    assert_eq!(turning.kept().await, [0, 1]);
    let week = millis(RECOVERY_DELAY);
    turning.world.clock.set(START + DAY + week - 1);
    assert_eq!(turning.kept().await, [0, 1]);
    // It is over before anybody has swept it up, and nothing is left of it afterwards.
    turning.world.clock.set(START + DAY + week);
    assert_eq!(turning.kept().await, [1]);
    let caller = turning.world.as_device(&turning.first).await.unwrap();
    let over = kept::kept_collections(&turning.world.vault, &caller, 0).await;
    assert_eq!(problem(over), Problem::NotFound);
    sweep::sweep(&turning.world.vault).await.unwrap();
    assert_eq!(turning.kept().await, [1]);
    turning.world.check().await;
}

/// ATK-96: whoever has one of her devices puts one after the other.
#[tokio::test]
async fn what_was_in_force_for_the_shortest_time_is_pushed_out_first() {
    let mut turning = Turning::begin().await;
    // In force for ten days, for a day, and then for moments each.
    turning.turn(10 * DAY).await;
    turning.turn(11 * DAY).await;
    for hours in 1..40 {
        turning.turn(11 * DAY + hours * HOUR).await;
    }
    let kept = turning.kept().await;
    assert_eq!(kept.len(), 8, "{kept:?}");
    assert!(kept.contains(&0) && kept.contains(&1), "{kept:?}");
    turning.world.check().await;
}

#[tokio::test]
async fn no_more_epochs_are_passed_over_than_there_are() {
    let mut turning = Turning::begin().await;
    turning.turn(DAY).await;
    let (message, _) = turning.next(2);
    assert_eq!(problem(turning.put(message).await), Problem::Malformed);
    let (message, first) = turning.next(1);
    turning.put(message).await.unwrap();
    turning.first = first;
    let caller = turning.world.as_device(&turning.first).await.unwrap();
    let lists = devices::device_lists(&turning.world.vault, &caller, None, usize::MAX)
        .await
        .unwrap();
    let passed = pb::PassedOver {
        root_epoch: 2,
        epochs: 1,
    };
    assert_eq!(lists.passed_over, [passed]);
    // What led to the epochs before stays as it was.
    assert_eq!(lists.previous_root_keys.len(), 2);
    turning.world.check().await;
}
