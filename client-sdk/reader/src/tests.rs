//! What files are taken for, under whatever name they come.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use super::*;
use crate::dicom::tests::{Written, of_a_study};

fn found(name: &str, bytes: &[u8]) -> Description {
    describe(name, Cursor::new(bytes)).unwrap()
}

fn media_type(name: &str, bytes: &[u8]) -> String {
    found(name, bytes).media_type
}

/// CNT-20: the twelve spellings of the issue's report, and names that say something else.
#[test]
fn a_dicom_file_is_one_under_any_name() {
    let image = of_a_study(Written::Explicit);
    let mut bare = image.clone();
    bare.drain(..132);
    for name in [
        "IM1",
        "IM1.dcm",
        "IM1.DCM",
        "1.2.276.0.7230010.3.1.4.1",
        "MR.1.2.840.113619.2.1",
        "CT000001.IMA",
        "IM1.dicom",
        "IM-0001-0001",
        "I0000001.img",
        "image.dc3",
        "slice.tmp",
        "scan.jpg",
        "report.pdf",
        "DICOMDIR",
        "",
    ] {
        for bytes in [&image, &bare] {
            let found = found(name, bytes);
            assert_eq!(found.media_type, "application/dicom", "{name}");
            assert_eq!(found.dicom_study_uid, "2.25.2", "{name}");
            assert_eq!(
                found.days.map(|days| days.first.to_string()),
                Some("2026-09-14".into()),
                "{name}"
            );
        }
    }
    // A preamble may be the head of another format.
    let mut also_tiff = image;
    also_tiff[..4].copy_from_slice(b"II*\0");
    assert_eq!(found("scan.tif", &also_tiff).dicom_study_uid, "2.25.2");
}

/// CNT-20: what is known by its content is so under any name, and no name makes it so.
#[test]
fn content_counts_before_the_name() {
    let document = br#"<ClinicalDocument xmlns="urn:hl7-org:v3"><effectiveTime value="20260501120000+0200"/></ClinicalDocument>"#;
    let program = [
        b"MZ".to_vec(),
        vec![0; 0x3a],
        vec![0x40, 0, 0, 0],
        b"PE\0\0".to_vec(),
    ]
    .concat();
    for (bytes, media_type_of) in [
        (&b"%PDF-1.7"[..], "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"MM\0*", "image/tiff"),
        (b"II+\0", "image/tiff"),
        (b"MM\0+", "image/tiff"),
        (br#"{"resourceType":"Patient"}"#, "application/fhir+json"),
        (document, "application/cda+xml"),
        (b"MSH|^~\\&|LAB\r", "application/hl7-v2"),
        (&program, "application/vnd.microsoft.portable-executable"),
    ] {
        for name in ["x", "x.txt", "x.1.2.840", "x.dcm"] {
            assert_eq!(media_type(name, bytes), media_type_of, "{name}");
        }
    }
    for (name, bytes, media_type_of) in [
        ("x.dcm", &b"a text"[..], "application/octet-stream"),
        ("x.pdf", b"a text", "application/octet-stream"),
        ("x.jpg", b"", "application/octet-stream"),
        (
            "broken.dcm",
            &[vec![0; 128], b"DICM\xff\xff\xff\xff\xff\xff".to_vec()].concat(),
            "application/dicom",
        ),
        ("other.json", b"[1, 2]", "application/json"),
        ("other.json", b"{\"a\": 1}", "application/json"),
        ("page.xml", b"<a/>", "text/xml"),
        ("notes.txt", b"text", "text/plain"),
        ("notes.txt", b"MSH is a text", "text/plain"),
        (
            "notes.txt",
            b"MZ is a text too, which is long enough to have a second header, were it one at all",
            "text/plain",
        ),
        ("nothing", b"", "application/octet-stream"),
    ] {
        assert_eq!(found(name, bytes), Description::of_type(media_type_of), "{name}");
    }
}

/// CNT-20
#[test]
fn a_clinical_document_has_the_day_of_its_effective_time() {
    let document = |time: &str| {
        let text = format!(
            r#"<?xml version="1.0"?><hl7:ClinicalDocument xmlns:hl7="urn:hl7-org:v3" xmlns:xsi="x">
            <hl7:templateId root="2.16"/><hl7:code code="34133-9"/>{time}<hl7:recordTarget><hl7:birthTime value="19700101"/></hl7:recordTarget>
            <hl7:documentationOf><hl7:serviceEvent><hl7:effectiveTime value="20010101"/></hl7:serviceEvent></hl7:documentationOf>
            <hl7:component><hl7:text><![CDATA[<effectiveTime value="1999"/>]]></hl7:text></hl7:component></hl7:ClinicalDocument>"#
        );
        let days = found("x", text.as_bytes()).days;
        days.map(|days| (days.first.to_string(), days.last.to_string()))
    };
    let day = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
    assert_eq!(
        document(r#"<hl7:effectiveTime value="20260501120000.000+0200"/>"#),
        day("2026-05-01", "2026-05-01")
    );
    let period =
        r#"<hl7:effectiveTime><hl7:low value="20260501"/><hl7:high value="20260503"/></hl7:effectiveTime>"#;
    assert_eq!(document(period), day("2026-05-01", "2026-05-03"));
    assert_eq!(document(r#"<hl7:effectiveTime nullFlavor="UNK"/>"#), None);
}

/// A file that cannot be read, as one of another user.
struct Unreadable;

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

impl Seek for Unreadable {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

#[test]
fn what_cannot_be_read_is_not_described() {
    assert!(describe("x", Unreadable).is_err());
}
