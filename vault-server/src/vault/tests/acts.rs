use protocol_spec::{
    bodies::{RevocationReceipt, UploadReceipt, VaultHead},
    hash::Sha256Digest,
    ids::PatientId,
    log::{Logged, Receipt, VaultSalt},
    permission::{Kind, PermissionBody},
    problem::Problem,
    statement::{Body, Signed},
    vault_head::{Act, HeadRef, epoch_hash, wraps_hash},
};

use super::{
    collections::{ONCOLOGY, Scene},
    problem,
    world::{Terms, World, stream},
};
use crate::vault::{keep::collections, telling::acts};

const ANOTHER: Sha256Digest = Sha256Digest::from_bytes([8; 32]);

async fn last_act(world: &World) -> Act {
    *world.acts().await.iter().next_back().unwrap()
}

/// VLT-1: each change of the vault is one act, in order, in the commit that it is of.
#[tokio::test]
async fn what_is_done_to_a_vault_stands_among_its_acts() {
    let scene = Scene::with_records(2).await;
    let world = &scene.world;
    let begun = world.acts().await;
    let list = world.patient.list.hash();
    assert_eq!(begun.iter().next(), Some(&Act::Devices(list)));

    scene.put(ONCOLOGY, 0).await.unwrap();
    assert!(matches!(last_act(world).await, Act::Epoch(ONCOLOGY, _)));
    scene.place(0, ONCOLOGY, 1).await.unwrap();
    scene.place(1, ONCOLOGY, 2).await.unwrap();
    let placements = world.acts().await.placements();
    let mut numbers: Vec<u64> = placements.values().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);

    scene.put(ONCOLOGY, 1).await.unwrap();
    scene.put_wraps((0, 1), &[(1, 0), (2, 1)]).await.unwrap();
    assert!(matches!(last_act(world).await, Act::Wraps(ONCOLOGY, _)));
    scene.close_epoch(0).await.unwrap();
    assert!(matches!(last_act(world).await, Act::Closure(ONCOLOGY, _)));
    let count = world.acts().await.count();
    scene.close_epoch(0).await.unwrap();
    assert_eq!(world.acts().await.count(), count, "the same again is no act");
}

#[tokio::test]
async fn hashes_of_acts_are_of_what_was_sent() {
    let scene = Scene::with_records(1).await;
    let world = &scene.world;
    scene.put(ONCOLOGY, 0).await.unwrap();
    let caller = world.as_patient().await;
    let wrap = collections::collections(&world.vault, &caller)
        .await
        .unwrap()
        .collections;
    let shown = wrap
        .iter()
        .find(|shown| shown.collection_id == ONCOLOGY.as_bytes()[..])
        .unwrap();
    let expected = Act::Epoch(ONCOLOGY, epoch_hash(0, &shown.key_wraps[0]));
    assert_eq!(last_act(world).await, expected);
    scene.place(0, ONCOLOGY, 1).await.unwrap();
    scene.put(ONCOLOGY, 1).await.unwrap();
    scene.put_wraps((0, 1), &[(1, 0)]).await.unwrap();
    let wraps = scene.wraps(1, 10).await;
    let wraps = wraps.iter().map(|(number, _, wrap)| (*number, wrap.as_ref()));
    assert_eq!(last_act(world).await, Act::Wraps(ONCOLOGY, wraps_hash(1, wraps)));
}

/// VLT-2: only what is over all acts, right after the newest head, under the vault's salt.
#[tokio::test]
async fn a_head_that_is_not_over_the_vault_as_it_is_is_refused() {
    let scene = Scene::with_records(1).await;
    let world = &scene.world;
    scene.put(ONCOLOGY, 0).await.unwrap();
    type Change = fn(&mut VaultHead);
    let changes: [(Change, Problem); 7] = [
        (|head| head.sequence += 1, Problem::HeadConflict),
        (|head| head.sequence = 0, Problem::HeadConflict),
        (|head| head.previous_hash = ANOTHER, Problem::HeadConflict),
        (|head| head.acts -= 1, Problem::HeadConflict),
        (|head| head.root = ANOTHER, Problem::HeadConflict),
        (|head| head.log_salt_hash = ANOTHER, Problem::Malformed),
        (
            |head| head.patient_id = PatientId::from_bytes([9; 32]),
            Problem::NotPermitted,
        ),
    ];
    let before = world.acts().await.count();
    for (change, refused) in changes {
        let (head, _) = world.next_head(change).await;
        assert_eq!(problem(world.submit_head(head).await), refused);
    }
    assert_eq!(world.acts().await.count(), before);
    let (head, hash) = world.next_head(|_| ()).await;
    world.submit_head(head.clone()).await.unwrap();
    assert_eq!(last_act(world).await, Act::Head(hash));
    world.submit_head(head).await.unwrap();
    assert_eq!(
        world.acts().await.count(),
        before + 1,
        "the same again changes nothing"
    );
}

/// VLT-2: a permission and the head over it are taken together, or neither is.
#[tokio::test]
async fn a_permission_and_its_head_are_taken_together_or_not_at_all() {
    let scene = Scene::with_records(1).await;
    let world = &scene.world;
    let asked = world.ask_download(&world.second).await;
    let records = vec![scene.records[0].clone()];
    let body = world.permission_body(&world.second, Kind::Download, asked, records, Terms::default());
    let act = Act::Permission(body.permission_id, Sha256Digest::of(&body.encode()));
    let before = world.acts().await.count();
    let (standing, _) = world.next_head(|_| ()).await;
    world.submit_head(standing.clone()).await.unwrap();

    let (over_another, _) = world.next_head_with(&act, |head| head.root = ANOTHER).await;
    let (not_over_it, _) = world.next_head(|_| ()).await;
    let stranger = PatientId::from_bytes([9; 32]);
    let (of_another, _) = world
        .next_head_with(&act, |head| head.patient_id = stranger)
        .await;
    for (head, refused) in [
        (over_another, Problem::HeadConflict),
        (not_over_it, Problem::HeadConflict),
        (standing, Problem::HeadConflict),
        (of_another, Problem::NotPermitted),
    ] {
        assert_eq!(problem(world.submit_with(&body, Some(head)).await), refused);
    }
    assert_eq!(world.acts().await.count(), before + 1, "nothing was taken");

    let (head, hash) = world.next_head_with(&act, |_| ()).await;
    let answer = world.submit_with(&body, Some(head)).await.unwrap();
    let logged = Logged::<VaultHead>::verify(answer.head.unwrap(), &world.operator_key()).unwrap();
    assert_eq!(logged.statement.hash(), hash);
    let acts = world.acts().await;
    let last: Vec<_> = acts.iter().rev().take(2).copied().collect();
    assert_eq!(last, [Act::Head(hash), act]);
    acts.check_newest(&logged.statement, &hash).unwrap();
}

/// VLT-2: a head is logged, as one of the vault's own leaves.
#[tokio::test]
async fn the_newest_head_comes_with_its_place_in_the_log() {
    let world = World::new().await;
    let caller = world.as_patient().await;
    let shown = acts::acts(&world.vault, &caller, 1, 10).await.unwrap();
    let message = shown.head.unwrap();
    let proof = message.proof.clone().unwrap();
    let logged = Logged::<VaultHead>::verify(message, &world.operator_key()).unwrap();
    let salt = world.vault.log_salt(&caller).await.unwrap().salt;
    let salt = VaultSalt::from_bytes(salt.as_ref().try_into().unwrap());
    assert_eq!(proof.tag, salt.mark(&logged.statement.hash()).tag[..]);
    world
        .acts()
        .await
        .check_newest(&logged.statement, &logged.statement.hash())
        .unwrap();
}

/// VLT-6: a permission names a head that the vault has.
#[tokio::test]
async fn a_permission_over_another_vault_is_refused() {
    let scene = Scene::with_records(1).await;
    let world = &scene.world;
    let hospital = &world.second;
    let record = scene.records[0].clone();
    let body = |head, hash| PermissionBody {
        vault_head: Some(head),
        ..world.permission_body(
            hospital,
            Kind::Download,
            hash,
            vec![record.clone()],
            Terms::default(),
        )
    };
    let newest = world.put_head().await;
    assert_ne!(newest, world.patient.head);
    let unknown = Sha256Digest::of(b"unknown");
    for head in [
        HeadRef {
            hash: unknown,
            ..newest
        },
        HeadRef {
            sequence: newest.sequence + 1,
            ..newest
        },
        HeadRef {
            sequence: 0,
            ..newest
        },
    ] {
        let asked = world.ask_download(hospital).await;
        assert_eq!(
            problem(world.submit(&body(head, asked)).await),
            Problem::HeadConflict
        );
    }
    for head in [newest, world.patient.head] {
        let asked = world.ask_download(hospital).await;
        world.submit(&body(head, asked)).await.unwrap();
    }
}

/// VLT-7: receipts name the newest head.
#[tokio::test]
async fn receipts_name_the_newest_head() {
    let scene = Scene::with_records(1).await;
    let world = &scene.world;
    let operator = world.operator_key();
    let newest = world.put_head().await;
    let records = vec![scene.records[0].clone()];
    let body = world
        .permit_download(&world.second, records, Terms::default())
        .await;
    let release = world.open_release(&world.second, body.permission_id).await;
    let later = world.put_head().await;
    let released = world.close(&world.second, release.release_id).await.unwrap();
    assert_eq!(released.vault_head, Some(later));
    assert_ne!(newest, later);
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    let ticket = world.stand_by(&world.first, permission.permission_id).await;
    let stored = world
        .commit(&world.first, ticket.upload_id, &stream(10))
        .await
        .unwrap();
    let stored = Receipt::<UploadReceipt>::verify(Some(stored), &operator).unwrap();
    assert_eq!(stored.statement.vault_head, Some(later));
}

/// VLT-1: a revocation is an act; who has it listed is told its receipt.
#[tokio::test]
async fn a_revocation_is_an_act_and_its_receipt_is_shown() {
    let scene = Scene::with_records(1).await;
    let world = &scene.world;
    let records = vec![scene.records[0].clone()];
    let body = world
        .permit_download(&world.second, records, Terms::default())
        .await;
    assert_eq!(world.entry(body.permission_id).await.revocation_receipt, None);
    assert!(!world.acts().await.permissions()[&body.permission_id].revoked);
    world.revoke(&body).await;
    assert!(world.acts().await.permissions()[&body.permission_id].revoked);
    let receipt =
        Signed::<RevocationReceipt>::try_from(world.entry(body.permission_id).await.revocation_receipt);
    let receipt = receipt.unwrap().verify(&world.operator_key()).unwrap();
    assert_eq!(receipt.permission_id, body.permission_id);
}
