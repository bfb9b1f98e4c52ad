//! Rules and verdicts as lines.

use std::fmt::Display;

use client_sdk::{
    rules::{
        Answer, Verdict,
        model::{Action, Rule, WhatIsAsked, Whom},
    },
    text::timestamp,
};

use crate::output::{moment, plain};

/// One line that says what a rule does.
pub(crate) fn line<I: Display>(rule: &Rule<I>) -> String {
    let asked = match &rule.asked {
        WhatIsAsked::Any => "all requests".to_owned(),
        WhatIsAsked::Download => "downloads".to_owned(),
        WhatIsAsked::Reference { to } => format!("references to {}", anybody(to)),
    };
    let (action, records) = match &rule.action {
        Action::Permit(permit) => ("permit", records(&permit.records.conditions())),
        Action::Deny { .. } => ("deny", String::new()),
        Action::Ask => ("ask", String::new()),
    };
    let purposes: Vec<&str> = rule.purpose.iter().map(|purpose| purpose.code()).collect();
    let purpose = match purposes.as_slice() {
        [] => String::new(),
        codes => format!(" for {}", codes.join(" or ")),
    };
    let until = rule.until;
    let until = until.map_or(String::new(), |until| format!(", until {}", moment(until)));
    format!(
        "{}: {action} {asked} by {}{purpose}{records}{until}",
        plain(&rule.name),
        anybody(&rule.from)
    )
}

fn anybody<I: Display>(whom: &Whom<I>) -> String {
    match whom {
        Whom::Any => "anybody".to_owned(),
        Whom::One(institution) => plain(&institution.to_string()),
    }
}

fn records(conditions: &[String]) -> String {
    match conditions {
        [] => ", all records".to_owned(),
        conditions => format!(", records {}", plain(&conditions.join(" and "))),
    }
}

/// Every rule that was looked at, then the verdict.
pub(crate) fn explanation(verdict: &Verdict) -> String {
    let looked_at = verdict.looked_at.iter().map(|looked| {
        let matches = if looked.matches {
            "matches"
        } else {
            "does not match"
        };
        format!("  {}: {matches}, {}", plain(&looked.rule), plain(&looked.why))
    });
    let mut lines: Vec<String> = looked_at.collect();
    match &verdict.answer {
        Answer::Permit(grant) => {
            lines.push("Verdict: permit".to_owned());
            let (expires, uses) = (timestamp(grant.not_after), grant.uses);
            lines.push(format!("  valid until {expires}, uses: {uses}"));
            let records = grant.records.iter();
            lines.extend(records.map(|(record, _)| format!("  permitted  {record}")));
        }
        Answer::Deny { text } => {
            lines.push("Verdict: deny".to_owned());
            lines.push(format!("  text: {}", plain(text)));
        }
        Answer::Ask { why } => lines.push(format!("Verdict: ask, {}", plain(why))),
    }
    let left_out = verdict.left_out.iter();
    lines.extend(left_out.map(|(record, why)| format!("  left out   {record}: {}", plain(why))));
    lines.join("\n") + "\n"
}
