//! The command line: global options and a command. See [`crate::commands`] for the list of
//! commands, [`crate::values`] for how values are read.

use clap::Parser;

use crate::{commands::Command, values::Global};

/// Medical information, end-to-end encrypted: patients hold the keys, the server stores what it cannot read.
#[derive(Debug, Parser)]
#[command(
    name = "medvault",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = OVERVIEW
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const OVERVIEW: &str = "\
The three flows:
  upload     patient: upload request, institution: upload send, patient: records
  download   institution: download request, patient: permit, institution: download fetch
  reference  first institution: reference request, patient: permit, second: download fetch
Everybody finds the ids in the inbox.

Examples:
  medvault patient enrol --home ~/vault --server https://vault.example:8443/#m3k…
  MEDVAULT_HOME=~/vault medvault inbox --wait 60
  MEDVAULT_HOME=~/vault medvault records --json

The passphrase of a home is asked for on a terminal, or comes from --passphrase-file, --passphrase-fd or, which other
programs of yours can look into, the environment variable MEDVAULT_PASSPHRASE.
A proxy with a user's name and password (http://USER:PASSWORD@HOST:PORT) is named in HTTPS_PROXY or MEDVAULT_PROXY.
Exit codes: 0 done, 1 refused or failed, 2 usage.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn check(command: &clap::Command) {
            if command.get_name() != "help" {
                let help = command
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(help.contains("Example"), "{} has no examples", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
