//! `medvault inbox delete`, `block`, `unblock`, `senders`: what a receiver does about what she was asked.

use clap::Subcommand;
use client_sdk::{
    InstitutionId, PatientId, RequestId,
    patient::{SenderId, SenderInfo, Unanswered},
};
use serde::Serialize;

use crate::{
    context::{Context, Member},
    failure::Failure,
    output::{Report, table},
};

/// What to do about what has come.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have a request deleted that you have not answered (patient)
    #[command(after_help = "Example:\n  medvault inbox delete req_… --home patient")]
    Delete {
        /// The request, as the inbox shows it
        request: RequestId,
    },
    /// Hear nothing more of a patient or an institution; what is unanswered of it is deleted
    #[command(after_help = "Example:\n  medvault inbox block inst_… --home patient")]
    Block {
        /// The id of the patient or institution to block
        #[arg(value_parser = sender)]
        sender: SenderId,
    },
    /// Hear a patient or an institution again
    #[command(after_help = "Example:\n  medvault inbox unblock inst_… --home patient")]
    Unblock {
        /// The id of the patient or institution that was blocked
        #[arg(value_parser = sender)]
        sender: SenderId,
    },
    /// List with whom you deal, of whom something is unanswered, and whom you have blocked
    #[command(after_help = "Example:\n  medvault inbox senders --home patient")]
    Senders,
}

pub(super) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Delete { request } => {
            let patient = context.patient().await?;
            patient.delete_unanswered(Unanswered::Request(request)).await?;
            context.print(&DealtWith {
                done: "deleted",
                id: request.to_string(),
            })
        }
        Command::Block { sender } => block(context, sender, true).await,
        Command::Unblock { sender } => block(context, sender, false).await,
        Command::Senders => {
            let senders = context.member().await?.senders().await?;
            context.print(&Senders { senders })
        }
    }
}

async fn block(context: &Context, sender: SenderId, blocked: bool) -> Result<(), Failure> {
    context.member().await?.block(sender, blocked).await?;
    context.print(&DealtWith {
        done: if blocked { "blocked" } else { "unblocked" },
        id: sender.to_string(),
    })
}

fn sender(text: &str) -> Result<SenderId, String> {
    if let Ok(id) = text.parse::<PatientId>() {
        return Ok(SenderId::Patient(id));
    }
    let id = text.parse::<InstitutionId>();
    id.map(SenderId::Institution)
        .map_err(|_| "expected pat_… or inst_…, as the inbox shows it".to_owned())
}

impl Member {
    async fn block(&self, sender: SenderId, blocked: bool) -> client_sdk::Result<()> {
        match self {
            Self::Patient(patient) => patient.block(sender, blocked).await,
            Self::Institution(institution) => institution.block(sender, blocked).await,
        }
    }

    async fn senders(&self) -> client_sdk::Result<Vec<SenderInfo>> {
        match self {
            Self::Patient(patient) => patient.senders().await,
            Self::Institution(institution) => institution.senders().await,
        }
    }
}

#[derive(Serialize)]
struct DealtWith {
    done: &'static str,
    id: String,
}

impl Report for DealtWith {
    fn text(&self) -> String {
        format!("{}: {}\n", self.done, self.id)
    }
}

#[derive(Serialize)]
struct Senders {
    senders: Vec<SenderInfo>,
}

impl Report for Senders {
    fn text(&self) -> String {
        if self.senders.is_empty() {
            return "There is nobody yet.\n".to_owned();
        }
        let rows = self.senders.iter().map(|sender| {
            let state = match (sender.blocked, sender.known) {
                (true, _) => "blocked",
                (false, true) => "known",
                (false, false) => "stranger",
            };
            [sender.id.to_string(), state.to_owned(), sender.open.to_string()]
        });
        table(["SENDER", "STATE", "UNANSWERED"], rows)
    }
}
