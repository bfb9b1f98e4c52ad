//! The log as clients see it: entries, checkpoints that follow on each other, restarts.

use std::time::Duration;

use actors::KeyPair;
use bytes::Bytes;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use protocol_spec::{
    bodies::VaultHead,
    hash::Sha256Digest,
    log::{
        Entry, Logged, SignedCheckpoint, VaultSalt, VerifiedCheckpoint, log_key,
        tile::{TileKind, TilePath, entries},
        verify_consistency, verify_inclusion, verify_leaf,
    },
    mirror::Directory,
    problem::Problem,
};
use sha2::Sha256;

use super::{
    problem,
    world::{Terms, World, stream},
};
use crate::vault::{telling::acts, who::directory};
use crate::{
    identity::OperatorIdentity,
    store::{Commit, CommitId, Outcome},
    vault::{
        Vault,
        log::Queued,
        tables::{self, LogQueueRow, Row},
        with_growth_from,
    },
};

async fn checkpoint(world: &World) -> VerifiedCheckpoint {
    let note = world.vault.log_checkpoint().await.unwrap();
    let log = log_key(&world.operator_key()).unwrap();
    SignedCheckpoint::parse(note.as_bytes())
        .unwrap()
        .verify(&log)
        .unwrap()
}

/// Until this many leaves have their places.
async fn grown(world: &World, size: u64) -> VerifiedCheckpoint {
    loop {
        let checkpoint = checkpoint(world).await;
        if checkpoint.size >= size {
            return checkpoint;
        }
        tokio::task::yield_now().await;
    }
}

/// LOG-1, LOG-5, LOG-15, LOG-17: in clear, in the order of the log, and counted by the checkpoint, also after a restart.
#[tokio::test]
async fn directory_events_are_served_with_their_places() {
    let mut world = World::new().await;
    let (registrar, operator) = (KeyPair::new(2).public(), world.operator_key());
    for round in 0..2 {
        let mut directory = Directory::new(registrar, operator);
        let first = directory::directory_events(&world.vault, 0, 1, false)
            .await
            .unwrap();
        let rest = directory::directory_events(&world.vault, 1, 0, false)
            .await
            .unwrap();
        assert_eq!((first.events.len(), rest.events.len()), (1, 1));
        let checkpoint = SignedCheckpoint::parse(rest.checkpoint.as_bytes()).unwrap();
        let checkpoint = checkpoint.verify(&log_key(&operator).unwrap()).unwrap();
        for event in [first.events, rest.events].concat() {
            let path: Vec<_> = event
                .path
                .iter()
                .map(|hash| hash.as_ref().try_into().unwrap())
                .collect();
            verify_leaf(&checkpoint, &event.entry, event.index, &path).unwrap();
            directory.take(event.index, &event.entry).unwrap();
        }
        directory.check(&checkpoint).unwrap();
        assert_eq!(directory.names().count(), 2, "{round}");
        assert!(
            directory::directory_events(&world.vault, 2, 0, false)
                .await
                .unwrap()
                .events
                .is_empty()
        );
        world.restart().await;
    }
}

/// LOG-4, ATK-4: every checkpoint continues every earlier one, also across a restart.
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
        let path: Vec<_> = proof
            .path
            .iter()
            .map(|hash| hash.as_ref().try_into().unwrap())
            .collect();
        verify_consistency(earlier, &last, &path).unwrap();
    }
    let future = world.vault.log_consistency(1, last.size + 1).await;
    assert_eq!(problem(future), Problem::NotFound);
    assert_eq!(
        problem(world.vault.log_consistency(0, last.size).await),
        Problem::NotFound
    );
}

/// LOG-17, LOG-13: events come under the newest checkpoint, or under the one that the quorum has cosigned.
#[tokio::test]
async fn events_come_under_the_checkpoint_that_is_asked_for() {
    let world = World::new().await;
    let cosigned = grown(&world, 2).await;
    world.vault.await_witnesses();
    world.vault.publish_cosigned(&cosigned).await.unwrap();
    world.put_head().await;
    let log = log_key(&world.operator_key()).unwrap();
    let mut sizes = Vec::new();
    for witnessed in [true, false] {
        let events = directory::directory_events(&world.vault, 0, 10, witnessed)
            .await
            .unwrap();
        assert_eq!(events.events.len(), 2);
        let checkpoint = SignedCheckpoint::parse(events.checkpoint.as_bytes()).unwrap();
        sizes.push(checkpoint.verify(&log).unwrap().size);
    }
    assert_eq!(sizes.first(), Some(&cosigned.size));
    assert!(sizes.last() > sizes.first(), "{sizes:?}");
}

/// LOG-19: what leads from what was seen to the checkpoints of an answer comes with it, each once.
#[tokio::test]
async fn answers_lead_on_from_what_was_seen() {
    let world = World::new().await;
    let seen = grown(&world, 2).await;
    world.put_head().await;
    let caller = world.as_patient().await;
    let answer = || async {
        let shown = acts::acts(&world.vault, &caller, 0, 10).await.unwrap();
        let head = Logged::<VaultHead>::verify(shown.head.unwrap(), &world.operator_key());
        head.unwrap().checkpoint
    };
    let twice = async {
        let events = directory::directory_events(&world.vault, 0, 10, false)
            .await
            .unwrap();
        assert_eq!(events.events.len(), 2);
        answer().await
    };
    let (last, came) = with_growth_from(seen.size, twice).await;
    let [growth] = came.as_slice() else {
        panic!("{came:?}");
    };
    assert_eq!((growth.from, growth.to), (seen.size, last.size));
    verify_consistency(&seen, &last, &growth.path).unwrap();
    for size in [0, last.size, last.size + 1, u64::MAX] {
        let (_, came) = with_growth_from(size, answer()).await;
        assert_eq!(came, [], "{size}");
    }
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
    let (whose, statement) = ([5; 32], Sha256Digest::of(b"statement"));
    let salt = tables::LogSaltRow {
        salt: vec![6; 32].into(),
    };
    let entry = VaultSalt::from_bytes([6; 32]).entry(&statement);
    let id = CommitId::fresh();
    let row = LogQueueRow {
        entry: entry.bytes().unwrap().into(),
    };
    let commit = Commit::new(id)
        .put(tables::log_queue(id, 0).key().clone(), row.bytes())
        .put(tables::log_salt(whose).key().clone(), salt.bytes());
    assert_eq!(world.store.ledger.commit(commit).await, Ok(Outcome::Applied));
    let log = &world.vault.shared.log;
    // Also while others' leaves get theirs all the time.
    let busy = async {
        loop {
            world.permit_upload(&world.first, Terms::default()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let proof = tokio::select! {
        () = busy => unreachable!(),
        proof = log.prove(whose, &statement) => proof.unwrap(),
    };
    verify_inclusion(Some(proof), &statement, &world.operator_key()).unwrap();
}

/// A leaf that the sequencer has found by itself may still be handed to it.
#[tokio::test]
async fn a_leaf_that_is_handed_on_twice_has_one_place() {
    let world = World::new().await;
    // Two institutions, the patient's first list and head.
    grown(&world, 4).await;
    let log = &world.vault.shared.log;
    let queued = |number: u8| {
        let row = LogQueueRow {
            entry: vec![number; 49].into(),
        };
        let commit = CommitId::from_bytes([number; 16]);
        Queued {
            commit,
            number: 0,
            row,
        }
    };
    for number in [5, 6] {
        let Queued { commit, row, .. } = queued(number);
        let commit = Commit::new(commit).put(tables::log_queue(commit, 0).key().clone(), row.bytes());
        assert_eq!(world.store.ledger.commit(commit).await, Ok(Outcome::Applied));
        log.queue(vec![queued(number)]);
        grown(&world, u64::from(number)).await;
        log.queue(vec![queued(number)]);
    }
    world.store_record(&world.first, &stream(10)).await;
    assert_eq!(grown(&world, 9).await.size, 9);
}

/// A lost operator.key is not replaced by a new one over the same vault.
#[tokio::test]
async fn another_operators_vault_does_not_open() {
    let world = World::new().await;
    let super::world::Stores { ledger, blobs } = world.store.clone();
    let other = OperatorIdentity::from_seed(&KeyPair::new(9).seed()).unwrap();
    let (registrar, limits) = (KeyPair::new(2).public(), super::world::limits());
    let opened = Vault::new(ledger, blobs, other, registrar, world.clock.clone(), limits).await;
    let cause = opened.err().unwrap().cause.unwrap();
    assert!(cause.contains("restore operator.key"), "{cause}");
}

#[tokio::test]
async fn an_empty_log_has_a_signed_head() {
    let store = super::world::Stores::in_memory();
    let world = World::new().await;
    let vault = super::world::open(&store, &world.clock, super::world::limits()).await;
    let note = vault.log_checkpoint().await.unwrap();
    let head = SignedCheckpoint::parse(note.as_bytes()).unwrap();
    let head = head.verify(&log_key(&world.operator_key()).unwrap()).unwrap();
    assert_eq!((head.size, head.root), (0, Sha256Digest::of(b"")));
}

/// All entries of the log, read from its bundles.
async fn all_entries(world: &World, size: u64) -> Vec<Bytes> {
    let mut all = Vec::new();
    for path in TilePath::all(TileKind::Entries, size) {
        let bundle = world.vault.log_tile(path).await.unwrap();
        all.extend(entries(bundle.into(), path.width).unwrap());
    }
    all
}

/// Queues entries of zeros and their number, in commits of their own.
async fn queue(world: &World, count: u64) {
    let log = &world.vault.shared.log;
    for number in 0..count {
        let entry = [&[0; 41][..], &number.to_be_bytes()].concat();
        let commit = CommitId::fresh();
        let row = LogQueueRow { entry: entry.into() };
        let write = Commit::new(commit).put(tables::log_queue(commit, 0).key().clone(), row.bytes());
        assert_eq!(world.store.ledger.commit(write).await, Ok(Outcome::Applied));
        log.queue(vec![Queued {
            commit,
            number: 0,
            row,
        }]);
    }
}

/// LOG-3, LOG-9: tiles of every level and width, also over a restart, are those of the tree that another implementation
/// makes of the entries, and a narrower tile is the beginning of a wider one.
#[tokio::test]
async fn tiles_hold_the_tree_and_never_change() {
    let mut world = World::new().await;
    let first = grown(&world, 3).await;
    let early = world
        .vault
        .log_tile("tile/0/000.p/3".parse().unwrap())
        .await
        .unwrap();
    queue(&world, 300).await;
    grown(&world, first.size + 300).await;
    world.restart().await;
    queue(&world, 300).await;
    let last = grown(&world, first.size + 600).await;
    let all = all_entries(&world, last.size).await;
    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut leaves = Vec::new();
    for entry in &all {
        tree.push(entry.to_vec());
        let mut alone = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        alone.push(entry.to_vec());
        leaves.extend_from_slice(alone.root().as_bytes());
    }
    assert_eq!(tree.root().as_bytes().as_slice(), last.root.as_bytes());
    let mut hashes = Vec::new();
    for path in TilePath::all(TileKind::Hashes(0), last.size) {
        hashes.extend(world.vault.log_tile(path).await.unwrap());
    }
    assert_eq!(hashes, leaves);
    assert_eq!(early, leaves[..96]);
    let above: Vec<_> = TilePath::all(TileKind::Hashes(1), last.size).collect();
    let above = world.vault.log_tile(above[0]).await.unwrap();
    for (number, full) in all.chunks_exact(256).enumerate() {
        let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        full.iter().for_each(|entry| tree.push(entry.to_vec()));
        assert_eq!(above[32 * number..][..32], tree.root().as_bytes()[..]);
    }
    assert_eq!(above.len(), 32 * (all.len() / 256));
    for index in [0, 1, 255, 256, 511, last.size - 1] {
        let path = world.vault.shared.log.inclusion(index, last.size).await.unwrap();
        verify_leaf(&last, &all[usize::try_from(index).unwrap()], index, &path).unwrap();
    }
    for beyond in [
        "tile/0/002.p/200",
        "tile/1/001",
        "tile/5/000.p/1",
        "tile/entries/002.p/200",
        "tile/entries/003",
    ] {
        let tile = world.vault.log_tile(beyond.parse().unwrap()).await;
        assert_eq!(problem(tile), Problem::NotFound, "{beyond}");
    }
}

/// LOG-1, LOG-7, ATK-42: all that a patient's operations leave in the log are leaves of one length, which she recognises;
/// once her salt is gone, the whole store does not tell them from others'.
#[tokio::test]
async fn a_patients_leaves_are_hers_until_her_salt_is_deleted() {
    let world = World::new().await;
    world.store_record(&world.first, &stream(10)).await;
    let last = grown(&world, 7).await;
    let all = all_entries(&world, last.size).await;
    let read: Vec<Entry> = all.iter().map(|entry| Entry::parse(entry).unwrap()).collect();
    let whose = *world.patient.id.as_bytes();
    let key = tables::log_salt(whose);
    let salt = key
        .get(&*world.store.ledger)
        .await
        .unwrap()
        .unwrap()
        .salt()
        .unwrap();
    let hers = read.iter().filter(|entry| salt.recognises(entry)).count();
    // Her list, head, permission, ticket, receipt; the two others are the institutions'.
    assert_eq!((hers, read.len()), (5, 7));
    for (bytes, entry) in all.iter().zip(&read) {
        match entry {
            Entry::Salted { .. } => assert_eq!(bytes.len(), Entry::SALTED_LEN),
            Entry::Keys { .. }
            | Entry::Retirement(_)
            | Entry::Withdrawal(_)
            | Entry::Program(_)
            | Entry::Restoration { .. } => {
                assert!(!salt.recognises(entry));
            }
        }
    }
    // No row beside it holds what a leaf is found by.
    let forget = Commit::new(CommitId::fresh()).delete(key.key().clone());
    assert_eq!(world.store.ledger.commit(forget).await, Ok(Outcome::Applied));
    for entry in &read {
        let Entry::Salted { digest, tag } = entry else {
            continue;
        };
        for table in (0..=u8::MAX).map(crate::store::Table::new) {
            let rows = world.store.ledger.scan(&whose, table, &[], 1000).await.unwrap();
            for (_, row) in rows {
                assert!(!row.value.windows(32).any(|window| window == digest));
                assert!(!row.value.windows(16).any(|window| window == tag));
            }
        }
    }
    let receipt = Sha256Digest::of(b"any statement of hers");
    assert!(world.vault.shared.log.prove(whose, &receipt).await.is_err());
}
