//! Attacks on time, memory and connections (API-11, FLT-17, FLT-20, FLT-21, FLT-35, FLT-36), each with
//! its control: the same attack with the limit off.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::client::{Client, Server, WATCHED, answer, ask, heard, is_closed};

const GET: &str = "GET /v1/server HTTP/1.1\r\nhost: localhost\r\n\r\n";
/// An enrolment's body is read before anybody is known: the widest way in.
const POST: &str = "POST /v1/patients HTTP/1.1\r\nhost: localhost\r\nidempotency-key: k\r\n";

/// Sends a byte every 50 ms until the server answers, ends the connection, or [`WATCHED`] is over.
async fn dribble(client: &mut Client, byte: &[u8]) -> String {
    let started = Instant::now();
    let mut bytes = vec![0; 4096];
    while started.elapsed() < WATCHED {
        if client.write_all(byte).await.is_err() {
            return "closed".into();
        }
        match timeout(Duration::from_millis(50), client.read(&mut bytes)).await {
            Ok(Ok(length)) if length > 0 => return String::from_utf8_lossy(&bytes[..length]).into_owned(),
            Ok(_) => return "closed".into(),
            Err(_) => {}
        }
    }
    String::new()
}

async fn slow_headers(header_timeout: &str) -> String {
    let server = Server::start(&["--header-timeout", header_timeout]).await;
    let mut client = server.connect().await;
    client
        .write_all(b"GET /v1/server HTTP/1.1\r\nhost: localhost\r\nx: ")
        .await
        .unwrap();
    dribble(&mut client, b"x").await
}

/// API-11.
#[tokio::test]
async fn slow_headers_end_the_connection() {
    assert_ne!(slow_headers("500ms").await, "");
}

#[tokio::test]
async fn control_slow_headers_hold_it_without_the_limit() {
    assert_eq!(slow_headers("1h").await, "");
}

async fn slow_body(flags: &[&str]) -> String {
    let server = Server::start(flags).await;
    let mut client = server.connect().await;
    client
        .write_all(format!("{POST}content-length: 1000\r\n\r\n").as_bytes())
        .await
        .unwrap();
    dribble(&mut client, b"x").await
}

#[tokio::test]
async fn a_slow_body_is_refused() {
    let answer = slow_body(&["--body-pause", "500ms", "--min-rate", "16KiB"]).await;
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"),
        "{answer}"
    );
}

#[tokio::test]
async fn control_a_slow_body_is_waited_for_without_the_limit() {
    assert_eq!(slow_body(&["--body-pause", "1h", "--min-rate", "1"]).await, "");
}

/// What is answered; none while the connection is open and silent.
async fn body_that_pauses(pause: &str) -> Option<String> {
    let server = Server::start(&["--body-pause", pause]).await;
    let mut client = server.connect().await;
    let begun = format!("{POST}content-length: 1000\r\n\r\nbegin");
    client.write_all(begun.as_bytes()).await.unwrap();
    heard(&mut client).await
}

#[tokio::test]
async fn a_body_that_pauses_is_refused() {
    let answer = body_that_pauses("500ms").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn control_a_body_that_pauses_is_waited_for_without_the_limit() {
    assert_eq!(body_that_pauses("1h").await, None);
}

async fn large_headers(flags: &[&str], fields: usize, length: usize) -> String {
    let server = Server::start(flags).await;
    let mut client = server.connect().await;
    let field = |i| format!("x-{i}: {}\r\n", "a".repeat(length));
    let fields: String = (0..fields).map(field).collect();
    ask(
        &mut client,
        &GET.replace("\r\n\r\n", &format!("\r\n{fields}\r\n")),
    )
    .await
}

#[tokio::test]
async fn large_headers_are_refused() {
    assert!(large_headers(&[], 1, 20_000).await.starts_with("HTTP/1.1 431"));
    assert!(large_headers(&[], 70, 10).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn control_large_headers_pass_without_the_limits() {
    assert!(
        large_headers(&["--header-bytes", "64KiB"], 1, 20_000)
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        large_headers(&["--header-fields", "100"], 70, 10)
            .await
            .starts_with("HTTP/1.1 200")
    );
}

async fn large_body(flags: &[&str], framing: &str, body: &str) -> String {
    let server = Server::start(flags).await;
    let mut client = server.connect().await;
    let request = format!("{POST}{framing}\r\n\r\n{body}");
    // The server may answer and close before all is written.
    drop(client.write_all(request.as_bytes()).await);
    answer(&mut client).await
}

fn chunk() -> String {
    format!("{:x}\r\n{}\r\n0\r\n\r\n", 40_000, "a".repeat(40_000))
}

/// ATK-22
#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read_or_once_it_grows_too_large() {
    let flags = [];
    let declared = large_body(&flags, "content-length: 40000", "").await;
    assert!(
        declared.starts_with("HTTP/1.1 413") && declared.contains("too-large"),
        "{declared}"
    );
    let chunked = large_body(&flags, "transfer-encoding: chunked", &chunk()).await;
    assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");
    let bomb = large_body(&flags, "content-length: 9223372036854775807", "").await;
    assert!(bomb.starts_with("HTTP/1.1 413"), "{bomb}");
}

/// ATK-22
#[tokio::test]
async fn control_a_large_body_is_read_without_the_limit() {
    let flags = ["--enrolment-bytes", "64KiB"];
    let declared = large_body(&flags, "content-length: 40000", &"a".repeat(40_000)).await;
    assert!(declared.starts_with("HTTP/1.1 401"), "{declared}");
    let chunked = large_body(&flags, "transfer-encoding: chunked", &chunk()).await;
    assert!(chunked.starts_with("HTTP/1.1 401"), "{chunked}");
}

/// RFC 9112 §6.3: whatever is taken for the body, nothing behind it may be taken for a request.
#[tokio::test]
async fn a_request_hidden_behind_two_lengths_is_not_served() {
    let hidden = format!("0\r\n\r\n{GET}");
    for framing in [
        "content-length: 3\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 3",
        "content-length: 3\r\ncontent-length: 4",
        "content-length: +3",
        "transfer-encoding: chunked, identity",
    ] {
        let server = Server::start(&[]).await;
        let mut client = server.connect().await;
        let request = format!("{POST}{framing}\r\n\r\n{hidden}");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        let ended = timeout(WATCHED, client.read_to_end(&mut all)).await;
        let text = String::from_utf8_lossy(&all);
        assert!(ended.is_ok(), "{framing}: the connection must end: {text}");
        assert!(!text.contains("200 OK"), "{framing}: {text}");
    }
}

/// Slow bodies of one address, of each of which 12 KiB came, hold the memory that it may have; is there some left for another?
async fn body_beside_slow_ones(memory: &str) -> String {
    let flags = ["--unsigned-memory", memory, "--queue-timeout", "500ms"];
    let server = Server::start(&flags).await;
    let mut slow = Vec::new();
    for _ in 0..10 {
        let mut client = server.connect().await;
        let begun = format!("{POST}content-length: 16384\r\n\r\n{}", "a".repeat(12 << 10));
        client.write_all(begun.as_bytes()).await.unwrap();
        slow.push(client);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    server
        .send(format!("{POST}content-length: 4\r\n\r\nbody").as_bytes())
        .await
}

/// ATK-22
#[tokio::test]
async fn memory_for_bodies_is_bounded() {
    // An eighth for one address: ten bodies with their answers.
    let answer = body_beside_slow_ones("1280KiB").await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"),
        "{answer}"
    );
}

/// ATK-22
#[tokio::test]
async fn control_the_body_is_read_where_there_is_memory() {
    assert!(body_beside_slow_ones("2MiB").await.starts_with("HTTP/1.1 401"));
}

/// What was declared of bodies that do not come is not counted (API-15, ATK-75).
#[tokio::test]
async fn a_body_that_does_not_come_takes_no_memory() {
    let server = Server::start(&["--body-pause", "1h"]).await;
    let mut slow = Vec::new();
    for _ in 0..10 {
        let mut client = server.connect().await;
        let begun = format!("{POST}content-length: 16384\r\n\r\n");
        client.write_all(begun.as_bytes()).await.unwrap();
        slow.push(client);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Ten short answers.
    assert_eq!(server.metric("medvault_body_memory_bytes").await, 40 << 10);
}

/// JSON takes many times its length (API-12, ATK-75).
#[tokio::test]
async fn no_json_is_read_of_whom_nobody_knows() {
    let server = Server::start(&[]).await;
    let json = format!("{POST}content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}");
    let answer = server.send(json.as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("malformed"),
        "{answer}"
    );
}

/// Two connections of one address are busy. Whether a third one of it, and one of another address, are served.
async fn more_connections(most: &str) -> (bool, bool) {
    let server = Server::start(&["--connections", most, "--body-pause", "1h"]).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        let begun = format!("{POST}content-length: 1000\r\n\r\nbegin");
        client.write_all(begun.as_bytes()).await.unwrap();
        busy.push(client);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let third = timeout(WATCHED, server.try_connect()).await.unwrap().is_ok();
    let other = server.connect_from([127, 0, 0, 9]).await.is_ok();
    busy.clear();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut later = timeout(WATCHED, server.try_connect()).await.unwrap().unwrap();
    assert!(
        ask(&mut later, GET).await.starts_with("HTTP/1.1 200"),
        "it serves again once one has gone"
    );
    (third, other)
}

/// API-14, ATK-78
#[tokio::test]
async fn beyond_the_limit_another_address_gets_in() {
    assert_eq!(more_connections("2").await, (false, true));
}

/// ATK-78: the control.
#[tokio::test]
async fn control_all_are_served_without_the_limit() {
    assert_eq!(more_connections("100").await, (true, true));
}

/// API-14
#[tokio::test]
async fn a_connection_that_does_nothing_gives_its_place_to_another_of_its_address() {
    let server = Server::start(&["--connections", "1"]).await;
    let mut idle = server.connect().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut next = server.connect().await;
    assert!(ask(&mut next, GET).await.starts_with("HTTP/1.1 200"));
    assert!(is_closed(&mut idle).await);
}

async fn silent_peer(flags: &[&str]) -> bool {
    let server = Server::start(flags).await;
    is_closed(&mut TcpStream::connect(server.addr()).await.unwrap()).await
}

#[tokio::test]
async fn a_handshake_that_stalls_is_given_up() {
    assert!(silent_peer(&["--handshake-timeout", "500ms"]).await);
}

#[tokio::test]
async fn control_it_holds_the_connection_without_the_limit() {
    assert!(!silent_peer(&["--handshake-timeout", "1h"]).await);
}

async fn idle_connection(flags: &[&str]) -> bool {
    let server = Server::start(flags).await;
    let mut client = server.connect().await;
    assert!(ask(&mut client, GET).await.starts_with("HTTP/1.1 200"));
    is_closed(&mut client).await
}

#[tokio::test]
async fn an_idle_or_old_connection_is_ended() {
    assert!(idle_connection(&["--header-timeout", "1h", "--idle-timeout", "500ms"]).await);
    assert!(idle_connection(&["--header-timeout", "1h", "--connection-age", "500ms"]).await);
}

#[tokio::test]
async fn control_it_stays_without_the_limits() {
    assert!(!idle_connection(&["--header-timeout", "1h"]).await);
}
