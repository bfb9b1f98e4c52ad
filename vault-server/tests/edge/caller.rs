//! Whoever signs requests by hand.

use std::net::SocketAddr;

use ed25519_dalek::{Signer as _, SigningKey};
use http::{Method, Request, header, request::Parts};
use prost::Message;
use protocol_spec::{
    ids::OperatorId,
    keys::IdentityKey,
    messages as pb,
    request::{self, Params, SignatureLabel, Signer},
};

use super::client::{connect, raw_body};

/// A principal as one server knows it.
pub(crate) struct Caller {
    pub(crate) signing: SigningKey,
    pub(crate) key: IdentityKey,
    pub(crate) operator: OperatorId,
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
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn nonce() -> String {
    random::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn public(signing: &SigningKey) -> IdentityKey {
    IdentityKey::try_from(signing.verifying_key().as_bytes().as_slice()).unwrap()
}

impl Caller {
    /// With a new key, not enrolled yet.
    pub(crate) async fn new(addr: SocketAddr) -> Self {
        let ask = "GET /v1/server HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let answer = raw_body(&mut connect(addr, &[]).await.unwrap(), ask).await;
        let info: pb::ServerInfo = protocol_spec::messages::decode(&answer).unwrap();
        let operator = IdentityKey::try_from(info.operator_key.as_ref()).unwrap();
        let signing = SigningKey::from_bytes(&random());
        Self {
            key: public(&signing),
            signing,
            operator: OperatorId::from(&operator),
            addr,
        }
    }

    /// The request's bytes, signed under this key id.
    pub(crate) fn sign(&self, ask: &Ask<'_>, key_id: &str) -> Vec<u8> {
        text(
            &self.signed(ask, &[(SignatureLabel::Id, key_id, &self.signing)]),
            &ask.body,
        )
    }

    /// The request's head with these signatures.
    pub(crate) fn signed(&self, ask: &Ask<'_>, keys: &[(SignatureLabel, &str, &SigningKey)]) -> Parts {
        let authority = self.addr.to_string();
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(ask.path)
            .header(header::HOST, &authority)
            .header(request::OPERATOR, self.operator.to_string());
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        let sign_with = |key: &SigningKey| {
            let key = key.clone();
            move |message: &[u8]| key.sign(message).to_bytes()
        };
        let signs: Vec<_> = keys.iter().map(|(_, _, key)| sign_with(key)).collect();
        let signers: Vec<Signer<'_>> = keys
            .iter()
            .zip(&signs)
            .map(|((label, key_id, _), sign)| Signer {
                label: *label,
                params: Params {
                    created: ask.created,
                    expires: ask.created + 60,
                    nonce: nonce(),
                    key_id: (*key_id).to_owned(),
                },
                sign,
            })
            .collect();
        request::sign(&mut parts, &authority, &signers).unwrap();
        parts
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
