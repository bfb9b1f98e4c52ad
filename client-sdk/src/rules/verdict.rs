//! Evaluation: rules, facts and a moment give a verdict. A pure function: no clock, no files, no network.
//!
//! * The first rule that matches answers; none after it is looked at.
//! * What no rule matches is [`Answer::Ask`], and so is a permit that finds no record: it does not fall through to a
//!   later rule, which would say something that she did not mean.
//! * A permission is for the kind and the receiver of the request, for records that are in the vault, and ends no later
//!   than its rule.
//! * A record is selected when every condition holds for each of its files, and for each of its versions: a
//!   permission opens whole records.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use protocol_spec::{
    ids::{InstitutionId, RecordId, VersionId},
    permission::{Kind, MAX_RECORDS},
    purpose::Purpose,
};
use serde::{Serialize, Serializer};

use super::model::{Action, Permit, RecordRule, Rule, Rules, WhatIsAsked, Whom};
use crate::ground::millis;

/// An institution that rules name, found in the patient's verified directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its id, by which alone rules decide.
    pub id: InstitutionId,
    /// How the file names it: what explanations show.
    pub written: String,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// What is known of a request when it is evaluated: signed by who asks, or verified in her vault. Its
/// text is not among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Of the permission that would answer.
    pub kind: Kind,
    /// The institution that asks the patient.
    pub from: InstitutionId,
    /// The institution that would receive.
    pub to: InstitutionId,
    /// What for, as who asks says.
    pub purpose: Option<Purpose>,
    /// When the request ends, in milliseconds since 1970.
    pub expires: u64,
    /// Her records, all that verify.
    pub records: Vec<RecordFacts>,
}

/// What is known of one version of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFacts {
    /// The record that is asked about.
    pub record_id: RecordId,
    /// The version of it that is placed.
    pub version_id: VersionId,
    /// When the server received it, in milliseconds since 1970 by the server's clock.
    pub received: u64,
    /// The institution that made it, as its manifest says.
    pub made_by: InstitutionId,
    /// Its files, as their maker describes them.
    pub files: Vec<FileFacts>,
}

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// The file's media type (RFC 6838).
    pub media_type: String,
    /// Empty if it is no FHIR resource.
    pub fhir_resource_type: String,
}

/// What the rules say of a request, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What the rules answer to this request.
    #[serde(flatten)]
    pub answer: Answer,
    /// The rule that gives it; none when no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Every rule that was looked at, in order.
    pub looked_at: Vec<LookedAt>,
    /// When a permit matched: records that it leaves out, and why.
    #[serde(serialize_with = "left_out")]
    pub left_out: Vec<(RecordId, String)>,
}

/// What the rules answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Answer {
    /// Permit these records on these terms.
    Permit(Grant),
    /// Deny the request, with a text.
    Deny {
        /// What the institution is told.
        text: String,
    },
    /// Leave the answer to the patient.
    Ask {
        /// Why no rule answers for her.
        why: String,
    },
}

/// What a permission by a rule gives, and on which terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Versions of records in her vault, at least one, none twice.
    #[serde(serialize_with = "record_ids")]
    pub records: Vec<(RecordId, VersionId)>,
    /// When the permission ends, in milliseconds since 1970.
    #[serde(rename = "expires", serialize_with = "crate::text::moment")]
    pub not_after: u64,
    /// How often it may be presented.
    pub uses: u32,
}

/// One rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LookedAt {
    /// The name of the rule.
    pub rule: String,
    /// Whether all its conditions hold.
    pub matches: bool,
    /// Why it matches, or which condition does not hold.
    pub why: String,
}

fn record_ids<S: Serializer>(records: &[(RecordId, VersionId)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(records.iter().map(|(record, _)| record))
}

fn left_out<S: Serializer>(records: &[(RecordId, String)], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct LeftOut<'a> {
        record_id: RecordId,
        why: &'a str,
    }
    to.collect_seq(records.iter().map(|(record, why)| LeftOut {
        record_id: *record,
        why,
    }))
}

impl Rules<Known> {
    /// What these rules say of a request at this moment.
    pub fn evaluate(&self, facts: &Facts, now: u64) -> Verdict {
        let mut verdict = Verdict {
            answer: Answer::Ask {
                why: "no rule matches".into(),
            },
            rule: None,
            looked_at: Vec::new(),
            left_out: Vec::new(),
        };
        if now >= facts.expires {
            verdict.answer = Answer::Ask {
                why: "the request has expired".into(),
            };
            return verdict;
        }
        for rule in &self.rules {
            let differs = rule.differs(facts, now);
            verdict.looked_at.push(LookedAt {
                rule: rule.name.clone(),
                matches: differs.is_none(),
                why: differs
                    .clone()
                    .unwrap_or_else(|| "who asks, what is asked and the time are as it says".into()),
            });
            if differs.is_none() {
                verdict.rule = Some(rule.name.clone());
                (verdict.answer, verdict.left_out) = rule.answer(facts, now);
                break;
            }
        }
        verdict
    }
}

impl Rule<Known> {
    /// The first thing in which a request is not as the rule says; none when the rule matches.
    fn differs(&self, facts: &Facts, now: u64) -> Option<String> {
        let other = |whom: &Whom<Known>, id: InstitutionId| match whom {
            Whom::One(known) if known.id != id => Some(known.written.clone()),
            Whom::One(_) | Whom::Any => None,
        };
        if self.until.is_some_and(|until| now >= until) {
            return Some("its time is over".into());
        }
        let kind = match (&self.asked, facts.kind) {
            (WhatIsAsked::Any, Kind::Download | Kind::Reference)
            | (WhatIsAsked::Download, Kind::Download)
            | (WhatIsAsked::Reference { .. }, Kind::Reference) => None,
            (WhatIsAsked::Download, _) => Some("it is for downloads"),
            (WhatIsAsked::Reference { .. }, _) => Some("it is for references"),
            (WhatIsAsked::Any, _) => Some("it is for downloads and references"),
        };
        if let Some(kind) = kind {
            return Some(kind.into());
        }
        if let Some(name) = other(&self.from, facts.from) {
            return Some(format!("it is for requests from {name}"));
        }
        if !self.purpose.is_empty() && !facts.purpose.is_some_and(|stated| self.purpose.contains(&stated)) {
            let codes: Vec<_> = self.purpose.iter().map(|purpose| purpose.code()).collect();
            return Some(format!("it is for the purpose {}", codes.join(" or ")));
        }
        if let WhatIsAsked::Reference { to } = &self.asked
            && let Some(name) = other(to, facts.to)
        {
            return Some(format!("it is for references to {name}"));
        }
        None
    }

    /// The answer to a request that matches, and the records that a permit leaves out.
    fn answer(&self, facts: &Facts, now: u64) -> (Answer, Vec<(RecordId, String)>) {
        match &self.action {
            Action::Permit(permit) => self.permit(permit, facts, now),
            Action::Deny { text } => (Answer::Deny { text: text.clone() }, Vec::new()),
            Action::Ask => (
                Answer::Ask {
                    why: "the rule says so".into(),
                },
                Vec::new(),
            ),
        }
    }

    fn permit(&self, permit: &Permit<Known>, facts: &Facts, now: u64) -> (Answer, Vec<(RecordId, String)>) {
        // A permission names versions, people think of records: one version that does not fit leaves all out.
        let differs = |record: &RecordFacts| Some((record.record_id, permit.records.differs(record, now)?));
        let left_out: BTreeMap<RecordId, String> = facts.records.iter().filter_map(differs).collect();
        let chosen: BTreeSet<_> = facts
            .records
            .iter()
            .filter(|record| !left_out.contains_key(&record.record_id))
            .map(|record| (record.record_id, record.version_id))
            .collect();
        let ask = |why: &str| Answer::Ask { why: why.into() };
        let answer = match chosen.len() {
            0 => ask("the rule permits, but no record is as it says"),
            1..=MAX_RECORDS => Answer::Permit(Grant {
                records: chosen.into_iter().collect(),
                not_after: now
                    .saturating_add(millis(permit.expires))
                    .min(self.until.unwrap_or(u64::MAX)),
                uses: permit.uses,
            }),
            _ => ask("the rule permits more records than one permission can hold"),
        };
        (answer, left_out.into_iter().collect())
    }
}

impl RecordRule<Known> {
    /// The first condition that does not hold.
    fn differs(&self, record: &RecordFacts, now: u64) -> Option<String> {
        if let Some(window) = self.received_within {
            // What comes from the future has a date that nobody can rely on.
            let from = now.saturating_sub(millis(window));
            if !(from..=now.saturating_add(CLOCK_TOLERANCE)).contains(&record.received) {
                return Some("it was not received within that time".into());
            }
        }
        if !self.made_by.is_empty() && !self.made_by.iter().any(|known| known.id == record.made_by) {
            return Some("another institution made it".into());
        }
        let conditions = !self.media.is_empty() || !self.fhir.is_empty();
        if conditions && record.files.is_empty() {
            return Some("it has no files".into());
        }
        record.files.iter().find_map(|file| {
            let media = self.media.is_empty() || self.media.iter().any(|glob| glob.matches(&file.media_type));
            let fhir = self.fhir.is_empty() || self.fhir.contains(&file.fhir_resource_type);
            match (media, fhir) {
                (false, _) => Some(format!("it has a file of type {}", file.media_type)),
                (_, false) if file.fhir_resource_type.is_empty() => {
                    Some("it has a file that is no FHIR resource".into())
                }
                (_, false) => Some(format!(
                    "it has a FHIR resource of type {}",
                    file.fhir_resource_type
                )),
                (true, true) => None,
            }
        })
    }
}

/// Five minutes, in milliseconds: how far the server's clock may be ahead.
const CLOCK_TOLERANCE: u64 = 5 * 60 * 1000;

#[cfg(test)]
mod tests;
