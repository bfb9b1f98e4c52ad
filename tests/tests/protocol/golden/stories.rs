//! The stories: who calls which commands, in which order.

pub(super) mod devices;
pub(super) mod institutions;
pub(super) mod operating;
pub(super) mod people;
pub(super) mod records;

use std::fs;

use anyhow::Result;
use tests::harness::{Cli, World, text};

use super::book::Book;

/// A path in the world's folder, as text.
fn path(world: &World, name: &str) -> String {
    world.path(name).display().to_string()
}

/// A file of this content; its path.
fn file(world: &World, name: &str, content: &str) -> Result<String> {
    fs::write(world.path(name), content)?;
    Ok(path(world, name))
}

/// A record of one file in the patient's vault, of which nothing is written down.
fn record(world: &World, patient: &Cli, institution: &Cli, name: &str) -> Result<String> {
    let offer = ["upload", "request", "--to", name, "--text", "please"];
    let permission = text(&patient.run(&offer)?, "permission_id")?;
    let sent = file(world, "result.txt", "HbA1c 7.4 %")?;
    let sent = institution.run(&["upload", "send", &permission, &sent])?;
    patient.run(&["records"])?;
    text(&sent, "record_id")
}
