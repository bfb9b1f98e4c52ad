//! A permission revoked before a request starts releases nothing to it, and a running release stops at
//! the next leaf (FLT-28, ATK-29, ATK-34).

use anyhow::{Context, Result};
use protocol_spec::{
    bodies::ReleaseTicket,
    defence::Defence,
    ids::{PermissionId, ReleaseId},
    lifecycle::TRIES,
    messages as pb,
    permission::RecordSelector,
    problem::Problem,
    statement::Signed,
};
use tests::{
    attack::{note, play_async},
    raw::{Answer, RawInstitution, RawPatient, RawWorld},
};

struct Scene {
    world: RawWorld,
    patient: RawPatient,
    hospital: RawInstitution,
    record: RecordSelector,
}

async fn scene() -> Result<Scene> {
    scene_without(&[]).await
}

async fn scene_without(off: &[Defence]) -> Result<Scene> {
    let world = RawWorld::start_without(off).await?;
    let patient = RawPatient::enrol(&world.wire).await?;
    let hospital = world.institution("Hospital North").await?;
    let record = hospital.upload(&world.wire, &patient, 200_000).await?;
    Ok(Scene {
        world,
        patient,
        hospital,
        record,
    })
}

impl Scene {
    async fn permit(&self, uses: u32, lifetime_ms: u64) -> Result<(PermissionId, pb::Permission)> {
        let request = self.hospital.ask(&self.world.wire, &self.patient).await?;
        let wire = &self.world.wire;
        let edit = |body: &mut protocol_spec::permission::PermissionBody| {
            body.uses = uses;
            body.bytes *= 10;
            body.not_after = tests::raw::now_ms() + lifetime_ms;
        };
        let (id, permission) = self.patient.permit(
            wire,
            &self.hospital.entry,
            request,
            vec![self.record.clone()],
            edit,
        )?;
        self.patient.grant(wire, permission.clone()).await?;
        Ok((id, permission))
    }

    async fn release(&self, id: PermissionId) -> Result<ReleaseId> {
        released(self.hospital.present(&self.world.wire, id).await?)
    }

    async fn leaves(&self, release: ReleaseId) -> Result<Answer> {
        let version = self.record.version_id;
        let path = format!("/v1/releases/{release}/records/{version}/leaves?first=0&count=1");
        self.hospital.get(&self.world.wire, &path).await
    }

    async fn revoke(&self, id: PermissionId, permission: &pb::Permission) -> Result<()> {
        let message = self.patient.revocation(permission, id);
        self.patient
            .post(&self.world.wire, "/v1/revocations", &message)
            .await?
            .message::<pb::RevocationAnswer>()?;
        Ok(())
    }
}

fn released(answer: Answer) -> Result<ReleaseId> {
    let answer: pb::PresentationAnswer = answer.message()?;
    let Some(pb::presentation_answer::Answer::Release(release)) = answer.answer else {
        anyhow::bail!("no release")
    };
    Ok(Signed::<ReleaseTicket>::try_from(release.ticket)?
        .claimed()
        .release_id)
}

/// FLW-5.
#[tokio::test]
async fn after_the_acknowledged_revocation_no_entrance_gives_a_byte() -> Result<()> {
    let mut scene = scene().await?;
    let (id, permission) = scene.permit(5, 3_600_000).await?;
    let release = scene.release(id).await?;
    // Control: before the revocation the very same request is answered with content.
    let before = scene.leaves(release).await?;
    assert_eq!(before.body.len() as u64, scene.record.stream_len, "{before:?}");

    scene.revoke(id, &permission).await?;
    let after = scene.leaves(release).await?;
    assert_eq!(after.problem(), Some(Problem::PermissionRevoked), "{after:?}");
    let presented = scene.hospital.present(&scene.world.wire, id).await?;
    assert_eq!(
        presented.problem(),
        Some(Problem::PermissionRevoked),
        "{presented:?}"
    );

    scene.world.server.kill()?;
    scene.world.server.restart()?;
    let restarted = scene.leaves(release).await?;
    assert_eq!(
        restarted.problem(),
        Some(Problem::PermissionRevoked),
        "{restarted:?}"
    );
    // Revoking again changes nothing and is no error.
    scene.revoke(id, &permission).await
}

#[tokio::test]
async fn where_revocation_is_not_checked_every_entrance_gives_bytes() -> Result<()> {
    let scene = scene_without(&[Defence::Revocation]).await?;
    let (id, permission) = scene.permit(5, 3_600_000).await?;
    scene.revoke(id, &permission).await?;
    // Releases that were open are closed with it; so a new one.
    let again = scene.release(id).await?;
    assert!(scene.leaves(again).await?.status.is_success());
    Ok(())
}

#[tokio::test]
async fn an_expired_permission_releases_nothing() -> Result<()> {
    let scene = scene().await?;
    let (id, _) = scene.permit(5, 1_500).await?;
    let release = scene.release(id).await?;
    assert!(scene.leaves(release).await?.status.is_success());
    tokio::time::sleep(std::time::Duration::from_millis(1_600)).await;
    let late = scene.leaves(release).await?;
    assert!(
        matches!(
            late.problem(),
            Some(Problem::PermissionExpired | Problem::ReleaseClosed)
        ),
        "{late:?}"
    );
    let presented = scene.hospital.present(&scene.world.wire, id).await?;
    assert_eq!(
        presented.problem(),
        Some(Problem::PermissionExpired),
        "{presented:?}"
    );
    Ok(())
}

#[tokio::test]
async fn where_deadlines_are_not_checked_an_expired_permission_releases() -> Result<()> {
    let scene = scene_without(&[Defence::Deadlines]).await?;
    let (id, _) = scene.permit(5, 1_500).await?;
    let release = scene.release(id).await?;
    tokio::time::sleep(std::time::Duration::from_millis(1_600)).await;
    assert!(scene.leaves(release).await?.status.is_success());
    let again = scene.release(id).await?;
    assert!(scene.leaves(again).await?.status.is_success());
    Ok(())
}

#[tokio::test]
async fn where_budgets_are_not_checked_one_use_is_many() -> Result<()> {
    let scene = scene_without(&[Defence::Budgets]).await?;
    let (id, _) = scene.permit(1, 3_600_000).await?;
    let (first, second) = (scene.release(id).await?, scene.release(id).await?);
    assert_ne!(first, second);
    assert!(scene.leaves(second).await?.status.is_success());
    Ok(())
}

#[tokio::test]
async fn uses_are_spent_one_by_one_and_then_no_more() -> Result<()> {
    let scene = scene().await?;
    let (id, _) = scene.permit(2, 3_600_000).await?;
    let (first, second) = (scene.release(id).await?, scene.release(id).await?);
    assert_ne!(first, second);
    let third = scene.hospital.present(&scene.world.wire, id).await?;
    assert_eq!(third.problem(), Some(Problem::PermissionInUse));
    // The sessions that were opened go on, and spend what they hold with the first leaf (FLW-16).
    for release in [first, second] {
        assert!(scene.leaves(release).await?.status.is_success());
    }
    let third = scene.hospital.present(&scene.world.wire, id).await?;
    assert_eq!(third.problem(), Some(Problem::PermissionSpent));
    Ok(())
}

/// FLW-18, ATK-102: an institution that opens and closes releases, and takes nothing, fills the patient's history with them.
#[tokio::test]
async fn a_history_is_not_filled_with_presentations_that_bring_nothing() -> Result<()> {
    play_async(&[Defence::Budgets], async |off| {
        let scene = scene_without(off).await?;
        let (id, _) = scene.permit(1, 3_600_000).await?;
        let wire = &scene.world.wire;
        for _ in 0..=TRIES {
            let answer = scene.hospital.present(wire, id).await?;
            if answer.problem() == Some(Problem::PermissionSpent) {
                return Ok(false);
            }
            let release = released(answer)?;
            let path = format!("/v1/releases/{release}/close");
            let closed = scene.hospital.post(wire, &path, &pb::Accepted::default()).await?;
            anyhow::ensure!(closed.status.is_success(), "{closed:?}");
        }
        Ok(true)
    })
    .await
}

/// ATK-34: an upload permission opens no release (PRM-3).
#[tokio::test]
async fn an_upload_permission_releases_nothing() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let offer = scene.patient.offer(wire, &scene.hospital.entry, |_| ())?;
    scene.patient.submit_offer(wire, &offer).await?;
    let answer: pb::PresentationAnswer = scene
        .hospital
        .present(wire, offer.permission_id)
        .await?
        .message()?;
    assert!(matches!(
        answer.answer,
        Some(pb::presentation_answer::Answer::Standby(_))
    ));
    // Neither its session nor the vault's own entrance answers the institution.
    let Some(pb::presentation_answer::Answer::Standby(standby)) = answer.answer else {
        anyhow::bail!("unreachable")
    };
    let ticket = Signed::<protocol_spec::bodies::StandbyTicket>::try_from(standby.ticket)?;
    let session = ReleaseId::from_bytes(*ticket.claimed().upload_id.as_bytes());
    assert_eq!(
        scene.leaves(session).await?.problem(),
        Some(Problem::NotPermitted)
    );
    let own = format!(
        "/v1/vault/records/{}/leaves?first=0&count=1",
        scene.record.version_id
    );
    assert_eq!(
        scene.hospital.get(wire, &own).await?.problem(),
        Some(Problem::NotPermitted)
    );
    Ok(())
}

/// PRM-4, ATK-34, and the session is its institution's own.
#[tokio::test]
async fn a_release_cannot_be_read_by_another_institution_or_beyond_its_records() -> Result<()> {
    let (stolen, beyond) = read_too_much(&scene().await?).await?;
    for answer in [&stolen, &beyond] {
        note(&[], answer.problem() != Some(Problem::NotPermitted))?;
    }
    assert_eq!(stolen.problem(), Some(Problem::NotPermitted), "{stolen:?}");
    assert_eq!(beyond.problem(), Some(Problem::NotPermitted), "{beyond:?}");
    let (stolen, _) = read_too_much(&scene_without(&[Defence::SessionOwner]).await?).await?;
    note(&[Defence::SessionOwner], stolen.status.is_success())?;
    assert!(stolen.status.is_success(), "control: {stolen:?}");
    let (_, beyond) = read_too_much(&scene_without(&[Defence::ReleasedRecords]).await?).await?;
    note(&[Defence::ReleasedRecords], beyond.status.is_success())?;
    assert!(beyond.status.is_success(), "control: {beyond:?}");
    Ok(())
}

/// Another institution reads from a release, and its own one reads a record that is not in the permission.
async fn read_too_much(scene: &Scene) -> Result<(Answer, Answer)> {
    let wire = &scene.world.wire;
    let (id, _) = scene.permit(1, 3_600_000).await?;
    let release = scene.release(id).await?;
    let thief = scene.world.institution("Clinic South").await?;
    let path = |version| format!("/v1/releases/{release}/records/{version}/leaves?first=0&count=1");
    let stolen = thief.get(wire, &path(scene.record.version_id)).await?;
    let other = scene.hospital.upload(wire, &scene.patient, 1_000).await?;
    let beyond = scene.hospital.get(wire, &path(other.version_id)).await?;
    Ok((stolen, beyond))
}

#[tokio::test]
async fn leaves_that_a_record_does_not_have_are_refused() -> Result<()> {
    let scene = scene().await?;
    let (id, _) = scene.permit(1, 3_600_000).await?;
    let release = scene.release(id).await?;
    let path = format!(
        "/v1/releases/{release}/records/{}/leaves?first=7&count=1",
        scene.record.version_id
    );
    let answer = scene.hospital.get(&scene.world.wire, &path).await?;
    assert_eq!(answer.problem(), Some(Problem::RangeNotSatisfiable), "{answer:?}");
    Ok(())
}

/// FLW-11.
#[tokio::test]
async fn the_patient_sees_every_step_in_her_history() -> Result<()> {
    let scene = scene().await?;
    let (id, permission) = scene.permit(1, 3_600_000).await?;
    let release = scene.release(id).await?;
    scene.leaves(release).await?;
    let close = format!("/v1/releases/{release}/close");
    let receipt = scene
        .hospital
        .post(&scene.world.wire, &close, &pb::Accepted {})
        .await?
        .message::<pb::Receipt>()?;
    let receipt = protocol_spec::log::Receipt::<protocol_spec::bodies::ReleaseReceipt>::verify(
        Some(receipt),
        &scene.world.wire.operator_key,
    )?;
    assert_eq!(receipt.statement.bytes, scene.record.stream_len);
    scene.revoke(id, &permission).await?;
    let page: pb::HistoryPage = scene
        .patient
        .get(&scene.world.wire, "/v1/vault/history")
        .await?
        .message()?;
    let kinds: Vec<_> = page
        .entries
        .iter()
        .map(|entry| entry.what.as_ref().map(std::mem::discriminant))
        .collect();
    assert!(kinds.iter().all(Option::is_some));
    use pb::history_entry::What;
    let names: Vec<&str> = page
        .entries
        .iter()
        .map(|entry| match entry.what.as_ref().context("empty")? {
            What::UploadRequested(_) => Ok("upload requested"),
            What::DownloadRequested(_) => Ok("download requested"),
            What::ReferenceRequested(_) => Ok("reference requested"),
            What::Permitted(_) => Ok("permitted"),
            What::Denied(_) => Ok("denied"),
            What::Noted(_) => Ok("noted"),
            What::Revoked(_) => Ok("revoked"),
            What::Presented(_) => Ok("presented"),
            What::Stored(_) => Ok("stored"),
            What::Released(_) => Ok("released"),
            What::Closed(_) => Ok("closed"),
            What::DevicesChanged(_) => Ok("devices changed"),
            What::Delegated(_) => Ok("delegated"),
            What::DelegationEnded(_) => Ok("delegation ended"),
            What::DelegateRead(_) => Ok("delegate read"),
            What::Deleted(_) => Ok("deleted"),
            What::RecordDeleted(_) => Ok("record deleted"),
            What::TakenBack(_) => Ok("taken back"),
            What::EmergencyOpened(_) | What::EmergencyHelp(_) | What::EmergencyObjected(_) => Ok("emergency"),
        })
        .collect::<Result<_>>()?;
    let told = [
        "presented",
        "stored",
        "download requested",
        "permitted",
        "presented",
        "released",
        "revoked",
    ];
    let mut rest = names.iter();
    assert!(told.iter().all(|want| rest.any(|name| name == want)), "{names:?}");
    let numbers: Vec<u64> = page.entries.iter().map(|entry| entry.number).collect();
    assert!(
        numbers.iter().copied().eq(1..=numbers.len() as u64),
        "{numbers:?}"
    );
    Ok(())
}
