//! Runs tests, each in a process of its own, and reads what it noted.
//!
//! Cargo says where their programs lie; nothing is read from output that is meant for people but the one line by which
//! a test program says that a test of this name ran at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::table::TestName;
use crate::process::cargo;

/// The variable by which `tests::attack` is told where to note outcomes.
const NOTES: &str = "MEDVAULT_ATTACK_NOTES";

/// What came of the tests.
pub(crate) struct Play {
    outcomes: BTreeMap<TestName, TestOutcome>,
}

/// What came of one test, and what it has noted of its attack.
pub(crate) struct TestOutcome {
    /// Whether it ran and ended well.
    pub(crate) passed: bool,
    pub(crate) notes: Vec<Note>,
}

/// One side of an attack, as it was seen.
pub(crate) struct Note {
    /// The defences that were off; none: the programs as they are.
    pub(crate) off: Vec<String>,
    pub(crate) succeeded: bool,
}

/// A test program of the workspace.
struct Program {
    path: PathBuf,
    package: PathBuf,
}

impl Play {
    /// Builds the test programs and runs exactly these tests.
    pub(crate) fn of(tests: BTreeSet<TestName>) -> Result<Self> {
        let programs = programs()?;
        for test in &tests {
            if !programs.contains_key(&test.binary) {
                bail!("there is no test program {}", test.binary);
            }
        }
        let notes = TempDir::new()?;
        let (total, started) = (tests.len(), Instant::now());
        let (queue, done) = (
            Mutex::new(tests.into_iter().enumerate()),
            Mutex::new(BTreeMap::new()),
        );
        let work = || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((number, test)) = next else {
                    return;
                };
                let outcome = programs
                    .get(&test.binary)
                    .map(|program| run(program, &test, &notes.path().join(number.to_string())));
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(outcome) = outcome {
                    let word = if outcome.passed { "ok" } else { "FAILED" };
                    eprintln!("{}/{total} {word}: {} {}", done.len() + 1, test.binary, test.name);
                    done.insert(test, outcome);
                }
            }
        };
        let workers = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
        eprintln!("{total} tests in {:.0} s", started.elapsed().as_secs_f64());
        Ok(Self {
            outcomes: done.into_inner().unwrap_or_else(PoisonError::into_inner),
        })
    }

    pub(crate) fn outcome(&self, test: &TestName) -> Option<&TestOutcome> {
        self.outcomes.get(test)
    }
}

/// All test programs, named as nextest does.
fn programs() -> Result<BTreeMap<String, Program>> {
    let mut build = cargo([
        "test",
        "--workspace",
        "--all-targets",
        "--no-run",
        "--message-format=json",
    ]);
    let output = build
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the tests do not compile: run `cargo test --workspace --all-targets --no-run`");
    }
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    Ok(messages.filter_map(|message| program(&message)).collect())
}

fn program(message: &Value) -> Option<(String, Program)> {
    if message["profile"]["test"] != true {
        return None;
    }
    let path = PathBuf::from(message["executable"].as_str()?);
    let package = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    // path+file:///…/crypto#0.1.0, or …/cli#medvault@0.1.0 where the folder has another name
    let (folder, version) = message["package_id"].as_str()?.rsplit_once('#')?;
    let name = match version.split_once('@') {
        Some((name, _)) => name,
        None => folder.rsplit('/').next()?,
    };
    let target = message["target"]["name"].as_str()?;
    let id = match message["target"]["kind"][0].as_str()? {
        "test" => format!("{name}::{target}"),
        kind @ ("bin" | "bench" | "example") => format!("{name}::{kind}/{target}"),
        _ => name.to_owned(),
    };
    Some((id, Program { path, package }))
}

fn run(program: &Program, test: &TestName, notes: &Path) -> TestOutcome {
    // As cargo would: in the folder of the package.
    let output = Command::new(&program.path)
        .args(["--exact", &test.name, "--include-ignored", "--nocapture"])
        .current_dir(&program.package)
        .env("CARGO_MANIFEST_DIR", &program.package)
        .env(NOTES, notes)
        .stdin(Stdio::null())
        .output();
    let passed = output.as_ref().is_ok_and(|output| {
        let said = String::from_utf8_lossy(&output.stdout);
        output.status.success() && said.contains("test result: ok. 1 passed;")
    });
    if !passed {
        match output {
            Ok(output) => eprintln!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
            Err(error) => eprintln!("cannot start {}: {error}", program.path.display()),
        }
    }
    let notes = fs::read_to_string(notes).unwrap_or_default();
    TestOutcome {
        passed,
        notes: notes.lines().filter_map(note).collect(),
    }
}

fn note(line: &str) -> Option<Note> {
    let note: Value = serde_json::from_str(line).ok()?;
    let off = note["off"].as_array()?.iter();
    Some(Note {
        off: off
            .map(|name| name.as_str().map(str::to_owned))
            .collect::<Option<_>>()?,
        succeeded: note["succeeded"].as_bool()?,
    })
}
