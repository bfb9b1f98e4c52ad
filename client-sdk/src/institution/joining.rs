//! How a machine becomes an institution's terminal. See `spec/institutions.md` §3.

use std::sync::Arc;

use protocol_spec::{
    api,
    bodies::{TerminalCertificate, TerminalRequest},
    field::Name,
    ids::{InstitutionId, TerminalId},
    link::ServerLink,
    messages as pb,
    statement::{Signed, Verified},
};

use super::{
    keeping_up::take_keys,
    keys::{CERTIFICATE, OfficeKeys},
    office::Office,
};
use crate::{
    Error, Ground, Result, Unlock,
    connect::bootstrap,
    home::{ClosedHome, Kind, Principal},
    keystore::{FileKeyStore, KeyStore, KeyStoreError},
    session::blocking,
};

pub(super) fn terminal_request(
    home: impl Into<Ground>,
    unlock: &Unlock,
    name: &str,
) -> Result<(TerminalId, Vec<u8>)> {
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
        created: home.system().now_ms(),
        name,
        terminal_key: store.signing_key(),
        recipient_key: own,
    };
    let request = Signed::try_sign(request, |message| store.sign(message))?;
    Ok((TerminalId::from(&store.signing_key()), request.to_bytes()))
}

pub(super) async fn join(
    home: impl Into<Ground>,
    unlock: &Unlock,
    link: &ServerLink,
    institution: InstitutionId,
) -> Result<Office> {
    let home = ClosedHome::at(home);
    let principal = home.principal_of(Kind::Terminal)?;
    if principal.enrolled {
        home.must_be_free()?;
    }
    let pins = bootstrap(link, home.ground()).await?;
    let unlock = unlock.clone();
    let store = blocking(move || FileKeyStore::open(&home, &principal, &unlock)).await?;
    let home = store.home().clone();
    let mut principal = home.principal()?;
    let keys = OfficeKeys {
        institution,
        certificate: None,
        store: Arc::new(store),
    };
    let mut joined = Office::new(home, pins.clone(), keys, &principal.id, String::new())?;
    let terminal = joined.get(api::TERMINAL.here()).await?;
    let certificate = own_certificate(&joined, &terminal, institution).await?;
    joined
        .session
        .home
        .write(CERTIFICATE, &certificate.signed().to_bytes())?;
    let entry = joined.session.mirror.institution(institution).await?;
    joined.name = entry.name().as_str().to_owned();
    joined.keys.certificate = Some(certificate.signed().clone());
    take_keys(&joined, terminal).await?;
    principal.set_pins(&pins);
    principal.name = Some(joined.name.clone());
    principal.enrolled = true;
    joined.session.home.save(&principal)?;
    Ok(joined)
}

async fn own_certificate(
    office: &Office,
    terminal: &pb::Terminal,
    institution: InstitutionId,
) -> Result<Verified<TerminalCertificate>> {
    let entry = office.session.mirror.institution(institution).await?;
    let certificate = Signed::<TerminalCertificate>::try_from(terminal.certificate.clone())
        .and_then(|certificate| entry.verify_terminal(certificate))
        .map_err(Error::tampered(WHAT))?;
    if certificate.terminal_key == office.keys.store.signing_key() {
        Ok(certificate)
    } else {
        Err(Error::tampered(WHAT)("it is another terminal's"))
    }
}

const WHAT: &str = "the terminal's certificate";
