//! `medvault emergency`: a card and guardians, what helpers do with them, and how a patient objects.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use client_sdk::{
    EmergencyCard, EmergencyKey, EmergencyLimits, PatientId, RequestId, patient::Unanswered, text::timestamp,
};

use crate::{
    commands::download::say_fetched,
    context::Context,
    failure::Failure,
    given,
    new_file::{NewFile, SecretPage},
    output::{fields, moment, note, party, table_or},
    progress::Bar,
    values::{byte_count, duration},
};

/// How a patient prepares, how helpers open, how she objects.
#[derive(Debug, Subcommand)]
// A guardian's `help` is a command of its own; `--help` explains.
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) enum Command {
    /// Make the card that the patient carries; the one before opens nothing any more (patient)
    #[command(after_help = EXAMPLES)]
    Card {
        /// Write it as a page to print; the file holds the code
        #[arg(long, value_name = "FILE")]
        pdf: PathBuf,
        #[command(flatten)]
        limits: LimitOptions,
    },
    /// Name those who can help without the card (patient)
    #[command(subcommand)]
    Guardian(GuardianCommand),
    /// Open a patient's emergency collection, with her card or after a guardian's help (institution)
    #[command(after_help = EXAMPLES)]
    Open {
        /// The patient's id, as it stands on the card
        #[arg(long, value_name = "PATIENT")]
        patient: PatientId,
        /// `-`: with the card; its code, or the text of its QR code, is asked for. Without it: a guardian's help
        #[arg(long, value_name = "-", allow_hyphen_values = true)]
        card: Option<String>,
        /// The folder; the files go into DIR/RECORD, which must not exist yet
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// As a guardian: let an institution open when the patient does not object in time (patient)
    #[command(after_help = EXAMPLES)]
    Help {
        /// The patient whose guardian you are
        #[arg(long, value_name = "PATIENT")]
        patient: PatientId,
        /// The institution that needs the records, accredited for emergencies
        #[arg(long, value_name = "NAME|ID")]
        institution: String,
    },
    /// Object to a guardian's help, while its waiting time runs (patient)
    #[command(after_help = EXAMPLES)]
    Object {
        /// The help, as the inbox shows it
        help: RequestId,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum GuardianCommand {
    /// Name a guardian, who has to accept it
    #[command(after_help = EXAMPLES)]
    Add {
        /// Her patient id, as she handed it over
        guardian: PatientId,
        /// How long you can object before anything is opened
        #[arg(long, value_name = "TIME", default_value = "2h", value_parser = duration)]
        wait: Duration,
        #[command(flatten)]
        limits: LimitOptions,
    },
    /// List the guardians, and what they have begun
    #[command(after_help = EXAMPLES)]
    List,
    /// As a guardian: accept to help a patient who has named you; before that you cannot
    #[command(after_help = EXAMPLES)]
    Accept {
        /// The patient who has named you
        patient: PatientId,
    },
    /// As a guardian: refuse, or be it no longer
    #[command(after_help = EXAMPLES)]
    Refuse {
        /// The patient who has named you
        patient: PatientId,
    },
    /// Remove a guardian; what she could open is brought under a new key
    #[command(after_help = EXAMPLES)]
    Remove {
        /// The patient id of the guardian
        guardian: PatientId,
    },
}

/// How often a card or guardian may open, how much, and until when.
#[derive(Args, Debug)]
pub(crate) struct LimitOptions {
    /// How often it can be used in all
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,
    /// How many bytes may leave in all; without this, as many as there are
    #[arg(long, value_name = "SIZE", value_parser = byte_count)]
    max_bytes: Option<u64>,
    /// How long from now it can be used
    #[arg(long, value_name = "TIME", default_value = "5years", value_parser = duration)]
    expires: Duration,
}

impl From<&LimitOptions> for EmergencyLimits {
    fn from(limits: &LimitOptions) -> Self {
        Self {
            uses: limits.uses,
            bytes: limits.max_bytes,
            expires: limits.expires,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  medvault emergency card --pdf card.pdf
  medvault emergency guardian add pat_kq2… --wait 2h
  medvault emergency guardian accept pat_ab3…                             the guardian
In an emergency, with the card:
  medvault emergency open --patient pat_ab3… --card - --out ~/incoming
or without it:
  medvault emergency help --patient pat_ab3… --institution 'St. Anna'     the guardian
  medvault emergency object req_ae5…                                      the patient, if she does not want it
  medvault emergency open --patient pat_ab3… --out ~/incoming             the institution, when the time is over";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Card { pdf, limits } => card(context, &pdf, &limits).await,
        Command::Guardian(GuardianCommand::Add {
            guardian,
            wait,
            limits,
        }) => add(context, guardian, wait, &limits).await,
        Command::Guardian(GuardianCommand::List) => list(context).await,
        Command::Guardian(GuardianCommand::Accept { patient }) => {
            context.patient().await?.accept_guardianship(patient).await?;
            say_answered(context, patient, true)
        }
        Command::Guardian(GuardianCommand::Refuse { patient }) => {
            let what = Unanswered::Guardianship(patient);
            context.patient().await?.delete_unanswered(what).await?;
            say_answered(context, patient, false)
        }
        Command::Guardian(GuardianCommand::Remove { guardian }) => remove(context, guardian).await,
        Command::Open { patient, card, out } => open(context, patient, card, &out).await,
        Command::Help { patient, institution } => help(context, patient, &institution).await,
        Command::Object { help } => object(context, help).await,
    }
}

/// The page is written before the card is in force, and removed if that fails. The card before it is closed last.
async fn card(context: &Context, pdf: &Path, limits: &LimitOptions) -> Result<(), Failure> {
    let file = NewFile::at(pdf)?;
    let patient = context.patient().await?;
    let card = EmergencyCard::generate(&patient)?;
    let page = SecretPage::write(file, &patient.card_sheet(&card)?)?;
    let bar = Bar::records("Re-wrapping", context.json());
    let made = patient.use_card(&card, &limits.into(), &bar).await?;
    let pdf = page.keep().display().to_string();
    if let Err(error) = patient.close_cards_before(&made, &bar).await {
        for id in &made.before {
            note(&format!(
                "The new card is in force, and its page is {pdf}. The one before it still opens: medvault revoke {id}"
            ));
        }
        return Err(error.into());
    }
    let before = if made.before.is_empty() {
        ""
    } else {
        "The card before it opens nothing any more.\n"
    };
    let text = format!(
        "The card is in force. Print {pdf} and delete the file; the code is kept nowhere else.\n{before}\
         It opens the collection \"emergency\", and nothing else: medvault collection move RECORD --to emergency\n"
    );
    context.say(&text, &fields! { #[serde(flatten)] made, pdf })
}

async fn add(
    context: &Context,
    guardian: PatientId,
    wait: Duration,
    limits: &LimitOptions,
) -> Result<(), Failure> {
    let patient = context.patient().await?;
    let permission_id = patient.add_guardian(guardian, wait, &limits.into()).await?;
    let wait_seconds = wait.as_secs();
    let text = format!(
        "{guardian} can help when you have not objected for {}, once she has accepted it. She needs your id:\n  \
         medvault emergency guardian accept {}\n",
        humantime::format_duration(Duration::from_secs(wait_seconds)),
        patient.id()
    );
    context.say(&text, &fields! { guardian, permission_id, wait_seconds })
}

async fn list(context: &Context) -> Result<(), Failure> {
    let guardians = context.patient().await?.guardians().await?;
    let rows = guardians.iter().map(|guardian| {
        let begun = match &guardian.help {
            _ if guardian.objected => "objected".to_owned(),
            _ if guardian.refused => "she has refused".to_owned(),
            _ if !guardian.accepted => "not accepted yet".to_owned(),
            Some(help) => format!("{} opens {}", help.help_id, timestamp(help.opens)),
            None => "-".to_owned(),
        };
        let wait = humantime::format_duration(guardian.wait);
        [guardian.guardian.to_string(), wait.to_string(), begun]
    });
    let text = table_or(
        "You have named no guardian.\n",
        ["GUARDIAN", "WAITS", "HELP"],
        rows,
    );
    context.say(&text, &fields! { guardians: &guardians })
}

async fn remove(context: &Context, guardian: PatientId) -> Result<(), Failure> {
    let patient = context.patient().await?;
    let bar = Bar::records("Re-wrapping", context.json());
    let report = patient.remove_guardian(guardian, &bar).await?;
    context.say(
        &format!("{guardian} can not help any more.\n"),
        &fields! { guardian, permission_id: report.says.permission_id },
    )
}

async fn open(
    context: &Context,
    patient: PatientId,
    card: Option<String>,
    out: &Path,
) -> Result<(), Failure> {
    let code = match card {
        Some(card) => Some(given::code(Some(card), "Code of the card: ", context.global()).await?),
        None => None,
    };
    let institution = context.institution().await?;
    let key = code
        .as_ref()
        .map_or(EmergencyKey::Guardian, |code| EmergencyKey::Card(code));
    let bar = context.progress("receiving");
    let fetched = institution.open_emergency(patient, key, out, &bar).await?;
    drop(bar);
    say_fetched(context, out, &fetched)
}

async fn help(context: &Context, of: PatientId, institution: &str) -> Result<(), Failure> {
    let patient = context.patient().await?;
    let to = patient.institution(institution).await?;
    let help = patient.help(of, &to).await?;
    let name = to.name().as_str();
    let text = format!(
        "The patient is told. Unless she objects, {} can open from {} on.\n  {}\n",
        party(name, help.institution),
        moment(help.opens),
        help.help_id
    );
    context.say(&text, &fields! { #[serde(flatten)] help, name })
}

async fn object(context: &Context, help: RequestId) -> Result<(), Failure> {
    context.patient().await?.object(help).await?;
    context.say(
        "Nothing is opened. This guardian can not help any more: name her anew, if she should, with\n  \
         medvault emergency guardian remove PATIENT, and then guardian add PATIENT\n",
        &fields! { help_id: help },
    )
}

/// Prints that a guardian has accepted or refused.
fn say_answered(context: &Context, patient: PatientId, accepted: bool) -> Result<(), Failure> {
    let text = if accepted {
        format!("You are a guardian of {patient}: in an emergency, medvault emergency help.\n")
    } else {
        format!("You are no guardian of {patient}.\n")
    };
    context.say(&text, &fields! { patient, accepted })
}
