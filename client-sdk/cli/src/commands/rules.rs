//! `medvault rules`: standing rules, by which the patient's own device answers while she is not looking.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use client_sdk::{
    RequestId,
    rules::{Explained, Rules, StandingRules, model::Rule},
};

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, fields, moment, party, plain, word},
    views::rules::{explanation, line},
};

/// What is to be done with rules.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Read a rules file and say what it means; needs no home and no server
    Check(CheckOptions),
    /// Sign a rules file and make it the active one (patient)
    Use(UseOptions),
    /// Show the active rules, after checking their signature (patient)
    #[command(after_help = SHOW_EXAMPLES)]
    Show,
    /// Say what rules would answer to a request, and why; answers nothing (patient)
    Test(TestOptions),
}

#[derive(Args, Debug)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckOptions {
    /// The rules file that is read
    file: PathBuf,
}

#[derive(Args, Debug)]
#[command(after_help = USE_EXAMPLES)]
pub(crate) struct UseOptions {
    /// The rules file that is signed
    file: PathBuf,
}

/// Which request, by which rules.
#[derive(Args, Debug)]
#[command(after_help = TEST_EXAMPLES)]
pub(crate) struct TestOptions {
    /// The request, as the inbox shows it
    request: RequestId,
    /// Rules to try, instead of the active ones
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

const EXAMPLES: &str = r#"A rules file is TOML. The first rule that matches a request answers it; what no rule matches is left
for you:

  format = 1

  [[rule]]
  name = "laboratory results for my practice"
  from = "Practice Dr. Huber"       # accredited name, id, or "any"
  kind = "download"                 # download, reference (then also: to), or any
  until = 2027-06-01                # matches before this day begins (UTC)
  action = "permit"                 # permit, deny (then also: text), or ask
  records = { fhir = ["Observation"], made-by = ["Central Laboratory"], received-within = "90d" }
  terms = { expires = "2h", uses = 1 }

records has conditions, or all = true; media = ["application/dicom", "image/*"] is one too.
Every file of a record must fit.

Examples:
  medvault rules check rules.toml
  medvault rules use rules.toml --home ~/vault
  medvault agent --home ~/vault"#;

const CHECK_EXAMPLES: &str = "\
Examples:
  medvault rules check rules.toml
  medvault rules check rules.toml --json

Whether the institutions in it exist is seen by `medvault rules use`.";

const USE_EXAMPLES: &str = "\
Example:
  medvault rules use rules.toml

Institutions are found in your verified directory and fixed by their ids. To have no rules any more,
use a file that says only: format = 1";

const SHOW_EXAMPLES: &str = "\
Examples:
  medvault rules show
  medvault rules show --json";

const TEST_EXAMPLES: &str = "\
Examples:
  medvault rules test req_ae5…
  medvault rules test req_ae5… --file new-rules.toml --json";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Check(options) => check(context, &options.file),
        Command::Use(options) => activate(context, &options.file).await,
        Command::Show => show(context).await,
        Command::Test(options) => test(context, options).await,
    }
}

fn check(context: &Context, file: &Path) -> Result<(), Failure> {
    let rules = Rules::parse(&read(file)?)?;
    context.say(&format!("The file is in order.\n{}", lines(&rules.rules)), &rules)
}

async fn activate(context: &Context, file: &Path) -> Result<(), Failure> {
    let text = read(file)?;
    // Before a passphrase is asked for.
    Rules::parse(&text)?;
    let active = context.patient().await?.use_rules(&text).await?;
    context.print(&active)
}

async fn show(context: &Context) -> Result<(), Failure> {
    let active = context.patient().await?.rules()?.ok_or_else(none_active)?;
    let file: String = active.text.lines().map(|line| plain(line) + "\n").collect();
    let shown = format!("{}\n{file}", active.text());
    let text = &active.text;
    context.say(&shown, &fields! { #[serde(flatten)] active: &active, text })
}

async fn test(context: &Context, options: TestOptions) -> Result<(), Failure> {
    let text = options.file.as_deref().map(read).transpose()?;
    let patient = context.patient().await?;
    let rules = match text {
        Some(text) => patient.resolve_rules(&text).await?,
        None => patient.rules()?.ok_or_else(none_active)?.rules,
    };
    let explained = patient.explain(options.request, &rules).await?;
    context.say(
        &tested(&explained),
        &fields! { request_id: options.request, #[serde(flatten)] explained: &explained },
    )
}

pub(super) fn none_active() -> Failure {
    Failure::usage("no rules are active: write a file and run medvault rules use FILE")
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|source| Failure::file("cannot read", file, &source))
}

impl Report for StandingRules {
    fn text(&self) -> String {
        let (sequence, since, lines) = (self.sequence, moment(self.created), lines(&self.rules.rules));
        format!("Rules {sequence} are signed and active since {since}.\n{lines}")
    }
}

fn lines<I: Display>(rules: &[Rule<I>]) -> String {
    let lines = rules
        .iter()
        .enumerate()
        .map(|(at, rule)| format!("  {}. {}\n", at + 1, line(rule)));
    lines.collect::<String>() + "  What none of these matches is left for you.\n"
}

/// A request, and what rules would answer to it.
fn tested(explained: &Explained) -> String {
    let Explained {
        kind,
        from,
        to,
        open,
        verdict,
    } = explained;
    let receiver = if to.id == from.id {
        String::new()
    } else {
        format!(" for {}", party(&to.name, to.id))
    };
    let answered = if *open { "" } else { " (it is answered already)" };
    let (kind, from) = (word(kind), party(&from.name, from.id));
    format!(
        "{kind} request from {from}{receiver}{answered}\n{}",
        explanation(verdict)
    )
}
