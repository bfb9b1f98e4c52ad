//! Checkpoints, as c2sp.org/tlog-checkpoint has them: a note that says how large the log is, and its root.

use std::ops::Deref;

use data_encoding::BASE64;

use super::note::{KeyKind, Note, NoteKey, malformed};
use crate::{Error, hash::Sha256Digest, ids::OperatorId, keys::IdentityKey};

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Sha256Digest,
    /// Lines after these three. Logs of operators have one, about the directory (LOG-15); others mean nothing here.
    pub extensions: Vec<String>,
}

/// A parsed checkpoint whose signatures nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: Note,
    checkpoint: Checkpoint,
}

/// A checkpoint that its log has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint(SignedCheckpoint);

/// The key of an operator's log: its name is the log's origin, which follows from the operator's key (LOG-2).
///
/// # Errors
/// None: an id is a name.
pub fn log_key(operator: &IdentityKey) -> Result<NoteKey, Error> {
    let origin = format!("medvault/log/{}", OperatorId::from(operator));
    NoteKey::new(&origin, KeyKind::Ed25519, *operator)
}

impl Checkpoint {
    /// The text to be signed.
    pub fn text(&self) -> String {
        let Self {
            origin,
            size,
            root,
            extensions,
        } = self;
        let mut text = format!("{origin}\n{size}\n{}\n", BASE64.encode(root.as_bytes()));
        for line in extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return malformed("a checkpoint has three lines at least");
        };
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if origin.is_empty() || extensions.iter().any(String::is_empty) {
            return malformed("a line of a checkpoint is empty");
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: decimal(size)?,
            root: Sha256Digest::from_bytes(hash_line(root)?),
            extensions,
        })
    }
}

impl SignedCheckpoint {
    /// Has a checkpoint signed by its log's key: `sign` gets the text.
    ///
    /// # Errors
    /// [`Error::Note`] if the origin is not the key's name or a line is none.
    pub fn sign(
        checkpoint: Checkpoint,
        key: &NoteKey,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Self, Error> {
        let text = checkpoint.text();
        if checkpoint.origin != key.name() || Checkpoint::parse(&text)? != checkpoint {
            return malformed("a checkpoint is signed under its origin's name");
        }
        let line = key.line(sign(text.as_bytes()).to_vec());
        Ok(Self {
            note: Note::unsigned(text)?.with(line),
            checkpoint,
        })
    }

    /// Reads a checkpoint (LOG-6).
    ///
    /// # Errors
    /// [`Error::Note`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { note, checkpoint })
    }

    /// Checks that the log has signed it (LOG-2): the key's name is the origin, there is a signature of that key, and all
    /// there are of it verify.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for another log's, [`Error::Signature`].
    pub fn verify(self, log: &NoteKey) -> Result<VerifiedCheckpoint, Error> {
        if self.checkpoint.origin != log.name() {
            return Err(Error::Mismatch {
                what: "checkpoint and log",
            });
        }
        self.note.signed_by(log)?;
        Ok(VerifiedCheckpoint(self))
    }

    /// What it claims: enough to choose the key that must verify it, and for nothing else.
    pub fn claimed(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note.
    pub fn note(&self) -> &Note {
        &self.note
    }
}

impl VerifiedCheckpoint {
    /// As it was read.
    pub fn signed(&self) -> &SignedCheckpoint {
        &self.0
    }

    /// The note with all its signatures, also those of unknown keys.
    pub fn note(&self) -> &Note {
        &self.0.note
    }

    /// The same checkpoint with one signature more.
    #[must_use]
    pub fn with(self, line: super::SignatureLine) -> Self {
        let SignedCheckpoint { note, checkpoint } = self.0;
        Self(SignedCheckpoint {
            note: note.with(line),
            checkpoint,
        })
    }
}

impl Deref for VerifiedCheckpoint {
    type Target = Checkpoint;

    fn deref(&self) -> &Checkpoint {
        &self.0.checkpoint
    }
}

/// An ASCII decimal without leading zeros.
pub(super) fn decimal(text: &str) -> Result<u64, Error> {
    match text.parse::<u64>() {
        Ok(number) if number.to_string() == text => Ok(number),
        _ => malformed("a number of it is no plain decimal"),
    }
}

/// One SHA-256 hash in base64.
pub(super) fn hash_line(text: &str) -> Result<[u8; 32], Error> {
    let bytes = BASE64.decode(text.as_bytes()).unwrap_or_default();
    match <[u8; 32]>::try_from(bytes) {
        Ok(hash) => Ok(hash),
        Err(_) => malformed("a line of it is no hash"),
    }
}
