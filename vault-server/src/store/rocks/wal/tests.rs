//! Damage to real logs: a torn tail costs only what was not acknowledged, rot is refused.

use bytes::Bytes;
use protocol_spec::hash::sha256;
use tempfile::TempDir;

use super::{super::tests::private_folder, *};
use crate::store::{
    BlobStore, Commit, CommitId, Key, LeafKey, Ledger, Outcome, RocksConfig, RocksStore, Table,
};

fn key(number: u8) -> Key {
    Key::new([1; 32], Table::new(1), [number])
}

/// A database of its own with the log of one that had `rows` synced commits when it crashed, or of large
/// leaves, which span blocks.
struct Crashed {
    dir: TempDir,
    log: PathBuf,
    sound: Vec<u8>,
    /// Where each record ends.
    ends: Vec<u64>,
}

impl Crashed {
    async fn with(rows: u8, leaf_bytes: usize) -> Self {
        let (source, dir) = (private_folder(), private_folder());
        let store = RocksStore::open(source.path(), &RocksConfig::default()).unwrap();
        let mut ends = Vec::new();
        for number in 0..rows {
            if leaf_bytes > 0 {
                let version = [number; 16];
                let leaf = Bytes::from(vec![number; leaf_bytes]);
                store.put_small(LeafKey { version, leaf: 0 }, leaf).await.unwrap();
            } else {
                let commit = Commit::new(CommitId::fresh()).put(key(number), vec![number; 20]);
                assert_eq!(store.commit(commit).await, Ok(Outcome::Applied));
            }
            ends.push(fs::metadata(largest_log(source.path())).unwrap().len());
        }
        fs::create_dir(dir.path().join("db")).unwrap();
        fs::copy(source.path().join("FORMAT"), dir.path().join("FORMAT")).unwrap();
        for entry in fs::read_dir(source.path().join("db")).unwrap() {
            let file = entry.unwrap();
            fs::copy(file.path(), dir.path().join("db").join(file.file_name())).unwrap();
        }
        let log = largest_log(dir.path());
        let sound = fs::read(&log).unwrap();
        Self {
            dir,
            log,
            sound,
            ends,
        }
    }

    /// Where the last record starts.
    fn last(&self) -> usize {
        usize::try_from(self.ends[self.ends.len() - 2]).unwrap()
    }

    /// The log's length after this damage is mended, or none if it is refused.
    fn mended(&self, bytes: &[u8]) -> Option<u64> {
        fs::write(&self.log, bytes).unwrap();
        match mend(&self.dir.path().join("db")) {
            Ok(()) => Some(fs::metadata(&self.log).unwrap().len()),
            Err(OpenError::Store(StoreError::Corrupt(text))) => {
                assert!(text.contains(self.log.to_str().unwrap()), "{text}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens with this damage, and counts the rows that are there.
    async fn rows(&self, bytes: &[u8]) -> u8 {
        let image = private_folder();
        fs::create_dir(image.path().join("db")).unwrap();
        fs::copy(self.dir.path().join("FORMAT"), image.path().join("FORMAT")).unwrap();
        for entry in fs::read_dir(self.dir.path().join("db")).unwrap() {
            let file = entry.unwrap();
            fs::copy(file.path(), image.path().join("db").join(file.file_name())).unwrap();
        }
        fs::write(image.path().join("db").join(self.log.file_name().unwrap()), bytes).unwrap();
        let store = RocksStore::open(image.path(), &RocksConfig::default()).unwrap();
        let rows = store.scan(&[1; 32], Table::new(1), &[], 100).await.unwrap();
        rows.len().try_into().unwrap()
    }
}

fn largest_log(dir: &Path) -> PathBuf {
    let logs = logs(&dir.join("db")).unwrap();
    logs.into_iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap()
}

fn flipped(sound: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// FLT-5: every single bit before the last record.
#[tokio::test]
async fn a_flipped_bit_in_an_acknowledged_record_is_refused() {
    let crashed = Crashed::with(6, 0).await;
    assert_eq!(crashed.mended(&crashed.sound), Some(crashed.sound.len() as u64));
    for bit in 0..crashed.last() * 8 {
        assert_eq!(crashed.mended(&flipped(&crashed.sound, bit)), None, "bit {bit}");
    }
    // The last record cannot be told from one that was never finished.
    for bit in crashed.last() * 8..crashed.sound.len() * 8 {
        let mended = crashed.mended(&flipped(&crashed.sound, bit));
        assert_eq!(mended, Some(crashed.last() as u64), "bit {bit}");
    }
}

/// FLT-5: records of several fragments in several blocks.
#[tokio::test]
async fn a_flipped_bit_in_a_long_record_is_refused() {
    let crashed = Crashed::with(4, 64 << 10).await;
    for bit in (0..crashed.last() * 8).step_by(30_011) {
        let mended = crashed.mended(&flipped(&crashed.sound, bit));
        // Nothing depends on the bytes that fill up a block.
        assert!(
            mended.is_none() || mended == Some(crashed.sound.len() as u64),
            "bit {bit}"
        );
    }
    for start in [0, crashed.ends[0], crashed.ends[1]] {
        for byte in start..start + HEADER as u64 {
            let bit = usize::try_from(byte).unwrap() * 8;
            assert_eq!(crashed.mended(&flipped(&crashed.sound, bit)), None, "bit {bit}");
        }
    }
}

/// FLT-5: what is damaged is refused before RocksDB sees it: a checksum, a length, a record that begins before the one
/// before it has ended.
#[tokio::test]
async fn the_store_does_not_open_over_damage() {
    let crashed = Crashed::with(6, 0).await;
    let second = usize::try_from(crashed.ends[0]).unwrap();
    let checksum = flipped(&crashed.sound, second * 8);
    let length = flipped(&crashed.sound, (second + 4) * 8);
    let (before, behind) = crashed.sound.split_at(second);
    let order = [before, &begun(b"a record without an end"), behind].concat();
    for (what, damaged) in [("checksum", checksum), ("length", length), ("order", order)] {
        fs::write(&crashed.log, damaged).unwrap();
        let refused = RocksStore::open(crashed.dir.path(), &RocksConfig::default()).unwrap_err();
        let corrupt = matches!(refused, OpenError::Store(StoreError::Corrupt(_)));
        assert!(corrupt, "{what}: {refused}");
    }
    // Of the last record it costs that one alone.
    let last = flipped(&crashed.sound, crashed.last() * 8);
    assert_eq!(crashed.rows(&last).await, 5);
}

/// A sound first fragment.
fn begun(payload: &[u8]) -> Vec<u8> {
    let first = 2;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&[first]), payload);
    let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
    let length = u16::try_from(payload.len()).unwrap();
    let header = [&masked.to_le_bytes()[..], &length.to_le_bytes(), &[first]].concat();
    let fragment = [&header, payload].concat();
    assert_eq!(
        super::fragment(&fragment).map(|(part, _)| part),
        Some(Fragment::First)
    );
    fragment
}

/// FLT-4: short, zeros, garbage.
#[tokio::test]
async fn a_torn_tail_costs_only_the_last_record() {
    let crashed = Crashed::with(6, 0).await;
    let (start, whole) = (crashed.last(), crashed.sound.len());
    for length in start..whole {
        assert_eq!(crashed.mended(&crashed.sound[..length]), Some(start as u64));
        let mut zeros = crashed.sound.clone();
        zeros[length..].fill(0);
        assert_eq!(crashed.mended(&zeros), Some(start as u64), "zeros from {length}");
        let noise = |block: usize| sha256(&[&length.to_be_bytes(), &block.to_be_bytes()]);
        let garbage: Vec<u8> = (0..150).flat_map(noise).collect();
        let tail = [&crashed.sound[..length], &garbage].concat();
        assert_eq!(crashed.mended(&tail), Some(start as u64), "garbage from {length}");
    }
    let middle = usize::midpoint(start, whole);
    assert_eq!(crashed.rows(&crashed.sound[..middle]).await, 5);
    let zeros = [&crashed.sound[..], &[0; 100_000]].concat();
    assert_eq!(crashed.rows(&zeros).await, 6);
    // As if a record of an unknown kind had been begun.
    let garbage = [&crashed.sound[..], &[9; 3000]].concat();
    assert_eq!(crashed.rows(&garbage).await, 6);
}

/// A power cut may keep a later page of the last record and lose an earlier one.
#[tokio::test]
async fn a_last_record_with_a_hole_is_a_torn_tail() {
    let crashed = Crashed::with(4, 64 << 10).await;
    let start = crashed.last();
    for page in (start.next_multiple_of(4096)..crashed.sound.len() - 4096).step_by(4096) {
        let mut bytes = crashed.sound.clone();
        bytes[page..page + 4096].fill(0);
        assert_eq!(crashed.mended(&bytes), Some(start as u64), "page {page}");
    }
}
