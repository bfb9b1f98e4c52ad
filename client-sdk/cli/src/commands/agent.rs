//! `medvault agent`: answers requests by the standing rules, where the keys are.

use clap::Args;
use client_sdk::rules::{Decision, Outcome};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, moment, note, plain, timestamp},
    tending::tend,
};

/// How long it runs.
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
        let outcome = agent
            .pass(None, &mut |decision| decisions.push(Line::from(&decision)))
            .await;
        // What was decided is done, also when it then broke off.
        if outcome.is_ok() || !context.json() {
            context.print(&Decisions { decisions })?;
        }
        return Ok(outcome?);
    }
    let never = agent
        .run(&mut |decision| {
            // An answer that cannot be shown has been given all the same: the history has it.
            if let Err(failure) = context.print(&Line::from(&decision)) {
                note(failure.message());
            }
        })
        .await;
    match never? {}
}

#[derive(Serialize)]
struct Decisions {
    decisions: Vec<Line>,
}

impl Report for Decisions {
    fn text(&self) -> String {
        if self.decisions.is_empty() {
            "Nothing new was asked.\n".to_owned()
        } else {
            self.decisions.iter().map(Line::text).collect()
        }
    }
}

#[derive(Serialize)]
struct Line {
    at: String,
    #[serde(skip)]
    at_ms: u64,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_name: Option<String>,
    /// `permitted`, `denied` or `ask`.
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The number of the rules.
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<String>>,
    /// Why it is left to her.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl From<&Decision> for Line {
    fn from(decision: &Decision) -> Self {
        let blank = Self {
            at: timestamp(decision.at),
            at_ms: decision.at,
            request_id: decision.request_id.to_string(),
            from: decision.from.as_ref().map(|from| from.id.to_string()),
            from_name: decision.from.as_ref().map(|from| from.name.clone()),
            verdict: "denied",
            rule: decision.rule.clone(),
            sequence: decision.sequence,
            permission_id: None,
            records: None,
            why: None,
        };
        match &decision.outcome {
            Outcome::Permitted {
                permission_id,
                records,
            } => Self {
                verdict: "permitted",
                permission_id: Some(permission_id.to_string()),
                records: Some(records.iter().map(ToString::to_string).collect()),
                ..blank
            },
            Outcome::Denied => blank,
            Outcome::Ask { why } => Self {
                verdict: "ask",
                why: Some(why.clone()),
                ..blank
            },
        }
    }
}

impl Report for Line {
    fn text(&self) -> String {
        let from = self
            .from_name
            .as_deref()
            .map_or(String::new(), |name| format!(" from {}", plain(name)));
        let rule = self
            .rule
            .as_deref()
            .map_or("no rule".to_owned(), |rule| format!("rule {rule:?}"));
        let more = match (&self.records, &self.why) {
            (Some(records), _) => format!(", records: {}", records.join(" ")),
            (None, Some(why)) => format!(": {}", plain(why)),
            (None, None) => String::new(),
        };
        let (when, verdict) = (moment(self.at_ms), self.verdict);
        format!("{when}  {verdict}  {}{from}  by {rule}{more}\n", self.request_id)
    }
}
