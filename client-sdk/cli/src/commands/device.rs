//! `medvault device`: the patient's devices.

use std::{
    io::{self, BufRead, IsTerminal, Write as _},
    time::Duration,
};

use clap::Subcommand;
use client_sdk::{DeviceInfo, DeviceKind, NewDevice, ServerLink};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    context::Context,
    failure::Failure,
    given,
    output::{Report, moment, plain, table, timestamp},
    progress::Bar,
    qr,
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
    /// List the devices
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
    /// Remove a device: it is refused at once, and what comes later is under keys that it does not have
    #[command(after_help = EXAMPLES)]
    Remove {
        /// The device: name or id
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
  medvault device remove Tablet";

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
            context.print(&List {
                devices: devices.iter().map(Entry::from).collect(),
            })
        }
        Command::Name { device, name } => {
            let patient = context.patient().await?;
            let device = patient.find_device(&device).await?;
            patient.name_device(device.id, &name).await?;
            context.print(&Done {
                done: "renamed",
                device_id: device.id.to_string(),
                name,
            })
        }
        Command::Remove { device } => {
            let patient = context.patient().await?;
            // By its id a removal that was broken off is taken up again.
            let id = match device.parse() {
                Ok(id) => id,
                Err(_) => patient.find_device(&device).await?.id,
            };
            patient
                .remove_device(id, &Bar::records("Re-wrapping", context.json()))
                .await?;
            context.print(&Done {
                done: "removed",
                device_id: id.to_string(),
                name: device,
            })
        }
    }
}

async fn link(context: &Context, server: &ServerLink) -> Result<(), Failure> {
    let home = context.home()?;
    let unlock = context.unlock_to_make()?;
    let mut device = NewDevice::offer(home, server).await?;
    let code = device.code();
    context.print(&Code {
        qr: qr::draw(&code),
        code: &code,
        valid_seconds: PATIENCE.as_secs(),
    })?;
    let short_string = device.short_string(PATIENCE).await?;
    context.print(&ShortString { short_string })?;
    let patient = device.wait(&unlock, PATIENCE).await?;
    let devices = patient.devices().await?;
    context.print(&Linked {
        patient_id: patient.id().to_string(),
        devices: devices.iter().map(Entry::from).collect(),
    })
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
    context.print(&Done {
        done: "added",
        device_id: id.to_string(),
        name: name.to_owned(),
    })
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
    Ok(read_line()?.to_string())
}

fn read_line() -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(String::new());
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|source| Failure::usage(format!("standard input cannot be read ({source})")))?;
    Ok(Zeroizing::new(line.trim().to_owned()))
}

/// As long as the server keeps an offer.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

#[derive(Serialize)]
struct Code<'a> {
    code: &'a str,
    valid_seconds: u64,
    #[serde(skip)]
    qr: String,
}

impl Report for Code<'_> {
    fn text(&self) -> String {
        format!(
            "{}\n\nOn a device that you have, within ten minutes:\n  medvault device approve --name NAME\nand give it this code:\n  {}\n\nWaiting …\n",
            self.qr, self.code
        )
    }
}

#[derive(Serialize)]
struct ShortString {
    short_string: String,
}

impl Report for ShortString {
    fn text(&self) -> String {
        format!(
            "\nType this short string on the device that you have:\n  {}\n\nWaiting …\n",
            self.short_string
        )
    }
}

#[derive(Serialize)]
struct Linked {
    patient_id: String,
    devices: Vec<Entry>,
}

impl Report for Linked {
    fn text(&self) -> String {
        format!(
            "This device opens the vault of\n  {}\nwith these:\n{}",
            self.patient_id,
            rows(&self.devices)
        )
    }
}

#[derive(Serialize)]
pub(super) struct Entry {
    device_id: String,
    name: String,
    kind: &'static str,
    this: bool,
    added: String,
    #[serde(skip)]
    added_ms: u64,
}

impl From<&DeviceInfo> for Entry {
    fn from(info: &DeviceInfo) -> Self {
        Self {
            device_id: info.id.to_string(),
            name: info.name.clone(),
            kind: match info.kind {
                DeviceKind::Device => "device",
                DeviceKind::Recovery => "recovery",
            },
            this: info.this,
            added: timestamp(info.added),
            added_ms: info.added,
        }
    }
}

#[derive(Serialize)]
struct List {
    devices: Vec<Entry>,
}

impl Report for List {
    fn text(&self) -> String {
        rows(&self.devices)
    }
}

pub(super) fn rows(devices: &[Entry]) -> String {
    table(
        ["DEVICE", "KIND", "ADDED", "", "NAME"],
        devices.iter().map(|device| {
            [
                device.device_id.clone(),
                device.kind.to_owned(),
                moment(device.added_ms),
                if device.this { "this one" } else { "" }.to_owned(),
                plain(&device.name),
            ]
        }),
    )
}

#[derive(Serialize)]
struct Done {
    done: &'static str,
    device_id: String,
    name: String,
}

impl Report for Done {
    fn text(&self) -> String {
        format!("{}: {}\n  {}\n", self.done, plain(&self.name), self.device_id)
    }
}
