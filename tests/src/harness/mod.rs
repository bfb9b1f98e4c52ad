//! The real programs as separate processes: a `vault-server`, and `medvault` once for each principal.

mod certificates;
mod cli;
mod liar;
mod proxy;
mod server;
mod witness;
mod world;

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use protocol_spec::defence::{AHEAD, Defence, OFF};

pub use certificates::{Authority, Issued};
pub use cli::{Cli, Refused};
pub use liar::Liar;
pub use proxy::Proxy;
pub use server::{Server, ServerOptions, refused_start};
pub use witness::{Witness, WitnessOptions};
pub use world::{World, text};

/// A program of the workspace, or, for negative controls, its weakened build without these defences. The
/// ordinary one is told to do without all of them: that it defends itself all the same shows that it is not
/// a weakened build.
pub fn with_defences_off(name: &str, off: &[Defence]) -> Result<Command> {
    if off.is_empty() {
        Ok(started(program(name)?, Defence::ALL))
    } else {
        Ok(started(program(&format!("weakened/{name}"))?, off))
    }
}

/// The weakened build of a program, whose clock is ahead by so many seconds, without these defences, or with all of them.
pub fn with_clock_ahead(name: &str, seconds: u64, off: &[Defence]) -> Result<Command> {
    let mut command = started(program(&format!("weakened/{name}"))?, off);
    command.env(AHEAD, seconds.to_string());
    Ok(command)
}

fn started(path: PathBuf, off: &[Defence]) -> Command {
    let names: Vec<&str> = off.iter().map(|defence| defence.name()).collect();
    let mut command = Command::new(path);
    command.env(OFF, names.join(","));
    command
}

/// What a file of a home holds, without the line under which the home has sealed it.
pub fn kept(home: &Path, name: &str) -> Result<Vec<u8>> {
    let mut bytes = std::fs::read(home.join(name)).with_context(|| name.to_owned())?;
    let line = bytes
        .len()
        .checked_sub(SEALED_LINE)
        .context("a file without its last line")?;
    let sealed = bytes.split_off(line);
    ensure!(sealed.starts_with(b"\nsealed "), "{name} has another last line");
    Ok(bytes)
}

/// What a file of a home that grows holds: its entries, one behind the other.
pub fn grown(home: &Path, name: &str) -> Result<Vec<u8>> {
    let bytes = std::fs::read(home.join(name)).with_context(|| name.to_owned())?;
    let (mut rest, mut entries) = (&bytes[..], Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length))?;
        let (entry, behind) = behind.split_at_checked(length).context("an entry is cut")?;
        rest = behind.get(16..).context("a tag is cut")?;
        entries.push(entry);
    }
    // The first is the number of its epoch.
    Ok(entries.get(1..).unwrap_or_default().concat())
}

/// `LF "sealed " 16 SP 16 SP 64 LF`, in `client-sdk/src/home/seal.rs`.
const SEALED_LINE: usize = 107;

/// Makes a folder, and those above it, that are their owner's alone, as programs demand of homes and data (PRG-6).
pub fn private_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make {}", path.display()))
}

/// Where cargo put a program of the workspace: beside the running test's folder.
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
