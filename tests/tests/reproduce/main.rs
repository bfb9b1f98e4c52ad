//! The programs that users trust, built twice and compared. It takes minutes: `cargo xtask attacks ATK-57` plays it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tests::{attack::note, harness::program};

/// One who builds: with folders of their own for source, crates and what is made.
struct Builder {
    folder: TempDir,
    source: PathBuf,
    cargo_home: PathBuf,
}

impl Builder {
    /// A copy of the source as it is here.
    fn with_source_in(name: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        let source = folder.path().join(name);
        for file in files()? {
            let to = source.join(&file);
            fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
            fs::copy(root().join(&file), &to).with_context(|| file.clone())?;
        }
        // The same crates, not downloaded again, under another path.
        let home = match std::env::var_os("CARGO_HOME") {
            Some(home) => PathBuf::from(home),
            None => std::env::home_dir().context("a home folder")?.join(".cargo"),
        };
        let cargo_home = folder.path().join(format!("crates-of-{name}"));
        symlink(home, &cargo_home)?;
        Ok(Self {
            source,
            cargo_home,
            folder,
        })
    }

    /// SHA-256 of each program that `cargo xtask release` makes of the source.
    fn build(&self, arguments: &[&str]) -> Result<BTreeMap<String, String>> {
        let out = self.folder.path().join("out");
        let output = Command::new(program("xtask")?)
            .arg("release")
            .args(arguments)
            .arg("--out")
            .arg(&out)
            .env("CARGO_MANIFEST_DIR", self.source.join(".cargo/xtask"))
            .env("CARGO_TARGET_DIR", self.folder.path().join("target"))
            .env("CARGO_HOME", &self.cargo_home)
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let said: Value = serde_json::from_slice(&fs::read(out.join("programs.json"))?)?;
        let programs = said["programs"].as_array().context("programs")?;
        programs
            .iter()
            .map(|program| {
                let text = |field: &str| Some(program[field].as_str()?.to_owned());
                text("name").zip(text("sha256")).context("name and digest")
            })
            .collect()
    }

    /// Puts something else into the source.
    fn change(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.source.join(file);
        let text = fs::read_to_string(&path)?;
        ensure!(text.contains(from), "{file} does not have {from:?}");
        fs::write(&path, text.replace(from, to))?;
        Ok(())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All files of the repository.
fn files() -> Result<Vec<String>> {
    let listed = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()?;
    ensure!(listed.status.success(), "git lists no files");
    let listed = String::from_utf8(listed.stdout)?;
    let files: Vec<_> = listed.split_terminator('\0').map(str::to_owned).collect();
    Ok(files
        .into_iter()
        .filter(|file| root().join(file).is_file())
        .collect())
}

/// ATK-57: whoever builds the published source gets the published program, so a program of another source is told from it.
#[test]
#[ignore = "takes minutes: cargo xtask attacks ATK-57"]
fn a_program_of_another_source_is_told_from_the_published_one() -> Result<()> {
    let publisher = Builder::with_source_in("medvault")?;
    let reviewer = Builder::with_source_in("somewhere-else")?;
    let published = publisher.build(&[])?;
    ensure!(published.len() == 2, "{published:?}");
    let again = reviewer.build(&[])?;
    ensure!(again == published, "{again:?} is not {published:?}");
    // One line more, that a user would not see.
    let (line, evil) = (
        "    let context = Context::new(cli.global);",
        "    let _ = std::fs::read(\"/etc/hostname\");",
    );
    reviewer.change("client-sdk/cli/src/main.rs", line, &format!("{line}\n{evil}"))?;
    let served = reviewer.build(&["medvault"])?;
    let passes = served.get("medvault") == published.get("medvault");
    note(&[], passes)?;
    ensure!(!passes, "a changed program has the digest of the published one");
    Ok(())
}

/// ATK-57, control: with paths in the programs those of one source differ, too, so that a difference tells nothing.
#[test]
#[ignore = "takes minutes: cargo xtask attacks ATK-57"]
fn with_paths_in_them_honest_programs_differ() -> Result<()> {
    let publisher = Builder::with_source_in("medvault")?;
    let reviewer = Builder::with_source_in("somewhere-else")?;
    let build = |builder: &Builder| builder.build(&["medvault-witness", "--with-paths"]);
    let (published, again) = (build(&publisher)?, build(&reviewer)?);
    ensure!(published.len() == 1, "{published:?}");
    ensure!(again != published, "the control proves nothing: {again:?}");
    Ok(())
}
