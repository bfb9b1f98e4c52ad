//! A home that is not unlocked: nothing that is read of it is proven. It says who seems to live there, and how it is opened.

use std::path::PathBuf;

use crypto::HomeSealKey;
use zeroize::Zeroizing;

use super::{
    Home, Kind, LOCK, PRINCIPAL, Principal, SECRETS,
    guard::{Guard, READ, SEAL},
    lock::{Lock, take_lock},
    seal::Sealed,
    secrets::{self, SecretsKey, Unlock},
};
use crate::{
    Error, Result,
    ground::{Ground, HomeFiles, System},
};

/// A folder that may be a home.
#[derive(Clone, Debug)]
pub(crate) struct ClosedHome {
    ground: Ground,
}

impl ClosedHome {
    pub(crate) fn at(ground: impl Into<Ground>) -> Self {
        Self {
            ground: ground.into(),
        }
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> PathBuf {
        self.files().place("")
    }

    fn files(&self) -> &dyn HomeFiles {
        &*self.ground.files
    }

    /// The ground that the home stands on.
    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Time and chance as they come.
    pub(crate) fn system(&self) -> &dyn System {
        &*self.ground.system
    }

    /// Who seems to live here.
    pub(crate) fn principal(&self) -> Result<Principal> {
        self.files().check_private()?;
        let missing = || Error::HomeMissing { home: self.place() };
        let bytes = self.content(PRINCIPAL)?.ok_or_else(missing)?;
        let principal: Option<Principal> = serde_json::from_slice(&bytes).ok();
        let readable = principal.filter(Principal::is_readable);
        readable.ok_or_else(|| self.damaged(PRINCIPAL))
    }

    /// The same, if it is one of this kind.
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

    /// Refuses a home whose principal seems not to be enrolled, before anybody is asked for a passphrase.
    pub(crate) fn must_be_enrolled(&self, principal: &Principal) -> Result<()> {
        if principal.enrolled {
            return Ok(());
        }
        Err(Error::NotEnrolled { home: self.place() })
    }

    /// Refuses a home in which somebody lives already.
    pub(crate) fn must_be_free(&self) -> Result<()> {
        match self.principal() {
            Ok(principal) => Err(Error::HomeExists {
                home: self.place(),
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
    ) -> Result<Home> {
        Ok(self.create_to_change(principal, secrets, unlock, files)?.0)
    }

    /// The same, with what other secrets can be sealed with in the place of these.
    pub(crate) fn create_to_change(
        &self,
        principal: &Principal,
        secrets: &[u8],
        unlock: &Unlock,
        files: &[(&str, &[u8])],
    ) -> Result<(Home, SecretsKey)> {
        // An empty folder is closed to others before a key file is made in it.
        self.files().check_private()?;
        let key = SecretsKey::new(unlock, self.system())?;
        let sealed = key.seal(self.system(), &principal.context(), secrets)?;
        let home = self.make(principal, first_seed(secrets), |home| {
            home.write_json(SECRETS, &sealed)?;
            files.iter().try_for_each(|(name, bytes)| home.write(name, bytes))
        })?;
        Ok((home, key))
    }

    /// Makes the home of somebody whose secrets lie elsewhere; `proof` is what only they give.
    pub(crate) fn create_without_secrets(&self, principal: &Principal, proof: &[u8]) -> Result<Home> {
        self.make(principal, proof, |_| Ok(()))
    }

    fn make(
        &self,
        principal: &Principal,
        secret: &[u8],
        write: impl FnOnce(&Home) -> Result<()>,
    ) -> Result<Home> {
        let made = self.files().make_folder("");
        made.map_err(self.files().failed("cannot make", ""))?;
        self.files().check_private()?;
        let _lock = self.try_lock()?;
        self.must_be_free()?;
        // Left by one that was not made to the end.
        drop(self.files().remove(SEAL));
        let key = HomeSealKey::derive(secret, &principal.context());
        let home = Home::new(Guard::begin(key, self.ground.clone()));
        write(&home)?;
        home.guard.announce(PRINCIPAL);
        home.seal()?;
        home.save(principal)?;
        Ok(home)
    }

    /// A home for a moment, whose keys are kept nowhere.
    pub(crate) fn scratch(&self) -> Result<Home> {
        let secret = Zeroizing::new(self.system().random::<32>()?);
        let key = HomeSealKey::derive(secret.as_slice(), b"");
        let made = self.files().make_folder("");
        made.map_err(self.files().failed("cannot make", ""))?;
        Ok(Home::new(Guard::begin(key, self.ground.clone())))
    }

    /// The secrets and the home, which is what it was; Argon2id takes its time and 64 MiB.
    pub(crate) fn unlock(
        &self,
        principal: &Principal,
        unlock: &Unlock,
    ) -> Result<(Zeroizing<Vec<u8>>, Home)> {
        let (secrets, home, _) = self.unlock_to_change(principal, unlock)?;
        Ok((secrets, home))
    }

    /// The same, with what other secrets can be sealed with in the place of these.
    pub(crate) fn unlock_to_change(
        &self,
        principal: &Principal,
        unlock: &Unlock,
    ) -> Result<(Zeroizing<Vec<u8>>, Home, SecretsKey)> {
        let damaged = || self.damaged(SECRETS);
        for _ in 0..UNLOCK_TRIES {
            let text = self.content(SECRETS)?.ok_or_else(damaged)?;
            let sealed: secrets::Sealed = serde_json::from_slice(&text).map_err(|_| damaged())?;
            let (key, secrets) = sealed.open(&principal.context(), unlock, damaged)?;
            let home = self.open(principal, first_seed(&secrets))?;
            // The very ones that were opened, unless another process has sealed others meanwhile.
            if home.read(SECRETS)?.as_deref() == Some(&text) {
                return Ok((secrets, home, key));
            }
        }
        Err(damaged())
    }

    /// The home of somebody whose secrets lie elsewhere, which is what it was; `proof` is what only they give.
    pub(crate) fn open(&self, principal: &Principal, proof: &[u8]) -> Result<Home> {
        let key = HomeSealKey::derive(proof, &principal.context());
        let home = Home::new(Guard::load(key, self.ground.clone())?).in_its_era()?;
        let here = home.principal()?;
        if (here.kind, &here.id) != (principal.kind, &principal.id) {
            return Err(self.damaged(PRINCIPAL));
        }
        Ok(home)
    }

    pub(crate) fn try_lock(&self) -> Result<Lock> {
        take_lock(self.files(), LOCK)
    }

    pub(crate) fn damaged(&self, name: &str) -> Error {
        Error::HomeDamaged {
            file: self.files().place(name),
        }
    }

    /// What a file says, without its last line; nobody has proven it.
    fn content(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let bytes = self.files().read(name).map_err(self.files().failed(READ, name))?;
        Ok(bytes.map(|bytes| match Sealed::split(&bytes) {
            Some((content, _)) => content.to_vec(),
            None => bytes,
        }))
    }
}

const UNLOCK_TRIES: usize = 3;

/// Of all secrets of a home the one that stays: what was sealed first is kept first.
fn first_seed(secrets: &[u8]) -> &[u8] {
    secrets
        .first_chunk::<32>()
        .map_or(secrets, |seed| seed.as_slice())
}
