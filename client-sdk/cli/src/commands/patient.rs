//! `medvault patient enrol`: a new vault.

use std::path::PathBuf;

use clap::Subcommand;
use client_sdk::{InvitationText, Invited, Patient};

use super::witnesses;
use crate::{context::Context, failure::Failure, output::fields};

/// What a patient does before everything else.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Make a vault's keys in the home and enrol with a server
    #[command(after_help = EXAMPLES)]
    Enrol {
        /// The server's link, as its operator hands it out; it pins the server's keys
        #[arg(long, value_name = "LINK")]
        server: Invited,
        /// The invitation by which you may enrol, unless it stands in the link; - reads it from standard input
        #[arg(long, value_name = "inv_…")]
        invitation: Option<String>,
        /// Ask for these witnesses of the server's log: see `medvault witnesses --help`
        #[arg(long, value_name = "FILE")]
        witnesses: Option<PathBuf>,
    },
}

const EXAMPLES: &str = "\
Examples:
  medvault patient enrol --home ~/vault --server 'https://vault.example:8443/#m3k…' --invitation inv_…
  medvault patient enrol --home ~/vault --server 'https://vault.example:8443/#m3k….inv_…'

Whoever loses all homes or their passphrases loses the vault: nobody else has its keys. Make a recovery kit, and link a
second device: see `medvault recovery --help` and `medvault device --help`.";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let Command::Enrol {
        server,
        invitation,
        witnesses: policy,
    } = command;
    let invitation = match invitation {
        Some(text) => Some(read_invitation(text)?),
        None => server.invitation,
    };
    let policy = policy.as_deref().map(witnesses::read).transpose()?;
    let (home, unlock) = (context.ground()?, context.unlock_to_make()?);
    let patient = Patient::enrol_by(home, &unlock, &server.link, invitation.as_ref()).await?;
    if let Some(policy) = policy {
        patient.trust().use_witnesses(&policy).await?;
    }
    let patient_id = patient.id();
    context.say(
        &format!(
            "Your vault is open. Institutions know you by this id:\n  {patient_id}\n\
             Without this home and its passphrase the vault cannot be read: make a recovery kit, and link a second \
             device, with\n  medvault recovery kit\n  medvault device link\n"
        ),
        &fields! { patient_id },
    )
}

fn read_invitation(text: String) -> Result<InvitationText, Failure> {
    let text = match text.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()).map_err(|error| {
            Failure::usage(format!(
                "standard input cannot be read ({error}): give the invitation itself"
            ))
        })?,
        _ => text,
    };
    text.parse().map_err(|_| {
        Failure::usage(
            "this is no invitation: copy all of inv_…, as the hospital or the operator handed it out",
        )
    })
}
