//! `medvault collection`: the patient's collections, and what lies in them.

use clap::Subcommand;
use client_sdk::{CollectionId, CollectionInfo, RecordId};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, plain, table},
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
    /// List the collections
    #[command(after_help = EXAMPLES)]
    List,
    /// Move records into a collection: permissions over the one they leave release them no more
    #[command(after_help = EXAMPLES)]
    Move {
        /// The records
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
            context.print(&Created(made))
        }
        Command::List => {
            let collections = patient.collections().await?;
            context.print(&List { collections })
        }
        Command::Move { records, to } => {
            let to = patient.collection(&to).await?;
            for record in &records {
                patient.move_record(*record, to.id).await?;
            }
            context.print(&Moved {
                collection_id: to.id,
                name: to.name,
                records,
            })
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Created(CollectionInfo);

impl Report for Created {
    fn text(&self) -> String {
        format!("Made.\n  {}\n", self.0.id)
    }
}

#[derive(Serialize)]
struct List {
    collections: Vec<CollectionInfo>,
}

impl Report for List {
    fn text(&self) -> String {
        table(
            ["COLLECTION", "NAME", "EPOCH"],
            self.collections
                .iter()
                .map(|entry| [entry.id.to_string(), plain(&entry.name), entry.epoch.to_string()]),
        )
    }
}

#[derive(Serialize)]
struct Moved {
    collection_id: CollectionId,
    name: String,
    records: Vec<RecordId>,
}

impl Report for Moved {
    fn text(&self) -> String {
        format!("Moved {} into {}.\n", self.records.len(), plain(&self.name))
    }
}
