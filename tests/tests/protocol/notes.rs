//! Notes about permissions by the real programs: the institution reads them, the history proves them, nobody else writes or sees one.

use anyhow::{Result, ensure};
use crypto::{OperatingSystem, TextContext, seal_text};
use protocol_spec::{
    bodies::Note,
    defence::Defence,
    hash::Sha256Digest,
    ids::{PermissionId, RequestId},
    messages as pb,
    patient::PatientSigned,
    permission::SignedPermission,
    problem::Problem,
    statement::Signed,
};
use tests::{
    harness::{Cli, World, text},
    raw::{RawPatient, RawWorld, defended, now_ms},
};

use super::flows::array;

/// What an inbox shows of notes: permission, sender, text.
fn notes(by: &Cli) -> Result<Vec<(String, String, String)>> {
    let inbox = by.run(&["inbox"])?;
    let notes = array(&inbox, "events")?;
    let notes = notes.iter().filter(|event| event["kind"] == "note");
    notes
        .map(|note| {
            Ok((
                text(note, "permission_id")?,
                text(note, "from")?,
                text(note, "text")?,
            ))
        })
        .collect()
}

/// NOTE-2, NOTE-3, NOTE-4
#[test]
fn an_institution_reads_what_a_patient_says_about_its_permission() -> Result<()> {
    let world = World::start()?;
    let (patient, patient_id) = world.patient("patient")?;
    let (north, _) = world.institution("Hospital North")?;
    let (south, _) = world.institution("Clinic South")?;
    let ask = [
        "upload",
        "request",
        "--to",
        "Hospital North",
        "--text",
        "the knee",
    ];
    let permission = text(&patient.run(&ask)?, "permission_id")?;
    let said = "the left one,\nnot the right one: höchstens 2 Bilder";
    let sent = patient.run(&["note", &permission, "--text", said])?;
    ensure!(text(&sent, "permission_id")? == permission, "{sent}");
    // Also when it is over.
    patient.run(&["revoke", &permission])?;
    patient.run(&["note", &permission, "--text", "never mind"])?;

    let expected = [said, "never mind"].map(|said| (permission.clone(), patient_id.clone(), said.to_owned()));
    assert_eq!(notes(&north)?, expected);
    assert_eq!(notes(&south)?, []);

    let checked = patient.run(&["history", "--verify"])?;
    assert_eq!(checked["checked"]["holds"], true, "{checked}");
    let noted: Vec<_> = array(&checked, "history")?
        .iter()
        .filter(|entry| entry["kind"] == "noted")
        .map(|entry| {
            (
                entry["permission_id"].clone(),
                entry["name"].clone(),
                entry["answered_by"].clone(),
            )
        })
        .collect();
    let one = (permission.into(), "Hospital North".into(), "this device".into());
    assert_eq!(noted, [one.clone(), one]);
    assert!(
        !checked.to_string().contains("never mind"),
        "the history has texts"
    );
    Ok(())
}

/// NOTE-3: nothing is sent of what no note may say, nor about what she has not permitted.
#[test]
fn a_note_that_may_not_be_is_not_sent() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    let (north, _) = world.institution("Hospital North")?;
    let ask = [
        "upload",
        "request",
        "--to",
        "Hospital North",
        "--text",
        "the knee",
    ];
    let permission = text(&patient.run(&ask)?, "permission_id")?;
    for bad in ["", "a\u{1b}[2Jb", &"x".repeat(2001)] {
        let refused = patient.fail(&["note", &permission, "--text", bad])?;
        assert!(
            refused.text.contains("a note has 1 to 2000 characters"),
            "{}",
            refused.text
        );
    }
    let other = PermissionId::from_bytes([7; 16]).to_string();
    patient.fail(&["note", &other, "--text", "hello"])?;
    assert_eq!(notes(&north)?, []);
    patient.run(&["note", &permission, "--text", &"ü".repeat(2000)])?;
    assert_eq!(notes(&north)?.len(), 1);
    Ok(())
}

/// NOTE-2b, and its control: another permission's hash is refused; a server without the defence takes it.
#[tokio::test]
async fn a_note_about_another_permission_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let patient = RawPatient::enrol(&world.wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let offer = patient.offer(&world.wire, &hospital.entry, |_| ())?;
        patient
            .post(&world.wire, "/v1/requests/upload", &offer.message)
            .await?
            .message::<pb::Accepted>()?;
        let permission = SignedPermission::try_from(offer.message.permission.clone())?;
        let permission = permission.claimed();
        let note_id = RequestId::from_bytes([9; 16]);
        let context =
            TextContext::to_institution(note_id, &permission.patient_id, &permission.institution_id);
        let note = Note {
            created: now_ms(),
            note_id,
            permission_id: permission.permission_id,
            permission_hash: Sha256Digest::of(b"another"),
            patient_id: permission.patient_id,
            institution_id: permission.institution_id,
            text: seal_text(
                &OperatingSystem,
                hospital.entry.recipient_key(),
                &context,
                "hello",
            )?,
        };
        let signed = Signed::sign(note, |message| patient.key().signing.sign_bytes(message));
        let message = pb::SubmitNote {
            note: Some((&PatientSigned::new(signed, patient.chain().clone())).into()),
        };
        patient.post(&world.wire, "/v1/notes", &message).await
    };
    defended(&[Defence::RequestMatch], Problem::NotPermitted, attack).await
}
