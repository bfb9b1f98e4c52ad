//! The traits of bodies: what a statement says, and who vouches for it.

use bytes::Bytes;

use crate::{Error, ids::PatientId, labels::Label};

/// What a statement says: the validated form of one `…Body` message.
pub trait Body: Sized {
    /// The label under which it is signed.
    const LABEL: Label;

    /// Parses and validates the exact bytes.
    fn decode(bytes: &[u8]) -> Result<Self, Error>;

    /// The canonical bytes to be signed.
    fn encode(&self) -> Bytes;
}

/// A body that says when it was made, by its maker's clock.
pub trait Timestamped: Body {
    /// The time of making, in milliseconds since 1970.
    fn created(&self) -> u64;
}

/// A body that names the patient who vouches for it.
pub trait OfPatient: Timestamped {
    /// Whether a delegate may make it for her (DLG-2).
    const BY_DELEGATES: bool;

    /// The patient whose device must have signed.
    fn patient_id(&self) -> PatientId;
}
