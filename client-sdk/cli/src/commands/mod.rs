//! The list of commands, and one file for each group of them: its options, what it does, and what it prints.

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

use clap::Subcommand;

use crate::{context::Context, failure::Failure};

/// One of the program's commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Accredit institutions; works offline
    #[command(subcommand)]
    Registrar(registrar::Command),
    /// Open a vault as a patient
    #[command(subcommand)]
    Patient(patient::Command),
    /// Join a server as an institution
    #[command(subcommand)]
    Institution(institution::Command),
    /// List accredited institutions, each verified; audit the server's log for them
    Directory(directory::Options),
    /// Show what has arrived: requests, permission keys, denials, receipts
    Inbox(inbox::Options),
    /// Bring medical information into a vault
    #[command(subcommand)]
    Upload(upload::Command),
    /// List or read the records of the patient's own vault
    Records(records::Options),
    /// Keep records in collections, which can be permitted as a whole (patient)
    #[command(subcommand)]
    Collection(collection::Command),
    /// Let another patient act in the vault: a parent, a carer, who holds a power of attorney (patient)
    #[command(subcommand)]
    Delegate(delegate::Command),
    /// Open the vault on several devices: link, approve, list, name, remove (patient)
    #[command(subcommand)]
    Device(device::Command),
    /// Prepare for the loss of all devices: a kit of 24 words, trustees, a rehearsal (patient)
    #[command(subcommand)]
    Recovery(recovery::Command),
    /// Open a vault again on a machine that has nothing but a kit's words or trustees' shares (patient)
    Recover(recover::Options),
    /// Prepare for emergencies, open in one, object: a card, guardians
    #[command(subcommand)]
    Emergency(emergency::Command),
    /// Read records with a patient's permission
    #[command(subcommand)]
    Download(download::Command),
    /// Ask a patient to let another institution read
    #[command(subcommand)]
    Reference(reference::Command),
    /// Answer a download or reference request with a permission key (patient)
    Permit(permit::PermitOptions),
    /// Answer a download or reference request with a refusal (patient)
    Deny(permit::DenyOptions),
    #[command(flatten)]
    Permissions(permissions::Command),
    /// Check the case of a permission, from the request to its end, without asking anybody
    Verify(verify::Options),
    /// Check the certificate of a revocation, without asking anybody
    Certificate(certificate::Options),
    /// Let this device answer by rules while nobody looks: read, activate, try them (patient)
    #[command(subcommand)]
    Rules(rules::Command),
    /// Answer requests by the active rules, now or for as long as it runs (patient)
    Agent(agent::Options),
    /// Show who asked, permitted, presented and received, with verified receipts (patient)
    History(history::Options),
    /// Ask for cosignatures of the server's log by witnesses that the operator does not run
    #[command(subcommand)]
    Witnesses(witnesses::Command),
    /// Look whether the home is what it was when it was left; change its passphrase
    #[command(subcommand)]
    Home(home::Command),
    /// Show the home's server, or follow it to another name or port
    #[command(subcommand)]
    Server(server::Command),
    /// Run another command, and show every request and answer of it, decoded
    Trace(trace::Options),
}

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
        Command::Permissions(command) => permissions::run(context, command).await,
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
