//! First contact: a link's fingerprint covers the operator's and the registrar's key, and, of a development
//! server, its certificate. What hashes to it is pinned in the home.

use protocol_spec::{
    Error as SpecError,
    defence::Defence,
    field::{SUITE, VERSION},
    keys::IdentityKey,
    link::{Fingerprint, ServerLink},
    messages as pb,
};

use super::{Server, tls};
use crate::{Error, Result, home::Pins};

/// Follows a link for the first time. Nothing but an unsigned GET leaves the machine before the
/// fingerprint has been compared (KEY-9).
pub(crate) async fn bootstrap(link: &ServerLink) -> Result<Pins> {
    let (config, seen) = tls::capturing()?;
    let info = Server::first_contact(link, config).await?;
    if (info.version, info.suite) != (VERSION, SUITE) {
        return Err(SpecError::Version {
            version: info.version,
            suite: info.suite,
        }
        .into());
    }
    let wrong = |rule| Error::WrongServer {
        authority: link.authority().to_owned(),
        rule,
    };
    let key = |bytes: &[u8]| IdentityKey::try_from(bytes).map_err(|_| wrong("its keys are malformed"));
    let pins = Pins {
        link: link.clone(),
        operator: key(&info.operator_key)?,
        registrar: key(&info.registrar_key)?,
        certificate: None,
    };
    let certificate = seen.take().ok_or_else(|| wrong("it shows no certificate"))?;
    let matches = |digest| Fingerprint::of(&pins.operator, &pins.registrar, digest) == *link.fingerprint();
    if matches(Some(&certificate.digest)) {
        return Ok(Pins {
            certificate: Some(certificate.digest),
            ..pins
        });
    }
    if Defence::ServerLink.is_off() {
        return Ok(Pins {
            certificate: Some(certificate.digest),
            ..pins
        });
    }
    if !matches(None) {
        return Err(wrong("its keys are not those in the link"));
    }
    if !certificate.trusted {
        return Err(wrong("its certificate is not trusted by this system"));
    }
    Ok(pins)
}

impl Server {
    async fn first_contact(link: &ServerLink, config: rustls::ClientConfig) -> Result<pb::ServerInfo> {
        super::call::fetch_unsigned(super::Http::new(config), link.authority(), "/v1/server").await
    }
}
