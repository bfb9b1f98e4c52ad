//! An institution, or one of its terminals, as its home has it: keys, and the connection.

use std::sync::Arc;

use prost::{Message, Name};
use protocol_spec::{
    api::{Query, RequestTarget},
    ids::{InstitutionId, TerminalId},
    submitted::Submitted,
};

use super::keys::OfficeKeys;
use crate::{
    DirectoryEntry, Error, Result,
    home::{Home, Pins},
    keystore::{KeyStore, StoredSigner},
    session::Session,
};

/// The state that the functions of `institution` work on.
pub(crate) struct Office {
    pub(super) session: Session,
    pub(super) keys: OfficeKeys,
    /// The name that the registrar accredited.
    pub(super) name: String,
}

impl Office {
    /// Requests are signed as `id`: the institution's, or its terminal's.
    pub(super) fn new(home: Home, pins: Pins, keys: OfficeKeys, id: &str, name: String) -> Result<Self> {
        let session = Session::new(home, pins, &id, Arc::new(StoredSigner(keys.store.clone())))?;
        Ok(Self { session, keys, name })
    }

    /// What opens what is sealed to it.
    pub(crate) fn key_store(&self) -> &dyn KeyStore {
        &*self.keys.store
    }

    /// Asks the institution's server for a message.
    pub(super) async fn get<A: Message + Default + Name, X: Query>(
        &self,
        at: RequestTarget<(), A, X>,
    ) -> Result<A> {
        self.session.server.get(at).await
    }

    /// Hands in at its server what it submits.
    pub(super) async fn post<M: Submitted<Wire: Message + Name>, A: Message + Default + Name>(
        &self,
        at: RequestTarget<M::Wire, A>,
        message: &M,
    ) -> Result<A> {
        self.session.server.post(at, message).await
    }

    /// As [`Self::post`], under a key that an earlier run may have used: the effect happens once.
    pub(super) async fn post_once<M: Submitted<Wire: Message + Name>, A: Message + Default + Name>(
        &self,
        at: RequestTarget<M::Wire, A>,
        message: &M,
        idempotency_key: &str,
    ) -> Result<A> {
        self.session.server.post_once(at, message, idempotency_key).await
    }

    pub(crate) fn id(&self) -> InstitutionId {
        self.keys.institution
    }

    /// The terminal whose home this is, unless it is the institution's own.
    pub(super) fn terminal_id(&self) -> Option<TerminalId> {
        let certificate = self.keys.certificate.as_ref()?;
        Some(TerminalId::from(&certificate.claimed().terminal_key))
    }

    /// By which the server knows the key of this home.
    pub(super) fn key_id(&self) -> String {
        self.terminal_id()
            .map_or_else(|| self.id().to_string(), |terminal| terminal.to_string())
    }

    /// Its own present entry, verified along the chain.
    pub(super) async fn own_entry(&self) -> Result<DirectoryEntry> {
        self.session.mirror.invalidate().await;
        self.session.mirror.institution(self.id()).await
    }

    /// Only the identity key decides about the institution (INS-10).
    pub(super) fn by_identity_key(&self) -> Result<()> {
        if self.keys.certificate.is_none() {
            return Ok(());
        }
        Err(Error::Usage(
            "this is the home of a terminal: run it in the home of the institution itself".into(),
        ))
    }
}
