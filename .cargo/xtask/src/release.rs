//! The programs that are handed out to be trusted, built so that whoever has the same source and compiler gets the same
//! bytes, wherever it lies: no path of this machine is in them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::process::{cargo, step, workspace_root};

/// Whoever runs these trusts them; a server's program has nothing to hide or to give away.
const PROGRAMS: [&str; 2] = ["medvault", "medvault-witness"];

/// Where to put them.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cargo xtask release\n  cargo xtask release medvault --out programs\n\nTwo builds of one revision by one compiler are the same, byte for byte: compare programs.json."
)]
pub(crate) struct Options {
    /// Which of them; without any, all
    #[arg(value_parser = PROGRAMS)]
    programs: Vec<String>,
    /// A folder for the programs and programs.json, which names revision, compiler and digests; without it `programs` in
    /// the target folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave this machine's paths in them: for the control of the test that compares two builds
    #[arg(long, hide = true)]
    with_paths: bool,
}

/// What `programs.json` says: all that whoever builds them again must have, and what must come of it.
#[derive(Serialize)]
struct Release {
    /// Revision of the source; none outside of a repository.
    source: Option<String>,
    /// Compiler.
    toolchain: String,
    /// For which machine.
    target: String,
    programs: Vec<Program>,
}

#[derive(Serialize)]
struct Program {
    name: &'static str,
    bytes: usize,
    /// Of the file, hex.
    sha256: String,
}

/// Builds the programs and says what came of it.
///
/// # Errors
/// When the build fails or a file cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    let target = target_folder()?;
    let compiler = Compiler::ask()?;
    let flags = if options.with_paths {
        Vec::new()
    } else {
        remapping(&target, &compiler)?
    };
    let out = options.out.clone().unwrap_or_else(|| target.join("programs"));
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut programs = Vec::new();
    for name in PROGRAMS {
        if options.programs.is_empty() || options.programs.iter().any(|wanted| wanted == name) {
            build(name, &flags)?;
            programs.push(take(name, &target.join("release"), &out)?);
        }
    }
    let release = Release {
        source: revision(),
        toolchain: compiler.version,
        target: compiler.host,
        programs,
    };
    let path = out.join("programs.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&release)?);
    fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    print!("{text}");
    Ok(())
}

/// Each program by itself: built together, one has what another one's dependencies ask for.
fn build(name: &str, flags: &[String]) -> Result<()> {
    let mut build = cargo(["build", "--release", "--locked", "--package", name]);
    // What is set for one person's builds would be in everybody's programs.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CFLAGS", "CXXFLAGS"] {
        build.env_remove(name);
    }
    // Joined to those of .cargo/config.toml.
    build.args([
        "--config",
        &format!("build.rustflags={}", serde_json::to_string(flags)?),
    ]);
    step(&format!("build of {name}"), &mut build)
}

/// Puts a program where it is wanted, and takes its digest.
fn take(name: &'static str, from: &Path, out: &Path) -> Result<Program> {
    let bytes = fs::read(from.join(name)).with_context(|| format!("there is no program {name}"))?;
    let path = out.join(name);
    // A running program cannot be written over, but replaced.
    if path.exists() {
        fs::remove_file(&path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    fs::copy(from.join(name), &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Program {
        name,
        bytes: bytes.len(),
        sha256: Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    })
}

/// For every folder whose name would end up in panic messages: what stands there instead.
fn remapping(target: &Path, compiler: &Compiler) -> Result<Vec<String>> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir()
            .context("there is no home folder: set CARGO_HOME")?
            .join(".cargo"),
    };
    let library = compiler.sysroot.join("lib/rustlib/src/rust");
    // The last that fits counts, so what may lie in another comes after it.
    let folders = [
        (workspace_root(), "/medvault".to_owned()),
        (home, "/cargo".to_owned()),
        (target.to_owned(), "/target".to_owned()),
        (library, format!("/rustc/{}", compiler.commit)),
    ];
    let flag = |(from, to): (PathBuf, String)| format!("--remap-path-prefix={}={to}", from.display());
    Ok(folders.map(flag).into())
}

/// Where cargo puts what it makes.
fn target_folder() -> Result<PathBuf> {
    let folder = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = workspace_root().join(folder);
    std::path::absolute(&folder).with_context(|| format!("cannot tell where {} is", folder.display()))
}

struct Compiler {
    version: String,
    commit: String,
    host: String,
    sysroot: PathBuf,
}

impl Compiler {
    fn ask() -> Result<Self> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let said = |arguments: &[&str]| {
            let output = Command::new(&rustc)
                .current_dir(workspace_root())
                .args(arguments)
                .output()
                .context("cannot start rustc")?;
            Ok::<_, anyhow::Error>(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let about = said(&["--version", "--verbose"])?;
        let field = |name| about.lines().find_map(|line| line.strip_prefix(name));
        let (Some(version), Some(commit), Some(host)) =
            (about.lines().next(), field("commit-hash: "), field("host: "))
        else {
            bail!("rustc does not say which it is: {about}");
        };
        Ok(Self {
            version: version.to_owned(),
            commit: commit.to_owned(),
            host: host.to_owned(),
            sysroot: PathBuf::from(said(&["--print", "sysroot"])?.trim_end()),
        })
    }
}

/// What is checked out, with a mark if it was changed since.
fn revision() -> Option<String> {
    let output = Command::new("git")
        .current_dir(workspace_root())
        .args(["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
