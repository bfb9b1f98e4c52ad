//! What a witness remembers and decides: one checkpoint for each log, replaced only by one that continues it.

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
    hash::{Sha256Digest, sha256},
    log::{
        NoteKey, SignatureLine, SignedCheckpoint, Submission, VerifiedCheckpoint, cosign, verify_consistency,
    },
};

use crate::{
    files,
    identity::{Identity, LOGS},
};

/// A witness of some logs.
pub(crate) struct Witness {
    identity: Identity,
    logs: HashMap<String, Log>,
}

/// A log as far as it is known here.
struct Log {
    key: NoteKey,
    file: PathBuf,
    /// What was cosigned last. Held while the next is compared, stored and cosigned, so that no submission overtakes another.
    last: Mutex<Option<VerifiedCheckpoint>>,
}

/// Why a submission is not cosigned, each with its status of tlog-witness.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// 400.
    #[error("malformed: {0}")]
    Malformed(#[from] Error),
    /// 403.
    #[error("no signature of the log")]
    Unsigned,
    /// 404.
    #[error("not a log that is witnessed here")]
    UnknownLog,
    /// 409: leaves of the log that was cosigned last.
    #[error("another size was cosigned last")]
    Conflict(u64),
    /// 422.
    #[error("it does not continue what was cosigned last")]
    Inconsistent,
    /// 500.
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
            let stored = files::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let damaged = || format!("{} is damaged: restore it from a backup", file.display());
            let last = stored
                .map(|note| SignedCheckpoint::parse(&note)?.verify(&key))
                .transpose()
                .with_context(damaged)?;
            let last = Mutex::new(last);
            logs.insert(key.name().to_owned(), Log { key, file, last });
        }
        Ok(Self { identity, logs })
    }

    /// Checks a submission, remembers it, and cosigns it (LOG-12). Blocks.
    pub(crate) fn add(&self, submission: Submission) -> Result<SignatureLine, Refusal> {
        let Submission {
            old,
            path,
            checkpoint,
        } = submission;
        let log = self.logs.get(&checkpoint.claimed().origin);
        let log = log.ok_or(Refusal::UnknownLog)?;
        let checkpoint = checkpoint.verify(&log.key).map_err(|_| Refusal::Unsigned)?;
        if old > checkpoint.size {
            return Err(Error::Field { field: "old size" }.into());
        }
        // A panic elsewhere leaves what was stored before it.
        let mut last = log.last.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = last.as_ref().map_or(0, |last| last.size);
        if old != seen {
            return Err(Refusal::Conflict(seen));
        }
        match &*last {
            Some(last) if last.size == checkpoint.size && last.root != checkpoint.root => {
                return Err(Refusal::Conflict(seen));
            }
            Some(last) if last.size > 0 => {
                verify_consistency(last, &checkpoint, &path).map_err(|_| Refusal::Inconsistent)?;
            }
            // Every log continues the empty one.
            _ if path.is_empty() && (checkpoint.size > 0 || checkpoint.root == Sha256Digest::of(b"")) => {}
            _ => return Err(Refusal::Inconsistent),
        }
        // What has been answered is remembered: durable first, then cosigned.
        files::write(&log.file, checkpoint.note().to_string().as_bytes())?;
        let line = cosign(&checkpoint, self.identity.key(), now(), |message| {
            self.identity.sign(message)
        });
        *last = Some(checkpoint);
        Ok(line?)
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
