//! The state machines against the in-memory store and a clock that tests set.
//! Statements and requests are signed as real clients sign them; what is sealed is filler, because the
//! server cannot tell.

mod acts;
mod bound;
mod budgets;
mod collections;
mod contradicted;
mod deletion;
mod devices;
mod emergency;
mod flows;
mod full;
mod index;
mod kept;
mod leaving;
mod log;
mod log_figures;
mod notes;
mod pages;
mod presentation;
mod programs;
mod release;
mod requests;
mod reseal;
mod restored;
mod revocation;
mod sessions;
mod size;
mod sweep;
mod time;
mod upload;
mod world;

use protocol_spec::problem::Problem;

use super::Refusal;

/// The problem of what must have been refused.
#[track_caller]
fn problem<T>(result: Result<T, Refusal>) -> Problem {
    match result {
        Ok(_) => panic!("was not refused"),
        Err(refusal) => refusal.problem,
    }
}
