//! What a receiver does about what she was asked and has not answered.

use super::{Submitted, submitted};
use crate::{
    Error,
    field::Field,
    ids::{DelegationId, PatientId, RequestId},
    messages as pb,
};

use pb::delete_unanswered::What;

submitted! {
    /// Blocks a sender, or takes that back (ACC-9).
    BlockSender {
        sender_id: [u8; 32],
        blocked: bool,
    }
}

/// Deletes something that was not answered, or gives up what was accepted (ACC-9).
#[derive(Clone, Copy, Debug)]
pub enum DeleteUnanswered {
    /// The request of an institution, which was not answered.
    Request(RequestId),
    /// The delegation by which she may act for another patient.
    Delegation(DelegationId),
    /// Being the guardian of this patient.
    Guardianship(PatientId),
}

impl Submitted for DeleteUnanswered {
    type Wire = pb::DeleteUnanswered;

    fn read(wire: pb::DeleteUnanswered) -> Result<Self, Error> {
        Ok(match wire.what.ok_or(Error::Field { field: "what" })? {
            What::RequestId(id) => Self::Request(Field::read(id, "request_id")?),
            What::DelegationId(id) => Self::Delegation(Field::read(id, "delegation_id")?),
            What::PatientId(id) => Self::Guardianship(Field::read(id, "patient_id")?),
        })
    }

    fn write(&self) -> pb::DeleteUnanswered {
        let what = match self {
            Self::Request(id) => What::RequestId(id.write()),
            Self::Delegation(id) => What::DelegationId(id.write()),
            Self::Guardianship(id) => What::PatientId(id.write()),
        };
        pb::DeleteUnanswered { what: Some(what) }
    }
}

/// An id of a patient or of an institution.
impl Field<bytes::Bytes> for [u8; 32] {
    fn read(wire: bytes::Bytes, field: &'static str) -> Result<Self, Error> {
        wire.as_ref().try_into().map_err(|_| Error::Field { field })
    }

    fn write(&self) -> bytes::Bytes {
        bytes::Bytes::copy_from_slice(self)
    }
}
