//! Emergency permissions, and openings with their two signatures.

use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    bodies::EmergencyOpening,
    emergency::{ANY_INSTITUTION, MAX_WAIT, NOTHING, card_preimage},
    ids::{CollectionId, OperatorId},
    messages as pb,
    permission::Kind,
    statement::{Body, preimage},
};

use super::{
    bad, good,
    permissions::{check, message},
};
use crate::{
    case::{Case, Check, Hex},
    world::{self, DEVICE, INSTITUTION, OPERATOR, POSSESSION, REGISTRAR, STRANGER, key},
};

/// An emergency permission over the wire, of a card or of a guardian, after this change.
fn permission(guardian: bool, change: impl FnOnce(&mut pb::PermissionBody)) -> Check {
    let bytes = world::permission_body(Kind::Download).encode();
    let mut wire = pb::PermissionBody::decode(bytes).unwrap();
    let zeros = || Bytes::copy_from_slice(NOTHING.as_bytes());
    wire.set_kind(pb::PermissionKind::Emergency);
    wire.records.clear();
    wire.institution_id = Bytes::copy_from_slice(ANY_INSTITUTION.as_bytes());
    (wire.directory_entry_hash, wire.request_hash) = (zeros(), zeros());
    wire.collection = Some(pb::CollectionSelector {
        collection_id: Bytes::copy_from_slice(CollectionId::EMERGENCY.as_bytes()),
        epoch: 3,
        until: 0,
    });
    wire.emergency = Some(pb::EmergencyTerms {
        card_key: Bytes::copy_from_slice(key(STRANGER).public().as_bytes()),
        share_hash: Bytes::copy_from_slice(world::hash("share").as_bytes()),
        guardian: guardian.then(|| pb::GuardianTerms {
            guardian_id: vec![0x66; 32].into(),
            wait: 2 * world::HOUR,
        }),
    });
    change(&mut wire);
    check(&message(
        DEVICE,
        wire.encode_to_vec().into(),
        &world::sealed(0x51),
    ))
}

fn guardian(body: &mut pb::PermissionBody) -> &mut pb::GuardianTerms {
    terms(body).guardian.as_mut().unwrap()
}

fn terms(body: &mut pb::PermissionBody) -> &mut pb::EmergencyTerms {
    body.emergency.as_mut().unwrap()
}

pub(crate) fn permissions() -> Vec<Case> {
    let fails = |name, description, check| bad("EMG-1", "malformed", name, description, check);
    vec![
        good(
            "EMG-1",
            "emergency-card",
            "opened with a card",
            permission(false, |_| ()),
        ),
        good(
            "EMG-1",
            "emergency-guardian",
            "opened by a guardian after two hours",
            permission(true, |_| ()),
        ),
        fails(
            "emergency-without-terms",
            "kind emergency, and not said how it is opened",
            permission(false, |body| body.emergency = None),
        ),
        fails(
            "download-with-emergency-terms",
            "a download that says how it is opened in an emergency",
            permission(false, |body| body.set_kind(pb::PermissionKind::Download)),
        ),
        fails(
            "emergency-of-another-collection",
            "over the default collection",
            permission(false, |body| {
                body.collection.as_mut().unwrap().collection_id = vec![0; 16].into();
            }),
        ),
        fails(
            "emergency-until",
            "over the first seven placements",
            permission(false, |body| body.collection.as_mut().unwrap().until = 7),
        ),
        fails(
            "emergency-for-an-institution",
            "for one institution",
            permission(false, |body| {
                let one = world::institution(INSTITUTION);
                body.institution_id = Bytes::copy_from_slice(one.as_bytes());
            }),
        ),
        fails(
            "emergency-answering-a-request",
            "with a request",
            permission(false, |body| {
                body.request_hash = Bytes::copy_from_slice(world::hash("request").as_bytes());
            }),
        ),
        fails(
            "emergency-with-purpose",
            "with a purpose",
            permission(false, |body| body.purpose = "ETREAT".into()),
        ),
        fails(
            "emergency-with-records",
            "with records in the place of the collection",
            permission(false, |body| {
                let download = world::permission_body(Kind::Download).encode();
                body.records = pb::PermissionBody::decode(download).unwrap().records;
                body.collection = None;
            }),
        ),
        fails(
            "emergency-by-a-delegate",
            "signed for the patient by a delegate",
            permission(false, |body| body.delegation_hash = vec![1; 32].into()),
        ),
        fails(
            "emergency-own-guardian",
            "the patient as her own guardian",
            permission(true, |body| guardian(body).guardian_id = body.patient_id.clone()),
        ),
        fails(
            "emergency-no-wait",
            "a guardian without waiting time",
            permission(true, |body| guardian(body).wait = 0),
        ),
        fails(
            "emergency-long-wait",
            "a guardian with more than thirty days",
            permission(true, |body| guardian(body).wait = MAX_WAIT + 1),
        ),
        fails(
            "emergency-short-share-hash",
            "a hash of 31 bytes",
            permission(false, |body| terms(body).share_hash = vec![1; 31].into()),
        ),
    ]
}

/// An opening by this signer, with the card's signature over these bytes.
fn opening(
    signer: u8,
    change: impl FnOnce(&mut EmergencyOpening),
    card: impl FnOnce(&[u8]) -> [u8; 64],
) -> Check {
    let mut body = world::emergency_opening();
    change(&mut body);
    let statement = key(signer).signed(body).to_message();
    let used = pb::EmergencyUse {
        card_signature: Bytes::copy_from_slice(&card(&statement.body)),
        opening: Some(statement),
        proof: None,
        entry: None,
    };
    Check::Opening {
        entry: (&world::entry()).into(),
        registrar_key: Hex(key(REGISTRAR).public().as_bytes().to_vec()),
        operator: Hex(OperatorId::from(&key(OPERATOR).public()).as_bytes().to_vec()),
        opening: (&used).into(),
    }
}

pub(crate) fn openings() -> Vec<Case> {
    let by = |signer| move |body: &[u8]| key(signer).sign(&card_preimage(body));
    vec![
        good(
            "EMG-7",
            "opening",
            "signed by the institution and by the card's key",
            opening(INSTITUTION, |_| (), by(POSSESSION)),
        ),
        bad(
            "EMG-7",
            "bad signature",
            "opening-without-the-card",
            "signed by another key than the card's",
            opening(INSTITUTION, |_| (), by(STRANGER)),
        ),
        bad(
            "EMG-7",
            "bad signature",
            "opening-without-the-institution",
            "signed by the card's key alone",
            opening(POSSESSION, |_| (), by(POSSESSION)),
        ),
        bad(
            "EMG-7",
            "bad signature",
            "opening-under-one-label",
            "the card's key has signed under the institution's label",
            opening(
                INSTITUTION,
                |_| (),
                |body| key(POSSESSION).sign(&preimage(EmergencyOpening::LABEL, body)),
            ),
        ),
        bad(
            "EMG-7",
            "bad signature",
            "opening-of-another-card",
            "the card's key has signed, and the opening names another",
            opening(
                INSTITUTION,
                |body| body.card_key = key(STRANGER).public(),
                by(POSSESSION),
            ),
        ),
        bad(
            "EMG-7",
            "mismatch",
            "opening-of-another-institution",
            "signed by this institution, in the name of another",
            opening(
                INSTITUTION,
                |body| body.institution_id = world::institution(STRANGER),
                by(POSSESSION),
            ),
        ),
    ]
}
