//! What a record's manifest stream holds, against the directory and the operator's receipt.

use protocol_spec::{
    bodies::{RecordManifest, Reseal, UploadReceipt},
    content::{padme, stream_len},
    hash::{ContentRoot, Sha256Digest},
    ids::{InstitutionId, PatientId, PermissionId},
    patient::PatientSigned,
    provenance::SealedManifest,
    statement::Body,
};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{self, DEVICE, INSTITUTION, SECOND_DEVICE, TERMINAL, key},
};

pub(crate) fn cases() -> Vec<Case> {
    [uploaded(), resealed()].into_iter().flatten().collect()
}

/// What is changed before it is signed.
struct Story {
    manifest: RecordManifest,
    /// Who signs the manifest.
    maker: u8,
    reseal: Option<Reseal>,
    /// Who signs that.
    device: u8,
    receipt: UploadReceipt,
}

fn plain() -> Story {
    let manifest = world::manifest(vec![world::part("a.dcm", 0, 7)]);
    let receipt = UploadReceipt {
        stream_len: stream_len(padme(7)),
        ..world::upload_receipt()
    };
    Story {
        manifest,
        maker: INSTITUTION,
        reseal: None,
        device: DEVICE,
        receipt,
    }
}

fn anew() -> Story {
    let mut story = plain();
    let reseal = Reseal {
        manifest_hash: Sha256Digest::of(&story.manifest.encode()),
        ..world::reseal()
    };
    story.receipt.version_id = reseal.version_id;
    story.receipt.content_root = reseal.content_root;
    story.receipt.replaces = Some(reseal.replaces);
    story.reseal = Some(reseal);
    story
}

fn check(story: Story) -> Check {
    let sealed = SealedManifest::new(key(story.maker).signed(story.manifest));
    let sealed = match story.reseal {
        Some(reseal) => {
            let signed = key(story.device).signed(reseal);
            sealed.resealed(PatientSigned::new(signed, world::chain()))
        }
        None => sealed,
    };
    Check::Provenance {
        sealed: Hex(sealed.encode()),
        entry: Hex(prost::Message::encode_to_vec(&world::entry())),
        registrar_key: Hex(key(world::REGISTRAR).public().as_bytes().to_vec()),
        operator: Hex(world::operator().as_bytes().to_vec()),
        receipt: Hex(story.receipt.encode().to_vec()),
    }
}

fn changed(mut story: Story, change: impl FnOnce(&mut Story)) -> Check {
    change(&mut story);
    check(story)
}

fn uploaded() -> Vec<Case> {
    let wrong = |name, description, change: fn(&mut Story)| {
        bad("CNT-15", "mismatch", name, description, changed(plain(), change))
    };
    vec![
        good(
            "CNT-15",
            "as-sent",
            "a record as its maker sent it",
            check(plain()),
        ),
        bad(
            "CNT-15",
            "bad signature",
            "another-maker",
            "the manifest is signed by another key",
            changed(plain(), |story| story.maker = TERMINAL),
        ),
        wrong("version", "the manifest is of another version", |story| {
            story.manifest.version_id = world::version(0x77);
        }),
        wrong("record", "the manifest is of another record", |story| {
            story.manifest.record_id = world::record(0x77);
        }),
        wrong("patient", "the manifest is of another patient", |story| {
            story.manifest.patient_id = PatientId::from_bytes([7; 32]);
        }),
        wrong("institution", "the receipt is another institution's", |story| {
            story.receipt.institution_id = InstitutionId::from_bytes([7; 32]);
        }),
        wrong("permission", "the receipt is under another permission", |story| {
            story.receipt.permission_id = PermissionId::from_bytes([7; 16]);
        }),
        wrong("root", "the receipt is for another stream", |story| {
            story.receipt.content_root = ContentRoot::from_bytes([7; 32]);
        }),
        wrong("length", "the stream has another length", |story| {
            story.receipt.stream_len += 1;
        }),
        bad(
            "CNT-16",
            "mismatch",
            "replaces-alone",
            "the receipt says that it takes another version's place, and no device does",
            changed(plain(), |story| {
                story.receipt.replaces = Some(world::version(0x77))
            }),
        ),
    ]
}

fn resealed() -> Vec<Case> {
    let wrong = |name, description, change: fn(&mut Story)| {
        bad("CNT-16", "mismatch", name, description, changed(anew(), change))
    };
    fn of(story: &mut Story) -> &mut Reseal {
        story.reseal.as_mut().unwrap()
    }
    vec![
        good(
            "CNT-16",
            "sealed-anew",
            "a record that was sealed anew",
            check(anew()),
        ),
        bad(
            "CNT-16",
            "bad signature",
            "reseal-by-another-device",
            "signed by a device that the chain does not lead to",
            changed(anew(), |story| story.device = SECOND_DEVICE),
        ),
        bad(
            "CNT-15",
            "bad signature",
            "reseal-another-maker",
            "the manifest in it is signed by another key",
            changed(anew(), |story| story.maker = TERMINAL),
        ),
        wrong("reseal-patient", "a device of another patient", |story| {
            of(story).patient_id = PatientId::from_bytes([7; 32]);
        }),
        wrong("reseal-record", "of another record", |story| {
            of(story).record_id = world::record(0x77);
        }),
        wrong("reseal-version", "of another version", |story| {
            of(story).version_id = world::version(0x77);
        }),
        wrong("reseal-replaces", "in the place of another version", |story| {
            of(story).replaces = world::version(0x77);
        }),
        wrong("reseal-root", "of another stream", |story| {
            of(story).content_root = ContentRoot::from_bytes([7; 32]);
        }),
        wrong("reseal-manifest", "of another manifest", |story| {
            of(story).manifest_hash = Sha256Digest::of(b"another");
        }),
        wrong("reseal-alone", "the receipt takes no version's place", |story| {
            story.receipt.replaces = None;
        }),
        wrong(
            "reseal-institution",
            "the receipt is another institution's",
            |story| {
                story.receipt.institution_id = InstitutionId::from_bytes([7; 32]);
            },
        ),
        wrong("reseal-length", "the stream has another length", |story| {
            story.receipt.stream_len += 1;
        }),
    ]
}
