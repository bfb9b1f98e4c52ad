//! A home's server: which one it is, and that it has moved (OPR-10). Everything that a home knows stays; only the way there, and
//! the certificate that a link may pin, are others.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use protocol_spec::{
    ids::{OperatorId, RegistrarId},
    link::ServerLink,
};

use crate::{Ground, Result, Unlock, connect::follow, home::ClosedHome, session::blocking};

/// The server of a home.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct HomeServer {
    /// The link by which the home finds its server.
    pub link: ServerLink,
    /// The operator whose keys the home has pinned.
    #[serde(rename = "operator_id")]
    pub operator: OperatorId,
    /// Whose accreditations it goes by.
    #[serde(rename = "registrar_id")]
    pub registrar: RegistrarId,
    /// Whether its own certificate is pinned, as of a development server.
    pub pins_certificate: bool,
}

/// A home that follows its server.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Moved {
    /// The link by which it was found until now.
    pub before: ServerLink,
    /// The link by which it is found from now on.
    #[serde(rename = "link")]
    pub now: ServerLink,
}

/// Which server a home belongs to. Nobody is asked.
/// Errors: [`crate::Error::NotEnrolled`], and those of unlocking.
pub fn home_server(home: impl Into<Ground>, unlock: &Unlock) -> Result<HomeServer> {
    let closed = ClosedHome::at(home);
    let principal = closed.principal()?;
    let (_, home) = closed.unlock(&principal, unlock)?;
    let pins = home.pins(&home.principal()?)?;
    Ok(HomeServer {
        operator: OperatorId::from(&pins.operator),
        registrar: RegistrarId::from(&pins.registrar),
        pins_certificate: pins.certificate.is_some(),
        link: pins.link,
    })
}

/// From now on the home's server is where the link leads, if it is the same one: its operator's and its registrar's key are those of
/// before, and the operator's key signs that it answers under that name.
/// Errors: [`crate::Error::OtherServer`] for another one, [`crate::Error::WrongServer`] or
/// [`crate::Error::Certificate`] for a link that leads nowhere good; the home is then as it was.
pub async fn move_server(home: impl Into<Ground>, unlock: &Unlock, link: &ServerLink) -> Result<Moved> {
    let closed = ClosedHome::at(home);
    let principal = closed.principal()?;
    let unlock = unlock.clone();
    let home = blocking(move || Ok(closed.unlock(&principal, &unlock)?.1)).await?;
    let before = home.pins(&home.principal()?)?;
    let pins = follow(link, &before, home.ground()).await?;
    let _lock = home.lock().await?;
    // As it is now: another process may have written it meanwhile.
    let mut principal = home.principal()?;
    principal.set_pins(&pins);
    home.save(&principal)?;
    Ok(Moved {
        before: before.link,
        now: pins.link,
    })
}
