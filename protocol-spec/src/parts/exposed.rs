//! What a revocation could not take back.

use crate::{
    declare::fields,
    ids::{RecordId, VersionId},
};

fields! {
    /// A record version whose data key the institution may know.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
    ExposedVersion: ExposedVersion {
        /// The version whose data key it is.
        version_id: VersionId,
        /// The record that this is a version of.
        record_id: RecordId,
    }
}
