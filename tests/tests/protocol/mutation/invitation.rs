//! Whoever invites has signed every field of the invitation (ACC-2). By itself, because it decides who is let in at all.

use anyhow::{Result, ensure};
use protocol_spec::{
    bodies::Invitation, defence::Defence, ids::InvitationId, messages as pb, problem::Problem,
    statement::Signed,
};
use tests::{
    attack::note,
    raw::{Answer, RawPatient, RawWorld, now_ms, random},
};

use super::wire::{fields, flip};

const INVITATION: &[&str] = &["--enrolment", "invitation"];

/// A clinic invites; the body is changed at that place, if any, and somebody enrols by it.
async fn enrol_by_changed(world: &RawWorld, name: Option<&str>) -> Result<(Vec<String>, Answer)> {
    let clinic = world.institution("Clinic").await?;
    let body = Invitation {
        created: now_ms(),
        operator_id: world.wire.operator_id(),
        institution_id: Some(clinic.entry.id()),
        invitation_id: InvitationId::mint(now_ms(), random()?),
        uses: 8,
        expires: now_ms() + 3_600_000,
    };
    let mut statement = Signed::sign(body, |message| clinic.identity.sign_bytes(message)).to_message();
    let mut places = Vec::new();
    fields(&statement.body, "", &["1"], 0, &mut places);
    if let Some((_, at)) = places.iter().find(|(known, _)| Some(known.as_str()) == name) {
        statement.body = flip(&statement.body, *at);
    }
    let patient = RawPatient::new()?;
    let message = pb::EnrolPatient {
        invitation: Some(statement),
        ..patient.enrolment()?
    };
    let answer = patient.post(&world.wire, "/v1/patients", &message).await?;
    Ok((places.into_iter().map(|(name, _)| name).collect(), answer))
}

#[tokio::test]
async fn every_field_of_an_invitation_is_bound() -> Result<()> {
    let refusals = [
        Problem::InvitationNeeded,
        Problem::InvitationOver,
        Problem::Malformed,
        Problem::UnsupportedVersion,
    ];
    let world = RawWorld::start_with(INVITATION, &[]).await?;
    let (names, unchanged) = enrol_by_changed(&world, None).await?;
    ensure!(unchanged.status.is_success(), "unchanged: {unchanged:?}");
    ensure!(names.len() == 8, "{names:?}");
    for name in &names {
        let (_, answer) = enrol_by_changed(&world, Some(name)).await?;
        let refused = answer
            .problem()
            .is_some_and(|problem| refusals.contains(&problem));
        note(&[], !refused)?;
        ensure!(refused, "{name}: {answer:?}");
    }
    // What nothing but the signature holds: when it was made, which it is, and for how many.
    let off = &[Defence::StatementSignatures];
    let world = RawWorld::start_with(INVITATION, off).await?;
    for name in ["1.3", "4", "5", "6"] {
        let (_, answer) = enrol_by_changed(&world, Some(name)).await?;
        note(off, answer.status.is_success())?;
        ensure!(answer.status.is_success(), "{name}, control: {answer:?}");
    }
    Ok(())
}
