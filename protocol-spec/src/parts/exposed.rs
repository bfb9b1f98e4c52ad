//! What a revocation could not take back.

use crate::{
    Error,
    field::Field,
    ids::{RecordId, VersionId},
    messages as pb,
};

/// A record version whose data key the institution may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExposedVersion {
    /// The version whose data key it is.
    pub version_id: VersionId,
    /// The record that this is a version of.
    pub record_id: RecordId,
}

impl Field<pb::ExposedVersion> for ExposedVersion {
    fn read(wire: pb::ExposedVersion, field: &'static str) -> Result<Self, Error> {
        let pb::ExposedVersion {
            version_id,
            record_id,
        } = wire;
        Ok(Self {
            version_id: Field::read(version_id, field)?,
            record_id: Field::read(record_id, field)?,
        })
    }

    fn write(&self) -> pb::ExposedVersion {
        pb::ExposedVersion {
            version_id: self.version_id.write(),
            record_id: self.record_id.write(),
        }
    }
}
