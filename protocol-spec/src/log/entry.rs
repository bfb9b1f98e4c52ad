//! What stands in the log: institutions' keys, their end, programs and restorations in clear, everything else as a salted digest.

use std::fmt;

use bytes::Bytes;

use crate::{
    Error,
    bodies::{Program, Retirement, Withdrawal},
    directory::Institution,
    hash::{Sha256Digest, sha256},
    labels, messages as pb,
    statement::Verified,
};

/// A leaf's content: an entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A statement in somebody's vault, or about an institution's terminals.
    Salted {
        /// SHA-256(label ‖ salt ‖ SHA-256(statement body)).
        digest: [u8; 32],
        /// Tag by which the owner of the vault recognises the leaf.
        tag: [u8; 16],
    },
    /// An institution's keys, as the directory shows them.
    Keys {
        /// The statement of `InstitutionKeysBody`, signed by the institution.
        keys: pb::Statement,
        /// The statement of `AccreditationBody`, signed by the registrar.
        accreditation: pb::Statement,
    },
    /// The end of an institution, by its own word.
    Retirement(pb::Statement),
    /// The end of an institution's accreditation.
    Withdrawal(pb::Statement),
    /// A client program that the registrar vouches for.
    Program(pb::Statement),
    /// Where the log goes on after an older copy of the data was put back (RST-2).
    Restoration {
        /// `RestorationBody`, signed by the operator.
        operator: pb::Statement,
        /// The same, signed by the registrar.
        registrar: pb::Statement,
    },
}

/// What a proof shows of a salted leaf, to whoever has the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Salt of this statement: without it the digest cannot be guessed.
    pub salt: [u8; 16],
    /// Tag of this statement, as it stands in the leaf.
    pub tag: [u8; 16],
}

/// The salt of one vault (or of one institution): with it the owner recognises her leaves, and without it nobody can
/// tell whose they are. Whoever destroys it has unlinked them, for good.
#[derive(Clone, PartialEq, Eq)]
pub struct VaultSalt([u8; 32]);

const SALTED: u8 = 0;
const KEYS: u8 = 1;
const RETIREMENT: u8 = 2;
const WITHDRAWAL: u8 = 3;
const PROGRAM: u8 = 4;
const RESTORATION: u8 = 5;

impl Entry {
    /// Bytes of every salted leaf: they tell nothing by their length.
    pub const SALTED_LEN: usize = 1 + 32 + 16;

    /// The entry of an institution's keys.
    pub fn keys(institution: &Institution) -> Self {
        Self::Keys {
            keys: institution.keys().to_message(),
            accreditation: institution.accreditation().to_message(),
        }
    }

    /// The entry of an institution's end.
    pub fn retirement(retirement: &Verified<Retirement>) -> Self {
        Self::Retirement(retirement.to_message())
    }

    /// The entry of the end of an institution's accreditation.
    pub fn withdrawal(withdrawal: &Verified<Withdrawal>) -> Self {
        Self::Withdrawal(withdrawal.to_message())
    }

    /// The entry of a client program.
    pub fn program(program: &Verified<Program>) -> Self {
        Self::Program(program.to_message())
    }

    /// The bytes that are hashed and published (LOG-1). Fails with [`Error::Field`] for a statement
    /// that has no place here.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        let bytes = match self {
            Self::Salted { digest, tag } => [&[SALTED], digest.as_slice(), tag].concat(),
            Self::Keys { keys, accreditation } => {
                [&[KEYS][..], &frame(keys)?, &frame(accreditation)?].concat()
            }
            Self::Retirement(retirement) => [&[RETIREMENT][..], &frame(retirement)?].concat(),
            Self::Withdrawal(withdrawal) => [&[WITHDRAWAL][..], &frame(withdrawal)?].concat(),
            Self::Program(program) => [&[PROGRAM][..], &frame(program)?].concat(),
            Self::Restoration { operator, registrar } => {
                [&[RESTORATION][..], &frame(operator)?, &frame(registrar)?].concat()
            }
        };
        match u16::try_from(bytes.len()) {
            Ok(_) => Ok(bytes),
            Err(_) => Err(Error::Field { field: "entry" }),
        }
    }

    /// Whether an entry of these bytes is an event of the directory: all that is not salted.
    pub fn is_event(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|kind| *kind != SALTED)
    }

    /// Reads an entry; what it says is not verified.
    pub fn parse(bytes: &Bytes) -> Result<Self, Error> {
        let mut rest = bytes.clone();
        let kind = if rest.is_empty() {
            None
        } else {
            Some(rest.split_to(1))
        };
        let entry = match kind.as_deref() {
            Some([SALTED]) if bytes.len() == Self::SALTED_LEN => {
                let digest = rest.split_to(32).as_ref().try_into().ok();
                let tag = rest.split_to(16).as_ref().try_into().ok();
                digest.zip(tag).map(|(digest, tag)| Self::Salted { digest, tag })
            }
            Some([KEYS]) => unframe(&mut rest).and_then(|keys| {
                let accreditation = unframe(&mut rest)?;
                Some(Self::Keys { keys, accreditation })
            }),
            Some([RETIREMENT]) => unframe(&mut rest).map(Self::Retirement),
            Some([WITHDRAWAL]) => unframe(&mut rest).map(Self::Withdrawal),
            Some([PROGRAM]) => unframe(&mut rest).map(Self::Program),
            Some([RESTORATION]) => unframe(&mut rest).and_then(|operator| {
                let registrar = unframe(&mut rest)?;
                Some(Self::Restoration { operator, registrar })
            }),
            _ => None,
        };
        let rule = "an entry is of no kind that is known here";
        entry.filter(|_| rest.is_empty()).ok_or(Error::Note { rule })
    }
}

impl Mark {
    /// The leaf of this statement under this mark.
    pub fn entry(&self, statement: &Sha256Digest) -> Entry {
        Entry::Salted {
            digest: digest(&self.salt, statement),
            tag: self.tag,
        }
    }
}

impl VaultSalt {
    /// The salt with these random bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As its owner keeps it.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of it, as vault heads name it (VLT-2).
    pub fn hash(&self) -> Sha256Digest {
        Sha256Digest::of(&self.0)
    }

    /// Salt and tag of the leaf of a statement (LOG-7):
    /// salt = H(LOG_SALT ‖ vault salt ‖ statement), tag = H(LOG_TAG ‖ vault salt ‖ digest), 16 bytes each.
    pub fn mark(&self, statement: &Sha256Digest) -> Mark {
        // Each field has a fixed length and half of the hash stays hidden: SHA-256 over them is a PRF here as HMAC is.
        let salt = half(sha256(&[
            &labels::LOG_SALT.bytes(),
            &self.0,
            statement.as_bytes(),
        ]));
        Mark {
            tag: self.tag(&digest(&salt, statement)),
            salt,
        }
    }

    /// The leaf of a statement.
    pub fn entry(&self, statement: &Sha256Digest) -> Entry {
        self.mark(statement).entry(statement)
    }

    /// Whether this leaf is of this vault, also where its statement is unknown.
    pub fn recognises(&self, entry: &Entry) -> bool {
        matches!(entry, Entry::Salted { digest, tag } if self.tag(digest) == *tag)
    }

    fn tag(&self, digest: &[u8; 32]) -> [u8; 16] {
        half(sha256(&[&labels::LOG_TAG.bytes(), &self.0, digest]))
    }
}

impl fmt::Debug for VaultSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("VaultSalt(..)")
    }
}

fn digest(salt: &[u8; 16], statement: &Sha256Digest) -> [u8; 32] {
    sha256(&[&labels::LOG_LEAF.bytes(), salt, statement.as_bytes()])
}

fn half(hash: [u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(hash) {
        *to = from;
    }
    out
}

/// u16be(len(body)) ‖ body ‖ signature. Statements in clear are signed by identity keys, so there is no certificate.
fn frame(statement: &pb::Statement) -> Result<Vec<u8>, Error> {
    let pb::Statement {
        body,
        signature,
        certificate,
    } = statement;
    match u16::try_from(body.len()) {
        Ok(length) if signature.len() == 64 && certificate.is_none() => {
            Ok([&length.to_be_bytes(), &body[..], &signature[..]].concat())
        }
        _ => Err(Error::Field { field: "statement" }),
    }
}

fn unframe(rest: &mut Bytes) -> Option<pb::Statement> {
    let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
    if rest.len() < 2 + length + 64 {
        return None;
    }
    let body = rest.split_to(2 + length).slice(2..);
    Some(pb::Statement {
        body,
        signature: rest.split_to(64),
        certificate: None,
    })
}
