//! Releases: bytes are spent before they leave, and revocation stops them.

use actors::KeyPair;
use protocol_spec::{
    bodies::Withdrawal,
    ids::{RegistrarId, ReleaseId, VersionId},
    log::{Entry, verify_published},
    messages as pb,
    problem::Problem,
};
use tokio::task::JoinSet;

use super::{
    problem,
    world::{HOUR, START, Terms, World, stream},
};
use crate::vault::{transfer::release, who::withdrawal};

/// PRM-3, PRM-4.
#[tokio::test]
async fn only_what_the_permission_names_and_the_record_has() {
    let world = World::new().await;
    let named = world.store_record(&world.first, &stream(2 << 20)).await;
    let other = world.store_record(&world.first, &stream(10)).await;
    let permission = world
        .permit_download(&world.second, vec![named.clone()], Terms::default())
        .await;
    let release = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    let refused = async |hospital, release, version, first, count| {
        problem(world.fetch(hospital, release, version, first, count).await)
    };
    let version = named.version_id;
    let unknown = ReleaseId::from_bytes([7; 16]);
    assert_eq!(
        refused(&world.second, release, other.version_id, 0, 1).await,
        Problem::NotPermitted
    );
    assert_eq!(
        refused(&world.second, release, VersionId::from_bytes([7; 16]), 0, 1).await,
        Problem::NotPermitted
    );
    assert_eq!(
        refused(&world.first, release, version, 0, 1).await,
        Problem::NotPermitted
    );
    assert_eq!(
        refused(&world.second, unknown, version, 0, 1).await,
        Problem::NotPermitted
    );
    for (first, count) in [(0, 4), (3, 1), (0, 0), (1, u32::MAX)] {
        assert_eq!(
            refused(&world.second, release, version, first, count).await,
            Problem::RangeNotSatisfiable
        );
    }
    assert_eq!(
        problem(world.close(&world.first, release).await),
        Problem::NotPermitted
    );
    // Nothing of it was spent.
    assert_eq!(
        world.entry(permission.permission_id).await.bytes_left,
        permission.bytes
    );
    assert_eq!(world.close(&world.second, release).await.unwrap().bytes, 0);
    assert_eq!(
        refused(&world.second, release, version, 0, 1).await,
        Problem::ReleaseClosed
    );
}

/// ATK-31: the budget covers all requests of all sessions together (FLW-9).
#[tokio::test(flavor = "multi_thread")]
async fn racing_requests_stay_within_the_budget() {
    let world = World::new().await;
    let stream = stream(8 << 20);
    let record = world.store_record(&world.first, &stream).await;
    let terms = Terms {
        uses: 2,
        bytes: 3 << 20,
        ..Terms::default()
    };
    let permission = world
        .permit_download(&world.second, vec![record.clone()], terms)
        .await;
    let one = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    let other = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let (world, version) = (world.clone(), record.version_id);
        let release = if number % 2 == 0 { one } else { other };
        let leaf = number / 2;
        tasks.spawn(async move {
            world
                .fetch(&world.second, release, version, leaf, 1)
                .await
                .map_err(|r| r.problem)
        });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    assert!(
        results
            .iter()
            .all(|result| !matches!(result, Err(problem) if *problem != Problem::BytesSpent))
    );
    let (one, other) = (
        world.close(&world.second, one).await.unwrap(),
        world.close(&world.second, other).await.unwrap(),
    );
    assert_eq!(one.bytes + other.bytes, 3 << 20);
    // One of them may have come too late for all of its leaves, and has its use again.
    let spent = problem(world.present(&world.second, permission.permission_id).await);
    let uses = [one, other].iter().filter(|receipt| receipt.bytes > 0).count();
    let expected = [Problem::BytesSpent, Problem::PermissionSpent][uses - 1];
    assert_eq!(spent, expected);
    world.check().await;
}

/// A3: revoked before the request, no byte; revoked during it, no further leaf (FLW-5).
#[tokio::test]
async fn revocation_stops_a_release() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(5 << 20)).await;
    let permission = world
        .permit_download(&world.second, vec![record.clone()], Terms::default())
        .await;
    let release = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    let second = world.as_hospital(&world.second).await;
    let mut leaves = release::release_leaves(&world.vault, &second, release, record.version_id, 0, 5)
        .await
        .unwrap();
    assert!(leaves.next().await.unwrap().is_ok());
    world.revoke(&permission).await;
    assert_eq!(problem(leaves.next().await.unwrap()), Problem::PermissionRevoked);
    assert!(leaves.next().await.is_none());
    let later = release::release_leaves(&world.vault, &second, release, record.version_id, 0, 1).await;
    assert_eq!(problem(later.map(drop)), Problem::PermissionRevoked);
    // Its end is receipted all the same.
    assert_eq!(world.close(&world.second, release).await.unwrap().bytes, 5 << 20);
    world.check().await;
}

/// INS-15: withdrawn during a release, no further leaf; what ends the accreditation stands in the log.
#[tokio::test]
async fn withdrawal_stops_a_release() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(3 << 20)).await;
    let permission = world
        .permit_download(&world.second, vec![record.clone()], Terms::default())
        .await;
    let release = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    let second = world.as_hospital(&world.second).await;
    let mut leaves = release::release_leaves(&world.vault, &second, release, record.version_id, 0, 3)
        .await
        .unwrap();
    assert!(leaves.next().await.unwrap().is_ok());
    let registrar = KeyPair::new(2);
    let withdrawal = Withdrawal {
        created: START,
        registrar_id: RegistrarId::from(&registrar.public()),
        institution_id: world.second.id,
    };
    let withdrawal = registrar.signed(withdrawal);
    let message = pb::WithdrawInstitution {
        withdrawal: Some(withdrawal.to_message()),
    };
    let answer = withdrawal::withdraw_institution(&world.vault, message.clone())
        .await
        .unwrap();
    let entry = Entry::Withdrawal(withdrawal.to_message());
    verify_published(answer.proof, &entry, &world.operator_key()).unwrap();
    assert_eq!(
        problem(leaves.next().await.unwrap()),
        Problem::AccreditationWithdrawn
    );
    assert!(leaves.next().await.is_none());
    // The same again is the same, also in the log.
    let events = world.directory_size().await;
    withdrawal::withdraw_institution(&world.vault, message)
        .await
        .unwrap();
    assert_eq!(world.directory_size().await, events);
}

/// FLT-28: whatever the order in which they meet, after the revocation is acknowledged nothing starts.
/// (FLW-5)
#[tokio::test(flavor = "multi_thread")]
async fn revocation_races_presentations() {
    for _ in 0..10 {
        let world = World::new().await;
        let record = world.store_record(&world.first, &stream(10)).await;
        let terms = Terms {
            uses: 100,
            ..Terms::default()
        };
        let permission = world
            .permit_download(&world.second, vec![record.clone()], terms)
            .await;
        let id = permission.permission_id;
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let world = world.clone();
            tasks.spawn(async move {
                world
                    .present(&world.second, id)
                    .await
                    .map_err(|refusal| refusal.problem)
            });
        }
        world.revoke(&permission).await;
        assert_eq!(
            problem(world.present(&world.second, id).await),
            Problem::PermissionRevoked
        );
        let opened = tasks
            .join_all()
            .await
            .into_iter()
            .filter_map(Result::ok)
            .map(super::world::release);
        for ticket in opened {
            let fetched = world
                .fetch(&world.second, ticket.release_id, record.version_id, 0, 1)
                .await;
            assert_eq!(problem(fetched), Problem::PermissionRevoked);
        }
        world.check().await;
    }
}

/// FLW-10.
#[tokio::test]
async fn a_release_ends_with_its_time() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let terms = Terms {
        not_after: START + HOUR,
        ..Terms::default()
    };
    let permission = world
        .permit_download(&world.second, vec![record.clone()], terms)
        .await;
    let release = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    world.clock.set(START + HOUR - 1);
    world
        .fetch(&world.second, release, record.version_id, 0, 1)
        .await
        .unwrap();
    world.clock.set(START + HOUR);
    let late = world.fetch(&world.second, release, record.version_id, 0, 1).await;
    assert_eq!(problem(late), Problem::ReleaseClosed);
    let state = world.entry(permission.permission_id).await.state();
    assert_eq!(state, pb::PermissionState::Expired);
}
