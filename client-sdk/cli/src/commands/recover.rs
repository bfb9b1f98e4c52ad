//! `medvault recover`: a vault again, on a machine that has nothing yet.

use std::path::PathBuf;

use clap::Args;
use client_sdk::{Recovered, RecoveringMachine, ServerLink, patient::PassedOver, text::timestamp};

use crate::{
    context::{Context, tell},
    failure::Failure,
    new_file,
    output::{fields, moment, plain},
    views::devices::rows,
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
    let Recovered {
        patient,
        devices,
        list_made,
        passed_over,
        ..
    } = recovered;
    let patient_id = patient.id();
    let text = format!(
        "{}This machine opens the vault of\n  {patient_id}\nwith these devices, as they were on {}:\n{}\
         Is a device missing, or one there that you removed? Then the server shows an old state: ask its operator.\n\
         Now remove what you have lost, and make a new kit, since its words were typed here:\n  \
         medvault device remove NAME --lost\n  medvault recovery kit\n",
        passed_over.as_ref().map(passed_text).unwrap_or_default(),
        moment(list_made),
        rows(&devices)
    );
    let passed = passed_over.map(|passed| {
        let root_epochs = [passed.from, passed.until];
        fields! { passed_over: fields! { root_epochs, #[serde(flatten)] passed } }
    });
    context.say(
        &text,
        &fields! { patient_id, devices, list_made: timestamp(list_made), #[serde(flatten)] passed },
    )
}

/// What was left behind because the newest root keys did not open.
fn passed_text(passed: &PassedOver) -> String {
    let PassedOver {
        from,
        until,
        by,
        at,
        removed,
        unfinished,
    } = passed;
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
