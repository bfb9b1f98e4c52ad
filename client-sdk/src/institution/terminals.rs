//! Terminals, machines that act for an institution with keys and a certificate of their own, as the institution has
//! them. See `spec/institutions.md` §3 and §4.

use std::time::Duration;

use protocol_spec::{
    api::{self, PageQuery},
    bodies::{TerminalCertificate, TerminalRemoval, TerminalRequest},
    ids::TerminalId,
    statement::{Signed, Verified},
    submitted,
};

use super::office::Office;
use crate::{DirectoryEntry, Error, Result, ground::millis};

/// A terminal of the institution, by its verified certificate.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TerminalInfo {
    /// The terminal's id, which follows from its key.
    #[serde(rename = "terminal_id")]
    pub id: TerminalId,
    /// As the institution calls it.
    pub name: String,
    /// When it was certified, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub added: u64,
    /// When its certificate ends, in milliseconds since 1970.
    #[serde(rename = "expires", serialize_with = "crate::text::moment")]
    pub not_after: u64,
    /// When the institution removed it, if it has.
    #[serde(
        serialize_with = "crate::text::moment_if",
        skip_serializing_if = "Option::is_none"
    )]
    pub removed: Option<u64>,
}

/// A terminal that asks to be certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTerminal {
    /// Its id, from its key: compare it with what the terminal shows.
    pub id: TerminalId,
    /// The name that it wants to be certified under.
    pub name: String,
}

pub(super) fn inspect_terminal(request: &[u8]) -> Result<NewTerminal> {
    let request = verify_request(request)?;
    Ok(NewTerminal {
        id: TerminalId::from(&request.terminal_key),
        name: request.name.as_str().to_owned(),
    })
}

pub(super) async fn add_terminal(office: &Office, request: &[u8], valid: Duration) -> Result<TerminalInfo> {
    office.by_identity_key()?;
    let request = verify_request(request)?;
    let created = office.session.system().now_ms();
    let certificate = TerminalCertificate {
        created,
        operator_id: office.session.server.operator_id(),
        institution_id: office.id(),
        name: request.name.clone(),
        terminal_key: request.terminal_key,
        recipient_key: request.recipient_key.clone(),
        not_after: created.saturating_add(millis(valid)),
    };
    let certificate = Signed::try_sign(certificate, |message| office.keys.sign(message))?;
    let message = submitted::AddTerminal {
        keys: office
            .keys
            .sealed_to(office.session.system(), certificate.claimed())?,
        certificate,
    };
    office.post(api::ADD_TERMINAL.here(), &message).await?;
    Ok(info(message.certificate.claimed(), None))
}

pub(super) async fn terminals(office: &Office) -> Result<Vec<TerminalInfo>> {
    let entry = office.own_entry().await?;
    let listed = listed(office, &entry).await?;
    Ok(listed
        .iter()
        .map(|(certificate, removed)| info(certificate, *removed))
        .collect())
}

pub(super) async fn remove_terminal(office: &Office, terminal: TerminalId) -> Result<()> {
    office.by_identity_key()?;
    if !terminals(office).await?.iter().any(|info| info.id == terminal) {
        return Err(Error::Unknown {
            what: "terminal",
            id: terminal.to_string(),
        });
    }
    let removal = TerminalRemoval {
        created: office.session.system().now_ms(),
        operator_id: office.session.server.operator_id(),
        institution_id: office.id(),
        terminal_id: terminal,
    };
    let removal = Signed::try_sign(removal, |message| office.keys.sign(message))?;
    let message = submitted::RemoveTerminal { removal };
    office.post(api::REMOVE_TERMINAL.here(), &message).await?;
    note_removal(office, terminal)
}

/// The recipient keys for every terminal that goes on, as the institution itself has certified it.
pub(super) async fn keys_for_terminals(
    office: &Office,
    entry: &DirectoryEntry,
) -> Result<Vec<submitted::TerminalKeys>> {
    let mut all = Vec::new();
    for (certificate, removed) in listed(office, entry).await? {
        // Looked at after the server was asked: what it has said of the time can only end more (PRM-16).
        let over = office.session.clock.now().may_be_over(certificate.not_after);
        let goes_on = removed.is_none() && !over;
        if let (true, Some(keys)) = (
            goes_on,
            office.keys.sealed_to(office.session.system(), &certificate)?,
        ) {
            all.push(submitted::TerminalKeys {
                terminal_id: TerminalId::from(&certificate.terminal_key),
                keys,
            });
        }
    }
    Ok(all)
}

/// Certificates by this institution, with the times of their removals.
pub(super) async fn listed(
    office: &Office,
    entry: &DirectoryEntry,
) -> Result<Vec<(Verified<TerminalCertificate>, Option<u64>)>> {
    let mut all = Vec::new();
    let server = &office.session.server;
    let mut pages = server.pages(api::TERMINALS.ask([], PageQuery::of(100)));
    while let Some(page) = pages.next().await? {
        for terminal in page.terminals {
            let certificate = Signed::<TerminalCertificate>::try_from(terminal.certificate)
                .and_then(|certificate| entry.verify_terminal(certificate))
                .map_err(Error::tampered(WHAT))?;
            office
                .session
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
            met_terminal(office, &certificate, removed.is_some())?;
            all.push((certificate, removed));
        }
    }
    Ok(all)
}

/// A removal that this home has met, or has made, holds for ever: a server that leaves it out would have the
/// institution's new keys sealed to the terminal that was removed (INS-12).
fn met_terminal(office: &Office, certificate: &TerminalCertificate, removed: bool) -> Result<()> {
    let id = TerminalId::from(&certificate.terminal_key);
    if removed {
        return note_removal(office, id);
    }
    if office.session.home.kept(REMOVED, &id.to_string())?.is_some() {
        return Err(Error::tampered("the list of terminals")(
            "the server shows one without the removal that this home has seen",
        ));
    }
    Ok(())
}

fn note_removal(office: &Office, id: TerminalId) -> Result<()> {
    office
        .session
        .home
        .keep_first(REMOVED, &id.to_string(), "removed")?;
    Ok(())
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
    let signed = Signed::<TerminalRequest>::from_bytes(request).map_err(Error::tampered(what))?;
    let key = signed.claimed().terminal_key;
    signed.verify(&key).map_err(Error::tampered(what))
}

const WHAT: &str = "the terminal's certificate";
/// Removals that this home has met.
const REMOVED: &str = "removed-terminals";
