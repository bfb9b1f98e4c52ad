//! Statements: exact bytes, label, signature. See `spec/statements.md`.
//!
//! [`Signed`] has been parsed and nothing more; [`Verified`] has been checked against a key. Only the
//! verifying functions make a `Verified`, so that a skipped check does not compile.

use std::{convert::Infallible, fmt, marker::PhantomData, ops::Deref};

use bytes::Bytes;
use prost::Message;

pub use crate::body::{Body, Timestamped};
use crate::{
    Error,
    bodies::TerminalCertificate,
    defence::Defence,
    hash::{Sha256Digest, sha256},
    keys::IdentityKey,
    labels::Label,
    messages as pb,
};

/// label ‖ u64be(len(body)) ‖ SHA-256(body) (STM-1).
pub fn preimage(label: Label, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u64).to_be_bytes();
    [&label.bytes()[..], &length, &sha256(&[body])].concat()
}

/// A parsed statement whose signature nobody has checked yet.
pub struct Signed<T> {
    bytes: Bytes,
    signature: [u8; 64],
    body: T,
    /// Of the terminal that has signed, if an institution's terminal has.
    certificate: Option<Box<Signed<TerminalCertificate>>>,
}

impl<T: Body> Signed<T> {
    /// Encodes a body and has it signed: `sign` gets the pre-image.
    pub fn sign(body: T, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Self {
        let Ok(signed) = Self::try_sign(body, |message| Ok::<_, Infallible>(sign(message)));
        signed
    }

    /// As [`Signed::sign`], by a signer that may refuse.
    pub fn try_sign<E>(body: T, sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>) -> Result<Self, E> {
        let bytes = body.encode();
        let signature = sign(&preimage(T::LABEL, &bytes))?;
        Ok(Self {
            bytes,
            signature,
            body,
            certificate: None,
        })
    }

    /// The same statement, with the certificate of the terminal that has signed it (INS-9).
    #[must_use]
    pub fn with_certificate(self, certificate: Signed<TerminalCertificate>) -> Self {
        Self {
            certificate: Some(Box::new(certificate)),
            ..self
        }
    }

    /// Checks the signature over label and body under this key (STM-2).
    pub fn verify(self, key: &IdentityKey) -> Result<Verified<T>, Error> {
        // Whoever may sign by a terminal is verified by its institution.
        if self.certificate.is_some() {
            return Err(Error::Signature);
        }
        self.verify_under(key)
    }

    pub(crate) fn verify_under(self, key: &IdentityKey) -> Result<Verified<T>, Error> {
        let verified = key.verify(&preimage(T::LABEL, &self.bytes), &self.signature);
        Defence::StatementSignatures.check(verified)?;
        Ok(Verified {
            signed: self,
            private: PhantomData,
        })
    }

    /// The certificate of the terminal that claims to have signed.
    pub fn terminal(&self) -> Option<&Signed<TerminalCertificate>> {
        self.certificate.as_deref()
    }

    /// What the statement claims. Enough to look up the key that must verify it, and for nothing else.
    pub fn claimed(&self) -> &T {
        &self.body
    }

    /// SHA-256 of the exact body.
    pub fn hash(&self) -> Sha256Digest {
        Sha256Digest::of(&self.bytes)
    }

    /// The message that carries it.
    pub fn to_message(&self) -> pb::Statement {
        pb::Statement {
            body: self.bytes.clone(),
            signature: Bytes::copy_from_slice(&self.signature),
            certificate: self
                .certificate
                .as_ref()
                .map(|terminal| Box::new(terminal.to_message())),
        }
    }
}

/// In files: the bytes of the message.
impl<T: Body> Signed<T> {
    /// Reads it as it stands in a file.
    ///
    /// # Errors
    /// [`Error::Decode`], or what is wrong with its body.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        pb::decode::<pb::Statement>(bytes)?.try_into()
    }

    /// Writes it as it stands in a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_message().encode_to_vec()
    }
}

impl<T: Body> TryFrom<pb::Statement> for Signed<T> {
    type Error = Error;

    fn try_from(
        pb::Statement {
            body: bytes,
            signature,
            certificate,
        }: pb::Statement,
    ) -> Result<Self, Error> {
        let body = T::decode(&bytes)?;
        Ok(Self {
            bytes,
            signature: signature_bytes(&signature)?,
            body,
            certificate: certificate
                .map(|terminal| Signed::try_from(*terminal).map(Box::new))
                .transpose()?,
        })
    }
}

impl<T: Body> TryFrom<Option<pb::Statement>> for Signed<T> {
    type Error = Error;

    fn try_from(message: Option<pb::Statement>) -> Result<Self, Error> {
        message.ok_or(Error::Field { field: "statement" })?.try_into()
    }
}

impl<T: fmt::Debug> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes: _,
            signature: _,
            body,
            certificate: _,
        } = self;
        f.debug_tuple("Signed").field(body).finish()
    }
}

impl<T: Clone> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            signature: self.signature,
            body: self.body.clone(),
            certificate: self.certificate.clone(),
        }
    }
}

/// A statement whose signature has been verified under the key that the rules demand.
pub struct Verified<T> {
    signed: Signed<T>,
    private: PhantomData<()>,
}

impl<T: Body> Verified<T> {
    /// The statement again, to be passed on.
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }

    /// SHA-256 of the exact body.
    pub fn hash(&self) -> Sha256Digest {
        self.signed.hash()
    }

    /// The message that carries it.
    pub fn to_message(&self) -> pb::Statement {
        self.signed.to_message()
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.signed.body
    }
}

impl<T: Clone> Clone for Verified<T> {
    fn clone(&self) -> Self {
        Self {
            signed: self.signed.clone(),
            private: PhantomData,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verified").field(&self.signed.body).finish()
    }
}

pub(crate) fn signature_bytes(bytes: &[u8]) -> Result<[u8; 64], Error> {
    bytes.try_into().map_err(|_| Error::Length {
        field: "signature",
        got: bytes.len(),
        want: 64,
    })
}
