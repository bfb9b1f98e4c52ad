//! Delegations, and what is signed through them: owner → delegation → delegate's device.

use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    bodies::Delegation,
    messages as pb,
    patient::{DeviceChain, PatientSigned},
    permission::{Kind, permission_preimage},
    statement::Body,
};

use super::{bad, good};
use crate::{
    case::{Case, Check},
    world::{self, DELEGATES_DEVICE, DEVICE, HOUR, NOW, STRANGER, key},
};

pub(crate) fn cases() -> Vec<Case> {
    [delegations(), permissions(), collections(), denials()]
        .into_iter()
        .flatten()
        .collect()
}

/// Any patient's statement, by this device.
fn statement<T: Body>(signer: u8, chain: &DeviceChain, body: T) -> pb::PatientStatement {
    pb::PatientStatement {
        statement: Some(key(signer).signed(body).to_message()),
        device: Some(chain.into()),
        delegation: None,
    }
}

/// By the owner's device, after a change of the message.
fn delegation(change: impl FnOnce(&mut pb::DelegationBody)) -> pb::PatientStatement {
    let mut wire = pb::DelegationBody::decode(world::delegation_body().encode()).unwrap();
    change(&mut wire);
    pb::PatientStatement {
        statement: Some(key(DEVICE).statement(Delegation::LABEL, wire.encode_to_vec())),
        device: Some((&world::chain()).into()),
        delegation: None,
    }
}

fn delegations() -> Vec<Case> {
    let check = |statement: &pb::PatientStatement| Check::Delegation {
        delegation: statement.into(),
    };
    let changed = |name, description, change: &dyn Fn(&mut pb::DelegationBody)| {
        bad(
            "DLG-1",
            "malformed",
            name,
            description,
            check(&delegation(change)),
        )
    };
    let collections = |bytes: &[u8]| -> Vec<Bytes> {
        bytes
            .iter()
            .map(|last| {
                let mut id = [0; 16];
                id[15] = *last;
                Bytes::copy_from_slice(&id)
            })
            .collect()
    };
    let mut sub = statement(
        DELEGATES_DEVICE,
        &world::delegates_chain(),
        world::delegation_body(),
    );
    sub.delegation = Some(Box::new(delegation(|_| ())));
    vec![
        good(
            "DLG-2",
            "delegation",
            "by the owner's device",
            check(&delegation(|_| ())),
        ),
        changed("no-power", "no power", &|body| body.power = 0),
        changed("unknown-power", "a power that is not defined", &|body| {
            body.power = 3
        }),
        changed("no-collections", "no collection", &|body| {
            body.collections.clear()
        }),
        changed(
            "own-collection",
            "the collection of the owner's own keys",
            &|body| {
                body.collections = collections(&[2]);
            },
        ),
        changed("collections-descending", "collections not in order", &|body| {
            body.collections = collections(&[1, 0]);
        }),
        changed("collection-twice", "one collection twice", &|body| {
            body.collections = collections(&[1, 1]);
        }),
        changed("too-many-collections", "65 collections", &|body| {
            body.collections = collections(&(3..68).collect::<Vec<u8>>());
        }),
        changed("ends-before-it-starts", "not_after equals not_before", &|body| {
            body.not_after = body.not_before;
        }),
        changed("delegate-is-owner", "to the owner herself", &|body| {
            body.delegate_id = body.patient_id.clone();
        }),
        changed("name-of-another-size", "a sealed name of 137 bytes", &|body| {
            body.sealed_name = Bytes::from(vec![1; 137]);
        }),
        bad(
            "DLG-2",
            "mismatch",
            "by-the-delegate",
            "signed by the delegate's device",
            check(&statement(
                DELEGATES_DEVICE,
                &world::delegates_chain(),
                world::delegation_body(),
            )),
        ),
        bad(
            "DLG-2",
            "mismatch",
            "through-a-delegation",
            "a delegate delegates further, with the delegation that she has",
            check(&sub),
        ),
        bad(
            "DLG-2",
            "bad signature",
            "by-a-stranger",
            "the owner's chain, another key's signature",
            check(&statement(STRANGER, &world::chain(), world::delegation_body())),
        ),
    ]
}

/// A permission through a delegation: of that body, by that device, with that delegation beside it.
struct Through {
    body: pb::PermissionBody,
    signer: u8,
    chain: DeviceChain,
    beside: Option<pb::PatientStatement>,
}

/// As it must be, after a change.
fn through(change: impl FnOnce(&mut Through)) -> Check {
    let beside = delegation(|_| ());
    let mut body = pb::PermissionBody::decode(world::permission_body(Kind::Download).encode()).unwrap();
    body.delegation_hash = hash_of(&beside);
    body.vault_head = None;
    let mut through = Through {
        body,
        signer: DELEGATES_DEVICE,
        chain: world::delegates_chain(),
        beside: Some(beside),
    };
    change(&mut through);
    let Through {
        body,
        signer,
        chain,
        beside,
    } = through;
    let (body, wrap) = (Bytes::from(body.encode_to_vec()), world::sealed(0x51));
    let permission = pb::Permission {
        signature: Bytes::copy_from_slice(&key(signer).sign(&permission_preimage(&body, &wrap))),
        body,
        wrap: Some((&wrap).into()),
        device: Some((&chain).into()),
        delegation: beside,
    };
    Check::Permission {
        permission: (&permission).into(),
    }
}

fn hash_of(statement: &pb::PatientStatement) -> Bytes {
    let signed = PatientSigned::<Delegation>::try_from(statement.clone()).unwrap();
    Bytes::copy_from_slice(signed.hash().as_bytes())
}

/// Through another delegation, which the body names.
fn by(given: pb::PatientStatement) -> Check {
    through(|it| {
        it.body.delegation_hash = hash_of(&given);
        it.beside = Some(given);
    })
}

fn some_head() -> Option<pb::VaultHeadRef> {
    let own = pb::PermissionBody::decode(world::permission_body(Kind::Download).encode());
    own.unwrap().vault_head
}

fn permissions() -> Vec<Case> {
    let mismatch = |name, description, check| bad("DLG-7", "mismatch", name, description, check);
    let malformed = |name, description, change: &dyn Fn(&mut pb::PermissionBody)| {
        let check = through(|it| change(&mut it.body));
        bad("DLG-8", "malformed", name, description, check)
    };
    let own = statement(DELEGATES_DEVICE, &world::delegates_chain(), {
        let mut body = world::delegation_body();
        (body.patient_id, body.delegate_id) = (world::delegate(), world::patient());
        body
    });
    vec![
        good("DLG-7", "permission", "by the delegate's device", through(|_| ())),
        mismatch(
            "permission-without-the-delegation",
            "the body names it, nothing is beside",
            through(|it| it.beside = None),
        ),
        mismatch(
            "permission-that-names-none",
            "it is beside, the body names none",
            through(|it| {
                it.body.delegation_hash = Bytes::new();
                it.body.vault_head = some_head();
            }),
        ),
        bad(
            "VLT-6",
            "malformed",
            "permission-with-a-head",
            "a delegate names a head of the owner's vault",
            through(|it| it.body.vault_head = some_head()),
        ),
        mismatch(
            "permission-of-another-delegation",
            "the body names another than is beside",
            through(|it| it.body.delegation_hash = Bytes::from_static(&[9; 32])),
        ),
        mismatch(
            "permission-of-another-owner",
            "the delegation is by another patient than the permission's",
            by(own),
        ),
        mismatch(
            "permission-by-another-patient",
            "the chain is that of a device of the owner's",
            through(|it| (it.signer, it.chain) = (DEVICE, world::chain())),
        ),
        bad(
            "DLG-7",
            "bad signature",
            "permission-by-another-device",
            "the delegate's chain, another key's signature",
            through(|it| it.signer = STRANGER),
        ),
        mismatch(
            "permission-by-a-reader",
            "the delegation is for reading",
            by(delegation(|body| body.power = 1)),
        ),
        mismatch(
            "permission-for-another-operator",
            "the delegation is for another server",
            by(delegation(|body| body.operator_id = Bytes::from_static(&[9; 32]))),
        ),
        mismatch(
            "permission-before-the-delegation",
            "made before the delegation begins",
            by(delegation(|body| body.not_before = NOW + 1)),
        ),
        mismatch(
            "permission-after-the-delegation",
            "made when the delegation was over",
            by(delegation(|body| {
                (body.not_before, body.not_after) = (NOW - 1, NOW)
            })),
        ),
        mismatch(
            "permission-beyond-the-delegation",
            "it would outlive the delegation",
            by(delegation(|body| body.not_after = NOW + HOUR - 1)),
        ),
        malformed("permission-to-upload", "an upload", &|body| {
            body.kind = 1;
            body.records.clear();
        }),
        malformed("permission-that-replaces", "in the place of another", &|body| {
            body.replaces = Some(pb::Replaces {
                permission_id: Bytes::from_static(&[7; 16]),
                permission_hash: Bytes::from_static(&[7; 32]),
                uses_left: 1,
                bytes_left: 1,
                signed_again: false,
            });
        }),
        malformed("permission-with-conditions", "with conditions", &|body| {
            body.conditions = Some(pb::SealedConditions {
                groups: Vec::new(),
                sealed: Bytes::from(vec![7; 136]),
            });
        }),
    ]
}

fn collections() -> Vec<Case> {
    let over = |last: u8| {
        through(|it| {
            let mut id = [0; 16];
            id[15] = last;
            it.body.records.clear();
            it.body.collection = Some(pb::CollectionSelector {
                collection_id: Bytes::copy_from_slice(&id),
                epoch: 2,
                until: 0,
            });
        })
    };
    vec![
        good(
            "DLG-7",
            "permission-over-a-collection",
            "over a collection of the delegation",
            over(1),
        ),
        bad(
            "DLG-7",
            "mismatch",
            "permission-over-another-collection",
            "over a collection that the delegation does not name",
            over(3),
        ),
    ]
}

fn denials() -> Vec<Case> {
    let through = |beside: pb::PatientStatement| {
        let mut denial = statement(DELEGATES_DEVICE, &world::delegates_chain(), world::denial());
        denial.delegation = Some(Box::new(beside));
        Check::PatientStatement {
            body: "DenialBody".to_owned(),
            patient_statement: (&denial).into(),
        }
    };
    let mut revocation = statement(DELEGATES_DEVICE, &world::delegates_chain(), world::revocation());
    revocation.delegation = Some(Box::new(delegation(|_| ())));
    vec![
        good(
            "DLG-8",
            "denial",
            "by the delegate's device",
            through(delegation(|_| ())),
        ),
        bad(
            "DLG-8",
            "mismatch",
            "denial-by-a-reader",
            "the delegation is for reading",
            through(delegation(|body| body.power = 1)),
        ),
        bad(
            "DLG-8",
            "mismatch",
            "denial-after-the-delegation",
            "made when the delegation was over",
            through(delegation(|body| {
                (body.not_before, body.not_after) = (NOW - 1, NOW)
            })),
        ),
        bad(
            "DLG-2",
            "mismatch",
            "revocation-through-a-delegation",
            "a statement that no delegate makes",
            Check::PatientStatement {
                body: "RevocationBody".to_owned(),
                patient_statement: (&revocation).into(),
            },
        ),
    ]
}
