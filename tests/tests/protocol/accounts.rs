//! Accounts: who may enrol, how much is kept for whom, who may fill whose inbox. See `protocol-spec/spec/accounts.md`.

mod enrolling;
mod inboxes;
mod storage;
