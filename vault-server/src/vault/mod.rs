//! The vault's state machines: who may do what, when and how often. Knows no HTTP and no ciphers.
//!
//! Each mutation is a `tx::Operation`: it verifies what can be verified without the ledger, then reads,
//! decides and writes in one commit, which also spends what is spent, writes history, inbox events and
//! the log's queue, and keeps the answer for repetitions. What was refused has changed nothing.
//!
//! | folder | holds |
//! |---|---|
//! | [`core`] | what all stands on: [`core::tx`] and [`core::run`] (one try at a commit), [`core::submission`] and [`core::proven`] (the one way by which a principal changes something), accounts, limits, time |
//! | `tables` | rows and their keys |
//! | [`who`] | principals, enrolment, the directory, institutions' keys, terminals and standing, client programs |
//! | [`device`] | the devices of a patient, those that offer themselves, what one of them cannot take from her at once |
//! | [`delegation`] | what patients let others do in their vaults, and those who do it |
//! | [`ask`] | requests, permissions, denials, revocations; delivery of a permission key, proof of its possession |
//! | [`transfer`] | sessions of upload and of release, leaves on their way, receipts, the sweeper |
//! | [`keep`] | records, collections, placements, wraps, what goes for good |
//! | [`emergency`] | emergency permissions, their openings, guardians |
//! | [`telling`] | history, inbox, acts and the heads over them |
//! | `log` | the transparency log |
//!
//! No file needs a file that needs it (`cargo xtask shape`): what several need lies below them, as `keep::gone` or `ask::asked`.
//! A function whose name ends in `_now` reads what stands, outside of a transaction; a commit does not check it.

pub(crate) mod ask;
pub(crate) mod core;
pub(crate) mod delegation;
pub(crate) mod device;
pub(crate) mod emergency;
pub(crate) mod keep;
pub(crate) mod log;
pub(crate) mod tables;
pub(crate) mod telling;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;
pub(crate) mod who;

pub use crate::vault::{
    ask::presentation::Proof,
    core::{
        bound::{Accepted, Binding, Bound, Unbound},
        handle::Vault,
        limits::{Budgets, EnrolmentPolicy, InboxLimits, VaultLimits},
        refusal::Refusal,
        time::{Clock, SystemClock},
    },
    delegation::delegated::KEYS_OF_PAGE,
    telling::acts::MAX_ACTS,
    transfer::{intake::LeafIntake, outflow::LeafStream, release_end::MAX_VERSIONS},
    who::caller::{Caller, Intent},
};

pub(crate) use crate::vault::{
    core::steady::since_1970,
    log::{restoring, with_growth_from},
};
pub use protocol_spec::submitted::MAX_WRAPS;
