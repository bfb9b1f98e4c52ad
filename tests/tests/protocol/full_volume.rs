//! A server whose volume fills up: what takes access away is still taken (FLW-14).

use std::fs;

use anyhow::{Result, ensure};
use tests::harness::{World, text};

use super::flows::{array, upload};

/// ATK-89, FLW-14: a small volume, filled by uploads until no more are taken, even small ones. A revocation is, the list of
/// permissions shows it, and her records are read; what would release something is refused.
#[test]
fn a_full_volume_keeps_no_revocation_out() -> Result<()> {
    let world = match World::start_on_small_disk(128) {
        Ok(world) => world,
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("SKIPPED: no mount namespace for a small disk: {error:#}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let (patient, patient_id) = world.patient("patient")?;
    let (hospital, _) = world.institution("St. Anna")?;
    let file = world.path("file.bin");
    let path = file.display().to_string();
    fs::write(&file, "HbA1c 7.4 %")?;
    let record = upload(&patient, &hospital, "St. Anna", &path)?;
    patient.run(&["records"])?;
    let ask = ["download", "request", "--patient", &patient_id, "--text", "t"];
    let asked = text(&hospital.run(&ask)?, "request_id")?;
    let permission = text(
        &patient.run(&["permit", &asked, "--record", &record])?,
        "permission_id",
    )?;
    // Large ones until none fits, then smaller ones.
    for bytes in [24_u64 << 20, 6 << 20, 1 << 20, 1000] {
        fs::File::create(&file)?.set_len(bytes)?;
        let refused = loop {
            let filled = match offer(&patient) {
                Ok(offered) => hospital.command(&["upload", "send", &offered, &path])?.output()?,
                Err(refused) => break refused,
            };
            if !filled.status.success() {
                break String::from_utf8_lossy(&filled.stderr).into_owned();
            }
        };
        ensure!(refused.contains("storage is full"), "{refused}");
    }
    let out = world.path("out").display().to_string();
    let refused = hospital.fail(&["download", "fetch", &permission, "--out", &out])?;
    ensure!(refused.json["error"]["code"] == "storage-full", "{refused:?}");
    patient.run(&["revoke", &permission])?;
    let all = patient.run(&["permissions"])?;
    let mut listed = array(&all, "permissions")?.iter();
    let this = listed.find(|one| one["permission_id"] == permission.as_str());
    ensure!(this.is_some_and(|one| one["state"] == "revoked"), "{all}");
    let out = world.path("own").display().to_string();
    patient.run(&["records", "get", &record, "--out", &out])?;
    Ok(())
}

/// The patient permits an upload, unless that is refused.
fn offer(patient: &tests::harness::Cli) -> std::result::Result<String, String> {
    let ask = [
        "upload",
        "request",
        "--to",
        "St. Anna",
        "--text",
        "t",
        "--max-bytes",
        "100000000",
    ];
    let output = patient
        .command(&ask)
        .and_then(|mut command| Ok(command.output()?));
    let output = output.map_err(|error| error.to_string())?;
    let said: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {output:?}"))?;
    text(&said, "permission_id").map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
}
