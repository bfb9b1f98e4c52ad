#![doc = include_str!("../README.md")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

pub mod devices;
pub mod institution;
pub mod key;
pub mod operator;
pub mod patient;
pub mod permission;
pub mod request;
pub mod setting;
pub mod tls;
pub mod vectors;

pub use institution::{Institution, Terminal};
pub use key::{KeyPair, random, recipient, recipient_of, sealed};
pub use patient::Patient;
pub use permission::Permission;
pub use setting::{HOUR, START, Setting};
