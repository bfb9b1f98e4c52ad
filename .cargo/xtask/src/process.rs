//! Child processes: how cargo is called, and how a step is announced, timed and reported.
//!
//! Cargo describes the package it runs to that package in environment variables. They are removed before
//! cargo is called again, so that no build script sees a changed environment and runs anew.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// A cargo command in the root of the workspace.
pub(crate) fn cargo<I>(arguments: I) -> Command
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root()).args(arguments);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(describes_running_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs one named step with its output passed through, and says on standard error how long it took.
///
/// The error names the command line that could not be started or did not succeed.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<()> {
    let line = command_line(command);
    eprintln!("==> {name}: {line}");
    let started = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("{name} failed: `{line}` ended with {status}");
    }
    eprintln!("    {name} ok in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Whether the command can be started and succeeds, without showing its output.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether an executable of this name lies in `PATH`.
pub(crate) fn in_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// A program of the workspace; cargo puts all of them beside this one.
///
/// Fails when the system does not tell where this program lies.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    Ok(env::current_exe()
        .context("cannot tell where this program lies")?
        .with_file_name(name))
}

/// The folder that holds the workspace's `Cargo.toml`. Cargo says at run time where this package lies: two
/// checkouts that share a target folder share this program, too.
pub(crate) fn workspace_root() -> PathBuf {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

fn describes_running_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
        .iter()
        .any(|prefix| variable.starts_with(prefix))
}

fn command_line(command: &Command) -> String {
    let settings = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}={:?}", name.to_string_lossy(), value.to_string_lossy()))
    });
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned());
    settings.chain(words).collect::<Vec<_>>().join(" ")
}
