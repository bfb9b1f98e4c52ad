//! `medvault recover`: a vault again, on a machine that has nothing yet.

use std::path::PathBuf;

use clap::Args;
use client_sdk::{
    DeviceInfo, PatientId, Recovered, RecoveringMachine, ServerLink, patient::PassedOver, text,
};
use serde::Serialize;

use crate::{
    commands::device::rows,
    context::{Context, tell},
    failure::Failure,
    new_file,
    output::{Report, moment, plain},
    words,
};

/// With a kit's words, which are asked for or read from standard input, or with shares of trustees.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The server's link, as it stands on the kit
    #[arg(long, value_name = "LINK")]
    server: ServerLink,
    /// What trustees have given back, in the home that `recovery ask` has made
    #[arg(long, value_name = "FILE", num_args = 1..)]
    shares: Vec<PathBuf>,
    /// What you call this machine
    #[arg(long, value_name = "NAME", default_value = "recovered device")]
    name: String,
}

const EXAMPLES: &str = "\
Examples:
  medvault recover --home ~/vault --server 'https://vault.example:8443/#m3k…'
  medvault recover --home ~/vault --server 'https://vault.example:8443/#m3k…' --shares eva.returned leo.returned";

pub(crate) async fn run(context: &Context, options: Options) -> Result<(), Failure> {
    let Options { server, shares, name } = options;
    let home = context.ground()?;
    let recovered = if shares.is_empty() {
        let unlock = context.unlock_to_make()?;
        let words = words::read().await?;
        Recovered::with_words(home, &unlock, &server, &words, &name).await?
    } else {
        let unlock = context.unlock()?;
        let read = |path: &PathBuf| Ok((path.display().to_string(), new_file::read(path)?));
        let shares = shares.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
        let machine = RecoveringMachine::open(home, &unlock).await?;
        machine.recover(&unlock, &server, &shares, &name).await?
    };
    // From here on it is told what others add.
    tell(&recovered.patient).await;
    context.print(&Restored {
        patient_id: recovered.patient.id(),
        devices: recovered.devices,
        list_made: recovered.list_made,
        passed_over: recovered.passed_over.map(|passed| Passed {
            root_epochs: [passed.from, passed.until],
            passed,
        }),
    })
}

#[derive(Serialize)]
struct Restored {
    patient_id: PatientId,
    devices: Vec<DeviceInfo>,
    #[serde(serialize_with = "text::moment")]
    list_made: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    passed_over: Option<Passed>,
}

/// Root keys that did not open.
#[derive(Serialize)]
struct Passed {
    root_epochs: [u64; 2],
    #[serde(flatten)]
    passed: PassedOver,
}

impl Passed {
    fn text(&self) -> String {
        let PassedOver {
            from,
            until,
            by,
            at,
            removed,
            unfinished,
        } = &self.passed;
        let removed = removed.iter();
        let removed = removed.map(|(id, name)| format!("  {} ({id})\n", plain(name)));
        let unfinished = unfinished.as_ref().map_or_else(String::new, |cause| {
            format!(
                "What they have given has not all ended ({}): remove them once more, by their ids.\n",
                plain(cause)
            )
        });
        format!(
            "The newest root key did not open (epochs {from} to {until}): {} put the first on {}, or the server shows another one. The \
             vault goes on from what the server had kept of the epoch before. What was sealed or placed under those keys cannot be read \
             here, but for records that are still as they came. Removed for it, with all that they have given:\n{}{unfinished}",
            plain(by),
            moment(*at),
            removed.collect::<String>()
        )
    }
}

impl Report for Restored {
    fn text(&self) -> String {
        let passed_over = self.passed_over.as_ref().map_or_else(String::new, Passed::text);
        format!(
            "{passed_over}This machine opens the vault of\n  {}\nwith these devices, as they were on {}:\n{}\
             Is a device missing, or one there that you removed? Then the server shows an old state: ask its operator.\n\
             Now remove what you have lost, and make a new kit, since its words were typed here:\n  \
             medvault device remove NAME --lost\n  medvault recovery kit\n",
            self.patient_id,
            moment(self.list_made),
            rows(&self.devices)
        )
    }
}
