//! The server's link: whoever has it has pinned the operator's and the registrar's key. See `spec/keys.md` §6.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;

use crate::{
    Error,
    defence::Defence,
    hash::{Sha256Digest, sha256},
    keys::IdentityKey,
    labels,
    statement::preimage,
};

/// A server's link, in the form `https://host:port/#fingerprint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLink {
    authority: String,
    fingerprint: Fingerprint,
}

impl ServerLink {
    /// Puts a link together; `authority` is `host:port` as clients reach it. Fails with [`Error::Link`] when
    /// the authority is not one.
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

    /// The server's address as clients reach it, `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What the server's keys must hash to.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The operator's and the registrar's key that a file shows, and the digest of the server's certificate or nothing, if
    /// this link covers them (KEY-9).
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

/// What an operator's key signs so that its server is known under an authority (OPR-10):
/// the pre-image of STM-1 with `SERVER_PROOF` over authority ‖ 0x00 ‖ nonce.
///
/// A server signs for the name by which it was asked, and for none that is not its own: whoever passes the question on under a
/// name of his gets nothing that proves that name.
pub fn proof_message(authority: &str, nonce: &str) -> Vec<u8> {
    preimage(
        labels::SERVER_PROOF,
        &[authority.as_bytes(), &[0], nonce.as_bytes()].concat(),
    )
}

/// Checks such a proof. Fails with [`Error::Signature`] for a proof by another key, for another
/// authority or nonce, or none.
pub fn verify_proof(operator: &IdentityKey, authority: &str, nonce: &str, proof: &[u8]) -> Result<(), Error> {
    let verified = match proof.try_into() {
        Ok(signature) => operator.verify(&proof_message(authority, nonce), signature),
        Err(_) => Err(Error::Signature),
    };
    Defence::ServerProof.check(verified)
}

/// Whether a text is a nonce that a server signs: 22 to 64 characters of A–Z a–z 0–9 `-` `_`.
pub fn is_nonce(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (22..=64).contains(&text.len()) && text.bytes().all(allowed)
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

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    /// OPR-10
    #[test]
    fn a_proof_is_of_its_operator_authority_and_nonce() {
        const NONCE: &str = "0123456789abcdef0123456789abcdef";
        let key = |seed| SigningKey::from_bytes(&[seed; 32]);
        let public = |seed| IdentityKey::try_from(key(seed).verifying_key().as_bytes().as_slice()).unwrap();
        let proof = key(1).sign(&proof_message("new.example:443", NONCE)).to_bytes();
        let verify = |operator, authority, nonce| verify_proof(&operator, authority, nonce, &proof);
        assert_eq!(verify(public(1), "new.example:443", NONCE), Ok(()));
        assert!(verify(public(2), "new.example:443", NONCE).is_err());
        assert!(verify(public(1), "other.example:443", NONCE).is_err());
        assert!(verify(public(1), "new.example:443", &NONCE[1..]).is_err());
        assert!(verify_proof(&public(1), "new.example:443", NONCE, &[]).is_err());
    }

    #[test]
    fn nonces_are_told_from_other_texts() {
        assert!(is_nonce(&"a".repeat(22)) && is_nonce(&"-_".repeat(32)));
        for other in [
            "",
            "short",
            "with a space in it, and long enough",
            &"a".repeat(65),
        ] {
            assert!(!is_nonce(other), "{other}");
        }
    }
}
