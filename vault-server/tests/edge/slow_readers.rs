//! Readers who never open their HTTP/2 windows (FLT-22, FLT-37), each with its control. Nothing blocks on
//! the socket then, so only what waits for the bytes to go notices.

use super::{
    caller::get,
    client::{Server, is_closed},
    frames::{END_HEADERS, END_STREAM, H2, HEADERS, INITIAL_WINDOW_SIZE, frame, request},
    hospital::Hospital,
    patient::Patient,
};

/// Bytes of the record's only leaf; too many to be kept in a row.
const LEAF: usize = 100 << 10;

/// Eight streams that ask and never read. Whether the connection is ended, and the memory held then.
async fn unread(flags: &[&str], what: impl Fn(&str) -> String) -> (bool, u64) {
    let server =
        Server::start(&[flags, &["--min-rate", "16MiB", "--streams-per-principal", "8"]].concat()).await;
    let patient = Patient::enrolled(&server).await;
    let hospital = Hospital::enrolled_at(server.addr()).await;
    let record = hospital.store(&patient, LEAF, 900).await;
    let path = what(&record.version_id.to_string());
    let mut client = H2::connect(server.addr(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for stream in (1..16).step_by(2) {
        let block = request(&patient.head(&get(&path)));
        client
            .send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block))
            .await;
    }
    let closed = is_closed(&mut client.0).await;
    (closed, server.metric("medvault_body_memory_bytes").await)
}

fn leaves(version: &str) -> String {
    format!("/v1/vault/records/{version}/leaves?first=0&count=1")
}

fn inbox(_: &str) -> String {
    "/v1/inbox/stream".into()
}

fn records(_: &str) -> String {
    "/v1/vault/arrivals".into()
}

#[tokio::test]
async fn leaves_that_are_never_read_end_the_connection() {
    assert_eq!(unread(&["--write-stall", "500ms"], leaves).await, (true, 0));
}

#[tokio::test]
async fn control_unread_leaves_are_held_without_the_limit() {
    let (closed, memory) = unread(&["--write-stall", "1h"], leaves).await;
    assert!(!closed && memory >= 8 * LEAF as u64, "{closed} {memory}");
}

#[tokio::test]
async fn answers_that_are_never_read_end_the_connection() {
    assert_eq!(unread(&["--write-stall", "500ms"], records).await, (true, 0));
}

#[tokio::test]
async fn control_unread_answers_are_held_without_the_limit() {
    let (closed, memory) = unread(&["--write-stall", "1h"], records).await;
    assert!(!closed && memory >= 8 * 900, "{closed} {memory}");
}

/// Events are counted until they are gone, and not only until the connection has them.
#[tokio::test]
async fn inbox_streams_that_are_never_read_end_the_connection() {
    assert_eq!(unread(&["--write-stall", "500ms"], inbox).await, (true, 0));
}

#[tokio::test]
async fn control_unread_inbox_streams_are_held_without_the_limit() {
    let (closed, memory) = unread(&["--write-stall", "1h"], inbox).await;
    assert!(!closed && memory >= 8 << 10, "{closed} {memory}");
}
