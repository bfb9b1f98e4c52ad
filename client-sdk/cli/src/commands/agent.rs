//! `medvault agent`: answers requests by the standing rules, where the keys are.

use clap::Args;
use client_sdk::rules::{Decision, Outcome};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, moment, note, plain, words},
    tending::tend,
};

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Deal with what has arrived, then end
    #[arg(long)]
    once: bool,
}

const EXAMPLES: &str = "\
Examples:
  medvault agent --once
  medvault agent --json >> decisions.jsonl

It needs active rules (medvault rules use FILE), answers what they permit or deny, and leaves the
rest for you. One agent runs in a home at a time.

With --once and --json it prints one object with all decisions. Without --once it runs until it is
stopped, outlasts restarts of the server, and with --json prints one object a line for each decision;
when it is stopped or cannot go on, the last line is an object with the error.";

pub(crate) async fn run(context: &Context, options: Options) -> Result<(), Failure> {
    let patient = context.patient().await?;
    tend(&patient).await;
    patient.rules()?.ok_or_else(super::rules::none_active)?;
    let mut agent = patient.agent()?;
    if options.once {
        let mut decisions = Vec::new();
        let outcome = agent.pass(None, &mut |decision| decisions.push(decision)).await;
        // What was decided is done, also when it then broke off.
        if outcome.is_ok() || !context.json() {
            context.print(&Decisions { decisions })?;
        }
        return Ok(outcome?);
    }
    let never = agent
        .run(&mut |decision| {
            // An answer that cannot be shown has been given all the same: the history has it.
            if let Err(failure) = context.print(&decision) {
                note(failure.message());
            }
        })
        .await;
    match never? {}
}

#[derive(Serialize)]
struct Decisions {
    decisions: Vec<Decision>,
}

impl Report for Decisions {
    fn text(&self) -> String {
        if self.decisions.is_empty() {
            "Nothing new was asked.\n".to_owned()
        } else {
            self.decisions.iter().map(Decision::text).collect()
        }
    }
}

impl Report for Decision {
    fn text(&self) -> String {
        let from = self.from.as_ref();
        let from = from.map_or(String::new(), |from| format!(" from {}", plain(&from.name)));
        let rule = self.rule.as_deref();
        let rule = rule.map_or("no rule".to_owned(), |rule| format!("rule {rule:?}"));
        let (verdict, more) = match &self.outcome {
            Outcome::Permitted { records, .. } => ("permitted", format!(", records: {}", words(records))),
            Outcome::Denied => ("denied", String::new()),
            Outcome::Ask { why } => ("ask", format!(": {}", plain(why))),
        };
        let when = moment(self.at);
        format!("{when}  {verdict}  {}{from}  by {rule}{more}\n", self.request_id)
    }
}
