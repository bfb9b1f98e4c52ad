//! Runs `protocol-spec/vectors`: those folders of it that need no ciphers.
//!
//! The builders in `make` say how each file came to be. `MEDVAULT_WRITE_VECTORS=1` writes the files that do
//! not exist yet; one that exists is never written again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod case;
mod log;
mod make;
mod world;

use actors::vectors::{assert_stored, assert_unmoved};

use case::Case;

/// Cases in each folder: (folder, must succeed, must fail).
const COUNTS: &[(&str, usize, usize)] = &[
    ("statements", 41, 39),
    ("devices", 4, 10),
    ("device-lists", 9, 26),
    ("permissions", 11, 48),
    ("delegations", 4, 32),
    ("vault-heads", 4, 16),
    ("directory", 3, 18),
    ("terminals", 3, 7),
    ("openings", 1, 5),
    ("requests", 5, 32),
    ("ids", 13, 8),
    ("links", 4, 6),
    ("keys", 3, 16),
    ("log", 37, 78),
    ("mirrors", 9, 38),
    ("names", 26, 21),
    ("content-geometry", 29, 9),
    ("manifests", 9, 18),
    ("provenance", 2, 20),
];

#[test]
fn every_vector_gives_what_it_says() {
    assert_stored(COUNTS, make::all);
}

#[test]
fn the_files_are_what_the_builders_make() {
    assert_unmoved(&make::all());
}

#[test]
fn no_case_is_missing_and_half_of_them_must_fail() {
    let count = |(name, cases): &(&'static str, Vec<Case>)| {
        let good = cases.iter().filter(|case| case.succeeds()).count();
        (*name, good, cases.len() - good)
    };
    let counts: Vec<_> = make::all().iter().map(count).collect();
    assert_eq!(counts, COUNTS);
    let (good, bad) = counts
        .iter()
        .fold((0, 0), |(good, bad), (_, g, b)| (good + g, bad + b));
    assert!(
        good + bad >= 36 && bad >= good,
        "{good} must succeed, {bad} must fail"
    );
}
