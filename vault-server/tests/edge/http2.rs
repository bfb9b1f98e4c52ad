//! Attacks with HTTP/2 frames (FLT-37), each with its control: the same attack with the limit off.

use std::time::Duration;

use http::Request;

use super::{
    client::Server,
    frames::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, H2, HEADERS, INITIAL_WINDOW_SIZE,
        PING, RST_STREAM, SETTINGS, field, frame, request,
    },
};

/// RFC 9113 §7.
const FLOW_CONTROL_ERROR: u32 = 3;
const REFUSED_STREAM: u32 = 7;

fn head(method: &str, path: &str) -> Vec<u8> {
    let request_head = Request::builder().method(method).uri(path).header("host", "a");
    request(&request_head.body(()).unwrap().into_parts().0)
}

fn code(frame: &Frame) -> u32 {
    u32::from_be_bytes(*frame.payload.last_chunk().unwrap())
}

/// Opens and resets streams at once, then asks for a sign of life. Gives the kind of what comes first:
/// the end, or the sign.
async fn rapid_reset(resets: &str) -> u8 {
    let server = Server::start(&["--h2-resets", resets, "--h2-streams", "4000"]).await;
    let mut client = H2::connect(server.addr(), &[]).await;
    let mut attack = Vec::new();
    for stream in (1..2000).step_by(2) {
        attack.extend(frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            stream,
            &head("GET", "/"),
        ));
        attack.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    attack.extend(frame(PING, 0, 0, &[0; 8]));
    client.send(&attack).await;
    let first = client.first_of(&[GOAWAY, PING]).await;
    first.map_or(GOAWAY, |frame| frame.kind)
}

#[tokio::test]
async fn rapid_reset_ends_the_connection() {
    assert_eq!(rapid_reset("20").await, GOAWAY);
}

#[tokio::test]
async fn control_rapid_reset_goes_through_without_the_limit() {
    assert_eq!(rapid_reset("4000").await, PING);
}

/// A header section in many frames. Whether it is served.
async fn long_headers(header_bytes: &str, length: usize) -> bool {
    let server = Server::start(&["--header-bytes", header_bytes]).await;
    let mut client = H2::connect(server.addr(), &[]).await;
    let block = [head("GET", "/v1/server"), field("x", &"a".repeat(length))].concat();
    let (first, rest) = block.split_at(10_000);
    let mut attack = frame(HEADERS, END_STREAM, 1, first);
    for piece in rest.chunks(10_000) {
        attack.extend(frame(CONTINUATION, 0, 1, piece));
    }
    attack.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
    client.send(&attack).await;
    let first = client.first_of(&[HEADERS, RST_STREAM, GOAWAY]).await;
    // `:status: 200` is one byte, 0x88 (RFC 7541, appendix A).
    first.is_some_and(|frame| frame.kind == HEADERS && frame.payload.first() == Some(&0x88))
}

#[tokio::test]
async fn long_headers_are_not_served_however_they_are_cut() {
    assert!(!long_headers("16KiB", 20_000).await);
    assert!(!long_headers("16KiB", 1 << 20).await);
}

#[tokio::test]
async fn control_long_headers_are_served_without_the_limit() {
    assert!(long_headers("4MiB", 20_000).await);
    assert!(long_headers("4MiB", 1 << 20).await);
}

/// Opens streams whose bodies never come. Gives the stream and the code of the first that is refused;
/// none, if it gets a sign of life before.
async fn open_streams(most: &str) -> Option<(u32, u32)> {
    let server = Server::start(&["--h2-streams", most]).await;
    let mut client = H2::connect(server.addr(), &[]).await;
    let mut attack = Vec::new();
    for stream in (1..20).step_by(2) {
        attack.extend(frame(HEADERS, END_HEADERS, stream, &head("POST", "/v1/patients")));
    }
    attack.extend(frame(PING, 0, 0, &[0; 8]));
    client.send(&attack).await;
    let first = client.first_of(&[RST_STREAM, GOAWAY, PING]).await.unwrap();
    (first.kind != PING).then(|| (first.stream, code(&first)))
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused() {
    assert_eq!(open_streams("4").await, Some((9, REFUSED_STREAM)));
}

#[tokio::test]
async fn control_they_are_opened_without_the_limit() {
    assert_eq!(open_streams("10").await, None);
}

/// Sends a body ahead of the server, which has no memory for its answer: those before it have all that one address gets.
/// Gives the code by which it ends; none, if it is let in.
async fn body_ahead(bytes: usize) -> Option<u32> {
    let server = Server::start(&[]).await;
    let mut client = H2::connect(server.addr(), &[]).await;
    // The server's window counts from the moment that its settings are acknowledged.
    client.first_of(&[SETTINGS]).await.unwrap();
    let begin = |stream| {
        // An answer in JSON takes the most memory, before a byte of the body has come.
        let fields = [field("idempotency-key", "k"), field("accept", "application/json")];
        let block = [head("POST", "/v1/patients"), fields.concat()].concat();
        frame(HEADERS, END_HEADERS, stream, &block)
    };
    let before = (1..41).step_by(2).flat_map(begin).collect();
    client
        .send(&[frame(SETTINGS, ACK, 0, &[]), before].concat())
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut attack = begin(41);
    for _ in 0..bytes >> 14 {
        attack.extend(frame(DATA, 0, 41, &[0; 1 << 14]));
    }
    client.send(&attack).await;
    // No sign of life tells that it was let in: a server answers a PING before it ends a stream.
    let ended = client.first_of(&[RST_STREAM, GOAWAY]);
    let first = tokio::time::timeout(Duration::from_secs(1), ended).await.ok()??;
    Some(match first.kind {
        GOAWAY => u32::from_be_bytes(*first.payload[4..].first_chunk().unwrap()),
        _ => code(&first),
    })
}

/// What a peer may send ahead is fixed: 128 KiB a stream.
#[tokio::test]
async fn a_body_beyond_its_window_is_not_kept() {
    assert_eq!(body_ahead(256 << 10).await, Some(FLOW_CONTROL_ERROR));
}

#[tokio::test]
async fn control_a_body_within_its_window_is() {
    assert_eq!(body_ahead(128 << 10).await, None);
}

#[tokio::test]
async fn a_peer_is_told_the_limits() {
    let server = Server::start(&["--h2-streams", "7", "--header-bytes", "12KiB"]).await;
    let mut client = H2::connect(server.addr(), &[]).await;
    let settings = client.first_of(&[SETTINGS]).await.unwrap().payload;
    let told = |id: u16, value: u32| {
        let setting = [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        settings.chunks(6).any(|chunk| chunk == setting)
    };
    // RFC 9113 §6.5.2: concurrent streams, initial window, header list.
    assert!(told(3, 7) && told(INITIAL_WINDOW_SIZE, 128 << 10) && told(6, 12 << 10));
}
