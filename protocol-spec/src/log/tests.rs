//! What a vault's salt gives to its owner, and what is left to others when it is gone.

use super::*;
use crate::hash::Sha256Digest;

fn salt(seed: u8) -> VaultSalt {
    VaultSalt::from_bytes([seed; 32])
}

fn statements() -> Vec<Sha256Digest> {
    (0..50_u8).map(|number| Sha256Digest::of(&[number])).collect()
}

/// LOG-7: the owner finds her leaves among those of others, also where she does not know the statements.
#[test]
fn an_owner_recognises_her_leaves_and_no_others() {
    let statements = statements();
    let hers: Vec<Entry> = statements.iter().map(|one| salt(1).entry(one)).collect();
    let others: Vec<Entry> = statements.iter().map(|one| salt(2).entry(one)).collect();
    assert!(hers.iter().all(|leaf| salt(1).recognises(leaf)));
    assert!(!others.iter().any(|leaf| salt(1).recognises(leaf)));
}

/// LOG-1, LOG-7: no salted leaf tells anything by its length or by a part that it shares with another one.
#[test]
fn salted_leaves_are_of_one_length_and_share_nothing() {
    let mut parts = std::collections::HashSet::new();
    for vault in 1..=4 {
        for statement in statements() {
            let bytes = salt(vault).entry(&statement).bytes().unwrap();
            assert_eq!(bytes.len(), Entry::SALTED_LEN);
            let chunks = bytes[1..].chunks(16).map(<[u8]>::to_vec);
            assert!(chunks.into_iter().all(|chunk| parts.insert(chunk)));
        }
    }
}

/// LOG-7, erasure: with the vault's salt gone, whoever has the whole log and every statement finds no leaf of it, not even
/// with the marks of all leaves but one.
#[test]
fn without_the_salt_nobody_finds_a_statement_in_the_log() {
    let statements = statements();
    let log: Vec<Entry> = statements.iter().map(|one| salt(1).entry(one)).collect();
    let (last, disclosed) = statements.split_last().unwrap();
    for mark in disclosed.iter().map(|one| salt(1).mark(one)) {
        assert!(!log.contains(&mark.entry(last)));
    }
    for guess in 2..=255 {
        assert!(!log.contains(&salt(guess).entry(last)));
    }
    // Her own mark, while there is one, shows that leaf and no other.
    let mark = salt(1).mark(last);
    assert_eq!(log.iter().filter(|leaf| **leaf == mark.entry(last)).count(), 1);
    assert!(!disclosed.iter().any(|one| log.contains(&mark.entry(one))));
}

#[test]
fn debug_of_a_salt_shows_nothing() {
    assert_eq!(format!("{:?}", salt(7)), "VaultSalt(..)");
}

/// LOG-9: which tiles a log of 70,000 leaves has is the example of c2sp.org/tlog-tiles.
#[test]
fn a_log_of_70000_leaves_has_the_tiles_of_the_specification() {
    use tile::{TileKind, TilePath};
    let count = |kind| {
        let tiles: Vec<_> = TilePath::all(kind, 70_000).collect();
        (tiles.len(), tiles.last().map(|tile| tile.width))
    };
    assert_eq!(count(TileKind::Hashes(0)), (274, Some(112)));
    assert_eq!(count(TileKind::Entries), (274, Some(112)));
    assert_eq!(count(TileKind::Hashes(1)), (2, Some(17)));
    assert_eq!(count(TileKind::Hashes(2)), (1, Some(1)));
    assert_eq!(count(TileKind::Hashes(3)), (0, None));
    let whole: Vec<_> = TilePath::all(TileKind::Hashes(0), 256).collect();
    assert_eq!(
        whole.first().map(ToString::to_string).as_deref(),
        Some("tile/0/000")
    );
}

proptest::proptest! {
    /// LOG-6: whatever arrives is read or refused; what is read is written as it came.
    #[test]
    fn notes_and_proofs_survive_being_read(text in "[a-z \n+—=A-Z0-9/.]{0,200}") {
        if let Ok(note) = Note::parse(text.as_bytes()) {
            proptest::prop_assert_eq!(note.to_string(), text.clone());
        }
        if let Ok(proof) = text.parse::<TlogProof>() {
            proptest::prop_assert_eq!(proof.to_string(), text.clone());
        }
        if let Ok(path) = text.parse::<tile::TilePath>() {
            proptest::prop_assert_eq!(path.to_string(), text.clone());
        }
        let _policy = Policy::parse(text.as_bytes());
    }
}
