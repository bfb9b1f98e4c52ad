//! What a fetch has brought: told again to a later run, if its files are there, whole. See `protocol-spec/spec/flows.md` §5.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use protocol_spec::{
    bodies::{ReleaseReceipt, ReleaseTicket},
    hash::Sha256Digest,
    ids::{RecordId, VersionId},
    log::Receipt,
    statement::{Signed, Verified},
};
use serde::{Deserialize, Serialize};

use crate::{
    FetchedPart, Provenance, Result,
    transfer::{FolderSink, files},
};

/// What a fetch has brought into its folder or sink.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Fetched {
    /// In the order of the permission.
    pub records: Vec<FetchedRecord>,
    /// Records of the permission that the patient has deleted since (DEL-3).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<RecordId>,
    /// The server's word on what it handed out; absent when its answer did not come. The server then closes
    /// the release when its ticket expires.
    #[serde(
        serialize_with = "crate::text::release_receipt",
        skip_serializing_if = "Option::is_none"
    )]
    pub receipt: Option<Receipt<ReleaseReceipt>>,
    /// An earlier run has fetched it; this one has found it, and asked for nothing.
    pub already: bool,
}

/// A record that was received, opened and verified.
#[derive(Clone, Debug, serde::Serialize)]
pub struct FetchedRecord {
    /// The record that was fetched.
    pub record_id: RecordId,
    /// The version that the permission gave out.
    pub version_id: VersionId,
    /// The files of the record, as they were received.
    pub parts: Vec<FetchedPart>,
    /// Which institution made it, and under which permission.
    pub provenance: Provenance,
}

/// As the journal keeps it.
#[derive(Serialize, Deserialize)]
pub(super) struct Finished {
    out: PathBuf,
    /// Hex of the release's ticket.
    ticket: String,
    records: Vec<Record>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    record_id: String,
    version_id: String,
    parts: Vec<(String, String, u64, String)>,
    institution_id: String,
    name: String,
    permission_id: String,
    created: u64,
}

impl Finished {
    pub(super) fn new(out: &Path, ticket: &Verified<ReleaseTicket>, records: &[FetchedRecord]) -> Self {
        Self {
            out: files::absolute(out),
            ticket: HEXLOWER.encode(&ticket.signed().to_bytes()),
            records: records.iter().map(Record::from).collect(),
        }
    }

    /// The records, if all their files lie in this folder, or are ready to be moved there. Whatever else
    /// stands there is not touched.
    /// Errors: those of moving them.
    pub(super) fn found(&self, out: &Path, name: &str) -> Result<Option<Vec<FetchedRecord>>> {
        if self.out != files::absolute(out) {
            return Ok(None);
        }
        let Some(records) = self.records.iter().map(Record::read).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let mut to_move = Vec::new();
        for FetchedRecord { record_id, parts, .. } in &records {
            let there = out.join(record_id.to_string());
            let hidden = FolderSink::unmoved(out, name, record_id);
            if !files::is_there(&there) && is_whole(&hidden, parts) {
                to_move.push(record_id);
            } else if !is_whole(&there, parts) {
                return Ok(None);
            }
        }
        for record in to_move {
            FolderSink::finish(out, name, record)?;
        }
        FolderSink::discard(out, name);
        Ok(Some(records))
    }

    /// The ticket of the release, as the operator signed it.
    pub(super) fn ticket(&self) -> Option<Signed<ReleaseTicket>> {
        let bytes = HEXLOWER.decode(self.ticket.as_bytes()).ok()?;
        Signed::from_bytes(&bytes).ok()
    }
}

impl From<&FetchedRecord> for Record {
    fn from(record: &FetchedRecord) -> Self {
        let part = |part: &FetchedPart| {
            let hash = part.sha256.to_string();
            (part.name.clone(), part.file.clone(), part.bytes, hash)
        };
        Self {
            record_id: record.record_id.to_string(),
            version_id: record.version_id.to_string(),
            parts: record.parts.iter().map(part).collect(),
            institution_id: record.provenance.institution_id.to_string(),
            name: record.provenance.name.clone(),
            permission_id: record.provenance.permission_id.to_string(),
            created: record.provenance.created,
        }
    }
}

impl Record {
    fn read(&self) -> Option<FetchedRecord> {
        let part = |(name, file, bytes, hash): &(String, String, u64, String)| {
            let hash = HEXLOWER.decode(hash.as_bytes()).ok()?;
            Some(FetchedPart {
                name: name.clone(),
                file: file.clone(),
                bytes: *bytes,
                sha256: Sha256Digest::try_from(hash.as_slice()).ok()?,
            })
        };
        Some(FetchedRecord {
            record_id: self.record_id.parse().ok()?,
            version_id: self.version_id.parse().ok()?,
            parts: self.parts.iter().map(part).collect::<Option<_>>()?,
            provenance: Provenance {
                institution_id: self.institution_id.parse().ok()?,
                name: self.name.clone(),
                permission_id: self.permission_id.parse().ok()?,
                created: self.created,
            },
        })
    }
}

/// Whether every file of a record is there with its length and hash.
fn is_whole(folder: &Path, parts: &[FetchedPart]) -> bool {
    let whole = |part: &FetchedPart| files::is_whole(&folder.join(&part.file), part.bytes, &part.sha256);
    parts.iter().all(whole)
}
