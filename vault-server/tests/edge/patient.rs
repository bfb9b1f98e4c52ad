//! A patient who signs by hand, with any 1216 bytes of the right form as her X-Wing key: the server cannot
//! tell, and needs no cipher to be tested.

use ed25519_dalek::{Signer as _, SigningKey};
use http::{Method, Request, header};
use prost::Message;
use protocol_spec::{
    bodies::DeviceCertificate,
    ids::{OperatorId, PatientId},
    keys::IdentityKey,
    messages as pb,
    request::{self, Params, SignatureLabel, Signer},
    statement::Signed,
};

use super::client::{Server, raw_body};

pub(crate) struct Patient {
    signing: SigningKey,
    key: IdentityKey,
    operator: OperatorId,
    authority: String,
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

fn nonce() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Patient {
    pub(crate) async fn new(server: &Server) -> Self {
        let ask = "GET /v1/server HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let info: pb::ServerInfo =
            protocol_spec::messages::decode(&raw_body(&mut server.connect().await, ask).await).unwrap();
        let operator = IdentityKey::try_from(info.operator_key.as_ref()).unwrap();
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).unwrap();
        let signing = SigningKey::from_bytes(&seed);
        Self {
            key: IdentityKey::try_from(signing.verifying_key().as_bytes().as_slice()).unwrap(),
            signing,
            operator: OperatorId::from(&operator),
            authority: server.running.link().authority().to_owned(),
        }
    }

    pub(crate) async fn enrolled(server: &Server) -> Self {
        let patient = Self::new(server).await;
        let answer = patient.send(server, &patient.enrolment()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        patient
    }

    pub(crate) fn id(&self) -> PatientId {
        PatientId::from(&self.key)
    }

    pub(crate) fn enrolment(&self) -> Ask<'static> {
        let mut recipient = [0; 1216];
        recipient[1184] = 9;
        let certificate = DeviceCertificate {
            identity_key: self.key,
            device_key: self.key,
            recipient_key: recipient.as_slice().try_into().unwrap(),
            created: now() * 1000,
        };
        let signed = Signed::sign(certificate, |message| self.signing.sign(message).to_bytes());
        post(
            "/v1/patients",
            &pb::EnrolPatient {
                device_certificate: Some(signed.to_message()),
            },
        )
    }

    /// The request's bytes, signed.
    pub(crate) fn sign(&self, ask: &Ask<'_>) -> Vec<u8> {
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(ask.path)
            .header(header::HOST, &self.authority)
            .header(request::OPERATOR, self.operator.to_string());
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        let params = Params {
            created: ask.created,
            expires: ask.created + 60,
            nonce: nonce(),
            key_id: self.id().to_string(),
        };
        let sign = |message: &[u8]| self.signing.sign(message).to_bytes();
        let signer = Signer {
            label: SignatureLabel::Id,
            params,
            sign: &sign,
        };
        request::sign(&mut parts, &self.authority, &[signer]).unwrap();
        let mut text = format!("{} {} HTTP/1.1\r\n", parts.method, parts.uri);
        for (name, value) in &parts.headers {
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        text.push_str("\r\n");
        [text.as_bytes(), &ask.body].concat()
    }

    pub(crate) async fn send(&self, server: &Server, ask: &Ask<'_>) -> String {
        server.send(&self.sign(ask)).await
    }
}
