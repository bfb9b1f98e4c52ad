//! The rules file: TOML, read strictly. What is not known is refused with its line and with what is allowed, so
//! that a slip of the pen never turns into a rule that means something else.
//!
//! `rules.schema.json` beside this file is its published schema; a test holds both together.
//!
//! Invariant: [`Rules::parse`] gives only rules that are complete: a permit says for which kind and which records, a
//! denial says why, and no field stands where it would be ignored.

use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use serde::Deserialize;
use toml::Spanned;

use super::{
    model::{Action, Permit, RecordRule, Rule, Rules, WhatIsAsked, Whom},
    values::{FhirType, MediaGlob, PurposeCode, Span, Until},
};
use crate::{Error, Result};

impl Rules<String> {
    /// Reads a rules file, and checks what needs no directory.
    /// Errors: [`Error::RulesFile`] with the line, and what is allowed there.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > LARGEST {
            return Err(Error::RulesFile {
                line: 1,
                cause: "the file is longer than 1 MiB".into(),
            });
        }
        let file: RulesFile = toml::from_str(text).map_err(|error| Error::RulesFile {
            line: line(text, error.span().map_or(0, |span| span.start)),
            cause: error.message().trim().replace('\n', ", "),
        })?;
        let wrong = |at: usize, cause: String| Error::RulesFile {
            line: line(text, at),
            cause,
        };
        if *file.format.get_ref() != FORMAT {
            return Err(wrong(
                file.format.span().start,
                "format is not 1, which is the one this program knows".into(),
            ));
        }
        let (mut rules, mut names) = (Vec::with_capacity(file.rule.len()), BTreeSet::new());
        for entry in file.rule {
            let at = entry.span().start;
            let rule = entry
                .into_inner()
                .check()
                .map_err(|cause| wrong(at, cause.into()))?;
            if !names.insert(rule.name.clone()) {
                return Err(wrong(
                    at,
                    format!("another rule is called {:?} too: names are unique", rule.name),
                ));
            }
            rules.push(rule);
        }
        Ok(Self { rules })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RulesFile {
    format: Spanned<u32>,
    #[serde(default)]
    rule: Vec<Spanned<RuleEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleEntry {
    name: String,
    from: String,
    kind: KindWord,
    to: Option<String>,
    purpose: Option<Vec<PurposeCode>>,
    until: Option<Until>,
    action: ActionWord,
    records: Option<RecordsEntry>,
    terms: Option<TermsEntry>,
    text: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum KindWord {
    Download,
    Reference,
    Any,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum ActionWord {
    Permit,
    Deny,
    Ask,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RecordsEntry {
    #[serde(default)]
    all: bool,
    media: Option<Vec<MediaGlob>>,
    fhir: Option<Vec<FhirType>>,
    received_within: Option<Span>,
    made_by: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TermsEntry {
    expires: Option<Span>,
    uses: Option<NonZeroU32>,
}

impl RuleEntry {
    fn check(self) -> Result<Rule<String>, &'static str> {
        let sound = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && !text.chars().any(char::is_control) && text.trim() == text
        };
        if !sound(&self.name, LONGEST_NAME) {
            return Err("name is 1 to 100 bytes without control characters, and without blanks at its ends");
        }
        let action = action(self.action, self.kind, self.records, self.terms, self.text)?;
        let to = self.to.map(whom).transpose()?;
        let asked = match (self.kind, to) {
            (KindWord::Reference, Some(to)) => WhatIsAsked::Reference { to },
            (KindWord::Reference, None) if self.action == ActionWord::Permit => {
                return Err("a permit of references needs `to`: who would receive, or \"any\"");
            }
            (KindWord::Reference, None) => WhatIsAsked::Reference { to: Whom::Any },
            (_, Some(_)) => return Err("`to` is for kind = \"reference\" alone"),
            (KindWord::Download, None) => WhatIsAsked::Download,
            (KindWord::Any, None) => WhatIsAsked::Any,
        };
        if self.purpose.as_ref().is_some_and(Vec::is_empty) {
            return Err("`purpose` names at least one purpose of use: for any, leave it out");
        }
        Ok(Rule {
            name: self.name,
            from: whom(self.from)?,
            asked,
            purpose: self
                .purpose
                .into_iter()
                .flatten()
                .map(|purpose| purpose.0)
                .collect(),
            until: self.until.map(|until| until.0),
            action,
        })
    }
}

fn action(
    word: ActionWord,
    kind: KindWord,
    records: Option<RecordsEntry>,
    terms: Option<TermsEntry>,
    text: Option<String>,
) -> Result<Action<String>, &'static str> {
    match (word, records, terms, text) {
        (ActionWord::Permit, ..) if kind == KindWord::Any => {
            Err("a permit is for one kind: \"download\" or \"reference\"")
        }
        (ActionWord::Permit, Some(records), terms, None) => {
            let terms = terms.unwrap_or_default();
            Ok(Action::Permit(Permit {
                records: records.check()?,
                expires: terms.expires.map_or(DEFAULT_EXPIRES, |span| span.0),
                uses: terms.uses.map_or(1, NonZeroU32::get),
            }))
        }
        (ActionWord::Permit, None, ..) => Err(
            "a permit needs `records`: conditions such as { fhir = [\"Observation\"] }, or { all = true }",
        ),
        (ActionWord::Permit, .., Some(_)) => Err("`text` is for action = \"deny\" alone"),
        (ActionWord::Deny, None, None, Some(text)) if (1..=LONGEST_TEXT).contains(&text.len()) => {
            Ok(Action::Deny { text })
        }
        (ActionWord::Deny, None, None, _) => {
            Err("a deny needs `text`, 1 to 4000 bytes: what the institution is told")
        }
        (ActionWord::Ask, None, None, None) => Ok(Action::Ask),
        (ActionWord::Ask, None, None, Some(_)) => Err("`text` is for action = \"deny\" alone"),
        (ActionWord::Deny | ActionWord::Ask, ..) => {
            Err("`records` and `terms` are for action = \"permit\" alone")
        }
    }
}

impl RecordsEntry {
    fn check(self) -> Result<RecordRule<String>, &'static str> {
        let none = self.media.is_none()
            && self.fhir.is_none()
            && self.received_within.is_none()
            && self.made_by.is_none();
        if self.all != none {
            return Err(
                "`records` has either all = true, or some of media, fhir, received-within, made-by, and not both",
            );
        }
        let empty = self.media.as_ref().is_some_and(Vec::is_empty)
            || self.fhir.as_ref().is_some_and(Vec::is_empty)
            || self.made_by.as_ref().is_some_and(Vec::is_empty);
        if empty {
            return Err("a list in `records` names at least one thing: leave the condition out instead");
        }
        let made_by = self.made_by.unwrap_or_default();
        if !made_by.iter().all(|name| institution(name)) {
            return Err("`made-by` lists institutions by accredited name or id; for any, leave it out");
        }
        Ok(RecordRule {
            media: self.media.unwrap_or_default(),
            fhir: self
                .fhir
                .unwrap_or_default()
                .into_iter()
                .map(|fhir| fhir.0)
                .collect(),
            received_within: self.received_within.map(|span| span.0),
            made_by,
        })
    }
}

/// An institution that is really called `any` has an id to be named by.
fn whom(text: String) -> Result<Whom<String>, &'static str> {
    if text == ANY {
        Ok(Whom::Any)
    } else if institution(&text) {
        Ok(Whom::One(text))
    } else {
        Err("`from` and `to` are an institution's accredited name, its id, or \"any\"")
    }
}

fn institution(text: &str) -> bool {
    text != ANY && !text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control)
}

/// Which line a byte of the text is on, from 1.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

const FORMAT: u32 = 1;
const ANY: &str = "any";
const LARGEST: usize = 1 << 20;
const LONGEST_NAME: usize = 100;
const LONGEST_TEXT: usize = 4000;
/// As `medvault permit`: once, within an hour.
const DEFAULT_EXPIRES: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
