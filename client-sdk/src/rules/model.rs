//! What rules say, once they have been read: who, what, until when, and the answer.
//!
//! `I` is how institutions are named. A file names them as written ([`String`]); rules are evaluated only when each
//! has been found in the patient's verified directory ([`super::Known`]), which is another type.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use protocol_spec::purpose::Purpose;
use serde::{Serialize, Serializer};

pub use super::values::MediaGlob;

/// The rules of a file, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(bound = "I: Display")]
pub struct Rules<I> {
    /// In the order of the file: the first that matches answers.
    pub rules: Vec<Rule<I>>,
}

/// One rule: of whom, what is asked, which records, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(bound = "I: Display")]
pub struct Rule<I> {
    /// Its name, which no other rule of the file has.
    pub name: String,
    /// The institution that must ask.
    pub from: Whom<I>,
    /// What must be asked for.
    #[serde(flatten)]
    pub asked: WhatIsAsked<I>,
    /// What for; empty for any purpose, and for none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub purpose: Vec<Purpose>,
    /// It matches before this moment, in milliseconds since 1970.
    #[serde(
        serialize_with = "crate::text::moment_if",
        skip_serializing_if = "Option::is_none"
    )]
    pub until: Option<u64>,
    /// What it answers where all of that holds.
    #[serde(flatten)]
    pub action: Action<I>,
}

/// One institution by its id, or any one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom<I> {
    /// Any institution of the directory.
    Any,
    /// This institution and no other.
    One(I),
}

/// The kinds of requests that a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", bound = "I: Display")]
pub enum WhatIsAsked<I> {
    /// Downloads and references to anybody.
    Any,
    /// Downloads, for the asker itself.
    Download,
    /// References, by who would receive.
    Reference {
        /// The second institution, which would receive.
        to: Whom<I>,
    },
}

/// What a rule answers in the patient's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case", bound = "I: Display")]
pub enum Action<I> {
    /// A permission for what is selected.
    Permit(Permit<I>),
    /// It denies, with a text.
    Deny {
        /// What the institution is told.
        text: String,
    },
    /// It answers nothing: she does so herself.
    Ask,
}

/// What a rule permits, and how far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(bound = "I: Display")]
pub struct Permit<I> {
    /// Which of her records it gives.
    #[serde(serialize_with = "RecordRule::texts")]
    pub records: RecordRule<I>,
    /// For how long each permission is valid.
    #[serde(rename = "expires_seconds", serialize_with = "crate::text::seconds")]
    pub expires: Duration,
    /// How often each permission may be presented.
    pub uses: u32,
}

/// Which records: those for which every condition holds. Without any condition, all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRule<I> {
    /// Each file of the record has one of these media types; empty for no condition.
    pub media: Vec<MediaGlob>,
    /// Each file of the record is a FHIR resource of one of these types; empty for no condition.
    pub fhir: Vec<String>,
    /// It was received so recently.
    pub received_within: Option<Duration>,
    /// One of these made it; empty for no condition.
    pub made_by: Vec<I>,
}

impl<I: Display> Display for Whom<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::One(institution) => institution.fmt(f),
        }
    }
}

impl<I: Display> Serialize for Whom<I> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<I: Display> RecordRule<I> {
    /// Each condition as text, such as `of FHIR type Observation`; none for all records.
    pub fn conditions(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut list = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                all.push(format!("{what} {}", names.join(" or ")));
            }
        };
        let media = self.media.iter().map(|glob| glob.as_str().to_owned());
        list("with files of type", media.collect());
        list("of FHIR type", self.fhir.clone());
        list("made by", self.made_by.iter().map(ToString::to_string).collect());
        if let Some(window) = self.received_within {
            all.push(format!("received within {}", duration(window)));
        }
        all
    }

    fn texts<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.conditions().serialize(to)
    }
}

/// As people write it: `90d`, not months of some length.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds.is_multiple_of(DAY) && seconds > 0 {
        format!("{}d", seconds / DAY)
    } else {
        humantime::format_duration(duration).to_string()
    }
}

const DAY: u64 = 24 * 3600;

impl<I: Clone> Rules<I> {
    /// All institutions that the rules name.
    pub fn institutions(&self) -> Vec<&I> {
        let mut named = Vec::new();
        for rule in &self.rules {
            named.extend(rule.from.one());
            if let WhatIsAsked::Reference { to } = &rule.asked {
                named.extend(to.one());
            }
            if let Action::Permit(permit) = &rule.action {
                named.extend(&permit.records.made_by);
            }
        }
        named
    }

    /// The same rules with each institution replaced, or the first that cannot be.
    /// Errors: the first error that `find` gives.
    pub fn resolve<J, E>(self, find: impl Fn(&I) -> Result<J, E>) -> Result<Rules<J>, E> {
        let resolve = |rule: Rule<I>| {
            Ok(Rule {
                name: rule.name,
                from: rule.from.map(&find)?,
                asked: match rule.asked {
                    WhatIsAsked::Any => WhatIsAsked::Any,
                    WhatIsAsked::Download => WhatIsAsked::Download,
                    WhatIsAsked::Reference { to } => WhatIsAsked::Reference { to: to.map(&find)? },
                },
                purpose: rule.purpose,
                until: rule.until,
                action: match rule.action {
                    Action::Permit(permit) => Action::Permit(permit.map(&find)?),
                    Action::Deny { text } => Action::Deny { text },
                    Action::Ask => Action::Ask,
                },
            })
        };
        let rules = self.rules.into_iter().map(resolve).collect::<Result<_, E>>()?;
        Ok(Rules { rules })
    }
}

impl<I> Whom<I> {
    fn one(&self) -> Option<&I> {
        match self {
            Self::Any => None,
            Self::One(institution) => Some(institution),
        }
    }

    fn map<J, E>(self, find: impl Fn(&I) -> Result<J, E>) -> Result<Whom<J>, E> {
        match self {
            Self::Any => Ok(Whom::Any),
            Self::One(institution) => find(&institution).map(Whom::One),
        }
    }
}

impl<I> Permit<I> {
    fn map<J, E>(self, find: impl Fn(&I) -> Result<J, E>) -> Result<Permit<J>, E> {
        let RecordRule {
            media,
            fhir,
            received_within,
            made_by,
        } = self.records;
        let made_by = made_by.iter().map(find).collect::<Result<_, E>>()?;
        Ok(Permit {
            records: RecordRule {
                media,
                fhir,
                received_within,
                made_by,
            },
            expires: self.expires,
            uses: self.uses,
        })
    }
}
