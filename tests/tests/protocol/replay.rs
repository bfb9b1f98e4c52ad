//! Presentations are good once, here, and by their holder (ATK-25, ATK-26, ATK-28, FLT-27).

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use crypto::{OperatingSystem, SigningIdentity};
use http_body_util::Full;
use prost::Message;
use protocol_spec::{
    defence::Defence,
    ids::{PermissionId, RecordId, VersionId},
    messages as pb,
    permission::PermissionBody,
    problem::Problem,
};
use tests::{
    attack::{note, play_async},
    raw::{Answer, Call, Key, RawInstitution, RawPatient, RawWorld, byte_sequence, defended},
};

/// Of a captured request, given another open challenge.
type Change = fn(&mut http::Request<Full<Bytes>>, &[u8]) -> Result<()>;

/// A download permission of three uses, in the hands of its hospital.
struct Scene {
    patient: RawPatient,
    hospital: RawInstitution,
    permission: PermissionId,
    name: String,
}

impl Scene {
    async fn set(world: &RawWorld) -> Result<Self> {
        let patient = RawPatient::enrol(&world.wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let record = hospital.upload(&world.wire, &patient, 1_000).await?;
        let request = hospital.ask(&world.wire, &patient).await?;
        let three = |body: &mut PermissionBody| body.uses = 3;
        let (id, permission) = patient.permit(&world.wire, &hospital.entry, request, vec![record], three)?;
        patient.grant(&world.wire, permission).await?;
        Ok(Self {
            patient,
            hospital,
            permission: id,
            name: id.to_string(),
        })
    }

    /// A presentation over a fresh challenge, not signed yet, and the possession key.
    async fn presentation(&self, world: &RawWorld) -> Result<(Call, SigningIdentity)> {
        let delivery = self.hospital.deliver(&world.wire, self.permission).await?;
        let (_, possession) = self.hospital.open(&delivery)?;
        Ok((
            RawInstitution::presentation(self.permission, &delivery)?,
            possession,
        ))
    }

    fn pop<'a>(&'a self, possession: &'a SigningIdentity) -> Key<'a> {
        Key {
            id: &self.name,
            signing: possession,
        }
    }

    async fn uses_left(&self, world: &RawWorld) -> Result<u32> {
        let list: pb::PermissionList = self
            .patient
            .get(&world.wire, "/v1/vault/permissions")
            .await?
            .message()?;
        // The upload's permission is older.
        Ok(list.permissions.last().context("no permission")?.uses_left)
    }
}

/// API-8, PRM-11, ATK-25. Behind the nonces stand the challenge and the idempotency key.
#[tokio::test]
async fn a_presentation_replayed_verbatim_is_refused_and_spends_nothing() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let scene = Scene::set(world).await?;
        let (call, possession) = scene.presentation(world).await?;
        let pop = scene.pop(&possession);
        let captured = world.wire.sign(&call, scene.hospital.key(), Some(pop))?;
        let first = world.wire.send(captured.clone()).await?;
        first.message::<pb::PresentationAnswer>()?;
        let again = world.wire.send(captured).await?;
        let spent = 3 - scene.uses_left(world).await?;
        assert_eq!(spent, if again.status.is_success() { 2 } else { 1 });
        Ok(again)
    };
    let off = [Defence::Nonces, Defence::Challenges, Defence::Idempotency];
    defended(&off, Problem::Replayed, attack).await
}

/// API-7, ATK-25: a server does not take what was signed before it began to remember.
#[tokio::test]
async fn a_presentation_replayed_after_a_restart_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let scene = Scene::set(world).await?;
        let (call, possession) = scene.presentation(world).await?;
        let pop = scene.pop(&possession);
        let captured = world.wire.sign(&call, scene.hospital.key(), Some(pop))?;
        world
            .wire
            .send(captured.clone())
            .await?
            .message::<pb::PresentationAnswer>()?;
        world.server.kill()?;
        world.server.restart()?;
        let again = world.wire.send(captured).await?;
        let expected = if again.status.is_success() { 1 } else { 2 };
        assert_eq!(scene.uses_left(world).await?, expected);
        Ok(again)
    };
    let off = [Defence::Nonces, Defence::Challenges, Defence::Idempotency];
    defended(&off, Problem::SignatureExpired, attack).await
}

/// API-20, ATK-94: nor what was signed by a clock that is as far ahead as is let pass, and was taken just before the end. In the
/// control a server believes that nothing was taken before it.
#[tokio::test]
async fn a_request_taken_before_a_restart_is_not_taken_again() -> Result<()> {
    let attack = async |off: &[Defence]| -> Result<bool> {
        let mut world = RawWorld::start_without(off).await?;
        let hospital = world.institution("Hospital North").await?;
        world.wire.ahead = 2;
        let captured = world.wire.sign(&Call::get("/v1/inbox"), hospital.key(), None)?;
        world
            .wire
            .send(captured.clone())
            .await?
            .message::<pb::InboxPage>()?;
        world.server.kill()?;
        world.server.restart()?;
        let again = world.wire.send(captured).await?;
        let refused = again.problem() == Some(Problem::SignatureExpired);
        ensure!(refused || again.status.is_success(), "{again:?}");
        Ok(!refused)
    };
    play_async(&[Defence::RestartReplay], attack).await
}

/// PRM-11, ATK-25: signed anew, so that no memory of nonces helps.
#[tokio::test]
async fn a_challenge_is_good_once() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let scene = Scene::set(world).await?;
        let (call, possession) = scene.presentation(world).await?;
        let pop = scene.pop(&possession);
        let first = world.wire.present(&call, scene.hospital.key(), pop).await?;
        first.message::<pb::PresentationAnswer>()?;
        // Another intent, so that it is no repetition either.
        let call = call.with("idempotency-key", "another-key-another-key");
        let second = world.wire.present(&call, scene.hospital.key(), pop).await?;
        let spent = 3 - scene.uses_left(world).await?;
        assert_eq!(spent, if second.status.is_success() { 2 } else { 1 });
        Ok(second)
    };
    defended(&[Defence::Challenges], Problem::ChallengeInvalid, attack).await
}

/// API-10
#[tokio::test]
async fn a_retry_with_a_new_challenge_gets_the_first_answer_and_spends_no_second_use() -> Result<()> {
    let retry = async |world: RawWorld| -> Result<(bool, u32)> {
        let scene = Scene::set(&world).await?;
        let (call, possession) = scene.presentation(&world).await?;
        let pop = scene.pop(&possession);
        let first = world.wire.present(&call, scene.hospital.key(), pop).await?;
        first.message::<pb::PresentationAnswer>()?;
        let delivery = scene.hospital.deliver(&world.wire, scene.permission).await?;
        let retry = call.with("medvault-challenge", byte_sequence(&delivery.challenge));
        let second = world.wire.present(&retry, scene.hospital.key(), pop).await?;
        Ok((first.body == second.body, scene.uses_left(&world).await?))
    };
    assert_eq!(retry(RawWorld::start().await?).await?, (true, 2));
    let weakened = RawWorld::start_without(&[Defence::Idempotency]).await?;
    let (same, uses_left) = retry(weakened).await?;
    assert!(!same && uses_left < 2, "the control spends {uses_left}");
    Ok(())
}

/// ATK-25: Changes to a captured presentation: each is refused, and goes through where signatures are not checked.
#[tokio::test]
async fn every_covered_component_of_a_captured_presentation_is_bound() -> Result<()> {
    let changes: [(&str, &[Defence], Change); 3] = [
        ("body", &[Defence::ContentDigest], |request, _| {
            let record = RecordId::mint(tests::raw::now_ms(), tests::raw::random()?);
            let version = VersionId::mint(tests::raw::now_ms(), tests::raw::random()?);
            let other = pb::Presentation {
                record_id: Bytes::copy_from_slice(record.as_bytes()),
                version_id: Bytes::copy_from_slice(version.as_bytes()),
                ..pb::Presentation::default()
            };
            *request.body_mut() = Full::new(other.encode_to_vec().into());
            Ok(())
        }),
        (
            "challenge",
            &[Defence::RequestSignatures],
            |request, challenge| {
                let value = byte_sequence(challenge).parse()?;
                request.headers_mut().insert("medvault-challenge", value);
                Ok(())
            },
        ),
        ("idempotency key", &[Defence::RequestSignatures], |request, _| {
            let value = "another-key-another-key".parse()?;
            request.headers_mut().insert("idempotency-key", value);
            Ok(())
        }),
    ];
    let play = async |world: RawWorld, change: Change| -> Result<(Answer, u32)> {
        let scene = Scene::set(&world).await?;
        let (call, possession) = scene.presentation(&world).await?;
        let pop = scene.pop(&possession);
        let mut captured = world.wire.sign(&call, scene.hospital.key(), Some(pop))?;
        let other = scene.hospital.deliver(&world.wire, scene.permission).await?;
        change(&mut captured, &other.challenge)?;
        let answer = world.wire.send(captured).await?;
        Ok((answer, scene.uses_left(&world).await?))
    };
    for (what, off, change) in changes {
        let (answer, left) = play(RawWorld::start().await?, change).await?;
        note(&[], !answer.status.is_client_error() || left != 3)?;
        assert!(answer.status.is_client_error() && left == 3, "{what}: {answer:?}");
        let (answer, left) = play(RawWorld::start_without(off).await?, change).await?;
        note(off, answer.status.is_success() && left == 2)?;
        assert!(
            answer.status.is_success() && left == 2,
            "{what}, control: {answer:?}"
        );
    }
    Ok(())
}

/// ATK-25: Method, path and query decide what is done: a signature over one thing does nothing else.
#[tokio::test]
async fn a_captured_request_does_nothing_under_another_path_or_query() -> Result<()> {
    let changes: [(&str, &str); 2] = [
        ("/v1/vault/history", "/v1/vault/permissions"),
        ("/v1/inbox?after=1", "/v1/inbox?after=0"),
    ];
    for (signed, sent) in changes {
        let attack = async |world: &mut RawWorld| {
            let scene = Scene::set(world).await?;
            let key = scene.patient.key();
            let mut captured = world.wire.sign(&Call::get(signed), key, None)?;
            let uri = captured.uri().to_string().replace(signed, sent);
            *captured.uri_mut() = uri.parse()?;
            world.wire.send(captured).await
        };
        defended(&[Defence::RequestSignatures], Problem::Unauthenticated, attack).await?;
    }
    Ok(())
}

/// ATK-26: an evil server B has the hospital answer the challenge of server A (API-1).
#[tokio::test]
async fn a_presentation_meant_for_another_server_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let scene = Scene::set(world).await?;
        let (call, possession) = scene.presentation(world).await?;
        let other = RawWorld::start().await?;
        let mut for_other = world.wire.clone();
        for_other.operator.clone_from(&other.wire.operator);
        for_other
            .present(&call, scene.hospital.key(), scene.pop(&possession))
            .await
    };
    defended(&[Defence::Audience], Problem::Unauthenticated, attack).await
}

/// ATK-28: whoever is handed the possession key still lacks the institution's own (PRM-9).
#[tokio::test]
async fn a_permission_key_handed_on_opens_nothing_for_another_institution() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let scene = Scene::set(world).await?;
        let thief = world.institution("Clinic South").await?;
        let (call, possession) = scene.presentation(world).await?;
        world
            .wire
            .present(&call, thief.key(), scene.pop(&possession))
            .await
    };
    defended(&[Defence::PermissionHolder], Problem::NotPermitted, attack).await
}

/// The wrong possession key, by the right institution (PRM-9).
#[tokio::test]
async fn who_has_not_opened_the_wrap_presents_nothing() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let scene = Scene::set(world).await?;
        let (call, _) = scene.presentation(world).await?;
        let guessed = SigningIdentity::generate(&OperatingSystem)?;
        world
            .wire
            .present(&call, scene.hospital.key(), scene.pop(&guessed))
            .await
    };
    defended(&[Defence::Possession], Problem::NotPermitted, attack).await
}

/// PRM-9, ATK-16: whoever has neither her permission nor its key puts no record into her vault. In the control the server
/// stands by for it.
#[tokio::test]
async fn nobody_uploads_without_a_permission_of_hers() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let wire = &world.wire;
        let patient = RawPatient::enrol(wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let forger = world.institution("Clinic South").await?;
        let offer = patient.offer(wire, &hospital.entry, |_| ())?;
        patient.submit_offer(wire, &offer).await?;
        let delivery = hospital.deliver(wire, offer.permission_id).await?;
        let call = RawInstitution::presentation(offer.permission_id, &delivery)?;
        let pop = Key {
            id: &offer.permission_id.to_string(),
            signing: &SigningIdentity::generate(&OperatingSystem)?,
        };
        wire.present(&call, forger.key(), pop).await
    };
    let off = [Defence::PermissionHolder, Defence::Possession];
    defended(&off, Problem::NotPermitted, attack).await
}

/// PRM-10, ATK-10: unknown permission, foreign permission and bad proof are the same bytes. In the control they differ:
/// who asks learns which permissions there are.
#[tokio::test]
async fn refusals_do_not_tell_what_there_is() -> Result<()> {
    let attack = async |off: &[Defence]| -> Result<bool> {
        let world = RawWorld::start_without(off).await?;
        let scene = Scene::set(&world).await?;
        let thief = world.institution("Clinic South").await?;
        let (call, possession) = scene.presentation(&world).await?;
        let wire = &world.wire;
        let unknown = thief
            .get(wire, "/v1/permissions/perm_aaaaaaaaaaaaaaaaaaaaaaaaaa")
            .await?;
        ensure!(unknown.problem() == Some(Problem::NotPermitted), "{unknown:?}");
        let foreign = thief
            .get(wire, &format!("/v1/permissions/{}", scene.name))
            .await?;
        let handed_on = wire.present(&call, thief.key(), scene.pop(&possession)).await?;
        let bad_proof = wire
            .present(&call, scene.hospital.key(), scene.pop(&thief.identity))
            .await?;
        let tells = |other: &Answer| (other.status, &other.body) != (unknown.status, &unknown.body);
        Ok([&foreign, &handed_on, &bad_proof].into_iter().any(tells))
    };
    play_async(&[Defence::PermissionHolder], attack).await
}

#[tokio::test]
async fn a_read_replayed_verbatim_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let scene = Scene::set(world).await?;
        let captured = world
            .wire
            .sign(&Call::get("/v1/inbox"), scene.hospital.key(), None)?;
        world
            .wire
            .send(captured.clone())
            .await?
            .message::<pb::InboxPage>()?;
        world.wire.send(captured).await
    };
    defended(&[Defence::Nonces], Problem::Replayed, attack).await
}
