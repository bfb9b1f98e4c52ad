//! `medvault device`: the patient's devices.

mod remove;

use std::{
    io::{self, IsTerminal, Write as _},
    time::Duration,
};

use clap::Subcommand;
use client_sdk::{DeviceId, NewDevice, ServerLink};

use crate::{
    context::{Context, tell},
    failure::Failure,
    given,
    output::{fields, plain},
    qr,
    views::devices::rows,
};

/// What a patient does with her devices.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// On the new device: show a code, then a short string, and wait to be approved
    #[command(after_help = EXAMPLES)]
    Link {
        /// The server's link, as its operator hands it out
        #[arg(long, value_name = "LINK")]
        server: ServerLink,
    },
    /// On a device that you have: enter the code, then the short string that the new device shows, and add it
    #[command(after_help = EXAMPLES)]
    Approve {
        /// `-`: the code that the new device shows is read from standard input; without it you are asked
        #[arg(value_name = "-", allow_hyphen_values = true)]
        code: Option<String>,
        /// What you call the new device
        #[arg(long, value_name = "NAME", default_value = "another device")]
        name: String,
        /// The short string that the new device shows once this command has run; without it you are asked
        #[arg(long, value_name = "DIGITS")]
        short_string: Option<String>,
    },
    /// List the devices that open the vault
    #[command(after_help = EXAMPLES)]
    List,
    /// Call a device something else
    #[command(after_help = EXAMPLES)]
    Name {
        /// The device: name or id
        device: String,
        /// What you call it from now on
        name: String,
    },
    /// Show what a device has given that still holds, also by way of devices that it has added
    #[command(after_help = EXAMPLES)]
    Given(remove::GivenOptions),
    /// Remove a device: it is refused at once, what it has given ends, and what comes later is under keys that it does not have
    #[command(after_help = EXAMPLES)]
    Remove(remove::RemoveOptions),
    /// Remove a device that is still in your hand: what it has given stays, signed again by this one
    #[command(after_help = EXAMPLES)]
    Retire(remove::RetireOptions),
    /// Have a recovery kit or trustees stay, whose leaving another device has announced
    #[command(after_help = EXAMPLES)]
    Keep {
        /// The kit or the trustees: name or id
        device: String,
    },
}

const EXAMPLES: &str = "\
Examples:
  medvault device link --home ~/vault --server 'https://vault.example:8443/#m3k…'     on the new device
  medvault device approve --name Tablet                                               on one that you have
  medvault device approve - --name Tablet --short-string 123-456-789                  reads the code from standard input
  medvault device list --json
  medvault device name dev_ae5… 'Tablet in the kitchen'
  medvault device given Tablet --since 3d
  medvault device remove Tablet --lost                        all that it has ever given ends
  medvault device remove Tablet --lost --since 2026-11-29T10:00Z
  medvault device retire 'Old telephone' --end perm_ae8…      all else stays
  medvault device keep 'recovery kit'";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Link { server } => link(context, &server).await,
        Command::Approve {
            code,
            name,
            short_string,
        } => approve(context, code, &name, short_string).await,
        Command::List => {
            let devices = context.patient().await?.devices().await?;
            context.say(&rows(&devices), &fields! { devices: &devices })
        }
        Command::Name { device, name } => {
            let patient = context.patient().await?;
            let device = patient.find_device(&device).await?;
            patient.name_device(device.id, &name).await?;
            say_done(context, "renamed", device.id, &name)
        }
        Command::Given(options) => remove::given(context, options).await,
        Command::Remove(options) => remove::remove(context, options).await,
        Command::Retire(options) => remove::retire(context, options).await,
        Command::Keep { device } => {
            let patient = context.patient().await?;
            let member = patient.find_device(&device).await?;
            patient.keep_member(member.id).await?;
            say_done(context, "stays", member.id, &member.name)
        }
    }
}

async fn link(context: &Context, server: &ServerLink) -> Result<(), Failure> {
    let home = context.ground()?;
    let unlock = context.unlock_to_make()?;
    let mut device = NewDevice::offer(home, server).await?;
    let code = device.code();
    let text = format!(
        "{}\n\nOn a device that you have, within ten minutes:\n  medvault device approve --name NAME\nand give it this code:\n  {}\n\nWaiting …\n",
        qr::draw(&code),
        code.as_str()
    );
    context.say(
        &text,
        &fields! { code: code.as_str(), valid_seconds: PATIENCE.as_secs() },
    )?;
    let short_string = device.short_string(PATIENCE).await?;
    context.say(
        &format!("\nType this short string on the device that you have:\n  {short_string}\n\nWaiting …\n"),
        &fields! { short_string: &short_string },
    )?;
    let patient = device.wait(&unlock, PATIENCE).await?;
    let devices = patient.devices().await?;
    // From here on it is told what others add.
    tell(&patient).await;
    let (patient_id, rows) = (patient.id(), rows(&devices));
    context.say(
        &format!("This device opens the vault of\n  {patient_id}\nwith these:\n{rows}"),
        &fields! { patient_id, devices },
    )
}

async fn approve(
    context: &Context,
    code: Option<String>,
    name: &str,
    short_string: Option<String>,
) -> Result<(), Failure> {
    let code = given::code(code, "Code of the new device: ", context.global()).await?;
    let patient = context.patient().await?;
    let pending = patient.pending_device(&code).await?;
    let short_string = match short_string {
        Some(text) => text,
        None => ask()?,
    };
    let id = patient.approve_device(&pending, &short_string, name).await?;
    say_done(context, "added", id, name)
}

/// Prints what has become of a device.
fn say_done(context: &Context, done: &str, device: DeviceId, name: &str) -> Result<(), Failure> {
    context.say(
        &format!("{done}: {}\n  {device}\n", plain(name)),
        &fields! { done, device_id: device, name },
    )
}

/// The string is on the new device and nowhere else: whoever is to type it must look there (DEV-10).
fn ask() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "the new device now shows a short string: run this again with --short-string and what it shows",
        ));
    }
    let mut out = io::stderr();
    let _ = write!(out, "Type the short string that the new device shows now: ");
    let _ = out.flush();
    Ok(given::typed_line()?.to_string())
}

/// As long as the server keeps an offer.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
