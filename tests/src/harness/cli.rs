//! The `medvault` program with one principal's home.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use protocol_spec::defence::Defence;
use serde_json::Value;

use super::{with_clock_ahead, with_defences_off};

/// One principal: a home directory and a key file beside it.
#[derive(Clone, Debug)]
pub struct Cli {
    home: PathBuf,
    off: Vec<Defence>,
    input: String,
    /// By how many seconds the program's clock is ahead.
    ahead: u64,
    /// Further variables of its environment.
    env: Vec<(String, String)>,
}

/// How a command that must fail did.
#[derive(Debug)]
pub struct Refused {
    /// 1 refused or failed, 2 usage.
    pub exit: i32,
    /// What stands on standard error.
    pub text: String,
    /// The JSON object on standard output.
    pub json: Value,
}

impl Cli {
    /// A principal whose home is or will be here.
    pub fn new(home: PathBuf) -> Self {
        Self {
            home,
            off: Vec::new(),
            input: String::new(),
            ahead: 0,
            env: Vec::new(),
        }
    }

    /// The same principal so many seconds later, by the clock of this program alone.
    #[must_use]
    pub fn later(&self, seconds: u64) -> Self {
        Self {
            ahead: seconds,
            ..self.clone()
        }
    }

    /// The same principal, whose commands have this variable in their environment.
    #[must_use]
    pub fn with_env(&self, name: &str, value: &str) -> Self {
        let mut with = self.clone();
        with.env.push((name.to_owned(), value.to_owned()));
        with
    }

    /// The same principal with the weakened build of the program, without these defences.
    #[must_use]
    pub fn without(&self, off: &[Defence]) -> Self {
        Self {
            off: off.to_vec(),
            ..self.clone()
        }
    }

    /// The same principal, whose commands read this from standard input.
    #[must_use]
    pub fn fed(&self, input: &str) -> Self {
        Self {
            input: input.to_owned(),
            ..self.clone()
        }
    }

    /// The home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A command line, ready to be changed or started.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Command> {
        let mut command = match self.ahead {
            0 => with_defences_off("medvault", &self.off)?,
            ahead => with_clock_ahead("medvault", ahead, &self.off)?,
        };
        command
            .args(args)
            .arg("--json")
            .arg("--home")
            .arg(&self.home)
            .arg("--key-file")
            .arg(self.home.with_extension("key"))
            .env_remove("MEDVAULT_HOME")
            .env_remove("MEDVAULT_PASSPHRASE")
            .env_remove("MEDVAULT_KEY_FILE")
            .env_remove("MEDVAULT_PASSPHRASE_FILE")
            // Nobody reads along here, and what a test says is easier to see in its arguments.
            .env("MEDVAULT_SECRETS_IN_ARGUMENTS", "yes")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // What the machine's own network has is not the test's.
        for name in PROXIES
            .iter()
            .filter(|name| !self.env.iter().any(|(set, _)| set == *name))
        {
            command.env_remove(name);
        }
        Ok(command)
    }

    /// Runs a command that must succeed and returns its JSON object.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Value> {
        let output = self.output(args)?;
        let text = describe(args, &output);
        ensure!(output.status.code() == Some(0), "{text}");
        object(&output).context(text)
    }

    /// Runs a command that must fail.
    pub fn fail<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Refused> {
        let output = self.output(args)?;
        let text = describe(args, &output);
        let exit = output.status.code().context(text.clone())?;
        ensure!(exit != 0, "succeeded, but must fail: {text}");
        let json = object(&output).context(text)?;
        Ok(Refused {
            exit,
            text: String::from_utf8_lossy(&output.stderr).into_owned(),
            json,
        })
    }

    fn output<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Output> {
        if self.input.is_empty() {
            return Ok(self.command(args)?.output()?);
        }
        let mut child = self.command(args)?.stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("standard input")?;
        // A command that fails before it reads closes its end.
        drop(stdin.write_all(self.input.as_bytes()));
        drop(stdin);
        Ok(child.wait_with_output()?)
    }

    /// Runs a command after a shell has mounted something at the folder `$1`, for this command alone; nothing where that cannot be
    /// done, which is an error in CI.
    pub fn output_with_mount(&self, mount: &str, folder: &Path, args: &[&str]) -> Result<Option<Output>> {
        let command = self.command(args)?;
        let script = format!(r#"{mount} || exit 99; shift; exec "$@""#);
        let mut inside = Command::new("unshare");
        inside
            .args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"])
            .arg(folder)
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        let output = inside.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(99) && !said.starts_with("unshare:") {
            return Ok(Some(output));
        }
        ensure!(std::env::var_os("CI").is_none(), "no mount namespace: {said}");
        eprintln!("SKIPPED: no mount namespace: {said}");
        Ok(None)
    }

    /// Starts a command and leaves it running.
    pub fn spawn<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Child> {
        Ok(self.command(args)?.spawn()?)
    }
}

fn object(output: &Output) -> Result<Value> {
    let value: Value =
        serde_json::from_slice(&output.stdout).context("standard output is not one JSON value")?;
    ensure!(value.is_object(), "standard output is not a JSON object");
    Ok(value)
}

fn describe<S: AsRef<OsStr>>(args: &[S], output: &Output) -> String {
    let args: Vec<_> = args
        .iter()
        .map(|arg| arg.as_ref().to_string_lossy().into_owned())
        .collect();
    format!(
        "medvault {}: {}\nstdout: {}\nstderr: {}",
        args.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
}

/// Variables that name proxies.
const PROXIES: [&str; 7] = [
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "MEDVAULT_PROXY",
];
