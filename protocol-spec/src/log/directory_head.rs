//! What a checkpoint says of the directory: how many entries before it are events of it, and a chain over them.

use data_encoding::BASE64;

use super::checkpoint::{Checkpoint, decimal, hash_line};
use super::note::malformed;
use crate::{
    Error,
    hash::{Sha256Digest, sha256},
    labels,
};

/// The directory events of a log up to some size. It follows from the entries alone (LOG-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryHead {
    /// How many events of the directory the log holds.
    pub events: u64,
    /// The chain over them; zeros over none.
    pub hash: Sha256Digest,
}

const NAME: &str = "medvault/directory ";

impl DirectoryHead {
    /// Of a log without events.
    pub const NONE: Self = Self {
        events: 0,
        hash: Sha256Digest::from_bytes([0; 32]),
    };

    /// One event more, which stands at this index of the log:
    /// h' = SHA-256(LABEL(LOG_DIRECTORY) ‖ h ‖ u64be(index) ‖ SHA-256(entry)).
    #[must_use]
    pub fn with(self, index: u64, entry: &[u8]) -> Self {
        let hash = sha256(&[
            &labels::LOG_DIRECTORY.bytes(),
            self.hash.as_bytes(),
            &index.to_be_bytes(),
            &sha256(&[entry]),
        ]);
        Self {
            events: self.events + 1,
            hash: Sha256Digest::from_bytes(hash),
        }
    }

    /// The extension line of a checkpoint.
    pub fn line(&self) -> String {
        let Self { events, hash } = self;
        format!("{NAME}{events} {}", BASE64.encode(hash.as_bytes()))
    }

    /// What a checkpoint says, in the one line of it that is about the directory (LOG-15). Fails with [`Error::Note`]
    /// if there is no such line or two, or if it is not of its form.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, Error> {
        let mut lines = checkpoint
            .extensions
            .iter()
            .filter_map(|line| line.strip_prefix(NAME));
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return malformed("a checkpoint has one line about the directory");
        };
        let Some((events, hash)) = line.split_once(' ') else {
            return malformed("the line about the directory has a number and a hash");
        };
        let head = Self {
            events: decimal(events)?,
            hash: Sha256Digest::from_bytes(hash_line(hash)?),
        };
        if head.events > checkpoint.size || (head.events == 0) != (head.hash == Self::NONE.hash) {
            return malformed("the line about the directory has more events than there can be");
        }
        Ok(head)
    }
}
