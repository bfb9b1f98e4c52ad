//! Devices: who is one, what a removal ends, and what two devices cannot do at once.

use actors::{Patient, recipient, sealed};
use prost::Message;
use protocol_spec::{
    bodies::{Placement, VaultKeyStatement},
    devices::DeviceList,
    ids::{CollectionId, LinkId},
    messages as pb,
    problem::Problem,
    statement::Signed,
};

use super::{
    collections::tags,
    problem,
    world::{START, Terms, World, intent, stream},
};
use crate::vault::Refusal;
use crate::vault::{
    ask::{requests::SubmitDownload, revocation::SubmitRevocation},
    core::submission::submit,
    device::{
        devices::{self, ChangeDevices},
        links::{self, AnswerLink, Offer, OpenLink},
        listed,
    },
    keep::{
        collections::{self, PutCollection},
        placement::Place,
        records,
    },
    telling::history,
    transfer::sweep,
    who::{enrol, strangers},
};

const LINK: LinkId = LinkId::from_bytes([1; 32]);

impl World {
    async fn change(&self, by: &Patient, message: pb::ChangeDevices) -> Result<pb::Accepted, Refusal> {
        let caller = self.as_device(by).await.unwrap();
        submit::<ChangeDevices>(&self.vault, &caller, &intent(), message).await
    }

    /// The same patient with a second device.
    async fn with_second(&self) -> Patient {
        let (message, second) = self.patient.adding(50);
        self.change(&self.patient, message).await.unwrap();
        second
    }

    async fn lists(&self, by: &Patient, after: Option<u64>) -> pb::DeviceLists {
        let caller = self.as_device(by).await.unwrap();
        devices::device_lists(&self.vault, &caller, after, usize::MAX)
            .await
            .unwrap()
    }

    async fn offer(&self, device: &Patient, link: LinkId) -> Result<pb::Accepted, Refusal> {
        let message = device.link_offer();
        let caller = links::offering(&message).unwrap();
        submit::<Offer>(&self.vault, &caller, &intent(), (link, message)).await
    }
}

/// Knows the newest list.
fn seeing(patient: &Patient, list: &Signed<DeviceList>) -> Patient {
    Patient {
        list: list.clone(),
        ..patient.clone()
    }
}

#[tokio::test]
async fn an_added_device_acts_and_reads_the_lists() {
    let world = World::new().await;
    let second = world.with_second().await;
    let caller = world.as_device(&second).await.unwrap();
    assert_eq!(caller.principal(), *world.patient.id.as_bytes());
    let lists = world.lists(&second, None).await;
    assert_eq!(
        (lists.lists.len(), lists.devices.len(), lists.more),
        (2, 2, false)
    );
    assert!(lists.root_key.is_some() && lists.previous_root_keys.is_empty());
    assert_eq!(world.lists(&second, Some(0)).await.lists.len(), 1);
    let record = world.store_record(&world.first, &stream(10)).await;
    let leaves = records::own_leaves(&world.vault, &caller, record.version_id, 0, 1).await;
    assert!(leaves.is_ok());
    let history = history::history(&world.vault, &caller, 0, usize::MAX)
        .await
        .unwrap();
    let changed = pb::history_entry::What::DevicesChanged(second.list.to_message());
    assert_eq!(history.entries[0].what, Some(changed));
    world.check().await;
}

/// DEV-6: at every entrance, and what had begun.
#[tokio::test]
async fn a_removed_device_is_nobody_at_once() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(3 << 20)).await;
    let second = world.with_second().await;
    let begun = world.as_device(&second).await.unwrap();
    let mut leaves = records::own_leaves(&world.vault, &begun, record.version_id, 0, 3)
        .await
        .unwrap();
    let permission = world
        .permit_download(&world.second, vec![record.clone()], Terms::default())
        .await;
    assert!(leaves.next().await.unwrap().is_ok());

    let first = seeing(&world.patient, &second.list);
    let (message, _) = first.removing(second.device_id(), Vec::new());
    world.change(&first, message).await.unwrap();

    assert!(world.as_device(&second).await.is_none());
    let broken = leaves.next().await.unwrap();
    assert_eq!(problem(broken), Problem::Unauthenticated);
    assert!(leaves.next().await.is_none());
    assert_eq!(
        problem(listed::still_listed(&world.vault, &begun).await),
        Problem::Unauthenticated
    );
    // A request that had been authenticated before.
    let collection = pb::PutCollection {
        collection_id: vec![7; 16].into(),
        epoch: 0,
        key_wrap: vec![1; 104].into(),
        sealed_name: vec![1; 136].into(),
        root_epoch: 1,
    };
    let put = submit::<PutCollection>(&world.vault, &begun, &intent(), collection.clone()).await;
    assert_eq!(problem(put), Problem::Unauthenticated);
    let own = second.revokes(&permission);
    let revoked = submit::<SubmitRevocation>(&world.vault, &begun, &intent(), own).await;
    assert_eq!(problem(revoked), Problem::Unauthenticated);
    // Its statements, sent by a device that stays.
    let caller = world.as_device(&first).await.unwrap();
    let revocation = second.revokes(&permission);
    let sent = submit::<SubmitRevocation>(&world.vault, &caller, &intent(), revocation).await;
    assert_eq!(problem(sent), Problem::NotPermitted);
    let presented = world.present(&world.second, permission.permission_id).await;
    assert!(presented.is_ok(), "nothing was revoked");
    let put = submit::<PutCollection>(&world.vault, &caller, &intent(), collection).await;
    assert!(put.is_ok(), "who stays goes on");
    world.check().await;
}

/// DEV-13, DEV-4: the second is told, and a removed device cannot come back.
#[tokio::test]
async fn of_two_changes_at_once_one_is_refused() {
    let world = World::new().await;
    let (one, third) = world.patient.adding(51);
    let (other, _) = world.patient.adding(52);
    let caller = world.as_patient().await;
    let (a, b) = (intent(), intent());
    let (one, other) = tokio::join!(
        submit::<ChangeDevices>(&world.vault, &caller, &a, one),
        submit::<ChangeDevices>(&world.vault, &caller, &b, other),
    );
    assert!(one.is_ok() != other.is_ok());
    assert_eq!(
        problem(one.and(other)),
        Problem::DeviceListConflict,
        "the other had gone first"
    );
    drop(third);

    let world = World::new().await;
    let second = world.with_second().await;
    let first = seeing(&world.patient, &second.list);
    let (message, list) = first.removing(second.device_id(), Vec::new());
    world.change(&first, message.clone()).await.unwrap();
    assert_eq!(
        problem(world.change(&first, message).await),
        Problem::DeviceListConflict,
        "what was done is not done again"
    );
    let (again, _) = seeing(&world.patient, &list).adding(50);
    assert_eq!(problem(world.change(&first, again).await), Problem::AlreadyExists);
    world.check().await;
}

/// DEV-3, DEV-4: what does not continue the newest list.
#[tokio::test]
async fn a_list_that_breaks_a_rule_is_refused() {
    let world = World::new().await;
    let second = world.with_second().await;
    let first = seeing(&world.patient, &second.list);
    let send = |list: Signed<DeviceList>| {
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            ..pb::ChangeDevices::default()
        };
        world.change(&first, message)
    };
    let without_key = first.next_list(|list| list.devices.truncate(1));
    assert_eq!(problem(send(without_key).await), Problem::Malformed);
    let by_another = second.next_list(|_| ());
    assert_eq!(problem(send(by_another).await), Problem::NotPermitted);
    let grown = first.adding(53).0;
    assert_eq!(
        problem(send(first.next_list(|list| list.devices.truncate(0))).await),
        Problem::Malformed
    );
    let no_device = pb::ChangeDevices {
        added: None,
        ..grown.clone()
    };
    assert_eq!(problem(world.change(&first, no_device).await), Problem::Malformed);
    let (other, _) = first.adding(54);
    let other_device = pb::ChangeDevices {
        added: other.added,
        ..grown
    };
    assert_eq!(
        problem(world.change(&first, other_device).await),
        Problem::NotPermitted
    );
    let renamed = first.next_list(|list| list.devices[1].sealed_name = vec![9; 136].into());
    assert!(send(renamed).await.is_ok());
    world.check().await;
}

/// DEV-19: others are told the list's own vault key, by the list's own signer.
#[tokio::test]
async fn a_vault_key_that_is_not_the_lists_is_refused() {
    let world = World::new().await;
    let second = world.with_second().await;
    let first = seeing(&world.patient, &second.list);
    let (message, list) = first.removing(second.device_id(), Vec::new());
    let with = |vault_key| pb::ChangeDevices {
        rotation: message.rotation.clone().map(|rotation| pb::Rotation {
            vault_key,
            ..rotation
        }),
        ..message.clone()
    };
    let (own, before) = (
        list.claimed().vault_key_statement(),
        first.list.claimed().vault_key_statement(),
    );
    let later = VaultKeyStatement {
        root_epoch: 2,
        ..own.clone()
    };
    for wrong in [
        Some(first.says(before)),
        Some(first.says(later)),
        Some(second.says(own)),
        Some(Patient::new(70).vault_key(list.claimed())),
        None,
    ] {
        assert!(world.change(&first, with(wrong)).await.is_err());
    }
    let hospital = world.as_hospital(&world.first).await;
    let shown = async || {
        strangers::patient_info(&world.vault, &hospital, first.id)
            .await
            .unwrap()
            .vault_key
    };
    assert_eq!(shown().await, Some(first.vault_key(first.list.claimed())));
    world.change(&first, message).await.unwrap();
    assert_eq!(shown().await, Some(first.vault_key(list.claimed())));
    world.check().await;

    // Nobody enrols with another key, either.
    let enrolling = Patient::new(71);
    let mut other = enrolling.enrolment();
    other.vault_key = Some(first.vault_key(list.claimed()));
    assert!(enrol::enrolling_patient(other).is_err());
    assert!(enrol::enrolling_patient(enrolling.enrolment()).is_ok());
}

/// DEV-13: collections, placements and lists are compared in one commit.
#[tokio::test]
async fn a_rotation_has_all_collections_and_all_placements() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let second = world.with_second().await;
    let first = seeing(&world.patient, &second.list);
    let caller = world.as_patient().await;
    let put = |id: u8, root_epoch| {
        let message = pb::PutCollection {
            collection_id: vec![id; 16].into(),
            epoch: 0,
            key_wrap: vec![id; 104].into(),
            sealed_name: vec![1; 136].into(),
            root_epoch,
        };
        let (vault, caller) = (world.vault.clone(), caller.clone());
        async move { submit::<PutCollection>(&vault, &caller, &intent(), message).await }
    };
    put(7, 0).await.unwrap();
    let rewrapped = |id: u8, wraps: usize| pb::CollectionEpochs {
        collection_id: vec![id; 16].into(),
        sealed_name: vec![2; 136].into(),
        key_wraps: vec![vec![9; 104].into(); wraps],
    };
    let remove = |collections| {
        let (message, _) = first.removing(second.device_id(), collections);
        world.change(&first, message)
    };
    for wrong in [
        vec![],
        vec![rewrapped(7, 1)],
        vec![rewrapped(7, 2), rewrapped(8, 2)],
        vec![rewrapped(8, 2)],
    ] {
        assert_eq!(problem(remove(wrong).await), Problem::EpochMismatch);
    }
    let placement = Placement {
        created: START,
        patient_id: world.patient.id,
        record_id: record.record_id,
        version_id: record.version_id,
        content_root: record.content_root,
        stream_len: record.stream_len,
        collection_id: CollectionId::from_bytes([7; 16]),
        number: 1,
        tags: tags(0, &record.version_id),
    };
    let adopt = pb::AdoptRecord {
        placement: Some(second.says(placement)),
        epoch: 0,
        data_key_wrap: vec![9; 104].into(),
    };
    let by_second = world.as_device(&second).await.unwrap();
    submit::<Place>(&world.vault, &by_second, &intent(), (record.version_id, adopt))
        .await
        .unwrap();
    assert_eq!(
        problem(remove(vec![rewrapped(7, 2)]).await),
        Problem::PlacementConflict
    );
    let (mut message, list) = first.removing(second.device_id(), vec![rewrapped(7, 2)]);
    let mut body = list.claimed().clone();
    body.last_placement = 1;
    message.list = Some(first.device.signed(body).to_message());
    world.change(&first, message).await.unwrap();

    let list = collections::collections(&world.vault, &caller).await.unwrap();
    assert_eq!((list.root_epoch, list.collections[0].key_wraps.len()), (1, 2));
    assert_eq!(
        problem(put(8, 0).await),
        Problem::EpochMismatch,
        "wrapped under the old root key"
    );
    put(8, 1).await.unwrap();
    assert_eq!(world.lists(&first, None).await.previous_root_keys.len(), 1);
    // DEV-7: nothing is sealed to the old vault key any more.
    let (request, _) = world.second.asks_download(world.download_request(&world.second));
    let hospital = world.as_hospital(&world.second).await;
    let asked = submit::<SubmitDownload>(&world.vault, &hospital, &intent(), request).await;
    assert_eq!(problem(asked), Problem::EpochMismatch);
    world.check().await;
}

/// DEV-17: when lists have been used up by changes, devices can still be removed.
#[tokio::test]
async fn the_last_lists_are_kept_for_removals() {
    let world = World::new().await;
    let mut second = world.with_second().await;
    let rename = async |by: &Patient, number: u8| {
        let list = by.next_list(|list| list.devices[0].sealed_name = vec![number; 136].into());
        let message = pb::ChangeDevices {
            list: Some(list.to_message()),
            ..pb::ChangeDevices::default()
        };
        world.change(by, message).await.map(|_| list)
    };
    // A stolen device goes on changing the list until nothing more is taken.
    while second.list.claimed().sequence < 983 {
        let number = second.list.claimed().sequence.to_le_bytes()[0];
        second.list = rename(&second, number).await.unwrap();
    }
    assert_eq!(problem(rename(&second, 1).await), Problem::TooMany);
    let (third, _) = second.adding(51);
    assert_eq!(problem(world.change(&second, third).await), Problem::TooMany);
    let first = seeing(&world.patient, &second.list);
    let (removal, list) = first.removing(second.device_id(), Vec::new());
    world.change(&first, removal).await.unwrap();
    let first = seeing(&first, &list);
    assert_eq!(problem(rename(&first, 2).await), Problem::TooMany);
    world.check().await;
}

/// COL-11: when a collection's epochs have been used up, a device can still be removed.
#[tokio::test]
async fn the_last_epochs_are_kept_for_removals() {
    let world = World::new().await;
    let second = world.with_second().await;
    let thief = world.as_device(&second).await.unwrap();
    let put = async |id: u8, epoch: u64| {
        let message = pb::PutCollection {
            collection_id: vec![id; 16].into(),
            epoch,
            key_wrap: vec![epoch.to_le_bytes()[0]; 104].into(),
            sealed_name: vec![1; if epoch == 0 { 136 } else { 0 }].into(),
            root_epoch: 0,
        };
        submit::<PutCollection>(&world.vault, &thief, &intent(), message).await
    };
    for id in 1..=4 {
        for epoch in 0..984 {
            put(id, epoch).await.unwrap();
        }
        assert_eq!(problem(put(id, 984).await), Problem::TooMany);
    }
    for epoch in 0..160 {
        put(5, epoch).await.unwrap();
    }
    assert_eq!(problem(put(5, 160).await), Problem::TooMany, "4,096 of all");
    let rewrapped = |id: u8, wraps: usize| pb::CollectionEpochs {
        collection_id: vec![id; 16].into(),
        sealed_name: vec![2; 136].into(),
        key_wraps: vec![vec![9; 104].into(); wraps + 1],
    };
    let mut collections: Vec<_> = (1..=4).map(|id| rewrapped(id, 984)).collect();
    collections.push(rewrapped(5, 160));
    // Root keys without anybody's removal use up no more, either.
    let list = second.next_list(|list| {
        list.root_epoch += 1;
        list.vault_key = recipient(201);
    });
    let rotation = pb::Rotation {
        root_keys: vec![(&sealed()).into(); 2],
        previous_root_key: vec![5; 104].into(),
        collections: collections.clone(),
        vault_key: Some(second.vault_key(list.claimed())),
        passed_over: 0,
    };
    let turning = pb::ChangeDevices {
        list: Some(list.to_message()),
        added: None,
        rotation: Some(rotation),
    };
    assert_eq!(problem(world.change(&second, turning).await), Problem::TooMany);
    let first = seeing(&world.patient, &second.list);
    let (removal, _) = first.removing(second.device_id(), collections);
    assert!(removal.encoded_len() < 512 << 10, "it fits a message");
    world.change(&first, removal).await.unwrap();
    world.check().await;
}

/// DEV-12
#[tokio::test]
async fn offers_are_few_short_and_for_patients() {
    let world = World::new().await;
    let (message, second) = world.patient.adding(50);
    let caller = world.as_patient().await;
    let absent = |link| {
        let (vault, caller) = (world.vault.clone(), caller.clone());
        async move { problem(links::link_state(&vault, &caller, link).await) }
    };
    assert_eq!(absent(LINK).await, Problem::NotPermitted);
    world.offer(&second, LINK).await.unwrap();
    assert_eq!(
        links::link_state(&world.vault, &caller, LINK)
            .await
            .unwrap()
            .offer,
        Some(second.link_offer())
    );
    let hospital = world.as_hospital(&world.first).await;
    assert_eq!(
        problem(links::link_state(&world.vault, &hospital, LINK).await),
        Problem::NotPermitted
    );
    let stranger = Patient::with_device(60, 61);
    assert_eq!(
        problem(world.offer(&stranger, LINK).await),
        Problem::AlreadyExists
    );
    // The next offer of a device replaces the one before.
    let next = LinkId::from_bytes([2; 32]);
    world.offer(&second, next).await.unwrap();
    assert_eq!(absent(LINK).await, Problem::NotPermitted);
    // Time passes; the sweeper finds the offer that was replaced, and leaves the newer one.
    world.clock.set(START + 9 * 60_000);
    world.offer(&second, LINK).await.unwrap();
    world.clock.set(START + 11 * 60_000);
    sweep::sweep(&world.vault).await.unwrap();
    assert!(links::link_state(&world.vault, &caller, LINK).await.is_ok());
    world.clock.set(START + 20 * 60_000);
    assert_eq!(absent(LINK).await, Problem::NotPermitted, "after ten minutes");
    world.offer(&second, LINK).await.unwrap();
    // Whoever was added has no offer any more, and makes none.
    world.change(&world.patient, message).await.unwrap();
    assert_eq!(absent(LINK).await, Problem::NotPermitted);
    assert_eq!(problem(world.offer(&second, LINK).await), Problem::AlreadyExists);
    assert_eq!(
        problem(submit::<Offer>(&world.vault, &caller, &intent(), (LINK, stranger.link_offer())).await),
        Problem::NotPermitted,
        "a patient's device is nobody new"
    );
}

/// DEV-20, ATK-70: the first answer stands, and the new device opens after it what it was bound to.
#[tokio::test]
async fn an_offer_is_answered_once_and_opened_after_that() {
    let world = World::new().await;
    let (_, second) = world.patient.adding(50);
    let caller = world.as_patient().await;
    world.offer(&second, LINK).await.unwrap();
    let answer = |nonce: &'static [u8]| {
        let message = pb::LinkAnswer { nonce: nonce.into() };
        let (vault, caller) = (world.vault.clone(), caller.clone());
        async move { submit::<AnswerLink>(&vault, &caller, &intent(), (LINK, message)).await }
    };
    let open = |opening: pb::LinkOpening| {
        let vault = world.vault.clone();
        async move {
            let caller = links::opening(&opening).unwrap();
            submit::<OpenLink>(&vault, &caller, &intent(), (LINK, opening)).await
        }
    };
    assert_eq!(
        problem(links::link_answer(&world.vault, LINK).await),
        Problem::NotFound
    );
    assert_eq!(
        problem(open(second.link_opening()).await),
        Problem::NotPermitted,
        "before the answer"
    );
    assert_eq!(problem(answer(&[1; 31]).await), Problem::Malformed);
    answer(&[1; 32]).await.unwrap();
    answer(&[1; 32]).await.unwrap();
    assert_eq!(problem(answer(&[2; 32]).await), Problem::AlreadyExists);
    assert_eq!(
        links::link_answer(&world.vault, LINK)
            .await
            .unwrap()
            .nonce
            .as_ref(),
        [1; 32]
    );

    let another_nonce = pb::LinkOpening {
        nonce: vec![8; 32].into(),
        ..second.link_opening()
    };
    let by_another = Patient::with_device(60, 61).link_opening();
    for wrong in [another_nonce, by_another] {
        assert_eq!(problem(open(wrong).await), Problem::NotPermitted);
    }
    let opening = || async {
        links::link_state(&world.vault, &caller, LINK)
            .await
            .unwrap()
            .opening
    };
    assert!(opening().await.is_empty());
    open(second.link_opening()).await.unwrap();
    assert_eq!(opening().await.as_ref(), [9; 32]);

    // Only patients answer, and only what is there and not over.
    let hospital = world.as_hospital(&world.first).await;
    let message = pb::LinkAnswer {
        nonce: vec![1; 32].into(),
    };
    let by_hospital = submit::<AnswerLink>(&world.vault, &hospital, &intent(), (LINK, message)).await;
    assert_eq!(problem(by_hospital), Problem::NotPermitted);
    world.clock.set(START + 10 * 60_000);
    assert_eq!(problem(answer(&[1; 32]).await), Problem::NotPermitted);
    assert_eq!(
        problem(links::link_answer(&world.vault, LINK).await),
        Problem::NotFound
    );
}
