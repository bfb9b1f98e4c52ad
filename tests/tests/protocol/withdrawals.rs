//! The registrar withdraws an accreditation: what ends with it, and a server that hides it.

use anyhow::{Result, ensure};
use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    bodies::{StandbyTicket, Withdrawal},
    defence::Defence,
    ids::RegistrarId,
    messages as pb,
    problem::Problem,
    statement::Signed,
};
use tests::{
    attack::play,
    harness::{Cli, World, text},
    raw::{Answer, RawInstitution, RawPatient, RawWorld, defended},
};

/// The withdrawal of a hospital, signed by the world's registrar after this change.
fn withdrawal(
    world: &RawWorld,
    hospital: &RawInstitution,
    change: impl FnOnce(&mut Withdrawal),
) -> pb::WithdrawInstitution {
    let mut body = Withdrawal {
        created: 1,
        registrar_id: RegistrarId::from(&world.registrar.public()),
        institution_id: hospital.entry.id(),
    };
    change(&mut body);
    let signed = Signed::sign(body, |message| world.registrar.sign_bytes(message));
    pb::WithdrawInstitution {
        withdrawal: Some(signed.to_message()),
    }
}

async fn bring(world: &RawWorld, message: &pb::WithdrawInstitution) -> Result<Answer> {
    // Whoever brings it: the signature of the request means nothing.
    let stranger = RawPatient::enrol(&world.wire).await?;
    stranger
        .post(&world.wire, "/v1/directory/withdrawals", message)
        .await
}

async fn withdraw(world: &RawWorld, hospital: &RawInstitution) -> Result<()> {
    let answer = bring(world, &withdrawal(world, hospital, |_| ())).await?;
    answer.message::<pb::Withdrawn>()?;
    Ok(())
}

/// ATK-1, INS-15: what has ended presents nothing, and nothing is permitted to it, nor is anybody referred to it; its terminals end with it.
#[tokio::test]
async fn whose_accreditation_was_withdrawn_gets_nothing() -> Result<()> {
    let off = [Defence::Withdrawal];
    let present = async |world: &mut RawWorld| {
        let (hospital, patient) = (
            world.institution("Hospital North").await?,
            RawPatient::enrol(&world.wire).await?,
        );
        let offer = patient.offer(&world.wire, &hospital.entry, |_| ())?;
        patient.submit_offer(&world.wire, &offer).await?;
        let terminal = hospital.add_terminal(&world.wire, |_| ()).await?;
        withdraw(world, &hospital).await?;
        terminal
            .present(&world.wire, &hospital, offer.permission_id)
            .await
    };
    defended(&off, Problem::AccreditationWithdrawn, present).await?;
    let permit = async |world: &mut RawWorld| {
        let (hospital, patient) = (
            world.institution("Hospital North").await?,
            RawPatient::enrol(&world.wire).await?,
        );
        withdraw(world, &hospital).await?;
        let offer = patient.offer(&world.wire, &hospital.entry, |_| ())?;
        patient
            .post(&world.wire, "/v1/requests/upload", &offer.message)
            .await
    };
    defended(&off, Problem::AccreditationWithdrawn, permit).await?;
    let refer = async |world: &mut RawWorld| {
        let (hospital, patient) = (
            world.institution("Hospital North").await?,
            RawPatient::enrol(&world.wire).await?,
        );
        let first = world.institution("Practice").await?;
        withdraw(world, &hospital).await?;
        let request = first.reference_request(&world.wire, &patient, &hospital.entry)?;
        let message = pb::SubmitReferenceRequest {
            request: Some(request),
        };
        first.post(&world.wire, "/v1/requests/reference", &message).await
    };
    defended(&off, Problem::AccreditationWithdrawn, refer).await
}

/// INS-15: a session that was opened before goes no further.
#[tokio::test]
async fn an_open_session_ends_with_the_accreditation() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (hospital, patient) = (
            world.institution("Hospital North").await?,
            RawPatient::enrol(&world.wire).await?,
        );
        let offer = patient.offer(&world.wire, &hospital.entry, |_| ())?;
        patient.submit_offer(&world.wire, &offer).await?;
        let terminal = hospital.add_terminal(&world.wire, |_| ()).await?;
        let answer: pb::PresentationAnswer = terminal
            .present(&world.wire, &hospital, offer.permission_id)
            .await?
            .message()?;
        let Some(pb::presentation_answer::Answer::Standby(standby)) = answer.answer else {
            anyhow::bail!("no standby ticket");
        };
        let ticket = Signed::<StandbyTicket>::try_from(standby.ticket)?;
        withdraw(world, &hospital).await?;
        let path = format!("/v1/uploads/{}", ticket.claimed().upload_id);
        terminal.get(&world.wire, &path).await
    };
    defended(&[Defence::Withdrawal], Problem::AccreditationWithdrawn, attack).await
}

/// INS-15: nobody but the registrar withdraws, and nobody who never enrolled is withdrawn; the same again is answered with the first.
#[tokio::test]
async fn a_withdrawal_proves_itself() -> Result<()> {
    let world = RawWorld::start().await?;
    let hospital = world.institution("Hospital North").await?;
    let stranger = RawWorld::start().await?;
    let nobody = stranger.institution("Nobody").await?;
    for (what, message) in [
        ("another registrar", withdrawal(&stranger, &hospital, |_| ())),
        (
            "another registrar's id",
            withdrawal(&world, &hospital, |body| {
                body.registrar_id = RegistrarId::from(&stranger.registrar.public());
            }),
        ),
        ("who never enrolled", withdrawal(&world, &nobody, |_| ())),
    ] {
        let answer = bring(&world, &message).await?;
        ensure!(
            answer.problem() == Some(Problem::NotPermitted),
            "{what}: {answer:?}"
        );
    }
    let first: pb::Withdrawn = bring(&world, &withdrawal(&world, &hospital, |_| ()))
        .await?
        .message()?;
    let again = withdrawal(&world, &hospital, |body| body.created = 2);
    let again: pb::Withdrawn = bring(&world, &again).await?.message()?;
    ensure!(first.withdrawal == again.withdrawal);
    let path = format!("/v1/directory/{}/entries", hospital.entry.id());
    let page: pb::EntryPage = world.wire.ask(&path).await?.message()?;
    ensure!(
        page.entries.len() == 1,
        "the chain stays for whoever checks a case"
    );
    Ok(())
}

/// Has the registrar withdraw an institution's accreditation, and carries the file to the server.
fn withdrawn(world: &World, institution: &str) -> Result<()> {
    let file = world.path("withdrawal").display().to_string();
    let made = world
        .registrar
        .run(&["registrar", "withdraw", institution, "--out", &file])?;
    ensure!(made["institution_id"] == institution, "{made}");
    let link = world.server.link().to_string();
    let carrier = world.principal("carrier");
    let brought = carrier.run(&["directory", "withdraw", &file, "--server", &link])?;
    ensure!(brought["institution_id"] == institution, "{brought}");
    ensure!(
        brought["index"].as_u64() < brought["log_size"].as_u64(),
        "{brought}"
    );
    let again = carrier.run(&["directory", "withdraw", &file, "--server", &link])?;
    ensure!(again["index"] == brought["index"], "{again}");
    Ok(())
}

fn permits(patient: &Cli) -> Result<String> {
    let ask = ["upload", "request", "--to", "St. Anna", "--text", "please"];
    let output = patient.command(&ask)?.output()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    if output.status.success() {
        return text(&answer, "permission_id").map(|_| "permitted".to_owned());
    }
    text(&answer["error"], "code")
}

/// INS-15, INS-16: enrolled, withdrawn, shown so, asked for nothing more, and getting nothing more.
#[test]
fn a_withdrawn_institution_is_shown_as_such_and_nothing_is_sealed_to_it() -> Result<()> {
    let world = World::start()?;
    let (hospital, id) = world.institution("St. Anna")?;
    let (patient, _) = world.patient("alice")?;
    ensure!(permits(&patient)? == "permitted");
    withdrawn(&world, &id)?;
    let directory = patient.run(&["directory"])?;
    ensure!(directory["institutions"][0]["withdrawn"] == true, "{directory}");
    ensure!(permits(&patient)? == "accreditation-withdrawn");
    let refused = hospital.fail(&["inbox"])?;
    ensure!(
        refused.json["error"]["code"] == "accreditation-withdrawn",
        "{refused:?}"
    );
    let audited = patient.run(&["directory", "audit"])?;
    ensure!(audited["events"] == 2, "{audited}");
    Ok(())
}

/// ATK-1, LOG-16, INS-16: a server that hides the withdrawal, and would take a permission all the same. She wraps nothing; without the check
/// by the checkpoint's line she does.
#[test]
fn a_hidden_withdrawal_is_noticed_before_anything_is_wrapped() -> Result<()> {
    let (world, liar) = World::start_behind_liar_without(&[Defence::Withdrawal])?;
    let (_, id) = world.institution("St. Anna")?;
    let (patient, _) = world.patient("alice")?;
    let (control, _) = world.patient("control")?;
    for patient in [&patient, &control] {
        patient.run(&["directory"])?;
    }
    withdrawn(&world, &id)?;
    liar.tell_of("/v1/directory/events", |page: pb::DirectoryEvents| {
        pb::DirectoryEvents {
            events: Vec::new(),
            ..page
        }
    });
    play(&[Defence::DirectoryHead], |without| {
        let patient = if without.is_empty() { &patient } else { &control };
        let came = permits(&patient.without(without))?;
        ensure!(
            ["permitted", "directory-conflict"].contains(&came.as_str()),
            "{came}"
        );
        Ok(came == "permitted")
    })?;
    liar.be_honest();
    ensure!(permits(&patient)? == "accreditation-withdrawn");
    Ok(())
}

/// INS-15: the carrier's program believes neither a foreign file nor an answer without its proof.
#[test]
fn the_carrier_verifies_what_it_brings_and_what_it_is_told() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (_, id) = world.institution("St. Anna")?;
    let other = world.principal("other-registrar");
    other.run(&["registrar", "init"])?;
    let link = world.server.link().to_string();
    let carry = |registrar: &Cli, name: &str| -> Result<_> {
        let file = world.path(name).display().to_string();
        registrar.run(&["registrar", "withdraw", &id, "--out", &file])?;
        world
            .principal("carrier")
            .fail(&["directory", "withdraw", &file, "--server", &link])
    };
    let refused = carry(&other, "foreign")?;
    ensure!(refused.json["error"]["code"] == "tampered", "{refused:?}");
    liar.tell(|path, body| match path.starts_with("/v1/directory/withdrawals") {
        true => {
            let mut answer = pb::Withdrawn::decode(body).unwrap_or_default();
            let proof = answer.proof.get_or_insert_default();
            proof.proof = proof.proof.replacen("index ", "index 1", 1);
            Bytes::from(answer.encode_to_vec())
        }
        false => body,
    });
    let refused = carry(&world.registrar, "own")?;
    ensure!(refused.json["error"]["code"] == "tampered", "{refused:?}");
    Ok(())
}
