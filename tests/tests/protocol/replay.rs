//! Presentations are good once, here, and by their holder (ATK-25, ATK-26, ATK-28, FLT-27).

use anyhow::{Context, Result};
use protocol_spec::{ids::PermissionId, messages as pb, problem::Problem};
use tests::raw::{Call, Key, RawInstitution, RawPatient, RawWorld, byte_sequence};

type Change = fn(&mut http::Request<http_body_util::Full<bytes::Bytes>>) -> Result<()>;

struct Scene {
    world: RawWorld,
    patient: RawPatient,
    hospital: RawInstitution,
    permission: PermissionId,
}

async fn scene() -> Result<Scene> {
    let world = RawWorld::start().await?;
    let patient = RawPatient::enrol(&world.wire).await?;
    let hospital = world.institution("Hospital North").await?;
    let offer = patient.offer(&world.wire, &hospital.entry, |body| body.uses = 3)?;
    patient
        .post(&world.wire, "/v1/requests/upload", &offer.message)
        .await?
        .message::<pb::Accepted>()?;
    Ok(Scene {
        world,
        patient,
        hospital,
        permission: offer.permission_id,
    })
}

async fn uses_left(scene: &Scene) -> Result<u32> {
    let list: pb::PermissionList = scene
        .patient
        .get(&scene.world.wire, "/v1/vault/permissions")
        .await?
        .message()?;
    Ok(list.permissions.first().context("no permission")?.uses_left)
}

/// API-8, PRM-11.
#[tokio::test]
async fn a_presentation_replayed_verbatim_is_refused_also_after_a_restart() -> Result<()> {
    let mut scene = scene().await?;
    let delivery = scene
        .hospital
        .deliver(&scene.world.wire, scene.permission)
        .await?;
    let (_, possession) = scene.hospital.open(&delivery)?;
    let call = RawInstitution::presentation(scene.permission, &delivery)?;
    let name = scene.permission.to_string();
    let pop = Key {
        id: &name,
        signing: &possession,
    };
    let captured = scene.world.wire.sign(&call, scene.hospital.key(), Some(pop))?;

    let first = scene.world.wire.send(captured.clone()).await?;
    first.message::<pb::PresentationAnswer>()?;
    assert_eq!(uses_left(&scene).await?, 2);

    let again = scene.world.wire.send(captured.clone()).await?;
    assert_eq!(again.problem(), Some(Problem::Replayed), "{again:?}");
    scene.world.server.kill()?;
    scene.world.server.restart()?;
    let later = scene.world.wire.send(captured).await?;
    assert!(!later.status.is_success(), "{later:?}");
    assert_eq!(uses_left(&scene).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_challenge_is_good_once_and_a_new_one_retries_without_a_second_use() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let delivery = scene.hospital.deliver(wire, scene.permission).await?;
    let (_, possession) = scene.hospital.open(&delivery)?;
    let name = scene.permission.to_string();
    let pop = Key {
        id: &name,
        signing: &possession,
    };
    let call = RawInstitution::presentation(scene.permission, &delivery)?;
    let first = wire.present(&call, scene.hospital.key(), pop).await?;
    first.message::<pb::PresentationAnswer>()?;

    // Signed anew, so that no cache of nonces helps: the challenge itself is used up.
    let reused = wire.present(&call, scene.hospital.key(), pop).await?;
    assert_eq!(reused.problem(), Some(Problem::ChallengeInvalid));

    let delivery = scene.hospital.deliver(wire, scene.permission).await?;
    let retried = call
        .clone()
        .with("medvault-challenge", byte_sequence(&delivery.challenge));
    let retried = wire.present(&retried, scene.hospital.key(), pop).await?;
    assert_eq!(retried.body, first.body, "a retry gets the first answer");
    assert_eq!(uses_left(&scene).await?, 2);
    Ok(())
}

#[tokio::test]
async fn every_covered_component_of_a_captured_presentation_is_bound() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let changes: [(&str, Change); 5] = [
        ("method", |request| {
            *request.method_mut() = http::Method::PUT;
            Ok(())
        }),
        ("query", |request| {
            *request.uri_mut() = format!("{}?x=1", request.uri()).parse()?;
            Ok(())
        }),
        ("body", |request| {
            *request.body_mut() = http_body_util::Full::new(bytes::Bytes::from_static(b"other"));
            Ok(())
        }),
        ("challenge", |request| {
            request
                .headers_mut()
                .insert("medvault-challenge", byte_sequence(&[0; 32]).parse()?);
            Ok(())
        }),
        ("idempotency key", |request| {
            request
                .headers_mut()
                .insert("idempotency-key", "another-key-another-key".parse()?);
            Ok(())
        }),
    ];
    for (what, change) in changes {
        let delivery = scene.hospital.deliver(wire, scene.permission).await?;
        let (_, possession) = scene.hospital.open(&delivery)?;
        let name = scene.permission.to_string();
        let call = RawInstitution::presentation(scene.permission, &delivery)?;
        let pop = Key {
            id: &name,
            signing: &possession,
        };
        let mut captured = wire.sign(&call, scene.hospital.key(), Some(pop))?;
        change(&mut captured)?;
        let answer = wire.send(captured).await?;
        assert!(answer.status.is_client_error(), "{what}: {answer:?}");
    }
    assert_eq!(uses_left(&scene).await?, 3, "nothing was spent");
    // Control: the same presentation, unchanged, goes through.
    scene
        .hospital
        .present(wire, scene.permission)
        .await?
        .message::<pb::PresentationAnswer>()?;
    Ok(())
}

/// ATK-26: an evil server B has the hospital answer the challenge of server A (API-1).
#[tokio::test]
async fn a_presentation_meant_for_another_server_is_refused() -> Result<()> {
    let scene = scene().await?;
    let delivery = scene
        .hospital
        .deliver(&scene.world.wire, scene.permission)
        .await?;
    let (_, possession) = scene.hospital.open(&delivery)?;
    let name = scene.permission.to_string();
    let pop = Key {
        id: &name,
        signing: &possession,
    };
    let call = RawInstitution::presentation(scene.permission, &delivery)?;
    let other = RawWorld::start().await?;
    let mut for_other = scene.world.wire.clone();
    for_other.operator.clone_from(&other.wire.operator);
    let answer = for_other.present(&call, scene.hospital.key(), pop).await?;
    assert_eq!(answer.problem(), Some(Problem::Unauthenticated), "{answer:?}");
    // Control: with the right audience it goes through.
    scene
        .world
        .wire
        .present(&call, scene.hospital.key(), pop)
        .await?
        .message::<pb::PresentationAnswer>()?;
    Ok(())
}

/// ATK-28: whoever is handed the possession key still lacks the institution's own (PRM-9).
#[tokio::test]
async fn a_permission_key_handed_on_opens_nothing_for_another_institution() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let thief = scene.world.institution("Clinic South").await?;
    let delivery = scene.hospital.deliver(wire, scene.permission).await?;
    let (_, possession) = scene.hospital.open(&delivery)?;
    let name = scene.permission.to_string();
    let pop = Key {
        id: &name,
        signing: &possession,
    };
    let call = RawInstitution::presentation(scene.permission, &delivery)?;
    let answer = wire.present(&call, thief.key(), pop).await?;
    assert_eq!(answer.problem(), Some(Problem::NotPermitted));

    // Unknown permission, foreign permission and bad proof: the same bytes.
    let unknown = thief
        .get(wire, "/v1/permissions/perm_aaaaaaaaaaaaaaaaaaaaaaaaaa")
        .await?;
    let foreign = thief.get(wire, &format!("/v1/permissions/{name}")).await?;
    let bad_proof = wire
        .present(
            &call,
            scene.hospital.key(),
            Key {
                id: &name,
                signing: &thief.identity,
            },
        )
        .await?;
    assert_eq!(unknown.problem(), Some(Problem::NotPermitted));
    for other in [&foreign, &answer, &bad_proof] {
        assert_eq!((other.status, &other.body), (unknown.status, &unknown.body));
    }
    Ok(())
}

#[tokio::test]
async fn a_read_replayed_verbatim_is_refused() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let captured = wire.sign(&Call::get("/v1/inbox"), scene.hospital.key(), None)?;
    wire.send(captured.clone()).await?.message::<pb::InboxPage>()?;
    let again = wire.send(captured).await?;
    assert_eq!(again.problem(), Some(Problem::Replayed));
    Ok(())
}
