//! `medvault reference request`: one institution asks that another may read.

use clap::Subcommand;
use client_sdk::{PatientId, Purpose};

use crate::{
    commands::download::say_asked, context::Context, failure::Failure, given::Text, values::purpose,
};

/// What the first institution does in a reference.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Ask a patient to let another institution read; what is asked is sealed to her
    #[command(after_help = EXAMPLES)]
    Request {
        /// The patient's id, as she handed it over
        #[arg(long, value_name = "PATIENT")]
        patient: PatientId,
        /// Who shall read: id, or exact name in the directory
        #[arg(long, value_name = "INSTITUTION")]
        to: String,
        /// What is asked, and why
        #[command(flatten)]
        text: Text,
        /// What for, as an HL7 PurposeOfUse code; the server sees it too
        #[arg(long, value_name = "CODE", value_parser = purpose)]
        purpose: Option<Purpose>,
    },
}

const EXAMPLES: &str = "\
Example:
  medvault reference request --patient pat_ab3… --to 'City Clinic' --text-file question.txt

The permission goes to the other institution alone, which then runs medvault download fetch.";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let Command::Request {
        patient,
        to,
        text,
        purpose,
    } = command;
    let text = text.read(context.global()).await?;
    let institution = context.institution().await?;
    let second = institution.institution(&to).await?;
    let request = institution
        .request_reference(patient, &second, &text, purpose)
        .await?;
    say_asked(context, request)
}
