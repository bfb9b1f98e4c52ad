//! Protocol tests against real `vault-server` and `medvault` processes. One binary, a module a subject.
//! Tests return `Result` so that what fails tells its cause.

mod answers;
mod bad_input;
mod blindness;
mod case;
mod collections;
mod conditions;
mod delegates;
mod delegates_cli;
mod dependency_rules;
mod devices;
mod directory;
mod emergency;
mod enrolment;
mod flows;
mod index;
mod institutions;
mod institutions_cli;
mod log;
mod model;
mod mutation;
mod placements;
mod races;
mod real_files;
mod recovery;
mod rekeying;
mod replay;
mod resealing;
mod resume;
mod revocation;
mod rules;
mod standing_uploads;
mod statement;
mod supply_chain;
mod vault_heads;
mod witnesses;
