//! `medvault institution`: how a hospital, practice or laboratory joins a server, and lives on there.

mod rotate;
mod terminal;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;
use client_sdk::{Institution, ServerLink};

use super::witnesses;
use crate::{
    context::Context,
    failure::Failure,
    new_file::{self, NewFile},
    output::{fields, plain},
    qr,
    values::duration,
};

/// Joining, terminals, another key, the end.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Make the institution's keys in the home, and a request for the registrar
    #[command(after_help = EXAMPLES)]
    Request {
        /// The name that patients will read, as the registrar knows it
        #[arg(long)]
        name: String,
        /// Where the request goes; hand the file to the registrar
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Enrol with a server: proves both keys with the registrar's accreditation
    #[command(after_help = EXAMPLES)]
    Enrol {
        /// The server's link, as its operator hands it out; it pins the server's keys
        #[arg(long, value_name = "LINK")]
        server: ServerLink,
        /// The file that the registrar made with `medvault registrar accredit`
        #[arg(long, value_name = "FILE")]
        accreditation: PathBuf,
        /// Ask for these witnesses of the server's log: see `medvault witnesses --help`
        #[arg(long, value_name = "FILE")]
        witnesses: Option<PathBuf>,
    },
    /// Make an invitation, by which patients may enrol with the server
    #[command(after_help = INVITE_EXAMPLES)]
    Invite {
        /// How many patients may enrol by it
        #[arg(long, value_name = "N", default_value = "1")]
        uses: u32,
        /// For how long, at most 366d
        #[arg(long = "for", value_name = "TIME", default_value = "30d", value_parser = duration)]
        lifetime: Duration,
    },
    /// Machines that act for the institution with certificates of their own
    #[command(subcommand)]
    Terminal(terminal::Command),
    /// Go on with another key that patients wrap permissions to
    Rotate(rotate::RotateOptions),
    /// End the institution at this server, for ever
    Retire(rotate::RetireOptions),
}

const EXAMPLES: &str = "\
Examples:
  medvault institution request --name 'St. Anna' --out st-anna.request --home ~/st-anna
  medvault institution enrol --server LINK --accreditation st-anna.accreditation --home ~/st-anna";

const INVITE_EXAMPLES: &str = "\
Example:
  medvault institution invite --uses 20 --for 30d --home ~/st-anna

Hand what it prints to the patients: medvault patient enrol --server LINK. The server counts who enrols by it, and knows that they
were invited by you.";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Request { name, out } => request(context, &name, &out),
        Command::Enrol {
            server,
            accreditation,
            witnesses,
        } => enrol(context, &server, &accreditation, witnesses.as_deref()).await,
        Command::Invite { uses, lifetime } => invite(context, uses, lifetime).await,
        Command::Terminal(command) => terminal::run(context, command).await,
        Command::Rotate(options) => rotate::rotate(context, options).await,
        Command::Retire(options) => rotate::retire(context, options).await,
    }
}

fn request(context: &Context, name: &str, out: &Path) -> Result<(), Failure> {
    let out = NewFile::at(out)?;
    let (id, request) =
        Institution::request(context.ground()?, &context.unlock_to_make()?, name).map_err(Failure::naming)?;
    let path = out.write(&request)?;
    let request = path.display().to_string();
    context.say(
        &format!(
            "The keys are made; the institution's id will be\n  {id}\n\
             Hand the file {request} to the registrar, and compare this id with them.\n"
        ),
        &fields! { institution_id: id, request: &request },
    )
}

async fn enrol(
    context: &Context,
    server: &ServerLink,
    accreditation: &Path,
    policy: Option<&Path>,
) -> Result<(), Failure> {
    let policy = policy.map(witnesses::read).transpose()?;
    let accreditation = new_file::read(accreditation)?;
    let institution =
        Institution::enrol(context.ground()?, &context.unlock()?, server, &accreditation).await?;
    if let Some(policy) = policy {
        institution.trust().use_witnesses(&policy).await?;
    }
    let (id, name) = (institution.id(), institution.name());
    context.say(
        &format!("{} is enrolled as\n  {id}\n", plain(name)),
        &fields! { institution_id: id, name },
    )
}

async fn invite(context: &Context, uses: u32, lifetime: Duration) -> Result<(), Failure> {
    let invited = context.institution().await?.invite(uses, lifetime)?;
    let link = invited.to_string();
    let text = format!(
        "{}\nPatients who may enrol by it: {uses}. Hand this link to them:\n  {link}\n",
        qr::draw(&link)
    );
    let invitation = invited.invitation.map(|text| text.to_string());
    context.say(&text, &fields! { link, invitation, uses })
}
