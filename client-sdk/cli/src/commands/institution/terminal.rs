//! `medvault institution terminal`: machines that act for an institution.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use client_sdk::{Institution, InstitutionId, ServerLink, TerminalId, TerminalInfo, text::timestamp};

use crate::{
    confirm::{confirm, from_now},
    context::Context,
    failure::Failure,
    new_file::{self, NewFile},
    output::{fields, moment, plain, table_or},
    values::duration,
};

/// From a new machine to one that acts, and to its end.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// On the new terminal: make its keys, and a request for the institution
    #[command(after_help = EXAMPLES)]
    Request(RequestOptions),
    /// In the institution's home: certify a terminal, and give it the keys that open permissions
    #[command(after_help = EXAMPLES)]
    Add {
        /// The file that the terminal made with `terminal request`
        request_file: PathBuf,
        /// For how long the certificate holds
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "365d")]
        expires: Duration,
        /// Do not ask whether the terminal's id is right
        #[arg(long)]
        yes: bool,
    },
    /// On the new terminal, once it is certified: join the server
    #[command(after_help = EXAMPLES)]
    Join {
        /// The server's link; it pins the server's keys
        #[arg(long, value_name = "LINK")]
        server: ServerLink,
        /// The institution's id, as its own home shows it
        #[arg(long, value_name = "ID")]
        institution: InstitutionId,
    },
    /// List the terminals, also those that were removed
    #[command(after_help = EXAMPLES)]
    List,
    /// In the institution's home: end a terminal, at once and for ever
    #[command(after_help = EXAMPLES)]
    Remove {
        /// The terminal's id, as `terminal list` shows it
        terminal: TerminalId,
    },
}

/// The name of a new terminal, and where its request goes.
#[derive(Args, Debug)]
pub(crate) struct RequestOptions {
    /// What the institution calls it, such as 'Ward 3'
    #[arg(long)]
    name: String,
    /// Where the request goes; take the file to the institution's own home
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Example:
  medvault institution terminal request --name 'Ward 3' --out ward-3.request --home ~/ward-3
  medvault institution terminal add ward-3.request --expires 365d --home ~/st-anna
  medvault institution terminal join --server LINK --institution inst_… --home ~/ward-3
  medvault institution terminal list --home ~/st-anna
  medvault institution terminal remove term_… --home ~/st-anna

Compare the terminal's id on both screens before you certify it. A terminal that was removed gets nothing more
from the server, but still knows the key that permissions are wrapped to: run `medvault institution rotate` after it.";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Request(options) => request(context, &options),
        Command::Add {
            request_file,
            expires,
            yes,
        } => add(context, &request_file, expires, yes).await,
        Command::Join { server, institution } => {
            let unlock = context.unlock()?;
            let joined = Institution::join(context.ground()?, &unlock, &server, institution).await?;
            let terminal_id = joined.terminal_id().map(|id| id.to_string()).unwrap_or_default();
            let (institution_id, name) = (joined.id(), joined.name());
            context.say(
                &format!("This terminal acts for {}\n  {institution_id}\n", plain(name)),
                &fields! { terminal_id, institution_id, name },
            )
        }
        Command::List => {
            let terminals = context.institution().await?.terminals().await?;
            context.say(&listed(&terminals), &fields! { terminals: &terminals })
        }
        Command::Remove { terminal } => {
            context.institution().await?.remove_terminal(terminal).await?;
            let text = format!(
                "{terminal} gets nothing more from the server.\nIt still knows the key that permissions are wrapped to: run \
                 `medvault institution rotate`.\n"
            );
            context.say(&text, &fields! { terminal_id: terminal })
        }
    }
}

fn request(context: &Context, options: &RequestOptions) -> Result<(), Failure> {
    let out = NewFile::at(&options.out)?;
    let (id, request) =
        Institution::terminal_request(context.ground()?, &context.unlock_to_make()?, &options.name)
            .map_err(Failure::naming)?;
    let path = out.write(&request)?;
    let request = path.display().to_string();
    context.say(
        &format!(
            "The keys are made; the terminal's id is\n  {id}\n\
             Take the file {request} to the institution's home: `medvault institution terminal add`, and compare this id there.\n"
        ),
        &fields! { terminal_id: id, request: &request },
    )
}

async fn add(context: &Context, request: &Path, expires: Duration, yes: bool) -> Result<(), Failure> {
    let request = new_file::read(request)?;
    let asks = Institution::inspect_terminal(&request)?;
    if !yes && !context.json() {
        let about = format!(
            "name      {}\nterminal  {}\nuntil     {}",
            plain(&asks.name),
            asks.id,
            moment(from_now(expires))
        );
        confirm(
            &about,
            "Does the terminal show this id, and shall it act for the institution?",
        )?;
    }
    let added = context
        .institution()
        .await?
        .add_terminal(&request, expires)
        .await?;
    let (name, until) = (plain(&added.name), moment(added.not_after));
    context.say(
        &format!("{name} is certified until {until}.\nOn it, run `medvault institution terminal join`.\n"),
        &added,
    )
}

fn listed(terminals: &[TerminalInfo]) -> String {
    let rows = terminals.iter().map(|terminal| {
        [
            terminal.id.to_string(),
            plain(&terminal.name),
            moment(terminal.not_after),
            terminal.removed.map(timestamp).unwrap_or_default(),
        ]
    });
    table_or(
        "There are no terminals: the institution's own home acts for it.\n",
        ["TERMINAL", "NAME", "EXPIRES", "REMOVED"],
        rows,
    )
}
