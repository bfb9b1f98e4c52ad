//! The recipient keys of a store that has them in this process's memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crypto::{Info, Opens, RecipientSecret};
use protocol_spec::{field::SealedBytes, hash::Sha256Digest, keys::RecipientKey};
use zeroize::Zeroizing;

use super::{KeyStoreError, Opened};

/// Recipient keys, the newest last.
pub(super) struct Recipients(Mutex<Vec<RecipientSecret>>);

impl Recipients {
    pub(super) fn new(keys: Vec<RecipientSecret>) -> Self {
        Self(Mutex::new(keys))
    }

    /// The keys, which nobody else changes meanwhile. Each change is one call, so no panic leaves it half-changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<RecipientSecret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The public halves, the newest first.
    pub(super) fn public(&self) -> Vec<RecipientKey> {
        self.lock().iter().rev().map(|key| key.public().clone()).collect()
    }

    /// Opens what was sealed to the key with this SHA-256.
    pub(super) fn open(&self, with: &Sha256Digest, info: &Info, sealed: &SealedBytes) -> Opened {
        self.with(with, |key| Ok(key.open_sealed(info, sealed)?))
    }

    /// The seed of the key with this SHA-256.
    pub(super) fn seed(&self, of: &Sha256Digest) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        self.with(of, |key| Ok(key.expose_seed()))
    }

    fn with<T>(
        &self,
        digest: &Sha256Digest,
        use_key: impl FnOnce(&RecipientSecret) -> Result<T, KeyStoreError>,
    ) -> Result<T, KeyStoreError> {
        let keys = self.lock();
        let key = keys.iter().find(|key| key.public().digest() == *digest);
        use_key(key.ok_or(KeyStoreError::NoSuchKey)?)
    }
}
