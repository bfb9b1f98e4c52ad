//! The independent decryptor: `protocol-spec/vectors/decryptor`, in Python, over all vectors that it knows.
//!
//! What it needs is pinned by hash, and lies in an environment of its own beside the programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::prerequisites;
use crate::process::{program, step, workspace_root};

/// Options of `cargo xtask decryptor`.
#[derive(Args, Default)]
#[command(after_help = "Example:\n  cargo xtask decryptor --json")]
pub(crate) struct Options {
    /// Print one JSON object: for each folder how many cases open, are refused, and differ
    #[arg(long)]
    json: bool,
}

/// Runs the decryptor over the vectors, then its tests, which see it fail over altered ones.
///
/// Fails when Python or what it needs cannot be had, when a vector gives
/// something else than it says, or when there is none.
pub(crate) fn run(options: &Options) -> Result<()> {
    prerequisites::ensure_python()?;
    let folder = workspace_root().join("protocol-spec/vectors/decryptor");
    let python = environment(&folder.join("requirements.txt"))?;
    if options.json {
        return report(python_in(&folder, &python).args(["run.py", "--json"]));
    }
    step("decryptor", python_in(&folder, &python).arg("run.py"))?;
    step(
        "decryptor over altered vectors",
        python_in(&folder, &python).args(["-m", "unittest"]),
    )
}

/// Runs it with nothing else in the output.
fn report(command: &mut Command) -> Result<()> {
    let status = command.status().context("cannot start the decryptor")?;
    if !status.success() {
        bail!("a vector gives something else than it says; run this without --json to see which");
    }
    Ok(())
}

/// Python, leaving no compiled files in the source tree.
fn python_in(folder: &Path, python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg("-B").current_dir(folder);
    command
}

/// The environment's Python. It is made anew when the requirements are others than those it was made of.
fn environment(requirements: &Path) -> Result<PathBuf> {
    let wanted = fs::read(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let folder = program("decryptor-environment")?;
    let (python, installed) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if python.exists() && fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    quietly(make.args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    quietly(
        install
            .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
            .arg(requirements),
    )?;
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python)
}

/// Its output is shown only when it fails, so that `--json` has its own alone.
fn quietly(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "cannot install what the decryptor needs (it comes from PyPI):\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
