//! `medvault collection`: the patient's collections, and what lies in them.

use clap::Subcommand;
use client_sdk::RecordId;

use crate::{
    context::Context,
    failure::Failure,
    output::{fields, plain, table},
};

/// What a patient does with her collections.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Make a collection; its name is sealed, the server cannot read it
    #[command(after_help = EXAMPLES)]
    Create {
        /// Its name; `emergency` is the one that is opened in an emergency
        name: String,
    },
    /// List the collections, with their names and epochs
    #[command(after_help = EXAMPLES)]
    List,
    /// Move records into a collection: permissions over the one they leave release them no more
    #[command(after_help = EXAMPLES)]
    Move {
        /// The records that are moved
        #[arg(required = true, value_name = "RECORD")]
        records: Vec<RecordId>,
        /// The collection: name or id
        #[arg(long, value_name = "COLLECTION")]
        to: String,
    },
}

const EXAMPLES: &str = "\
Examples:
  medvault collection create cardiology
  medvault collection move rec_ae5… rec_ae6… --to cardiology
  medvault permit req_ae7… --collection cardiology --expires 90d --uses 20
  medvault collection list --json";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let patient = context.patient().await?;
    match command {
        Command::Create { name } => {
            let made = patient.create_collection(&name).await?;
            context.say(&format!("Made.\n  {}\n", made.id), &made)
        }
        Command::List => {
            let collections = patient.collections().await?;
            let rows = collections
                .iter()
                .map(|entry| [entry.id.to_string(), plain(&entry.name), entry.epoch.to_string()]);
            let text = table(["COLLECTION", "NAME", "EPOCH"], rows);
            context.say(&text, &fields! { collections: &collections })
        }
        Command::Move { records, to } => {
            let to = patient.collection(&to).await?;
            for record in &records {
                patient.move_record(*record, to.id).await?;
            }
            context.say(
                &format!("Moved {} into {}.\n", records.len(), plain(&to.name)),
                &fields! { collection_id: to.id, name: &to.name, records: &records },
            )
        }
    }
}
