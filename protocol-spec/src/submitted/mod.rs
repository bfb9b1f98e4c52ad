//! What principals submit: the messages of `spec/api.md` §2 that change something, well-formed. Each has the name and the
//! fields of its message; ids, keys, statements and sizes have been read. Who signed, and for whom it is, comes after.
//! Clients make the same values and write them as messages; servers read them.
//!
//! | module | holds |
//! |---|---|
//! | `asking` | requests, and what answers them |
//! | `vault` | collections, wraps, placements, records, the index, heads |
//! | `devices` | devices and their lists, links, a patient's enrolment |
//! | `delegations` | delegations and their keys |
//! | `emergency` | cards, guardians, helps |
//! | `inbox` | what a receiver does about what she was asked |
//! | `institutions` | institutions, their terminals, client programs |
//! | `uploads` | what ends a session of upload |

mod asking;
mod delegations;
mod devices;
mod emergency;
mod inbox;
mod institutions;
mod uploads;
mod vault;

use bytes::Bytes;

pub use self::{
    asking::{
        SubmitDenial, SubmitDownloadRequest, SubmitNote, SubmitPermission, SubmitReferenceRequest,
        SubmitRevocation, SubmitUploadRequest,
    },
    delegations::{AcceptDelegation, EndDelegation, KEYS_AT_ONCE, PutDelegatedKeys, PutDelegation},
    devices::{
        ChangeDevices, CollectionEpochs, EnrolPatient, EnrolmentWork, LinkAnswer, LinkNonce, LinkOffer,
        LinkOpening, NewDevice, Rotation,
    },
    emergency::{AcceptGuardianship, Halves, OpenEmergency, PutEmergency, StartHelp, SubmitObjection},
    inbox::{BlockSender, DeleteUnanswered},
    institutions::{
        AddTerminal, EnrolInstitution, PublishProgram, RemoveTerminal, RetireInstitution, RotateInstitution,
        TakeBackUpload, TerminalKeys, WithdrawInstitution,
    },
    uploads::{CommitReseal, CommitUpload, OpenReseal},
    vault::{
        AdoptRecord, CloseEpoch, DeleteRecord, MAX_WRAPS, PutCollection, PutWraps, SignedSegment,
        SubmitVaultHead, Wrap,
    },
};
use crate::{
    Error,
    field::{Field, SealedBytes},
    messages as pb,
    patient::{OfPatient, PatientSigned},
    permission::SignedPermission,
    statement::{Body, Signed},
};

/// A message that somebody submits, well-formed.
pub trait Submitted: Sized {
    /// The message as it travels; beside an id of its path, if it has one.
    type Wire;

    /// Reads the message, and checks the form of every field.
    fn read(wire: Self::Wire) -> Result<Self, Error>;

    /// Writes it as the message that travels.
    fn write(&self) -> Self::Wire;
}

/// Where the path says all.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

impl Submitted for Empty {
    type Wire = pb::Accepted;

    fn read(pb::Accepted {}: pb::Accepted) -> Result<Self, Error> {
        Ok(Self)
    }

    fn write(&self) -> pb::Accepted {
        pb::Accepted {}
    }
}

/// What goes to a path with an id.
impl<I: Clone, M: Submitted> Submitted for (I, M) {
    type Wire = (I, M::Wire);

    fn read((id, wire): Self::Wire) -> Result<Self, Error> {
        Ok((id, M::read(wire)?))
    }

    fn write(&self) -> Self::Wire {
        let (id, message) = self;
        (id.clone(), message.write())
    }
}

/// Messages by their fields, in the order of `api.proto`; behind the arrow, what else must hold.
macro_rules! submitted {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? } $(=> $check:ident)?)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "the fields are those of the message in `api.proto`")]
        pub struct $name {
            $(pub $field: $type,)*
        }

        impl $crate::submitted::Submitted for $name {
            type Wire = pb::$name;

            fn read(wire: pb::$name) -> Result<Self, Error> {
                let pb::$name { $($field),* } = wire;
                let read = Self { $($field: $crate::field::Field::read($field, stringify!($field))?),* };
                $($check(&read)?;)?
                Ok(read)
            }

            fn write(&self) -> pb::$name {
                let Self { $($field),* } = self;
                pb::$name { $($field: $crate::field::Field::write($field)),* }
            }
        }

        impl $crate::field::Field<pb::$name> for $name {
            fn read(wire: pb::$name, _: &'static str) -> Result<Self, Error> {
                $crate::submitted::Submitted::read(wire)
            }

            fn write(&self) -> pb::$name {
                $crate::submitted::Submitted::write(self)
            }
        }

        impl $crate::field::Field<Option<pb::$name>> for $name {
            fn read(wire: Option<pb::$name>, field: &'static str) -> Result<Self, Error> {
                $crate::submitted::Submitted::read(wire.ok_or(Error::Field { field })?)
            }

            fn write(&self) -> Option<pb::$name> {
                Some($crate::submitted::Submitted::write(self))
            }
        }
    )*};
}
use submitted;

/// A key of 32 bytes under another key: nonce, commitment, ciphertext and tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWrap(Bytes);

impl From<&[u8; Self::LEN]> for KeyWrap {
    fn from(bytes: &[u8; Self::LEN]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl KeyWrap {
    /// How many bytes every wrap has.
    pub const LEN: usize = 104;

    /// The 104 bytes, as they stand in the message.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl Field<Bytes> for KeyWrap {
    fn read(wire: Bytes, field: &'static str) -> Result<Self, Error> {
        if wire.len() == Self::LEN {
            return Ok(Self(wire));
        }
        Err(Error::Length {
            field,
            got: wire.len(),
            want: Self::LEN,
        })
    }

    fn write(&self) -> Bytes {
        self.0.clone()
    }
}

impl TryFrom<Bytes> for KeyWrap {
    type Error = Error;

    fn try_from(bytes: Bytes) -> Result<Self, Error> {
        Self::read(bytes, "key_wrap")
    }
}

/// An empty field is none.
impl Field<Bytes> for Option<KeyWrap> {
    fn read(wire: Bytes, field: &'static str) -> Result<Self, Error> {
        let present = !wire.is_empty();
        present.then(|| KeyWrap::read(wire, field)).transpose()
    }

    fn write(&self) -> Bytes {
        self.as_ref().map(KeyWrap::write).unwrap_or_default()
    }
}

impl Field<pb::Sealed> for SealedBytes {
    fn read(wire: pb::Sealed, field: &'static str) -> Result<Self, Error> {
        Self::read(Some(wire), field)
    }

    fn write(&self) -> pb::Sealed {
        self.into()
    }
}

impl<T: OfPatient> Field<pb::PatientStatement> for PatientSigned<T> {
    fn read(wire: pb::PatientStatement, _: &'static str) -> Result<Self, Error> {
        wire.try_into()
    }

    fn write(&self) -> pb::PatientStatement {
        self.into()
    }
}

impl<T: OfPatient> Field<Option<pb::PatientStatement>> for PatientSigned<T> {
    fn read(wire: Option<pb::PatientStatement>, _: &'static str) -> Result<Self, Error> {
        wire.try_into()
    }

    fn write(&self) -> Option<pb::PatientStatement> {
        Some(self.into())
    }
}

impl<T: Body> Field<pb::Statement> for Signed<T> {
    fn read(wire: pb::Statement, _: &'static str) -> Result<Self, Error> {
        wire.try_into()
    }

    fn write(&self) -> pb::Statement {
        self.to_message()
    }
}

impl<T: Body> Field<Option<pb::Statement>> for Signed<T> {
    fn read(wire: Option<pb::Statement>, _: &'static str) -> Result<Self, Error> {
        wire.try_into()
    }

    fn write(&self) -> Option<pb::Statement> {
        Some(self.to_message())
    }
}

impl Field<Option<pb::Permission>> for SignedPermission {
    fn read(wire: Option<pb::Permission>, _: &'static str) -> Result<Self, Error> {
        wire.try_into()
    }

    fn write(&self) -> Option<pb::Permission> {
        Some(self.into())
    }
}

/// Refuses a field whose value does not fit the rest.
fn fits(holds: bool, field: &'static str) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Field { field })
    }
}
