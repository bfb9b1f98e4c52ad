//! First contact and pins, against small TLS servers that say what the test wants.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use crypto::SigningIdentity;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use prost::Message;
use protocol_spec::{
    api,
    hash::Sha256Digest,
    keys::IdentityKey,
    link::{Fingerprint, ServerLink},
    messages as pb,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::Error;

pub(crate) struct TestServer {
    pub(crate) authority: String,
    pub(crate) certificate: Sha256Digest,
    /// How often.
    asked: Arc<AtomicUsize>,
}

fn key(seed: u8) -> IdentityKey {
    SigningIdentity::from_seed(&[seed; 32]).unwrap().public()
}

fn info(version: u32) -> pb::ServerInfo {
    pb::ServerInfo {
        version,
        suite: 1,
        operator_key: Bytes::copy_from_slice(key(1).as_bytes()),
        registrar_key: Bytes::copy_from_slice(key(2).as_bytes()),
        ..Default::default()
    }
}

/// Serves one answer to everything, with this status.
pub(crate) async fn serve(status: u16, body: Vec<u8>) -> TestServer {
    serve_naming(status, body, None).await
}

/// The same, naming another address to go to.
async fn serve_naming(status: u16, body: Vec<u8>, location: Option<String>) -> TestServer {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate = CertificateDer::from(made.cert);
    let digest = Sha256Digest::of(&certificate);
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], private)
            .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = format!("localhost:{}", listener.local_addr().unwrap().port());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (body, asked) = (Bytes::from(body), Arc::new(AtomicUsize::new(0)));
    let counted = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let (body, location, counted) = (body.clone(), location.clone(), counted.clone());
            let answer = service_fn(move |_: Request<Incoming>| {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut response = Response::builder().status(status);
                if let Some(location) = &location {
                    response = response.header("location", location);
                }
                let response = response.body(Full::new(body.clone())).unwrap();
                async move { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    TestServer {
        authority,
        certificate: digest,
        asked,
    }
}

impl TestServer {
    fn link(&self, operator: &IdentityKey, certificate: Option<&Sha256Digest>) -> ServerLink {
        ServerLink::new(&self.authority, Fingerprint::of(operator, &key(2), certificate)).unwrap()
    }

    fn own_link(&self) -> ServerLink {
        self.link(&key(1), Some(&self.certificate))
    }
}

#[tokio::test]
async fn the_link_of_a_development_server_pins_its_certificate() {
    let server = serve(200, info(1).encode_to_vec()).await;
    let pins = bootstrap(&server.own_link(), &Ground::nowhere()).await.unwrap();
    assert_eq!(
        (pins.operator, pins.registrar, pins.certificate),
        (key(1), key(2), Some(server.certificate))
    );
    let again = Server::new(pins, None, &Ground::nowhere()).unwrap();
    assert_eq!(again.get(api::SERVER.here()).await.unwrap(), info(1));
}

#[tokio::test]
async fn other_keys_another_certificate_and_untrusted_ones_are_refused() {
    let server = serve(200, info(1).encode_to_vec()).await;
    let wrong = [
        server.link(&key(3), Some(&server.certificate)),
        server.link(&key(1), Some(&Sha256Digest::of(b"another"))),
        // Without a certificate in the link, the system's roots must vouch for it.
        server.link(&key(1), None),
    ];
    for link in wrong {
        let refused = bootstrap(&link, &Ground::nowhere()).await.unwrap_err();
        let code = refused.code();
        assert!(
            matches!(code, "wrong-server" | "certificate-issuer" | "no-roots"),
            "{link}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_pinned_certificate_that_changes_is_refused_at_once() {
    let (first, second) = (
        serve(200, info(1).encode_to_vec()).await,
        serve(200, info(1).encode_to_vec()).await,
    );
    let pins = bootstrap(&first.own_link(), &Ground::nowhere()).await.unwrap();
    let moved = Pins {
        link: second.own_link(),
        ..pins
    };
    let answer = Server::new(moved, None, &Ground::nowhere())
        .unwrap()
        .get(api::SERVER.here())
        .await;
    let refused = answer.unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Certificate {
                fault: CertificateFault::NotPinned,
                ..
            }
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn unknown_versions_silence_and_nonsense_are_told_apart() {
    let newer = serve(200, info(2).encode_to_vec()).await;
    let answer = bootstrap(&newer.own_link(), &Ground::nowhere()).await;
    assert!(matches!(
        answer,
        Err(Error::Protocol(protocol_spec::Error::Version { version: 2, .. }))
    ));
    let nonsense = serve(200, b"<html>".to_vec()).await;
    assert!(matches!(
        bootstrap(&nonsense.own_link(), &Ground::nowhere()).await,
        Err(Error::Protocol(_))
    ));
    let not_ours = serve(404, b"nothing here".to_vec()).await;
    assert!(matches!(
        bootstrap(&not_ours.own_link(), &Ground::nowhere()).await,
        Err(Error::Unreachable { .. })
    ));
    let nobody = ServerLink::new("127.0.0.1:9", Fingerprint::of(&key(1), &key(2), None)).unwrap();
    let error = bootstrap(&nobody, &Ground::nowhere()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable { authority, .. } if authority == "127.0.0.1:9"),
        "{error}"
    );
}

/// PRM-16, ATK-66: it is followed by signatures alone. A machine whose clock is a day ahead does not take a session that has just
/// been opened for one that is over, and ends nothing by the server's.
#[tokio::test]
async fn the_servers_clock_is_followed_by_signatures_once_it_is_told() {
    let server = serve(
        401,
        br#"{"type":"urn:medvault:problem:signature-expired","now":5000000}"#.to_vec(),
    )
    .await;
    let pins = Pins {
        link: server.own_link(),
        operator: key(1),
        registrar: key(2),
        certificate: Some(server.certificate),
    };
    let server = Server::new(pins, None, &Ground::nowhere()).unwrap();
    assert!(server.clock().for_signatures() > 1_700_000_000_000);
    assert!(server.get(api::SERVER.here()).await.is_err());
    assert!((5_000_000..5_060_000).contains(&server.clock().for_signatures()));
    let now = server.clock().now();
    assert!(now.own() > 1_700_000_000_000);
    assert!(now.may_be_over(1_700_000_000_000));
}

#[tokio::test]
async fn refusals_carry_the_problem() {
    let document = br#"{"type":"urn:medvault:problem:permission-revoked","title":"t","status":403}"#;
    let server = serve(403, document.to_vec()).await;
    let refused = Server::new(pins(&server), None, &Ground::nowhere())
        .unwrap()
        .get(api::SERVER.here())
        .await
        .unwrap_err();
    assert!(refused.is_problem(Problem::PermissionRevoked));
    assert_eq!(refused.code(), "permission-revoked");
}

/// A server, and one that sends everybody to it.
async fn planted() -> (TestServer, TestServer) {
    let elsewhere = serve(200, info(1).encode_to_vec()).await;
    let address = format!("https://{}/v1/server", elsewhere.authority);
    let sends_there = serve_naming(302, Vec::new(), Some(address)).await;
    (elsewhere, sends_there)
}

fn pins(server: &TestServer) -> Pins {
    Pins {
        link: server.own_link(),
        operator: key(1),
        registrar: key(2),
        certificate: Some(server.certificate),
    }
}

/// ATK-51: the address that a server names is not asked, though it would answer.
#[tokio::test]
async fn only_the_server_of_the_link_is_asked() {
    let (elsewhere, server) = planted().await;
    let client = Server::new(pins(&server), None, &Ground::nowhere()).unwrap();
    let answer = client.get(api::SERVER.here()).await;
    assert!(matches!(answer, Err(Error::Unreachable { .. })));
    assert!(server.asked.load(Ordering::SeqCst) > 0);
    assert_eq!(elsewhere.asked.load(Ordering::SeqCst), 0);
}

/// ATK-51, the control: whoever goes where it is sent is seen there.
#[tokio::test]
async fn control_whoever_follows_is_seen_elsewhere() {
    let (elsewhere, server) = planted().await;
    let followed = Server::new(pins(&elsewhere), None, &Ground::nowhere()).unwrap();
    followed.get(api::SERVER.here()).await.unwrap();
    assert_eq!(elsewhere.asked.load(Ordering::SeqCst), 1);
    assert_eq!(server.asked.load(Ordering::SeqCst), 0);
}
