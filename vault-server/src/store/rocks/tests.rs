//! What only the device can break: reopening, crashes, corruption, full volumes, two processes.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::future::join_all;
use tempfile::TempDir;

use super::{leaf_writer::RocksLeafWriter, *};
use crate::store::{BlobStore, Commit, CommitId, Key, LEAF_BYTES, LeafKey, LeafWriter, Ledger, Table};

const VERSION: [u8; 16] = [3; 16];

fn config() -> RocksConfig {
    RocksConfig {
        leaf_file_bytes: 3 * LEAF_BYTES,
        ..RocksConfig::default()
    }
}

/// A folder as a server makes its own; one that holds something and is open to others is refused (PRG-6).
pub(super) fn private_folder() -> TempDir {
    let owners = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(owners).tempdir().unwrap()
}

fn open(dir: &Path) -> RocksStore {
    RocksStore::open(dir, &config()).unwrap()
}

fn key(number: u8) -> Key {
    Key::new([1; 32], Table::new(1), [number])
}

fn leaf(number: u32) -> LeafKey {
    LeafKey {
        version: VERSION,
        leaf: number,
    }
}

/// Rows 0..50 in group commits, small leaf 100, large leaves 0..7.
async fn fill(store: &RocksStore) {
    let put = |number| store.commit(Commit::new(CommitId::fresh()).put(key(number), vec![number]));
    for outcome in join_all((0..50).map(put)).await {
        assert_eq!(outcome.unwrap(), Outcome::Applied);
    }
    store.put_small(leaf(100), "small".into()).await.unwrap();
    let mut writer = store.writer(VERSION, 0).unwrap();
    for number in 0..7 {
        writer.put(Bytes::from(vec![number; LEAF_BYTES])).await.unwrap();
    }
    writer.persist().await.unwrap();
}

async fn check(store: &RocksStore) {
    for number in 0..50 {
        let row = Ledger::get(store, &[key(number)]).await.unwrap().remove(0);
        assert_eq!(row.unwrap().value, [number].as_slice());
    }
    assert_eq!(BlobStore::get(store, leaf(100)).await.unwrap().unwrap(), "small");
    for number in 0..7_u8 {
        let bytes = BlobStore::get(store, leaf(number.into())).await.unwrap().unwrap();
        assert!(bytes == vec![number; LEAF_BYTES]);
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// The directory as a crash at this moment would leave it.
fn crash_image(dir: &Path) -> TempDir {
    let image = private_folder();
    fs::copy(dir.join("FORMAT"), image.path().join("FORMAT")).unwrap();
    for part in ["db", "incoming"] {
        fs::create_dir(image.path().join(part)).unwrap();
        for file in files(&dir.join(part)) {
            fs::copy(&file, image.path().join(part).join(file.file_name().unwrap())).unwrap();
        }
    }
    image
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_close_and_reopen() {
    let dir = private_folder();
    let store = open(dir.path());
    fill(&store).await;
    store.close().await.unwrap();
    assert_eq!(Ledger::get(&store, &[key(1)]).await, Err(StoreError::Unavailable));
    assert!(store.writer(VERSION, 0).is_err());
    drop(store);
    check(&open(dir.path())).await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash_and_nothing_else() {
    let dir = private_folder();
    let store = open(dir.path());
    fill(&store).await;
    let mut unpersisted = store.writer(VERSION, 10).unwrap();
    for _ in 0..5 {
        unpersisted.put(Bytes::from(vec![9; LEAF_BYTES])).await.unwrap();
    }
    let image = crash_image(dir.path());
    assert!(!files(&image.path().join("incoming")).is_empty());
    let reopened = open(image.path());
    check(&reopened).await;
    assert_eq!(BlobStore::get(&reopened, leaf(10)).await.unwrap(), None);
    assert!(files(&image.path().join("incoming")).is_empty());
}

#[tokio::test]
async fn a_torn_tail_of_the_log_costs_only_what_was_not_acknowledged() {
    let dir = private_folder();
    let store = open(dir.path());
    fill(&store).await;
    let image = crash_image(dir.path());
    let mut logs = files(&image.path().join("db"));
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    let log = logs
        .iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(log).unwrap();
    bytes.extend_from_slice(&[0xa5; 100]);
    fs::write(log, bytes).unwrap();
    check(&open(image.path())).await;
}

#[tokio::test]
async fn a_dropped_writer_leaves_no_file() {
    let dir = private_folder();
    let store = open(dir.path());
    let mut writer = RocksLeafWriter::new(&store.inner, leaf(0));
    for _ in 0..5 {
        writer.put(Bytes::from(vec![9; LEAF_BYTES])).await.unwrap();
    }
    writer.settle().await.unwrap();
    assert_eq!(files(&dir.path().join("incoming")).len(), 2);
    drop(writer);
    assert!(files(&dir.path().join("incoming")).is_empty());
}

#[tokio::test]
async fn leaf_files_lie_on_the_last_level_and_go_with_their_version() {
    let dir = private_folder();
    let store = open(dir.path());
    fill(&store).await;
    let levels = |store: &RocksStore| -> Vec<i32> {
        let files = store.inner.db.live_files().unwrap().into_iter();
        files
            .filter(|file| file.column_family_name == LEAVES)
            .map(|file| file.level)
            .collect()
    };
    assert_eq!(levels(&store), [6, 6, 6]);
    store.delete(VERSION, 0..7).await.unwrap();
    assert!(levels(&store).is_empty());
}

/// Flips one bit in each of many places, one after the other: never are other bytes returned.
#[tokio::test]
async fn a_flipped_bit_in_a_leaf_file_is_told_as_corruption() {
    let dir = private_folder();
    let store = open(dir.path());
    fill(&store).await;
    store.close().await.unwrap();
    let leaf_file = store
        .inner
        .db
        .live_files()
        .unwrap()
        .into_iter()
        .find(|file| file.column_family_name == LEAVES && file.start_key == Some(leaf(0).encode().to_vec()))
        .unwrap();
    drop(store);
    let path = dir.path().join("db").join(leaf_file.name.trim_start_matches('/'));
    let sound = fs::read(&path).unwrap();
    for place in (1000..LEAF_BYTES).step_by(LEAF_BYTES / 8) {
        let mut bytes = sound.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&path, bytes).unwrap();
        let store = open(dir.path());
        let damaged = BlobStore::get(&store, leaf(0)).await;
        assert!(matches!(damaged, Err(StoreError::Corrupt(_))), "{damaged:?}");
        assert!(BlobStore::get(&store, leaf(5)).await.unwrap().is_some());
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn after_a_failed_write_the_store_gives_up_and_says_so() {
    let dir = private_folder();
    let store = open(dir.path());
    fill(&store).await;
    let mut writer = store.writer(VERSION, 20).unwrap();
    writer.put(Bytes::from_static(b"leaf")).await.unwrap();
    store.inner.health.fail(&StoreError::Io("injected".to_owned()));
    assert!(store.failed().await.contains("injected"));
    assert_eq!(Ledger::get(&store, &[key(1)]).await, Err(StoreError::Unavailable));
    let commit = Commit::new(CommitId::fresh()).put(key(1), "late");
    assert_eq!(store.commit(commit).await, Err(StoreError::Unavailable));
    assert_eq!(writer.persist().await, Err(StoreError::Unavailable));
    assert_eq!(store.close().await, Err(StoreError::Unavailable));
}

/// A leaf file that cannot be made is a failed write.
#[tokio::test]
async fn a_failed_leaf_file_fails_the_store() {
    let dir = private_folder();
    let store = open(dir.path());
    fs::remove_dir(dir.path().join("incoming")).unwrap();
    let mut writer = store.writer(VERSION, 0).unwrap();
    writer.put(Bytes::from_static(b"leaf")).await.unwrap();
    assert!(matches!(writer.persist().await, Err(StoreError::Io(_))));
    store.failed().await;
    assert_eq!(writer.persist().await, Err(StoreError::Unavailable));
}

#[test]
fn a_second_server_on_one_directory_is_refused() {
    let dir = private_folder();
    let _first = open(dir.path());
    let second = RocksStore::open(dir.path(), &config());
    assert!(matches!(second, Err(OpenError::InUse(_))));
}

#[test]
fn a_directory_of_another_format_is_refused() {
    let dir = private_folder();
    fs::write(dir.path().join("FORMAT"), "medvault data 99\n").unwrap();
    let error = RocksStore::open(dir.path(), &config()).unwrap_err();
    assert!(error.to_string().contains("medvault data 99"), "{error}");
    fs::remove_file(dir.path().join("FORMAT")).unwrap();
    fs::create_dir(dir.path().join("db")).unwrap();
    let error = RocksStore::open(dir.path(), &config()).unwrap_err();
    assert!(matches!(error, OpenError::Format { .. }), "{error}");
}

/// A failure that a flipped bit or a full volume causes, as RocksDB's binding words it.
#[test]
fn errors_are_told_apart_by_what_to_do() {
    let dir = private_folder();
    let missing = dir.path().join("no/such/dir");
    let writer = rocksdb::SstFileWriter::create(&options::LEAF_TABLES);
    let error = writer.open(missing.join("0.sst")).unwrap_err();
    assert!(matches!(classify(&error), StoreError::Io(_)), "{error}");
}
