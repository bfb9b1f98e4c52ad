//! Cases of a download and of an upload, whole and with one thing changed at a time.

use bytes::Bytes;
use prost::Message;

use super::*;
use crate::{
    hash::Sha256Digest,
    history::story::{REGISTRAR, STRANGER, Story, hospital, public},
    ids::{PermissionId, UploadId},
    link::Fingerprint,
};

const KINDS: [Kind; 3] = [Kind::Upload, Kind::Download, Kind::Reference];

/// CAS-1 to CAS-6
#[test]
fn a_whole_case_is_believed() {
    for kind in KINDS {
        let case = Story::new(kind).verify().unwrap();
        assert_eq!(case.institution.id(), hospital());
        assert_eq!(case.asker.is_some(), kind != Kind::Upload);
        assert_eq!(case.events.len(), 5);
        let bytes = case.events.iter().find_map(|event| match &event.what {
            CaseWhat::Stored { bytes, .. } | CaseWhat::Released { bytes, .. } => Some(*bytes),
            _ => None,
        });
        assert_eq!(bytes, Some(2 << 20));
    }
}

/// What is changed, how, and in which entry it is found.
type Change = (&'static str, fn(&mut Story), Option<u64>);

fn refused(kinds: &[Kind], changes: &[Change]) {
    for kind in kinds {
        for (name, change, entry) in changes {
            let mut story = Story::new(*kind);
            change(&mut story);
            let error = story.verify().expect_err(name);
            assert_eq!(error.entry, *entry, "{kind:?}, {name}: {error}");
        }
    }
}

/// CAS-1, CAS-2
#[test]
fn what_the_entries_rest_on_is_checked() {
    let other = Fingerprint::of(&public(STRANGER), &public(REGISTRAR), None);
    let mut story = Story::new(Kind::Download);
    story.link = ServerLink::new("vault.example:443", other).unwrap();
    assert!(story.verify().is_err());
    type Change = (&'static str, fn(&mut pb::CaseBundle));
    let changes: [Change; 8] = [
        ("no institution", |bundle| bundle.institutions.clear()),
        ("not in the log", |bundle| bundle.institutions[0].proof = None),
        ("accredited by nobody", |bundle| {
            let accreditation = bundle.institutions[0].accreditation.as_mut().unwrap();
            accreditation.signature = vec![0; 64].into();
        }),
        ("no list of devices", |bundle| bundle.device_lists.clear()),
        ("a list by another", |bundle| {
            bundle.device_lists[0].signature = vec![0; 64].into();
        }),
        ("the same list twice", |bundle| {
            let list = bundle.device_lists[0].clone();
            bundle.device_lists.push(list);
        }),
        ("no entries", |bundle| bundle.entries.clear()),
        ("another registrar", |bundle| {
            bundle.registrar_key = Bytes::copy_from_slice(public(STRANGER).as_bytes());
        }),
    ];
    for (name, change) in changes {
        let mut bundle = Story::new(Kind::Download).bundle();
        change(&mut bundle);
        let link = Story::new(Kind::Download).link;
        assert!(VerifiedCase::verify(bundle, &link).is_err(), "{name}");
    }
}

/// CAS-3
#[test]
fn the_request_is_the_one_that_was_permitted() {
    refused(
        &KINDS,
        &[
            (
                "another request",
                |story| story.permission.request_hash = Sha256Digest::of(b"other"),
                Some(3),
            ),
            (
                "of another patient",
                |story| {
                    let other = PatientId::from_bytes([7; 32]);
                    story.download.patient_id = other;
                    story.reference.patient_id = other;
                    story.upload.patient_id = other;
                },
                Some(3),
            ),
        ],
    );
    refused(
        &[Kind::Download, Kind::Reference],
        &[("signed by another", |story| story.hospital = STRANGER, Some(3))],
    );
    refused(
        &KINDS,
        &[
            (
                "for another entry",
                |story| story.permission.directory_entry_hash = Sha256Digest::of(b"other"),
                Some(5),
            ),
            (
                "for another key",
                |story| story.permission.recipient_key_hash = Sha256Digest::of(b"other"),
                Some(5),
            ),
        ],
    );
    for (name, order) in [
        ("request last", vec![1, 2, 3, 4, 0]),
        ("no request", vec![1, 2, 3, 4]),
        ("permitted twice", vec![0, 1, 1, 2, 3, 4]),
        ("presented before", vec![0, 2, 1, 3, 4]),
        ("presented twice", vec![0, 1, 2, 2, 3, 4]),
        ("moved before", vec![0, 1, 3, 2, 4]),
        ("moved twice", vec![0, 1, 2, 3, 3, 4]),
        ("revoked before", vec![0, 1, 4, 2, 3]),
        ("revoked twice", vec![0, 1, 2, 3, 4, 4]),
    ] {
        for kind in KINDS {
            let story = Story::new(kind);
            let mut bundle = story.bundle();
            let entries = order.iter().map(|at: &usize| bundle.entries[*at].clone());
            bundle.entries = (1..)
                .zip(entries.collect::<Vec<_>>())
                .map(|(number, entry)| pb::HistoryEntry { number, ..entry })
                .collect();
            let case = VerifiedCase::verify(bundle, &story.link);
            assert!(case.is_err(), "{kind:?}, {name}");
        }
    }
    let mut bundle = Story::new(Kind::Download).bundle();
    bundle.entries[2].number = 2;
    let error = VerifiedCase::verify(bundle, &Story::new(Kind::Download).link).unwrap_err();
    assert_eq!(error.entry, Some(2));
}

/// CAS-4
#[test]
fn a_presentation_is_proven_by_both_keys() {
    refused(
        &KINDS,
        &[
            (
                "another possession key",
                |story| story.possession = STRANGER,
                Some(5),
            ),
            (
                "of another permission",
                |story| story.presented = PermissionId::from_bytes([7; 16]),
                Some(5),
            ),
            (
                "ticket for another permission",
                |story| {
                    story.standby.permission_id = PermissionId::from_bytes([7; 16]);
                    story.release.permission_id = PermissionId::from_bytes([7; 16]);
                },
                Some(5),
            ),
        ],
    );
    refused(
        &[Kind::Upload],
        &[("another institution", |story| story.hospital = STRANGER, Some(5))],
    );
    refused(
        &[Kind::Download],
        &[(
            "ticket of another presentation",
            |story| story.names_presentation = false,
            Some(5),
        )],
    );
    // Something else was presented than was signed.
    let mut bundle = Story::new(Kind::Download).bundle();
    let Some(What::Presented(presented)) = &mut bundle.entries[2].what else {
        panic!("no presentation")
    };
    presented.presentation = pb::Presentation {
        purpose: "TREAT".to_owned(),
        ..pb::Presentation::default()
    }
    .encode_to_vec()
    .into();
    let error = VerifiedCase::verify(bundle, &Story::new(Kind::Download).link).unwrap_err();
    assert_eq!(error.entry, Some(5));
}

/// CAS-5
#[test]
fn receipts_end_what_was_opened_within_the_budget() {
    refused(
        &KINDS,
        &[
            (
                "more bytes than permitted",
                |story| story.permission.bytes = 1,
                Some(6),
            ),
            (
                "of another session",
                |story| {
                    story.stored.upload_id = UploadId::from_bytes([7; 16]);
                    story.released.release_id = ReleaseId::from_bytes([7; 16]);
                },
                Some(6),
            ),
            (
                "under another permission",
                |story| {
                    story.stored.permission_id = PermissionId::from_bytes([7; 16]);
                    story.released.permission_id = PermissionId::from_bytes([7; 16]);
                },
                Some(6),
            ),
            (
                "to another institution",
                |story| {
                    story.stored.institution_id = InstitutionId::from_bytes([7; 32]);
                    story.released.institution_id = InstitutionId::from_bytes([7; 32]);
                },
                Some(6),
            ),
        ],
    );
    refused(
        &[Kind::Upload],
        &[(
            "of another presentation",
            |story| story.names_presentation = false,
            Some(6),
        )],
    );
    refused(
        &[Kind::Download],
        &[("other leaves", |story| story.versions.clear(), Some(6))],
    );
    // Not in the log.
    let mut bundle = Story::new(Kind::Download).bundle();
    let Some(What::Released(receipt)) = &mut bundle.entries[3].what else {
        panic!("no receipt")
    };
    receipt.proof.as_mut().unwrap().tag = vec![7; 16].into();
    let error = VerifiedCase::verify(bundle, &Story::new(Kind::Download).link).unwrap_err();
    assert_eq!(error.entry, Some(6));
}

/// CAS-6
#[test]
fn the_revocation_names_the_permission() {
    refused(
        &KINDS,
        &[
            (
                "another permission",
                |story| story.revocation.permission_hash = Sha256Digest::of(b"other"),
                Some(7),
            ),
            (
                "another patient",
                |story| story.revocation.patient_id = PatientId::from_bytes([7; 32]),
                Some(7),
            ),
            (
                "a receipt for another permission",
                |story| story.accounted = PermissionId::from_bytes([7; 16]),
                Some(7),
            ),
        ],
    );
    // One that was never submitted has no receipt; and one that was is not left out.
    let link = Story::new(Kind::Download).link;
    let mut bundle = Story::new(Kind::Download).bundle();
    bundle.revocation_receipt = None;
    let error = VerifiedCase::verify(bundle, &link).unwrap_err();
    assert_eq!(error.entry, Some(7));
    let mut bundle = Story::new(Kind::Download).bundle();
    bundle.entries.pop();
    assert!(VerifiedCase::verify(bundle, &link).is_err());
}

/// What was moved is what was permitted, when it was, for what it was.
#[test]
fn what_moved_is_what_was_permitted() {
    refused(
        &KINDS,
        &[
            ("too early", |story| story.permission.not_before = 5, Some(5)),
            ("too late", |story| story.permission.not_after = 4, Some(5)),
            (
                "another institution's ticket",
                |story| {
                    story.standby.institution_id = InstitutionId::from_bytes([7; 32]);
                    story.release.institution_id = InstitutionId::from_bytes([7; 32]);
                },
                Some(5),
            ),
            (
                "another operator's",
                |story| story.permission.operator_id = OperatorId::from_bytes([7; 32]),
                None,
            ),
        ],
    );
    refused(
        &[Kind::Download, Kind::Reference],
        &[(
            "for another purpose",
            |story| story.permission.purpose = Some(Purpose::TREAT),
            Some(5),
        )],
    );
    refused(
        &[Kind::Download],
        &[(
            "another record",
            |story| story.permission.records[0].record_id = RecordId::from_bytes([7; 16]),
            Some(6),
        )],
    );
    refused(
        &[Kind::Upload],
        &[(
            "another record",
            |story| story.standby.record_id = RecordId::from_bytes([7; 16]),
            Some(6),
        )],
    );
    // The operator shows one presentation under two tickets.
    let mut story = Story::new(Kind::Download);
    story.permission.uses = 2;
    let mut bundle = story.bundle();
    story.release.release_id = ReleaseId::from_bytes([7; 16]);
    let again = story.bundle().entries[2].clone();
    bundle.entries.insert(3, again);
    for (number, entry) in (3..).zip(&mut bundle.entries) {
        entry.number = number;
    }
    let error = VerifiedCase::verify(bundle, &story.link).unwrap_err();
    assert_eq!(
        error.error,
        Error::History {
            rule: "it stands here a second time"
        }
    );
}
