//! Rotation, terminals and retirement, attacked (ATK-5, ATK-24, ATK-28; INS-1 to INS-13). What must work stands in
//! `institutions_cli`.

use anyhow::{Context, Result};
use crypto::{OperatingSystem, RecipientSecret};
use protocol_spec::{
    bodies::TerminalRemoval, defence::Defence, ids::PermissionId, messages as pb, mirror::Directory,
    problem::Problem, statement::Signed,
};
use tests::raw::{Answer, RawInstitution, RawPatient, RawTerminal, RawWorld, defended};

/// A hospital, a patient, and a permission to upload.
async fn permitted(world: &RawWorld) -> Result<(RawInstitution, RawPatient, PermissionId)> {
    let hospital = world.institution("Hospital North").await?;
    let patient = RawPatient::enrol(&world.wire).await?;
    let offer = patient.offer(&world.wire, &hospital.entry, |body| body.uses = 5)?;
    patient.submit_offer(&world.wire, &offer).await?;
    Ok((hospital, patient, offer.permission_id))
}

/// Milliseconds after which a short overlap is over for sure.
async fn wait(milliseconds: u64) {
    tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
}

/// INS-2: entry n+1 once taken, another entry n+1 is a fork.
#[tokio::test]
async fn a_forked_chain_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let mut hospital = world.institution("Hospital North").await?;
        let fork = hospital.rotation(
            &world.registrar,
            &RecipientSecret::generate(&OperatingSystem)?,
            |_| (),
        )?;
        hospital.rotate(&world.wire, &world.registrar, 1000).await?;
        hospital.send_rotation(&world.wire, &fork).await
    };
    defended(&[Defence::Succession], Problem::ChainConflict, attack).await
}

/// INS-2: a rotation of long ago, sent again, does not bring the old key back.
#[tokio::test]
async fn a_rotation_that_is_replayed_after_the_next_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let mut hospital = world.institution("Hospital North").await?;
        let second = RecipientSecret::generate(&OperatingSystem)?;
        let first_rotation = hospital.rotation(&world.registrar, &second, |_| ())?;
        hospital
            .send_rotation(&world.wire, &first_rotation)
            .await?
            .message::<pb::Accepted>()?;
        hospital.entry = protocol_spec::directory::Institution::verify(
            first_rotation.keys.clone().try_into()?,
            first_rotation.accreditation.clone().try_into()?,
            &world.registrar.public(),
            world.wire.operator_id(),
        )?;
        // The same again is no attack, and changes nothing.
        hospital
            .send_rotation(&world.wire, &first_rotation)
            .await?
            .message::<pb::Accepted>()?;
        hospital.rotate(&world.wire, &world.registrar, 1000).await?;
        hospital.send_rotation(&world.wire, &first_rotation).await
    };
    defended(&[Defence::Succession], Problem::ChainConflict, attack).await
}

/// INS-1: places cannot be left out, nor may an entry continue another one.
#[tokio::test]
async fn a_chain_with_a_gap_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let hospital = world.institution("Hospital North").await?;
        let gap = hospital.rotation(
            &world.registrar,
            &RecipientSecret::generate(&OperatingSystem)?,
            |keys| {
                if let Some(place) = &mut keys.succession {
                    place.sequence = 2;
                }
            },
        )?;
        hospital.send_rotation(&world.wire, &gap).await
    };
    defended(&[Defence::Succession], Problem::ChainConflict, attack).await
}

/// ATK-5, INS-3: whoever rotates to another's recipient key cannot open the secret; and the key is taken.
#[tokio::test]
async fn another_institutions_recipient_key_cannot_be_rotated_to() -> Result<()> {
    let squat = async |world: &mut RawWorld, knows_secret: bool| {
        let victim = world.institution("Hospital North").await?;
        let squatter = world.institution("Squatters").await?;
        // The registrar has accredited what the squatter's request said.
        let mut message = squatter.rotation(&world.registrar, &victim.recipient, |_| ())?;
        if !knows_secret {
            message.secret = bytes::Bytes::from_static(&[7; 32]);
        }
        squatter.send_rotation(&world.wire, &message).await
    };
    let off = [Defence::AccreditationSecret, Defence::Succession];
    defended(&off, Problem::NotAccredited, async |world: &mut RawWorld| {
        squat(world, false).await
    })
    .await?;
    // Even a registrar that tells the secret does not help.
    let off = [Defence::Succession];
    defended(&off, Problem::AlreadyExists, async |world: &mut RawWorld| {
        squat(world, true).await
    })
    .await
}

/// INS-2: a key that the registrar has not accredited.
#[tokio::test]
async fn a_rotation_without_the_registrar_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let hospital = world.institution("Hospital North").await?;
        let thief = crypto::SigningIdentity::generate(&OperatingSystem)?;
        let message = hospital.rotation(&thief, &RecipientSecret::generate(&OperatingSystem)?, |_| ())?;
        hospital.send_rotation(&world.wire, &message).await
    };
    let off = [Defence::StatementSignatures, Defence::Accreditation];
    defended(&off, Problem::NotAccredited, attack).await
}

/// INS-5: both keys open while they overlap.
#[tokio::test]
async fn permissions_under_the_old_key_are_used_during_the_overlap() -> Result<()> {
    let world = RawWorld::start().await?;
    let (mut hospital, patient, old) = permitted(&world).await?;
    let old_key = hospital.rotate(&world.wire, &world.registrar, 3_600_000).await?;
    let offer = patient.offer(&world.wire, &hospital.entry, |_| ())?;
    patient.submit_offer(&world.wire, &offer).await?;
    assert!(
        hospital
            .present(&world.wire, offer.permission_id)
            .await?
            .status
            .is_success()
    );
    let new_key = std::mem::replace(&mut hospital.recipient, old_key);
    assert!(hospital.present(&world.wire, old).await?.status.is_success());
    // Under the new entry nothing is permitted to the old key any more (FLW-2).
    let first = world.institution("Hospital South").await?;
    drop(new_key);
    let stale = patient.offer(&world.wire, &first.entry, |body| {
        body.recipient_key_hash = hospital.recipient.public().digest();
    })?;
    let answer = patient
        .post(&world.wire, "/v1/requests/upload", &stale.message)
        .await?;
    assert_eq!(answer.problem(), Some(Problem::RequestMismatch), "{answer:?}");
    Ok(())
}

/// INS-5: after it, a permission under the old key is worth nothing.
#[tokio::test]
async fn the_old_key_is_refused_after_the_overlap() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (mut hospital, _, permission) = permitted(world).await?;
        hospital.recipient = hospital.rotate(&world.wire, &world.registrar, 1).await?;
        wait(50).await;
        hospital.present(&world.wire, permission).await
    };
    defended(&[Defence::KeyOverlap], Problem::KeyEnded, attack).await
}

/// INS-5: a later rotation cannot prolong what an earlier one has ended, and can end it sooner.
#[tokio::test]
async fn a_key_ends_at_the_earliest_of_all_ends() -> Result<()> {
    for (first, second) in [(3_600_000, 1), (1, 3_600_000)] {
        let attack = async |world: &mut RawWorld| {
            let (mut hospital, _, permission) = permitted(world).await?;
            let old = hospital.rotate(&world.wire, &world.registrar, first).await?;
            hospital.rotate(&world.wire, &world.registrar, second).await?;
            hospital.recipient = old;
            wait(50).await;
            hospital.present(&world.wire, permission).await
        };
        defended(&[Defence::KeyOverlap], Problem::KeyEnded, attack).await?;
    }
    Ok(())
}

/// A terminal with a session that waits for leaves.
async fn uploading(
    world: &RawWorld,
    edit: impl FnOnce(&mut protocol_spec::bodies::TerminalCertificate),
) -> Result<(RawInstitution, RawTerminal, PermissionId)> {
    let (hospital, _, permission) = permitted(world).await?;
    let terminal = hospital.add_terminal(&world.wire, edit).await?;
    Ok((hospital, terminal, permission))
}

/// INS-8: what a terminal may do for its institution.
#[tokio::test]
async fn a_terminal_presents_and_asks_for_its_institution() -> Result<()> {
    let world = RawWorld::start().await?;
    let (hospital, terminal, permission) = uploading(&world, |_| ()).await?;
    let answer = terminal.present(&world.wire, &hospital, permission).await?;
    assert!(answer.status.is_success(), "{answer:?}");
    let page: pb::TerminalPage = terminal
        .get(&world.wire, "/v1/institutions/terminals")
        .await?
        .message()?;
    assert_eq!(page.terminals.len(), 1);
    let own: pb::Terminal = terminal
        .get(&world.wire, "/v1/institutions/terminal")
        .await?
        .message()?;
    assert!(own.keys.is_some() && own.removal.is_none());
    Ok(())
}

/// INS-11: refused from the acknowledgement on, and for ever.
#[tokio::test]
async fn a_removed_terminal_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (hospital, terminal, permission) = uploading(world, |_| ()).await?;
        hospital.remove_terminal(&world.wire, terminal.id).await?;
        // Removing it again changes nothing.
        hospital.remove_terminal(&world.wire, terminal.id).await?;
        terminal.present(&world.wire, &hospital, permission).await
    };
    defended(&[Defence::TerminalLife], Problem::TerminalRemoved, attack).await?;
    let world = RawWorld::start().await?;
    let (hospital, terminal, _) = uploading(&world, |_| ()).await?;
    hospital.remove_terminal(&world.wire, terminal.id).await?;
    let again = hospital.certify(&terminal)?;
    let answer = hospital
        .post(&world.wire, "/v1/institutions/terminals", &again)
        .await?;
    assert_eq!(answer.problem(), Some(Problem::TerminalRemoved), "{answer:?}");
    Ok(())
}

/// INS-8: also a session that was opened before gets no further leaf.
#[tokio::test]
async fn a_removed_terminals_session_ends_at_the_next_step() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (hospital, terminal, permission) = uploading(world, |_| ()).await?;
        let answer: pb::PresentationAnswer = terminal
            .present(&world.wire, &hospital, permission)
            .await?
            .message()?;
        let Some(pb::presentation_answer::Answer::Standby(standby)) = answer.answer else {
            anyhow::bail!("no standby ticket");
        };
        let ticket = Signed::<protocol_spec::bodies::StandbyTicket>::try_from(standby.ticket)?;
        hospital.remove_terminal(&world.wire, terminal.id).await?;
        let stream = vec![0; usize::try_from(protocol_spec::content::stream_len(1000))?];
        let root = protocol_spec::content::single_leaf_root(&stream);
        let commit = pb::CommitUpload {
            content_root: bytes::Bytes::copy_from_slice(root.as_bytes()),
            stream_len: stream.len() as u64,
            sealed_manifest: bytes::Bytes::from_static(&[7; 1100]),
            content: stream.into(),
        };
        let path = format!("/v1/uploads/{}/commit", ticket.claimed().upload_id);
        terminal.post(&world.wire, &path, &commit).await
    };
    defended(&[Defence::TerminalLife], Problem::TerminalRemoved, attack).await
}

/// INS-8
#[tokio::test]
async fn a_terminal_whose_certificate_is_over_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let soon = tests::raw::now_ms() + 1500;
        let (hospital, terminal, permission) = uploading(world, |it| it.not_after = soon).await?;
        wait(1600).await;
        terminal.present(&world.wire, &hospital, permission).await
    };
    defended(&[Defence::TerminalLife], Problem::TerminalExpired, attack).await
}

/// INS-7: another institution certifies a terminal for this one.
#[tokio::test]
async fn a_terminal_that_another_institution_has_certified_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let hospital = world.institution("Hospital North").await?;
        let stranger = world.institution("Strangers").await?;
        let terminal = stranger.terminal(|certificate| certificate.institution_id = hospital.entry.id())?;
        stranger
            .post(
                &world.wire,
                "/v1/institutions/terminals",
                &stranger.certify(&terminal)?,
            )
            .await
    };
    defended(&[Defence::TerminalCertificates], Problem::NotPermitted, attack).await
}

/// INS-8: a key that nobody has certified is no caller at all.
#[tokio::test]
async fn a_terminal_that_was_never_certified_is_nobody() -> Result<()> {
    let world = RawWorld::start().await?;
    let hospital = world.institution("Hospital North").await?;
    let terminal = hospital.terminal(|_| ())?;
    let answer = terminal.get(&world.wire, "/v1/institutions/terminal").await?;
    assert_eq!(answer.problem(), Some(Problem::Unauthenticated), "{answer:?}");
    Ok(())
}

/// INS-10: a stolen terminal must not remove the others, add one, rotate or retire.
#[tokio::test]
async fn a_terminal_does_not_decide_for_its_institution() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (hospital, terminal, _) = uploading(world, |_| ()).await?;
        let other = hospital.add_terminal(&world.wire, |_| ()).await?;
        let removal = TerminalRemoval {
            created: tests::raw::now_ms(),
            operator_id: world.wire.operator_id(),
            institution_id: hospital.entry.id(),
            terminal_id: other.id,
        };
        let removal = Signed::sign(removal, |message| terminal.signing.sign_bytes(message));
        let message = pb::RemoveTerminal {
            removal: Some(removal.to_message()),
        };
        terminal
            .post(&world.wire, "/v1/institutions/terminals/removals", &message)
            .await
    };
    let off = [Defence::TerminalScope, Defence::StatementSignatures];
    defended(&off, Problem::NotPermitted, attack).await?;
    // Also with the institution's own statements, which a terminal may have come by.
    let world = RawWorld::start().await?;
    let (hospital, terminal, _) = uploading(&world, |_| ()).await?;
    let rotation = hospital.rotation(
        &world.registrar,
        &RecipientSecret::generate(&OperatingSystem)?,
        |_| (),
    )?;
    let answers = [
        terminal
            .post(&world.wire, "/v1/institutions/rotation", &rotation)
            .await?,
        terminal
            .post(&world.wire, "/v1/institutions/retirement", &hospital.retirement())
            .await?,
        terminal
            .post(
                &world.wire,
                "/v1/institutions/terminals",
                &hospital.certify(&hospital.terminal(|_| ())?)?,
            )
            .await?,
    ];
    for answer in answers {
        assert_eq!(answer.problem(), Some(Problem::NotPermitted), "{answer:?}");
    }
    Ok(())
}

/// INS-9: a terminal submits what another terminal of its institution has signed.
#[tokio::test]
async fn a_terminal_submits_only_what_it_has_signed_itself() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (hospital, terminal, _) = uploading(world, |_| ()).await?;
        let patient = RawPatient::enrol(&world.wire).await?;
        // By the identity key, without a certificate.
        let message = pb::SubmitDownloadRequest {
            request: Some(hospital.download_request(&world.wire, &patient)?.0),
        };
        terminal
            .post(&world.wire, "/v1/requests/download", &message)
            .await
    };
    defended(&[Defence::OwnStatements], Problem::NotPermitted, attack).await
}

/// INS-13: nothing is presented by it.
#[tokio::test]
async fn a_retired_institution_presents_nothing() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (hospital, _, permission) = permitted(world).await?;
        let delivery = hospital.deliver(&world.wire, permission).await?;
        let (_, possession) = hospital.open(&delivery)?;
        hospital.retire(&world.wire).await?;
        let call = RawInstitution::presentation(permission, &delivery)?;
        let pop = tests::raw::Key {
            id: &permission.to_string(),
            signing: &possession,
        };
        world.wire.present(&call, hospital.key(), pop).await
    };
    defended(&[Defence::Retirement], Problem::InstitutionRetired, attack).await
}

/// INS-13: nothing is permitted to it, and nobody is referred to it; its terminals end with it.
#[tokio::test]
async fn nothing_is_permitted_to_a_retired_institution() -> Result<()> {
    let permit = async |world: &mut RawWorld| -> Result<Answer> {
        let (hospital, patient, _) = permitted(world).await?;
        hospital.retire(&world.wire).await?;
        let offer = patient.offer(&world.wire, &hospital.entry, |_| ())?;
        patient
            .post(&world.wire, "/v1/requests/upload", &offer.message)
            .await
    };
    defended(&[Defence::Retirement], Problem::InstitutionRetired, permit).await?;
    let refer = async |world: &mut RawWorld| -> Result<Answer> {
        let (hospital, patient, _) = permitted(world).await?;
        let first = world.institution("Practice").await?;
        hospital.retire(&world.wire).await?;
        let request = first.reference_request(&world.wire, &patient, &hospital.entry)?;
        let message = pb::SubmitReferenceRequest {
            request: Some(request),
        };
        first.post(&world.wire, "/v1/requests/reference", &message).await
    };
    defended(&[Defence::Retirement], Problem::InstitutionRetired, refer).await?;
    let by_terminal = async |world: &mut RawWorld| -> Result<Answer> {
        let (hospital, terminal, permission) = uploading(world, |_| ()).await?;
        hospital.retire(&world.wire).await?;
        terminal.present(&world.wire, &hospital, permission).await
    };
    defended(&[Defence::Retirement], Problem::InstitutionRetired, by_terminal).await
}

/// INS-13: the directory says so, with the institution's signature.
#[tokio::test]
async fn a_retirement_stands_in_the_directory() -> Result<()> {
    let world = RawWorld::start().await?;
    let (hospital, _, _) = permitted(&world).await?;
    hospital.retire(&world.wire).await?;
    let page: pb::DirectoryEvents = world.wire.ask("/v1/directory/events").await?.message()?;
    let mut directory = Directory::new(world.registrar.public(), world.wire.operator_key);
    for event in page.events {
        directory.take(event.index, &event.entry)?;
    }
    let institution = directory.institution(hospital.entry.id())?.context("listed")?;
    assert!(institution.retirement().is_some());
    Ok(())
}
