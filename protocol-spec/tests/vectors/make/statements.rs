//! Statements: every body once, and every way in which one is no statement.

use actors::KeyPair;
use bytes::Bytes;
use prost::Message;
use protocol_spec::{bodies, messages as pb, statement::Body};

use super::{bad, flipped, good};
use crate::{
    case::{Case, Check, Hex},
    world::{
        self, DEVICE, INSTITUTION, NOW, OPERATOR, PATIENT, RECOVERY, REGISTRAR, STRANGER, TERMINAL, key,
    },
};

fn check(body: &str, signer: &KeyPair, statement: &pb::Statement) -> Check {
    Check::Statement {
        body: body.to_owned(),
        key: Hex(signer.public().as_bytes().to_vec()),
        statement: statement.into(),
    }
}

pub(crate) fn cases() -> Vec<Case> {
    [
        good_bodies(),
        bad_signatures(),
        bad_encodings(),
        bad_fields(),
        bad_tags(),
        bad_notes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn good_bodies() -> Vec<Case> {
    fn case<T: Body>(signer: u8, name: &str, body: T) -> Case {
        let file = format!("good-{}", name.trim_end_matches("Body"));
        let statement = key(signer).signed(body).to_message();
        good(
            "STM-1",
            &file,
            &format!("a {name} by its signer"),
            check(name, &key(signer), &statement),
        )
    }
    vec![
        case(PATIENT, "DeviceCertificateBody", world::device_certificate()),
        case(
            DEVICE,
            "DeviceListBody",
            world::next_list(&world::first_list(), DEVICE, &[DEVICE]),
        ),
        case(DEVICE, "VaultKeyBody", world::first_list().vault_key_statement()),
        case(INSTITUTION, "InvitationBody", world::invitation()),
        case(
            INSTITUTION,
            "AccreditationRequestBody",
            world::accreditation_request(),
        ),
        case(REGISTRAR, "AccreditationBody", world::accreditation()),
        case(INSTITUTION, "InstitutionKeysBody", world::institution_keys()),
        case(TERMINAL, "TerminalRequestBody", world::terminal_request()),
        case(
            INSTITUTION,
            "TerminalCertificateBody",
            world::terminal_certificate(),
        ),
        case(INSTITUTION, "TerminalRemovalBody", world::terminal_removal()),
        case(INSTITUTION, "RetirementBody", world::retirement()),
        case(REGISTRAR, "WithdrawalBody", world::withdrawal()),
        case(REGISTRAR, "ProgramBody", world::program()),
        case(OPERATOR, "RestorationBody", world::restoration()),
        case(DEVICE, "UploadRequestBody", world::upload_request()),
        case(INSTITUTION, "DownloadRequestBody", world::download_request()),
        case(INSTITUTION, "ReferenceRequestBody", world::reference_request()),
        case(DEVICE, "DenialBody", world::denial()),
        case(DEVICE, "NoteBody", world::note()),
        case(DEVICE, "DelegationBody", world::delegation_body()),
        case(DEVICE, "DelegatedKeyBody", world::delegated_key()),
        case(DEVICE, "DelegationEndBody", world::delegation_end()),
        case(DEVICE, "RevocationBody", world::revocation()),
        case(DEVICE, "PlacementBody", world::placement()),
        case(DEVICE, "ResealBody", world::reseal()),
        case(INSTITUTION, "EmergencyOpeningBody", world::emergency_opening()),
        case(DEVICE, "EmergencyHelpBody", world::emergency_help()),
        case(DEVICE, "EmergencyObjectionBody", world::emergency_objection()),
        case(DEVICE, "EpochClosureBody", world::epoch_closure()),
        case(DEVICE, "RecordDeletionBody", world::record_deletion()),
        case(INSTITUTION, "TakeBackBody", world::take_back()),
        case(DEVICE, "VaultHeadBody", world::vault_head()),
        case(DEVICE, "IndexSegmentBody", world::index_segment()),
        case(
            DEVICE,
            "RevocationCertificateBody",
            world::revocation_certificate(),
        ),
        case(OPERATOR, "RevocationReceiptBody", world::revocation_receipt()),
        case(RECOVERY, "RecoverySharesBody", world::recovery_shares()),
        case(
            INSTITUTION,
            "RecordManifestBody",
            world::manifest(vec![world::part("a.dcm", 0, 7)]),
        ),
        case(OPERATOR, "StandbyTicketBody", world::standby_ticket()),
        case(OPERATOR, "ReleaseTicketBody", world::release_ticket()),
        case(OPERATOR, "UploadReceiptBody", world::upload_receipt()),
        case(OPERATOR, "ReleaseReceiptBody", world::release_receipt()),
    ]
}

/// The group order, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn bad_signatures() -> Vec<Case> {
    let device = key(DEVICE);
    let body = world::revocation().encode();
    let right = device.statement(bodies::Revocation::LABEL, body.clone());
    let case = |rule, name, description, statement: &pb::Statement| {
        bad(
            rule,
            "bad signature",
            name,
            description,
            check("RevocationBody", &device, statement),
        )
    };
    let with = |signature: Vec<u8>| pb::Statement {
        body: body.clone(),
        signature: signature.into(),
        certificate: None,
    };
    let certified = pb::Statement {
        certificate: Some(Box::new(world::terminal_certificate_statement())),
        ..right.clone()
    };
    let mut malleated = right.signature.to_vec();
    let carry = malleated[32..]
        .iter_mut()
        .zip(ORDER)
        .fold(0, |carry, (byte, order)| {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            sum >> 8
        });
    assert_eq!(carry, 0);
    let truncated = pb::Statement {
        body: body.clone(),
        signature: right.signature.slice(..63),
        certificate: None,
    };
    vec![
        case(
            "STM-2",
            "flipped-bit-of-the-body",
            "one bit of the last byte of the body is flipped",
            &pb::Statement {
                body: flipped(&body, body.len() - 1).into(),
                signature: right.signature.clone(),
                certificate: None,
            },
        ),
        case(
            "INS-9",
            "with-a-terminals-certificate",
            "a statement that no terminal can sign comes with a terminal's certificate",
            &certified,
        ),
        case(
            "STM-2",
            "flipped-bit-of-r",
            "one bit of R is flipped",
            &with(flipped(&right.signature, 0)),
        ),
        case(
            "STM-2",
            "flipped-bit-of-s",
            "one bit of S is flipped",
            &with(flipped(&right.signature, 40)),
        ),
        case(
            "STM-2",
            "another-signer",
            "signed by another key",
            &key(STRANGER).statement(bodies::Revocation::LABEL, body.clone()),
        ),
        case(
            "STM-1",
            "another-label",
            "signed under the label of a denial",
            &device.statement(bodies::Denial::LABEL, body.clone()),
        ),
        case(
            "STM-1",
            "no-pre-image",
            "signed over the body itself",
            &with(device.sign(&body).to_vec()),
        ),
        case(
            "STM-3",
            "s-not-reduced",
            "S plus the group order",
            &with(malleated),
        ),
        case(
            "STM-3",
            "signature-of-zeros",
            "R and S are zero",
            &with(vec![0; 64]),
        ),
        bad(
            "STM-2",
            "malformed",
            "short-signature",
            "63 bytes",
            check("RevocationBody", &device, &truncated),
        ),
    ]
}

/// Bodies that mean a revocation, encoded otherwise than canonically, rightly signed.
fn bad_encodings() -> Vec<Case> {
    let canonical = world::revocation().encode().to_vec();
    let case = |name, description, body: Vec<u8>| {
        let statement = key(DEVICE).statement(bodies::Revocation::LABEL, body);
        bad(
            "STM-5",
            "malformed",
            name,
            description,
            check("RevocationBody", &key(DEVICE), &statement),
        )
    };
    // header (tag 1, 11 bytes in all) ‖ permission id (tag 2, 16) ‖ permission hash (tag 3, 32) ‖ patient id (tag 4, 32)
    let header_len = 2 + usize::from(canonical[1]);
    let (header, rest) = canonical.split_at(header_len);
    let (id, others) = rest.split_at(18);
    let (hash, patient) = others.split_at(34);
    let mut overlong = header.to_vec();
    overlong[1] |= 0x80;
    overlong.insert(2, 0);
    vec![
        case(
            "unknown-field",
            "a field with number 99 at the end",
            [&canonical[..], &[0x98, 0x06, 1]].concat(),
        ),
        case(
            "fields-out-of-order",
            "fields 2 and 3 have changed places",
            [header, hash, id, patient].concat(),
        ),
        case(
            "field-twice",
            "the patient's id stands twice",
            [&canonical[..], patient].concat(),
        ),
        case(
            "overlong-varint",
            "the length of the header in two bytes",
            [&overlong[..], rest].concat(),
        ),
        case(
            "trailing-byte",
            "a byte behind the last field",
            [&canonical[..], &[0]].concat(),
        ),
        case(
            "truncated",
            "the last byte is missing",
            canonical[..canonical.len() - 1].to_vec(),
        ),
        case("default-value", "a header with an explicit zero", {
            let wire = pb::RevocationBody::decode(canonical.as_slice()).unwrap();
            let header = [&[0x0a, 6, 8, 1, 16, 1, 24, 0][..]].concat();
            let without = pb::RevocationBody { header: None, ..wire }.encode_to_vec();
            [header, without].concat()
        }),
    ]
}

fn bad_fields() -> Vec<Case> {
    let case = |rule, expect, name, description, message: pb::RevocationBody| {
        let statement = key(DEVICE).statement(bodies::Revocation::LABEL, message.encode_to_vec());
        bad(
            rule,
            expect,
            name,
            description,
            check("RevocationBody", &key(DEVICE), &statement),
        )
    };
    let wire = || pb::RevocationBody::decode(world::revocation().encode()).unwrap();
    let header = |version, suite| {
        Some(pb::Header {
            version,
            suite,
            created: NOW,
        })
    };
    let named = |name: &str| {
        let wire = pb::AccreditationRequestBody::decode(world::accreditation_request().encode()).unwrap();
        pb::AccreditationRequestBody {
            name: name.to_owned(),
            ..wire
        }
    };
    let request = |rule, expect, name, description, message: pb::AccreditationRequestBody| {
        let statement =
            key(INSTITUTION).statement(bodies::AccreditationRequest::LABEL, message.encode_to_vec());
        bad(
            rule,
            expect,
            name,
            description,
            check("AccreditationRequestBody", &key(INSTITUTION), &statement),
        )
    };
    let weak = Bytes::copy_from_slice(&[&[1][..], &[0; 31]].concat());
    vec![
        case(
            "STM-4",
            "unsupported version",
            "version-2",
            "protocol version 2",
            pb::RevocationBody {
                header: header(2, 1),
                ..wire()
            },
        ),
        case(
            "STM-4",
            "unsupported version",
            "suite-2",
            "suite 2",
            pb::RevocationBody {
                header: header(1, 2),
                ..wire()
            },
        ),
        case(
            "STM-4",
            "unsupported version",
            "version-0",
            "an empty header",
            pb::RevocationBody {
                header: Some(pb::Header::default()),
                ..wire()
            },
        ),
        case(
            "STM-4",
            "malformed",
            "no-header",
            "the header is missing",
            pb::RevocationBody {
                header: None,
                ..wire()
            },
        ),
        case(
            "STM-7",
            "malformed",
            "short-id",
            "a patient's id of 31 bytes",
            pb::RevocationBody {
                patient_id: wire().patient_id.slice(1..),
                ..wire()
            },
        ),
        case(
            "STM-7",
            "malformed",
            "absent-hash",
            "the permission's hash is missing",
            pb::RevocationBody {
                permission_hash: Bytes::new(),
                ..wire()
            },
        ),
        request(
            "STM-7",
            "degenerate key",
            "weak-key-in-body",
            "an identity key of small order",
            pb::AccreditationRequestBody {
                identity_key: weak,
                ..named("Hospital North")
            },
        ),
        request(
            "STM-8",
            "malformed",
            "name-with-bidi-control",
            "U+202E reverses what follows",
            named("Hospital \u{202e}htroN"),
        ),
        request(
            "STM-8",
            "malformed",
            "name-with-space",
            "white space at its end",
            named("Hospital North "),
        ),
        request(
            "STM-8",
            "malformed",
            "name-with-line-feed",
            "a control character",
            named("Hospital\nNorth"),
        ),
        request(
            "STM-8",
            "malformed",
            "name-too-long",
            "201 bytes",
            named(&"n".repeat(201)),
        ),
        sealed_with("short-enc", "an encapsulation of 1119 bytes", 1119, 272),
        sealed_with("no-plaintext", "a ciphertext of a tag alone", 1120, 16),
    ]
}

fn sealed_with(name: &str, description: &str, enc: usize, ciphertext: usize) -> Case {
    let wire = pb::DenialBody::decode(world::denial().encode()).unwrap();
    let text = pb::Sealed {
        enc: vec![1; enc].into(),
        ciphertext: vec![1; ciphertext].into(),
    };
    let body = pb::DenialBody {
        text: Some(text),
        ..wire
    }
    .encode_to_vec();
    let statement = key(DEVICE).statement(bodies::Denial::LABEL, body);
    bad(
        "STM-7",
        "malformed",
        name,
        description,
        check("DenialBody", &key(DEVICE), &statement),
    )
}

/// NOTE-1
fn bad_notes() -> Vec<Case> {
    let case = |rule, name, description, change: &dyn Fn(&mut pb::NoteBody)| {
        let mut wire = pb::NoteBody::decode(world::note().encode()).unwrap();
        change(&mut wire);
        let statement = key(DEVICE).statement(bodies::Note::LABEL, wire.encode_to_vec());
        let check = check("NoteBody", &key(DEVICE), &statement);
        bad(rule, "malformed", name, description, check)
    };
    vec![
        case("NOTE-1", "note-too-long", "a ciphertext of 8209 bytes", &|wire| {
            let text = wire.text.get_or_insert_default();
            text.ciphertext = vec![1; 8209].into();
        }),
        case("STM-7", "note-without-text", "the text is missing", &|wire| {
            wire.text = None;
        }),
        case(
            "STM-7",
            "note-about-nothing",
            "the permission's hash is missing",
            &|wire| wire.permission_hash = Bytes::new(),
        ),
    ]
}

/// CND-6, CND-1
fn bad_tags() -> Vec<Case> {
    let placement = |name, description, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let mut wire = pb::PlacementBody::decode(world::placement().encode()).unwrap();
        wire.tags = change(wire.tags.to_vec()).into();
        let statement = key(DEVICE).statement(bodies::Placement::LABEL, wire.encode_to_vec());
        let check = check("PlacementBody", &key(DEVICE), &statement);
        bad("CND-6", "malformed", name, description, check)
    };
    let request = || {
        let mut wire = pb::DownloadRequestBody::decode(world::download_request().encode()).unwrap();
        wire.purpose = "CURE".into();
        let statement = key(INSTITUTION).statement(bodies::DownloadRequest::LABEL, wire.encode_to_vec());
        check("DownloadRequestBody", &key(INSTITUTION), &statement)
    };
    vec![
        placement("no-tags", "a placement without tags", &|_| Vec::new()),
        placement("one-tag-less", "34 tags", &|tags| tags[8..].to_vec()),
        placement("one-tag-more", "36 tags", &|tags| [tags, vec![0xff; 8]].concat()),
        placement("tag-cut", "the last tag has 7 bytes", &|tags| {
            tags[..279].to_vec()
        }),
        placement("tags-descending", "tags that do not ascend", &|mut tags| {
            tags.rotate_left(8);
            tags
        }),
        bad(
            "CND-1",
            "malformed",
            "request-for-no-purpose",
            "a request with a purpose that is no code",
            request(),
        ),
    ]
}
