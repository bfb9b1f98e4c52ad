//! Records on the way: plaintext in, leaves out, and back, in constant memory.
//!
//! | module | does |
//! |---|---|
//! | `source`, `sink` | what is sent: [`Source`]; where parts go: [`Sink`] |
//! | `files` | the user's files and folders as both |
//! | `sealing` | source → hashed parts and sealed leaves, on a thread of its own |
//! | `journal` | what makes an upload resumable, written before anything leaves the machine |
//! | `send` | leaves → server, several requests at once, retried |
//! | `receive` | server → leaves, resumed where a connection broke |
//! | `left` | what an earlier run has received → leaves again |
//! | `opening` | leaves → verified parts, on a thread of its own |
//! | `pipe` | plaintext that is sealed again as it is opened |

pub(crate) mod files;
mod journal;
mod left;
mod opening;
pub(crate) mod pipe;
mod receive;
mod sealing;
mod send;
mod sink;
mod source;
#[cfg(test)]
mod tests;

pub use self::{
    files::{FileSource, FolderSink, LeftOut, Remark, Remarked},
    left::LeftBehind,
    sink::Sink,
    source::{AsyncPart, Source, SourcePart},
};
pub(crate) use self::{
    journal::{FetchJournal, Journal, KeptCommit},
    opening::Expected,
    receive::{Budget, Leaves, interrupted, receive},
    sealing::SealedStream,
    send::upload,
    source::check_names,
};

/// Hears how far a transfer is; counts stream bytes. `()` does not listen.
pub trait Progress: Send + Sync {
    /// So many bytes will be moved.
    fn started(&self, total: u64);
    /// So many more have been moved.
    fn advanced(&self, bytes: u64);
    /// All have been moved and verified.
    fn finished(&self);
}

impl Progress for () {
    fn started(&self, _: u64) {}
    fn advanced(&self, _: u64) {}
    fn finished(&self) {}
}
