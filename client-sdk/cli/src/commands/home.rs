//! `medvault home`: whether a home is what it was when it was left, and what opens it.

use std::path::PathBuf;

use clap::Subcommand;
use client_sdk::{CheckedHome, Unlock, change_unlock, check_home, text::timestamp};

use crate::{
    context::{Context, next_unlock},
    failure::Failure,
    output::{Report, fields, plain},
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
    /// Open the home with another passphrase from now on, or with a key file; what it holds stays
    #[command(after_help = PASSPHRASE_EXAMPLES)]
    Passphrase {
        /// Take the new passphrase from the first line of this file, which nobody else can read; without it you are asked, twice
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
        /// Open it with this file of 32 random bytes, made if absent, and no passphrase
        #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_file")]
        new_key_file: Option<PathBuf>,
    },
}

const PASSPHRASE_EXAMPLES: &str = "\
Examples:
  medvault home passphrase --home ~/vault                                            asks for the old one, and for the new one twice
  medvault home passphrase --home ~/vault --new-key-file /media/stick/vault.key      a key file in the place of a passphrase
  medvault home passphrase --home ~/vault --key-file /media/stick/vault.key          and back

Copies of the folder that were made before, such as backups, still open with what opened them then: whoever has both has your keys. If the
old passphrase is in wrong hands, remove this device from another one (medvault device remove), or give the institution new keys.";

const EXAMPLES: &str = "\
Example:
  medvault home check --home ~/vault

Whoever could write into the folder, such as a backup or a service that copies it, can have changed it or put older files back; every command
refuses what it reads then. A copy of the whole folder, put back as a whole, is what it was: only the server's log tells that it is old.";

pub(crate) fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Check { accept_clock } => {
            let checked = check_home(context.ground()?, &context.unlock()?, accept_clock)?;
            context.print(&checked)
        }
        Command::Passphrase {
            new_passphrase_file,
            new_key_file,
        } => {
            let home = context.ground()?;
            let present = context.unlock()?;
            let next = next_unlock(new_passphrase_file.as_deref(), new_key_file)?;
            change_unlock(home, &present, &next)?;
            let (opens_with, with) = match next {
                Unlock::Passphrase(_) => ("passphrase", "the new passphrase"),
                Unlock::KeyFile(_) => (
                    "key-file",
                    "the key file, and no passphrase: keep a copy of it apart from the home",
                ),
            };
            context.say(
                &format!(
                    "From now on the home opens with {with}.\nCopies of it that were made before still open with what opened them then.\n"
                ),
                &fields! { opens_with },
            )
        }
    }
}

impl Report for CheckedHome {
    fn text(&self) -> String {
        format!(
            "The home of {} is what it was: {} files, and {} entries of those that grow.\nThe latest time that it has seen: {}\n",
            plain(&self.id),
            self.files,
            self.entries,
            timestamp(self.latest)
        )
    }
}
