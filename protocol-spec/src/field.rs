//! From fields of messages to types that hold only valid values, and back.

use bytes::Bytes;

use crate::{
    Error,
    defence::Defence,
    hash::{ContentRoot, Sha256Digest},
    ids::{
        CollectionId, DelegationId, DeviceId, InstitutionId, InvitationId, OperatorId, PatientId,
        PermissionId, RecordId, RegistrarId, ReleaseId, RequestId, TerminalId, UploadId, VersionId,
    },
    keys::{IdentityKey, RecipientKey},
    messages as pb, names,
};

/// The protocol version that this build speaks.
pub const VERSION: u32 = 1;
/// The one suite: X-Wing, HKDF, ChaCha20-Poly1305, Ed25519, BLAKE3.
pub const SUITE: u32 = 1;
/// What is read as a `T`: its message, or the field of a message that must hold one. Whoever takes it can do nothing with it
/// before it is read.
pub trait ReadsAs<T>: TryInto<T, Error = Error> {}

impl<T, M: TryInto<T, Error = Error>> ReadsAs<T> for M {}

/// A validated value and its form `Wire` in a message (STM-7).
pub(crate) trait Field<Wire>: Sized {
    fn read(wire: Wire, field: &'static str) -> Result<Self, Error>;
    fn write(&self) -> Wire;
}

macro_rules! bytes_fields {
    ($($name:ident),*) => {$(
        impl Field<Bytes> for $name {
            fn read(wire: Bytes, _: &'static str) -> Result<Self, Error> {
                Self::try_from(wire.as_ref())
            }

            fn write(&self) -> Bytes {
                Bytes::copy_from_slice(self.as_bytes())
            }
        }
    )*};
}

bytes_fields!(
    CollectionId,
    ContentRoot,
    DelegationId,
    DeviceId,
    IdentityKey,
    InstitutionId,
    InvitationId,
    OperatorId,
    PatientId,
    PermissionId,
    RecipientKey,
    RecordId,
    RegistrarId,
    ReleaseId,
    RequestId,
    Sha256Digest,
    TerminalId,
    UploadId,
    VersionId
);

macro_rules! optional_fields {
    ($($name:ident),*) => {$(
        /// An empty field is none.
        impl Field<Bytes> for Option<$name> {
            fn read(wire: Bytes, field: &'static str) -> Result<Self, Error> {
                let present = !wire.is_empty();
                present.then(|| $name::read(wire, field)).transpose()
            }

            fn write(&self) -> Bytes {
                self.as_ref().map(Field::write).unwrap_or_default()
            }
        }
    )*};
}

optional_fields!(DelegationId, InstitutionId, Sha256Digest, VersionId);

macro_rules! number_fields {
    ($($name:ident),*) => {$(
        impl Field<Self> for $name {
            fn read(wire: Self, _: &'static str) -> Result<Self, Error> {
                Ok(wire)
            }

            fn write(&self) -> Self {
                *self
            }
        }
    )*};
}

number_fields!(u32, u64, i64, bool);

macro_rules! free_fields {
    ($($name:ident),*) => {$(
        /// As it stands; what holds it checks it.
        impl Field<Self> for $name {
            fn read(wire: Self, _: &'static str) -> Result<Self, Error> {
                Ok(wire)
            }

            fn write(&self) -> Self {
                self.clone()
            }
        }
    )*};
}

free_fields!(Bytes, String);

/// A name that is shown to people who decide by it (STM-8).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The name as text, which the rules of STM-8 allow.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is shown in the place of a name that does not open: the beginning of the id of what it is of (DEV-25).
    pub fn unreadable(id: &impl std::fmt::Display) -> Self {
        let id = id.to_string();
        let begins: String = id.chars().filter(char::is_ascii_graphic).take(ID_SHOWN).collect();
        Self(format!("unreadable {begins}"))
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        names::check(&text)?;
        Ok(Self(text))
    }
}

impl Field<String> for Name {
    fn read(wire: String, _: &'static str) -> Result<Self, Error> {
        Self::try_from(wire)
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// A prefix of three letters, and eight characters: 40 bits.
const ID_SHOWN: usize = 12;

/// An HPKE seal as it travels: `enc` of the right length, a ciphertext within bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBytes {
    /// The X-Wing encapsulation, [`SealedBytes::ENC_LEN`] bytes long.
    pub enc: Bytes,
    /// The ciphertext with its tag of 16 bytes.
    pub ciphertext: Bytes,
}

impl SealedBytes {
    /// Bytes of an X-Wing encapsulation.
    pub const ENC_LEN: usize = 1120;
    /// Longest ciphertext: keys of 4096 records in their size class, and the tag.
    pub const MAX_CIPHERTEXT: usize = (64 << 12) + 16;
}

impl Field<Option<pb::Sealed>> for SealedBytes {
    fn read(wire: Option<pb::Sealed>, field: &'static str) -> Result<Self, Error> {
        let pb::Sealed { enc, ciphertext } = wire.ok_or(Error::Field { field })?;
        if enc.len() != Self::ENC_LEN {
            return Err(Error::Length {
                field: "hpke enc",
                got: enc.len(),
                want: Self::ENC_LEN,
            });
        }
        if !(17..=Self::MAX_CIPHERTEXT).contains(&ciphertext.len()) {
            return Err(Error::Field { field });
        }
        Ok(Self { enc, ciphertext })
    }

    fn write(&self) -> Option<pb::Sealed> {
        Some(pb::Sealed {
            enc: self.enc.clone(),
            ciphertext: self.ciphertext.clone(),
        })
    }
}

impl TryFrom<Option<pb::Sealed>> for SealedBytes {
    type Error = Error;

    fn try_from(wire: Option<pb::Sealed>) -> Result<Self, Error> {
        Self::read(wire, "sealed")
    }
}

impl From<&SealedBytes> for pb::Sealed {
    fn from(sealed: &SealedBytes) -> Self {
        Self {
            enc: sealed.enc.clone(),
            ciphertext: sealed.ciphertext.clone(),
        }
    }
}

impl<M, T> Field<Option<M>> for Option<T>
where
    T: Field<M>,
{
    fn read(wire: Option<M>, field: &'static str) -> Result<Self, Error> {
        wire.map(|one| T::read(one, field)).transpose()
    }

    fn write(&self) -> Option<M> {
        self.as_ref().map(Field::write)
    }
}

impl<M, T> Field<Vec<M>> for Vec<T>
where
    T: Field<M>,
{
    fn read(wire: Vec<M>, field: &'static str) -> Result<Self, Error> {
        wire.into_iter().map(|one| T::read(one, field)).collect()
    }

    fn write(&self) -> Vec<M> {
        self.iter().map(Field::write).collect()
    }
}

/// Checks the header in front of every body (STM-4) and returns its time.
pub(crate) fn read_header(header: Option<pb::Header>) -> Result<u64, Error> {
    let header = header.ok_or(Error::Field { field: "header" })?;
    let spoken = (header.version, header.suite) == (VERSION, SUITE);
    if !Defence::VersionAndSuite.holds(spoken) {
        return Err(Error::Version {
            version: header.version,
            suite: header.suite,
        });
    }
    Ok(header.created)
}

pub(crate) fn write_header(created: u64) -> Option<pb::Header> {
    Some(pb::Header {
        version: VERSION,
        suite: SUITE,
        created,
    })
}
