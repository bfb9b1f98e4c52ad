//! Conditions: tags of records, tokens of conditions, and the conditions themselves, sealed.

use crypto::{CollectionKey, OperatingSystem, TagKey};
use prost::Message;
use protocol_spec::{
    conditions::Conditions,
    ids::{PatientId, PermissionId},
    labels::CONDITIONS,
    messages as pb,
};

use super::{Cases, bytes, flipped};
use crate::vectors::case::{Case, Check, Hex};

const DICOM: &str = "application/dicom";

pub fn cases() -> Vec<Case> {
    let mut cases = Cases::default();
    tags(&mut cases);
    tokens(&mut cases);
    sealed(&mut cases);
    undated(&mut cases);
    cases.0
}

fn tags(cases: &mut Cases) {
    let check = |own: u8, version: u8, parts: &[(&str, &str)]| Check::Tags {
        own_collection_key: bytes(own, 32),
        patient: bytes(0xa0, 32),
        version: bytes(version, 16),
        parts: parts
            .iter()
            .map(|&(one, date)| (one.to_owned(), date.to_owned()))
            .collect(),
    };
    let study = [
        (DICOM, "2026-04-30"),
        ("Text/Plain; charset=utf-8", ""),
        (DICOM, "2026-05-03"),
    ];
    let mut add = |name: &str, what: &str, check| cases.success(name, "CND-6", what, check);
    add(
        "study",
        "two media types, from two days",
        check(0x70, 0xc0, &study),
    );
    add(
        "other-version",
        "the same record in another version: other tags",
        check(0x70, 0xc1, &study),
    );
    add(
        "other-vault",
        "the same record in another vault: other tags",
        check(0x71, 0xc0, &study),
    );
    add("no-date", "no part has a date", check(0x70, 0xc0, &[(DICOM, "")]));
    add(
        "unreadable",
        "a media type and a date that cannot be read",
        check(0x70, 0xc0, &[("dicom", "2026-02-30")]),
    );
}

fn tokens(cases: &mut Cases) {
    let check = |media_types: &[&str], from: &str, to: &str| Check::Tokens {
        own_collection_key: bytes(0x70, 32),
        patient: bytes(0xa0, 32),
        media_types: media_types.iter().map(|&one| one.to_owned()).collect(),
        from: from.to_owned(),
        to: to.to_owned(),
        undated: false,
    };
    cases.success(
        "month",
        "CND-4",
        "two media types, a month",
        check(&[DICOM, "text/plain"], "2026-05-01", "2026-05-31"),
    );
    cases.success("from", "CND-4", "from a day on", check(&[], "1900-01-02", ""));
    cases.success("until", "CND-4", "up to a day", check(&[], "", "2258-11-10"));
    let mut bad = |name: &str, what: &str, check| cases.malformed(name, "CND-8", what, check);
    bad("no-condition", "no condition", check(&[], "", ""));
    bad(
        "window-without-days",
        "it ends before it starts",
        check(&[], "2026-05-02", "2026-05-01"),
    );
    bad(
        "five-media-types",
        "one more than there may be",
        check(&["a/1", "a/2", "a/3", "a/4", "a/5"], "", ""),
    );
    bad("no-such-day", "30 February", check(&[], "2026-02-30", ""));
}

fn sealed(cases: &mut Cases) {
    let (patient, permission) = (
        PatientId::from_bytes([0xa0; 32]),
        PermissionId::from_bytes([0x61; 16]),
    );
    let tag_key = TagKey::derive(&CollectionKey::from_bytes(&[0x70; 32]), &patient);
    let key = tag_key.conditions_key(&permission);
    let conditions = Conditions {
        media_types: [DICOM.parse().unwrap()].into(),
        from: Some("2026-05-01".parse().unwrap()),
        to: None,
        undated: false,
    };
    let sealed = key
        .seal(&OperatingSystem, &conditions, &patient, &permission, Vec::new())
        .unwrap();
    let sealed = Hex(sealed.sealed.to_vec());
    let check = |own: u8, patient: u8, permission: u8, sealed: &Hex| Check::OpenConditions {
        own_collection_key: bytes(own, 32),
        patient: bytes(patient, 32),
        permission: bytes(permission, 16),
        sealed: sealed.clone(),
    };
    cases.success(
        "sealed",
        "CND-10",
        "images from May on",
        check(0x70, 0xa0, 0x61, &sealed),
    );
    let mut wrong = |name: &str, what: &str, check| cases.open_failure(name, "CND-10", what, check);
    wrong(
        "wrong-vault",
        "another collection key",
        check(0x71, 0xa0, 0x61, &sealed),
    );
    wrong(
        "wrong-permission",
        "another permission",
        check(0x70, 0xa0, 0x62, &sealed),
    );
    wrong(
        "flipped",
        "one bit",
        check(0x70, 0xa0, 0x61, &flipped(&sealed, 60)),
    );
    let raw = |message: &pb::Conditions| {
        let bytes = message.encode_to_vec();
        let mut framed = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(bytes);
        framed.resize(64, 0);
        let aad = [patient.as_bytes().as_slice(), permission.as_bytes()].concat();
        Hex(seal_raw(key.expose(), &aad, &framed))
    };
    let empty = raw(&pb::Conditions::default());
    wrong(
        "sealed-nothing",
        "sealed rightly, but no condition",
        check(0x70, 0xa0, 0x61, &empty),
    );
    let twice = pb::Conditions {
        media_types: vec![DICOM.to_owned(), DICOM.to_owned()],
        ..pb::Conditions::default()
    };
    wrong(
        "sealed-twice",
        "sealed rightly, but one media type twice",
        check(0x70, 0xa0, 0x61, &raw(&twice)),
    );
}

/// Records without a day, taken along.
fn undated(cases: &mut Cases) {
    let check = |media_types: &[&str], from: &str, to: &str| Check::Tokens {
        own_collection_key: bytes(0x70, 32),
        patient: bytes(0xa0, 32),
        media_types: media_types.iter().map(|&one| one.to_owned()).collect(),
        from: from.to_owned(),
        to: to.to_owned(),
        undated: true,
    };
    let month = check(&[], "2026-05-01", "2026-05-31");
    cases.success("month-or-undated", "CND-4", "a month, and what has no day", month);
    cases.malformed(
        "undated-of-any-day",
        "CND-8",
        "undated records are taken along where no day is asked for",
        check(&[DICOM], "", ""),
    );
}

/// What the library would never seal, by the formulas of `keys.md` §8.
fn seal_raw(key: &[u8; 32], aad: &[u8], framed: &[u8]) -> Vec<u8> {
    use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
    let salt = [0x5a; 24];
    let mut padded = [0; 64];
    padded[..32].copy_from_slice(key);
    let mut okm = [0; 76];
    hkdf::Hkdf::<sha2::Sha512>::from_prk(&padded)
        .unwrap()
        .expand_multi_info(&[&CONDITIONS.bytes(), &salt, aad], &mut okm)
        .unwrap();
    let nonce: [u8; 12] = okm[32..44].try_into().unwrap();
    let mut body = framed.to_vec();
    let tag = ChaCha20Poly1305::new_from_slice(&okm[..32])
        .unwrap()
        .encrypt_inout_detached(&nonce.into(), aad, body.as_mut_slice().into())
        .unwrap();
    [&salt[..], &okm[44..], &body, &tag].concat()
}
