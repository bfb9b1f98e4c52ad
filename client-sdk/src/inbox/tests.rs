use std::{path::Path, sync::Arc};

use actors::{Institution, KeyPair, Patient, Setting, institution::Charter};
use bytes::Bytes;
use crypto::{
    OperatingSystem, PermissionKey, RecipientSecret, SigningIdentity, TextContext, UploadKey, seal_text,
};
use prost::Message;
use protocol_spec::{
    bodies::{DownloadRequest, UploadRequest, VaultKeyStatement},
    field::SealedBytes,
    hash::Sha256Digest,
    ids::{PermissionId, RequestId},
    keys::IdentityKey,
    link::{Fingerprint, ServerLink},
    messages as pb,
    patient::PatientSigned,
    permission::{Kind, SignedPermission},
    statement::Body,
    vault_head::HeadRef,
};

use pb::event::What;

use super::{reading::says_data, *};
use crate::{
    Contradiction, DirectoryEntry, Error,
    connect::tests::serve,
    home::{Home, Pins},
    institution::delivered,
    keystore::KeyStoreDouble,
    session::Session,
};

const OPERATOR: u8 = 1;
const REGISTRAR: u8 = 2;
const CLINIC: u8 = 3;
const OTHER_CLINIC: u8 = 4;
const ANNA: u8 = 5;
const BERT: u8 = 6;
const PERMISSION: PermissionId = PermissionId::from_bytes([7; 16]);
const REQUEST: RequestId = RequestId::from_bytes([8; 16]);

fn identity(seed: u8) -> SigningIdentity {
    SigningIdentity::from_seed(&[seed; 32]).unwrap()
}

fn public(seed: u8) -> IdentityKey {
    identity(seed).public()
}

fn recipient(seed: u8) -> RecipientSecret {
    RecipientSecret::from_seed(&[seed; 32]).unwrap()
}

/// A server that gives one answer to everything.
async fn server(answer: Vec<u8>) -> Pins {
    let server = serve(200, answer).await;
    let (operator, registrar) = (public(OPERATOR), public(REGISTRAR));
    let fingerprint = Fingerprint::of(&operator, &registrar, Some(&server.certificate));
    Pins {
        link: ServerLink::new(&server.authority, fingerprint).unwrap(),
        operator,
        registrar,
        certificate: Some(server.certificate),
    }
}

fn session(home: &Path, pins: &Pins) -> Session {
    Session::new(
        Home::at(home),
        pins.clone(),
        &"inst_a",
        Arc::new(identity(CLINIC)),
    )
    .unwrap()
}

fn clinic(seed: u8) -> Institution {
    Charter::of(KeyPair::new(seed))
        .named(format!("Clinic {seed}"))
        .recipient(recipient(seed).public().clone())
        .sign()
}

fn entry(seed: u8) -> DirectoryEntry {
    clinic(seed).verified(&public(REGISTRAR))
}

/// A patient whose one key is identity and device.
fn patient(seed: u8) -> Patient {
    let key = KeyPair::new(seed);
    Patient::first(&key, key.clone(), recipient(seed).public(), Setting::default())
}

fn text_to(reader: u8, context: &TextContext) -> SealedBytes {
    seal_text(
        &OperatingSystem,
        recipient(reader).public(),
        context,
        "the knee MRI, please",
    )
    .unwrap()
}

fn upload_request(from: u8) -> PatientSigned<UploadRequest> {
    let (patient, to) = (patient(from), (&public(CLINIC)).into());
    let context = TextContext::to_institution(REQUEST, &patient.id, &to);
    patient.signs(UploadRequest {
        request_id: REQUEST,
        expires: 2,
        text: text_to(CLINIC, &context),
        ..patient.upload_request(to)
    })
}

/// To the clinic, with the id [`PERMISSION`].
fn permission(from: u8, request_hash: Sha256Digest) -> SignedPermission {
    let key = PermissionKey::mint(
        &OperatingSystem,
        &PERMISSION,
        &UploadKey::generate(&OperatingSystem).unwrap(),
    )
    .unwrap();
    let patient = patient(from);
    let permission = patient.permission(Kind::Upload).to(&clinic(CLINIC));
    let permission = permission.id(PERMISSION).answers(request_hash).between(1, 2);
    let body = permission.possession(key.possession()).body().encode();
    let wrap = key
        .seal(&OperatingSystem, recipient(CLINIC).public(), &body)
        .unwrap();
    let sign = |message: &[u8]| patient.device.sign(message);
    SignedPermission::sign(body, wrap, patient.chain.clone(), sign).unwrap()
}

/// FLW-13, ATK-16: the server shows the clinic Anna's request with the id of a permission by Bert, who knows her
/// request's hash. What is sent for Anna must not be sealed to Bert.
#[tokio::test]
async fn a_permission_by_another_than_the_patient_shown_is_refused() {
    let request = upload_request(ANNA);
    let delivery = pb::Delivery {
        permission: Some((&permission(BERT, request.hash())).into()),
        ..Default::default()
    };
    let pins = server(delivery.encode_to_vec()).await;
    let clinic = (&public(CLINIC)).into();
    let keys = KeyStoreDouble::of(Arc::new(OperatingSystem), identity(CLINIC), recipient(CLINIC));
    let dir = tempfile::tempdir().unwrap();
    // Control: by itself it is a good permission.
    std::fs::create_dir(dir.path().join("unread")).unwrap();
    let unread = session(&dir.path().join("unread"), &pins);
    assert!(delivered(&unread, PERMISSION, clinic, &keys).await.is_ok());

    let event = pb::Event {
        number: 1,
        at: 1,
        what: Some(What::UploadRequested(pb::UploadPermitted {
            request: Some((&request).into()),
            permission_id: Bytes::copy_from_slice(PERMISSION.as_bytes()),
        })),
    };
    let read = dir.path().join("read");
    std::fs::create_dir(&read).unwrap();
    let session_of_reader = session(&read, &pins);
    let inbox = InboxReader::of_institution(&session_of_reader, clinic, &keys);
    let shown = inbox.open_event(event).await.unwrap();
    assert_eq!(
        (shown.what, shown.from),
        (
            InboxWhat::UploadRequest {
                request_id: REQUEST,
                permission_id: PERMISSION,
            },
            Party::Patient((&public(ANNA)).into())
        )
    );
    let later = session(&read, &pins);
    assert!(matches!(
        delivered(&later, PERMISSION, clinic, &keys).await,
        Err(Error::Tampered { .. })
    ));
}

fn download_request(from: u8) -> pb::Statement {
    let (patient_id, clinic) = ((&public(ANNA)).into(), clinic(from));
    let context = TextContext::to_patient(REQUEST, &clinic.id, &patient_id);
    let request = clinic.download_request(patient_id);
    let (statement, _) = clinic.statement(DownloadRequest {
        request_id: REQUEST,
        expires: 2,
        text: text_to(ANNA, &context),
        ..request
    });
    statement
}

/// FLW-13, ATK-32: she saw the clinic's request, and permits it by its id. The request that another accredited
/// institution made under the same id is not it.
#[tokio::test]
async fn a_request_under_an_id_that_was_shown_for_another_is_refused() {
    let pins = server(Vec::new()).await;
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path(), &pins);
    let entries = [entry(CLINIC), entry(OTHER_CLINIC)];
    session.mirror.know_only(entries).await;
    let (shown, other) = (download_request(CLINIC), download_request(OTHER_CLINIC));
    for _ in 0..2 {
        let asked = session.asks.download(shown.clone()).await.unwrap();
        assert_eq!(asked.asker.id(), (&public(CLINIC)).into());
        assert!(matches!(
            session.asks.download(other.clone()).await,
            Err(Error::Tampered { .. })
        ));
    }
}

/// ATK-17: one who may read a version replaces it, with the server's help, by a record of its own.
#[tokio::test]
async fn a_record_version_stays_what_it_was_when_it_was_first_verified() {
    let pins = server(Vec::new()).await;
    let dir = tempfile::tempdir().unwrap();
    let version = protocol_spec::ids::VersionId::from_bytes([9; 16]);
    let (made, forged) = (Sha256Digest::of(b"made"), Sha256Digest::of(b"forged"));
    session(dir.path(), &pins).met.version(version, &made).unwrap();
    let later = session(dir.path(), &pins);
    assert!(later.met.version(version, &made).is_ok());
    assert!(matches!(
        later.met.version(version, &forged),
        Err(Error::Tampered { .. })
    ));
}

fn head(sequence: u64, of: &[u8]) -> HeadRef {
    let hash = Sha256Digest::of(of);
    HeadRef { sequence, hash }
}

/// VLT-8, ATK-39: what one permission or receipt has said of a vault, no other may contradict.
#[tokio::test]
async fn two_heads_under_one_number_are_a_fork() {
    let pins = server(Vec::new()).await;
    let dir = tempfile::tempdir().unwrap();
    let (anna, bert) = ((&public(ANNA)).into(), (&public(BERT)).into());
    session(dir.path(), &pins)
        .met
        .head(anna, &head(3, b"one"))
        .unwrap();
    let later = session(dir.path(), &pins);
    for (patient, head) in [
        (anna, head(3, b"one")),
        (anna, head(2, b"other")),
        (bert, head(3, b"other")),
    ] {
        later.met.head(patient, &head).unwrap();
    }
    let forked = later.met.head(anna, &head(3, b"other"));
    assert!(
        matches!(forked, Err(Error::Contradicted(Contradiction::OtherVault { .. }))),
        "{forked:?}"
    );
}

/// DEV-7: once a vault key was met, none of an epoch before it, and no other of its own.
#[tokio::test]
async fn an_older_or_another_vault_key_than_was_met_is_refused() {
    let pins = server(Vec::new()).await;
    let dir = tempfile::tempdir().unwrap();
    let keys = [(); 2].map(|()| {
        RecipientSecret::generate(&OperatingSystem)
            .unwrap()
            .public()
            .clone()
    });
    let key = |seed, root_epoch, key: usize| VaultKeyStatement {
        created: 0,
        patient_id: (&public(seed)).into(),
        root_epoch,
        vault_key: keys[key].clone(),
    };
    session(dir.path(), &pins)
        .met
        .vault_key(&key(ANNA, 3, 0))
        .unwrap();
    let later = session(dir.path(), &pins);
    for same in [key(ANNA, 3, 0), key(BERT, 2, 0), key(ANNA, 4, 1)] {
        later.met.vault_key(&same).unwrap();
    }
    for refused in [key(ANNA, 3, 0), key(ANNA, 4, 0)] {
        assert!(later.met.vault_key(&refused).is_err(), "{refused:?}");
    }
}

/// VLT-8: a receipt names a head, and none older than the permission's.
#[tokio::test]
async fn a_receipt_is_of_no_older_vault_than_its_permission() {
    let pins = server(Vec::new()).await;
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path(), &pins);
    let check = |permission, receipt| {
        session
            .met
            .receipt_head(((&public(ANNA)).into(), permission), receipt, "it")
    };
    let newest = head(5, b"five");
    for permission in [None, Some(head(4, b"four")), Some(newest)] {
        check(permission, Some(newest)).unwrap();
    }
    for (permission, receipt) in [(Some(head(6, b"six")), Some(newest)), (Some(newest), None)] {
        assert!(matches!(check(permission, receipt), Err(Error::Tampered { .. })));
    }
    let other = check(Some(newest), Some(head(5, b"other")));
    assert!(
        matches!(other, Err(Error::Contradicted(Contradiction::OtherVault { .. }))),
        "{other:?}"
    );
}

#[test]
fn a_line_of_the_stream_takes_no_more_memory_than_is_read_of_it() {
    let mut line = Vec::new();
    assert!(!says_data(&mut line, b": a comment\ndat"));
    assert!(says_data(&mut line, b"a: 1\n"));
    assert!(!says_data(&mut line, &[b'd'; 1 << 20]));
    assert!(line.len() < 10);
    assert!(!says_data(&mut line, b"\nevent: x\n"));
}
