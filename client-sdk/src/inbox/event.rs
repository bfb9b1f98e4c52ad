//! Events of an inbox as they are shown: opened, verified, numbered.

use serde::Serialize;

use super::{party::Party, what::InboxWhat};

/// One event of an inbox, opened and verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InboxEvent {
    /// From 1, without gaps: the cursor.
    #[serde(rename = "id")]
    pub number: u64,
    /// When it arrived, in milliseconds since 1970, by the server's clock.
    #[serde(serialize_with = "crate::text::moment")]
    pub at: u64,
    /// Who has sent what it tells.
    #[serde(flatten, serialize_with = "Party::sender")]
    pub from: Party,
    /// What the event tells the principal whose inbox it lies in.
    #[serde(flatten)]
    pub what: InboxWhat,
    /// The sealed text, opened; or why the event does not verify. Empty where there is none.
    pub text: String,
}

/// The newest events of an inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewestEvents {
    /// In order, the newest last.
    pub events: Vec<InboxEvent>,
    /// How many events there are before them.
    pub earlier: u64,
}
