//! Checkpoints, as c2sp.org/tlog-checkpoint has them: a note that says how large the log is, and its root.

use std::{fmt, ops::Deref};

use data_encoding::BASE64;

use super::note::{KeyKind, Note, NoteKey, malformed};
use crate::{Error, hash::Sha256Digest, ids::OperatorId, keys::IdentityKey};

/// The values that a checkpoint states: which log, how large, under which root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log, which is also that of its key.
    pub origin: String,
    /// How many leaves the log has.
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

/// Which of an operator's logs: the first, or the one that a restoration has begun (RST-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

impl Generation {
    /// The log that the operator has begun with, before any restoration.
    pub const FIRST: Self = Self(1);

    /// The one with this number, from 1. Fails with [`Error::Field`] for zero.
    pub fn new(number: u64) -> Result<Self, Error> {
        match number {
            0 => Err(Error::Field { field: "generation" }),
            number => Ok(Self(number)),
        }
    }

    /// What an origin says: the number behind the operator's id, and the first without any.
    fn of(origin: &str) -> Result<Self, Error> {
        let operator = origin.strip_prefix(LOG).unwrap_or(origin);
        match operator.split_once('/') {
            None => Ok(Self::FIRST),
            Some((_, number)) => decimal(number)
                .ok()
                .filter(|number| *number > Self::FIRST.0)
                .map(Self)
                .ok_or(Error::Mismatch {
                    what: "checkpoint and log",
                }),
        }
    }

    /// The number of the generation, from 1.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The one that the next restoration begins.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const LOG: &str = "medvault/log/";

/// The key of an operator's first log: its name is the log's origin, which follows from the operator's key (LOG-2).
/// This never fails: an id is a name.
pub fn log_key(operator: &IdentityKey) -> Result<NoteKey, Error> {
    log_key_of(operator, Generation::FIRST)
}

/// The key of the log of a generation: the operator's key under that log's origin (RST-1). This never fails: an id
/// and a number are a name.
pub fn log_key_of(operator: &IdentityKey, generation: Generation) -> Result<NoteKey, Error> {
    let mut origin = format!("{LOG}{}", OperatorId::from(operator));
    if generation != Generation::FIRST {
        origin.push('/');
        origin.push_str(&generation.to_string());
    }
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
    /// Has a checkpoint signed by its log's key: `sign` gets the text. Fails with [`Error::Note`] if the origin is
    /// not the key's name or a line is none.
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

    /// Reads a checkpoint and checks its form, but no signature (LOG-6).
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { note, checkpoint })
    }

    /// Checks that the log has signed it (LOG-2): the key's name is the origin, there is a signature of that key, and all
    /// there are of it verify. Fails with [`Error::Mismatch`] for the checkpoint of another log.
    pub fn verify(self, log: &NoteKey) -> Result<VerifiedCheckpoint, Error> {
        if self.checkpoint.origin != log.name() {
            return Err(Error::Mismatch {
                what: "checkpoint and log",
            });
        }
        self.note.signed_by(log)?;
        Ok(VerifiedCheckpoint(self))
    }

    /// The same for a log of this operator's, of whatever generation it says: which one it may be is another question (RST-6).
    pub fn verify_by(self, operator: &IdentityKey) -> Result<VerifiedCheckpoint, Error> {
        let generation = Generation::of(&self.checkpoint.origin)?;
        self.verify(&log_key_of(operator, generation)?)
    }

    /// What it claims: enough to choose the key that must verify it, and for nothing else.
    pub fn claimed(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The signed note that carries the checkpoint.
    pub fn note(&self) -> &Note {
        &self.note
    }
}

impl VerifiedCheckpoint {
    /// The checkpoint as it was read, with all its signatures.
    pub fn signed(&self) -> &SignedCheckpoint {
        &self.0
    }

    /// Which of the operator's logs it is of; of others' logs it says nothing.
    pub fn generation(&self) -> Generation {
        Generation::of(&self.origin).unwrap_or(Generation::FIRST)
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
