//! What data without a word of their own show of whose they are (OPR-1).

use actors::KeyPair;
use protocol_spec::{keys::IdentityKey, problem::Problem};

use super::{
    problem,
    programs::{REGISTRAR, program},
    world::World,
};
use crate::vault::who::programs;
use crate::{
    store::{Commit, CommitId, Outcome},
    vault::{
        Accepted, Bound, Unbound,
        tables::{self, BoundRow, Row},
    },
};

fn key(seed: u8) -> IdentityKey {
    KeyPair::new(seed).public()
}

/// What a start with this registrar is told, whose operator says that it is `accepted`.
async fn check(world: &World, registrar: u8, accepted: Option<u8>) -> Result<(), Unbound> {
    let bound = Bound::read(&*world.store.ledger).await.unwrap();
    let accepted = Accepted {
        registrar: accepted.map(key),
        ..Accepted::default()
    };
    bound.check_keys(&world.operator_key(), &key(registrar), &accepted)
}

/// Nobody but a patient is enrolled.
async fn of_patients_alone() -> World {
    let world = World::new().await;
    let hospitals = [world.first.id, world.second.id].map(tables::institution);
    let commit = hospitals
        .iter()
        .fold(Commit::new(CommitId::fresh()), |commit, row| {
            commit.delete(row.key().clone())
        });
    let applied = world.store.ledger.commit(commit).await.unwrap();
    assert!(matches!(applied, Outcome::Applied));
    world
}

/// OPR-1: whom it has accredited shows the registrar, and the log its operator; no word of a start overrides that.
#[tokio::test]
async fn what_a_registrar_has_signed_shows_it() {
    let world = World::new().await;
    assert_eq!(check(&world, REGISTRAR, None).await, Ok(()));
    for accepted in [None, Some(9)] {
        assert_eq!(check(&world, 9, accepted).await, Err(Unbound::OtherRegistrar));
    }
    let bound = Bound::read(&*world.store.ledger).await.unwrap();
    let other = bound.check_keys(&key(9), &key(REGISTRAR), &Accepted::default());
    assert!(matches!(other, Err(Unbound::OtherLog { .. })), "{other:?}");

    let world = of_patients_alone().await;
    programs::publish_program(&world.vault, program(REGISTRAR, |_| ()))
        .await
        .unwrap();
    assert_eq!(check(&world, REGISTRAR, None).await, Ok(()));
    assert_eq!(check(&world, 9, Some(9)).await, Err(Unbound::OtherRegistrar));
}

/// OPR-1: where nothing shows the registrar, its key is asked for, and only the key that is served with is an answer.
#[tokio::test]
async fn where_nothing_shows_the_registrar_it_is_asked_for() {
    let world = of_patients_alone().await;
    for (registrar, accepted) in [
        (REGISTRAR, None),
        (9, None),
        (9, Some(REGISTRAR)),
        (REGISTRAR, Some(9)),
    ] {
        let asked = check(&world, registrar, accepted).await.unwrap_err();
        assert!(matches!(asked, Unbound::UnknownRegistrar { .. }), "{asked:?}");
        let text = key(registrar).to_text(IdentityKey::REGISTRAR_PREFIX);
        assert!(
            asked.to_string().contains(&format!("--accept-registrar {text}")),
            "{asked}"
        );
    }
    assert_eq!(check(&world, REGISTRAR, Some(REGISTRAR)).await, Ok(()));
}

/// OPR-1: a row that names no keys is no word that any registrar will do.
#[tokio::test]
async fn a_row_without_keys_is_damaged() {
    let world = World::new().await;
    let row = BoundRow {
        operator: world.operator_key().as_bytes().to_vec().into(),
        ..BoundRow::default()
    };
    let commit = Commit::new(CommitId::fresh()).put(tables::bound().key().clone(), row.bytes());
    let applied = world.store.ledger.commit(commit).await.unwrap();
    assert!(matches!(applied, Outcome::Applied));
    let read = Bound::read(&*world.store.ledger).await;
    assert_eq!(problem(read.map(drop)), Problem::Internal);
}
