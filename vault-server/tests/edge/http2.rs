//! HTTP/2 frames by hand (FLT-37).

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::client::{Server, connect};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// `GET https://a/` in HPACK's static table.
const REQUEST: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b'a'];
const END_STREAM_AND_HEADERS: u8 = 5;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Opens and resets streams at once, then asks for a sign of life. Gives the kind of what comes first:
/// the end, or the sign.
async fn rapid_reset(resets: &str) -> u8 {
    let server = Server::start(&["--h2-resets", resets, "--h2-streams", "4000"]).await;
    let mut client = connect(server.addr(), &[b"h2"]).await.unwrap();
    let mut attack = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for stream in (1..2000).step_by(2) {
        attack.extend(frame(HEADERS, END_STREAM_AND_HEADERS, stream, REQUEST));
        attack.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    attack.extend(frame(PING, 0, 0, &[0; 8]));
    client.write_all(&attack).await.unwrap();
    loop {
        let mut head = [0; 9];
        let read = timeout(Duration::from_secs(10), client.read_exact(&mut head))
            .await
            .unwrap();
        if read.is_err() {
            return GOAWAY;
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        client.read_exact(&mut payload).await.unwrap();
        if head[3] == GOAWAY || head[3] == PING {
            return head[3];
        }
    }
}

#[tokio::test]
async fn rapid_reset_ends_the_connection() {
    assert_eq!(rapid_reset("20").await, GOAWAY);
}

#[tokio::test]
async fn control_rapid_reset_goes_through_without_the_limit() {
    assert_eq!(rapid_reset("4000").await, PING);
}
