//! Single values in paths and queries, and what the API's description says of them.

use std::{fmt::Display, str::FromStr};

use serde_json::{Value, json};

use crate::ids::{
    CollectionId, DelegationId, DeviceId, InstitutionId, LinkId, PatientId, PermissionId, RecordId,
    ReleaseId, RequestId, TerminalId, UploadId, VersionId,
};

/// A value that stands in a path or query.
pub trait Parameter: FromStr + Display {
    /// The JSON Schema of such a value.
    fn schema() -> Value;
}

impl Parameter for String {
    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

impl Parameter for bool {
    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Parameter for $number {
            fn schema() -> Value {
                json!({ "type": "integer", "minimum": 0, "maximum": Self::MAX })
            }
        }
    )*};
}
numbers!(u32 u64 usize);

macro_rules! ids {
    ($($id:ty)*) => {$(
        impl Parameter for $id {
            /// A prefix and base32 (KEY-4).
            fn schema() -> Value {
                let letters = (size_of::<Self>() * 8).div_ceil(5);
                json!({ "type": "string", "pattern": format!("^{}_[a-z2-7]{{{letters}}}$", Self::PREFIX) })
            }
        }
    )*};
}
ids!(CollectionId DelegationId DeviceId InstitutionId LinkId PatientId PermissionId RecordId ReleaseId RequestId TerminalId UploadId VersionId);
