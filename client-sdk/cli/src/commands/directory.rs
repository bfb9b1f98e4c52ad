//! `medvault directory`: whom the registrar accredited.

use clap::Args;
use client_sdk::DirectoryEntry;
use serde::Serialize;

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, plain, table},
};

/// Which institutions to list.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Only institutions whose name contains this
    name: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  medvault directory
  medvault directory 'St. Anna' --json

Each entry is checked against the registrar's key that the server's link pins.";

pub(crate) async fn run(context: &Context, options: Options) -> Result<(), Failure> {
    let filter = options.name.as_deref();
    let entries = context.member().await?.directory(filter).await?;
    context.print(&Directory {
        institutions: entries.iter().map(Entry::from).collect(),
    })
}

#[derive(Serialize)]
struct Directory {
    institutions: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    institution_id: String,
    name: String,
    /// Entries of its chain before this one.
    rotations: u64,
    retired: bool,
}

impl From<&DirectoryEntry> for Entry {
    fn from(entry: &DirectoryEntry) -> Self {
        Self {
            institution_id: entry.id().to_string(),
            name: entry.name().as_str().to_owned(),
            rotations: entry.sequence(),
            retired: entry.retirement().is_some(),
        }
    }
}

impl Report for Directory {
    fn text(&self) -> String {
        if self.institutions.is_empty() {
            return "No accredited institution matches.\n".to_owned();
        }
        table(
            ["INSTITUTION", "NAME", ""],
            self.institutions.iter().map(|entry| {
                let state = if entry.retired { "retired" } else { "" };
                [entry.institution_id.clone(), plain(&entry.name), state.to_owned()]
            }),
        )
    }
}
