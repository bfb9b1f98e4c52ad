//! The programs that are handed out to be trusted, built so that whoever has the same source and the same compilers gets the
//! same bytes, wherever it lies: no path of this machine is in them, and no setting of whoever builds.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::process::{cargo, step, workspace_root};

/// Whoever runs these trusts them; a server's program has nothing to hide or to give away.
const PROGRAMS: [&str; 2] = ["medvault", "medvault-witness"];

/// Options of `cargo xtask release`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cargo xtask release\n  cargo xtask release medvault --out programs\n\nTwo builds of one revision by the same compilers, linker and C library are the same, byte for byte: compare programs.json."
)]
pub(crate) struct Options {
    /// Which of them; without any, all
    #[arg(value_parser = PROGRAMS)]
    programs: Vec<String>,
    /// A folder for the programs and programs.json, which names revision, compilers and digests; without it `programs` in
    /// the target folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave this machine's paths in them: for the control of the test that compares two builds
    #[arg(long, hide = true)]
    with_paths: bool,
}

/// What `programs.json` says: what whoever builds them again must have, and what must come of it.
#[derive(Serialize)]
struct Release {
    /// Revision of the source; none outside of a repository.
    source: Option<String>,
    /// Compilers, linker and C library: parts of the programs are written in C.
    toolchain: Vec<String>,
    /// The target triple that it was built for.
    target: String,
    programs: Vec<Program>,
}

#[derive(Serialize)]
struct Program {
    name: &'static str,
    bytes: usize,
    /// SHA-256 of the program, in hexadecimal digits.
    sha256: String,
}

/// Builds the programs and says what came of it.
///
/// Fails when the build fails or a file cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    let target = target_folder()?;
    let compiler = Compiler::ask()?;
    let mut flags = FLAGS.map(str::to_owned).to_vec();
    if !options.with_paths {
        flags.extend(remapping(&target, &compiler)?);
    }
    let out = options.out.clone().unwrap_or_else(|| target.join("programs"));
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    warn_of_settings()?;
    let mut programs = Vec::new();
    for name in PROGRAMS {
        if options.programs.is_empty() || options.programs.iter().any(|wanted| wanted == name) {
            let built = target.join(&compiler.host).join("release").join(name);
            build(name, &flags, (&target, &compiler.host), &built)?;
            programs.push(take(name, &built, &out)?);
        }
    }
    let release = Release {
        source: revision(),
        toolchain: compiler.toolchain,
        target: compiler.host,
        programs,
    };
    let path = out.join("programs.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&release)?);
    fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    print!("{text}");
    Ok(())
}

/// Those of .cargo/config.toml, which the ones given here take the place of.
const FLAGS: [&str; 2] = ["--cfg", "chacha20_avx512"];

/// The environment variables that are passed on to the build. Any other could get into the programs, and make them differ.
const ENVIRONMENT: [&str; 12] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Each program by itself: built together, one has what another one's dependencies ask for.
fn build(name: &str, flags: &[String], (target, host): (&Path, &str), built: &Path) -> Result<()> {
    // What is taken afterwards is what this build makes.
    if built.exists() {
        fs::remove_file(built).with_context(|| format!("cannot remove {}", built.display()))?;
    }
    let mut build = cargo(["build", "--release", "--locked", "--package", name]);
    build.arg("--target").arg(host).arg("--target-dir").arg(target);
    build.env_clear();
    for name in ENVIRONMENT {
        if let Some(value) = env::var_os(name) {
            build.env(name, value);
        }
    }
    // Nothing else that sets flags counts beside these.
    build.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    step(&format!("build of {name}"), &mut build)
}

/// Cargo reads settings of the person, too, and cannot be told not to.
fn warn_of_settings() -> Result<()> {
    let root = workspace_root();
    let around = root.ancestors().skip(1).map(|folder| folder.join(".cargo"));
    for folder in around.chain([cargo_home()?]) {
        for name in ["config.toml", "config"] {
            let path = folder.join(name);
            if path.is_file() {
                eprintln!(
                    "    warning: {} may make other programs of the same source: move it away if it has more than registries",
                    path.display()
                );
            }
        }
    }
    Ok(())
}

/// Puts a program where it is wanted, and takes its digest.
fn take(name: &'static str, built: &Path, out: &Path) -> Result<Program> {
    let bytes = fs::read(built).with_context(|| format!("there is no {}", built.display()))?;
    let path = out.join(name);
    // A running program cannot be written over, but replaced.
    if path.exists() {
        fs::remove_file(&path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    fs::copy(built, &path).with_context(|| format!("cannot write {}", path.display()))?;
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
    let library = compiler.sysroot.join("lib/rustlib/src/rust");
    // The last that fits counts, so what may lie in another comes after it.
    let folders = [
        (workspace_root(), "/medvault".to_owned()),
        (cargo_home()?, "/cargo".to_owned()),
        (target.to_owned(), "/target".to_owned()),
        (library, format!("/rustc/{}", compiler.commit)),
    ];
    let flag = |(from, to): (PathBuf, String)| format!("--remap-path-prefix={}={to}", from.display());
    Ok(folders.map(flag).into())
}

/// The folder in which cargo keeps the sources of crates.
fn cargo_home() -> Result<PathBuf> {
    match env::var_os("CARGO_HOME") {
        Some(home) => Ok(PathBuf::from(home)),
        None => Ok(env::home_dir()
            .context("there is no home folder: set CARGO_HOME")?
            .join(".cargo")),
    }
}

/// Where cargo puts what it makes.
fn target_folder() -> Result<PathBuf> {
    let folder = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = workspace_root().join(folder);
    std::path::absolute(&folder).with_context(|| format!("cannot tell where {} is", folder.display()))
}

struct Compiler {
    /// First lines of what its parts say of themselves.
    toolchain: Vec<String>,
    commit: String,
    host: String,
    sysroot: PathBuf,
}

impl Compiler {
    fn ask() -> Result<Self> {
        let about = said("rustc", &["--version", "--verbose"])?;
        let field = |name| about.lines().find_map(|line| line.strip_prefix(name));
        let (Some(commit), Some(host)) = (field("commit-hash: "), field("host: ")) else {
            bail!("rustc does not say which it is: {about}");
        };
        let parts = [
            about.clone(),
            said("cc", &["--version"])?,
            said("ld", &["--version"])?,
            said("ldd", &["--version"])?,
        ];
        let first = |text: &String| text.lines().next().unwrap_or_default().to_owned();
        Ok(Self {
            toolchain: parts.iter().map(first).collect(),
            commit: commit.to_owned(),
            host: host.to_owned(),
            sysroot: PathBuf::from(said("rustc", &["--print", "sysroot"])?.trim_end()),
        })
    }
}

/// What is checked out, with a mark if there is anything else in its folder.
fn revision() -> Option<String> {
    let revision = said("git", &["rev-parse", "HEAD"]).ok()?;
    let changed = said("git", &["status", "--porcelain"]).ok()?;
    let mark = if changed.is_empty() { "" } else { "-changed" };
    Some(format!("{}{mark}", revision.trim()))
}

/// What a program prints in the root of the workspace.
fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .current_dir(workspace_root())
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(output.status.success(), "{program} {} fails", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
