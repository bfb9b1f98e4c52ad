//! What every part of the vault stands on: transactions, the one way in, accounts, time, and what all operations share.

pub(crate) mod account;
pub(crate) mod back;
pub(crate) mod bound;
pub(crate) mod handle;
pub(crate) mod idempotency;
pub(crate) mod limits;
pub(crate) mod payer;
pub(crate) mod proven;
pub(crate) mod refusal;
pub(in crate::vault) mod role;
pub(crate) mod run;
pub(crate) mod shared;
pub(crate) mod sizes;
pub(crate) mod steady;
pub(crate) mod submission;
pub(crate) mod time;
pub(crate) mod tx;
pub(crate) mod units;
pub(crate) mod weakened;
