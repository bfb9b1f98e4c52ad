//! Values as programs read them in JSON: identifiers, hashes, codes, days and names as their text forms.

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    attributes::MediaType,
    bodies::Program,
    day::Day,
    field::Name,
    hash::{ContentRoot, Sha256Digest},
    ids::{
        CollectionId, DelegationId, DeviceId, InstitutionId, OperatorId, PatientId, PermissionId, RecordId,
        RegistrarId, ReleaseId, RequestId, TerminalId, UploadId, VersionId,
    },
    link::ServerLink,
    purpose::Purpose,
    statement::Verified,
};

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    )*};
}

as_text! {
    CollectionId DelegationId DeviceId InstitutionId OperatorId PatientId PermissionId RecordId RegistrarId ReleaseId
    RequestId TerminalId UploadId VersionId ContentRoot Sha256Digest Day MediaType Purpose ServerLink
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<T: Serialize> Serialize for Verified<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        T::serialize(self, to)
    }
}

/// What people compare; who vouches for it and when stands elsewhere.
impl Serialize for Program {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut program = to.serialize_struct("Program", 6)?;
        program.serialize_field("name", &self.name)?;
        program.serialize_field("version", &self.version)?;
        program.serialize_field("target", &self.target)?;
        program.serialize_field("source", &self.source)?;
        program.serialize_field("toolchain", &self.toolchain)?;
        program.serialize_field("sha256", &self.file_hash)?;
        program.end()
    }
}
