//! What is believed of what the server says: the log, the directory, and what is proven by them.
//!
//! | module | owns |
//! |---|---|
//! | `met` | what ids stood for when they were first met |
//! | `witnesses` | whose cosignatures of the log are asked for, and which there are |
//! | `log` | the log that only grows, as it is pinned |
//! | `mirror` | the mirror of the directory, and what is looked up in it |
//! | `provenance`, `asked`, `patients` | records, requests and other patients, proven |
//! | `opening` | nothing: openings in emergencies, proven by the entries that come with them |
//! | `restoring` | a server that goes on with an older copy of its data |
//! | `view` | nothing: what all of it is to whoever uses the library |
//!
//! An owner has its state and its mutex, works over server and home, and uses only owners above it in this list. Locks are therefore
//! taken from below, and whoever holds one takes none but those after it: `mirror`, `log`, `witnesses`, and last the home's files.

mod asked;
mod log;
mod met;
mod mirror;
mod opening;
mod patients;
mod provenance;
mod restoring;
mod view;
mod witnesses;

pub(crate) use self::{
    asked::{Asked, Asks},
    log::PinnedLog,
    met::Meanings,
    mirror::{Mirror, must_go_on},
    opening::emergency_opening,
    patients::OtherPatients,
    provenance::{ReceiptedRecord, StoredRecords, TAKE_BACK, VerifiedRecord},
    restoring::Restorations,
    witnesses::{Began, Witnesses},
};
pub use self::{
    mirror::Audited,
    provenance::{FetchedPart, Provenance},
    restoring::RestorationInfo,
    view::Trust,
    witnesses::WitnessPolicy,
};
