//! The server's link: whoever has it has pinned the operator's and the registrar's key. See `spec/keys.md` §6.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;

use crate::{
    Error,
    hash::{Sha256Digest, sha256},
    keys::IdentityKey,
    labels,
};

/// `https://host:port/#fingerprint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLink {
    authority: String,
    fingerprint: Fingerprint,
}

impl ServerLink {
    /// Puts a link together; `authority` is `host:port` as clients reach it.
    ///
    /// # Errors
    /// [`Error::Link`] when the authority is not one.
    pub fn new(authority: &str, fingerprint: Fingerprint) -> Result<Self, Error> {
        let parsed: http::uri::Authority = authority.parse().map_err(|_| Error::Link {
            rule: "host and port are malformed",
        })?;
        if parsed.as_str().contains('@') {
            return Err(Error::Link {
                rule: "a user name has no place in it",
            });
        }
        Ok(Self {
            authority: parsed.as_str().to_ascii_lowercase(),
            fingerprint,
        })
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What the server's keys must hash to.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The operator's and the registrar's key that a file shows, and the digest of the server's certificate or nothing, if
    /// this link covers them (KEY-9).
    ///
    /// # Errors
    /// What is wrong with a key.
    pub(crate) fn keys(
        &self,
        [operator, registrar, certificate]: [&[u8]; 3],
    ) -> Result<Option<(IdentityKey, IdentityKey)>, Error> {
        let (operator, registrar) = (operator.try_into()?, registrar.try_into()?);
        let certificate: Option<Sha256Digest> = match certificate {
            [] => None,
            digest => Some(digest.try_into()?),
        };
        let covered = Fingerprint::of(&operator, &registrar, certificate.as_ref()) == self.fingerprint;
        Ok(covered.then_some((operator, registrar)))
    }
}

impl FromStr for ServerLink {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let form = Error::Link {
            rule: "expected https://host:port/#fingerprint, as the server prints it",
        };
        let rest = text.trim().strip_prefix("https://").ok_or(form.clone())?;
        let (authority, fingerprint) = rest.split_once("/#").ok_or(form)?;
        Self::new(authority, fingerprint.parse()?)
    }
}

impl fmt::Display for ServerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}/#{}", self.authority, self.fingerprint)
    }
}

/// SHA-256(label ‖ operator key ‖ registrar key ‖ SHA-256 of the development certificate, or zeros) (KEY-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Over the keys that a server shows. `development_certificate` is the SHA-256 of the end-entity
    /// certificate (DER) of a server that made it itself.
    pub fn of(
        operator: &IdentityKey,
        registrar: &IdentityKey,
        development_certificate: Option<&Sha256Digest>,
    ) -> Self {
        let certificate = development_certificate.map_or([0; 32], |digest| *digest.as_bytes());
        Self(sha256(&[
            &labels::SERVER_LINK.bytes(),
            operator.as_bytes(),
            registrar.as_bytes(),
            &certificate,
        ]))
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        BASE32_NOPAD
            .decode(text.to_ascii_uppercase().as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(Error::Link {
                rule: "the fingerprint is not 52 letters and digits: copy the whole link",
            })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}
