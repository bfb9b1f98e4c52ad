//! LKG-3

use prost::Message;
use prost_reflect::Kind;

use super::{super::descriptors, *};
use crate::messages as pb;

/// What a statement stands in.
const WRAPPERS: [&str; 4] = ["Statement", "PatientStatement", "LoggedStatement", "Receipt"];

fn fields() -> Vec<FieldDescriptor> {
    descriptors()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .collect()
}

fn place(field: &FieldDescriptor) -> (String, String) {
    (field.parent_message().name().to_owned(), field.name().to_owned())
}

/// What is plain and sounds secret is hidden, or it is known why not.
#[test]
fn whatever_sounds_secret_is_hidden() {
    const PUBLIC: [(&str, &str); 4] = [
        ("AccreditationBody", "secret_hash"),
        ("EmergencyTerms", "share_hash"),
        ("VaultHeadBody", "log_salt_hash"),
        // Of conditions, made for the server.
        ("TokenGroup", "tokens"),
    ];
    const WORDS: [&str; 9] = [
        "secret", "salt", "share", "half", "seed", "pass", "token", "private", "word",
    ];
    for field in fields() {
        let sounds = WORDS.iter().any(|word| field.name().contains(word));
        let plain = matches!(field.kind(), Kind::Bytes | Kind::String);
        let (message, name) = place(&field);
        let public = PUBLIC.contains(&(message.as_str(), name.as_str()));
        if sounds && plain && !public {
            assert!(
                is_secret(&field),
                "{message}.{name}: hide it, or say here why not"
            );
        }
    }
}

/// Each field that holds a statement has a type, which is the one in the comment beside it, if that names one.
#[test]
fn the_type_of_every_statement_is_known() {
    let schemas = super::super::schema::all();
    let mut found = 0;
    for field in fields() {
        let Kind::Message(message) = field.kind() else {
            continue;
        };
        let (owner, name) = place(&field);
        if !WRAPPERS.contains(&message.name()) || name == "statement" {
            continue;
        }
        found += 1;
        let body = said_by(&field).unwrap_or_else(|| panic!("{owner}.{name} holds a statement of no type"));
        assert!(descriptor(&body).is_some(), "{body} is no message");
        let said = &schemas[&owner]["properties"][field.json_name()]["description"];
        let said = said.as_str().unwrap_or_default();
        let named = said
            .split([' ', ',', ':', ';'])
            .next()
            .filter(|word| word.ends_with("Body"));
        assert!(
            named.is_none_or(|named| named == body),
            "{owner}.{name}: {body}, but {said}"
        );
    }
    assert!(found > 90, "{found}");
}

#[test]
fn statements_are_shown_as_what_they_say() {
    let body = pb::DenialBody {
        request_id: vec![7; 16].into(),
        ..Default::default()
    };
    let denial = pb::SubmitDenial {
        denial: Some(pb::PatientStatement {
            statement: Some(pb::Statement {
                body: body.encode_to_vec().into(),
                signature: vec![1; 64].into(),
                certificate: None,
            }),
            ..Default::default()
        }),
    };
    let shown = view("SubmitDenial", denial.encode_to_vec().into(), None).unwrap();
    let statement = &shown["denial"]["statement"];
    assert_eq!(statement["body"]["type"], "DenialBody");
    assert_eq!(statement["body"]["means"]["requestId"], BASE64.encode(&[7; 16]));
    assert_eq!(statement["signature"], BASE64.encode(&[1; 64]));
    assert_eq!(view("SubmitDenial", Bytes::from_static(b"\xff"), None), None);
    assert_eq!(view("Nothing", Bytes::new(), None), None);
}

#[test]
fn secrets_are_not_shown_and_long_bytes_shortened() {
    let canary = b"canary-canary-canary-canary-cana";
    let enrol = pb::EnrolInstitution {
        secret: canary.as_slice().into(),
        ..Default::default()
    };
    let shown = view("EnrolInstitution", enrol.encode_to_vec().into(), None).unwrap();
    assert_eq!(shown, json!({ "secret": "(secret, 32 bytes)" }));
    assert_eq!(octets(&[0; 64]), BASE64.encode(&[0; 64]));
    assert!(octets(&[0; 65])["base64"].is_string());
    assert!(octets(&[0; 4097])["base64"].is_null());
    assert_eq!(octets(&[0; 4097])["length"], 4097);
}

/// Also in a message within: bytes are shown as a whole, or not at all.
#[test]
fn a_message_with_a_secret_anywhere_is_known() {
    let with_salt = |salt: &'static [u8]| pb::Receipt {
        proof: Some(pb::LogProof {
            salt: Bytes::from_static(salt),
            ..Default::default()
        }),
        ..Default::default()
    };
    let holds = |salt: &'static [u8]| holds_secret("Receipt", &with_salt(salt).encode_to_vec());
    assert!(holds(&[7; 16]) && !holds(&[]));
    assert!(holds_secret("Receipt", b"\xff") && holds_secret("Nothing", b""));
}
