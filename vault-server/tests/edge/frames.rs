//! HTTP/2 by hand: frames as one likes them, windows never opened.

use std::{net::SocketAddr, time::Duration};

use http::request::Parts;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::client::{Client, connect};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
/// Of settings and pings.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A setting: how much each stream may send before the window is opened further.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame that came.
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection.
pub(crate) struct H2(pub(crate) Client);

impl H2 {
    pub(crate) async fn connect(addr: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut h2 = Self(connect(addr, &[b"h2"]).await.unwrap());
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        h2.send(&[PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat())
            .await;
        h2
    }

    /// The server may have ended the connection.
    pub(crate) async fn send(&mut self, frames: &[u8]) {
        drop(self.0.write_all(frames).await);
    }

    /// None once the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        let read = timeout(Duration::from_secs(10), self.0.read_exact(&mut head)).await;
        read.unwrap().ok()?;
        let [a, b, c, kind, _, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// The first of these frames to come; none if the connection ends before.
    pub(crate) async fn first_of(&mut self, kinds: &[u8]) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if kinds.contains(&frame.kind) {
                return Some(frame);
            }
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request's head in HPACK, nothing compressed.
pub(crate) fn request(head: &Parts) -> Vec<u8> {
    let host = head.headers["host"].to_str().unwrap();
    let mut block = [
        field(":method", head.method.as_str()),
        field(":scheme", "https"),
        field(":authority", host),
        field(":path", &head.uri.to_string()),
    ]
    .concat();
    for (name, value) in &head.headers {
        if name != "host" {
            block.extend(field(name.as_str(), value.to_str().unwrap()));
        }
    }
    block
}

/// RFC 7541 §6.2.2: a field that enters no table.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0], &text(name)[..], &text(value)].concat()
}

/// RFC 7541 §5.1, §5.2.
fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut length = text.len();
    if length < 127 {
        bytes.push(u8::try_from(length).unwrap());
    } else {
        bytes.push(127);
        length -= 127;
        while length >= 128 {
            bytes.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        bytes.push(u8::try_from(length).unwrap());
    }
    bytes.extend(text.as_bytes());
    bytes
}
