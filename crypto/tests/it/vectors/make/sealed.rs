//! What is sealed to one X-Wing key: permission keys, texts, accreditation secrets.

use crypto::{
    AccreditationSecret, Collection, CollectionKey, ConditionsKey, DataKey, DelegatedKeyContext,
    OperatingSystem, PermissionKey, RecipientSecret, TextContext, UploadKey, permission::Granted,
    seal_accreditation, seal_delegated_key, seal_text,
};
use hpke::{
    Deserializable, Kem, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::XWing,
    single_shot_seal,
};
use protocol_spec::{
    field::SealedBytes,
    hash::{Sha256Digest, sha256},
    ids::{CollectionId, InstitutionId, PatientId, PermissionId, RegistrarId, RequestId},
    labels::{self, Label},
};

use super::{Cases, bytes, flipped};
use crate::vectors::case::{Case, Check, Hex, Sealed};

const SEED: u8 = 0x51;
const BODY: &[u8] = b"the exact bytes of a body";

pub(super) fn recipient() -> RecipientSecret {
    RecipientSecret::from_seed(&[SEED; 32]).unwrap()
}

pub(super) fn sealed(bytes: &SealedBytes) -> Sealed {
    Sealed {
        recipient_seed: super::bytes(SEED, 32),
        enc: Hex(bytes.enc.to_vec()),
        ciphertext: Hex(bytes.ciphertext.to_vec()),
    }
}

/// What the library would never seal.
fn seal_raw(label: Label, context: &[u8], plaintext: &[u8]) -> Sealed {
    let key = <XWing as Kem>::PublicKey::from_bytes(recipient().public().as_bytes()).unwrap();
    let info = sha256(&[&label.bytes(), context]);
    let (enc, ciphertext) =
        single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeS::Base, &key, &info, plaintext, b"")
            .unwrap();
    sealed(&SealedBytes {
        enc: enc.to_bytes().to_vec().into(),
        ciphertext: ciphertext.into(),
    })
}

/// A wrap and the possession key that its body would name.
fn permission(keys: &impl Granted) -> (Sealed, Hex) {
    let key = PermissionKey::mint(&OperatingSystem, &PermissionId::from_bytes([0x61; 16]), keys).unwrap();
    let possession = Hex(key.possession().as_bytes().to_vec());
    (
        sealed(&key.seal(&OperatingSystem, recipient().public(), BODY).unwrap()),
        possession,
    )
}

fn data_keys() -> Vec<DataKey> {
    [0xd0, 0xd1].map(|byte| DataKey::from_bytes(&[byte; 32])).into()
}

fn opening(wrap: Sealed, possession_key: &Hex) -> Check {
    let (body, permission) = (Hex(BODY.to_vec()), bytes(0x61, 16));
    Check::OpenPermission {
        wrap,
        body,
        permission,
        keys: 2,
        possession_key: possession_key.clone(),
    }
}

pub fn permission_cases() -> Vec<Case> {
    let mut cases = Cases::default();
    let (wrap, possession) = permission(&data_keys());
    cases.success(
        "two-records",
        "PRM-6",
        "two data keys, padded to 128 bytes",
        opening(wrap.clone(), &possession),
    );
    let (upload, upload_possession) = permission(&UploadKey::from_bytes(&[0x90; 32]));
    let upload = Check::OpenUploadPermission {
        wrap: upload,
        body: Hex(BODY.to_vec()),
        permission: bytes(0x61, 16),
        possession_key: upload_possession.clone(),
    };
    cases.success("upload", "PRM-6", "an upload key, no padding", upload);
    wrong_expectations(&mut cases, &wrap, &possession, &upload_possession);
    wrong_wraps(&mut cases, &wrap, &possession);
    with_conditions(&mut cases, &wrap, &possession);
    cases.0
}

/// CND-10: one key more, which the body's conditions ask for.
fn with_conditions(cases: &mut Cases, without: &Sealed, possession_without: &Hex) {
    let id = PermissionId::from_bytes([0x61; 16]);
    let conditions = ConditionsKey::from_bytes(&[0xc5; 32]);
    let key = PermissionKey::mint_with(&OperatingSystem, &id, &data_keys(), Some(&conditions)).unwrap();
    let possession = Hex(key.possession().as_bytes().to_vec());
    let wrap = sealed(&key.seal(&OperatingSystem, recipient().public(), BODY).unwrap());
    let check = |wrap, possession: &Hex| Check::OpenPermissionWithConditions {
        wrap,
        body: Hex(BODY.to_vec()),
        permission: bytes(0x61, 16),
        keys: 2,
        possession_key: possession.clone(),
    };
    cases.success(
        "with-conditions",
        "CND-10",
        "two data keys and the key of the conditions",
        check(wrap, &possession),
    );
    cases.open_failure(
        "without-conditions-key",
        "CND-10",
        "a body with conditions, a wrap without their key",
        check(without.clone(), possession_without),
    );
}

fn wrong_expectations(cases: &mut Cases, wrap: &Sealed, possession: &Hex, other_possession: &Hex) {
    let check = |body: &[u8], id: u8, keys: usize, possession_key: &Hex| Check::OpenPermission {
        wrap: wrap.clone(),
        body: Hex(body.to_vec()),
        permission: bytes(id, 16),
        keys,
        possession_key: possession_key.clone(),
    };
    let mut wrong = |name: &str, rule: &str, what: &str, check| cases.open_failure(name, rule, what, check);
    wrong(
        "wrong-body",
        "PRM-6",
        "one byte of the body",
        check(b"the exact bytes of a bodz", 0x61, 2, possession),
    );
    wrong(
        "wrong-id",
        "PRM-7",
        "another permission id",
        check(BODY, 0x62, 2, possession),
    );
    wrong(
        "too-few-keys",
        "PRM-8",
        "one record where two were wrapped",
        check(BODY, 0x61, 1, possession),
    );
    wrong(
        "too-many-keys",
        "PRM-8",
        "three records where two were wrapped",
        check(BODY, 0x61, 3, possession),
    );
    wrong(
        "wrong-possession-key",
        "PRM-8",
        "a body that names another",
        check(BODY, 0x61, 2, other_possession),
    );
}

fn wrong_wraps(cases: &mut Cases, wrap: &Sealed, possession: &Hex) {
    let mut wrong = |name: &str, rule: &str, what: &str, wrap: Sealed| {
        cases.open_failure(name, rule, what, opening(wrap, possession));
    };
    let stranger = Sealed {
        recipient_seed: bytes(0x52, 32),
        ..wrap.clone()
    };
    wrong("wrong-recipient", "KEY-11", "another X-Wing key", stranger);
    let changed = Sealed {
        ciphertext: flipped(&wrap.ciphertext, 0),
        ..wrap.clone()
    };
    wrong(
        "flipped-ciphertext",
        "KEY-11",
        "first byte of the ciphertext",
        changed,
    );
    let changed = Sealed {
        enc: flipped(&wrap.enc, 0),
        ..wrap.clone()
    };
    wrong(
        "flipped-enc",
        "KEY-11",
        "first byte of the encapsulation: decapsulates, but to another key",
        changed,
    );
    let material = [&[0x11; 32][..], &[0xd0; 32], &[0xd1; 32]].concat();
    let mut dirty = material.clone();
    dirty.resize(128, 0);
    dirty[127] = 1;
    let raw = |plaintext: &[u8]| seal_raw(labels::WRAP_PERMISSION, BODY, plaintext);
    wrong(
        "padding-not-zero",
        "PRM-8",
        "last byte of the padding is 1",
        raw(&dirty),
    );
    wrong(
        "no-padding",
        "PRM-8",
        "96 bytes are no size class",
        raw(&material),
    );
    let short = Sealed {
        enc: Hex(wrap.enc.0[1..].to_vec()),
        ..wrap.clone()
    };
    cases.malformed(
        "short-enc",
        "KEY-11",
        "1119 bytes of encapsulation",
        opening(short, possession),
    );
}

const REQUEST: RequestId = RequestId::from_bytes([0x71; 16]);
const PATIENT: PatientId = PatientId::from_bytes([0xa0; 32]);
const CLINIC: InstitutionId = InstitutionId::from_bytes([0x10; 32]);
const REGISTRAR: RegistrarId = RegistrarId::from_bytes([0x20; 32]);

fn text_to_patient(text: Sealed, request: u8, institution: u8, patient: u8) -> Check {
    let (request, institution, patient) = (bytes(request, 16), bytes(institution, 32), bytes(patient, 32));
    Check::OpenTextToPatient {
        text,
        request,
        institution,
        patient,
    }
}

pub fn text_cases() -> Vec<Case> {
    let mut cases = Cases::default();
    let to_patient = TextContext::to_patient(REQUEST, &CLINIC, &PATIENT);
    let seal = |context: &TextContext, text: &str| {
        sealed(&seal_text(&OperatingSystem, recipient().public(), context, text).unwrap())
    };
    let text = seal(&to_patient, "Knee MRI of 2024, für die Nachsorge");
    cases.success(
        "to-patient",
        "KEY-15",
        "from an institution",
        text_to_patient(text.clone(), 0x71, 0x10, 0xa0),
    );
    let empty = seal(&to_patient, "");
    cases.success(
        "empty",
        "KEY-15",
        "no text takes 256 bytes",
        text_to_patient(empty, 0x71, 0x10, 0xa0),
    );
    let to_institution = |text: Sealed| Check::OpenTextToInstitution {
        text,
        request: bytes(0x71, 16),
        patient: bytes(0xa0, 32),
        institution: bytes(0x10, 32),
    };
    let denial = seal(
        &TextContext::to_institution(REQUEST, &PATIENT, &CLINIC),
        "not now",
    );
    cases.success(
        "to-institution",
        "KEY-15",
        "from a patient",
        to_institution(denial),
    );
    let mut wrong = |name: &str, what: &str, check| cases.open_failure(name, "KEY-15", what, check);
    wrong(
        "wrong-request",
        "another request",
        text_to_patient(text.clone(), 0x72, 0x10, 0xa0),
    );
    wrong(
        "wrong-sender",
        "another institution",
        text_to_patient(text.clone(), 0x71, 0x11, 0xa0),
    );
    wrong(
        "wrong-reader",
        "another patient",
        text_to_patient(text.clone(), 0x71, 0x10, 0xa1),
    );
    wrong(
        "wrong-direction",
        "sender and reader in each other's place",
        to_institution(text),
    );
    let context = [&[0x71; 16][..], &[0x10; 32], &[0xa0; 32]].concat();
    let mut raw = |name: &str, what: &str, start: &[u8], length: usize, end: u8| {
        let mut plaintext = start.to_vec();
        plaintext.resize(length - 1, 0);
        plaintext.push(end);
        let text = seal_raw(labels::SEAL_TEXT, &context, &plaintext);
        wrong(name, what, text_to_patient(text, 0x71, 0x10, 0xa0));
    };
    raw(
        "padding-not-zero",
        "last byte of the padding is 1",
        &[0, 0, 0, 1, b'x'],
        256,
        1,
    );
    raw(
        "larger-class",
        "512 bytes where 256 hold it",
        &[0, 0, 0, 1, b'x'],
        512,
        0,
    );
    raw(
        "length-beyond-the-end",
        "a length of 2^32 − 1",
        &[0xff; 4],
        256,
        0,
    );
    raw("not-utf-8", "the byte 0xff", &[0, 0, 0, 1, 0xff], 256, 0);
    accreditations(&mut cases);
    cases.0
}

fn accreditations(cases: &mut Cases) {
    let secret = AccreditationSecret::from_bytes(&[0x31; 32]);
    let secret = sealed(
        &seal_accreditation(
            &OperatingSystem,
            recipient().public(),
            &REGISTRAR,
            &CLINIC,
            &secret,
        )
        .unwrap(),
    );
    let opening = |secret: &Sealed, registrar: u8, institution: u8| Check::OpenAccreditation {
        secret: secret.clone(),
        registrar: bytes(registrar, 32),
        institution: bytes(institution, 32),
    };
    cases.success(
        "accreditation",
        "KEY-16",
        "the registrar's secret",
        opening(&secret, 0x20, 0x10),
    );
    let mut wrong = |name: &str, what: &str, check| cases.open_failure(name, "KEY-16", what, check);
    wrong(
        "accreditation-of-another",
        "another institution",
        opening(&secret, 0x20, 0x11),
    );
    wrong(
        "accreditation-by-another",
        "another registrar",
        opening(&secret, 0x21, 0x10),
    );
    let context = [[0x20; 32], [0x10; 32]].concat();
    let long = seal_raw(labels::SEAL_ACCREDITATION, &context, &[0x31; 33]);
    wrong("accreditation-too-long", "33 bytes", opening(&long, 0x20, 0x10));
}

/// DLG-3: a collection key for a delegate.
pub fn delegated_key_cases() -> Vec<Case> {
    let mut cases = Cases::default();
    let context = DelegatedKeyContext {
        owner: PatientId::from_bytes([0xa0; 32]),
        delegate: PatientId::from_bytes([0xa1; 32]),
        delegation: Sha256Digest::from_bytes([0xde; 32]),
        collection: Collection {
            id: CollectionId::from_bytes([0xc0; 16]),
            epoch: 3,
        },
    };
    let key = CollectionKey::from_bytes(&[0xd2; 32]);
    let key = sealed(&seal_delegated_key(&OperatingSystem, recipient().public(), &context, &key).unwrap());
    let opening =
        |key: &Sealed, [owner, delegate, delegation, collection]: [u8; 4], epoch| Check::OpenDelegatedKey {
            key: key.clone(),
            owner: bytes(owner, 32),
            delegate: bytes(delegate, 32),
            delegation_hash: bytes(delegation, 32),
            collection: bytes(collection, 16),
            epoch,
        };
    let right = [0xa0, 0xa1, 0xde, 0xc0];
    cases.success(
        "collection-key",
        "DLG-3",
        "the key of epoch 3",
        opening(&key, right, 3),
    );
    let mut wrong = |name: &str, what: &str, check| cases.open_failure(name, "DLG-3", what, check);
    for (at, name, what) in [
        (0, "wrong-owner", "another owner"),
        (1, "wrong-delegate", "another delegate"),
        (2, "wrong-delegation", "another delegation"),
        (3, "wrong-collection", "another collection"),
    ] {
        let mut ids = right;
        ids[at] = 0x99;
        wrong(name, what, opening(&key, ids, 3));
    }
    wrong("wrong-epoch", "another epoch", opening(&key, right, 4));
    let tampered = Sealed {
        ciphertext: flipped(&key.ciphertext, 5),
        ..key
    };
    wrong(
        "flipped",
        "one bit of the ciphertext flipped",
        opening(&tampered, right, 3),
    );
    let context = [
        &[0xa0; 32][..],
        &[0xa1; 32],
        &[0xde; 32],
        &[0xc0; 16],
        &3_u64.to_be_bytes(),
    ]
    .concat();
    let long = seal_raw(labels::WRAP_DELEGATED_KEY, &context, &[0xd2; 33]);
    wrong("too-long", "33 bytes", opening(&long, right, 3));
    cases.0
}
