//! `medvault home`: whether a home is what it was when it was left.

use clap::Subcommand;
use client_sdk::{CheckedHome, check_home};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, plain, timestamp},
};

/// What can be done with a home as such.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Look at every file of the home: none may be missing, changed or older than it was
    #[command(after_help = EXAMPLES)]
    Check {
        /// The latest time that this home has seen was wrong: from now on it is what this machine's clock says
        #[arg(long)]
        accept_clock: bool,
    },
}

const EXAMPLES: &str = "\
Example:
  medvault home check --home ~/vault

Whoever could write into the folder, such as a backup or a service that copies it, can have changed it or put older files back; every command
refuses what it reads then. A copy of the whole folder, put back as a whole, is what it was: only the server's log tells that it is old.";

pub(crate) fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let Command::Check { accept_clock } = command;
    let checked = check_home(context.home()?, &context.unlock()?, accept_clock)?;
    context.print(&Checked::from(checked))
}

#[derive(Serialize)]
struct Checked {
    id: String,
    files: usize,
    entries: usize,
    /// The latest time that was seen in it.
    latest: String,
}

impl From<CheckedHome> for Checked {
    fn from(checked: CheckedHome) -> Self {
        Self {
            id: checked.id,
            files: checked.files,
            entries: checked.entries,
            latest: timestamp(checked.latest),
        }
    }
}

impl Report for Checked {
    fn text(&self) -> String {
        format!(
            "The home of {} is what it was: {} files, and {} entries of those that grow.\nThe latest time that it has seen: {}\n",
            plain(&self.id),
            self.files,
            self.entries,
            self.latest
        )
    }
}
