//! Asking, permitting, denying, taking back: who may, and what cannot follow on what.

use actors::{Institution, KeyPair, Patient, sealed};
use protocol_spec::{
    bodies::Denial,
    hash::{ContentRoot, Sha256Digest},
    ids::PermissionId,
    messages as pb,
    permission::{Kind, PermissionBody, RecordSelector},
    problem::Problem,
    statement::Body as _,
};

use super::{
    problem,
    world::{HOUR, START, Terms, World, intent, limits, stream},
};
use crate::vault::VaultLimits;

use crate::vault::{
    ask::{
        delivery,
        denial::SubmitDenial,
        permissions,
        requests::{self, SubmitDownload},
        revocation::SubmitRevocation,
    },
    core::submission::submit,
    keep::records,
    telling::{history, inbox},
    who::{enrol, strangers},
};
use pb::{PermissionState, event};

fn denial(world: &World, request: &protocol_spec::bodies::DownloadRequest, hash: Sha256Digest) -> Denial {
    Denial {
        created: START,
        request_id: request.request_id,
        request_hash: hash,
        patient_id: world.patient.id,
        institution_id: request.institution_id,
        text: sealed(),
    }
}

#[tokio::test]
async fn enrolment_is_repeatable_and_exclusive() {
    let world = World::new().await;
    let patient = enrol::enrolling_patient(world.patient.enrolment()).unwrap();
    enrol::enrol(&world.vault, &patient, &intent()).await.unwrap();
    let other_device = Patient::with_device(3, 104);
    let other = enrol::enrolling_patient(other_device.enrolment()).unwrap();
    assert_eq!(
        problem(enrol::enrol(&world.vault, &other, &intent()).await),
        Problem::AlreadyExists
    );
}

#[tokio::test]
async fn institutions_need_registrar_and_secret() {
    let world = World::new().await;
    let operator = protocol_spec::ids::OperatorId::from(&world.operator_key());
    let refused = |enrolment| problem(enrol::enrolling_institution(&world.vault, enrolment));
    let mut enrolment = world.first.enrolment();
    enrolment.secret = b"guessed".as_slice().into();
    assert_eq!(refused(enrolment), Problem::NotAccredited);
    let other_registrar = Institution::accredited(9, &KeyPair::new(99), operator, false);
    assert_eq!(refused(other_registrar.enrolment()), Problem::NotAccredited);
    let mut squatter = world.first.enrolment();
    squatter.keys = world.second.enrolment().keys;
    assert_eq!(refused(squatter), Problem::NotAccredited);
    let nowhere = protocol_spec::ids::OperatorId::from_bytes([1; 32]);
    let elsewhere = Institution::accredited(9, &KeyPair::new(2), nowhere, false);
    assert_eq!(refused(elsewhere.enrolment()), Problem::NotAccredited);
}

#[tokio::test]
async fn unknown_keys_are_nobody() {
    let world = World::new().await;
    for key_id in [
        Patient::new(50).device_id().to_string(),
        world.patient.id.to_string(),
        "inst_a".into(),
        "perm_a".into(),
        String::new(),
    ] {
        assert!(enrol::find_key(&world.vault, &key_id).await.unwrap().is_none());
    }
}

/// FLW-1.
#[tokio::test]
async fn a_request_is_answered_once() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let patient = world.as_patient().await;
    let request = world.download_request(&world.second);
    let (message, hash) = world.second.asks_download(request.clone());
    let second = world.as_hospital(&world.second).await;
    submit::<SubmitDownload>(&world.vault, &second, &intent(), message)
        .await
        .unwrap();
    let no = world.patient.denies(denial(&world, &request, hash));
    submit::<SubmitDenial>(&world.vault, &patient, &intent(), no.clone())
        .await
        .unwrap();
    assert_eq!(
        problem(submit::<SubmitDenial>(&world.vault, &patient, &intent(), no).await),
        Problem::RequestAnswered
    );
    let body = world.permission_body(
        &world.second,
        Kind::Download,
        hash,
        vec![record],
        Terms::default(),
    );
    assert_eq!(problem(world.submit(&body).await), Problem::RequestAnswered);
    assert!(matches!(
        world.events(&second).await[..],
        [event::What::Denied(_)]
    ));
    let state = requests::request(&world.vault, &second, request.request_id)
        .await
        .unwrap()
        .state();
    assert_eq!(state, pb::RequestState::Denied);
    world.check().await;
}

/// FLW-1.
#[tokio::test]
async fn a_request_can_be_answered_only_in_its_time() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let request = world.download_request(&world.second);
    let (message, hash) = world.second.asks_download(request.clone());
    let second = world.as_hospital(&world.second).await;
    submit::<SubmitDownload>(&world.vault, &second, &intent(), message)
        .await
        .unwrap();
    world.clock.set(request.expires);
    let terms = Terms {
        not_after: request.expires + HOUR,
        ..Terms::default()
    };
    let body = world.permission_body(&world.second, Kind::Download, hash, vec![record], terms);
    assert_eq!(problem(world.submit(&body).await), Problem::RequestExpired);
    let no = world.patient.denies(denial(&world, &request, hash));
    let patient = world.as_patient().await;
    assert_eq!(
        problem(submit::<SubmitDenial>(&world.vault, &patient, &intent(), no).await),
        Problem::RequestExpired
    );
    let (late, _) = world.second.asks_download(world.download_request(&world.second));
    assert_eq!(
        problem(submit::<SubmitDownload>(&world.vault, &second, &intent(), late).await),
        Problem::RequestExpired
    );
}

/// FLW-2.
#[tokio::test]
async fn a_permission_must_fit_its_request() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let hash = world.ask_download(&world.second).await;
    let fitting = world.permission_body(
        &world.second,
        Kind::Download,
        hash,
        vec![record.clone()],
        Terms::default(),
    );
    let with = |change: fn(&mut PermissionBody)| {
        let mut body = fitting.clone();
        change(&mut body);
        body
    };
    let mut other_institution = with(|_| ());
    other_institution.institution_id = world.first.id;
    other_institution.directory_entry_hash = world.first.keys.hash();
    let bodies = [
        with(|body| body.request_hash = Sha256Digest::of(b"another")),
        with(|body| body.kind = Kind::Reference),
        with(|body| body.directory_entry_hash = Sha256Digest::of(b"another")),
        with(|body| body.recipient_key_hash = Sha256Digest::of(b"another")),
        other_institution,
        PermissionBody {
            kind: Kind::Upload,
            records: vec![],
            ..fitting.clone()
        },
    ];
    for body in bodies {
        assert_eq!(
            problem(world.submit(&body).await),
            Problem::RequestMismatch,
            "{body:?}"
        );
    }
    let over = Terms {
        not_after: START,
        ..Terms::default()
    };
    let over = world.permission_body(&world.second, Kind::Download, hash, vec![record], over);
    assert_eq!(problem(world.submit(&over).await), Problem::PermissionExpired);
    let elsewhere = with(|body| body.operator_id = protocol_spec::ids::OperatorId::from_bytes([1; 32]));
    assert_eq!(problem(world.submit(&elsewhere).await), Problem::NotPermitted);
    // None of it has answered the request.
    world.submit(&fitting).await.unwrap();
}

/// FLW-3.
#[tokio::test]
async fn a_permission_names_records_as_they_are() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let hash = world.ask_download(&world.second).await;
    let changes: [fn(&mut RecordSelector); 4] = [
        |record| record.record_id = protocol_spec::ids::RecordId::from_bytes([1; 16]),
        |record| record.version_id = protocol_spec::ids::VersionId::from_bytes([1; 16]),
        |record| record.content_root = ContentRoot::from_bytes([1; 32]),
        |record| record.stream_len += 1,
    ];
    for change in changes {
        let mut other = record.clone();
        change(&mut other);
        let body = world.permission_body(&world.second, Kind::Download, hash, vec![other], Terms::default());
        assert_eq!(problem(world.submit(&body).await), Problem::RecordMismatch);
    }
}

#[tokio::test]
async fn ids_are_used_once() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let first = world
        .permit_download(&world.second, vec![record.clone()], Terms::default())
        .await;
    let hash = world.ask_download(&world.second).await;
    let mut body = world.permission_body(
        &world.second,
        Kind::Download,
        hash,
        vec![record],
        Terms::default(),
    );
    body.permission_id = first.permission_id;
    assert_eq!(problem(world.submit(&body).await), Problem::AlreadyExists);
    let request = world.download_request(&world.second);
    let second = world.as_hospital(&world.second).await;
    let (message, _) = world.second.asks_download(request.clone());
    submit::<SubmitDownload>(&world.vault, &second, &intent(), message)
        .await
        .unwrap();
    let (again, _) = world
        .second
        .asks_download(protocol_spec::bodies::DownloadRequest {
            created: 7,
            ..request
        });
    assert_eq!(
        problem(submit::<SubmitDownload>(&world.vault, &second, &intent(), again).await),
        Problem::AlreadyExists
    );
}

/// API-10.
#[tokio::test]
async fn a_repeated_mutation_has_one_effect_and_one_answer() {
    let world = World::new().await;
    let second = world.as_hospital(&world.second).await;
    let (message, _) = world.second.asks_download(world.download_request(&world.second));
    let intent = intent();
    for _ in 0..3 {
        submit::<SubmitDownload>(&world.vault, &second, &intent, message.clone())
            .await
            .unwrap();
    }
    assert_eq!(world.history().await.len(), 1);
    let other = super::super::Intent {
        digest: [9; 32],
        ..intent
    };
    assert_eq!(
        problem(submit::<SubmitDownload>(&world.vault, &second, &other, message).await),
        Problem::IdempotencyMismatch
    );
}

/// API-10.
#[tokio::test(flavor = "multi_thread")]
async fn racing_repetitions_have_one_effect() {
    let world = World::new().await;
    let second = world.as_hospital(&world.second).await;
    let (message, _) = world.second.asks_download(world.download_request(&world.second));
    let intent = intent();
    let submit = || submit::<SubmitDownload>(&world.vault, &second, &intent, message.clone());
    let (one, two, three) = tokio::join!(submit(), submit(), submit());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(world.history().await.len(), 1);
    world.check().await;
}

/// FLW-12.
#[tokio::test]
async fn only_the_patient_speaks_for_her_vault() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let permission = world
        .permit_download(&world.second, vec![record.clone()], Terms::default())
        .await;
    let stranger = Patient::new(60);
    let caller = enrol::enrolling_patient(stranger.enrolment()).unwrap();
    enrol::enrol(&world.vault, &caller, &intent()).await.unwrap();
    let caller = world.as_device(&stranger).await.unwrap();
    let vault = &world.vault;
    // Her statements, sent by somebody else; his statements about her things.
    let hers = world.patient.revokes(&permission);
    assert_eq!(
        problem(submit::<SubmitRevocation>(vault, &caller, &intent(), hers).await),
        Problem::NotPermitted
    );
    let his = stranger.revokes(&permission);
    assert_eq!(
        problem(submit::<SubmitRevocation>(vault, &caller, &intent(), his).await),
        Problem::NotPermitted
    );
    assert_eq!(
        problem(
            records::own_leaves(vault, &caller, record.version_id, 0, 1)
                .await
                .map(drop)
        ),
        Problem::NotPermitted
    );
    let hospital = world.as_hospital(&world.first).await;
    assert_eq!(
        problem(history::history(vault, &hospital, 0, 0).await),
        Problem::NotPermitted
    );
    assert_eq!(
        problem(world.arrivals(&hospital, None, 0).await),
        Problem::NotPermitted
    );
    // To which key to seal for her, whoever knows her id may know: an institution, or a patient who trusts her.
    for caller in [&hospital, &caller] {
        assert!(
            strangers::patient_info(vault, caller, world.patient.id)
                .await
                .is_ok()
        );
    }
    assert!(world.arrivals(&caller, None, 0).await.unwrap().records.is_empty());
}

/// API-9.
#[tokio::test]
async fn what_is_unknown_and_what_is_foreign_look_alike() {
    let world = World::new().await;
    let request = world.download_request(&world.second);
    let (message, _) = world.second.asks_download(request.clone());
    let (first, second) = (
        world.as_hospital(&world.first).await,
        world.as_hospital(&world.second).await,
    );
    submit::<SubmitDownload>(&world.vault, &second, &intent(), message)
        .await
        .unwrap();
    let foreign = requests::request(&world.vault, &first, request.request_id).await;
    let unknown = requests::request(
        &world.vault,
        &first,
        protocol_spec::ids::RequestId::from_bytes([7; 16]),
    )
    .await;
    assert_eq!(problem(foreign), problem(unknown));
    let permission = world.permit_upload(&world.second, Terms::default()).await;
    let foreign = delivery::deliver(&world.vault, &first, permission.permission_id).await;
    let unknown = delivery::deliver(&world.vault, &first, PermissionId::from_bytes([7; 16])).await;
    assert_eq!(problem(foreign), problem(unknown));
    let mut nobody = world.download_request(&world.second);
    nobody.patient_id = Patient::new(61).id;
    let (message, _) = world.second.asks_download(nobody);
    assert_eq!(
        problem(submit::<SubmitDownload>(&world.vault, &second, &intent(), message).await),
        Problem::NotPermitted
    );
}

#[tokio::test]
async fn revoking_twice_changes_nothing() {
    let world = World::new().await;
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    world.revoke(&permission).await;
    world.revoke(&permission).await;
    assert_eq!(
        world.entry(permission.permission_id).await.state(),
        PermissionState::Revoked
    );
    assert_eq!(world.history().await.len(), 3);
    let events = world.events(&world.as_hospital(&world.first).await).await;
    assert!(matches!(
        events[..],
        [event::What::UploadRequested(_), event::What::Revoked(_)]
    ));
}

#[tokio::test]
async fn an_inbox_wakes_who_began_to_wait_before_the_event() {
    let world = World::new().await;
    let patient = world.as_patient().await;
    let changed = inbox::inbox_changed(&world.vault, &patient);
    assert!(
        inbox::inbox(&world.vault, &patient, 0, 0)
            .await
            .unwrap()
            .events
            .is_empty()
    );
    world.ask_download(&world.second).await;
    changed.await;
    assert_eq!(
        inbox::inbox(&world.vault, &patient, 0, 0)
            .await
            .unwrap()
            .events
            .len(),
        1
    );
    assert!(
        inbox::inbox(&world.vault, &patient, 1, 0)
            .await
            .unwrap()
            .events
            .is_empty()
    );
}

/// One answer does not grow with the number of permissions, which is the patient's to choose.
#[tokio::test]
async fn permissions_come_in_pages() {
    let world = World::with(VaultLimits {
        page_rows: 2,
        ..limits()
    })
    .await;
    let mut granted = Vec::new();
    for _ in 0..5 {
        let permission = world.permit_upload(&world.first, Terms::default()).await;
        granted.push(permission.permission_id);
    }
    granted.sort();
    let (patient, mut seen, mut after) = (world.as_patient().await, Vec::new(), None);
    loop {
        let list = permissions::vault_permissions(&world.vault, &patient, after, 100)
            .await
            .unwrap();
        assert!(list.permissions.len() <= 2);
        seen.extend(list.permissions.iter().map(|entry| {
            let body = &entry.permission.as_ref().unwrap().body;
            PermissionBody::decode(body).unwrap().permission_id
        }));
        if list.next.is_empty() {
            break;
        }
        after = Some(list.next.as_ref().try_into().unwrap());
    }
    assert_eq!(seen, granted);
}
