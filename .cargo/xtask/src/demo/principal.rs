//! One principal: a home folder, and the `medvault` program run in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::program;

/// The passphrase of every home in the demo.
pub(super) const PASSPHRASE: &str = "correct horse demo staple";

/// A patient, hospital or registrar of the demo: keys in a home, and commands run in it.
pub(super) struct Actor {
    name: String,
    home: PathBuf,
}

impl Actor {
    pub(super) fn new(name: &str, home: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            home,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// Runs `medvault … --json` and returns the object that it prints.
    pub(super) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Value> {
        let output = self.output(arguments)?;
        ensure!(output.status.success(), "{}", self.describe(arguments, &output));
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("no JSON object: {}", self.describe(arguments, &output)))
    }

    /// Runs a command that must be refused and returns the line that it prints.
    pub(super) fn refused<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String> {
        let output = self.output(arguments)?;
        ensure!(
            output.status.code() == Some(1),
            "not refused: {}",
            self.describe(arguments, &output)
        );
        Ok(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Waits for an event of this kind that answers the question asked of it, and returns that event.
    pub(super) fn event(&self, kind: &str, about: (&str, &str)) -> Result<Value> {
        let mut after = 0;
        for _ in 0..ATTEMPTS {
            let inbox = self.run(&["inbox", "--wait", "5", "--after", &after.to_string()])?;
            let events = inbox["events"].as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(event) = events
                .iter()
                .find(|event| event["kind"] == kind && event[about.0] == about.1)
            {
                return Ok(event.clone());
            }
            after = events
                .last()
                .and_then(|event| event["id"].as_u64())
                .unwrap_or(after);
        }
        bail!("{} never got the {kind} with {} {}", self.name, about.0, about.1)
    }

    fn output<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Output> {
        Command::new(program("medvault")?)
            .args(arguments)
            .arg("--json")
            .env("MEDVAULT_HOME", &self.home)
            .env("MEDVAULT_PASSPHRASE", PASSPHRASE)
            .env_remove("MEDVAULT_KEY_FILE")
            .env_remove("MEDVAULT_PASSPHRASE_FILE")
            // Made up, like all that is sent here.
            .env("MEDVAULT_SECRETS_IN_ARGUMENTS", "yes")
            .output()
            .context("cannot start medvault")
    }

    fn describe<S: AsRef<OsStr>>(&self, arguments: &[S], output: &Output) -> String {
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.as_ref().to_string_lossy())
            .collect();
        format!(
            "{}: `medvault {}` ended with {}\n{}{}",
            self.name,
            words.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout),
        )
    }
}

/// A field of a JSON object that must be text.
pub(super) fn text(object: &Value, field: &str) -> Result<String> {
    object[field]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no text field {field} in {object}"))
}

/// How often to look for an event, each time waiting up to five seconds.
const ATTEMPTS: usize = 4;
