//! Who asks. The HTTP layer finds a caller by the key id of a request's signature, verifies the
//! signature with [`Caller::key`], and passes the caller on: whoever holds one is authenticated.

use std::sync::Arc;

use protocol_spec::{
    bodies::DeviceCertificate, defence::Defence, directory::Institution, ids::PatientId, keys::IdentityKey,
    problem::Problem, statement::Verified,
};

use super::Refusal;

/// An enrolled principal, or one whose enrolment has been checked.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one for each request, and passed by reference"
)]
pub enum Caller {
    /// A patient, by her device.
    Patient {
        /// The vault is hers.
        id: PatientId,
        /// Holds the key that signs her requests.
        device: Verified<DeviceCertificate>,
    },
    /// An accredited institution.
    Institution(Arc<Institution>),
}

impl Caller {
    /// The key that signs this caller's requests.
    pub fn key(&self) -> &IdentityKey {
        match self {
            Self::Patient { device, .. } => &device.device_key,
            Self::Institution(institution) => institution.identity_key(),
        }
    }

    /// The text form of its id, as in the `keyid` of its signatures.
    pub fn key_id(&self) -> String {
        match self {
            Self::Patient { id, .. } => id.to_string(),
            Self::Institution(institution) => institution.id().to_string(),
        }
    }

    /// Its id as the partition of its rows, and the one name under which limits count it.
    pub fn principal(&self) -> [u8; 32] {
        match self {
            Self::Patient { id, .. } => *id.as_bytes(),
            Self::Institution(institution) => *institution.id().as_bytes(),
        }
    }

    /// The patient, where only a patient may ask.
    pub(super) fn patient(&self) -> Result<PatientId, Refusal> {
        match self {
            Self::Patient { id, .. } => Ok(*id),
            Self::Institution(_) => Err(Refusal::absent("only patients may do this")),
        }
    }

    /// The institution, where only an institution may ask.
    pub(super) fn institution(&self) -> Result<&Arc<Institution>, Refusal> {
        match self {
            Self::Institution(institution) => Ok(institution),
            Self::Patient { .. } => Err(Refusal::new(
                Problem::NotPermitted,
                "only institutions may do this",
            )),
        }
    }

    /// Whether a statement's device is the one that asks: a patient has one device for now.
    pub(super) fn check_device(&self, other: &Verified<DeviceCertificate>) -> Result<(), Refusal> {
        match self {
            Self::Patient { device, .. } if Defence::OwnStatements.holds(device.hash() == other.hash()) => {
                Ok(())
            }
            _ => Err(Refusal::absent("another device signed the statement")),
        }
    }
}

/// What makes a mutation the same mutation again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// SHA-256 of the text of the idempotency key.
    pub key: [u8; 32],
    /// SHA-256 over method, path, query and content digest.
    pub digest: [u8; 32],
}
