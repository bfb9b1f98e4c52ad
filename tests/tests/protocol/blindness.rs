//! What the server never has: plaintext. A canary stands in every plaintext field there is; afterwards
//! nothing that the server wrote or said contains one (ATK-49, ATK-50, FLT-53, invariant A4).

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};

use anyhow::{Context, Result};
use tests::{
    harness::{World, text},
    raw::{RawPatient, RawWorld},
};
use walkdir::WalkDir;

const CANARIES: [&str; 11] = [
    "canary-upload-text-Q7",
    "canary-download-text-Q7",
    "canary-reference-text-Q7",
    "canary-denial-text-Q7",
    "canary-file-name-Q7",
    "canary-folder-name-Q7",
    "canary-file-content-Q7",
    "canary-small-content-Q7",
    "canary-key-file-Q7",
    "canary-delegate-name-Q7",
    "canary-note-text-Q7",
];

fn holds(bytes: &[u8], canary: &str) -> bool {
    let utf16: Vec<u8> = canary.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let base64 = data_encoding_base64(canary);
    [canary.as_bytes(), &utf16, base64.as_bytes()]
        .iter()
        .any(|needle| contains(bytes, needle))
}

/// A canary in base64 at offset 0 of its group, without the last, partial group.
fn data_encoding_base64(canary: &str) -> String {
    let whole = canary.len() / 3 * 3;
    data_encoding::BASE64.encode(&canary.as_bytes()[..whole])
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(&first) = needle.first() else {
        return false;
    };
    bytes
        .iter()
        .enumerate()
        .any(|(at, &byte)| byte == first && bytes[at..].starts_with(needle))
}

fn search(folder: &Path) -> Result<(usize, Vec<String>)> {
    let (mut searched, mut found) = (0, Vec::new());
    for entry in WalkDir::new(folder) {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        searched += 1;
        let mut bytes = entry.path().display().to_string().into_bytes();
        bytes.extend(std::fs::read(entry.path())?);
        found.extend(
            CANARIES
                .iter()
                .filter(|canary| holds(&bytes, canary))
                .map(|&canary| canary.to_owned()),
        );
    }
    Ok((searched, found))
}

fn admin_page(address: &str, path: &str) -> Result<Vec<u8>> {
    let mut connection = TcpStream::connect(address)?;
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut page = Vec::new();
    connection.read_to_end(&mut page)?;
    Ok(page)
}

/// LKG-2, ATK-49, ATK-50.
#[test]
fn no_canary_reaches_the_server() -> Result<()> {
    let mut world = World::start_with(&["--log", "debug"])?;
    let (patient, patient_id) = world.patient("patient")?;
    let (north, _) = world.institution("Hospital North")?;
    let (south, _) = world.institution("Clinic South")?;
    let sent = world.path("sent").join(CANARIES[5]);
    std::fs::create_dir_all(&sent)?;
    std::fs::write(
        sent.join(format!("{}.txt", CANARIES[4])),
        CANARIES[6].repeat(80_000),
    )?;
    std::fs::write(sent.join("small.txt"), CANARIES[7])?;
    let sent = world.path("sent").display().to_string();

    let offer = patient.run(&[
        "upload",
        "request",
        "--to",
        "Hospital North",
        "--text",
        CANARIES[0],
    ])?;
    let record = text(
        &north.run(&["upload", "send", &text(&offer, "permission_id")?, &sent])?,
        "record_id",
    )?;
    let asked = south.run(&[
        "download",
        "request",
        "--patient",
        &patient_id,
        "--text",
        CANARIES[1],
    ])?;
    let (_, delegate) = world.patient("delegate")?;
    patient.run(&[
        "delegate",
        "add",
        &delegate,
        "--name",
        CANARIES[9],
        "--expires",
        "1d",
    ])?;
    let permitted = patient.run(&["permit", &text(&asked, "request_id")?, "--record", &record])?;
    let out = world.path("out").display().to_string();
    south.run(&[
        "download",
        "fetch",
        &text(&permitted, "permission_id")?,
        "--out",
        &out,
    ])?;
    let referred = [
        "reference",
        "request",
        "--patient",
        &patient_id,
        "--to",
        "Clinic South",
        "--text",
        CANARIES[2],
    ];
    let referred = north.run(&referred)?;
    patient.run(&["deny", &text(&referred, "request_id")?, "--text", CANARIES[3]])?;
    let about = text(&permitted, "permission_id")?;
    patient.run(&["note", &about, "--text", CANARIES[10]])?;
    // Control: it has arrived.
    assert!(south.run(&["inbox"])?.to_string().contains(CANARIES[10]));
    let history = patient.run(&["history"])?;
    assert!(history.to_string().len() > 100);

    let metrics = admin_page(world.server.admin(), "/metrics")?;
    assert!(
        contains(&metrics, b"# TYPE"),
        "{}",
        String::from_utf8_lossy(&metrics)
    );
    world.server.stop()?;
    let log = std::fs::read(world.server.log())?;
    assert!(!log.is_empty(), "a server that logs nothing proves nothing");
    for canary in CANARIES {
        assert!(!holds(&metrics, canary) && !holds(&log, canary), "{canary}");
    }
    assert!(!contains(&log, patient_id.as_bytes()), "the log names a patient");
    assert!(
        !contains(&metrics, patient_id.as_bytes()),
        "the metrics name a patient"
    );

    let (searched, found) = search(world.server.data())?;
    assert!(
        searched > 5 && found.is_empty(),
        "{searched} files searched, found {found:?}"
    );
    // Control: the same search finds what was sent, and what arrived.
    for folder in [&sent, &out] {
        let (_, found) = search(Path::new(folder))?;
        for at in [4, 6, 7] {
            assert!(found.contains(&CANARIES[at].to_owned()), "{folder}: {found:?}");
        }
    }
    Ok(())
}

/// ATK-49, ATK-50: The search can fail: what an institution sends without sealing it lies in the server's files,
/// whether it went through the write-ahead log (a manifest and a small record) or beside it (leaves).
#[tokio::test]
async fn what_is_not_sealed_is_found() -> Result<()> {
    let mut world = RawWorld::start().await?;
    let patient = RawPatient::enrol(&world.wire).await?;
    let hospital = world.institution("Hospital North").await?;
    for (canary, length) in [(CANARIES[7], 1_000), (CANARIES[6], 700_000)] {
        let stream = canary.repeat(length / canary.len() + 1);
        let plain = stream.as_bytes().get(..length).unwrap_or_default();
        hospital.upload_stream(&world.wire, &patient, plain).await?;
    }
    world.server.stop()?;
    let (_, found) = search(world.server.data())?;
    for canary in [CANARIES[6], CANARIES[7]] {
        assert!(found.iter().any(|name| name == canary), "{canary} in {found:?}");
    }
    Ok(())
}

/// ATK-49: Error texts name the rule, not the content.
#[test]
fn refusals_do_not_repeat_what_was_said() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    let refused = patient.fail(&["deny", "req_aaaaaaaaaaaaaaaaaaaaaaaaaa", "--text", CANARIES[3]])?;
    assert_eq!(refused.exit, 1);
    assert!(!holds(refused.text.as_bytes(), CANARIES[3]), "{}", refused.text);
    let log = std::fs::read(world.server.log()).context("log")?;
    assert!(!holds(&log, CANARIES[3]));
    Ok(())
}
