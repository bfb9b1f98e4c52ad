//! An older copy of the data is gone on with: the log goes on under another origin, and nothing leaves a vault before a device of
//! the patient was back.

use actors::KeyPair;
use protocol_spec::{
    bodies::Restoration,
    log::{Generation, SignedCheckpoint, VerifiedCheckpoint, log_key_of, verify_consistency},
    messages as pb,
    mirror::Directory,
    problem::Problem,
    statement::Signed,
};

use super::{
    problem,
    world::{Terms, World, stream},
};
use crate::vault::who::directory;
use crate::{
    identity::OperatorIdentity,
    vault::restoring::{begin, prepare},
};

fn operator() -> OperatorIdentity {
    OperatorIdentity::from_seed(&KeyPair::new(1).seed()).unwrap()
}

async fn asked(world: &World, seen: Option<u64>) -> Restoration {
    let registrar = KeyPair::new(2).public();
    prepare(&*world.store.ledger, &operator(), &registrar, seen, 7)
        .await
        .unwrap()
}

/// Signed by the operator, and by this key in the registrar's place.
fn file(body: &Restoration, registrar: u8) -> pb::RestorationFile {
    let key = KeyPair::new(registrar);
    let by_operator = Signed::sign(body.clone(), |message| operator().sign(message));
    let by_registrar = key.signed(body.clone());
    pb::RestorationFile {
        by_operator: Some(by_operator.to_message()),
        by_registrar: Some(by_registrar.to_message()),
        ..pb::RestorationFile::default()
    }
}

async fn begun(world: &World, file: pb::RestorationFile) -> Result<u64, Problem> {
    let registrar = KeyPair::new(2).public();
    let begun = begin(&*world.store.ledger, &operator(), &registrar, file).await;
    begun
        .map(|restoration| restoration.size)
        .map_err(|refusal| refusal.problem)
}

async fn shown(world: &World) -> VerifiedCheckpoint {
    let note = world.vault.log_head().await.unwrap();
    let checkpoint = SignedCheckpoint::parse(note.as_bytes()).unwrap();
    checkpoint.verify_by(&world.operator_key()).unwrap()
}

/// RST-1, RST-2, RST-3, RST-4, RST-5: the same tree goes on under the next origin, with a restoration that both have signed, of these data as they are.
#[tokio::test]
async fn the_log_goes_on_under_another_origin() {
    let mut world = World::new().await;
    world.put_head().await;
    let before = shown(&world).await;
    let body = asked(&world, Some(before.size + 9)).await;
    assert_eq!(
        (body.generation, body.size, body.root),
        (2, before.size, before.root)
    );
    for wrong in [
        file(&body, 1),
        file(
            &Restoration {
                size: body.size - 1,
                ..body.clone()
            },
            2,
        ),
        file(
            &Restoration {
                generation: 3,
                ..body.clone()
            },
            2,
        ),
        file(
            &Restoration {
                root: protocol_spec::hash::Sha256Digest::of(b"x"),
                ..body.clone()
            },
            2,
        ),
        file(
            &Restoration {
                seen: body.size - 1,
                ..body.clone()
            },
            2,
        ),
    ] {
        begun(&world, wrong).await.unwrap_err();
    }
    for _ in 0..2 {
        assert_eq!(begun(&world, file(&body, 2)).await, Ok(before.size));
    }
    world.restart().await;
    world.put_head().await;
    let after = shown(&world).await;
    assert_eq!(after.generation(), Generation::FIRST.next());
    assert_eq!(after.size, before.size + 2);
    let key = log_key_of(&world.operator_key(), after.generation()).unwrap();
    assert_eq!(after.origin, key.name());
    let path = world.vault.log_path(before.size, after.size).await.unwrap();
    let begin = protocol_spec::log::Checkpoint {
        origin: after.origin.clone(),
        ..(*before).clone()
    };
    verify_consistency(&begin, &after, &path).unwrap();
    verify_consistency(&before, &after, &path).unwrap_err();

    let events = directory::directory_events(&world.vault, 0, 10, false)
        .await
        .unwrap()
        .events;
    let mut directory = Directory::new(KeyPair::new(2).public(), world.operator_key());
    for event in events {
        directory.take(event.index, &event.entry).unwrap();
    }
    directory.check(&after).unwrap();
    assert_eq!(directory.restorations().len(), 1);
    assert_eq!(directory.restorations()[0].seen, before.size + 9);
    // The next one follows.
    let next = asked(&world, None).await;
    assert_eq!(
        (next.generation, next.size, next.seen),
        (3, after.size, after.size)
    );
}

/// RST-8: whoever holds a permission, also a session that is open, gets nothing before a device says that it has read the log
/// beyond the restoration. Revocations are taken.
#[tokio::test]
async fn nothing_leaves_a_vault_before_its_patient_was_back() {
    let mut world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let terms = Terms {
        uses: 3,
        ..Terms::default()
    };
    let permission = world
        .permit_download(&world.second, vec![record.clone()], terms)
        .await;
    let (id, version) = (permission.permission_id, record.version_id);
    let release = world.open_release(&world.second, id).await.release_id;
    let other = world
        .permit_download(&world.second, vec![record.clone()], terms)
        .await;
    let upload = world.permit_upload(&world.first, Terms::default()).await;
    // All that was done before has its place.
    world.put_head().await;
    let body = asked(&world, None).await;
    let index = begun(&world, file(&body, 2)).await.unwrap();
    world.restart().await;

    assert_eq!(
        problem(world.fetch(&world.second, release, version, 0, 1).await),
        Problem::Restored
    );
    for (hospital, id) in [(&world.second, id), (&world.first, upload.permission_id)] {
        assert_eq!(problem(world.present(hospital, id).await), Problem::Restored);
    }
    world.revoke(&other).await;
    let (head, _) = world.next_head(|head| head.log_size = index).await;
    world.submit_head(head).await.unwrap();
    assert_eq!(
        problem(world.fetch(&world.second, release, version, 0, 1).await),
        Problem::Restored,
        "it has not read the restoration"
    );
    let (head, _) = world.next_head(|head| head.log_size = index + 1).await;
    world.submit_head(head).await.unwrap();
    world.fetch(&world.second, release, version, 0, 1).await.unwrap();
    // By a head of a device that has read less it is not taken back.
    world.put_head().await;
    world.fetch(&world.second, release, version, 0, 1).await.unwrap();
}
