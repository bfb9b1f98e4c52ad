//! `medvault patient enrol`: a new vault.

use std::path::PathBuf;

use clap::Subcommand;
use client_sdk::{Patient, ServerLink};
use serde::Serialize;

use super::witnesses;
use crate::{context::Context, failure::Failure, output::Report};

/// What a patient does before everything else.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Make a vault's keys in the home and enrol with a server
    #[command(after_help = EXAMPLES)]
    Enrol {
        /// The server's link, as its operator hands it out; it pins the server's keys
        #[arg(long, value_name = "LINK")]
        server: ServerLink,
        /// Ask for these witnesses of the server's log: see `medvault witnesses --help`
        #[arg(long, value_name = "FILE")]
        witnesses: Option<PathBuf>,
    },
}

const EXAMPLES: &str = "\
Example:
  medvault patient enrol --home ~/vault --server 'https://vault.example:8443/#m3k…'

Whoever loses all homes or their passphrases loses the vault: nobody else has its keys. Make a recovery kit, and link a
second device: see `medvault recovery --help` and `medvault device --help`.";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let Command::Enrol {
        server,
        witnesses: policy,
    } = command;
    let policy = policy.as_deref().map(witnesses::read).transpose()?;
    let patient = Patient::enrol(context.home()?, &context.unlock_to_make()?, &server).await?;
    if let Some(policy) = policy {
        patient.use_witnesses(&policy).await?;
    }
    context.print(&Enrolled {
        patient_id: patient.id().to_string(),
    })
}

#[derive(Serialize)]
struct Enrolled {
    patient_id: String,
}

impl Report for Enrolled {
    fn text(&self) -> String {
        format!(
            "Your vault is open. Institutions know you by this id:\n  {}\n\
             Without this home and its passphrase the vault cannot be read: make a recovery kit, and link a second \
             device, with\n  medvault recovery kit\n  medvault device link\n",
            self.patient_id
        )
    }
}
