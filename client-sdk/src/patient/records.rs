//! stub
use std::path::Path;
use protocol_spec::ids::{InstitutionId, RecordId, VersionId, PermissionId};
use protocol_spec::manifest::Part;
use super::Patient;
use crate::{Error, Progress, Provenance, Result};

/// An institution as a list shows it; the name is the accredited one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstitutionRef {
    /// Its id.
    pub id: InstitutionId,
    /// Its name in the verified directory.
    pub name: String,
}

/// A record of her vault, its provenance verified.
#[derive(Clone, Debug)]
pub struct RecordInfo {
    /// The record.
    pub record_id: RecordId,
    /// Its version.
    pub version_id: VersionId,
    /// When the server stored it, in milliseconds since 1970.
    pub received: u64,
    /// Who made it.
    pub from: InstitutionRef,
    /// The permission it was uploaded under.
    pub permission_id: PermissionId,
    /// Its files.
    pub parts: Vec<Part>,
    /// Bytes of its sealed stream.
    pub stream_len: u64,
}

/// What [`Patient::records`] found.
#[derive(Debug, Default)]
pub struct Records {
    /// Verified, oldest first; what was new is adopted.
    pub records: Vec<RecordInfo>,
    /// Those that do not verify, and why. They were not adopted.
    pub refused: Vec<(RecordId, Error)>,
}

/// A record that was opened into a folder.
#[derive(Clone, Debug)]
pub struct Received {
    /// The record.
    pub record_id: RecordId,
    /// Its version.
    pub version_id: VersionId,
    /// Its files, as they now lie in the folder.
    pub parts: Vec<crate::FetchedPart>,
    /// Who made it.
    pub provenance: Provenance,
}

impl Patient {
    /// Her records, each verified; new ones are adopted into the vault.
    ///
    /// # Errors
    /// Of the connection alone; a record that does not verify stands in `refused`.
    pub async fn records(&self) -> Result<Records> {
        todo!()
    }

    /// Opens one of her records into `out/<record id>/`.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Exists`], [`Error::Tampered`]; nothing is then left in `out`.
    pub async fn get_record(&self, record: RecordId, out: &Path, progress: &dyn Progress) -> Result<Received> {
        todo!()
    }
}
