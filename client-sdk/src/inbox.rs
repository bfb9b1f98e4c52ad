//! Inboxes: events in order, each opened and verified before it is shown. One that does not verify is shown
//! as such, so that a bad event hides no good one.
//!
//! | module | holds |
//! |---|---|
//! | `reading` | an inbox: which events there are, in order |
//! | `event`, `columns` | an event as it is shown; what it is about |
//! | `what` | the kinds of events; how requests, denials and notes are opened |
//! | `granted`, `received`, `emergency` | how the other kinds are opened |
//! | `opened` | what an opened event says |
//! | `party` | who has sent it |

mod columns;
mod emergency;
mod event;
mod granted;
mod opened;
mod party;
mod reading;
mod received;
mod what;

pub(crate) use self::reading::InboxReader;
pub use self::{
    columns::InboxColumns,
    event::{InboxEvent, NewestEvents},
    party::Party,
    what::InboxWhat,
};

#[cfg(test)]
mod tests;
