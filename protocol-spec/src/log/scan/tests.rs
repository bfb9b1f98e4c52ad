//! Logs of many sizes read honestly, and every way to lie about one of their tiles.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;

use super::*;
use crate::hash::Sha256Digest;

/// A log, as tiles; its root is by another implementation.
struct Log {
    checkpoint: Checkpoint,
    entries: Vec<Vec<u8>>,
    /// Nodes at eight times each level.
    nodes: Vec<Vec<Hash>>,
}

impl Log {
    fn of(size: u64) -> Self {
        let entries: Vec<Vec<u8>> = (0..size)
            .map(|index| format!("entry {index}").into_bytes())
            .collect();
        let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        entries.iter().for_each(|entry| tree.push(entry.clone()));
        let mut nodes = vec![entries.iter().map(|entry| leaf_hash(entry)).collect::<Vec<_>>()];
        while let Some(below) = nodes.last().filter(|below| below.len() >= 256) {
            let (full, _) = below.as_chunks::<256>();
            let above = full.iter().map(|tile| complete(tile.to_vec()).unwrap()).collect();
            nodes.push(above);
        }
        Self {
            checkpoint: Checkpoint {
                origin: "a log".to_owned(),
                size,
                root: Sha256Digest::try_from(tree.root().as_bytes().as_slice()).unwrap(),
                extensions: Vec::new(),
            },
            entries,
            nodes,
        }
    }

    fn tile(&self, path: TilePath) -> Bytes {
        let first = usize::try_from(path.index * WIDTH).unwrap();
        let range = first..first + usize::try_from(path.width).unwrap();
        match path.kind {
            TileKind::Hashes(level) => self.nodes[usize::from(level)][range].concat().into(),
            TileKind::Entries => tile::bundle(self.entries[range].iter().map(|entry| &entry[..]))
                .unwrap()
                .into(),
        }
    }

    /// Reads from `from` on, with this change to the tiles.
    fn read(&self, from: u64, lie: impl Fn(TilePath, Bytes) -> Bytes) -> Result<Vec<(u64, Bytes)>, Error> {
        let mut scan = Scan::new(&self.checkpoint, from);
        let mut all = Vec::new();
        for path in scan.plan() {
            all.extend(scan.take(lie(path, self.tile(path)))?);
        }
        assert!(scan.take(Bytes::new()).is_err(), "nothing is left");
        Ok(all)
    }
}

/// LOG-14: all entries from any number on, in order, with what little of the tree they need.
#[test]
fn logs_of_all_sizes_are_read_whole() {
    let sizes = [
        0, 1, 2, 255, 256, 257, 511, 512, 600, 65_535, 65_536, 65_537, 70_000,
    ];
    for size in sizes {
        let log = Log::of(size);
        for from in [0, 1, 255, 256, 300, 65_535, 65_536, size.saturating_sub(1), size] {
            let read = log.read(from, |_, tile| tile).unwrap();
            let expected = (from..size).map(|index| (index, format!("entry {index}").into()));
            assert_eq!(read, expected.collect::<Vec<_>>(), "{size} from {from}");
        }
    }
    // 274 bundles; three tiles at the edge and one full one of level 1.
    assert_eq!(Scan::new(&Log::of(70_000).checkpoint, 0).plan().count(), 274 + 4);
}

/// LOG-14: a flipped bit in any of the tiles that are read is noticed, before an entry after it is given out.
#[test]
fn a_wrong_tile_is_refused() {
    let log = Log::of(66_000);
    let plan: Vec<_> = Scan::new(&log.checkpoint, 0).plan().collect();
    for wrong in &plan {
        let mut scan = Scan::new(&log.checkpoint, 0);
        let mut given = 0;
        let refused = plan.iter().try_for_each(|path| {
            let mut tile = log.tile(*path).to_vec();
            if path == wrong {
                *tile.last_mut().unwrap() ^= 1;
            }
            given += scan.take(tile.into())?.len() as u64;
            Ok(())
        });
        assert_eq!(refused, Err(Error::LogProof), "{wrong}");
        let before = if wrong.kind == TileKind::Entries {
            wrong.index * WIDTH
        } else {
            0
        };
        assert_eq!(given, before, "{wrong}");
    }
}

/// A change to the entries of a bundle.
type Lie = fn(&mut Vec<Bytes>);

/// LOG-14: entries that are altered, left out, exchanged, repeated, or another number of them.
#[test]
fn entries_are_those_of_the_checkpoint() {
    let log = Log::of(700);
    let lies: [(&str, Lie); 5] = [
        ("altered", |entries| entries[7] = Bytes::from("entry 8000")),
        ("exchanged", |entries| entries.swap(3, 4)),
        ("left out", |entries| drop(entries.remove(5))),
        ("left out and filled", |entries| {
            entries.remove(5);
            entries.push(entries[0].clone());
        }),
        ("one more", |entries| entries.push(Bytes::from("more"))),
    ];
    for (what, lie) in lies {
        for bundle in 0..3 {
            let refused = log.read(0, |path, tile| {
                if path.kind != TileKind::Entries || path.index != bundle {
                    return tile;
                }
                let mut entries = tile::entries(tile, path.width).unwrap();
                lie(&mut entries);
                tile::bundle(entries.iter().map(|entry| &entry[..]))
                    .unwrap()
                    .into()
            });
            assert!(
                matches!(refused, Err(Error::LogProof | Error::Note { .. })),
                "{what} in {bundle}: {refused:?}"
            );
        }
    }
}

/// LOG-14: another log's tiles, and this log's in another place.
#[test]
fn tiles_are_those_of_this_log_and_place() {
    let (mut log, other) = (Log::of(1000), Log::of(999));
    let own = std::mem::replace(&mut log.checkpoint.root, other.checkpoint.root);
    assert_eq!(log.read(0, |_, tile| tile), Err(Error::LogProof));
    log.checkpoint.root = own;
    let moved = log.read(0, |path, tile| match path {
        TilePath {
            kind: TileKind::Entries,
            index: 1,
            ..
        } => log.tile(TilePath { index: 0, ..path }),
        _ => tile,
    });
    assert_eq!(moved, Err(Error::LogProof));
    let short = log.read(0, |path, tile| match path.kind {
        TileKind::Hashes(_) => tile.slice(..tile.len() - 1),
        TileKind::Entries => tile,
    });
    assert!(matches!(short, Err(Error::Length { field: "tile", .. })));
}
