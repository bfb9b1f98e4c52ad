//! A server that a witness contradicts works on an old copy of its data: it gives out nothing, and takes what takes access away.

use protocol_spec::{messages as pb, problem::Problem};

use super::{
    problem,
    world::{Terms, World, stream},
};
use crate::vault::ask::delivery;
use crate::vault::{keep::records, transfer::release};

/// LOG-22: nothing leaves, to nobody, nor is anything begun; what runs ends before its next leaf. Revocations are taken. When the
/// witness cosigns again, all goes on.
#[tokio::test]
async fn a_contradicted_server_gives_out_nothing_and_takes_revocations() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(5 << 20)).await;
    let unopened = world.store_record(&world.first, &stream(10)).await;
    let terms = Terms {
        uses: 3,
        ..Terms::default()
    };
    let version = record.version_id;
    let permit = async || {
        world
            .permit_download(&world.second, vec![record.clone()], terms)
            .await
    };
    let (permission, other) = (permit().await, permit().await);
    let id = permission.permission_id;
    let release = world.open_release(&world.second, id).await.release_id;
    let (patient, hospital) = (world.as_patient().await, world.as_hospital(&world.second).await);
    let mut leaves = release::release_leaves(&world.vault, &hospital, release, version, 0, 5)
        .await
        .unwrap();
    leaves.next().await.unwrap().unwrap();
    let mut own = records::own_leaves(&world.vault, &patient, version, 0, 5)
        .await
        .unwrap();
    own.next().await.unwrap().unwrap();

    let contradiction = world.vault.contradiction();
    assert!(contradiction.note("witness.example/w", "it has cosigned 9 leaves".to_owned()));
    assert!(!contradiction.note("witness.example/w", "it has cosigned 9 leaves".to_owned()));
    for running in [&mut leaves, &mut own] {
        assert_eq!(problem(running.next().await.unwrap()), Problem::LogContradicted);
        assert!(running.next().await.is_none());
    }
    let refused = [
        problem(world.fetch(&world.second, release, version, 0, 1).await),
        problem(delivery::deliver(&world.vault, &hospital, id).await),
        problem(records::own_leaves(&world.vault, &patient, version, 0, 1).await),
        problem(records::vault_records(&world.vault, &patient, 0, 0).await),
        problem(records::arrivals(&world.vault, &patient, None, 0).await),
        problem(records::vault_record(&world.vault, &patient, version).await),
    ];
    assert_eq!(refused, [Problem::LogContradicted; 6]);
    let unopened = world.take_back(&world.first, &unopened).await;
    assert_eq!(problem(unopened), Problem::LogContradicted);
    world.revoke(&other).await;
    assert_eq!(
        world.entry(other.permission_id).await.state(),
        pb::PermissionState::Revoked
    );

    assert!(contradiction.withdraw("witness.example/w"));
    world.fetch(&world.second, release, version, 0, 1).await.unwrap();
    world.check().await;
}
