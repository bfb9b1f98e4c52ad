//! What an event says, verified and opened, whenever it came.

use crypto::TextContext;
use protocol_spec::{
    field::{ReadsAs, SealedBytes},
    ids::{InstitutionId, PatientId, RequestId},
    patient::{OfPatient, PatientSigned, PatientVerified},
};

use super::party::Party;
use crate::{
    Error, Result,
    keystore::{KeyStore, KeyStoreError, open_text},
};

/// Who sent something, what it tells, and in which words.
pub(super) struct OpenedEvent<T> {
    pub(super) from: Party,
    pub(super) what: T,
    pub(super) text: String,
}

impl<T> OpenedEvent<T> {
    pub(super) fn new(from: Party, what: T, text: String) -> Self {
        Self { from, what, text }
    }

    /// One that says all by its kind.
    pub(super) fn wordless(from: Party, what: T) -> Self {
        Self::new(from, what, String::new())
    }

    pub(super) fn map<U>(self, what: impl FnOnce(T) -> U) -> OpenedEvent<U> {
        OpenedEvent {
            from: self.from,
            what: what(self.what),
            text: self.text,
        }
    }
}

/// An institution that reads what was sent to it, with the keys that open it.
#[derive(Clone, Copy)]
pub(super) struct Recipient<'a> {
    pub(super) id: InstitutionId,
    pub(super) keys: &'a dyn KeyStore,
}

impl Recipient<'_> {
    /// A text that a patient has sealed to it, in the statement with this id.
    pub(super) fn open(self, of: RequestId, patient: PatientId, sealed: &SealedBytes) -> Result<String> {
        let context = TextContext::to_institution(of, &patient, &self.id);
        open_text(self.keys, &context, sealed).map_err(KeyStoreError::opening(EVENT))
    }
}

pub(super) fn verify<T: OfPatient>(message: impl ReadsAs<PatientSigned<T>>) -> Result<PatientVerified<T>> {
    message
        .try_into()
        .and_then(PatientSigned::verify)
        .map_err(tampered)
}

/// Whether it is for who reads it.
pub(super) fn check(for_reader: bool) -> Result<()> {
    if for_reader {
        Ok(())
    } else {
        Err(tampered("it is for somebody else"))
    }
}

pub(super) fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered(EVENT)(cause)
}

const EVENT: &str = "the event";
