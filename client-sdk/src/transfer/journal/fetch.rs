//! What makes fetches resumable: one file for each permission.

use protocol_spec::ids::PermissionId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Result,
    home::{Home, Lock},
};

/// One fetch under one permission: repeated, it spends no second use. One file, which is its own lock.
pub(crate) struct FetchJournal {
    home: Home,
    name: String,
    kept: Fetch,
    _lock: Lock,
}

#[derive(Serialize, Deserialize)]
struct Fetch {
    idempotency_key: String,
    /// What was fetched: its files are verified, and perhaps moved to where they belong.
    finished: Option<serde_json::Value>,
}

impl FetchJournal {
    pub(crate) fn open(home: &Home, permission: &PermissionId) -> Result<Self> {
        let (home, name) = (home.below(FETCHES), permission.to_string());
        let lock = home.lock_own(&name)?;
        let kept = home.read(&name)?.unwrap_or_default();
        // Torn by a power cut, it is as if it were not there: the session is found by its permission (FLW-17).
        let kept: Option<Fetch> = serde_json::from_slice(&kept).ok();
        let kept = kept.unwrap_or(Fetch {
            idempotency_key: String::new(),
            finished: None,
        });
        Ok(Self {
            home,
            name,
            kept,
            _lock: lock,
        })
    }

    /// That of an earlier run, if there is one.
    pub(crate) fn left(home: &Home, permission: &PermissionId) -> Result<Option<Self>> {
        let there = home.below(FETCHES).is_there(&permission.to_string())?;
        there.then(|| Self::open(home, permission)).transpose()
    }

    /// What an earlier run has fetched, and had not told.
    pub(crate) fn finished<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.kept.finished.clone()?).ok()
    }

    /// Notes what was fetched, before it is moved to where it belongs.
    pub(crate) fn finish(&mut self, finished: &impl Serialize) -> Result<()> {
        self.kept.finished = serde_json::to_value(finished).ok();
        self.save()
    }

    /// Forgets a fetch whose outcome is known, unless it is going on.
    pub(crate) fn forget(home: &Home, permission: &PermissionId) -> Result<()> {
        let (home, name) = (home.below(FETCHES), permission.to_string());
        if home.is_there(&name)? {
            let lock = home.lock_own(&name)?;
            home.remove(&name);
            drop(lock);
        }
        Ok(())
    }

    /// A new presentation. Until the first there is no key.
    pub(crate) fn renew(&mut self) -> Result<()> {
        self.kept.idempotency_key = self.home.system().token()?;
        self.kept.finished = None;
        self.save()
    }

    /// Not synced: what is kept from a process that dies is enough, and what a power cut takes the server has.
    fn save(&self) -> Result<()> {
        let kept = serde_json::to_vec(&self.kept).unwrap_or_default();
        self.home.write_over(&self.name, &kept)
    }

    pub(crate) fn idempotency_key(&self) -> &str {
        &self.kept.idempotency_key
    }

    pub(crate) fn remove(self) {
        self.home.remove(&self.name);
    }
}

pub(super) const FETCHES: &str = "fetches";
