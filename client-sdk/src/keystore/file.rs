//! The key store of a home: `secrets.sealed` holds the seed of the signing key, then
//! those of the recipient keys, the oldest first.

use std::fmt;

use crypto::{Info, RecipientSecret, SigningIdentity};
use protocol_spec::{
    field::SealedBytes,
    hash::Sha256Digest,
    keys::{IdentityKey, RecipientKey},
};
use zeroize::Zeroizing;

use super::{KeyStore, KeyStoreError, Opened, recipients::Recipients};
use crate::{
    Result, Unlock,
    home::{ClosedHome, Home, Principal, SecretsKey},
};

/// Keys in the home's sealed file, and in this process's memory while it runs.
pub struct FileKeyStore {
    home: Home,
    /// To seal the secrets anew when a key comes or goes; the passphrase is not kept for that (PRG-5).
    key: SecretsKey,
    principal: Principal,
    signing: SigningIdentity,
    recipients: Recipients,
}

impl FileKeyStore {
    /// Makes the home with fresh keys in it; `principal` names who they belong to.
    pub(crate) fn create(
        home: &ClosedHome,
        unlock: &Unlock,
        principal: impl FnOnce(&IdentityKey) -> Principal,
    ) -> Result<Self> {
        let signing = SigningIdentity::generate(home.system())?;
        let recipients = vec![RecipientSecret::generate(home.system())?];
        let principal = principal(&signing.public());
        let (home, key) = home.create_to_change(&principal, &secrets(&signing, &recipients), unlock, &[])?;
        Ok(Self {
            home,
            key,
            principal,
            signing,
            recipients: Recipients::new(recipients),
        })
    }

    /// Reads back the keys that lie in a home.
    pub(crate) fn open(home: &ClosedHome, principal: &Principal, unlock: &Unlock) -> Result<Self> {
        let (secrets, home, key) = home.unlock_to_change(principal, unlock)?;
        let (signing, recipients) = read(&secrets).ok_or_else(|| home.damaged("secrets.sealed"))?;
        Ok(Self {
            key,
            principal: principal.clone(),
            signing: SigningIdentity::from_seed(signing)?,
            recipients: Recipients::new(keys(recipients)?),
            home,
        })
    }

    /// The home that holds them.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Changes the recipient keys, in the file first: as it is now, because another process may have changed them since.
    fn change(&self, change: impl FnOnce(&mut Vec<RecipientSecret>)) -> Result<(), KeyStoreError> {
        let failed = |error: crate::Error| KeyStoreError::Unavailable(error.to_string());
        let mut recipients = self.recipients.lock();
        let _lock = self.home.lock_here().map_err(failed)?;
        let stored = self.home.secrets(&self.principal, &self.key).map_err(failed)?;
        let damaged = || failed(self.home.damaged("secrets.sealed"));
        let (_, stored) = read(&stored).ok_or_else(damaged)?;
        let mut changed = keys(stored).map_err(failed)?;
        change(&mut changed);
        let bytes = secrets(&self.signing, &changed);
        self.home
            .reseal(&self.principal, &bytes, &self.key)
            .map_err(failed)?;
        *recipients = changed;
        Ok(())
    }
}

impl KeyStore for FileKeyStore {
    fn signing_key(&self) -> IdentityKey {
        self.signing.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyStoreError> {
        Ok(self.signing.sign_bytes(message))
    }

    fn recipient_keys(&self) -> Vec<RecipientKey> {
        self.recipients.public()
    }

    fn open(&self, with: &Sha256Digest, info: &Info, sealed: &SealedBytes) -> Opened {
        self.recipients.open(with, info, sealed)
    }

    fn make_recipient_key(&self) -> Result<RecipientKey, KeyStoreError> {
        let key = RecipientSecret::generate(self.home.system())?;
        let public = key.public().clone();
        self.change(|recipients| recipients.push(key))?;
        Ok(public)
    }

    fn destroy_recipient_key(&self, key: &Sha256Digest) -> Result<(), KeyStoreError> {
        if self
            .recipients
            .lock()
            .iter()
            .all(|kept| kept.public().digest() != *key)
        {
            return Ok(());
        }
        self.change(|recipients| recipients.retain(|kept| kept.public().digest() != *key))
    }

    fn export_recipient_key(&self, key: &Sha256Digest) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        self.recipients.seed(key)
    }

    fn import_recipient_key(&self, seed: &[u8; 32]) -> Result<RecipientKey, KeyStoreError> {
        let key = RecipientSecret::from_seed(seed)?;
        let public = key.public().clone();
        self.change(|recipients| {
            recipients.retain(|kept| kept.public() != key.public());
            recipients.push(key);
        })?;
        Ok(public)
    }
}

impl fmt::Debug for FileKeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            home,
            key: _,
            principal: _,
            signing,
            recipients: _,
        } = self;
        f.debug_struct("FileKeyStore")
            .field("home", home)
            .field("signing", signing)
            .finish_non_exhaustive()
    }
}

/// The seeds of what the file holds: of the signing key, and of the recipient keys.
fn read(secrets: &[u8]) -> Option<(&[u8; 32], &[[u8; 32]])> {
    let (seeds, []) = secrets.as_chunks() else {
        return None;
    };
    seeds.split_first()
}

fn keys(seeds: &[[u8; 32]]) -> Result<Vec<RecipientSecret>> {
    let keys: Result<Vec<_>, _> = seeds.iter().map(RecipientSecret::from_seed).collect();
    Ok(keys?)
}

/// signing seed ‖ recipient seeds, the oldest first
fn secrets(signing: &SigningIdentity, recipients: &[RecipientSecret]) -> Zeroizing<Vec<u8>> {
    let mut secrets = Zeroizing::new(Vec::with_capacity(32 * (1 + recipients.len())));
    secrets.extend_from_slice(signing.expose_seed().as_slice());
    for key in recipients {
        secrets.extend_from_slice(key.expose_seed().as_slice());
    }
    secrets
}
