//! The three flows, as the people in them would carry them out.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::cast::Cast;
use super::narrator::{heading, rate, remark, size, tell, tell_after};
use super::principal::text;

/// What the flows left: a record, the folders it was received in, the texts said.
pub(super) struct Told {
    /// The record that the first hospital sent.
    pub(super) record: String,
    /// Folders in which the files arrived.
    pub(super) received: Vec<PathBuf>,
    /// What was said between patient and hospitals.
    pub(super) secret_texts: Vec<String>,
}

/// Plays upload, download and reference.
pub(super) fn play(cast: &Cast, files: &Path) -> Result<Told> {
    let record = upload(cast, files)?;
    let received = vec![download(cast, &record)?, reference(cast, &record)?];
    let secret_texts = [ASK_NORTH, ASK_PATIENT, REFER].map(str::to_owned).into();
    Ok(Told {
        record,
        received,
        secret_texts,
    })
}

fn upload(cast: &Cast, files: &Path) -> Result<String> {
    heading("Upload: the patient asks Hospital North to put her files into her vault");
    let asked = tell(
        "Patient ──▶ server ──▶ Hospital North",
        "upload request (sealed text) + upload permission key (wrapped for Hospital North)",
        || {
            cast.patient.run(&[
                "upload",
                "request",
                "--to",
                cast.north.name(),
                "--text",
                ASK_NORTH,
            ])
        },
    )?;
    let record = send(cast, files, &text(&asked, "request_id")?)?;
    tell_after(
        "Patient ◀── server",
        || cast.patient.run(&["records"]),
        |records, _| {
            let mine = records["records"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|one| one["record_id"] == record.as_str());
            let parts = mine.and_then(|one| one["parts"].as_array()).map_or(0, Vec::len);
            format!("adopts the record: {parts} files, signed by Hospital North")
        },
    )?;
    Ok(record)
}

/// Hospital North opens the request and sends the files. Gives the record's id.
fn send(cast: &Cast, files: &Path, request: &str) -> Result<String> {
    let event = tell_after(
        "Hospital North ◀── server",
        || cast.north.event("upload-request", ("request_id", request)),
        |event, _| {
            format!(
                "opens the request: “{}”",
                event["text"].as_str().unwrap_or_default()
            )
        },
    )?;
    let permission = text(&event, "permission_id")?;
    let sent = tell_after(
        "Hospital North ──▶ server",
        || {
            cast.north.run(&[
                OsStr::new("upload"),
                "send".as_ref(),
                permission.as_ref(),
                files.as_os_str(),
            ])
        },
        |sent, time| {
            let bytes = sent["bytes"].as_u64().unwrap_or_default();
            format!(
                "proves the permission key, stands by, sends {} sealed ({})",
                size(bytes),
                rate(bytes, time)
            )
        },
    )?;
    let record = text(&sent, "record_id")?;
    remark("the server recomputed the content root and signed a receipt, which the hospital verified");
    Ok(record)
}

fn download(cast: &Cast, record: &str) -> Result<PathBuf> {
    heading("Download: Hospital South asks the patient for it");
    let asked = tell(
        "Hospital South ──▶ server ──▶ Patient",
        "download request (sealed text)",
        || {
            cast.south.run(&[
                "download",
                "request",
                "--patient",
                &cast.patient_id,
                "--text",
                ASK_PATIENT,
            ])
        },
    )?;
    let request = text(&asked, "request_id")?;
    let permission = permit(cast, record, &request, "download-request")?;
    let received = fetch(cast, &permission, "first")?;

    let again = cast.south.home().join("received-again");
    tell_after(
        "Hospital South ──▶ server",
        || cast.south.refused(&fetch_command(&permission, &again)),
        |line, _| format!("tries the same permission again and is refused: {line}"),
    )?;
    ensure!(
        !again.exists() || again.read_dir()?.next().is_none(),
        "a refused download left {}",
        again.display()
    );
    Ok(received)
}

fn reference(cast: &Cast, record: &str) -> Result<PathBuf> {
    heading("Reference: Hospital North sends her to Hospital South");
    let asked = tell(
        "Hospital North ──▶ server ──▶ Patient",
        "referral naming Hospital South (sealed text); it gains nothing itself",
        || {
            let to = cast.south.name();
            cast.north.run(&[
                "reference",
                "request",
                "--patient",
                &cast.patient_id,
                "--to",
                to,
                "--text",
                REFER,
            ])
        },
    )?;
    let request = text(&asked, "request_id")?;
    let permission = permit(cast, record, &request, "reference-request")?;
    fetch(cast, &permission, "referred")
}

/// The patient reads the request and permits; Hospital South finds the permission key in its inbox.
fn permit(cast: &Cast, record: &str, request: &str, kind: &str) -> Result<String> {
    tell_after(
        "Patient ◀── server",
        || cast.patient.event(kind, ("request_id", request)),
        |event, _| {
            format!(
                "opens the request: “{}”",
                event["text"].as_str().unwrap_or_default()
            )
        },
    )?;
    let given = tell(
        "Patient ──▶ server ──▶ Hospital South",
        "permission key: data key wrapped for Hospital South, one use, one hour, signed",
        || cast.patient.run(&["permit", request, "--record", record]),
    )?;
    let permission = text(&given, "permission_id")?;
    tell(
        "Hospital South ◀── server",
        "finds the permission key in its inbox",
        || cast.south.event("permission", ("permission_id", &permission)),
    )?;
    Ok(permission)
}

fn fetch(cast: &Cast, permission: &str, name: &str) -> Result<PathBuf> {
    let out = cast.south.home().join(format!("received-{name}"));
    tell_after(
        "Hospital South ◀── server",
        || cast.south.run(&fetch_command(permission, &out)),
        |fetched, time| {
            let bytes = received_bytes(fetched);
            format!(
                "proves the permission key, receives and opens {} ({})",
                size(bytes),
                rate(bytes, time)
            )
        },
    )?;
    remark("every file verified: content root, key commitment, Hospital North's signature");
    Ok(out)
}

fn fetch_command<'a>(permission: &'a str, out: &'a Path) -> [&'a OsStr; 5] {
    [
        "download".as_ref(),
        "fetch".as_ref(),
        permission.as_ref(),
        "--out".as_ref(),
        out.as_os_str(),
    ]
}

fn received_bytes(fetched: &Value) -> u64 {
    let records = fetched["records"].as_array().into_iter().flatten();
    let parts = records.flat_map(|record| record["parts"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["bytes"].as_u64()).sum()
}

const ASK_NORTH: &str = "Please send the CT of my chest of 14 September and my summary";
const ASK_PATIENT: &str = "For Monday's consultation we would like to see your chest CT";
const REFER: &str = "The nodule should be looked at by the thoracic surgeons at Hospital South";
