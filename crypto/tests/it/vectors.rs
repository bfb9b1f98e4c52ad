//! Runs the folders of `protocol-spec/vectors` that need ciphers.
//!
//! The builders in `make` say how each file came to be. `MEDVAULT_WRITE_VECTORS=1` writes the files that do
//! not exist yet, with fresh salts and encapsulations; one that exists is never written again.

mod case;
mod make;

use actors::vectors::{assert_made, assert_stored};

/// Cases in each folder: (folder, must succeed, must fail).
const COUNTS: [(&str, usize, usize); 9] = [
    ("conditions", 10, 10),
    ("content", 8, 22),
    ("delegated-key", 1, 7),
    ("emergency", 9, 9),
    ("key-wrap", 4, 10),
    ("link", 3, 7),
    ("permission-key", 3, 12),
    ("recovery", 6, 17),
    ("text", 4, 11),
];

#[test]
fn every_vector_gives_what_it_says_and_none_is_missing() {
    assert_stored(&COUNTS, make::all);
}

/// What is built today has the names of the files, and the outcomes that it claims.
#[test]
fn the_builders_still_make_these_cases() {
    assert_made(&make::all());
}
