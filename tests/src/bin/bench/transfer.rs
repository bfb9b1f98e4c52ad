//! Upload and download of one large record by the programs, wall clock of the whole command.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::harness::{Cli, World, text};

use crate::{memory, nginx::Nginx, samples::Samples};

#[derive(Default)]
struct Measured {
    upload: Samples,
    download: Samples,
    peer_upload: Samples,
    peer_download: Samples,
    client_mib: u64,
}

/// Sends and fetches a record of `bytes` bytes `runs` times, after one run that is not counted where there
/// are several; nginx, where it is installed, in turn.
pub(crate) fn measure(bytes: u64, runs: usize) -> Result<Value> {
    let world = World::start()?;
    let (patient, patient_id) = world.patient("patient")?;
    let (hospital, _) = world.institution("Hospital North")?;
    let file = world.path("record.bin");
    write_noise(&file, bytes)?;
    let nginx = if runs > 1 {
        Nginx::start(&world.path("nginx"))?
    } else {
        None
    };
    let mut measured = Measured::default();
    for run in 0..runs + usize::from(runs > 1) {
        let mut this = Measured::default();
        let record = upload(&mut this, &patient, &hospital, &file, bytes)?;
        download(
            &mut this,
            &patient,
            &patient_id,
            &hospital,
            &record,
            &world.path("out"),
            bytes,
        )?;
        if let Some(nginx) = &nginx {
            this.peer_upload.add(rate(bytes, nginx.upload(&file)?));
            this.peer_download
                .add(rate(bytes, nginx.download(&world.path("peer-out"))?));
        }
        measured.client_mib = measured.client_mib.max(this.client_mib);
        if run > 0 || runs == 1 {
            measured.upload.add(this.upload.median());
            measured.download.add(this.download.median());
            measured.peer_upload.add(this.peer_upload.median());
            measured.peer_download.add(this.peer_download.median());
        }
    }
    let server_mib = memory::peak_mib(world.server.pid()).context("server memory")?;
    Ok(report(&measured, bytes, server_mib, nginx.is_some()))
}

fn report(measured: &Measured, bytes: u64, server_mib: u64, with_peer: bool) -> Value {
    let mut figures = json!({
        "record, MiB": bytes >> 20,
        "upload, MB/s (median)": measured.upload.median(),
        "download, MB/s (median)": measured.download.median(),
        "server resident memory, highest, MiB": server_mib,
        "client resident memory, highest, MiB": measured.client_mib,
    });
    if let (true, Some(map)) = (with_peer, figures.as_object_mut()) {
        map.insert(
            "nginx over TLS, upload, MB/s (median)".into(),
            measured.peer_upload.median().into(),
        );
        map.insert(
            "nginx over TLS, download, MB/s (median)".into(),
            measured.peer_download.median().into(),
        );
        map.insert(
            "upload ÷ nginx (median of pairs)".into(),
            measured.upload.over(&measured.peer_upload).median().into(),
        );
        map.insert(
            "download ÷ nginx (median of pairs)".into(),
            measured.download.over(&measured.peer_download).median().into(),
        );
    } else if let Some(map) = figures.as_object_mut() {
        map.insert("nginx over TLS".into(), "not measured".into());
    }
    figures
}

fn upload(this: &mut Measured, patient: &Cli, hospital: &Cli, file: &Path, bytes: u64) -> Result<String> {
    let budget = (bytes * 2).to_string();
    let offer = patient.run(&[
        "upload",
        "request",
        "--to",
        "Hospital North",
        "--text",
        "t",
        "--max-bytes",
        &budget,
    ])?;
    let permission = text(&offer, "permission_id")?;
    let started = Instant::now();
    let sending = hospital.spawn(&["upload", "send", &permission, &file.display().to_string()])?;
    let (client_mib, output) = memory::wait(sending)?;
    this.upload.add(rate(bytes, started.elapsed().as_secs_f64()));
    this.client_mib = this.client_mib.max(client_mib);
    text(&serde_json::from_slice(&output)?, "record_id")
}

fn download(
    this: &mut Measured,
    patient: &Cli,
    patient_id: &str,
    hospital: &Cli,
    record: &str,
    out: &Path,
    bytes: u64,
) -> Result<()> {
    let asked = hospital.run(&["download", "request", "--patient", patient_id, "--text", "t"])?;
    let permitted = patient.run(&["permit", &text(&asked, "request_id")?, "--record", record])?;
    let permission = text(&permitted, "permission_id")?;
    let started = Instant::now();
    let fetching = hospital.spawn(&[
        "download",
        "fetch",
        &permission,
        "--out",
        &out.display().to_string(),
    ])?;
    let (client_mib, _) = memory::wait(fetching)?;
    this.download.add(rate(bytes, started.elapsed().as_secs_f64()));
    this.client_mib = this.client_mib.max(client_mib);
    fs::remove_dir_all(out)?;
    Ok(())
}

/// MB/s.
fn rate(bytes: u64, seconds: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let megabytes = bytes as f64 / 1e6;
    megabytes / seconds
}

/// Bytes that nothing can compress (SplitMix64).
fn write_noise(path: &Path, bytes: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 0_u64;
    for _ in 0..bytes / 8 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.write_all(&(z ^ (z >> 31)).to_le_bytes())?;
    }
    out.flush()?;
    Ok(())
}
