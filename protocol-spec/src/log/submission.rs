//! What a log sends to a witness, `add-checkpoint` of c2sp.org/tlog-witness: a checkpoint, and how it continues the
//! one that the witness has cosigned last.

use std::{fmt, str::FromStr};

use data_encoding::BASE64;

use super::{
    checkpoint::{SignedCheckpoint, decimal, hash_line},
    merkle::Hash,
    note::{Note, malformed},
};
use crate::Error;

/// A parsed submission; nothing of it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Leaves of the log that the witness has cosigned last, 0 for none.
    pub old: u64,
    /// Consistency proof from the tree of that size.
    pub path: Vec<Hash>,
    /// The checkpoint that the witness is to cosign.
    pub checkpoint: SignedCheckpoint,
}

impl Submission {
    /// Most bytes: old size and path come before the note.
    pub const MAX_LEN: usize = Note::MAX_LEN + 4096;
    /// Hashes of the longest path.
    const MAX_PATH: usize = 63;
}

impl FromStr for Submission {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > Self::MAX_LEN {
            return malformed("a submission is too long");
        }
        let Some((head, checkpoint)) = text.split_once("\n\n") else {
            return malformed("a submission has no checkpoint");
        };
        let mut lines = head.split('\n');
        let Some(old) = lines.next().and_then(|line| line.strip_prefix("old ")) else {
            return malformed("a submission has no old size");
        };
        let path: Vec<_> = lines
            .take(Self::MAX_PATH + 1)
            .map(hash_line)
            .collect::<Result<_, _>>()?;
        if path.len() > Self::MAX_PATH {
            return malformed("the path of a submission is too long");
        }
        Ok(Self {
            old: decimal(old)?,
            path,
            checkpoint: SignedCheckpoint::parse(checkpoint.as_bytes())?,
        })
    }
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            old,
            path,
            checkpoint,
        } = self;
        writeln!(f, "old {old}")?;
        for hash in path {
            writeln!(f, "{}", BASE64.encode(hash))?;
        }
        write!(f, "\n{}", checkpoint.note())
    }
}
