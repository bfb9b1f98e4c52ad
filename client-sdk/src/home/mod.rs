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
mod guard;
pub(crate) mod latest;
mod lock;
mod principal;
mod seal;
mod secrets;
mod strength;
mod unlocking;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use self::{
    book::Books,
    guard::{Guard, READ, SEAL, SEAL_LOCK},
    lock::take_lock,
};
pub(crate) use self::{
    chain::At,
    closed::ClosedHome,
    era::Lived,
    guard::More,
    lock::Lock,
    principal::{Kind, Pins, Principal},
    secrets::SecretsKey,
};
pub use self::{
    check::{CheckedHome, check_home},
    secrets::Unlock,
    unlocking::change_unlock,
};
use crate::{
    Error, Result,
    ground::{Ground, HomeFiles, System},
};

/// A home that is unlocked: what is read of it is what was written there.
#[derive(Clone)]
pub(crate) struct Home {
    /// The folder of it that this is, with a slash; empty for all of it.
    below: String,
    guard: Arc<Guard>,
    books: Arc<Books>,
    /// How many restorations of its server it has accepted.
    era: usize,
}

impl Home {
    fn new(guard: Guard) -> Self {
        Self {
            below: String::new(),
            guard: Arc::new(guard),
            books: Arc::default(),
            era: 0,
        }
    }

    /// A home for a test, and the same one for whoever asks again.
    #[cfg(test)]
    pub(crate) fn at(ground: impl Into<Ground>) -> Self {
        let ground = ground.into();
        let key = crypto::HomeSealKey::derive(&[7; 32], b"a test");
        ground.files.make_folder("").unwrap();
        let there = ground.files.read(SEAL).unwrap().is_some();
        Self::new(match there {
            true => Guard::load(key, ground).unwrap(),
            false => Guard::begin(key, ground),
        })
    }

    /// A folder of it, whose files are read and written alike.
    pub(crate) fn below(&self, folder: &str) -> Self {
        Self {
            below: format!("{}{folder}/", self.below),
            ..self.clone()
        }
    }

    /// Where a file of it is, for people.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files().place(&self.named(name))
    }

    fn files(&self) -> &dyn HomeFiles {
        self.guard.files()
    }

    /// The ground that the home stands on.
    pub(crate) fn ground(&self) -> &Ground {
        self.guard.ground()
    }

    /// Time and chance as they come.
    pub(crate) fn system(&self) -> &dyn System {
        &*self.ground().system
    }

    /// The principal who lives in the home.
    pub(crate) fn principal(&self) -> Result<Principal> {
        let principal: Option<Principal> = self.read_json(PRINCIPAL)?;
        let readable = principal.filter(Principal::is_readable);
        readable.ok_or_else(|| self.damaged(PRINCIPAL))
    }

    /// The server that an enrolled principal belongs to.
    pub(crate) fn pins(&self, principal: &Principal) -> Result<Pins> {
        let not_enrolled = || Error::NotEnrolled {
            home: self.files().place(""),
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
            drop(self.files().remove(name));
        }
        // Fails when the caller keeps something else in it, and that is right.
        drop(self.files().remove_folder("", false));
    }

    /// The secrets as they are now, by the key that has opened them before.
    pub(crate) fn secrets(&self, principal: &Principal, key: &SecretsKey) -> Result<Zeroizing<Vec<u8>>> {
        let damaged = || self.damaged(SECRETS);
        let sealed: secrets::Sealed = self.read_json(SECRETS)?.ok_or_else(damaged)?;
        key.open(&principal.context(), &sealed.bytes().ok_or_else(damaged)?)
    }

    /// Seals other secrets in the place of those that are there.
    pub(crate) fn reseal(&self, principal: &Principal, secrets: &[u8], key: &SecretsKey) -> Result<()> {
        self.write_json(SECRETS, &key.seal(self.system(), &principal.context(), secrets)?)?;
        self.guard.seal()
    }

    /// Replaces the public part of the principal.
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
                Err(Error::HomeLocked { .. }) => self.system().sleep(LOCK_PAUSE).await,
                result => return result,
            }
        }
        self.try_lock()
    }

    /// The same on this thread, for what takes no longer than to replace a file.
    pub(crate) fn lock_here(&self) -> Result<Lock> {
        for _ in 0..LOCK_TRIES {
            match self.try_lock() {
                Err(Error::HomeLocked { .. }) => self.system().hold_up(LOCK_PAUSE),
                result => return result,
            }
        }
        self.try_lock()
    }

    pub(crate) fn try_lock(&self) -> Result<Lock> {
        take_lock(self.files(), LOCK)
    }

    /// Takes the lock of a folder of the home, for as long as one transfer runs.
    pub(crate) fn lock_folder(&self) -> Result<Lock> {
        self.lock_own(LOCK)
    }

    /// Takes a file of this name as its own lock.
    pub(crate) fn lock_own(&self, name: &str) -> Result<Lock> {
        self.make_folder("")?;
        take_lock(self.files(), &self.named(name))
    }

    /// Makes a folder of the home, if it is not there.
    pub(crate) fn make_folder(&self, folder: &str) -> Result<()> {
        let folder = self.named(folder);
        let made = self.files().make_folder(&folder);
        made.map_err(self.files().failed("cannot make", &folder))
    }

    /// Makes durable which files of a folder of the home there are.
    pub(crate) fn sync_folder(&self, folder: &str) -> Result<()> {
        let folder = self.named(folder);
        let synced = self.files().sync_folder(&folder);
        synced.map_err(self.files().failed("cannot sync", &folder))
    }

    /// Names of what lies in a folder of the home, in no order; those that a writer has left who died are among them.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<String>> {
        let folder = self.named(folder);
        let listed = self.files().list(&folder);
        listed.map_err(self.files().failed(READ, &folder))
    }

    /// Whether there is such a file, whatever is in it.
    pub(crate) fn is_there(&self, name: &str) -> Result<bool> {
        let name = self.named(name);
        let end = self.files().read_end(&name, 0);
        let end = end.map_err(self.files().failed(READ, &name))?;
        Ok(end.is_some())
    }

    /// Removes a file, if it is there; a power cut may bring it back.
    pub(crate) fn remove(&self, name: &str) {
        drop(self.files().remove(&self.named(name)));
    }

    /// Removes this folder of the home with all that is in it, and the one above it if that is empty then.
    pub(crate) fn remove_folder(&self) {
        let folder = self.below.trim_end_matches('/');
        drop(self.files().remove_folder(folder, true));
        if let Some((above, _)) = folder.rsplit_once('/') {
            drop(self.files().remove_folder(above, false));
        }
    }

    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let name = self.named(name);
        self.guard.open(&name, self.guard.read(&name)?)
    }

    /// Replaces a file: the old content or the new, never something between.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.guard.write(&self.named(name), bytes, true)
    }

    /// Replaces a file of which an older content would do as well.
    pub(crate) fn write_soon(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.guard.write(&self.named(name), bytes, false)
    }

    /// Writes over a file under whose lock this is called, without making it durable; only a cache may be torn by a power cut.
    pub(crate) fn write_over(&self, name: &str, content: &[u8]) -> Result<()> {
        self.guard.write_over(&self.named(name), content)
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
