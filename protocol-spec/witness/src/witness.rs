//! What a witness remembers and decides: one checkpoint for each log, replaced only by one that continues it. The file is what
//! counts: it is looked at before each cosignature.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use protocol_spec::{
    Error,
    defence::Defence,
    hash::{Sha256Digest, sha256},
    log::{
        Hash, NoteKey, SignatureLine, SignedCheckpoint, Submission, VerifiedCheckpoint, cosign,
        verify_consistency,
    },
};

use crate::identity::{Identity, LOGS};

/// A witness of some logs.
pub(crate) struct Witness {
    identity: Identity,
    logs: HashMap<String, WitnessedLog>,
}

/// A log as far as it is known here.
struct WitnessedLog {
    key: NoteKey,
    file: PathBuf,
    /// What was cosigned last. Held while the next is compared, stored and cosigned, so that no submission overtakes another.
    last: Mutex<Last>,
}

/// What is remembered of a log: what its file holds, and what has been said of that.
#[derive(Default)]
struct Last {
    bytes: Option<Vec<u8>>,
    checkpoint: Option<VerifiedCheckpoint>,
    said: Option<Said>,
}

/// A cosignature, for whoever asks for the same in the same second.
struct Said {
    text: String,
    at: u64,
    line: SignatureLine,
}

/// Why a submission is not cosigned, each with its status of tlog-witness.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotCosigned {
    /// 400: the request is not of the protocol's form.
    #[error("malformed: {0}")]
    Malformed(#[from] Error),
    /// 403: the log has not signed the checkpoint.
    #[error("no signature of the log")]
    Unsigned,
    /// 404: the origin is not this witness's log.
    #[error("not a log that is witnessed here")]
    UnknownLog,
    /// 409: leaves of the log that was cosigned last.
    #[error("another size was cosigned last")]
    Conflict(u64),
    /// 422: the consistency proof does not verify.
    #[error("it does not continue what was cosigned last")]
    Inconsistent,
    /// 500: less is stored than was cosigned.
    #[error("what was cosigned last is gone from the folder: restore it, and restart the witness")]
    Forgotten,
    /// 500: the folder cannot be written or read.
    #[error("cannot be stored: {0}")]
    Storage(#[from] std::io::Error),
}

impl Witness {
    /// Opens what the folder remembers of these logs. A file that cannot be read is an error and not a new log: who
    /// forgets would cosign another history.
    pub(crate) fn open(data: &Path, identity: Identity, keys: Vec<NoteKey>) -> Result<Self> {
        let folder = data.join(LOGS);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut logs = HashMap::new();
        for key in keys {
            let file = folder.join(HEXLOWER.encode(&sha256(&[key.name().as_bytes()])));
            let log = WitnessedLog {
                key,
                file,
                last: Mutex::default(),
            };
            let last = log.stored()?;
            logs.insert(
                log.key.name().to_owned(),
                WitnessedLog {
                    last: Mutex::new(last),
                    ..log
                },
            );
        }
        Ok(Self { identity, logs })
    }

    /// Checks a submission, remembers it, and cosigns it (LOG-12). Blocks.
    pub(crate) fn add(&self, submission: Submission) -> Result<SignatureLine, NotCosigned> {
        let Submission {
            old,
            path,
            checkpoint,
        } = submission;
        let log = self.logs.get(&checkpoint.claimed().origin);
        let log = log.ok_or(NotCosigned::UnknownLog)?;
        let checkpoint = checkpoint.verify(&log.key).map_err(|_| NotCosigned::Unsigned)?;
        if old > checkpoint.size {
            return Err(Error::Field { field: "old size" }.into());
        }
        // A panic elsewhere leaves what was stored before it.
        let mut last = log.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !Defence::WitnessFolder.is_off() {
            log.look(&mut last)?;
        }
        check_continues(last.checkpoint.as_ref(), old, &path, &checkpoint)?;
        let again = (last.checkpoint.as_ref())
            .is_some_and(|last| (last.size, last.root) == (checkpoint.size, checkpoint.root));
        if again && !Defence::WitnessLimits.is_off() {
            return self.say(&mut last, &checkpoint);
        }
        // What has been answered is remembered: durable first, then cosigned.
        let bytes = checkpoint.note().to_string().into_bytes();
        guard::write_private(&log.file, &bytes)?;
        *last = Last {
            bytes: Some(bytes),
            checkpoint: Some(checkpoint.clone()),
            said: None,
        };
        self.say(&mut last, &checkpoint)
    }

    /// Cosigns what is remembered: for everybody in one second once (LOG-21).
    fn say(&self, last: &mut Last, checkpoint: &VerifiedCheckpoint) -> Result<SignatureLine, NotCosigned> {
        let (text, at) = (checkpoint.note().text(), now());
        if let Some(said) = last
            .said
            .as_ref()
            .filter(|said| said.at == at && said.text == text)
        {
            return Ok(said.line.clone());
        }
        let line = cosign(checkpoint, self.identity.key(), at, |message| {
            self.identity.sign(message)
        })?;
        last.said = Some(Said {
            text: text.to_owned(),
            at,
            line: line.clone(),
        });
        Ok(line)
    }
}

impl WitnessedLog {
    /// Takes over what the file holds, which is what counts, whatever this process remembers (LOG-20). It never holds less; if it
    /// does, what is remembered stays.
    fn look(&self, last: &mut Last) -> Result<(), NotCosigned> {
        let bytes = guard::read_if_there(&self.file)?;
        if bytes == last.bytes {
            return Ok(());
        }
        let stored = self.parse(bytes).map_err(|_| NotCosigned::Forgotten)?;
        let size = |last: &Last| last.checkpoint.as_ref().map(|checkpoint| checkpoint.size);
        if size(&stored) < size(last) {
            return Err(NotCosigned::Forgotten);
        }
        *last = stored;
        Ok(())
    }

    /// The checkpoint that the file holds, read anew.
    fn stored(&self) -> Result<Last> {
        let file = &self.file;
        let bytes = guard::read_if_there(file).with_context(|| format!("cannot read {}", file.display()))?;
        self.parse(bytes)
            .with_context(|| format!("{} is damaged: restore it from a backup", file.display()))
    }

    fn parse(&self, bytes: Option<Vec<u8>>) -> Result<Last, Error> {
        let read = |note: &Vec<u8>| SignedCheckpoint::parse(note)?.verify(&self.key);
        Ok(Last {
            checkpoint: bytes.as_ref().map(read).transpose()?,
            bytes,
            said: None,
        })
    }
}

/// Whether a checkpoint continues what was cosigned last, by its proof.
fn check_continues(
    last: Option<&VerifiedCheckpoint>,
    old: u64,
    path: &[Hash],
    checkpoint: &VerifiedCheckpoint,
) -> Result<(), NotCosigned> {
    let seen = last.map_or(0, |last| last.size);
    if old != seen {
        return Err(NotCosigned::Conflict(seen));
    }
    match last {
        Some(last) if last.size == checkpoint.size && last.root != checkpoint.root => {
            Err(NotCosigned::Conflict(seen))
        }
        Some(last) if last.size > 0 => {
            verify_consistency(last, checkpoint, path).map_err(|_| NotCosigned::Inconsistent)
        }
        // Every log continues the empty one.
        _ if path.is_empty() && (checkpoint.size > 0 || checkpoint.root == Sha256Digest::of(b"")) => Ok(()),
        _ => Err(NotCosigned::Inconsistent),
    }
}

/// The system's clock, in seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
