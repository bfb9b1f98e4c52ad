//! Standing rules: what the patient's own device answers while she is not looking.
//!
//! Rules are evaluated only here, where the keys are. To the server an answer by a rule is an answer like any other:
//! it learns neither the rules nor that there are any, except by how fast and at what hours she answers.
//!
//! # The file
//!
//! TOML, for people to read and write; [`SCHEMA`] is its JSON Schema.
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```
//!
//! * The first rule that matches answers. What no rule matches is left for her; so is what a permit matches of which no
//!   record is as it says.
//! * A rule matches by who asks, the kind of request, for references who would receive, and the time. The text of a
//!   request is written by whoever asks, so that no rule depends on it.
//! * A permission is for the kind and the receiver of the request, for records in the vault that fit the rule with all
//!   their files, and ends no later than the rule.
//! * What is not known in the file is refused, with its line and what is allowed.
//!
//! Types of files are what the institution that made a record says they are, and the time of receipt is the server's:
//! `made-by` is the condition that rests on a signature alone. A permission cannot be limited to some files of a record;
//! this is why each file must fit. A FHIR `Bundle` can contain anything, and matches only where a rule says `Bundle`.
//!
//! # Activating
//!
//! [`Patient::use_rules`] finds each institution that the file names in her verified directory, by its exact accredited
//! name, and signs the file together with the ids that it found: an institution that is accredited later under the same
//! name gains nothing. A name that several have is refused. The signature is her device's, under a label of its own,
//! so that somebody who can write to her home but not unlock it cannot change the rules; what does not verify is
//! refused, and the agent stops.
//!
//! The statement has a number, one more with each activation, and the highest that was seen is kept. What this protects
//! against: an older file of rules that is put back alone, by mistake or not, and, while an agent runs, also one that is
//! put back together with the number, because the agent remembers. What it does **not** protect against: somebody who
//! puts back both, or the whole home, while no agent runs; nothing on this machine tells an old home from a present one.
//! Rules that went missing are an error as long as the number is there.
//!
//! # Answering
//!
//! [`Agent`] goes through the inbox. An answer is signed, then kept in the home (request, rule, exact bytes), then sent,
//! then marked as sent. After a crash between, the same bytes are sent again: no request ever gets two answers that
//! differ, even from a server that hides the first. If the rules have changed meanwhile, they are not sent again, and
//! the request is left for her. The cursor moves when an event has been dealt with; when the rules have changed, the
//! agent starts at the beginning, so that they also answer what is still open.
//!
//! Her history shows which rule answered, from what was kept: a note in the home, found by the hash of the signed
//! answer, and itself not signed.
//!
//! | module | does |
//! |---|---|
//! | `values`, `schema` | the file and how it is read |
//! | [`model`] | what rules say |
//! | [`verdict`] | evaluation, a pure function |
//! | `facts` | what is known of a request, verified |
//! | `store` | signed rules in the home |
//! | `answers` | answers in the home, kept before they are sent |
//! | `outcome` | what comes of a request |
//! | `answering` | one request, and what a crash left |
//! | `agent` | the loop |
//!
//! [`Patient::use_rules`]: crate::Patient::use_rules

mod agent;
mod answering;
mod answers;
mod facts;
pub mod model;
mod outcome;
mod schema;
mod store;
mod values;
pub mod verdict;

pub(crate) use self::answers::rules_by_statement;
pub use self::{
    agent::Agent,
    facts::Explained,
    model::Rules,
    outcome::{Decision, Outcome},
    store::StandingRules,
    values::moment,
    verdict::{Answer, Facts, Known, Verdict},
};

/// A rules file with a comment on each key.
pub const EXAMPLE: &str = include_str!("example.toml");
/// The JSON Schema of rules files.
pub const SCHEMA: &str = include_str!("rules.schema.json");
