//! Who holds all the memory that there is for him, and what is left for others (FLT-22), each with its
//! control. The patient must be able to revoke also while those whom she permitted hold all they can get.

use std::time::{Duration, Instant};

use actors::KeyPair;
use http::request::Parts;
use protocol_spec::permission::PermissionBody;
use tokio::io::AsyncWriteExt;

use super::{
    caller::{Ask, get, post, text},
    client::{Client, Server, connect, heard},
    frames::{END_HEADERS, END_STREAM, H2, HEADERS, INITIAL_WINDOW_SIZE, frame, request},
    hospital::Hospital,
    patient::Patient,
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Bytes of the record's only leaf; too many to be kept in a row. A transfer holds 5 MiB all the same.
const LEAF: usize = 100 * KIB;
/// What a short answer needs beside the body that it answers.
const ANSWER: usize = 4 * KIB;

/// Connections of somebody who takes and does not give.
#[derive(Default)]
struct Hostile {
    unread: Vec<H2>,
    dribbled: Vec<Client>,
}

impl Hostile {
    /// Asks so many times and never opens the windows.
    async fn ask(&mut self, server: &Server, times: u32, head: impl Fn() -> Parts) {
        let mut client = H2::connect(server.addr(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
        for stream in (1..2 * times).step_by(2) {
            let flags = END_STREAM | END_HEADERS;
            client
                .send(&frame(HEADERS, flags, stream, &request(&head())))
                .await;
        }
        self.unread.push(client);
    }

    /// Begins bodies that, with room for their answers, need so many MiB.
    async fn begin(&mut self, server: &Server, mib: usize, path: &str, head: impl Fn(&Ask<'_>) -> Parts) {
        for _ in 0..mib {
            let mut ask = post(path, &protocol_spec::messages::Accepted {});
            let length = ask.headers.iter_mut().find(|(name, _)| *name == "content-length");
            length.unwrap().1 = (MIB - ANSWER).to_string();
            let mut client = server.connect().await;
            let begun = [text(&head(&ask), b""), b"begin".to_vec()].concat();
            client.write_all(&begun).await.unwrap();
            self.dribbled.push(client);
        }
    }
}

/// Where a hospital, and where a patient, may send long messages.
const OF_HOSPITALS: &str = "/v1/requests/download";
const OF_PATIENTS: &str = "/v1/vault/index";

/// A patient, the hospital that she permitted to read, and somebody else.
struct Ward {
    server: Server,
    patient: Patient,
    hospital: Hospital,
    other: Patient,
    permission: PermissionBody,
    /// Of the patient's record, released.
    released: String,
    /// Of the other's own record.
    own: String,
}

impl Ward {
    async fn with(flags: &[&str]) -> Self {
        // Nobody is given up for being slow, however scarce memory is.
        let unhurried = ["--body-pause", "1h", "--write-stall", "1h"];
        let server = Server::start(&[flags, &["--queue-timeout", "500ms"], &unhurried].concat()).await;
        let patient = Patient::enrolled(&server).await;
        let other = Patient::enrolled(&server).await;
        let hospital = Hospital::enrolled_at(server.addr()).await;
        let record = hospital.store(&patient, LEAF, 900).await;
        let own = hospital.store(&other, LEAF, 900).await.version_id;
        let possession = KeyPair::random();
        let version = record.version_id;
        let request = hospital.ask_download(&patient).await;
        let permission = patient
            .permit_download(&hospital, request, record, &possession)
            .await;
        let release = hospital.open_release(permission.permission_id, &possession).await;
        let released = format!("/v1/releases/{release}/records/{version}/leaves?first=0&count=1");
        let own = format!("/v1/vault/records/{own}/leaves?first=0&count=1");
        Self {
            server,
            patient,
            hospital,
            other,
            permission,
            released,
            own,
        }
    }

    async fn settled(&self) -> usize {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let held = self.server.metric("medvault_body_memory_bytes").await;
        usize::try_from(held).unwrap()
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

/// Nobody's memory is taken back before others are refused.
const NEVER: &str = "1h";
const SOON: &str = "50ms";

/// The hospital takes leaves, and a body for the rest of what it may have. What another's long answer gets.
async fn beside_leaves(share: &str, reclaim_after: &str) -> String {
    let ward = Ward::with(&["--principal-share", share, "--reclaim-after", reclaim_after]).await;
    let mut hostile = Hostile::default();
    let head = || ward.hospital.head(&get(&ward.released));
    hostile.ask(&ward.server, 19, head).await;
    ward.settled().await;
    hostile
        .begin(&ward.server, 1, OF_HOSPITALS, |ask| ward.hospital.head(ask))
        .await;
    ward.settled().await;
    status(&ward.other.ask(&get("/v1/vault/history")).await).to_owned()
}

#[tokio::test]
async fn one_who_takes_leaves_leaves_memory_to_others() {
    assert_eq!(beside_leaves("50", NEVER).await, "200");
}

/// API-16, ATK-76
#[tokio::test]
async fn one_who_takes_all_of_it_gives_it_back() {
    assert_eq!(beside_leaves("100", SOON).await, "200");
}

/// ATK-76: the control.
#[tokio::test]
async fn control_he_takes_all_of_it_without_either_limit() {
    assert_eq!(beside_leaves("100", NEVER).await, "503");
}

/// The hospital begins bodies as long as may be.
async fn beside_bodies(share: &str, reclaim_after: &str) -> String {
    let ward = Ward::with(&[
        "--requests-per-principal",
        "100",
        "--principal-share",
        share,
        "--reclaim-after",
        reclaim_after,
    ])
    .await;
    let mut hostile = Hostile::default();
    hostile
        .begin(&ward.server, 96, OF_HOSPITALS, |ask| ward.hospital.head(ask))
        .await;
    ward.settled().await;
    status(&ward.other.ask(&get("/v1/vault/history")).await).to_owned()
}

#[tokio::test]
async fn one_who_begins_bodies_leaves_memory_to_others() {
    assert_eq!(beside_bodies("50", NEVER).await, "200");
}

/// API-16, ATK-76
#[tokio::test]
async fn one_who_begins_too_many_bodies_loses_the_slowest() {
    assert_eq!(beside_bodies("100", SOON).await, "200");
}

/// ATK-76: the control.
#[tokio::test]
async fn control_he_takes_all_with_bodies_without_either_limit() {
    assert_eq!(beside_bodies("100", NEVER).await, "503");
}

/// Free accounts, one after the other, begin as many bodies as they can. What a hospital gets beside them.
async fn beside_free_accounts(path: &str) -> (usize, String) {
    let ward = Ward::with(&["--reclaim-after", NEVER]).await;
    let mut accounts = Vec::new();
    for _ in 0..3 {
        accounts.push(Patient::enrolled(&ward.server).await);
    }
    let mut hostile = Hostile::default();
    for account in &accounts {
        hostile
            .begin(&ward.server, 32, path, |ask| account.head(ask))
            .await;
    }
    let held = ward.settled().await / MIB;
    let answer = ward.hospital.ask(&get(&ward.released)).await;
    (held, status(&answer).to_owned())
}

/// API-16, ATK-76
#[tokio::test]
async fn free_accounts_leave_a_part_to_institutions() {
    assert_eq!(beside_free_accounts(OF_PATIENTS).await, (60, "200".to_owned()));
}

/// API-16, ATK-76
#[tokio::test]
async fn who_may_not_call_a_route_gets_no_memory_for_it() {
    assert_eq!(beside_free_accounts(OF_HOSPITALS).await, (0, "200".to_owned()));
}

/// What a patient was answered while two others hold all body memory.
#[derive(Debug, PartialEq)]
struct Answers {
    held: usize,
    revocation: String,
    inbox: String,
    permissions: String,
    streamed: bool,
    promptly: bool,
}

async fn while_two_hold_all(message_memory: &str) -> Answers {
    let ward = Ward::with(&["--message-memory", message_memory]).await;
    let Ward {
        server,
        patient,
        hospital,
        other,
        ..
    } = &ward;
    let mut hostile = Hostile::default();
    hostile
        .ask(server, 9, || hospital.head(&get(&ward.released)))
        .await;
    hostile.ask(server, 9, || other.head(&get(&ward.own))).await;
    ward.settled().await;
    hostile
        .begin(server, 3, OF_HOSPITALS, |ask| hospital.head(ask))
        .await;
    hostile.begin(server, 3, OF_PATIENTS, |ask| other.head(ask)).await;
    let held = ward.settled().await;
    let started = Instant::now();
    let revocation = patient.ask(&patient.revocation(&ward.permission)).await;
    let inbox = patient.ask(&get("/v1/inbox")).await;
    let permissions = patient.ask(&get("/v1/vault/permissions")).await;
    let streamed = streams(patient).await;
    Answers {
        held: held / MIB,
        revocation: status(&revocation).to_owned(),
        inbox: status(&inbox).to_owned(),
        permissions: status(&permissions).to_owned(),
        streamed,
        promptly: started.elapsed() < Duration::from_secs(1),
    }
}

/// Whether her inbox's stream brings what is in it.
async fn streams(patient: &Patient) -> bool {
    let mut client = connect(patient.caller.addr, &[]).await.unwrap();
    let ask = patient.sign(&get("/v1/inbox/stream"));
    client.write_all(&ask).await.unwrap();
    let mut all = String::new();
    while !all.contains("data: ") {
        match heard(&mut client).await {
            Some(text) if !text.is_empty() => all.push_str(&text),
            _ => return false,
        }
    }
    true
}

#[tokio::test]
async fn a_patient_revokes_while_two_others_hold_all_memory() {
    let answers = while_two_hold_all("16MiB").await;
    let served = || "200".to_owned();
    let expected = Answers {
        held: 96,
        revocation: served(),
        inbox: served(),
        permissions: served(),
        streamed: true,
        promptly: true,
    };
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn control_she_cannot_without_memory_that_is_kept_for_it() {
    let answers = while_two_hold_all("0").await;
    let refused = || "503".to_owned();
    let expected = Answers {
        held: 96,
        revocation: refused(),
        inbox: refused(),
        permissions: refused(),
        streamed: false,
        promptly: false,
    };
    assert_eq!(answers, expected);
}

/// One address asks for the directory again and again, and reads nothing. What another is answered: a
/// page of the directory, and what is short.
async fn beside_unread_directories(address_memory: &str, reclaim_after: &str) -> (String, String) {
    let sizes = ["--page-rows", "10", "--public-memory", "512KiB"];
    let flags = [
        "--address-memory",
        address_memory,
        "--reclaim-after",
        reclaim_after,
        "--queue-timeout",
        "500ms",
    ];
    let server = Server::start(&[&sizes[..], &flags].concat()).await;
    for _ in 0..10 {
        Hospital::enrolled_at(server.addr()).await;
    }
    let unsigned = |path: &str| {
        let ask = http::Request::get(path.to_owned()).header("host", "localhost");
        ask.body(()).unwrap().into_parts().0
    };
    let mut hostile = Hostile::default();
    hostile
        .ask(&server, 15, || unsigned("/v1/directory/events"))
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut answers = Vec::new();
    for path in ["/v1/directory/events", "/v1/log/checkpoint"] {
        let ask = text(&unsigned(path), b"");
        let answer = server.send_from([127, 0, 0, 9], &ask).await;
        answers.push(status(&answer).to_owned());
    }
    (answers[0].clone(), answers[1].clone())
}

/// API-14, ATK-75
#[tokio::test]
async fn one_address_leaves_the_directory_to_others() {
    let answers = beside_unread_directories("120KiB", NEVER).await;
    assert_eq!(answers, ("200".to_owned(), "200".to_owned()));
}

/// API-14, ATK-75
#[tokio::test]
async fn one_address_that_takes_all_pages_gives_them_back() {
    let answers = beside_unread_directories("512KiB", SOON).await;
    assert_eq!(answers, ("200".to_owned(), "200".to_owned()));
}

/// ATK-75: what is short is answered all the same.
#[tokio::test]
async fn control_it_takes_all_pages_without_either_limit() {
    let answers = beside_unread_directories("512KiB", NEVER).await;
    assert_eq!(answers, ("503".to_owned(), "200".to_owned()));
}
