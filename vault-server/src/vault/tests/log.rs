//! The log as clients see it: entries, checkpoints that follow on each other, restarts.

use std::time::Duration;

use protocol_spec::{
    bodies::Checkpoint,
    directory::Institution,
    log::{verify_checkpoint, verify_consistency, verify_inclusion},
    messages as pb,
    problem::Problem,
    statement::{Signed, Verified},
};

use super::{
    principals::{public, signing_key},
    problem,
    world::{Terms, World, stream},
};
use crate::{
    identity::OperatorIdentity,
    store::{Commit, CommitId, Outcome},
    vault::{
        Vault,
        log::Queued,
        tables::{self, LogQueueRow, Row},
    },
};

async fn checkpoint(world: &World) -> Verified<Checkpoint> {
    let statement = world.vault.log_checkpoint().await.unwrap();
    verify_checkpoint(Signed::try_from(statement).unwrap(), &world.operator_key()).unwrap()
}

/// Until this many leaves have their places.
async fn grown(world: &World, size: u64) -> Verified<Checkpoint> {
    loop {
        let checkpoint = checkpoint(world).await;
        if checkpoint.size >= size {
            return checkpoint;
        }
        tokio::task::yield_now().await;
    }
}

/// LOG-5.
#[tokio::test]
async fn directory_entries_stand_in_the_log() {
    let world = World::new().await;
    let page = world.vault.directory(None, 1).await.unwrap();
    let after = page.next.as_ref().try_into().unwrap();
    let rest = world.vault.directory(Some(after), 1).await.unwrap();
    let (registrar, operator) = (public(&signing_key(2)), world.operator_key());
    for entry in [&page.entries[..], &rest.entries[..]].concat() {
        let proof = entry.proof.clone();
        let institution = Institution::from_entry(entry, &registrar, (&operator).into()).unwrap();
        verify_inclusion(proof, &institution.entry_hash(), &operator).unwrap();
        assert!(world.vault.directory_entry(institution.id()).await.is_ok());
    }
    let unknown = protocol_spec::ids::InstitutionId::from_bytes([7; 32]);
    assert_eq!(
        problem(world.vault.directory_entry(unknown).await),
        Problem::NotFound
    );
}

/// LOG-4: every checkpoint continues every earlier one, also across a restart.
#[tokio::test]
async fn checkpoints_continue_each_other() {
    let mut world = World::new().await;
    let mut seen = vec![grown(&world, 2).await];
    for round in 0..4 {
        world.store_record(&world.first, &stream(10)).await;
        // Permission, ticket, receipt.
        seen.push(grown(&world, 2 + 3 * (round + 1)).await);
        if round == 1 {
            world.restart().await;
        }
    }
    let last = seen.last().unwrap().clone();
    for earlier in &seen {
        let proof = world
            .vault
            .log_consistency(earlier.size, last.size)
            .await
            .unwrap();
        verify_consistency(earlier, &last, &proof.path).unwrap();
    }
    let future = world.vault.log_consistency(1, last.size + 1).await;
    assert_eq!(problem(future), Problem::NotFound);
    assert_eq!(
        problem(world.vault.log_inclusion(last.size, last.size).await),
        Problem::NotFound
    );
    assert_eq!(
        problem(world.vault.log_consistency(0, last.size).await),
        Problem::NotFound
    );
}

/// Leaves of commits that were made while nobody sequenced get their places at the next start.
#[tokio::test]
async fn a_restart_sequences_what_is_queued() {
    let mut world = World::new().await;
    grown(&world, 2).await;
    // On one thread the sequencer cannot run between this commit and the end of the vault.
    world.permit_upload(&world.first, Terms::default()).await;
    world.restart().await;
    grown(&world, 3).await;
    world.check().await;
}

/// An operation whose request is cut off may have committed without waking the sequencer.
#[tokio::test]
async fn a_queued_leaf_gets_its_place_when_somebody_waits_for_it() {
    let world = World::new().await;
    grown(&world, 2).await;
    // Not before the sweeper's first round, which wakes the sequencer, too, is over.
    let swept = tables::floor();
    while swept.get(&*world.store.ledger).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let (salt, statement) = ([5; 16], protocol_spec::hash::Sha256Digest::of(b"statement"));
    let leaf = protocol_spec::log::leaf(&salt, &statement).to_vec().into();
    let id = CommitId::fresh();
    let row = LogQueueRow { leaf }.bytes();
    let commit = Commit::new(id).put(tables::log_queue(id, 0).key().clone(), row);
    assert_eq!(world.store.ledger.commit(commit).await, Ok(Outcome::Applied));
    let mut proof = Some(pb::LogProof {
        salt: salt.to_vec().into(),
        ..pb::LogProof::default()
    });
    let log = &world.vault.shared.log;
    // Also while others' leaves get theirs all the time.
    let busy = async {
        loop {
            world.permit_upload(&world.first, Terms::default()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = busy => {}
        completed = log.complete(&mut proof, &statement) => completed.unwrap(),
    }
    assert!(proof.unwrap().index >= 2);
}

/// A leaf that the sequencer has found by itself may still be handed to it.
#[tokio::test]
async fn a_leaf_that_is_handed_on_twice_has_one_place() {
    let world = World::new().await;
    // Two institutions and the patient's first list.
    grown(&world, 3).await;
    let log = &world.vault.shared.log;
    let queued = |number: u8| {
        let row = LogQueueRow {
            leaf: vec![number; 32].into(),
        };
        let commit = CommitId::from_bytes([number; 16]);
        Queued {
            commit,
            number: 0,
            row,
        }
    };
    for number in [4, 5] {
        let Queued { commit, row, .. } = queued(number);
        let commit = Commit::new(commit).put(tables::log_queue(commit, 0).key().clone(), row.bytes());
        assert_eq!(world.store.ledger.commit(commit).await, Ok(Outcome::Applied));
        log.queue(vec![queued(number)]);
        grown(&world, u64::from(number)).await;
        log.queue(vec![queued(number)]);
    }
    world.store_record(&world.first, &stream(10)).await;
    assert_eq!(grown(&world, 8).await.size, 8);
}

/// A lost operator.key is not replaced by a new one over the same vault.
#[tokio::test]
async fn another_operators_vault_does_not_open() {
    let world = World::new().await;
    let super::world::Stores { ledger, blobs } = world.store.clone();
    let other = OperatorIdentity::from_seed(&signing_key(9).to_bytes()).unwrap();
    let (registrar, limits) = (public(&signing_key(2)), super::world::limits());
    let opened = Vault::new(ledger, blobs, other, registrar, world.clock.clone(), limits).await;
    let cause = opened.err().unwrap().cause.unwrap();
    assert!(cause.contains("restore operator.key"), "{cause}");
}

#[tokio::test]
async fn an_empty_log_has_a_signed_head() {
    let store = super::world::Stores::in_memory();
    let world = World::new().await;
    let vault = super::world::open(&store, &world.clock, super::world::limits()).await;
    let statement = vault.log_checkpoint().await.unwrap();
    let head: Signed<Checkpoint> = statement.try_into().unwrap();
    let head = verify_checkpoint(head, &world.operator_key()).unwrap();
    assert_eq!(
        (head.size, head.root),
        (0, protocol_spec::hash::Sha256Digest::of(b""))
    );
}
