//! Where an institution's secret keys live. The rest of the SDK asks a [`KeyStore`] to sign and to open and
//! never sees a secret key, so that the keys may lie in a security module or at a key service.
//!
//! | operation | with PKCS#11 3.2 | with a key service |
//! |---|---|---|
//! | [`KeyStore::sign`] | `CKM_EDDSA` with a `CKK_EC_EDWARDS` key, no parameters: pure Ed25519 | "sign", Ed25519 over the message itself, not over a digest |
//! | [`KeyStore::open`] | both halves of X-Wing: `CKM_ML_KEM` decapsulation with a key of `CKP_ML_KEM_768`, and `CKM_ECDH1_DERIVE` (`CKD_NULL`) with a `CKK_EC_MONTGOMERY` key; the rest is hashing | the same two, or one call of a service that speaks HPKE |
//! | [`KeyStore::make_recipient_key`] | `CKM_ML_KEM_KEY_PAIR_GEN`, `CKM_EC_MONTGOMERY_KEY_PAIR_GEN` | "create key" |
//!
//! What an adapter does around the two secret operations, and what is to be done with a module that has only one
//! of them, stands in `spec/institutions.md` §7. [`FileKeyStore`] keeps the keys in the home; [`KeyStoreDouble`]
//! keeps them in memory for tests, counts, and refuses when it is told to.

mod double;
mod error;
mod file;
mod recipients;

use std::{fmt, sync::Arc};

use crypto::{Info, Opens, TextContext};
use protocol_spec::{
    field::SealedBytes,
    hash::Sha256Digest,
    keys::{IdentityKey, RecipientKey},
    labels,
    statement::preimage,
};
use zeroize::Zeroizing;

pub use self::{double::KeyStoreDouble, error::KeyStoreError, file::FileKeyStore};
use crate::{Result, connect::Signs, home::Principal};

/// Secret keys of one institution or terminal: a signing key for as long as it lives, and one or more recipient keys.
///
/// An operation that the store does not do fails with [`KeyStoreError::Refused`] or [`KeyStoreError::Unavailable`].
///
/// Operations may wait for a device or a network, but are called on threads that serve other things too: one that
/// takes longer than some ten milliseconds belongs on a thread of the store's own. All of them may be called at
/// once. None is repeated by the caller after an error.
pub trait KeyStore: fmt::Debug + Send + Sync {
    /// The public half of the signing key. Always the same, without asking the store.
    fn signing_key(&self) -> IdentityKey;

    /// Ed25519 (RFC 8032 §5.1.6) over exactly these bytes. The same bytes always have the same signature:
    /// the home is sealed under one (KEY-19).
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyStoreError>;

    /// The public halves of the recipient keys that can still open, the newest first.
    fn recipient_keys(&self) -> Vec<RecipientKey>;

    /// HPKE OpenBase (RFC 9180 §6.1) with X-Wing, HKDF-SHA256 and ChaCha20-Poly1305, `aad` empty, by the recipient
    /// key with this SHA-256. Whatever does not open looks the same.
    ///
    /// # Errors
    /// [`KeyStoreError::NoSuchKey`] and [`KeyStoreError::DoesNotOpen`], beside those of the store.
    fn open(&self, with: &Sha256Digest, info: &Info, sealed: &SealedBytes) -> Opened;

    /// Makes a further recipient key, durably: from now on it is the newest.
    fn make_recipient_key(&self) -> Result<RecipientKey, KeyStoreError>;

    /// Destroys a recipient key: nothing opens by it any more. One that is not there changes nothing.
    fn destroy_recipient_key(&self, key: &Sha256Digest) -> Result<(), KeyStoreError>;

    /// The seed of a recipient key, to be sealed to a terminal that has no access to this store. A store whose
    /// keys cannot leave it answers [`KeyStoreError::NotOffered`]: its terminals use the store itself.
    fn export_recipient_key(&self, _key: &Sha256Digest) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        Err(KeyStoreError::NotOffered)
    }

    /// Takes in a recipient key that another store has exported, durably, as the newest.
    fn import_recipient_key(&self, _seed: &[u8; 32]) -> Result<RecipientKey, KeyStoreError> {
        Err(KeyStoreError::NotOffered)
    }
}

/// What a store has opened, or why it has not.
pub type Opened = Result<Zeroizing<Vec<u8>>, KeyStoreError>;

/// One recipient key of a store.
pub(crate) struct StoredRecipient<'a> {
    pub(crate) store: &'a dyn KeyStore,
    pub(crate) key: Sha256Digest,
}

impl Opens for StoredRecipient<'_> {
    type Error = KeyStoreError;

    fn open_sealed(&self, info: &Info, sealed: &SealedBytes) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        self.store.open(&self.key, info, sealed)
    }
}

/// Opens what was sealed to one of the store's recipient keys: which one is not said with it, so they are tried,
/// the newest first. Nobody but this side learns how often.
pub(crate) fn open_by_any<T>(
    store: &dyn KeyStore,
    open: impl Fn(&StoredRecipient<'_>) -> Result<T, KeyStoreError>,
) -> Result<T, KeyStoreError> {
    for key in store.recipient_keys() {
        let recipient = StoredRecipient {
            store,
            key: key.digest(),
        };
        match open(&recipient) {
            Err(KeyStoreError::DoesNotOpen) => {}
            outcome => return outcome,
        }
    }
    Err(KeyStoreError::DoesNotOpen)
}

/// Opens a text that was sealed to one of the store's recipient keys.
pub(crate) fn open_text(
    store: &dyn KeyStore,
    context: &TextContext,
    sealed: &SealedBytes,
) -> Result<String, KeyStoreError> {
    open_by_any(store, |recipient| crypto::open_text(recipient, context, sealed))
}

/// What only who may use the store can say of a home: a signature that nobody else asks for, and that is always the same.
pub(crate) fn home_proof(store: &dyn KeyStore, principal: &Principal) -> Result<Zeroizing<[u8; 64]>> {
    let message = preimage(labels::HOME_SEAL, &principal.context());
    let [proof, again] = [store.sign(&message)?, store.sign(&message)?];
    if proof == again {
        return Ok(Zeroizing::new(proof));
    }
    let cause = "it signs the same bytes in two ways, which RFC 8032 does not";
    Err(KeyStoreError::Unavailable(cause.to_owned()).into())
}

/// The signing key of a store, as requests are signed with it.
pub(crate) struct StoredSigner(pub(crate) Arc<dyn KeyStore>);

impl Signs for StoredSigner {
    fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        Ok(self.0.sign(message)?)
    }
}

#[cfg(test)]
mod tests;
