//! stub
use std::path::Path;
use protocol_spec::{hash::Sha256Digest, ids::InstitutionId};
use crate::{Result, Unlock};

/// A registrar with its key. Works offline.
pub struct Registrar {}

/// An institution that asks to be accredited: what the registrar checks by its own means before it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// Its id, from its identity key.
    pub institution_id: InstitutionId,
    /// The name it wants to be known by.
    pub name: String,
    /// SHA-256 of its X-Wing key.
    pub recipient_key: Sha256Digest,
}

impl Registrar {
    /// Makes a registrar's key in `home`.
    ///
    /// # Errors
    /// [`crate::Error::HomeExists`].
    pub fn init(home: &Path, unlock: &Unlock) -> Result<Self> {
        todo!()
    }

    /// Opens the home.
    ///
    /// # Errors
    /// [`crate::Error::HomeMissing`], [`crate::Error::WrongUnlock`], [`crate::Error::HomeKind`].
    pub fn open(home: &Path, unlock: &Unlock) -> Result<Self> {
        todo!()
    }

    /// Its public key as text (`regkey_…`), for the server.
    pub fn key_text(&self) -> String {
        todo!()
    }

    /// Reads a request and checks that its maker holds the identity key in it.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`].
    pub fn inspect(request: &[u8]) -> Result<Applicant> {
        todo!()
    }

    /// Accredits: returns who, and the file to hand back.
    ///
    /// # Errors
    /// As [`Self::inspect`].
    pub fn accredit(&self, request: &[u8]) -> Result<(Applicant, Vec<u8>)> {
        todo!()
    }
}
