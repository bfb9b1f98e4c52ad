//! A connection that is cut and a server that is restarted cost time, not data (FLT-24, FLT-30, ATK-35).

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;
use tests::harness::{World, text};

use crate::flows::{array, hashes};

/// So long that several requests are through when the connection is cut.
const LENGTH: usize = 96 << 20;

fn large_file(world: &World) -> Result<PathBuf> {
    let folder = world.path("sent");
    std::fs::create_dir_all(&folder)?;
    let bytes: Vec<u8> = (0..LENGTH).map(|i| (i * 31 % 251).to_le_bytes()[0]).collect();
    std::fs::write(folder.join("study.bin"), bytes)?;
    Ok(folder.join("study.bin"))
}

fn offer(world: &World) -> Result<(tests::harness::Cli, tests::harness::Cli, String, String)> {
    let (patient, patient_id) = world.patient("patient")?;
    let (north, _) = world.institution("Hospital North")?;
    let offer = patient.run(&[
        "upload",
        "request",
        "--to",
        "Hospital North",
        "--text",
        "study",
        "--max-bytes",
        "200000000",
    ])?;
    Ok((patient, north, patient_id, text(&offer, "permission_id")?))
}

#[test]
fn an_upload_and_a_download_survive_cut_connections() -> Result<()> {
    let (world, proxy) = World::start_behind_proxy()?;
    let (patient, north, patient_id, permission) = offer(&world)?;
    let file = large_file(&world)?.display().to_string();
    proxy.cut_after(20 << 20);
    let sent = north.run(&["upload", "send", &permission, &file])?;
    assert_eq!(proxy.cuts(), 1, "the connection was cut");

    let asked = north.run(&["download", "request", "--patient", &patient_id, "--text", "t"])?;
    let request = text(&asked, "request_id")?;
    let permitted = patient.run(&["permit", &request, "--record", &text(&sent, "record_id")?])?;
    proxy.cut_after(20 << 20);
    let out = world.path("out");
    north.run(&[
        "download",
        "fetch",
        &text(&permitted, "permission_id")?,
        "--out",
        &out.display().to_string(),
    ])?;
    assert_eq!(proxy.cuts(), 2, "the connection was cut again");
    let (sent, received) = (hashes(&world.path("sent"))?, hashes(&out)?);
    assert_eq!(
        sent.values().collect::<Vec<_>>(),
        received.values().collect::<Vec<_>>()
    );
    Ok(())
}

/// CNT-14, ATK-35.
#[test]
fn an_upload_goes_on_after_server_and_client_were_killed() -> Result<()> {
    let (mut world, proxy) = World::start_behind_proxy()?;
    let (patient, north, _, permission) = offer(&world)?;
    let file = large_file(&world)?.display().to_string();
    proxy.cut_after(70 << 20);
    let mut sending = north.spawn(&["upload", "send", &permission, &file])?;
    let started = std::time::Instant::now();
    while proxy.cuts() == 0 && sending.try_wait()?.is_none() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing was cut");
        std::thread::sleep(Duration::from_millis(2));
    }
    world.server.kill()?;
    sending.kill()?;
    sending.wait()?;
    assert!(proxy.cuts() > 0, "the upload ended before it was cut");
    world.server.restart()?;

    // Nothing is a record before the commit.
    assert!(array(&patient.run(&["records"])?, "records")?.is_empty());
    let resumed = north.run(&["upload", "send", &permission, &file])?;
    let again = resumed["resumed_bytes"].as_u64().context("resumed_bytes")?;
    assert!(again > 1 << 20, "{resumed}");
    let records = patient.run(&["records"])?;
    assert_eq!(array(&records, "records")?.len(), 1, "{records}");
    let out = world.path("own").display().to_string();
    patient.run(&["records", "get", &text(&resumed, "record_id")?, "--out", &out])?;
    let received: Vec<_> = hashes(&world.path("own"))?.into_values().collect();
    assert_eq!(
        received,
        hashes(&world.path("sent"))?.into_values().collect::<Vec<_>>()
    );
    Ok(())
}

/// ATK-20: The same key and nonce must never seal two plaintexts: a changed file starts a new stream (CNT-14).
#[test]
fn a_file_changed_between_two_attempts_is_not_resumed() -> Result<()> {
    let (mut world, proxy) = World::start_behind_proxy()?;
    let (patient, north, _, _) = offer(&world)?;
    let offer = patient.run(&[
        "upload",
        "request",
        "--to",
        "Hospital North",
        "--text",
        "t",
        "--uses",
        "2",
        "--max-bytes",
        "400000000",
    ])?;
    let permission = text(&offer, "permission_id")?;
    let path = large_file(&world)?;
    let file = path.display().to_string();
    proxy.cut_after(70 << 20);
    let mut sending = north.spawn(&["upload", "send", &permission, &file])?;
    while proxy.cuts() == 0 && sending.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    world.server.kill()?;
    sending.kill()?;
    sending.wait()?;
    world.server.restart()?;
    let mut bytes = std::fs::read(&path)?;
    bytes[1000] ^= 1;
    std::fs::write(&path, bytes)?;
    let sent = north.run(&["upload", "send", &permission, &file])?;
    assert_eq!(sent["resumed_bytes"], Value::from(0), "{sent}");
    let out = world.path("own").display().to_string();
    patient.run(&["records", "get", &text(&sent, "record_id")?, "--out", &out])?;
    let received: Vec<_> = hashes(&world.path("own"))?.into_values().collect();
    assert_eq!(
        received,
        hashes(&world.path("sent"))?.into_values().collect::<Vec<_>>()
    );
    Ok(())
}
