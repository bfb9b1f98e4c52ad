//! stub
use std::{path::{Path, PathBuf}, time::Duration};
use protocol_spec::{bodies::{ReleaseReceipt, UploadReceipt}, hash::Sha256Digest, ids::{InstitutionId, PatientId, PermissionId, RecordId, RequestId, VersionId}, link::ServerLink, log::Receipt};
use crate::{DirectoryEntry, InboxEvent, Progress, Provenance, Result, Unlock, transfer::{Sink, Source}};

/// An institution's terminal with its keys, connected to its server.
pub struct Institution {}

/// What an upload led to.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The record that came to be.
    pub record_id: RecordId,
    /// Its version.
    pub version_id: VersionId,
    /// The server's word that it is stored, with its place in the log; verified.
    pub receipt: Receipt<UploadReceipt>,
    /// Bytes of the sealed stream.
    pub bytes: u64,
    /// Those that an earlier run had sent already.
    pub resumed_bytes: u64,
}

/// What a fetch brought.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// In the order of the permission.
    pub records: Vec<FetchedRecord>,
    /// The server's word on what it released, with its place in the log; verified.
    pub receipt: Receipt<ReleaseReceipt>,
}

/// A record that was received, opened and verified.
#[derive(Clone, Debug)]
pub struct FetchedRecord {
    /// The record.
    pub record_id: RecordId,
    /// Its version.
    pub version_id: VersionId,
    /// Its files.
    pub parts: Vec<FetchedPart>,
    /// Who made it.
    pub provenance: Provenance,
}

/// A file that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPart {
    /// Relative path below the record's folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its hash, as the maker signed it and as it was received.
    pub sha256: Sha256Digest,
}

impl Institution {
    /// Makes keys in `home` and a signed accreditation request for the registrar. Works offline; asked again,
    /// the same keys make a new request.
    ///
    /// # Errors
    /// [`crate::Error::HomeExists`] for a home that is enrolled or has another name.
    pub fn request(home: &Path, unlock: &Unlock, name: &str) -> Result<(InstitutionId, Vec<u8>)> {
        todo!()
    }

    /// Enrols with the server of the link, by the accreditation that the registrar handed back.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] for an accreditation that is not for these keys or not by the server's registrar.
    pub async fn enrol(home: &Path, unlock: &Unlock, link: &ServerLink, accreditation: &[u8]) -> Result<Self> {
        todo!()
    }

    /// Opens an enrolled home. Nothing is sent yet.
    ///
    /// # Errors
    /// [`crate::Error::HomeMissing`], [`crate::Error::NotEnrolled`], [`crate::Error::WrongUnlock`], [`crate::Error::HomeKind`].
    pub async fn open(home: &Path, unlock: &Unlock) -> Result<Self> {
        todo!()
    }

    /// Its id.
    pub fn id(&self) -> InstitutionId {
        todo!()
    }

    /// The name that the registrar accredited.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// As [`crate::Patient::directory`].
    ///
    /// # Errors
    /// As there.
    pub async fn directory(&self, filter: Option<&str>) -> Result<Vec<DirectoryEntry>> {
        todo!()
    }

    /// As [`crate::Patient::institution`].
    ///
    /// # Errors
    /// As there.
    pub async fn institution(&self, name_or_id: &str) -> Result<DirectoryEntry> {
        todo!()
    }

    /// As [`crate::Patient::inbox`].
    ///
    /// # Errors
    /// As there.
    pub async fn inbox(&self, after: u64, wait: Option<Duration>) -> Result<Vec<InboxEvent>> {
        todo!()
    }

    /// Presents an upload permission and sends files and folders (recursively, sorted, symbolic links not
    /// followed) as one record. Run again after an interruption, it goes on where it stopped.
    ///
    /// # Errors
    /// [`crate::Error::SourceChanged`], [`crate::Error::Refused`], [`crate::Error::Interrupted`]; nothing is committed then.
    pub async fn send_upload(&self, permission: PermissionId, sources: &[PathBuf], progress: &dyn Progress) -> Result<Sent> {
        todo!()
    }

    /// As [`Self::send_upload`], from any source.
    ///
    /// # Errors
    /// As there.
    pub async fn send_from(&self, permission: PermissionId, source: impl Source, progress: &dyn Progress) -> Result<Sent> {
        todo!()
    }

    /// Asks a patient to let this institution download; `text` says what and why, sealed to her.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn request_download(&self, patient: PatientId, text: &str) -> Result<RequestId> {
        todo!()
    }

    /// Asks a patient to let another institution download: a referral.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn request_reference(&self, patient: PatientId, to: &DirectoryEntry, text: &str) -> Result<RequestId> {
        todo!()
    }

    /// Presents a download or reference permission, and opens what it is for into `out/<record id>/…`. Files
    /// appear there only when all of them are verified.
    ///
    /// # Errors
    /// [`crate::Error::Exists`], [`crate::Error::Refused`], [`crate::Error::Tampered`], [`crate::Error::Interrupted`]; nothing is left
    /// in `out` then.
    pub async fn fetch(&self, permission: PermissionId, out: &Path, progress: &dyn Progress) -> Result<Fetched> {
        todo!()
    }

    /// As [`Self::fetch`], into any sink.
    ///
    /// # Errors
    /// As there.
    pub async fn fetch_into(&self, permission: PermissionId, sink: impl Sink, progress: &dyn Progress) -> Result<Fetched> {
        todo!()
    }
}
