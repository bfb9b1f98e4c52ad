//! Whoever signs requests by hand.

use std::net::SocketAddr;

use actors::{KeyPair, Setting, request::nonce, setting::now_ms};
use http::{Method, Request, header, request::Parts};
use prost::Message;
use protocol_spec::{
    keys::IdentityKey,
    messages as pb,
    request::{self, SignatureLabel},
};

use super::client::{connect, raw_body, send};

/// Whoever signs requests under a name, as one server knows it.
pub(crate) struct Caller {
    pub(crate) key: KeyPair,
    pub(crate) name: String,
    pub(crate) at: Setting,
    pub(crate) addr: SocketAddr,
}

/// A request before it is signed; what stands here can be wrong.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) created: u64,
}

pub(crate) fn get(path: &str) -> Ask<'_> {
    Ask {
        method: Method::GET,
        path,
        headers: Vec::new(),
        body: Vec::new(),
        created: now(),
    }
}

pub(crate) fn post<'a>(path: &'a str, message: &impl Message) -> Ask<'a> {
    let body = message.encode_to_vec();
    let digest = request::content_digest(&body);
    let headers = vec![
        ("content-digest", digest),
        ("idempotency-key", nonce()),
        ("content-length", body.len().to_string()),
    ];
    Ask {
        method: Method::POST,
        path,
        headers,
        body,
        created: now(),
    }
}

pub(crate) fn now() -> u64 {
    now_ms() / 1000
}

/// A server, and the time there.
pub(crate) async fn setting(addr: SocketAddr) -> Setting {
    let ask = "GET /v1/server HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let answer = raw_body(&mut connect(addr, &[]).await.unwrap(), ask).await;
    let info: pb::ServerInfo = protocol_spec::messages::decode(&answer).unwrap();
    Setting::live(&IdentityKey::try_from(info.operator_key.as_ref()).unwrap())
}

impl Caller {
    /// The request's bytes, signed.
    pub(crate) fn sign(&self, ask: &Ask<'_>) -> Vec<u8> {
        text(&self.head(ask), &ask.body)
    }

    /// The request's head, signed.
    pub(crate) fn head(&self, ask: &Ask<'_>) -> Parts {
        self.signed(ask, &[(SignatureLabel::Id, &self.name, &self.key)])
    }

    /// The request's head with these signatures.
    pub(crate) fn signed(&self, ask: &Ask<'_>, keys: &[(SignatureLabel, &str, &KeyPair)]) -> Parts {
        let authority = self.addr.to_string();
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(ask.path)
            .header(header::HOST, &authority)
            .header(request::OPERATOR, self.at.operator.to_string());
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        actors::request::sign(&mut parts, &authority, ask.created, keys);
        parts
    }

    /// What is answered, or the beginning of it.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> String {
        send(self.addr, &self.sign(ask)).await
    }
}

/// As HTTP/1.1 has it.
pub(crate) fn text(head: &Parts, body: &[u8]) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", head.method, head.uri);
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}
