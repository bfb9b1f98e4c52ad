//! The server's edge, seen from outside: a limit counts only when an attack shows it, and when the same
//! attack goes through with the limit off. What the vault decides is tested elsewhere.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod caller;
mod client;
mod fairness;
mod frames;
mod hospital;
mod http2;
mod limits;
mod memory;
mod patient;
mod program;
mod signed;
mod slow_readers;
mod streams;
mod tls;
mod unending;
