//! Terminals: machines that act for an institution with keys and a certificate of their own. See
//! `spec/institutions.md` §3 and §4.

use std::{path::Path, sync::Arc, time::Duration};

use crypto::{RecipientSecret, open_terminal_keys, seal_terminal_keys};
use prost::Message;
use protocol_spec::{
    api,
    bodies::{TerminalCertificate, TerminalRemoval, TerminalRequest},
    field::{Name, SealedBytes},
    ids::{InstitutionId, TerminalId},
    link::ServerLink,
    messages as pb,
    statement::{Signed, Verified},
};
use zeroize::Zeroizing;

use super::{
    Institution,
    ends::Ends,
    enrol::{CERTIFICATE, Keys},
};
use crate::{
    DirectoryEntry, Error, Result, Unlock,
    connect::bootstrap,
    home::{ClosedHome, Kind, Principal},
    keystore::{FileKeyStore, KeyStore, KeyStoreError, StoredRecipient},
    mint,
    mint::millis,
    session::blocking,
};

/// A terminal of the institution, by its verified certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalInfo {
    /// Its id.
    pub id: TerminalId,
    /// As the institution calls it.
    pub name: String,
    /// When it was certified, in milliseconds since 1970.
    pub added: u64,
    /// When its certificate ends.
    pub not_after: u64,
    /// When it was removed.
    pub removed: Option<u64>,
}

/// A terminal that asks to be certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTerminal {
    /// Its id, from its key: compare it with what the terminal shows.
    pub id: TerminalId,
    /// The name it wants.
    pub name: String,
}

impl Institution {
    /// On the new terminal: makes its keys in `home`, and a signed request for the institution. Works offline.
    ///
    /// # Errors
    /// [`Error::HomeExists`]; [`Error::Protocol`] for a name that cannot be shown.
    pub fn terminal_request(home: &Path, unlock: &Unlock, name: &str) -> Result<(TerminalId, Vec<u8>)> {
        let (home, name) = (ClosedHome::at(home), Name::try_from(name.trim().to_owned())?);
        let store = match home.principal() {
            Ok(principal) if principal.kind == Kind::Terminal && !principal.enrolled => {
                FileKeyStore::open(&home, &principal, unlock)?
            }
            _ => {
                home.must_be_free()?;
                FileKeyStore::create(&home, unlock, |key| {
                    Principal::new(Kind::Terminal, TerminalId::from(key))
                })?
            }
        };
        let own = store.recipient_keys().pop().ok_or(KeyStoreError::NoSuchKey)?;
        let request = TerminalRequest {
            created: mint::now_ms(),
            name,
            terminal_key: store.signing_key(),
            recipient_key: own,
        };
        let request = Signed::try_sign(request, |message| store.sign(message))?;
        Ok((
            TerminalId::from(&store.signing_key()),
            request.to_message().encode_to_vec(),
        ))
    }

    /// Reads a terminal's request, to be looked at before it is certified.
    ///
    /// # Errors
    /// [`Error::Tampered`].
    pub fn inspect_terminal(request: &[u8]) -> Result<NewTerminal> {
        let request = verify_request(request)?;
        Ok(NewTerminal {
            id: TerminalId::from(&request.terminal_key),
            name: request.name.as_str().to_owned(),
        })
    }

    /// Certifies a terminal for so long, and gives it the recipient keys.
    ///
    /// # Errors
    /// As [`Self::inspect_terminal`]; [`Error::Usage`] in the home of a terminal; what the server refuses.
    pub async fn add_terminal(&self, request: &[u8], valid: Duration) -> Result<TerminalInfo> {
        self.by_identity_key()?;
        let request = verify_request(request)?;
        let created = mint::now_ms();
        let certificate = TerminalCertificate {
            created,
            operator_id: self.session.server.operator_id(),
            institution_id: self.id(),
            name: request.name.clone(),
            terminal_key: request.terminal_key,
            recipient_key: request.recipient_key.clone(),
            not_after: created.saturating_add(millis(valid)),
        };
        let certificate = Signed::try_sign(certificate, |message| self.keys.sign(message))?;
        let message = pb::AddTerminal {
            certificate: Some(certificate.to_message()),
            keys: self.sealed_keys(certificate.claimed())?,
        };
        self.session
            .server
            .post(api::ADD_TERMINAL.here(), &message)
            .await?;
        Ok(info(certificate.claimed(), None))
    }

    /// All terminals, also those that were removed.
    ///
    /// # Errors
    /// [`Error::Tampered`] for one that this institution has not certified.
    pub async fn terminals(&self) -> Result<Vec<TerminalInfo>> {
        let entry = self.own_entry().await?;
        let listed = self.listed(&entry).await?;
        Ok(listed
            .iter()
            .map(|(certificate, removed)| info(certificate, *removed))
            .collect())
    }

    /// Removes a terminal, for ever: from now on the server refuses it. It still knows the recipient key: rotate.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Usage`] in the home of a terminal; what the server refuses.
    pub async fn remove_terminal(&self, terminal: TerminalId) -> Result<()> {
        self.by_identity_key()?;
        if !self.terminals().await?.iter().any(|info| info.id == terminal) {
            return Err(Error::Unknown {
                what: "terminal",
                id: terminal.to_string(),
            });
        }
        let removal = TerminalRemoval {
            created: mint::now_ms(),
            operator_id: self.session.server.operator_id(),
            institution_id: self.id(),
            terminal_id: terminal,
        };
        let removal = Signed::try_sign(removal, |message| self.keys.sign(message))?;
        let message = pb::RemoveTerminal {
            removal: Some(removal.to_message()),
        };
        self.session
            .server
            .post(api::REMOVE_TERMINAL.here(), &message)
            .await?;
        self.note_removal(terminal)
    }

    /// On the new terminal, once it is certified: joins the server of the link for this institution.
    ///
    /// # Errors
    /// [`Error::Tampered`] when the certificate is not for this terminal, or not by this institution; what the server
    /// refuses, `unauthenticated` while nobody has certified it.
    pub async fn join(
        home: &Path,
        unlock: &Unlock,
        link: &ServerLink,
        institution: InstitutionId,
    ) -> Result<Self> {
        let home = ClosedHome::at(home);
        let principal = home.principal_of(Kind::Terminal)?;
        if principal.enrolled {
            home.must_be_free()?;
        }
        let pins = bootstrap(link).await?;
        let unlock = unlock.clone();
        let store = blocking(move || FileKeyStore::open(&home, &principal, &unlock)).await?;
        let home = store.home().clone();
        let mut principal = home.principal()?;
        let keys = Keys {
            institution,
            certificate: None,
            store: Arc::new(store),
        };
        let mut joined = Self::with_id(home, pins.clone(), keys, &principal.id, String::new())?;
        let terminal: pb::Terminal = joined.session.server.get(api::TERMINAL.here()).await?;
        let certificate = joined.own_certificate(&terminal, institution).await?;
        joined
            .session
            .home
            .write(CERTIFICATE, &certificate.to_message().encode_to_vec())?;
        let entry = joined.session.mirror.institution(institution).await?;
        joined.name = entry.name().as_str().to_owned();
        joined.keys.certificate = Some(certificate.signed().clone());
        joined.take_keys(terminal).await?;
        principal.set_pins(&pins);
        principal.name = Some(joined.name.clone());
        principal.enrolled = true;
        joined.session.home.save(&principal)?;
        Ok(joined)
    }

    async fn own_certificate(
        &self,
        terminal: &pb::Terminal,
        institution: InstitutionId,
    ) -> Result<Verified<TerminalCertificate>> {
        let entry = self.session.mirror.institution(institution).await?;
        let certificate = Signed::<TerminalCertificate>::try_from(terminal.certificate.clone())
            .and_then(|certificate| entry.verify_terminal(certificate))
            .map_err(Error::tampered(WHAT))?;
        if certificate.terminal_key == self.keys.store.signing_key() {
            Ok(certificate)
        } else {
            Err(Error::tampered(WHAT)("it is another terminal's"))
        }
    }

    /// On a terminal: takes the institution's newest recipient key, if it has rotated since.
    pub(crate) async fn keep_up(&self) -> Result<()> {
        if self.keys.certificate.is_none() {
            return Ok(());
        }
        let newest = self.own_entry().await?.recipient_key().digest();
        let held = self.keys.store.recipient_keys();
        if held.iter().any(|key| key.digest() == newest) {
            return Ok(());
        }
        let terminal = self.session.server.get(api::TERMINAL.here()).await?;
        self.take_keys(terminal).await
    }

    /// Opens what was sealed to this terminal, and takes those keys that stand in the institution's chain (INS-12).
    async fn take_keys(&self, terminal: pb::Terminal) -> Result<()> {
        let (Some(sealed), Some(certificate)) = (terminal.keys, &self.keys.certificate) else {
            return Ok(());
        };
        let certificate = certificate.claimed();
        let sealed = SealedBytes::try_from(Some(sealed)).map_err(Error::tampered(WHAT))?;
        let recipient = StoredRecipient {
            store: &*self.keys.store,
            key: certificate.recipient_key.digest(),
        };
        let id = TerminalId::from(&certificate.terminal_key);
        let seeds =
            open_terminal_keys(&recipient, &self.id(), &id, &sealed).map_err(KeyStoreError::opening(WHAT))?;
        let chain = self.session.mirror.chain(self.id()).await?;
        let mut noted = Vec::new();
        for seed in seeds {
            let key = RecipientSecret::from_seed(&seed)?.public().digest();
            let at = chain
                .iter()
                .position(|entry| entry.recipient_key().digest() == key);
            let Some(at) = at else {
                return Err(Error::tampered(WHAT)("a key in it is not the institution's"));
            };
            let later = chain
                .iter()
                .skip(at + 1)
                .filter_map(|entry| entry.keys().succession);
            noted.extend(later.map(|place| (key, place.overlap_ends)));
            self.keys.store.import_recipient_key(&seed)?;
        }
        Ends::change(&self.session.home, |ends| {
            noted.iter().for_each(|(key, at)| ends.note(key, *at));
        })
    }

    /// The recipient keys for every terminal that goes on, as the institution itself has certified it.
    pub(super) async fn keys_for_terminals(&self, entry: &DirectoryEntry) -> Result<Vec<pb::TerminalKeys>> {
        let mut all = Vec::new();
        for (certificate, removed) in self.listed(entry).await? {
            // Looked at after the server was asked: what it has said of the time can only end more (PRM-16).
            let over = self.session.clock.now().may_be_over(certificate.not_after);
            let goes_on = removed.is_none() && !over;
            if let (true, Some(keys)) = (goes_on, self.sealed_keys(&certificate)?) {
                let id = TerminalId::from(&certificate.terminal_key);
                all.push(pb::TerminalKeys {
                    terminal_id: bytes::Bytes::copy_from_slice(id.as_bytes()),
                    keys: Some(keys),
                });
            }
        }
        Ok(all)
    }

    /// None from a store whose keys do not leave it: its terminals use the store.
    fn sealed_keys(&self, to: &TerminalCertificate) -> Result<Option<pb::Sealed>> {
        let mut seeds: Vec<Zeroizing<[u8; 32]>> = Vec::new();
        for key in self.keys.store.recipient_keys().iter().rev() {
            match self.keys.store.export_recipient_key(&key.digest()) {
                Ok(seed) => seeds.push(seed),
                Err(KeyStoreError::NotOffered) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        let id = TerminalId::from(&to.terminal_key);
        let sealed = seal_terminal_keys(&to.recipient_key, &self.id(), &id, &seeds)?;
        Ok(Some((&sealed).into()))
    }

    /// Certificates by this institution, with the times of their removals.
    async fn listed(
        &self,
        entry: &DirectoryEntry,
    ) -> Result<Vec<(Verified<TerminalCertificate>, Option<u64>)>> {
        let mut all = Vec::new();
        let server = &self.session.server;
        let mut pages = server.pages(api::TERMINALS.here().with("limit", &100));
        while let Some(page) = pages.next().await? {
            for terminal in page.terminals {
                let certificate = Signed::<TerminalCertificate>::try_from(terminal.certificate)
                    .and_then(|certificate| entry.verify_terminal(certificate))
                    .map_err(Error::tampered(WHAT))?;
                self.session
                    .log
                    .included(terminal.proof, &certificate.hash(), WHAT)
                    .await?;
                let removal = match terminal.removal {
                    Some(removal) => Some(
                        Signed::<TerminalRemoval>::try_from(removal)
                            .and_then(|removal| entry.verify_removal(removal))
                            .map_err(Error::tampered(WHAT))?,
                    ),
                    None => None,
                };
                let removed = removal.map(|removal| removal.created);
                self.met_terminal(&certificate, removed.is_some())?;
                all.push((certificate, removed));
            }
        }
        Ok(all)
    }

    /// A removal that this home has met, or has made, holds for ever: a server that leaves it out would have the
    /// institution's new keys sealed to the terminal that was removed (INS-12).
    fn met_terminal(&self, certificate: &TerminalCertificate, removed: bool) -> Result<()> {
        let id = TerminalId::from(&certificate.terminal_key);
        if removed {
            return self.note_removal(id);
        }
        if self.session.home.kept(REMOVED, &id.to_string())?.is_some() {
            return Err(Error::tampered("the list of terminals")(
                "the server shows one without the removal that this home has seen",
            ));
        }
        Ok(())
    }

    fn note_removal(&self, id: TerminalId) -> Result<()> {
        self.session
            .home
            .keep_first(REMOVED, &id.to_string(), "removed")?;
        Ok(())
    }
}

fn info(certificate: &TerminalCertificate, removed: Option<u64>) -> TerminalInfo {
    TerminalInfo {
        id: TerminalId::from(&certificate.terminal_key),
        name: certificate.name.as_str().to_owned(),
        added: certificate.created,
        not_after: certificate.not_after,
        removed,
    }
}

/// INS-7: whoever asks holds the key that is to be certified.
fn verify_request(request: &[u8]) -> Result<Verified<TerminalRequest>> {
    let what = "the terminal's request";
    let statement: pb::Statement = protocol_spec::messages::decode(request).map_err(Error::tampered(what))?;
    let signed = Signed::<TerminalRequest>::try_from(statement).map_err(Error::tampered(what))?;
    let key = signed.claimed().terminal_key;
    signed.verify(&key).map_err(Error::tampered(what))
}

const WHAT: &str = "the terminal's certificate";
/// Removals that this home has met.
const REMOVED: &str = "removed-terminals";
