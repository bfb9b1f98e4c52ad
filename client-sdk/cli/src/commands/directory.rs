//! `medvault directory`: whom the registrar accredited, as the server's log has it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use client_sdk::{
    Audited, DirectoryEntry, InstitutionId, LookAlikes, ServerLink, Sha256Digest, WithdrawnAccreditation,
    withdraw_accreditation,
};
use serde::Serialize;

use super::programs;
use crate::{
    context::Context,
    failure::Failure,
    new_file,
    output::{Report, plain, short_id, table},
    progress::Bar,
};

/// Which institutions to list, or what else to do with the directory.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    /// Only institutions whose name contains this
    name: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What is done with the directory.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// List accredited institutions, as without a command
    #[command(after_help = EXAMPLES)]
    List {
        /// Only institutions whose name contains this
        name: Option<String>,
    },
    /// Show all entries of one institution
    #[command(after_help = EXAMPLES)]
    Show {
        /// The institution's name or id
        institution: String,
    },
    /// Read the server's log itself and check that it is hiding no institution, nor what became of one
    #[command(after_help = EXAMPLES)]
    Audit,
    /// Bring a registrar's withdrawal to a server; no home and no key is needed
    #[command(after_help = EXAMPLES)]
    Withdraw {
        /// The file that the registrar made with `medvault registrar withdraw`
        file: PathBuf,
        /// The server's link, as its operator hands it out
        #[arg(long, value_name = "LINK")]
        server: ServerLink,
    },
    /// Bring what a registrar says of a client program to a server; no home and no key is needed
    #[command(after_help = PROGRAMS)]
    Publish {
        /// The file that the registrar made with `medvault registrar vouch`
        file: PathBuf,
        /// The server's link, as its operator hands it out
        #[arg(long, value_name = "LINK")]
        server: ServerLink,
    },
    /// List the client programs that the registrar vouches for
    #[command(after_help = PROGRAMS)]
    Programs,
    /// Ask which client program a file is, before you put it in the place of the one that you have
    #[command(after_help = PROGRAMS)]
    Check {
        /// The file that may be a program
        file: PathBuf,
    },
}

const EXAMPLES: &str = "\
Examples:
  medvault directory
  medvault directory 'St. Anna' --json
  medvault directory show 'St. Anna'
  medvault directory audit
  medvault directory withdraw st-anna.withdrawal --server 'https://vault.example:8443/#…'

The directory is mirrored in the home: every event of it is checked against the registrar's key that the server's link pins, and
all of them against the server's log. An audit reads the log itself, from where it was audited last.";

const PROGRAMS: &str = "\
Examples:
  medvault directory publish medvault-1.0.1.program --server 'https://vault.example:8443/#…'
  medvault directory programs
  medvault directory check Downloads/medvault

A file is a program only if exactly its SHA-256 stands in the server's log, where everybody sees it. Whoever likes builds the same
file from its source and compares.";

pub(crate) async fn run(context: &Context, options: Options) -> Result<(), Failure> {
    match options.command {
        None => list(context, options.name.as_deref()).await,
        Some(Command::List { name }) => list(context, name.as_deref()).await,
        Some(Command::Show { institution }) => {
            let entries = context.member().await?.trust().entries(&institution).await?;
            context.print(&Chain {
                entries: entries.iter().map(ChainEntry::from).collect(),
            })
        }
        Some(Command::Audit) => {
            let bar = Bar::entries("reading the log", context.json());
            let audited = context.member().await?.trust().audit(&bar).await?;
            context.print(&audited)
        }
        Some(Command::Withdraw { file, server }) => {
            let withdrawn =
                withdraw_accreditation(&server, &new_file::read(&file)?, &context.nowhere()).await?;
            context.print(&withdrawn)
        }
        Some(Command::Publish { file, server }) => programs::publish(context, &file, &server).await,
        Some(Command::Programs) => programs::list(context).await,
        Some(Command::Check { file }) => programs::check(context, &file).await,
    }
}

async fn list(context: &Context, filter: Option<&str>) -> Result<(), Failure> {
    let member = context.member().await?;
    let entries = member.trust().institutions(filter).await?;
    let alike = member.trust().look_alikes().await?;
    let marked = |entry: &DirectoryEntry| ListedInstitution {
        looks_like: looks_like(&alike, entry.id()),
        ..ListedInstitution::from(entry)
    };
    context.print(&Directory {
        institutions: entries.iter().map(marked).collect(),
    })
}

/// The ids of others whose names look like this institution's.
pub(crate) fn looks_like(alike: &LookAlikes, institution: InstitutionId) -> Vec<InstitutionId> {
    alike.get(&institution).into_iter().flatten().copied().collect()
}

/// `, looks like inst_…` for each of them.
pub(crate) fn marks(looks_like: &[InstitutionId]) -> String {
    let marks = looks_like
        .iter()
        .map(|id| format!(", looks like {}", short_id(id)));
    marks.collect()
}

#[derive(Serialize)]
struct Directory {
    institutions: Vec<ListedInstitution>,
}

#[derive(Serialize)]
struct ListedInstitution {
    institution_id: InstitutionId,
    name: String,
    /// Entries of its chain before this one.
    rotations: u64,
    retired: bool,
    /// The registrar has withdrawn its accreditation.
    withdrawn: bool,
    /// Others whose names look like this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    looks_like: Vec<InstitutionId>,
}

impl From<&DirectoryEntry> for ListedInstitution {
    fn from(entry: &DirectoryEntry) -> Self {
        Self {
            institution_id: entry.id(),
            name: entry.name().as_str().to_owned(),
            rotations: entry.sequence(),
            retired: entry.retirement().is_some(),
            withdrawn: entry.withdrawal().is_some(),
            looks_like: Vec::new(),
        }
    }
}

impl ListedInstitution {
    fn state(&self) -> &'static str {
        match (self.withdrawn, self.retired) {
            (true, _) => ", accreditation withdrawn",
            (false, true) => ", retired",
            (false, false) => "",
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
                let marks = entry.state().to_owned() + &marks(&entry.looks_like);
                let marks = marks.trim_start_matches(", ").to_owned();
                [entry.institution_id.to_string(), plain(&entry.name), marks]
            }),
        )
    }
}

#[derive(Serialize)]
struct Chain {
    entries: Vec<ChainEntry>,
}

#[derive(Serialize)]
struct ChainEntry {
    #[serde(flatten)]
    entry: ListedInstitution,
    entry_hash: Sha256Digest,
    /// The hash of the key.
    recipient_key: Sha256Digest,
    emergency: bool,
}

impl From<&DirectoryEntry> for ChainEntry {
    fn from(entry: &DirectoryEntry) -> Self {
        Self {
            entry: entry.into(),
            entry_hash: entry.entry_hash(),
            recipient_key: entry.recipient_key().digest(),
            emergency: entry.accreditation().emergency,
        }
    }
}

impl Report for Chain {
    fn text(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            let ListedInstitution {
                institution_id,
                name,
                rotations,
                ..
            } = &entry.entry;
            let emergency = if entry.emergency { ", for emergencies" } else { "" };
            text.push_str(&format!(
                "{} ({institution_id}), entry {rotations}{emergency}{}\n  entry         {}\n  recipient key {}\n",
                plain(name),
                entry.entry.state(),
                entry.entry_hash,
                entry.recipient_key,
            ));
        }
        text
    }
}

impl Report for Audited {
    fn text(&self) -> String {
        let Self {
            from,
            size: log_size,
            events,
            institutions,
        } = self;
        format!(
            "The log was read from entry {from} to {log_size}. Its {events} events of the directory, about {institutions} institutions, \
             verify,\nare what its checkpoint says there are, and are what this home was shown.\n"
        )
    }
}

impl Report for WithdrawnAccreditation {
    fn text(&self) -> String {
        let Self {
            institution: institution_id,
            index,
            size: log_size,
        } = self;
        format!(
            "The accreditation of {institution_id} is withdrawn.\nIt stands at {index} in the server's log of {log_size} entries, proven.\n"
        )
    }
}
