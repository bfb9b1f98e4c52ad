//! Requests that never end by themselves: what bounds them while the server runs, and when it stops (FLT-51).

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::{
    client::{Server, WATCHED, connect, heard},
    program::start_with,
};

/// A request whose body never comes, under limits for bodies that wait for it.
const UNENDING: &str =
    "POST /v1/patients HTTP/1.1\r\nhost: localhost\r\nidempotency-key: k\r\ncontent-length: 1000\r\n\r\n";
const PATIENT: [&str; 4] = ["--body-pause", "1h", "--min-rate", "1GiB"];

/// What is answered; none while the connection is open and silent.
async fn unending_request(request_timeout: &str) -> Option<String> {
    let flags = [&PATIENT[..], &["--request-timeout", request_timeout]].concat();
    let server = Server::start(&flags).await;
    let mut client = server.connect().await;
    client.write_all(UNENDING.as_bytes()).await.unwrap();
    heard(&mut client).await
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered() {
    let answer = unending_request("500ms").await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("unavailable"),
        "{answer}"
    );
}

#[tokio::test]
async fn control_it_is_waited_for_without_the_limit() {
    assert_eq!(unending_request("1h").await, None);
}

/// Stops a server that is in the middle of a request. How long it took to end well; none if it did not.
async fn stop_amid_a_request(drain: &str) -> Option<Duration> {
    let data = tempfile::tempdir().unwrap();
    let flags = [&PATIENT[..], &["--request-timeout", "1h", "--drain", drain]].concat();
    let mut server = start_with(data.path(), &flags);
    let mut client = connect(server.addr(), &[]).await.unwrap();
    client.write_all(UNENDING.as_bytes()).await.unwrap();
    // The request must have been read, or the connection counts as idle.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    server.signal("-TERM");
    while started.elapsed() < WATCHED {
        if let Some(status) = server.child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return Some(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

#[tokio::test]
async fn a_stopping_server_waits_no_longer_than_its_drain_time() {
    let took = stop_amid_a_request("500ms").await.unwrap();
    assert!(
        took >= Duration::from_millis(500),
        "the request had its time: {took:?}"
    );
}

#[tokio::test]
async fn control_it_waits_without_the_limit() {
    assert_eq!(stop_amid_a_request("1h").await, None);
}
