//! The keys with which an institution acts, or one of its terminals.

use std::sync::Arc;

use crypto::{SecureRandom, seal_terminal_keys};
use protocol_spec::{
    bodies::TerminalCertificate,
    field::SealedBytes,
    ids::{InstitutionId, TerminalId},
    keys::{IdentityKey, RecipientKey},
    statement::{Signed, Timestamped},
};
use zeroize::Zeroizing;

use crate::{
    Error, Result, Unlock,
    home::{ClosedHome, Home, Kind, Principal},
    keystore::{FileKeyStore, KeyStore, KeyStoreError, home_proof},
};

/// The keys of the institution, or of one terminal with its certificate.
pub(super) struct OfficeKeys {
    pub(super) institution: InstitutionId,
    /// By which right, if this is not the institution's own home.
    pub(super) certificate: Option<Signed<TerminalCertificate>>,
    /// Signs requests and statements, and opens what is sealed to the institution.
    pub(super) store: Arc<dyn KeyStore>,
}

impl OfficeKeys {
    pub(super) fn new(store: Arc<dyn KeyStore>) -> Self {
        Self {
            institution: InstitutionId::from(&store.signing_key()),
            certificate: None,
            store,
        }
    }

    /// Those in a store that must be the home's.
    pub(super) fn of(
        store: Arc<dyn KeyStore>,
        home: &ClosedHome,
        principal: &Principal,
    ) -> Result<(Self, Home)> {
        let keys = Self::new(store);
        if keys.institution.to_string() == principal.id {
            let home = home.open(principal, home_proof(&*keys.store, principal)?.as_slice())?;
            Ok((keys, home))
        } else {
            Err(Error::Usage(format!(
                "the key store has the keys of {}, and {} is the home of {}",
                keys.institution,
                home.place().display(),
                principal.id
            )))
        }
    }

    pub(super) fn create(
        home: &ClosedHome,
        unlock: &Unlock,
        principal: impl FnOnce(&IdentityKey) -> Principal,
    ) -> Result<Self> {
        let store = FileKeyStore::create(home, unlock, principal)?;
        Ok(Self::new(Arc::new(store)))
    }

    pub(super) fn open(home: &ClosedHome, principal: &Principal, unlock: &Unlock) -> Result<(Self, Home)> {
        let store = FileKeyStore::open(home, principal, unlock)?;
        let home = store.home().clone();
        if principal.kind != Kind::Terminal {
            return Ok((Self::new(Arc::new(store)), home));
        }
        let certificate = home
            .read(CERTIFICATE)?
            .and_then(|bytes| Signed::<TerminalCertificate>::from_bytes(&bytes).ok())
            .filter(|certificate| certificate.claimed().terminal_key == store.signing_key())
            .ok_or_else(|| home.damaged(CERTIFICATE))?;
        let keys = Self {
            institution: certificate.claimed().institution_id,
            certificate: Some(certificate),
            store: Arc::new(store),
        };
        Ok((keys, home))
    }

    /// Signs what is said in the institution's name (INS-9).
    pub(super) fn statement<T: Timestamped>(&self, body: T) -> Result<Signed<T>, KeyStoreError> {
        let signed = Signed::try_sign(body, |message| self.sign(message))?;
        Ok(match &self.certificate {
            Some(certificate) => signed.with_certificate(certificate.clone()),
            None => signed,
        })
    }

    /// Signs a pre-image by the key of this home.
    pub(super) fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyStoreError> {
        self.store.sign(message)
    }

    /// The recipient key that others seal to from now on.
    pub(super) fn recipient(&self) -> Result<RecipientKey> {
        let newest = self.store.recipient_keys().into_iter().next();
        Ok(newest.ok_or(KeyStoreError::NoSuchKey)?)
    }

    /// The recipient keys, sealed to a terminal. None from a store whose keys do not leave it: its terminals use the store.
    pub(super) fn sealed_to(
        &self,
        random: &dyn SecureRandom,
        terminal: &TerminalCertificate,
    ) -> Result<Option<SealedBytes>> {
        let mut seeds: Vec<Zeroizing<[u8; 32]>> = Vec::new();
        for key in self.store.recipient_keys().iter().rev() {
            match self.store.export_recipient_key(&key.digest()) {
                Ok(seed) => seeds.push(seed),
                Err(KeyStoreError::NotOffered) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        let id = TerminalId::from(&terminal.terminal_key);
        let sealed = seal_terminal_keys(random, &terminal.recipient_key, &self.institution, &id, &seeds)?;
        Ok(Some(sealed))
    }
}

/// A terminal's certificate, in its home.
pub(super) const CERTIFICATE: &str = "terminal.pb";
