//! Medvault's protocol: messages, rules and verification. No I/O, no ciphers, no clock.
//!
//! | module | holds |
//! |---|---|
//! | [`messages`], [`json`] | what travels, as generated from the `.proto` files, unvalidated; the same as JSON |
//! | [`ids`], [`hash`], [`keys`], [`labels`] | the words of the protocol as types |
//! | `declare`, `parts`, [`bodies`] | what statements hold, and what they say: one declaration each |
//! | [`statement`], [`patient`], [`permission`] | what somebody signs: parsed, then verified |
//! | [`directory`], [`mirror`], [`log`], [`link`] | where trust in keys comes from |
//! | [`programs`] | client programs that the registrar vouches for |
//! | [`history`] | the entries of a vault's history, each held against those before it |
//! | [`evidence`], [`case`], [`certificate`] | what proves things to whoever was not there |
//! | [`collection`] | collections, epochs, placements |
//! | [`purpose`], [`conditions`], [`attributes`], [`day`], [`tags`] | what for, and for which records |
//! | [`index`] | what a device has verified of a vault, for her other devices |
//! | [`invitation`], [`work`] | by which patients enrol |
//! | [`devices`] | the chain of lists of a patient's devices |
//! | [`vault_head`] | what has been done to a vault, and the heads over it |
//! | [`recovery`] | recovery keys that are divided among trustees |
//! | [`emergency`] | emergency permissions, and who may open them |
//! | [`content`], [`manifest`] | geometry and hashes of records, their parts |
//! | [`provenance`] | who made a record, whatever it is sealed under |
//! | [`lifecycle`] | what may be done under a permission, and what is left then |
//! | [`api`] | every endpoint: path, callers, messages, refusals |
//! | [`submitted`] | what principals submit, well-formed
//! | [`request`] | RFC 9421 signatures of requests |
//! | [`problem`] | refusals |
//! | [`defence`] | what tests switch off to see an attack succeed |
//!
//! The normative text is in `spec/`; each rule there has an id that the code cites.
//!
//! Some failures are said here alone: whatever verifies fails as [`Error::Signature`] where a signature does not
//! hold, and as [`Error::Mismatch`] where things speak of something else than they should; whatever reads fails as
//! [`Error::Decode`] for other messages, as [`Error::Field`] or [`Error::Length`] for a field that is not
//! well-formed, and as [`Error::Note`] for what is no note of the log.

pub mod api;
pub mod attributes;
pub mod bodies;
mod body;
pub mod case;
pub mod certificate;
pub mod collection;
pub mod conditions;
pub mod content;
pub mod day;
mod declare;
pub mod defence;
pub mod delegation;
pub mod devices;
pub mod directory;
pub mod emergency;
mod error;
pub mod evidence;
pub mod field;
pub mod file_names;
pub mod hash;
pub mod history;
pub mod ids;
pub mod index;
pub mod invitation;
pub mod json;
pub mod keys;
pub mod labels;
pub mod lifecycle;
pub mod link;
pub mod litter;
pub mod log;
pub mod manifest;
pub mod messages;
pub mod mirror;
pub mod names;
mod parts;
pub mod patient;
pub mod permission;
pub mod problem;
pub mod programs;
pub mod provenance;
pub mod purpose;
pub mod recovery;
pub mod released;
pub mod request;
pub mod restoration;
pub mod statement;
pub mod submitted;
pub mod tags;
mod text;
pub mod vault_head;
pub mod work;

pub use error::Error;
