//! `medvault delegate`: what a patient lets others do in her vault, and others let her do in theirs.

use std::time::{Duration, SystemTime};

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use client_sdk::{
    DelegationId, Patient, PatientId, Power, Purpose,
    patient::{
        DelegateRef, DelegationInfo, DelegationTerms, EndedDelegation, HeldDelegation, OpenRequest,
        Unanswered,
    },
    text::timestamp,
};
use serde::Serialize;

use crate::{
    confirm::if_short,
    context::Context,
    failure::Failure,
    output::{Report, fields, moment, party, plain, table, word, words},
    progress::Bar,
    values::{duration, moment as moment_arg},
};

/// What a patient does about delegates.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Let another patient act in this vault, and give her the keys of the collections for it
    #[command(after_help = EXAMPLES)]
    Add(Add),
    /// List whom this vault has let act, and for whom you may act
    #[command(after_help = EXAMPLES)]
    List,
    /// Accept to act for another patient, who has asked you to: nothing counts before
    #[command(after_help = EXAMPLES)]
    Accept {
        /// The delegation, as `medvault delegate list` shows it under offered
        delegation: DelegationId,
    },
    /// Refuse to act for another patient, or give it up
    #[command(after_help = EXAMPLES)]
    Refuse {
        /// The delegation, as `medvault delegate list` shows it
        delegation: DelegationId,
    },
    /// End a delegation: refused at once, and new keys for what is added later
    #[command(after_help = EXAMPLES)]
    End {
        /// The delegation, as `medvault delegate list` shows it
        delegation: DelegationId,
    },
}

/// Who, how far, and until when.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("end").required(true))]
pub(crate) struct Add {
    /// The id of the patient who is to act, as she tells you
    patient: PatientId,
    /// What you call her: the history shows it
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The collections in which she may act: name or id; repeat it for more
    #[arg(long, value_name = "COLLECTION", default_value = "default")]
    collection: Vec<String>,
    /// What the delegate may do in these collections
    #[arg(long, value_enum, default_value_t = PowerArg::Read)]
    power: PowerArg,
    /// When it begins: a day (UTC), or a moment with its offset; without this, now
    #[arg(long, value_name = "MOMENT", value_parser = moment_arg)]
    not_before: Option<u64>,
    /// When it ends: a day (UTC), or a moment with its offset
    #[arg(long, value_name = "MOMENT", value_parser = moment_arg, group = "end")]
    until: Option<u64>,
    /// How long from now it holds
    #[arg(long, value_name = "DURATION", value_parser = duration, group = "end")]
    expires: Option<Duration>,
    /// Do not ask, also where it would be over within the hour
    #[arg(long)]
    yes: bool,
}

/// What a delegate may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PowerArg {
    /// Read records, and no more
    Read,
    /// Read records, and permit or deny what institutions ask
    Permit,
}

const EXAMPLES: &str = "\
Examples:
  medvault delegate add pat_ae5… --name Mother --power permit --until 2031-04-01
  medvault delegate add pat_ae6… --name 'Home care' --collection medication --expires 90d
  medvault delegate list
  medvault delegate end del_ae7…

As a delegate, with your own home:
  medvault delegate accept del_ae7…
  medvault records --acting-for pat_ae8…
  medvault inbox --acting-for pat_ae8…
  medvault permit req_ae9… --all --acting-for pat_ae8…

A delegate cannot delegate further, revoke, move records, or change devices. What she has permitted stays
valid until it is over or you revoke it. When a delegation is over, the agent or your next command gives the
collections new keys.";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let patient = context.patient().await?;
    match command {
        Command::Add(options) => add(context, &patient, options).await,
        Command::List => list(context, &patient).await,
        Command::Accept { delegation } => {
            let held = patient.accept_delegation(delegation).await?;
            let (power, ends) = (word(&held.power), moment(held.not_after));
            context.say(
                &format!("You may {power} for {} until {ends}.\n", held.owner),
                &held,
            )
        }
        Command::Refuse { delegation } => {
            patient
                .delete_unanswered(Unanswered::Delegation(delegation))
                .await?;
            context.say(
                &format!("Refused: {delegation}\n"),
                &fields! { refused: delegation },
            )
        }
        Command::End { delegation } => {
            let progress = Bar::records("Re-wrapping", context.json());
            let ended = patient.end_delegation(delegation, &progress).await?;
            drop(progress);
            context.print(&ended)
        }
    }
}

async fn add(context: &Context, patient: &Patient, add: Add) -> Result<(), Failure> {
    let mut collections = Vec::with_capacity(add.collection.len());
    for named in &add.collection {
        collections.push(patient.collection(named).await?.id);
    }
    if let Some(life) = add.expires {
        if_short(context, add.yes, life)?;
    }
    let until = add.until.or_else(|| add.expires.and_then(from_now));
    let terms = DelegationTerms {
        name: add.name,
        power: add.power.into(),
        collections,
        not_before: add.not_before,
        not_after: until.ok_or_else(|| Failure::usage("say when it ends: --until or --expires"))?,
    };
    let made = patient.delegate(add.patient, &terms).await?;
    let DelegateRef { delegation, name, .. } = &made.delegate;
    let (name, power, ends) = (plain(name), word(&made.power), moment(made.not_after));
    context.say(
        &format!(
            "{name} may {power} for you until {ends}, once she has accepted it: medvault delegate accept {delegation}\n"
        ),
        &made,
    )
}

async fn list(context: &Context, patient: &Patient) -> Result<(), Failure> {
    let given = patient.delegations().await?;
    let held = patient.held_delegations().await?;
    let offered = patient.offered_delegations().await?;
    let text = [
        given_text(&given),
        held_text("You may act for:\n", &held),
        held_text(
            "Offered to you (medvault delegate accept, or refuse):\n",
            &offered,
        ),
    ]
    .concat();
    let text = if text.is_empty() {
        "There are no delegations.\n"
    } else {
        &text
    };
    context.say(text, &fields! { given, held, offered })
}

/// Who may act in this vault; nothing where nobody may.
fn given_text(given: &[DelegationInfo]) -> String {
    if given.is_empty() {
        return String::new();
    }
    let headings = [
        "DELEGATION",
        "NAME",
        "POWER",
        "UNTIL",
        "STATE",
        "COLLECTIONS",
        "WHO",
    ];
    let rows = given.iter().map(|given| {
        [
            given.delegate.delegation.to_string(),
            plain(&given.delegate.name),
            word(&given.power),
            moment(given.not_after),
            word(&given.state),
            words(&given.collections),
            given.delegate.id.to_string(),
        ]
    });
    "May act for you:\n".to_owned() + &table(headings, rows)
}

/// For whom this patient may act, or could; nothing where there is nobody.
fn held_text(heading: &str, held: &[HeldDelegation]) -> String {
    if held.is_empty() {
        return String::new();
    }
    let rows = held.iter().map(|held| {
        [
            held.id.to_string(),
            held.owner.to_string(),
            word(&held.power),
            moment(held.not_after),
            word(&held.state),
            words(&held.collections),
        ]
    });
    let headings = ["DELEGATION", "PATIENT", "POWER", "UNTIL", "STATE", "COLLECTIONS"];
    heading.to_owned() + &table(headings, rows)
}

fn from_now(duration: Duration) -> Option<u64> {
    let end = SystemTime::now().checked_add(duration)?;
    let since = end.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

impl From<PowerArg> for Power {
    fn from(power: PowerArg) -> Self {
        match power {
            PowerArg::Read => Self::Read,
            PowerArg::Permit => Self::Permit,
        }
    }
}

impl Report for EndedDelegation {
    fn text(&self) -> String {
        let mut text = format!(
            "Ended: {} can do nothing more here. What is added from now on is under new keys ({} were taken out of use).\n",
            plain(&self.delegation.delegate.name),
            self.closed
        );
        for permission in &self.permissions {
            text.push_str(&format!(
                "Still valid, as she gave it to {} (until {}); to take it back: medvault revoke {}\n",
                party(&permission.institution.name, permission.institution.id),
                timestamp(permission.not_after),
                permission.permission_id
            ));
        }
        text
    }
}

/// What institutions ask the patient for whom a delegate acts.
#[derive(Serialize)]
pub(super) struct Requests {
    pub(super) requests: Vec<OpenRequest>,
}

impl Report for Requests {
    fn text(&self) -> String {
        if self.requests.is_empty() {
            return "Nothing is open.\n".to_owned();
        }
        let rows = self.requests.iter().map(|request| {
            [
                request.request_id.to_string(),
                word(&request.kind),
                party(&request.from.name, request.from.id),
                party(&request.to.name, request.to.id),
                request.purpose.map(Purpose::code).unwrap_or_default().to_owned(),
                moment(request.expires),
            ]
        });
        let list = table(["REQUEST", "KIND", "FROM", "FOR", "PURPOSE", "OPEN UNTIL"], rows);
        format!("{list}\nTheir texts are sealed to the patient: ask her, or the institution, what for.\n")
    }
}
