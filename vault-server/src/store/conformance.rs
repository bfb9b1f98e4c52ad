//! What holds for every [`Ledger`] and [`BlobStore`]: one suite, run on each implementation.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::*;

const ROWS: Table = Table::new(1);
const OTHER: Table = Table::new(2);
const OURS: [u8; 32] = [7; 32];

/// Runs the suite on what `$open` gives: a store, and whatever must live as long.
macro_rules! conformance {
    ($name:ident, $open:expr) => {
        mod $name {
            conformance!(@tests $open,
                a_row_reads_back_with_its_commit_as_version
                get_answers_in_the_order_asked
                scan_is_ordered_and_bounded
                scan_reaches_the_last_partition
                a_commit_with_a_stale_check_writes_nothing
                an_absent_check_holds_only_while_the_row_is_absent
                a_commit_of_many_rows_is_atomic
                one_of_many_racing_commits_wins
                transact_counts_every_racing_increment
                leaves_are_readable_only_after_persist
                a_dropped_writer_leaves_nothing
                a_writer_goes_on_after_persist
                giving_leaves_again_changes_nothing
                writers_of_one_version_may_work_side_by_side
                small_leaves_read_back
                oversized_leaves_are_refused
                deleted_leaves_are_gone_and_others_stay
            );
        }
    };
    (@tests $open:expr, $($test:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let (store, _guard) = $open;
            super::$test(&store).await;
        })*
    };
}

conformance!(memory, (crate::store::MemoryStore::default(), ()));
conformance!(rocks, {
    let dir = tempfile::tempdir().unwrap();
    // Files of three leaves, so that every longer upload rolls over.
    let config = crate::store::RocksConfig {
        leaf_file_bytes: 3 << 20,
        ..Default::default()
    };
    (crate::store::RocksStore::open(dir.path(), &config).unwrap(), dir)
});

fn key(suffix: &[u8]) -> Key {
    Key::new(OURS, ROWS, suffix)
}

fn id(number: u8) -> CommitId {
    CommitId::from_bytes([number; 16])
}

async fn apply(store: &impl Ledger, commit: Commit) {
    assert_eq!(store.commit(commit).await.unwrap(), Outcome::Applied);
}

async fn read(store: &impl Ledger, suffix: &[u8]) -> Option<Versioned> {
    store.get(&[key(suffix)]).await.unwrap().remove(0)
}

async fn suffixes(store: &impl Ledger, from: &[u8], limit: usize) -> Vec<Vec<u8>> {
    let rows = store.scan(&OURS, ROWS, from, limit).await.unwrap();
    rows.into_iter().map(|(key, _)| key.suffix).collect()
}

async fn a_row_reads_back_with_its_commit_as_version(store: &impl Ledger) {
    apply(store, Commit::new(id(1)).put(key(b"a"), "one")).await;
    assert_eq!(
        read(store, b"a").await,
        Some(Versioned {
            value: "one".into(),
            version: id(1)
        })
    );
    apply(store, Commit::new(id(2)).put(key(b"a"), "")).await;
    assert_eq!(
        read(store, b"a").await,
        Some(Versioned {
            value: Bytes::new(),
            version: id(2)
        })
    );
    apply(
        store,
        Commit::new(id(3)).delete(key(b"a")).delete(key(b"never there")),
    )
    .await;
    assert_eq!(read(store, b"a").await, None);
}

async fn get_answers_in_the_order_asked(store: &impl Ledger) {
    apply(store, Commit::new(id(1)).put(key(b"a"), "A").put(key(b"b"), "B")).await;
    let rows = store
        .get(&[key(b"b"), key(b"x"), key(b"a"), key(b"b")])
        .await
        .unwrap();
    let values: Vec<_> = rows.into_iter().map(|row| row.map(|row| row.value)).collect();
    assert_eq!(
        values,
        [Some("B".into()), None, Some("A".into()), Some(Bytes::from("B"))]
    );
    assert!(store.get(&[]).await.unwrap().is_empty());
}

async fn scan_is_ordered_and_bounded(store: &impl Ledger) {
    let mut commit = Commit::new(id(1))
        .put(Key::new(OURS, OTHER, b"a"), "")
        .put(Key::new([8; 32], ROWS, b"a"), "");
    for suffix in [&b"b"[..], b"", b"a\x00", b"c", b"a", b"\xff\xff"] {
        commit = commit.put(key(suffix), suffix.to_vec());
    }
    apply(store, commit).await;
    let all: [&[u8]; 6] = [b"", b"a", b"a\x00", b"b", b"c", b"\xff\xff"];
    assert_eq!(suffixes(store, b"", 100).await, all);
    assert_eq!(suffixes(store, b"", 2).await, all[..2]);
    assert_eq!(suffixes(store, b"a", 2).await, all[1..3]);
    assert_eq!(suffixes(store, b"a\x00\x00", 2).await, all[3..5]);
    assert_eq!(suffixes(store, b"", 0).await, Vec::<Vec<u8>>::new());
    assert_eq!(suffixes(store, b"\xff\xff\xff", 5).await, Vec::<Vec<u8>>::new());
}

async fn scan_reaches_the_last_partition(store: &impl Ledger) {
    let last = Table::new(0xff);
    let mut commit = Commit::new(id(1));
    for number in 0..1100_u16 {
        commit = commit.put(Key::new([0xff; 32], last, number.to_be_bytes()), "x");
    }
    apply(store, commit).await;
    let rows = store.scan(&[0xff; 32], last, b"", usize::MAX).await.unwrap();
    assert_eq!(rows.len(), SCAN_LIMIT);
    assert_eq!(rows[999].0.suffix, 999_u16.to_be_bytes());
}

async fn a_commit_with_a_stale_check_writes_nothing(store: &impl Ledger) {
    apply(
        store,
        Commit::new(id(1)).put(key(b"a"), "one").put(key(b"b"), "one"),
    )
    .await;
    let stale = read(store, b"a").await;
    apply(store, Commit::new(id(2)).put(key(b"a"), "two")).await;
    let fresh = read(store, b"b").await;
    let late = Commit::new(id(3))
        .check(key(b"b"), fresh.as_ref())
        .check(key(b"a"), stale.as_ref());
    let outcome = store
        .commit(late.put(key(b"b"), "late").put(key(b"c"), "late"))
        .await
        .unwrap();
    assert_eq!(outcome, Outcome::Conflict(key(b"a")));
    assert_eq!(read(store, b"b").await.unwrap().version, id(1));
    assert_eq!(read(store, b"c").await, None);
}

async fn an_absent_check_holds_only_while_the_row_is_absent(store: &impl Ledger) {
    let claim = |number| {
        Commit::new(id(number))
            .check(key(b"a"), None)
            .put(key(b"a"), "mine")
    };
    apply(store, claim(1)).await;
    assert_eq!(
        store.commit(claim(2)).await.unwrap(),
        Outcome::Conflict(key(b"a"))
    );
    apply(store, Commit::new(id(3)).delete(key(b"a"))).await;
    let gone = Commit::new(id(4)).check(
        key(b"a"),
        Some(&Versioned {
            value: "mine".into(),
            version: id(1),
        }),
    );
    assert_eq!(store.commit(gone).await.unwrap(), Outcome::Conflict(key(b"a")));
    apply(store, claim(5)).await;
}

/// Commits that write all of some rows, while others look: nobody sees two versions at once.
async fn a_commit_of_many_rows_is_atomic(store: &impl Ledger) {
    let keys: Vec<Key> = (0..20_u8).map(|number| key(&[number])).collect();
    let write = async {
        for number in 1..50_u8 {
            let put = |commit: Commit, key: &Key| commit.put(key.clone(), vec![number]);
            apply(store, keys.iter().fold(Commit::new(id(number)), put)).await;
        }
    };
    let look = async {
        for _ in 0..200 {
            let got = store.get(&keys).await.unwrap();
            assert!(got.windows(2).all(|pair| pair[0] == pair[1]));
            let scanned = store.scan(&OURS, ROWS, b"", 100).await.unwrap();
            assert!(scanned.windows(2).all(|pair| pair[0].1 == pair[1].1));
            assert!(scanned.is_empty() || scanned.len() == keys.len());
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(write, look);
}

async fn one_of_many_racing_commits_wins(store: &impl Ledger) {
    apply(store, Commit::new(id(0)).put(key(b"uses"), "1")).await;
    let left = read(store, b"uses").await;
    let race = (1..=100).map(|number| {
        store.commit(
            Commit::new(id(number))
                .check(key(b"uses"), left.as_ref())
                .put(key(b"uses"), "0"),
        )
    });
    let outcomes: Vec<_> = join_all(race).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == Outcome::Applied)
            .count(),
        1
    );
    let winner = outcomes
        .iter()
        .position(|outcome| *outcome == Outcome::Applied)
        .unwrap();
    assert_eq!(
        read(store, b"uses").await.unwrap().version.as_bytes()[0] as usize,
        winner + 1
    );
}

async fn transact_counts_every_racing_increment(store: &impl Ledger) {
    let increment = |_| async {
        let row = read(store, b"count").await;
        let count = row.as_ref().map_or(0, |row| row.value[0]) + 1;
        let commit = Commit::new(CommitId::fresh()).check(key(b"count"), row.as_ref());
        Ok::<_, StoreError>(Decision::Commit(commit.put(key(b"count"), vec![count]), count))
    };
    let mut counts = join_all((0..40).map(|_| transact(store, increment))).await;
    counts.sort_by_key(|count| *count.as_ref().unwrap());
    assert_eq!(counts, (1..=40).map(Ok).collect::<Vec<_>>());
}

const VERSION: [u8; 16] = [3; 16];

/// A leaf that shows where it belongs; the last of an upload is usually short.
fn leaf(number: u32, bytes: usize) -> Bytes {
    number.to_be_bytes().into_iter().cycle().take(bytes).collect()
}

async fn put(writer: &mut Box<dyn LeafWriter>, leaves: std::ops::Range<u32>) {
    for number in leaves {
        writer.put(leaf(number, LEAF_BYTES)).await.unwrap();
    }
}

async fn present(store: &impl BlobStore, leaves: std::ops::Range<u32>) -> Vec<u32> {
    let mut present = Vec::new();
    for number in leaves {
        if let Some(bytes) = store
            .get(LeafKey {
                version: VERSION,
                leaf: number,
            })
            .await
            .unwrap()
        {
            assert!(
                bytes == leaf(number, bytes.len()),
                "leaf {number} has other bytes"
            );
            present.push(number);
        }
    }
    present
}

async fn leaves_are_readable_only_after_persist(store: &impl BlobStore) {
    let mut writer = store.writer(VERSION, 0).unwrap();
    put(&mut writer, 0..7).await;
    writer.put(leaf(7, 5)).await.unwrap();
    assert!(present(store, 0..9).await.is_empty());
    writer.persist().await.unwrap();
    assert_eq!(present(store, 0..9).await, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(
        store
            .get(LeafKey {
                version: VERSION,
                leaf: 7
            })
            .await
            .unwrap()
            .unwrap()
            .len(),
        5
    );
}

async fn a_dropped_writer_leaves_nothing(store: &impl BlobStore) {
    let mut writer = store.writer(VERSION, 0).unwrap();
    put(&mut writer, 0..5).await;
    drop(writer);
    assert!(present(store, 0..5).await.is_empty());
    store.writer(VERSION, 0).unwrap().persist().await.unwrap();
}

async fn a_writer_goes_on_after_persist(store: &impl BlobStore) {
    let mut writer = store.writer(VERSION, 2).unwrap();
    put(&mut writer, 2..4).await;
    writer.persist().await.unwrap();
    writer.persist().await.unwrap();
    put(&mut writer, 4..6).await;
    assert_eq!(present(store, 0..8).await, [2, 3]);
    writer.persist().await.unwrap();
    put(&mut writer, 6..8).await;
    drop(writer);
    assert_eq!(present(store, 0..8).await, [2, 3, 4, 5]);
}

async fn giving_leaves_again_changes_nothing(store: &impl BlobStore) {
    for leaves in [0..5, 0..5, 2..7, 1..2] {
        let mut writer = store.writer(VERSION, leaves.start).unwrap();
        put(&mut writer, leaves).await;
        writer.persist().await.unwrap();
    }
    assert_eq!(present(store, 0..8).await, [0, 1, 2, 3, 4, 5, 6]);
}

async fn writers_of_one_version_may_work_side_by_side(store: &impl BlobStore) {
    let upload = async |leaves: std::ops::Range<u32>| {
        let mut writer = store.writer(VERSION, leaves.start).unwrap();
        put(&mut writer, leaves).await;
        writer.persist().await.unwrap();
    };
    tokio::join!(upload(0..4), upload(8..12), upload(4..8));
    assert_eq!(present(store, 0..13).await, (0..12).collect::<Vec<_>>());
}

async fn small_leaves_read_back(store: &impl BlobStore) {
    let race = (0..50).map(|number| {
        store.put_small(
            LeafKey {
                version: VERSION,
                leaf: number,
            },
            leaf(number, SMALL_LEAF_BYTES),
        )
    });
    join_all(race).await.into_iter().for_each(|put| put.unwrap());
    let key = LeafKey {
        version: VERSION,
        leaf: 50,
    };
    store.put_small(key, Bytes::new()).await.unwrap();
    assert_eq!(present(store, 0..52).await, (0..51).collect::<Vec<_>>());
}

async fn oversized_leaves_are_refused(store: &impl BlobStore) {
    let key = LeafKey {
        version: VERSION,
        leaf: 0,
    };
    let small = store.put_small(key, leaf(0, SMALL_LEAF_BYTES + 1)).await;
    assert!(matches!(small, Err(StoreError::Misuse(_))));
    let large = store
        .writer(VERSION, 0)
        .unwrap()
        .put(leaf(0, LEAF_BYTES + 1))
        .await;
    assert!(matches!(large, Err(StoreError::Misuse(_))));
    let beyond = store.writer(VERSION, u32::MAX).unwrap().put(leaf(0, 1)).await;
    assert!(matches!(beyond, Err(StoreError::Misuse(_))));
}

async fn deleted_leaves_are_gone_and_others_stay(store: &impl BlobStore) {
    let mut writer = store.writer(VERSION, 0).unwrap();
    put(&mut writer, 0..10).await;
    writer.persist().await.unwrap();
    let small = LeafKey {
        version: VERSION,
        leaf: 10,
    };
    store.put_small(small, leaf(10, 9)).await.unwrap();
    let other = LeafKey {
        version: [4; 16],
        leaf: 5,
    };
    store.put_small(other, leaf(5, 9)).await.unwrap();
    store.delete(VERSION, 2..7).await.unwrap();
    assert_eq!(present(store, 0..11).await, [0, 1, 7, 8, 9, 10]);
    store.delete(VERSION, 3..3).await.unwrap();
    store.delete(VERSION, 0..u32::MAX).await.unwrap();
    store.delete(VERSION, 0..u32::MAX).await.unwrap();
    assert!(present(store, 0..11).await.is_empty());
    assert!(store.get(other).await.unwrap().is_some());
}

/// A ledger whose rows always change between read and commit.
struct Contended;

impl Ledger for Contended {
    fn get<'a>(
        &'a self,
        _: &'a [Key],
    ) -> futures_util::future::BoxFuture<'a, Result<Vec<Option<Versioned>>, StoreError>> {
        unreachable!("`transact` itself only commits")
    }

    fn scan<'a>(
        &'a self,
        _: &'a [u8; 32],
        _: Table,
        _: &'a [u8],
        _: usize,
    ) -> futures_util::future::BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        unreachable!("`transact` itself only commits")
    }

    fn commit(&self, _: Commit) -> futures_util::future::BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(async { Ok(Outcome::Conflict(key(b"hot"))) })
    }

    fn purge<'a>(&'a self, _: &'a [u8; 32]) -> futures_util::future::BoxFuture<'a, Result<(), StoreError>> {
        unreachable!("`transact` itself only commits")
    }
}

#[tokio::test]
async fn transact_gives_up_after_its_tries() {
    let mut tries = 0;
    let result: Result<(), _> = transact(&Contended, |number| {
        assert_eq!(number, tries);
        tries += 1;
        async { Ok::<_, StoreError>(Decision::Commit(Commit::new(CommitId::fresh()), ())) }
    })
    .await;
    assert_eq!(result, Err(StoreError::Contended));
    assert_eq!(tries, transact::MAX_TRIES);
    let done = transact(&Contended, |_| async { Ok::<_, StoreError>(Decision::Done(5)) }).await;
    assert_eq!(done, Ok(5));
}

/// The state machines hold the store as a trait object.
#[test]
fn both_stores_are_trait_objects() {
    let store = Arc::new(MemoryStore::default());
    let _: (Arc<dyn Ledger>, Arc<dyn BlobStore>) = (store.clone(), store);
}
