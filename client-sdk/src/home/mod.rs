//! One principal's home directory: what it is, which server it belongs to, its sealed secrets.
//!
//! ```text
//! principal.json    who, with which server, which pins: public; its appearance makes the home one
//! secrets.sealed    seeds under the passphrase or key file, mode 0600
//! home.seal         what the home must have, and how new it is at least (see `seal`)
//! device.pb         the chain that leads to a patient's device     devices.pb   the lists of her devices
//! epochs.book       the newest key of each collection that was seen
//! exposed/          what lay in a collection when its key was taken out of use, by permission
//! keys.pb           an institution's statement of its keys      terminal.pb   a terminal's certificate
//! recipients.json   when an institution's earlier recipient keys end
//! directory.events  the mirror of the directory     directory.checkpoint  under which all of it stands
//! directory-audited.json  how far the log itself was read for it
//! restored.json     restorations of the server that were accepted (see `era`)    restorations.json  those that a registrar has signed
//! log.checkpoint    the newest log that was proven
//! witness.policy    whose cosignatures are asked for   log-pending.json  what waits for them
//! device-lists.book the newest list of devices that was met of each patient
//! vault-keys.book the newest vault key that was met of each patient
//! placements.json   the newest placement of each record version that was seen
//! history.json      what was seen of her history: a digest over all entries
//! vault.acts        what has been done to her vault, as this device has seen it
//! met.book          what ids of requests, permissions and records stood for when they were first met
//! used.book         what an institution has used of each permission     removed.book  its terminals that were removed
//! vault.times       when this device had seen how much of that      told.json     how much of it was told
//! recovery.json     when a patient's recovery kit was last proven
//! clock             the latest time that was seen
//! rules/            a patient's standing rules, signed, and what they answered (see `rules`)
//! uploads/ fetches/ journals of transfers that are not finished
//! piped/            files on their way from or to a pipe, of whoever made them (the `medvault` program)
//! ```
//! All of it but what a cache can make again is authenticated by who has unlocked the home (see `guard`): a file that is
//! missing, changed or older than it was is an error, and not a beginning. Files are replaced as a whole: written beside, synced, renamed;
//! books and `vault.acts` grow (see `chain`). Writers that read before they write hold `lock`. There is no second copy of the secrets: who
//! loses all homes, and has neither a recovery kit nor trustees, loses the data.

mod book;
mod chain;
mod check;
mod closed;
mod era;
mod files;
mod guard;
pub(crate) mod latest;
mod principal;
mod private;
mod seal;
mod secrets;
mod strength;
mod unlocking;

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use self::{
    book::Books,
    guard::{Guard, SEAL, SEAL_LOCK},
};
pub(crate) use self::{
    chain::At,
    closed::ClosedHome,
    era::Lived,
    files::{make_folder, make_new_folder, sync_folder},
    guard::More,
    principal::{Kind, Pins, Principal},
    secrets::SecretsKey,
};
pub use self::{
    check::{CheckedHome, check_home},
    secrets::Unlock,
    unlocking::change_unlock,
};
use crate::{Error, Result};

/// A home that is unlocked: what is read of it is what was written there.
#[derive(Clone)]
pub(crate) struct Home {
    dir: PathBuf,
    /// The folder of it that this is, with a slash; empty for all of it.
    below: String,
    guard: Arc<Guard>,
    books: Arc<Books>,
    /// How many restorations of its server it has accepted.
    era: usize,
}

/// Held while files are read and replaced; released when dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lock {
    _file: File,
}

impl Home {
    fn new(dir: &Path, guard: Guard) -> Self {
        Self {
            dir: dir.to_owned(),
            below: String::new(),
            guard: Arc::new(guard),
            books: Arc::default(),
            era: 0,
        }
    }

    /// A folder that is a home for a test, and the same one for whoever asks again.
    #[cfg(test)]
    pub(crate) fn at(dir: &Path) -> Self {
        let key = crypto::HomeSealKey::derive(&[7; 32], b"a test").unwrap();
        let guard = match dir.join(SEAL).exists() {
            true => Guard::load(dir, key).unwrap(),
            false => Guard::begin(dir, key),
        };
        Self::new(dir, guard)
    }

    /// A folder of it, whose files are read and written alike.
    pub(crate) fn below(&self, folder: &str) -> Self {
        Self {
            below: format!("{}{folder}/", self.below),
            ..self.clone()
        }
    }

    /// A path below the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(self.named(name))
    }

    /// Who lives here.
    pub(crate) fn principal(&self) -> Result<Principal> {
        let principal: Option<Principal> = self.read_json(PRINCIPAL)?;
        let readable = principal.filter(Principal::is_readable);
        readable.ok_or_else(|| self.damaged(PRINCIPAL))
    }

    /// The server that an enrolled principal belongs to.
    pub(crate) fn pins(&self, principal: &Principal) -> Result<Pins> {
        let not_enrolled = || Error::NotEnrolled {
            home: self.dir.clone(),
        };
        let stored = principal.pins().ok_or_else(not_enrolled)?;
        stored.ok_or_else(|| self.damaged(PRINCIPAL))
    }

    /// Takes back that it was made, when what should follow did not happen.
    pub(crate) fn discard(&self) {
        let names = self.guard.discard();
        let known = names.iter().map(String::as_str);
        for name in [PRINCIPAL, SECRETS, SEAL, SEAL_LOCK, LOCK]
            .into_iter()
            .chain(known)
        {
            drop(std::fs::remove_file(self.dir.join(name)));
        }
        // Fails when the caller keeps something else in it, and that is right.
        drop(std::fs::remove_dir(&self.dir));
    }

    /// The secrets as they are now, by the key that has opened them before.
    pub(crate) fn secrets(&self, principal: &Principal, key: &SecretsKey) -> Result<Zeroizing<Vec<u8>>> {
        let damaged = || self.damaged(SECRETS);
        let sealed: secrets::Sealed = self.read_json(SECRETS)?.ok_or_else(damaged)?;
        key.open(&principal.context(), &sealed.bytes().ok_or_else(damaged)?)
    }

    /// Seals other secrets in the place of those that are there.
    pub(crate) fn reseal(&self, principal: &Principal, secrets: &[u8], key: &SecretsKey) -> Result<()> {
        self.write_json(SECRETS, &key.seal(&principal.context(), secrets)?)?;
        self.guard.seal()
    }

    /// Replaces the public part.
    pub(crate) fn save(&self, principal: &Principal) -> Result<()> {
        self.write_json(PRINCIPAL, principal)?;
        self.guard.seal()
    }

    /// Brings the seal up to what was written: from now on no older state of it is taken for the newest.
    pub(crate) fn seal(&self) -> Result<()> {
        self.guard.seal()
    }

    /// Waits a little for other processes that write here.
    pub(crate) async fn lock(&self) -> Result<Lock> {
        for _ in 0..LOCK_TRIES {
            match self.try_lock() {
                Err(Error::HomeLocked { .. }) => tokio::time::sleep(LOCK_PAUSE).await,
                result => return result,
            }
        }
        self.try_lock()
    }

    /// The same on this thread, for what takes no longer than to replace a file.
    pub(crate) fn lock_here(&self) -> Result<Lock> {
        for _ in 0..LOCK_TRIES {
            match self.try_lock() {
                Err(Error::HomeLocked { .. }) => std::thread::sleep(LOCK_PAUSE),
                result => return result,
            }
        }
        self.try_lock()
    }

    pub(crate) fn try_lock(&self) -> Result<Lock> {
        lock_file(&self.dir.join(LOCK))
    }

    /// Takes the lock in `folder`, for as long as one transfer runs.
    pub(crate) fn lock_folder(folder: &Path) -> Result<Lock> {
        make_folder(folder)?;
        lock_file(&folder.join(LOCK))
    }

    /// Takes a file of this name in a folder of the home as its own lock.
    pub(crate) fn lock_in(&self, folder: &str, name: &str) -> Result<(PathBuf, Lock)> {
        let folder = self.path(folder);
        make_folder(&folder)?;
        let path = folder.join(name);
        let lock = lock_file(&path)?;
        Ok((path, lock))
    }

    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let bytes = files::read_if_there(&self.path(name))?;
        self.guard.open(&self.named(name), bytes)
    }

    /// Replaces a file: the old content or the new, never something between.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.guard.write(&self.named(name), bytes, true)
    }

    /// Replaces a file of which an older content would do as well.
    pub(crate) fn write_soon(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.guard.write(&self.named(name), bytes, false)
    }

    /// A content as it lies in a file that its owner writes otherwise; only a cache may be.
    pub(crate) fn sealed(&self, name: &str, content: &[u8]) -> Vec<u8> {
        self.guard.sealed(&self.named(name), content)
    }

    /// The content of such a file.
    pub(crate) fn opened(&self, name: &str, bytes: Vec<u8>) -> Result<Option<Vec<u8>>> {
        self.guard.open(&self.named(name), Some(bytes))
    }

    /// What a file that grows has behind a place; none if there is no such file.
    pub(crate) fn read_chain(&self, name: &str, at: &mut At) -> Result<Option<More>> {
        self.guard.read_chain(&self.named(name), at)
    }

    /// Puts entries behind a place, if nothing is there yet, and syncs them; else what is there.
    pub(crate) fn extend_chain(&self, name: &str, at: &mut At, entries: &[&[u8]]) -> Result<Option<More>> {
        self.guard.extend_chain(&self.named(name), at, entries, true)
    }

    pub(crate) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(bytes) = self.read(name)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|_| self.damaged(name))
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|_| self.damaged(name))?;
        bytes.push(b'\n');
        self.write(name, &bytes)
    }

    pub(crate) fn damaged(&self, name: &str) -> Error {
        Error::HomeDamaged {
            file: self.path(name),
        }
    }

    fn named(&self, name: &str) -> String {
        format!("{}{}", self.below, self.of_era(name))
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Home").field(&self.path("")).finish()
    }
}

fn lock_file(path: &Path) -> Result<Lock> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(Error::io("cannot open", path))?;
    let home = || path.parent().unwrap_or(path).to_owned();
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::HomeLocked { home: home() }),
        Err(std::fs::TryLockError::Error(error)) => Err(Error::io("cannot lock", path)(error)),
    }
}

/// Cuts a blob of secrets into its N seeds.
pub(crate) fn seeds<const N: usize>(secrets: &[u8]) -> Option<&[[u8; 32]; N]> {
    let (seeds, rest) = secrets.as_chunks();
    rest.is_empty().then(|| seeds.try_into().ok())?
}

const PRINCIPAL: &str = "principal.json";
const SECRETS: &str = "secrets.sealed";
const LOCK: &str = "lock";
/// Files are replaced in milliseconds; who holds the lock longer than this hangs.
const LOCK_TRIES: u32 = 500;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
