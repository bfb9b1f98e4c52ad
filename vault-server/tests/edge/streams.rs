//! Inbox streams: alive, counted, ended at shutdown.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::{
    caller::get,
    client::{Client, Server, answer, is_closed},
    patient::Patient,
};

async fn listen(server: &Server, patient: &Patient) -> (Client, String) {
    let mut client = server.connect().await;
    client
        .write_all(&patient.sign(&get("/v1/inbox/stream")))
        .await
        .unwrap();
    let mut head = answer(&mut client).await;
    if head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n") {
        head.push_str(&answer(&mut client).await);
    }
    (client, head)
}

#[tokio::test]
async fn a_stream_shows_that_it_lives() {
    let server = Server::start(&["--keep-alive", "200ms"]).await;
    let patient = Patient::enrolled(&server).await;
    let (mut client, head) = listen(&server, &patient).await;
    assert!(
        head.contains("content-type: text/event-stream") && head.contains(":\n\n"),
        "{head}"
    );
    assert!(answer(&mut client).await.contains(":\n\n"));
}

async fn third_stream(most: &str) -> String {
    let server = Server::start(&["--streams-per-principal", most]).await;
    let patient = Patient::enrolled(&server).await;
    let _first = listen(&server, &patient).await;
    let _second = listen(&server, &patient).await;
    listen(&server, &patient).await.1
}

#[tokio::test]
async fn a_principal_has_only_so_many_streams() {
    assert!(third_stream("2").await.starts_with("HTTP/1.1 429"));
}

#[tokio::test]
async fn control_more_streams_pass_without_the_limit() {
    assert!(third_stream("3").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stream_ends_at_shutdown_without_using_up_the_drain_time() {
    let server = Server::start(&["--drain", "1m"]).await;
    let patient = Patient::enrolled(&server).await;
    let (mut client, _) = listen(&server, &patient).await;
    let started = Instant::now();
    server.running.stop();
    assert!(is_closed(&mut client).await);
    server.running.wait().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
}
