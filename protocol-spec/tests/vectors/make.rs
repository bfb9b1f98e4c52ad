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

use actors::vectors::{bad, flipped, good};

use crate::case::Case;

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
