//! Builds every case, folder by folder.

mod delegations;
mod devices;
mod directory;
mod emergency;
mod geometry;
mod keys;
mod log;
mod manifests;
mod mirrors;
mod names;
mod notes;
mod permissions;
mod provenance;
mod requests;
mod statements;
mod terminals;
mod texts;
mod vault_heads;

use crate::case::{Case, Check};

/// Folder → its cases.
pub(crate) fn all() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("statements", statements::cases()),
        ("devices", devices::chains()),
        ("device-lists", devices::lists()),
        ("permissions", permissions::cases()),
        ("delegations", delegations::cases()),
        ("vault-heads", vault_heads::cases()),
        ("directory", directory::cases()),
        ("terminals", terminals::cases()),
        ("openings", emergency::openings()),
        ("requests", requests::cases()),
        ("ids", texts::ids()),
        ("links", texts::links()),
        ("keys", keys::cases()),
        ("log", log::cases().into_iter().chain(notes::cases()).collect()),
        ("mirrors", mirrors::cases()),
        ("names", names::cases()),
        ("content-geometry", geometry::cases()),
        ("manifests", manifests::cases()),
        ("provenance", provenance::cases()),
    ]
}

/// A case that must succeed; what it gives is what the code gave when the file was written.
fn good(rule: &str, name: &str, description: &str, check: Check) -> Case {
    let gives = check.run().unwrap_or_else(|error| panic!("{name}: {error}"));
    Case {
        name: name.to_owned(),
        rule: rule.to_owned(),
        description: description.to_owned(),
        expect: "success".to_owned(),
        gives: Some(gives),
        check,
    }
}

/// A case that must fail in this way.
fn bad(rule: &str, expect: &str, name: &str, description: &str, check: Check) -> Case {
    Case {
        name: name.to_owned(),
        rule: rule.to_owned(),
        description: description.to_owned(),
        expect: expect.to_owned(),
        gives: None,
        check,
    }
}

/// `bytes` with one bit flipped.
fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}
