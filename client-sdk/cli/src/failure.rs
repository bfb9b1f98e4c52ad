//! How a command fails: a stable code for programs, one line for people, an exit code for shells.

use std::{io, path::Path, process::ExitCode};

use serde::Serialize;

/// Why a command did not do its work.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
    #[serde(skip)]
    exit: u8,
}

const FAILED: u8 = 1;
/// The command line, or what it needs beside it, is not right.
const USAGE: u8 = 2;

impl Failure {
    /// Of a command that takes a name: one that breaks a rule for names is a wrong argument.
    pub(crate) fn naming(error: client_sdk::Error) -> Self {
        match error {
            client_sdk::Error::Protocol(rule) => Self::usage(rule.to_string()),
            error => error.into(),
        }
    }

    /// Something is missing or wrong in how the program was called.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: "usage",
            message: message.into(),
            exit: USAGE,
        }
    }

    /// The same, with more to know about it.
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.message = format!("{}; {more}", self.message);
        self
    }

    /// The person at the terminal said no.
    pub(crate) fn declined() -> Self {
        Self::failed("declined", "nothing was done: it was not confirmed".to_owned())
    }

    /// What the server shows of the vault's history does not hold.
    pub(crate) fn unproven(what: &str) -> Self {
        Self::failed(
            "unproven",
            format!("the history does not hold ({what}): keep what you have, and ask the operator"),
        )
    }

    /// A signal stopped the command.
    pub(crate) fn interrupted() -> Self {
        let message = "stopped before it was done: run the same command again to go on";
        Self::failed("stopped", message.to_owned())
    }

    /// A file named on the command line cannot be read or written.
    pub(crate) fn file(doing: &str, path: &Path, source: &io::Error) -> Self {
        let next = match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "check the path",
            io::ErrorKind::AlreadyExists => "choose another name, nothing was overwritten",
            io::ErrorKind::PermissionDenied => "check who may use it",
            io::ErrorKind::ReadOnlyFilesystem => "make it writable, or choose another place",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space, then try again",
            _ => "try again when the cause is gone",
        };
        Self::failed("io", format!("{doing} {}: {source}: {next}", path.display()))
    }

    /// Standard output is gone; what the command did is done.
    pub(crate) fn output(source: &io::Error) -> Self {
        Self::failed(
            "output",
            format!("done, but the result cannot be printed ({source}): check where it goes"),
        )
    }

    /// The system does not give what a program needs to run.
    pub(crate) fn runtime(source: &io::Error) -> Self {
        Self::failed(
            "runtime",
            format!("cannot start ({source}): free some memory and processes, then try again"),
        )
    }

    /// The system does not keep the program's memory from others.
    pub(crate) fn unguarded(source: &io::Error) -> Self {
        Self::failed(
            "unguarded",
            format!(
                "cannot keep keys in memory from others ({source}): nothing was done, ask whoever runs this machine"
            ),
        )
    }

    /// One line: what happened and what to do.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What the shell is told.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }

    fn failed(code: &'static str, message: String) -> Self {
        Self {
            code,
            message,
            exit: FAILED,
        }
    }
}

impl From<client_sdk::Error> for Failure {
    fn from(error: client_sdk::Error) -> Self {
        match &error {
            client_sdk::Error::Io { doing, path, source } => Self::file(doing, path, source),
            _ => Self::failed(error.code(), error.to_string()),
        }
    }
}

impl From<&clap::Error> for Failure {
    // What is wrong stands before the first empty line; the rest (usage, hints) went to standard error.
    fn from(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .take_while(|line| !line.is_empty())
            .collect();
        let wrong = lines.join(" ");
        let wrong = wrong.strip_prefix("error: ").unwrap_or(&wrong);
        Self::usage(format!("{wrong}; see medvault --help"))
    }
}
