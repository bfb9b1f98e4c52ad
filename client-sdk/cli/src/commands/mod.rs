//! One file for each command group: its options, what it does, and what it prints.

pub(crate) mod agent;
pub(crate) mod certificate;
pub(crate) mod collection;
pub(crate) mod delegate;
pub(crate) mod device;
pub(crate) mod directory;
pub(crate) mod download;
pub(crate) mod emergency;
pub(crate) mod history;
pub(crate) mod home;
pub(crate) mod inbox;
pub(crate) mod institution;
pub(crate) mod patient;
pub(crate) mod permissions;
pub(crate) mod permit;
pub(crate) mod programs;
pub(crate) mod records;
pub(crate) mod recover;
pub(crate) mod recovery;
pub(crate) mod reference;
pub(crate) mod registrar;
pub(crate) mod rules;
pub(crate) mod server;
pub(crate) mod trace;
pub(crate) mod upload;
pub(crate) mod verify;
pub(crate) mod witnesses;

use crate::{args::Command, context::Context, failure::Failure};

/// Runs one command and prints its result.
pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Registrar(command) => registrar::run(context, command),
        Command::Patient(command) => patient::run(context, command).await,
        Command::Institution(command) => institution::run(context, command).await,
        Command::Directory(options) => directory::run(context, options).await,
        Command::Inbox(options) => inbox::run(context, options).await,
        Command::Upload(command) => upload::run(context, command).await,
        Command::Records(options) => records::run(context, options).await,
        Command::Download(command) => download::run(context, command).await,
        Command::Reference(command) => reference::run(context, command).await,
        Command::Collection(command) => collection::run(context, command).await,
        Command::Delegate(command) => delegate::run(context, command).await,
        Command::Device(command) => device::run(context, command).await,
        Command::Recovery(command) => recovery::run(context, command).await,
        Command::Emergency(command) => emergency::run(context, command).await,
        Command::Recover(options) => recover::run(context, options).await,
        Command::Permit(options) => permit::permit(context, options).await,
        Command::Deny(options) => permit::deny(context, options).await,
        Command::Permissions => permissions::list(context).await,
        Command::Revoke(options) => permissions::revoke(context, options).await,
        Command::Certificate(options) => certificate::verify(context, &options),
        Command::Verify(options) => verify::run(context, &options),
        Command::Rules(command) => rules::run(context, command).await,
        Command::Agent(options) => agent::run(context, options).await,
        Command::History(options) => history::run(context, options).await,
        Command::Home(command) => home::run(context, command),
        Command::Server(command) => server::run(context, command).await,
        Command::Witnesses(command) => witnesses::run(context, command).await,
        Command::Trace(_) => Err(Failure::usage(
            "a trace cannot be traced: name the command itself",
        )),
    }
}
