//! The real programs as separate processes: a `vault-server`, and `medvault` once for each principal.

mod cli;
mod proxy;
mod server;
mod world;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

pub use cli::{Cli, Refused};
pub use proxy::Proxy;
pub use server::{Server, ServerOptions};
pub use world::{World, text};

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
        "{name} is not built: run `cargo build --workspace --bins` first"
    );
    found.context("unreachable")
}
