//! Offline proofs, as c2sp.org/tlog-proof has them: one text that says where a leaf stands, and under which checkpoint.

use std::{fmt, str::FromStr};

use data_encoding::BASE64;

use super::{
    checkpoint::{SignedCheckpoint, VerifiedCheckpoint, decimal, hash_line},
    merkle::{Hash, verify_leaf},
    note::{Note, NoteKey, malformed},
};
use crate::{Error, keys::IdentityKey};

/// A parsed proof; nothing of it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Whatever its maker adds; nobody has signed it.
    pub extra: Option<Vec<u8>>,
    /// Zero-based index of the leaf.
    pub index: u64,
    /// Audit path of RFC 6962 §2.1.1, from the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The checkpoint of the tree that the path leads to.
    pub checkpoint: SignedCheckpoint,
}

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Hashes of the longest path: no tree has more levels.
const MAX_PATH: usize = 63;

impl TlogProof {
    /// Most bytes: header, index and path come before the note.
    pub const MAX_LEN: usize = Note::MAX_LEN + 8192;

    /// Checks the log's signature and that the leaf stands there (LOG-2, LOG-3).
    pub fn verify(self, leaf: &[u8], log: &NoteKey) -> Result<VerifiedCheckpoint, Error> {
        let checkpoint = self.checkpoint.verify(log)?;
        verify_leaf(&checkpoint, leaf, self.index, &self.path)?;
        Ok(checkpoint)
    }
}

impl TlogProof {
    /// The same for a log of this operator's, of whatever generation.
    pub fn verify_by(self, leaf: &[u8], operator: &IdentityKey) -> Result<VerifiedCheckpoint, Error> {
        let checkpoint = self.checkpoint.verify_by(operator)?;
        verify_leaf(&checkpoint, leaf, self.index, &self.path)?;
        Ok(checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > Self::MAX_LEN {
            return malformed("a proof is too long");
        }
        let Some((head, checkpoint)) = text.split_once("\n\n") else {
            return malformed("a proof has no checkpoint");
        };
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return malformed("a proof has another first line");
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.map(|line| BASE64.decode(line.trim_start_matches("extra ").as_bytes()));
        let Ok(extra) = extra.transpose() else {
            return malformed("the extra data of a proof is no base64");
        };
        let Some(index) = lines.next().and_then(|line| line.strip_prefix("index ")) else {
            return malformed("a proof has no index");
        };
        let path: Vec<_> = lines
            .take(MAX_PATH + 1)
            .map(hash_line)
            .collect::<Result<_, _>>()?;
        if path.len() > MAX_PATH {
            return malformed("the path of a proof is too long");
        }
        Ok(Self {
            extra,
            index: decimal(index)?,
            path,
            checkpoint: SignedCheckpoint::parse(checkpoint.as_bytes())?,
        })
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            extra,
            index,
            path,
            checkpoint,
        } = self;
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = extra {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(f, "index {index}")?;
        for hash in path {
            writeln!(f, "{}", BASE64.encode(hash))?;
        }
        write!(f, "\n{}", checkpoint.note())
    }
}
