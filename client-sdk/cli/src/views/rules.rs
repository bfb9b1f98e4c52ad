//! Rules and verdicts as JSON and as lines.

use client_sdk::rules::{
    Answer, Known, Verdict,
    model::{Action, RecordRule, Rule, WhatIsAsked, Whom},
};
use serde::Serialize;

use crate::output::{moment, plain, timestamp};

/// One rule.
#[derive(Serialize)]
pub(crate) struct RuleView {
    name: String,
    action: &'static str,
    from: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    purpose: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip)]
    until_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// How an institution is shown: as the file names it.
pub(crate) trait Written {
    fn written(&self) -> &str;
}

impl Written for String {
    fn written(&self) -> &str {
        self
    }
}

impl Written for Known {
    fn written(&self) -> &str {
        &self.written
    }
}

impl<I: Written> From<&Rule<I>> for RuleView {
    fn from(rule: &Rule<I>) -> Self {
        let (kind, to) = match &rule.asked {
            WhatIsAsked::Any => ("any", None),
            WhatIsAsked::Download => ("download", None),
            WhatIsAsked::Reference { to } => ("reference", Some(whom(to))),
        };
        let mut view = Self {
            name: rule.name.clone(),
            action: "ask",
            from: whom(&rule.from),
            kind,
            to,
            purpose: rule.purpose.iter().map(|purpose| purpose.code()).collect(),
            until: rule.until.map(timestamp),
            until_ms: rule.until,
            records: None,
            expires_seconds: None,
            uses: None,
            text: None,
        };
        match &rule.action {
            Action::Permit(permit) => {
                view.action = "permit";
                view.records = Some(conditions(&permit.records));
                view.expires_seconds = Some(permit.expires.as_secs());
                view.uses = Some(permit.uses);
            }
            Action::Deny { text } => {
                view.action = "deny";
                view.text = Some(text.clone());
            }
            Action::Ask => {}
        }
        view
    }
}

impl RuleView {
    /// One line that says what the rule does.
    pub(crate) fn line(&self) -> String {
        let from = match self.from.as_str() {
            "any" => "anybody".to_owned(),
            from => plain(from),
        };
        let asked = match (self.kind, self.to.as_deref()) {
            ("download", _) => "downloads".to_owned(),
            ("reference", Some("any") | None) => "references to anybody".to_owned(),
            ("reference", Some(to)) => format!("references to {}", plain(to)),
            _ => "all requests".to_owned(),
        };
        let records = match self.records.as_deref() {
            None => String::new(),
            Some([]) => ", all records".to_owned(),
            Some(conditions) => format!(", records {}", plain(&conditions.join(" and "))),
        };
        let purpose = match self.purpose.as_slice() {
            [] => String::new(),
            codes => format!(" for {}", codes.join(" or ")),
        };
        let until = self
            .until_ms
            .map_or(String::new(), |until| format!(", until {}", moment(until)));
        format!(
            "{}: {} {asked} by {from}{purpose}{records}{until}",
            plain(&self.name),
            self.action
        )
    }
}

fn whom<I: Written>(whom: &Whom<I>) -> String {
    match whom {
        Whom::Any => "any".to_owned(),
        Whom::One(institution) => institution.written().to_owned(),
    }
}

/// Each condition as text; none for all records.
fn conditions<I: Written>(records: &RecordRule<I>) -> Vec<String> {
    let mut all = Vec::new();
    let mut list = |what: &str, names: Vec<&str>| {
        if !names.is_empty() {
            all.push(format!("{what} {}", names.join(" or ")));
        }
    };
    list(
        "with files of type",
        records.media.iter().map(|glob| glob.as_str()).collect(),
    );
    list("of FHIR type", records.fhir.iter().map(String::as_str).collect());
    list("made by", records.made_by.iter().map(Written::written).collect());
    if let Some(window) = records.received_within {
        all.push(format!("received within {}", duration(window)));
    }
    all
}

/// As people write it: `90d`, not months of some length.
fn duration(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    if seconds.is_multiple_of(DAY) && seconds > 0 {
        format!("{}d", seconds / DAY)
    } else {
        humantime::format_duration(duration).to_string()
    }
}

const DAY: u64 = 24 * 3600;

/// A verdict with its explanation.
#[derive(Serialize)]
pub(crate) struct VerdictView {
    /// `permit`, `deny` or `ask`.
    verdict: &'static str,
    /// The rule that gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Why it is left to her.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What the institution would be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<u32>,
    looked_at: Vec<LookedAtView>,
    left_out: Vec<LeftOutView>,
}

#[derive(Serialize)]
struct LookedAtView {
    rule: String,
    matches: bool,
    why: String,
}

#[derive(Serialize)]
struct LeftOutView {
    record_id: String,
    why: String,
}

impl From<&Verdict> for VerdictView {
    fn from(verdict: &Verdict) -> Self {
        let mut view = Self {
            verdict: "ask",
            rule: verdict.rule.clone(),
            why: None,
            text: None,
            records: None,
            expires: None,
            uses: None,
            looked_at: Vec::new(),
            left_out: Vec::new(),
        };
        view.looked_at
            .extend(verdict.looked_at.iter().map(|looked| LookedAtView {
                rule: looked.rule.clone(),
                matches: looked.matches,
                why: looked.why.clone(),
            }));
        view.left_out
            .extend(verdict.left_out.iter().map(|(record, why)| LeftOutView {
                record_id: record.to_string(),
                why: why.clone(),
            }));
        match &verdict.answer {
            Answer::Permit(grant) => {
                view.verdict = "permit";
                view.records = Some(
                    grant
                        .records
                        .iter()
                        .map(|(record, _)| record.to_string())
                        .collect(),
                );
                view.expires = Some(timestamp(grant.not_after));
                view.uses = Some(grant.uses);
            }
            Answer::Deny { text } => {
                view.verdict = "deny";
                view.text = Some(text.clone());
            }
            Answer::Ask { why } => view.why = Some(why.clone()),
        }
        view
    }
}

impl VerdictView {
    /// Every rule that was looked at, then the verdict.
    pub(crate) fn text(&self) -> String {
        let mut lines: Vec<String> = self
            .looked_at
            .iter()
            .map(|looked| {
                let matches = if looked.matches {
                    "matches"
                } else {
                    "does not match"
                };
                format!("  {}: {matches}, {}", plain(&looked.rule), plain(&looked.why))
            })
            .collect();
        let why = self
            .why
            .as_deref()
            .map_or(String::new(), |why| format!(", {}", plain(why)));
        lines.push(format!("Verdict: {}{why}", self.verdict));
        if let (Some(expires), Some(uses)) = (&self.expires, self.uses) {
            lines.push(format!("  valid until {expires}, uses: {uses}"));
        }
        if let Some(text) = &self.text {
            lines.push(format!("  text: {}", plain(text)));
        }
        lines.extend(
            self.records
                .iter()
                .flatten()
                .map(|record| format!("  permitted  {record}")),
        );
        let left_out = self.left_out.iter();
        lines.extend(left_out.map(|left| format!("  left out   {}: {}", left.record_id, plain(&left.why))));
        lines.join("\n") + "\n"
    }
}
