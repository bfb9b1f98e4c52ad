//! The three flows by the programs that people use, each principal with a home and processes of its own.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tests::harness::{Cli, World, text};
use walkdir::WalkDir;

/// SHA-256 of every file below a folder, by relative path.
pub(crate) fn hashes(folder: &Path) -> Result<BTreeMap<String, [u8; 32]>> {
    let mut found = BTreeMap::new();
    for entry in WalkDir::new(folder) {
        let entry = entry?;
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(folder)?.display().to_string();
            found.insert(name, Sha256::digest(std::fs::read(entry.path())?).into());
        }
    }
    Ok(found)
}

pub(crate) fn array<'a>(answer: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    answer
        .get(field)
        .and_then(Value::as_array)
        .with_context(|| format!("no array {field} in {answer}"))
}

/// Patient asks, institution sends; returns the record's id.
pub(crate) fn upload(patient: &Cli, institution: &Cli, name: &str, files: &str) -> Result<String> {
    let offer = patient.run(&[
        "upload",
        "request",
        "--to",
        name,
        "--text",
        "please upload",
        "--max-bytes",
        "8000000000",
    ])?;
    let sent = institution.run(&["upload", "send", &text(&offer, "permission_id")?, files])?;
    assert_eq!(sent["resumed_bytes"], 0);
    text(&sent, "record_id")
}

/// Institution asks, patient permits, institution fetches.
pub(crate) fn download(
    patient: &Cli,
    patient_id: &str,
    institution: &Cli,
    record: &str,
    out: &str,
) -> Result<Value> {
    let asked = institution.run(&[
        "download",
        "request",
        "--patient",
        patient_id,
        "--text",
        "for the consultation",
    ])?;
    let permitted = patient.run(&["permit", &text(&asked, "request_id")?, "--record", record])?;
    institution.run(&[
        "download",
        "fetch",
        &text(&permitted, "permission_id")?,
        "--out",
        out,
    ])
}

#[test]
fn upload_download_and_reference_give_the_same_bytes() -> Result<()> {
    let world = World::start()?;
    let (patient, patient_id) = world.patient("patient")?;
    let (north, north_id) = world.institution("Hospital North")?;
    let (south, south_id) = world.institution("Clinic South")?;
    let directory = patient.run(&["directory"])?;
    let listed: Vec<_> = array(&directory, "institutions")?
        .iter()
        .map(|entry| text(entry, "institution_id"))
        .collect::<Result<_>>()?;
    assert!(listed.contains(&north_id) && listed.contains(&south_id));

    let sent = world.path("sent");
    std::fs::create_dir_all(sent.join("series"))?;
    std::fs::write(sent.join("report.txt"), "blood count: normal")?;
    std::fs::write(sent.join("empty.txt"), "")?;
    for slice in 0..5_u8 {
        std::fs::write(sent.join(format!("series/IM_{slice}.dcm")), vec![slice; 700_001])?;
    }
    let record = upload(&patient, &north, "Hospital North", &sent.display().to_string())?;

    // The patient's own copy, and who made it.
    let records = patient.run(&["records"])?;
    let [listed] = array(&records, "records")?.as_slice() else {
        anyhow::bail!("{records}")
    };
    assert_eq!(text(listed, "record_id")?, record);
    assert!(
        listed["from_name"] == "Hospital North" && listed["from"] == north_id.as_str(),
        "{listed}"
    );
    assert_eq!(array(listed, "parts")?.len(), 7);
    let own = world.path("own");
    patient.run(&["records", "get", &record, "--out", &own.display().to_string()])?;

    let downloaded = world.path("downloaded");
    let fetched = download(
        &patient,
        &patient_id,
        &south,
        &record,
        &downloaded.display().to_string(),
    )?;
    let [received] = array(&fetched, "records")?.as_slice() else {
        anyhow::bail!("{fetched}")
    };
    assert!(
        received["provenance"].to_string().contains("Hospital North"),
        "{received}"
    );

    let referred = north.run(&[
        "reference",
        "request",
        "--patient",
        &patient_id,
        "--to",
        "Clinic South",
        "--text",
        "please see her",
    ])?;
    let permitted = patient.run(&["permit", &text(&referred, "request_id")?, "--all"])?;
    let permission = text(&permitted, "permission_id")?;
    // The first institution gains nothing from the permission that it asked for.
    let refused = north.fail(&[
        "download",
        "fetch",
        &permission,
        "--out",
        &world.path("none").display().to_string(),
    ])?;
    assert_eq!(refused.exit, 1);
    assert!(!world.path("none").exists() || hashes(&world.path("none"))?.is_empty());
    let reference = world.path("reference");
    south.run(&[
        "download",
        "fetch",
        &permission,
        "--out",
        &reference.display().to_string(),
    ])?;

    let wanted: Vec<_> = hashes(&sent)?.into_values().collect();
    for folder in [own, downloaded, reference] {
        let found = hashes(&folder)?;
        let mut values: Vec<_> = found.values().copied().collect();
        let mut wanted = wanted.clone();
        values.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(values, wanted, "{}: {:?}", folder.display(), found.keys());
    }
    history_tells_it(&patient)
}

fn history_tells_it(patient: &Cli) -> Result<()> {
    let history = patient.run(&["history"])?.to_string();
    for institution in ["Hospital North", "Clinic South"] {
        assert!(history.contains(institution), "{history}");
    }
    Ok(())
}

/// FLW-11.
#[test]
fn events_come_in_order_and_only_to_whom_they_concern() -> Result<()> {
    let world = World::start()?;
    let (patient, patient_id) = world.patient("patient")?;
    let (north, _) = world.institution("Hospital North")?;
    let (south, _) = world.institution("Clinic South")?;
    // Waiting for an event that comes while one waits.
    let waiting = north.spawn(&["inbox", "--wait", "60"])?;
    patient.run(&[
        "upload",
        "request",
        "--to",
        "Hospital North",
        "--text",
        "the CT of May",
    ])?;
    let output = waiting.wait_with_output()?;
    let inbox: Value = serde_json::from_slice(&output.stdout)?;
    let [event] = array(&inbox, "events")?.as_slice() else {
        anyhow::bail!("{inbox}")
    };
    assert_eq!(
        (event["kind"].as_str(), event["text"].as_str()),
        (Some("upload-request"), Some("the CT of May"))
    );
    assert_eq!(
        event["from"].as_str().map(|from| from.contains(&patient_id)),
        Some(true),
        "{event}"
    );

    let first = south.run(&["download", "request", "--patient", &patient_id, "--text", "first"])?;
    let second = north.run(&[
        "download",
        "request",
        "--patient",
        &patient_id,
        "--text",
        "second",
    ])?;
    let inbox = patient.run(&["inbox"])?;
    let told: Vec<_> = array(&inbox, "events")?
        .iter()
        .map(|event| {
            (
                event["request_id"].clone(),
                event["text"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (first["request_id"].clone(), "first".into()),
            (second["request_id"].clone(), "second".into())
        ]
    );
    patient.run(&["deny", &text(&first, "request_id")?, "--text", "not now"])?;
    let inbox = south.run(&["inbox"])?;
    assert!(
        array(&inbox, "events")?
            .iter()
            .any(|event| event["kind"] == "denial" && event["text"] == "not now"),
        "{inbox}"
    );
    assert!(!north.run(&["inbox"])?.to_string().contains("not now"));
    Ok(())
}

#[test]
fn permissions_are_listed_with_state_and_uses_and_can_be_revoked() -> Result<()> {
    let world = World::start()?;
    let (patient, patient_id) = world.patient("patient")?;
    let (north, _) = world.institution("Hospital North")?;
    let file = world.path("report.txt");
    std::fs::write(&file, "report")?;
    let record = upload(&patient, &north, "Hospital North", &file.display().to_string())?;
    let asked = north.run(&["download", "request", "--patient", &patient_id, "--text", "t"])?;
    let permitted = patient.run(&[
        "permit",
        &text(&asked, "request_id")?,
        "--record",
        &record,
        "--uses",
        "3",
    ])?;
    let id = text(&permitted, "permission_id")?;
    north.run(&[
        "download",
        "fetch",
        &id,
        "--out",
        &world.path("a").display().to_string(),
    ])?;
    let find = |list: &Value| -> Result<Value> {
        Ok(array(list, "permissions")?
            .iter()
            .find(|entry| entry["permission_id"] == id.as_str())
            .context("absent")?
            .clone())
    };
    let entry = find(&patient.run(&["permissions"])?)?;
    assert_eq!(
        (entry["state"].as_str(), entry["uses_left"].as_u64()),
        (Some("live"), Some(2)),
        "{entry}"
    );
    patient.run(&["revoke", &id])?;
    let entry = find(&patient.run(&["permissions"])?)?;
    assert_eq!(entry["state"].as_str(), Some("revoked"), "{entry}");
    let refused = north.fail(&[
        "download",
        "fetch",
        &id,
        "--out",
        &world.path("b").display().to_string(),
    ])?;
    assert!(
        refused.exit == 1 && refused.text.contains("revoked"),
        "{refused:?}"
    );
    assert!(!world.path("b").exists() || hashes(&world.path("b"))?.is_empty());
    Ok(())
}

#[test]
fn one_upload_permission_can_serve_several_records() -> Result<()> {
    let world = World::start()?;
    let (patient, patient_id) = world.patient("patient")?;
    let (north, _) = world.institution("Hospital North")?;
    let offer = patient.run(&[
        "upload",
        "request",
        "--to",
        "Hospital North",
        "--text",
        "laboratory",
        "--uses",
        "2",
    ])?;
    let permission = text(&offer, "permission_id")?;
    let mut records = Vec::new();
    for number in 0..2 {
        let file = world.path(&format!("result-{number}.txt"));
        std::fs::write(&file, format!("result {number}"))?;
        records.push(text(
            &north.run(&["upload", "send", &permission, &file.display().to_string()])?,
            "record_id",
        )?);
    }
    let third = north.fail(&[
        "upload",
        "send",
        &permission,
        &world.path("result-0.txt").display().to_string(),
    ])?;
    assert!(third.exit == 1 && third.text.contains("spent"), "{third:?}");
    let out = world.path("out");
    for record in &records {
        download(&patient, &patient_id, &north, record, &out.display().to_string())?;
    }
    assert_eq!(hashes(&out)?.len(), 2);
    Ok(())
}
