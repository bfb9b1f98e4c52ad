//! Enrolment floods: by nobody's leave, by one invitation over and over, without work, from one address.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use crypto::{OperatingSystem, SigningIdentity};
use protocol_spec::{
    bodies::Invitation,
    defence::Defence,
    ids::{InstitutionId, InvitationId},
    invitation::{InvitationText, Invited},
    messages as pb,
    problem::Problem,
    statement::Signed,
    work::Work,
};
use tests::{
    harness::{World, program, text},
    raw::{Answer, RawInstitution, RawPatient, RawWorld, Wire, defended_with, now_ms, random},
};

const INVITATION: &[&str] = &["--enrolment", "invitation"];

/// Enrols a fresh patient with whatever else the message gets.
async fn enrol(wire: &Wire, edit: impl FnOnce(&RawPatient, &mut pb::EnrolPatient)) -> Result<Answer> {
    let patient = RawPatient::new()?;
    let mut message = patient.enrolment()?;
    edit(&patient, &mut message);
    patient.post(wire, "/v1/patients", &message).await
}

fn invitation(
    wire: &Wire,
    by: InstitutionId,
    key: &SigningIdentity,
    uses: u32,
) -> Result<Signed<Invitation>> {
    let body = Invitation {
        created: now_ms(),
        operator_id: wire.operator_id(),
        institution_id: Some(by),
        invitation_id: InvitationId::mint(now_ms(), random()?),
        uses,
        expires: now_ms() + 3_600_000,
    };
    Ok(Signed::sign(body, |message| key.sign_bytes(message)))
}

async fn invited(wire: &Wire, invitation: &Signed<Invitation>) -> Result<Answer> {
    enrol(wire, |_, message| {
        message.invitation = Some(invitation.to_message())
    })
    .await
}

/// ACC-1, ATK-80: whoever just comes is not enrolled; without the defence she is.
#[tokio::test]
async fn nobody_enrols_uninvited() -> Result<()> {
    let off = &[Defence::EnrolmentInvitation];
    defended_with(INVITATION, off, Problem::InvitationNeeded, async |world| {
        enrol(&world.wire, |_, _| ()).await
    })
    .await
}

/// ACC-2, ATK-80: an invitation for two is used a third time.
#[tokio::test]
async fn an_invitation_is_used_up() -> Result<()> {
    let off = &[Defence::EnrolmentInvitation];
    defended_with(INVITATION, off, Problem::InvitationOver, async |world| {
        let clinic = world.institution("Clinic").await?;
        let invitation = invitation(&world.wire, clinic.entry.id(), &clinic.identity, 2)?;
        for _ in 0..2 {
            invited(&world.wire, &invitation)
                .await?
                .message::<pb::Accepted>()?;
        }
        invited(&world.wire, &invitation).await
    })
    .await
}

/// ACC-2, ACC-3: what is no invitation of this server's, or of nobody who may invite; and who has invited goes first.
#[tokio::test]
async fn who_invites_must_be_there_and_go_on() -> Result<()> {
    let flags = [INVITATION, &["--invited-per-institution", "2"]].concat();
    let world = RawWorld::start_with(&flags, &[]).await?;
    let wire = &world.wire;
    let clinic = world.institution("Clinic").await?;
    let id = clinic.entry.id();

    let forged = invitation(wire, id, &SigningIdentity::generate(&OperatingSystem)?, 1)?;
    let refused = invited(wire, &forged).await?;
    ensure!(
        refused.problem() == Some(Problem::InvitationNeeded),
        "{refused:?}"
    );
    let nobody = SigningIdentity::generate(&OperatingSystem)?;
    let unknown = invitation(wire, InstitutionId::from(&nobody.public()), &nobody, 1)?;
    let refused = invited(wire, &unknown).await?;
    ensure!(refused.problem() == Some(Problem::InvitationOver), "{refused:?}");
    let mut late = invitation(wire, id, &clinic.identity, 1)?.claimed().clone();
    late.expires = now_ms() - 1;
    let late = Signed::sign(late, |message| clinic.identity.sign_bytes(message));
    let refused = invited(wire, &late).await?;
    ensure!(refused.problem() == Some(Problem::InvitationOver), "{refused:?}");

    // The same enrolment again uses nothing up, and the institution's day ends.
    let once = invitation(wire, id, &clinic.identity, 1)?;
    let patient = RawPatient::new()?;
    let mut message = patient.enrolment()?;
    message.invitation = Some(once.to_message());
    for _ in 0..2 {
        patient
            .post(wire, "/v1/patients", &message)
            .await?
            .message::<pb::Accepted>()?;
    }
    let many = invitation(wire, id, &clinic.identity, 9)?;
    invited(wire, &many).await?.message::<pb::Accepted>()?;
    let refused = invited(wire, &many).await?;
    ensure!(refused.problem() == Some(Problem::TooMany), "{refused:?}");

    let other = world.institution("Other").await?;
    let late = invitation(wire, other.entry.id(), &other.identity, 1)?;
    retire(&world, &other).await?;
    let refused = invited(wire, &late).await?;
    ensure!(refused.problem() == Some(Problem::InvitationOver), "{refused:?}");
    Ok(())
}

async fn retire(world: &RawWorld, institution: &RawInstitution) -> Result<()> {
    let retirement = protocol_spec::bodies::Retirement {
        created: now_ms(),
        operator_id: world.wire.operator_id(),
        institution_id: institution.entry.id(),
        entry_hash: institution.entry.entry_hash(),
    };
    let signed = Signed::sign(retirement, |message| institution.identity.sign_bytes(message));
    let message = pb::RetireInstitution {
        retirement: Some(signed.to_message()),
    };
    institution
        .post(&world.wire, "/v1/institutions/retirement", &message)
        .await?
        .message::<pb::Accepted>()?;
    Ok(())
}

/// ACC-4, ATK-80: where anybody may enrol, no work is done.
#[tokio::test]
async fn nobody_enrols_without_work() -> Result<()> {
    let flags = &["--enrolment", "open", "--enrolment-work", "16"];
    defended_with(
        flags,
        &[Defence::EnrolmentWork],
        Problem::WorkNeeded,
        async |world| {
            let wire = &world.wire;
            // With it she is let in.
            let info: pb::ServerInfo = RawPatient::new()?.get(wire, "/v1/server").await?.message()?;
            ensure!(info.enrolment() == pb::EnrolmentPolicy::Work, "{info:?}");
            let work = Work {
                challenge: info.work_challenge.as_ref().try_into()?,
                bits: info.work_bits,
            };
            let answer = enrol(wire, |patient, message| {
                message.work = work.find(patient.id).map(|counter| work.shown(counter));
            });
            answer.await?.message::<pb::Accepted>()?;
            // Another one's work is none.
            enrol(wire, |_, message| message.work = Some(work.shown(7))).await
        },
    )
    .await
}

/// ACC-5, ATK-80: one address enrols one patient after the other.
#[tokio::test]
async fn one_address_enrols_a_few_in_an_hour() -> Result<()> {
    let flags = &[
        "--enrolment",
        "open",
        "--enrolment-work",
        "0",
        "--enrolments-per-address",
        "2",
    ];
    let off = &[Defence::EnrolmentsOfAddress];
    defended_with(flags, off, Problem::TooMany, async |world| {
        for _ in 0..2 {
            enrol(&world.wire, |_, _| ()).await?.message::<pb::Accepted>()?;
        }
        enrol(&world.wire, |_, _| ()).await
    })
    .await
}

/// ACC-5, ATK-80: enrolments without work, and one that comes again, leave the address all that it may have.
#[tokio::test]
async fn what_is_refused_or_repeated_is_not_counted() -> Result<()> {
    let flags = &[
        "--enrolment",
        "open",
        "--enrolment-work",
        "8",
        "--enrolments-per-address",
        "2",
    ];
    let world = RawWorld::start_with(flags, &[]).await?;
    let wire = &world.wire;
    for _ in 0..3 {
        let refused = enrol(wire, |_, message| message.work = None).await?;
        ensure!(refused.problem() == Some(Problem::WorkNeeded), "{refused:?}");
    }
    let info: pb::ServerInfo = RawPatient::new()?.get(wire, "/v1/server").await?.message()?;
    let work = Work {
        challenge: info.work_challenge.as_ref().try_into()?,
        bits: info.work_bits,
    };
    let worked = |patient: &RawPatient| -> Result<pb::EnrolPatient> {
        Ok(pb::EnrolPatient {
            work: work.find(patient.id).map(|counter| work.shown(counter)),
            ..patient.enrolment()?
        })
    };
    let (first, second, third) = (RawPatient::new()?, RawPatient::new()?, RawPatient::new()?);
    let again = worked(&first)?;
    for _ in 0..3 {
        first
            .post(wire, "/v1/patients", &again)
            .await?
            .message::<pb::Accepted>()?;
    }
    second
        .post(wire, "/v1/patients", &worked(&second)?)
        .await?
        .message::<pb::Accepted>()?;
    let refused = third.post(wire, "/v1/patients", &worked(&third)?).await?;
    ensure!(refused.problem() == Some(Problem::TooMany), "{refused:?}");
    Ok(())
}

/// ACC-1, ACC-2: by the programs: the operator invites, an institution invites, and the link alone is enough.
#[test]
fn the_operator_and_a_hospital_invite() -> Result<()> {
    let world = World::start_with(INVITATION)?;
    let link = world.server.link().to_string();
    let patient = world.principal("patient");
    let refused = patient.fail(&["patient", "enrol", "--server", &link])?;
    assert_eq!(refused.json["error"]["code"], "invitation-needed", "{refused:?}");
    assert!(refused.text.contains("--invitation"), "{refused:?}");

    let invitation = operators(world.server.data(), &[])?;
    let enrol = ["patient", "enrol", "--server", &link, "--invitation", &invitation];
    patient.run(&enrol)?;
    let again = world.principal("again").fail(&enrol)?;
    assert_eq!(again.json["error"]["code"], "invitation-over", "{again:?}");

    let both = operators(world.server.data(), &["--link", &link])?;
    ensure!(both.parse::<Invited>()?.invitation.is_some(), "{both}");
    world
        .principal("second")
        .run(&["patient", "enrol", "--server", &both])?;

    let (clinic, _) = world.institution("Clinic")?;
    let invited = clinic.run(&["institution", "invite", "--uses", "2"])?;
    let by_clinic = text(&invited, "link")?;
    text(&invited, "invitation")?.parse::<InvitationText>()?;
    for name in ["third", "fourth"] {
        world
            .principal(name)
            .run(&["patient", "enrol", "--server", &by_clinic])?;
    }
    let over = world
        .principal("fifth")
        .fail(&["patient", "enrol", "--server", &by_clinic])?;
    assert_eq!(over.json["error"]["code"], "invitation-over", "{over:?}");
    let torn =
        world
            .principal("sixth")
            .fail(&["patient", "enrol", "--server", &link, "--invitation", "inv_abc"])?;
    assert_eq!(torn.json["error"]["code"], "usage", "{torn:?}");
    Ok(())
}

/// `vault-server invite`, while the server runs.
fn operators(data: &Path, more: &[&str]) -> Result<String> {
    let output = Command::new(program("vault-server")?)
        .args(["invite", "--data"])
        .arg(data)
        .args(more)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().next().context("nothing was printed")?;
    Ok(line.to_owned())
}
