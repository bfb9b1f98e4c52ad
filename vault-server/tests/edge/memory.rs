//! Many slow readers of large answers, against the resident memory of a real process (FLT-22, A9).

use std::{fs, time::Duration};

use actors::KeyPair;
use tokio::io::AsyncWriteExt;

use super::{
    caller::get,
    client::{Server, connect, send},
    hospital::Hospital,
    patient::Patient,
    program::{Started, start_with},
};

/// Bytes of each answer: far more than sockets hold.
const ANSWER: usize = 15 << 20;
const READERS: usize = 16;

/// Limits that fit answers as large, where one principal may hold 32 MiB.
const FITTING: [&str; 8] = [
    "--sealed-manifest-bytes",
    "15MiB",
    "--release-manifest-bytes",
    "15370KiB",
    "--commit-bytes",
    "15800KiB",
    "--page-bytes",
    "16KiB",
];
const SCARCE: &str = "64MiB";

/// What an attack did.
struct Outcome {
    /// By how many MiB the process grew.
    grown: u64,
    /// What somebody else was answered meanwhile.
    other: String,
}

/// Readers who ask for large answers and do not read them.
async fn slow_readers(body_memory: &str) -> Outcome {
    let data = tempfile::tempdir().unwrap();
    let memory = ["--body-memory", body_memory, "--cache", "1MiB"];
    let server = start_with(data.path(), &[&memory[..], &FITTING].concat());
    let patient = Patient::enrolled_at(server.addr()).await;
    let other = Patient::enrolled_at(server.addr()).await;
    let hospital = Hospital::enrolled_at(server.addr()).await;
    hospital.store(&patient, 100, ANSWER).await;
    let before = resident(&server);
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = connect(server.addr(), &[]).await.unwrap();
        let ask = patient.sign(&get("/v1/vault/arrivals"));
        reader.write_all(&ask).await.unwrap();
        readers.push(reader);
    }
    let mut most = before;
    for _ in 0..30 {
        most = most.max(resident(&server));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A page of history needs more than four of the readers would leave.
    let other = send(server.addr(), &other.sign(&get("/v1/vault/history"))).await;
    Outcome {
        grown: (most - before) >> 10,
        other,
    }
}

/// Bytes of body memory in use when a hospital asks for one release after the other, and reads none.
async fn unread_releases(body_memory: &str) -> usize {
    let server = Server::start(&[&["--body-memory", body_memory][..], &FITTING].concat()).await;
    let patient = Patient::enrolled(&server).await;
    let hospital = Hospital::enrolled_at(server.addr()).await;
    let record = hospital.store(&patient, 100, ANSWER).await;
    let possession = KeyPair::random();
    let request = hospital.ask_download(&patient).await;
    let permission = patient
        .permit_download(&hospital, request, record, &possession)
        .await;
    let mut presentations = Vec::new();
    for _ in 0..4 {
        presentations.push(hospital.presentation(permission.permission_id, &possession).await);
    }
    let mut readers = Vec::new();
    for presentation in presentations {
        let mut reader = server.connect().await;
        reader.write_all(&presentation).await.unwrap();
        readers.push(reader);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let in_use = server.metric("medvault_body_memory_bytes").await;
    usize::try_from(in_use).unwrap()
}

#[tokio::test]
async fn releases_that_are_not_read_are_counted_and_bounded() {
    // Two at a time: half of the memory is for one principal.
    let in_use = unread_releases(SCARCE).await;
    assert!((2 * ANSWER..3 * ANSWER).contains(&in_use), "{in_use}");
}

#[tokio::test]
async fn control_all_of_them_are_made_without_the_limit() {
    let in_use = unread_releases("4GiB").await;
    assert!(in_use >= 4 * ANSWER, "{in_use}");
}

/// KiB.
fn resident(server: &Started) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn slow_readers_do_not_fill_memory_and_others_are_served() {
    let Outcome { grown, other } = slow_readers(SCARCE).await;
    // Of two answers, 15 MiB each, there are copies while they are encoded; each connection has its buffers.
    assert!(grown < 110, "{grown} MiB");
    assert!(other.starts_with("HTTP/1.1 200"), "{other}");
}

#[tokio::test]
async fn control_they_fill_it_without_the_limit() {
    let Outcome { grown, .. } = slow_readers("4GiB").await;
    assert!(grown > 200, "{grown} MiB");
}
