//! One principal's home directory: what it is, which server it belongs to, its sealed secrets.
//!
//! ```text
//! principal.json    who, with which server, which pins: public; its appearance makes the home one
//! secrets.sealed    seeds under the passphrase or key file, mode 0600
//! device.pb         the chain that leads to a patient's device     devices.pb   the lists of her devices
//! epochs/           the newest key of each collection that was seen
//! exposed/          what lay in a collection when its key was taken out of use, by permission
//! keys.pb           an institution's statement of its keys      terminal.pb   a terminal's certificate
//! recipients.json   when an institution's earlier recipient keys end
//! directory.events  the mirror of the directory     directory.checkpoint  under which all of it stands
//! directory-audited.json  how far the log itself was read for it
//! log.checkpoint    the newest log that was proven
//! witness.policy    whose cosignatures are asked for   log-pending.json  what waits for them
//! device-lists/     the newest list of devices that was met of each patient
//! placements.json   the newest placement of each record version that was seen
//! history.json      what was seen of her history: a digest over all entries
//! met/              what ids of requests, permissions and records stood for when they were first met
//! recovery.json     when a patient's recovery kit was last proven
//! rules/            a patient's standing rules, signed, and what they answered (see `rules`)
//! uploads/ fetches/ journals of transfers that are not finished
//! ```
//! Every file but the journals is replaced as a whole: written beside, synced, renamed. Writers that read before
//! they write hold `lock`. There is no second copy of the secrets: who loses all homes, and has neither a recovery
//! kit nor trustees, loses the data.

mod files;
mod secrets;

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use data_encoding::HEXLOWER;
use protocol_spec::{hash::Sha256Digest, keys::IdentityKey, link::ServerLink};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

pub(crate) use self::files::{make_folder, make_new_folder, sync_folder};
pub use self::secrets::Unlock;
use self::secrets::UnlockedKey;
use crate::{Error, Result};

/// The directory; nothing is known about what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    dir: PathBuf,
}

/// Which kind of principal lives in a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Patient,
    Institution,
    Terminal,
    Registrar,
    /// A machine that waits for shares, with a key to which they are sealed.
    Recovering,
}

impl Kind {
    const fn text(self) -> &'static str {
        match self {
            Self::Patient => "a patient",
            Self::Institution => "an institution",
            Self::Terminal => "a terminal",
            Self::Registrar => "a registrar",
            Self::Recovering => "a machine that recovers a vault",
        }
    }
}

/// The public part of a home.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Principal {
    format: u32,
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// Of an institution.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) name: Option<String>,
    /// Once it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    server: Option<StoredPins>,
    /// Whether the server has accepted the keys.
    #[serde(default)]
    pub(crate) enrolled: bool,
}

impl Principal {
    pub(crate) fn new(kind: Kind, id: impl ToString) -> Self {
        Self {
            format: FORMAT,
            kind,
            id: id.to_string(),
            name: None,
            server: None,
            enrolled: false,
        }
    }

    pub(crate) fn set_pins(&mut self, pins: &Pins) {
        self.server = Some(StoredPins {
            link: pins.link.to_string(),
            operator_key: HEXLOWER.encode(pins.operator.as_bytes()),
            registrar_key: HEXLOWER.encode(pins.registrar.as_bytes()),
            certificate: pins.certificate.map(|digest| digest.to_string()),
        });
    }

    /// What the secrets are bound to.
    fn context(&self) -> Vec<u8> {
        format!("{} {}", self.kind.text(), self.id).into_bytes()
    }
}

/// What a link was found to lead to when it was first followed. Later connections must find the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pins {
    pub(crate) link: ServerLink,
    pub(crate) operator: IdentityKey,
    pub(crate) registrar: IdentityKey,
    /// SHA-256 of a development server's own certificate; others are checked against the system's roots.
    pub(crate) certificate: Option<Sha256Digest>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredPins {
    link: String,
    operator_key: String,
    registrar_key: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    certificate: Option<String>,
}

impl StoredPins {
    fn read(&self) -> Option<Pins> {
        let bytes = |hex: &str| HEXLOWER.decode(hex.as_bytes()).ok();
        let key = |hex: &str| IdentityKey::try_from(bytes(hex)?.as_slice()).ok();
        let certificate = match &self.certificate {
            Some(hex) => Some(Sha256Digest::try_from(bytes(hex)?.as_slice()).ok()?),
            None => None,
        };
        Some(Pins {
            link: self.link.parse().ok()?,
            operator: key(&self.operator_key)?,
            registrar: key(&self.registrar_key)?,
            certificate,
        })
    }
}

/// Held while files are read and replaced; released when dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lock {
    _file: File,
}

impl Home {
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// A path below the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Who lives here.
    pub(crate) fn principal(&self) -> Result<Principal> {
        let missing = || Error::HomeMissing {
            home: self.dir.clone(),
        };
        let principal: Principal = self.read_json(PRINCIPAL)?.ok_or_else(missing)?;
        if principal.format != FORMAT {
            return Err(self.damaged(PRINCIPAL));
        }
        Ok(principal)
    }

    /// Who lives here, if it is one of this kind.
    pub(crate) fn principal_of(&self, want: Kind) -> Result<Principal> {
        let principal = self.principal()?;
        if principal.kind == want {
            Ok(principal)
        } else {
            Err(Error::HomeKind {
                have: principal.kind.text(),
                want: want.text(),
            })
        }
    }

    /// The server that an enrolled principal belongs to.
    pub(crate) fn pins(&self, principal: &Principal) -> Result<Pins> {
        let not_enrolled = || Error::NotEnrolled {
            home: self.dir.clone(),
        };
        let stored = principal
            .server
            .as_ref()
            .filter(|_| principal.enrolled)
            .ok_or_else(not_enrolled)?;
        stored.read().ok_or_else(|| self.damaged(PRINCIPAL))
    }

    /// Refuses a home in which somebody lives already.
    pub(crate) fn must_be_free(&self) -> Result<()> {
        match self.principal() {
            Ok(principal) => Err(Error::HomeExists {
                home: self.dir.clone(),
                id: principal.id,
            }),
            Err(Error::HomeMissing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the home: secrets and other files first, then `principal.json`, whose appearance commits it.
    pub(crate) fn create(
        &self,
        principal: &Principal,
        secrets: &[u8],
        unlock: &Unlock,
        files: &[(&str, &[u8])],
    ) -> Result<()> {
        make_folder(&self.dir)?;
        let _lock = self.try_lock()?;
        self.must_be_free()?;
        let sealed = secrets::seal(unlock, &principal.context(), secrets)?;
        self.write_json(SECRETS, &sealed)?;
        for (name, bytes) in files {
            self.write(name, bytes)?;
        }
        self.save(principal)
    }

    /// Makes the home of somebody whose secrets lie elsewhere.
    pub(crate) fn create_without_secrets(&self, principal: &Principal) -> Result<()> {
        make_folder(&self.dir)?;
        let _lock = self.try_lock()?;
        self.must_be_free()?;
        self.save(principal)
    }

    /// Takes back [`Self::create`], when what should follow did not happen.
    pub(crate) fn discard(&self, files: &[&str]) {
        for name in [PRINCIPAL, SECRETS, LOCK].iter().chain(files) {
            drop(std::fs::remove_file(self.path(name)));
        }
        // Fails when the caller keeps something else in it, and that is right.
        drop(std::fs::remove_dir(&self.dir));
    }

    /// Seals other secrets in the place of those that are there.
    pub(crate) fn reseal(&self, principal: &Principal, secrets: &[u8], unlock: &Unlock) -> Result<()> {
        self.write_json(SECRETS, &secrets::seal(unlock, &principal.context(), secrets)?)
    }

    /// Replaces the public part.
    pub(crate) fn save(&self, principal: &Principal) -> Result<()> {
        self.write_json(PRINCIPAL, principal)
    }

    /// The secrets; Argon2id takes its time and 64 MiB.
    pub(crate) fn unlock(&self, principal: &Principal, unlock: &Unlock) -> Result<Zeroizing<Vec<u8>>> {
        let sealed: secrets::Sealed = self.read_json(SECRETS)?.ok_or_else(|| self.damaged(SECRETS))?;
        let UnlockedKey { key, with } = sealed.key(unlock, || self.damaged(SECRETS))?;
        let bytes = sealed.bytes().ok_or_else(|| self.damaged(SECRETS))?;
        key.open(&principal.context(), &bytes)
            .map_err(|_| Error::WrongUnlock { with, needs: with })
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

    pub(crate) fn try_lock(&self) -> Result<Lock> {
        lock_file(&self.path(LOCK))
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

    /// Makes a folder of the home, unless it is there.
    pub(crate) fn make_folder(&self, name: &str) -> Result<()> {
        make_folder(&self.path(name))
    }

    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        files::read_if_there(&self.path(name))
    }

    /// Replaces a file: the old content or the new, never something between.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        files::replace(&self.path(name), bytes)
    }

    /// Replaces a file of which an older content would do as well.
    pub(crate) fn write_soon(&self, name: &str, bytes: &[u8]) -> Result<()> {
        files::replace_soon(&self.path(name), bytes)
    }

    /// What a file holds behind its first `before` bytes; nothing if it has not as many.
    pub(crate) fn read_after(&self, name: &str, before: u64) -> Result<Option<Vec<u8>>> {
        files::read_after(&self.path(name), before)
    }

    /// Puts bytes behind the first `before` of a file. After a power cut some of them may be missing, or zeros.
    pub(crate) fn write_after(&self, name: &str, before: u64, bytes: &[u8]) -> Result<()> {
        files::write_after(&self.path(name), before, bytes)
    }

    /// Keeps the first text that is given for `name` in `folder`, and returns the one that is kept.
    pub(crate) fn keep_first(&self, folder: &str, name: &str, text: &str) -> Result<Vec<u8>> {
        let folder = self.path(folder);
        make_folder(&folder)?;
        files::keep_first(&folder.join(name), text.as_bytes())
    }

    /// Keeps the highest number that is given for `name` in `folder`; a lower one is an older state.
    pub(crate) fn keep_highest(&self, folder: &str, name: &str, number: usize) -> Result<()> {
        let path = format!("{folder}/{name}");
        let kept = match self.read(&path)? {
            None => 0,
            Some(bytes) => {
                let text = std::str::from_utf8(&bytes).ok().map(str::trim);
                let kept = text.and_then(|text| text.parse().ok());
                kept.ok_or_else(|| self.damaged(&path))?
            }
        };
        if number < kept {
            return Err(Error::tampered("the vault")(
                "the server shows an older state than this device has seen",
            ));
        }
        if number > kept {
            make_folder(&self.path(folder))?;
            self.write(&path, format!("{number}\n").as_bytes())?;
        }
        Ok(())
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

const FORMAT: u32 = 1;
const PRINCIPAL: &str = "principal.json";
const SECRETS: &str = "secrets.sealed";
const LOCK: &str = "lock";
/// Files are replaced in milliseconds; who holds the lock longer than this hangs.
const LOCK_TRIES: u32 = 500;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
