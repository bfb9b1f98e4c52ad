//! Permissions: the chain over body and wrap, and the rules of the body.

use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    field::SealedBytes,
    ids::{CollectionId, PatientId, PermissionId},
    messages as pb,
    patient::DeviceChain,
    permission::{Kind, PermissionBody, Replaces, permission_preimage},
    statement::{Body, preimage},
};

use super::{bad, flipped, good};
use crate::{
    case::{Case, Check},
    world::{self, DEVICE, STRANGER, key},
};

pub(crate) fn cases() -> Vec<Case> {
    [
        good_kinds(),
        collections(),
        replacements(),
        conditions(),
        bad_chains(),
        bad_bodies(),
        super::emergency::permissions(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn message(signer: u8, body: Bytes, wrap: &SealedBytes) -> pb::Permission {
    pb::Permission {
        signature: Bytes::copy_from_slice(&key(signer).sign(&permission_preimage(&body, wrap))),
        body,
        wrap: Some(wrap.into()),
        device: Some((&world::chain()).into()),
        delegation: None,
    }
}

pub(super) fn check(message: &pb::Permission) -> Check {
    Check::Permission {
        permission: message.into(),
    }
}

fn right() -> pb::Permission {
    message(
        DEVICE,
        world::permission_body(Kind::Download).encode(),
        &world::sealed(0x51),
    )
}

fn good_kinds() -> Vec<Case> {
    [
        (Kind::Upload, "upload"),
        (Kind::Download, "download"),
        (Kind::Reference, "reference"),
    ]
    .into_iter()
    .map(|(kind, name)| {
        let permission = message(
            DEVICE,
            world::permission_body(kind).encode(),
            &world::sealed(0x51),
        );
        good(
            "PRM-2",
            name,
            "by the patient's device, with its wrap",
            check(&permission),
        )
    })
    .collect()
}

/// COL-5: a collection in the place of records.
fn collections() -> Vec<Case> {
    let over = |kind, change: &dyn Fn(&mut pb::PermissionBody)| {
        let mut wire = pb::PermissionBody::decode(world::permission_body(kind).encode()).unwrap();
        wire.records.clear();
        wire.collection = Some(pb::CollectionSelector {
            collection_id: Bytes::copy_from_slice(&[0; 16]),
            epoch: 2,
            until: 0,
        });
        change(&mut wire);
        check(&message(
            DEVICE,
            wire.encode_to_vec().into(),
            &world::sealed(0x51),
        ))
    };
    let fails = |name, description, check| bad("COL-5", "malformed", name, description, check);
    let download = Kind::Download;
    vec![
        good(
            "COL-5",
            "collection",
            "a download over a collection and what comes later",
            over(download, &|_| ()),
        ),
        good(
            "COL-6",
            "collection-until",
            "a reference over the first seven placements",
            over(Kind::Reference, &|body| {
                body.collection.as_mut().unwrap().until = 7;
            }),
        ),
        fails(
            "collection-and-records",
            "a collection and records",
            over(download, &|body| {
                body.records = pb::PermissionBody::decode(world::permission_body(download).encode())
                    .unwrap()
                    .records;
            }),
        ),
        fails(
            "upload-with-collection",
            "an upload that names a collection",
            over(Kind::Upload, &|_| ()),
        ),
        bad(
            "COL-9",
            "malformed",
            "collection-own",
            "a download over the collection of her own keys",
            over(download, &|body| {
                body.collection.as_mut().unwrap().collection_id =
                    CollectionId::OWN.as_bytes().to_vec().into();
            }),
        ),
        bad(
            "STM-7",
            "malformed",
            "collection-id-short",
            "a collection id of 15 bytes",
            over(download, &|body| {
                body.collection.as_mut().unwrap().collection_id = Bytes::from_static(&[0; 15]);
            }),
        ),
    ]
}

/// PRM-14: in the place of another, never of itself.
fn replacements() -> Vec<Case> {
    let of = |permission_id, signed_again| {
        let mut body = world::permission_body(Kind::Download);
        body.replaces = Some(Replaces {
            permission_id,
            permission_hash: world::hash("permission"),
            uses_left: 2,
            bytes_left: 4096,
            signed_again,
        });
        check(&message(DEVICE, body.encode(), &world::sealed(0x51)))
    };
    let other = PermissionId::from_bytes([0x66; 16]);
    vec![
        good(
            "PRM-14",
            "replaces",
            "in the place of an older permission",
            of(other, false),
        ),
        good(
            "DEV-21",
            "signed-again",
            "in the place of an older permission, and she was asked",
            of(other, true),
        ),
        bad(
            "PRM-1",
            "malformed",
            "replaces-itself",
            "in the place of itself",
            of(world::PERMISSION_ID, false),
        ),
    ]
}

/// CND-1, CND-8: what for, and which records.
fn conditions() -> Vec<Case> {
    let over = |kind, change: &dyn Fn(&mut pb::PermissionBody)| {
        let mut wire = pb::PermissionBody::decode(world::permission_body(kind).encode()).unwrap();
        wire.purpose = "TREAT".into();
        wire.conditions = Some(pb::SealedConditions {
            groups: vec![],
            sealed: vec![0x5c; 72 + 64].into(),
        });
        if kind == Kind::Reference {
            wire.records.clear();
            wire.collection = Some(pb::CollectionSelector {
                collection_id: Bytes::copy_from_slice(&[0; 16]),
                epoch: 2,
                until: 0,
            });
            conditions_of(&mut wire).groups = [&[1, 2, 3][..], &[7], &[4, 9]].map(group).into();
        }
        change(&mut wire);
        check(&message(
            DEVICE,
            wire.encode_to_vec().into(),
            &world::sealed(0x51),
        ))
    };
    let fails = |rule, name, description, check| bad(rule, "malformed", name, description, check);
    let (download, reference) = (Kind::Download, Kind::Reference);
    vec![
        good(
            "CND-8",
            "conditions-over-records",
            "for treatment, with conditions that the device has applied",
            over(download, &|_| ()),
        ),
        good(
            "CND-8",
            "conditions-over-a-collection",
            "for treatment, with three groups of tokens",
            over(reference, &|_| ()),
        ),
        fails(
            "CND-1",
            "unknown-purpose",
            "a purpose that is no code",
            over(download, &|body| body.purpose = "CURE".into()),
        ),
        fails(
            "CND-1",
            "purpose-in-lower-case",
            "a code in lower case",
            over(download, &|body| body.purpose = "treat".into()),
        ),
        fails(
            "CND-1",
            "upload-with-purpose",
            "an upload with a purpose",
            over(Kind::Upload, &|body| body.conditions = None),
        ),
        fails(
            "CND-8",
            "upload-with-conditions",
            "an upload with conditions",
            over(Kind::Upload, &|body| body.purpose.clear()),
        ),
        fails(
            "CND-8",
            "records-with-tokens",
            "tokens in a permission over records",
            over(download, &|body| {
                conditions_of(body).groups = vec![group(&[1])];
            }),
        ),
        fails(
            "CND-8",
            "collection-without-tokens",
            "no tokens in a permission over a collection",
            over(reference, &|body| {
                conditions_of(body).groups.clear();
            }),
        ),
        fails(
            "CND-8",
            "four-groups",
            "four groups of tokens",
            over(reference, &|body| {
                conditions_of(body).groups.push(group(&[1]));
            }),
        ),
        fails(
            "CND-8",
            "empty-group",
            "a group without tokens",
            over(reference, &|body| {
                conditions_of(body).groups[1] = group(&[]);
            }),
        ),
        fails(
            "CND-8",
            "tokens-descending",
            "tokens that do not ascend",
            over(reference, &|body| {
                conditions_of(body).groups[0] = group(&[2, 1]);
            }),
        ),
        fails(
            "CND-8",
            "token-twice",
            "one token twice",
            over(reference, &|body| {
                conditions_of(body).groups[0] = group(&[2, 2]);
            }),
        ),
        fails(
            "CND-8",
            "too-many-tokens",
            "33 tokens in a group",
            over(reference, &|body| {
                conditions_of(body).groups[0] = group(&(0..33).collect::<Vec<_>>());
            }),
        ),
        fails(
            "CND-8",
            "token-short",
            "a token of 15 bytes",
            over(reference, &|body| {
                conditions_of(body).groups[1].tokens = vec![7; 15].into();
            }),
        ),
        fails(
            "CND-8",
            "sealed-of-no-class",
            "sealed conditions of a size that there is not",
            over(download, &|body| {
                conditions_of(body).sealed = vec![0x5c; 72 + 192].into();
            }),
        ),
    ]
}

fn conditions_of(body: &mut pb::PermissionBody) -> &mut pb::SealedConditions {
    body.conditions.as_mut().unwrap()
}

fn group(tokens: &[u8]) -> pb::TokenGroup {
    let tokens: Vec<u8> = tokens
        .iter()
        .flat_map(|&byte| *world::token(byte).as_bytes())
        .collect();
    pb::TokenGroup {
        tokens: tokens.into(),
    }
}

fn bad_chains() -> Vec<Case> {
    let wrap = || right().wrap.unwrap();
    let case = |name, description, permission: &pb::Permission| {
        bad("PRM-2", "bad signature", name, description, check(permission))
    };
    let mut wider = world::permission_body(Kind::Download);
    wider.uses += 1;
    let other_kind = world::permission_body(Kind::Reference).encode();
    let body = right().body;
    let plain = key(DEVICE).sign(&preimage(PermissionBody::LABEL, &body));
    vec![
        case(
            "wider-body",
            "one use more than was signed",
            &pb::Permission {
                body: wider.encode(),
                ..right()
            },
        ),
        case(
            "other-kind",
            "a reference of what was signed as a download",
            &pb::Permission {
                body: other_kind,
                ..right()
            },
        ),
        case(
            "other-ciphertext",
            "one bit of the ciphertext is flipped",
            &pb::Permission {
                wrap: Some(pb::Sealed {
                    ciphertext: flipped(&wrap().ciphertext, 9).into(),
                    ..wrap()
                }),
                ..right()
            },
        ),
        case(
            "other-enc",
            "one bit of the encapsulation is flipped",
            &pb::Permission {
                wrap: Some(pb::Sealed {
                    enc: flipped(&wrap().enc, 9).into(),
                    ..wrap()
                }),
                ..right()
            },
        ),
        case(
            "wrap-not-signed",
            "signed like other statements, without the wrap",
            &pb::Permission {
                signature: Bytes::copy_from_slice(&plain),
                ..right()
            },
        ),
        case(
            "another-signer",
            "signed by another key than the certificate's",
            &message(STRANGER, body, &world::sealed(0x51)),
        ),
        bad(
            "STM-6",
            "mismatch",
            "another-patients-certificate",
            "with a device of another patient",
            {
                let mut certificate = world::device_certificate();
                certificate.patient_id = PatientId::from(&key(STRANGER).public());
                let certificate = key(STRANGER).signed(certificate);
                let chain = DeviceChain::first(key(STRANGER).public(), certificate);
                check(&pb::Permission {
                    device: Some((&chain).into()),
                    ..right()
                })
            },
        ),
    ]
}

fn bad_bodies() -> Vec<Case> {
    let case = |name, description, kind, change: &dyn Fn(&mut pb::PermissionBody)| {
        let mut wire = pb::PermissionBody::decode(world::permission_body(kind).encode()).unwrap();
        change(&mut wire);
        let permission = message(DEVICE, wire.encode_to_vec().into(), &world::sealed(0x51));
        bad("PRM-1", "malformed", name, description, check(&permission))
    };
    let download = Kind::Download;
    vec![
        case(
            "upload-with-records",
            "an upload that names records",
            Kind::Upload,
            &|body| {
                body.records = pb::PermissionBody::decode(world::permission_body(Kind::Download).encode())
                    .unwrap()
                    .records;
            },
        ),
        case(
            "download-without-records",
            "a download that names none",
            download,
            &|body| body.records.clear(),
        ),
        case("version-twice", "one version twice", download, &|body| {
            body.records[1] = body.records[0].clone()
        }),
        case(
            "impossible-stream",
            "a stream of 71 bytes, which no plaintext gives",
            download,
            &|body| {
                body.records[0].stream_len = 71;
            },
        ),
        case(
            "ends-before-it-starts",
            "not_after equals not_before",
            download,
            &|body| body.not_after = body.not_before,
        ),
        case(
            "no-head",
            "it names no head of the vault (VLT-6)",
            download,
            &|body| {
                body.vault_head = None;
            },
        ),
        case("no-uses", "zero uses", download, &|body| body.uses = 0),
        case("no-bytes", "zero bytes", download, &|body| body.bytes = 0),
        case("kind-0", "no kind", download, &|body| body.kind = 0),
        case("kind-4", "a kind that is not defined", download, &|body| {
            body.kind = 4
        }),
    ]
}
