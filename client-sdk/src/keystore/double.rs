//! A key store for tests: in memory, counting, refusing when told to.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crypto::{Info, RecipientSecret, SecureRandom, SigningIdentity};
use protocol_spec::{
    field::SealedBytes,
    hash::Sha256Digest,
    keys::{IdentityKey, RecipientKey},
};

use super::{KeyStore, KeyStoreError, Opened, recipients::Recipients};

/// Stands in for a security module whose keys cannot leave it. Nothing of it outlives the process.
pub struct KeyStoreDouble {
    random: Arc<dyn SecureRandom>,
    signing: SigningIdentity,
    recipients: Recipients,
    refuses: AtomicBool,
    signed: AtomicU64,
    opened: AtomicU64,
}

impl KeyStoreDouble {
    /// A store with fresh keys in it; those that come later are made of the same source.
    ///
    /// # Errors
    /// When the source gives no random bytes.
    pub fn new(random: Arc<dyn SecureRandom>) -> Result<Self, KeyStoreError> {
        let signing = SigningIdentity::generate(&*random)?;
        let recipient = RecipientSecret::generate(&*random)?;
        Ok(Self::of(random, signing, recipient))
    }

    /// A store with these keys in it; those that come later are made of this source.
    pub fn of(random: Arc<dyn SecureRandom>, signing: SigningIdentity, recipient: RecipientSecret) -> Self {
        Self {
            random,
            signing,
            recipients: Recipients::new(vec![recipient]),
            refuses: AtomicBool::new(false),
            signed: AtomicU64::new(0),
            opened: AtomicU64::new(0),
        }
    }

    /// From now on it refuses everything, or does it again.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// How many signatures it has made.
    pub fn signed(&self) -> u64 {
        self.signed.load(Ordering::SeqCst)
    }

    /// Things opened, or found not to open.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    fn ask(&self) -> Result<(), KeyStoreError> {
        if self.refuses.load(Ordering::SeqCst) {
            Err(KeyStoreError::Refused("it was told to".into()))
        } else {
            Ok(())
        }
    }
}

impl KeyStore for KeyStoreDouble {
    fn signing_key(&self) -> IdentityKey {
        self.signing.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyStoreError> {
        self.ask()?;
        self.signed.fetch_add(1, Ordering::SeqCst);
        Ok(self.signing.sign_bytes(message))
    }

    fn recipient_keys(&self) -> Vec<RecipientKey> {
        self.recipients.public()
    }

    fn open(&self, with: &Sha256Digest, info: &Info, sealed: &SealedBytes) -> Opened {
        self.ask()?;
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.recipients.open(with, info, sealed)
    }

    fn make_recipient_key(&self) -> Result<RecipientKey, KeyStoreError> {
        self.ask()?;
        let key = RecipientSecret::generate(&*self.random)?;
        let public = key.public().clone();
        self.recipients.lock().push(key);
        Ok(public)
    }

    fn destroy_recipient_key(&self, key: &Sha256Digest) -> Result<(), KeyStoreError> {
        self.ask()?;
        self.recipients
            .lock()
            .retain(|kept| kept.public().digest() != *key);
        Ok(())
    }
}

impl fmt::Debug for KeyStoreDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            random: _,
            signing,
            recipients: _,
            refuses: _,
            signed: _,
            opened: _,
        } = self;
        f.debug_struct("KeyStoreDouble")
            .field("signing", signing)
            .finish_non_exhaustive()
    }
}
