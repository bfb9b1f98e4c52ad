//! What a file says of itself: media type, and what a clinician sorts by. It goes into the sealed manifest.
//!
//! A description helps to find a record and nothing depends on it: what cannot be read is left empty. Files are by
//! strangers, so neither the memory nor the time that it takes is for a file to say (CNT-19): [`dicom`] reads three tags
//! in a buffer of fixed size, and of JSON [`MOST`] bytes are read, by a parser that ends at 128 levels and keeps what is
//! named here.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use protocol_spec::manifest::Clinical;
use serde::Deserialize;

use super::dicom;

/// Bytes of a JSON file that are looked at.
const MOST: u64 = 4 << 20;

/// RFC 6838 media type and clinical metadata of a file.
pub(crate) fn describe(path: &Path) -> (String, Clinical) {
    let guessed = mime_guess::from_path(path).first_or_octet_stream();
    let may_be_dicom = path
        .extension()
        .is_none_or(|ending| ending.eq_ignore_ascii_case("dcm"));
    if may_be_dicom && let Some(clinical) = dicom(path) {
        return ("application/dicom".into(), clinical);
    }
    if guessed.essence_str() == "application/json"
        && let Some(clinical) = fhir(path)
    {
        return ("application/fhir+json".into(), clinical);
    }
    (guessed.essence_str().into(), Clinical::default())
}

/// Study, series and date of a DICOM file; empty ones where its header cannot be read.
fn dicom(path: &Path) -> Option<Clinical> {
    let found = dicom::describe(File::open(path).ok()?)?;
    Some(Clinical {
        dicom_study_uid: found.study_uid,
        dicom_series_uid: found.series_uid,
        date: iso_date(&found.date),
        ..Clinical::default()
    })
}

/// DICOM PS3.5 §6.2, DA: `YYYYMMDD` as `YYYY-MM-DD`; anything else as nothing.
fn iso_date(date: &str) -> String {
    match (date.get(..4), date.get(4..6), date.get(6..)) {
        (Some(year), Some(month), Some(day))
            if date.len() == 8 && date.bytes().all(|c| c.is_ascii_digit()) =>
        {
            format!("{year}-{month}-{day}")
        }
        _ => String::new(),
    }
}

/// The fields of any FHIR resource that are looked at; the others are passed over without being kept.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    resource_type: String,
    /// Of a Bundle.
    #[serde(default)]
    timestamp: String,
    /// Of a Composition and others.
    #[serde(default)]
    date: String,
}

/// Resource type and date of a FHIR resource in JSON.
fn fhir(path: &Path) -> Option<Clinical> {
    let file = File::open(path).ok()?;
    let resource: Resource = serde_json::from_reader(BufReader::new(file.take(MOST))).ok()?;
    let moment = if resource.timestamp.is_empty() {
        resource.date
    } else {
        resource.timestamp
    };
    let fhir_resource_type = resource.resource_type;
    let named = fhir_resource_type.bytes().all(|c| c.is_ascii_alphabetic()) && fhir_resource_type.len() <= 64;
    named.then(|| Clinical {
        fhir_resource_type,
        date: moment.get(..10).unwrap_or_default().to_owned(),
        ..Clinical::default()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        super::dicom::tests::{Written, of_a_study},
        *,
    };

    #[test]
    fn dicom_files_tell_study_series_and_date_whatever_their_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["slice.dcm", "IM000001"] {
            let path = folder.path().join(name);
            fs::write(&path, of_a_study(Written::Explicit)).unwrap();
            let (media_type, clinical) = describe(&path);
            assert_eq!(media_type, "application/dicom");
            assert_eq!(clinical.dicom_study_uid, "2.25.2");
            assert_eq!(clinical.dicom_series_uid, "2.25.3");
            assert_eq!(clinical.date, "2026-09-14");
        }
    }

    #[test]
    fn fhir_resources_tell_type_and_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        fs::write(
            &path,
            r#"{"resourceType":"Bundle","timestamp":"2026-11-23T08:00:00Z","entry":[{"x":1}]}"#,
        )
        .unwrap();
        let (media_type, clinical) = describe(&path);
        assert_eq!(
            (media_type.as_str(), clinical.fhir_resource_type.as_str()),
            ("application/fhir+json", "Bundle")
        );
        assert_eq!(clinical.date, "2026-11-23");
    }

    #[test]
    fn what_cannot_be_read_is_left_empty() {
        let folder = tempfile::tempdir().unwrap();
        let mut broken = vec![0; 128];
        broken.extend(b"DICM\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
        for (name, bytes, media_type) in [
            ("broken.dcm", broken.as_slice(), "application/dicom"),
            ("other.json", b"[1, 2]", "application/json"),
            ("notes.txt", b"text", "text/plain"),
            ("nothing", b"", "application/octet-stream"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            assert_eq!(
                describe(&path),
                (media_type.to_owned(), Clinical::default()),
                "{name}"
            );
        }
    }
}
