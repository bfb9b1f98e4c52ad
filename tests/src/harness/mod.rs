//! The real programs as separate processes: a `vault-server`, and `medvault` once for each principal.

mod cli;
mod liar;
mod proxy;
mod server;
mod witness;
mod world;

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use protocol_spec::defence::{Defence, OFF};

pub use cli::{Cli, Refused};
pub use liar::Liar;
pub use proxy::Proxy;
pub use server::{Server, ServerOptions};
pub use witness::Witness;
pub use world::{World, text};

/// A program of the workspace, or, for negative controls, its weakened build without these defences. The
/// ordinary one is told to do without all of them: that it defends itself all the same shows that it is not
/// a weakened build.
///
/// # Errors
/// As [`program`].
pub fn with_defences_off(name: &str, off: &[Defence]) -> Result<Command> {
    let (path, off) = if off.is_empty() {
        (program(name)?, Defence::ALL)
    } else {
        (program(&format!("weakened/{name}"))?, off)
    };
    let names: Vec<&str> = off.iter().map(|defence| defence.name()).collect();
    let mut command = Command::new(path);
    command.env(OFF, names.join(","));
    Ok(command)
}

/// Where cargo put a program of the workspace: beside the running test's folder.
///
/// # Errors
/// When it is not built; the text says how to build it.
pub fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("where this program lies")?;
    let folders = here.ancestors().skip(1).take(2);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    ensure!(
        found.is_some(),
        "{name} is not built: run `cargo xtask build` first"
    );
    found.context("unreachable")
}
