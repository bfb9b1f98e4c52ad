//! Values of the library as JSON and as lines: what several commands show alike.

pub(crate) mod rules;
pub(crate) mod taken;

use std::time::{Duration, UNIX_EPOCH};

use client_sdk::{Clinical, FetchedPart, Part, Provenance, Receipt, ReleaseReceipt, UploadReceipt};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::output::{moment, party, plain, timestamp};

/// One file of a record.
#[derive(Serialize)]
pub(crate) struct PartView {
    name: String,
    /// Under which it was written, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    bytes: u64,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    /// When its sender changed it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(flatten)]
    clinical: ClinicalView,
}

/// What a clinician sorts by; only what the file told.
#[derive(Default, Serialize)]
struct ClinicalView {
    #[serde(skip_serializing_if = "String::is_empty")]
    fhir_resource_type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    dicom_study_uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    dicom_series_uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    date: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_date: String,
}

impl From<&Clinical> for ClinicalView {
    fn from(clinical: &Clinical) -> Self {
        let Clinical {
            fhir_resource_type,
            dicom_study_uid,
            dicom_series_uid,
            date,
            last_date,
        } = clinical.clone();
        Self {
            fhir_resource_type,
            dicom_study_uid,
            dicom_series_uid,
            date,
            last_date,
        }
    }
}

impl From<&Part> for PartView {
    fn from(part: &Part) -> Self {
        Self {
            name: part.name.as_str().to_owned(),
            file: None,
            bytes: part.length,
            sha256: part.sha256.to_string(),
            media_type: Some(part.media_type.clone()),
            modified: part.modified.and_then(file_time),
            clinical: (&part.clinical).into(),
        }
    }
}

impl From<&FetchedPart> for PartView {
    fn from(part: &FetchedPart) -> Self {
        Self {
            name: part.name.clone(),
            file: (part.file != part.name).then(|| part.file.clone()),
            bytes: part.bytes,
            sha256: part.sha256.to_string(),
            media_type: None,
            modified: None,
            clinical: ClinicalView::default(),
        }
    }
}

impl PartView {
    /// That it lies under another name than its sender gave it.
    fn renamed(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(format!("  {} is written as {}\n", plain(&self.name), plain(file)))
    }
}

/// `3 files, 12 MiB`.
pub(crate) fn contents(parts: &[PartView]) -> String {
    let files = if parts.len() == 1 {
        "1 file".to_owned()
    } else {
        format!("{} files", parts.len())
    };
    format!("{files}, {}", size(parts.iter().map(|part| part.bytes).sum()))
}

/// A moment in nanoseconds since 1970, as RFC 3339 in UTC; none before 1970, of which the manifest has it all the same.
pub(crate) fn file_time(nanoseconds: i64) -> Option<String> {
    let since = Duration::from_nanos(u64::try_from(nanoseconds).ok()?);
    Some(humantime::format_rfc3339_nanos(UNIX_EPOCH + since).to_string())
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// Who made a record.
#[derive(Serialize)]
pub(crate) struct ProvenanceView {
    institution_id: String,
    name: String,
    permission_id: String,
    created: String,
    #[serde(skip)]
    created_ms: u64,
}

impl From<&Provenance> for ProvenanceView {
    fn from(provenance: &Provenance) -> Self {
        Self {
            institution_id: provenance.institution_id.to_string(),
            name: provenance.name.clone(),
            permission_id: provenance.permission_id.to_string(),
            created: timestamp(provenance.created),
            created_ms: provenance.created,
        }
    }
}

impl ProvenanceView {
    /// `St. Anna (inst_…), 2026-11-23 06:20:30 UTC`.
    pub(crate) fn line(&self) -> String {
        let maker = party(&self.name, &self.institution_id);
        format!("{maker}, {}", moment(self.created_ms))
    }
}

/// A record that lies in a folder now, every file verified.
#[derive(Serialize)]
pub(crate) struct ReceivedView {
    pub(crate) record_id: String,
    pub(crate) version_id: String,
    pub(crate) parts: Vec<PartView>,
    pub(crate) provenance: ProvenanceView,
}

impl ReceivedView {
    /// Two lines: what and where it is, who made it.
    pub(crate) fn lines(&self, folder: &str) -> String {
        let (contents, maker) = (contents(&self.parts), self.provenance.line());
        let renamed = self.parts.iter().filter_map(PartView::renamed);
        format!(
            "{folder}/{}: {contents}, verified\n  made by {maker}\n{}",
            self.record_id,
            renamed.collect::<String>()
        )
    }
}

/// The server's word with its place in the log, verified.
#[derive(Serialize)]
pub(crate) struct ReceiptView {
    created: String,
    operator_id: String,
    permission_id: String,
    bytes: u64,
    statement_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_root: Option<String>,
    log_size: u64,
    log_root: String,
}

impl From<&Receipt<UploadReceipt>> for ReceiptView {
    fn from(receipt: &Receipt<UploadReceipt>) -> Self {
        Self {
            created: timestamp(receipt.statement.created),
            operator_id: receipt.statement.operator_id.to_string(),
            permission_id: receipt.statement.permission_id.to_string(),
            bytes: receipt.statement.stream_len,
            statement_sha256: receipt.statement.hash().to_string(),
            content_root: Some(receipt.statement.content_root.to_string()),
            log_size: receipt.checkpoint.size,
            log_root: receipt.checkpoint.root.to_string(),
        }
    }
}

impl From<&Receipt<ReleaseReceipt>> for ReceiptView {
    fn from(receipt: &Receipt<ReleaseReceipt>) -> Self {
        Self {
            created: timestamp(receipt.statement.created),
            operator_id: receipt.statement.operator_id.to_string(),
            permission_id: receipt.statement.permission_id.to_string(),
            bytes: receipt.statement.bytes,
            statement_sha256: receipt.statement.hash().to_string(),
            content_root: None,
            log_size: receipt.checkpoint.size,
            log_root: receipt.checkpoint.root.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use client_sdk::Sha256Digest;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_is_name_bytes_and_hash() {
        let part = FetchedPart {
            name: "series/1.dcm".to_owned(),
            file: "series/1.dcm".to_owned(),
            bytes: 3,
            sha256: Sha256Digest::of(b"abc"),
        };
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let view = PartView::from(&part);
        let expected = json!({ "name": "series/1.dcm", "bytes": 3, "sha256": sha256 });
        assert_eq!(serde_json::to_value(&view).unwrap(), expected);
        assert_eq!(contents(&[view]), "1 file, 3 B");
    }
}
