//! Notes about permissions: who may write which, and where they stand.

use actors::{Patient, sealed};
use bytes::Bytes;
use protocol_spec::{
    bodies::Note,
    hash::Sha256Digest,
    ids::{PermissionId, RequestId},
    messages as pb,
    permission::{Kind, PermissionBody},
    problem::Problem,
    statement::Body as _,
};

use super::{
    problem,
    world::{START, Terms, World, intent, limits, stream},
};
use crate::vault::{Refusal, VaultLimits};

use crate::vault::who::enrol;
use crate::vault::{
    ask::{denial::SubmitNote, unanswered::Block},
    core::submission::submit,
    device::devices::ChangeDevices,
};
use pb::{event, history_entry::What};

fn about(world: &World, permission: &PermissionBody) -> Note {
    Note {
        created: START,
        note_id: RequestId::from_bytes([7; 16]),
        permission_id: permission.permission_id,
        permission_hash: Sha256Digest::of(&permission.encode()),
        patient_id: world.patient.id,
        institution_id: permission.institution_id,
        text: sealed(),
    }
}

async fn submit_note(world: &World, note: Note) -> Result<pb::Accepted, Refusal> {
    let patient = world.as_patient().await;
    let message = pb::SubmitNote {
        note: Some(world.patient.says(note)),
    };
    submit::<SubmitNote>(&world.vault, &patient, &intent(), message).await
}

/// NOTE-2, FLW-11: it stands in the institution's inbox and in the history, once, as it was signed; also where the permission is over.
#[tokio::test]
async fn a_note_comes_to_its_reader_and_stands_in_the_history() {
    let world = World::new().await;
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    world.revoke(&permission).await;
    let patient = world.as_patient().await;
    let (statement, _) = world.patient.statement(about(&world, &permission));
    let message = pb::SubmitNote {
        note: Some(statement.clone()),
    };
    let once = intent();
    for _ in 0..2 {
        submit::<SubmitNote>(&world.vault, &patient, &once, message.clone())
            .await
            .unwrap();
    }
    let first = world.as_hospital(&world.first).await;
    let told = world
        .events(&first)
        .await
        .into_iter()
        .filter_map(|what| match what {
            event::What::Noted(note) => Some(note),
            _ => None,
        });
    assert_eq!(told.collect::<Vec<_>>(), std::slice::from_ref(&statement));
    let noted = world
        .history()
        .await
        .into_iter()
        .filter_map(|entry| match entry.what {
            Some(What::Noted(note)) => Some(note),
            _ => None,
        });
    assert_eq!(noted.collect::<Vec<_>>(), [statement]);
    let second = world.as_hospital(&world.second).await;
    assert!(world.events(&second).await.is_empty());
    world.check().await;
}

/// NOTE-2b: about her own permission, as it was signed, to whom it names. Nothing else is written.
#[tokio::test]
async fn a_note_is_about_a_permission_of_hers_and_for_its_institution() {
    let world = World::new().await;
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    let before = world.history().await.len();
    let note = about(&world, &permission);
    for other in [
        Note {
            permission_id: PermissionId::from_bytes([9; 16]),
            ..note.clone()
        },
        Note {
            permission_hash: Sha256Digest::of(b"another"),
            ..note.clone()
        },
        Note {
            institution_id: world.second.id,
            ..note.clone()
        },
    ] {
        assert_eq!(problem(submit_note(&world, other).await), Problem::NotPermitted);
    }
    assert_eq!(world.history().await.len(), before);
    // Control: the note that they were made of is taken.
    submit_note(&world, note).await.unwrap();
}

/// NOTE-2a, FLW-12, DEV-6: by a device of hers that asks itself, which is on her list.
#[tokio::test]
async fn nobody_writes_in_her_name() {
    let world = World::new().await;
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    let patient = world.as_patient().await;
    let stranger = Patient::new(60);
    let enrolling = enrol::enrolling_patient(stranger.enrolment()).unwrap();
    enrol::enrol(&world.vault, &enrolling, &intent()).await.unwrap();
    let stranger_asks = world.as_device(&stranger).await.unwrap();

    let hers = about(&world, &permission);
    let strangers = Note {
        patient_id: stranger.id,
        ..hers.clone()
    };
    let signed = |by: &Patient, note: &Note| pb::SubmitNote {
        note: Some(by.says(note.clone())),
    };
    let vault = &world.vault;
    // Her own statement, brought by another; another's, brought by her; one about a permission of somebody else's.
    for (caller, message) in [
        (&stranger_asks, signed(&world.patient, &hers)),
        (&patient, signed(&stranger, &strangers)),
        (&stranger_asks, signed(&stranger, &strangers)),
    ] {
        let refused = submit::<SubmitNote>(vault, caller, &intent(), message).await;
        assert_eq!(problem(refused), Problem::NotPermitted);
    }
    // Another device of hers, whose signature she brings by this one.
    let (message, other) = world.patient.adding(61);
    submit::<ChangeDevices>(vault, &patient, &intent(), message)
        .await
        .unwrap();
    let refused = submit::<SubmitNote>(vault, &patient, &intent(), signed(&other, &hers)).await;
    assert_eq!(problem(refused), Problem::NotPermitted);
    // Institutions write none.
    let first = world.as_hospital(&world.first).await;
    let refused = submit::<SubmitNote>(vault, &first, &intent(), signed(&world.patient, &hers)).await;
    assert_eq!(problem(refused), Problem::NotPermitted);
    submit::<SubmitNote>(vault, &patient, &intent(), signed(&world.patient, &hers))
        .await
        .unwrap();
}

/// NOTE-1, STM-5: too long a text is none, whoever signs it.
#[tokio::test]
async fn a_text_that_is_too_long_is_refused() {
    let world = World::new().await;
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    let with = |length: usize| {
        let mut note = about(&world, &permission);
        note.text.ciphertext = Bytes::from(vec![1; length]);
        note
    };
    let refused = submit_note(&world, with(8209)).await;
    assert_eq!(problem(refused), Problem::Malformed);
    submit_note(&world, with(8208)).await.unwrap();
}

/// NOTE-2d, ACC-8, ACC-9: what an institution takes of one patient in a day is bounded, and it need not hear her at all.
#[tokio::test]
async fn notes_are_counted_and_may_be_unwelcome() {
    let mut limits: VaultLimits = limits();
    limits.inbox.daily_to_institution = 3;
    let world = World::with(limits).await;
    // An upload request counts, too.
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    for _ in 0..2 {
        submit_note(&world, about(&world, &permission)).await.unwrap();
    }
    let refused = submit_note(&world, about(&world, &permission)).await;
    assert_eq!(problem(refused), Problem::ReceiverFull);

    let other = world.permit_upload(&world.second, Terms::default()).await;
    let second = world.as_hospital(&world.second).await;
    let block = pb::BlockSender {
        sender_id: Bytes::copy_from_slice(world.patient.id.as_bytes()),
        blocked: true,
    };
    submit::<Block>(&world.vault, &second, &intent(), block)
        .await
        .unwrap();
    let refused = submit_note(&world, about(&world, &other)).await;
    assert_eq!(problem(refused), Problem::ReceiverFull);
}

/// NOTE-2b: of a download permission as of an upload's.
#[tokio::test]
async fn any_kind_of_permission_may_have_notes() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let permission = world
        .permit_download(&world.second, vec![record], Terms::default())
        .await;
    assert_eq!(permission.kind, Kind::Download);
    submit_note(&world, about(&world, &permission)).await.unwrap();
}
