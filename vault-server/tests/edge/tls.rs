//! What the handshake agrees on (FLT-38).

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use actors::tls::believing;
use protocol_spec::hash::Sha256Digest;
use protocol_spec::{
    keys::IdentityKey,
    link::{Fingerprint, ServerLink},
};
use rustls::NamedGroup;

use super::client::{Client, Server, connect, handshake, raw_body, registrar_key};

/// ATK-52
#[tokio::test]
async fn tls_1_3_with_the_hybrid_group() {
    let server = Server::start(&[]).await;
    let client = server.connect().await;
    let session = client.get_ref().1;
    assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(
        session.negotiated_key_exchange_group().unwrap().name(),
        NamedGroup::X25519MLKEM768
    );
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let server = Server::start(&[]).await;
    assert!(
        handshake(server.addr(), believing(&[&rustls::version::TLS12]))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn both_http_versions_are_offered() {
    let server = Server::start(&[]).await;
    for name in [&b"h2"[..], b"http/1.1"] {
        let client = connect(server.addr(), &[name]).await.unwrap();
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(name));
    }
}

#[tokio::test]
async fn the_link_pins_the_development_certificate() {
    let server = Server::start(&[]).await;
    let client = server.connect().await;
    let certificate = Sha256Digest::of(&client.get_ref().1.peer_certificates().unwrap()[0]);
    let registrar = IdentityKey::from_text(&registrar_key(), IdentityKey::REGISTRAR_PREFIX).unwrap();
    let operator = operator_key(&server).await;
    let link: ServerLink = server.running.link().to_string().parse().unwrap();
    assert_eq!(
        *link.fingerprint(),
        Fingerprint::of(&operator, &registrar, Some(&certificate))
    );
    assert_eq!(link.authority(), server.addr().to_string());
}

async fn operator_key(server: &Server) -> IdentityKey {
    let mut client = server.connect().await;
    let answer = raw_body(&mut client, "GET /v1/server HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let info: protocol_spec::messages::ServerInfo = protocol_spec::messages::decode(&answer).unwrap();
    IdentityKey::try_from(info.operator_key.as_ref()).unwrap()
}

/// OPR-4: what began with one certificate goes on with it; who comes when it was replaced gets the new one.
#[tokio::test]
async fn a_certificate_is_replaced_beside_open_connections() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let renew = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&chain, made.cert.pem()).unwrap();
    };
    renew();
    let flags = [
        "--tls-cert",
        chain.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let server = Server::start(&flags).await;
    let seen = |client: &Client| client.get_ref().1.peer_certificates().unwrap()[0].clone();
    let ask = "GET /v1/server HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut first = server.connect().await;
    let before = seen(&first);
    assert!(!raw_body(&mut first, ask).await.is_empty());
    renew();
    server.running.reloader()();
    let replaced = async {
        while seen(&server.connect().await) == before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), replaced)
        .await
        .unwrap();
    assert!(!raw_body(&mut first, ask).await.is_empty());
    assert_eq!(seen(&first), before);
}
