//! A client that stands on memory alone: no file, no socket, and time that passes when the test lets it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use crypto::{
    DataKey, RecipientSecret, SigningIdentity, TextContext,
    content::{RecordContext, seal_manifest},
    seal_text,
};
use futures_util::FutureExt;
use prost::Message;
use protocol_spec::{
    api,
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId, RecordId, RequestId, VersionId},
    keys::IdentityKey,
    link::{Fingerprint, ServerLink},
    messages as pb,
};

use super::{
    memory::{MemoryFiles, MemoryServer, StillSystem},
    *,
};
use crate::{
    CertificateFault, Error, Registrar, Unlock,
    connect::{Credentials, Server, bootstrap},
};

pub(crate) fn key(seed: u8) -> IdentityKey {
    SigningIdentity::from_seed(&[seed; 32]).unwrap().public()
}

fn certificate() -> Sha256Digest {
    Sha256Digest::of(b"a certificate")
}

pub(crate) fn link() -> ServerLink {
    let fingerprint = Fingerprint::of(&key(1), &key(2), Some(&certificate()));
    ServerLink::new("vault.example:8443", fingerprint).unwrap()
}

/// A server that is itself, and what it was asked.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<Vec<http::Request<Bytes>>>>);

impl Asked {
    pub(crate) fn all(&self) -> Vec<http::Request<Bytes>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers everything else than what it is by this function, with status and body.
    pub(crate) fn server(
        &self,
        mut answer: impl FnMut(&http::Request<Bytes>) -> (u16, Vec<u8>) + Send + 'static,
    ) -> MemoryServer {
        let asked = self.0.clone();
        MemoryServer::new(certificate(), move |request| {
            let (status, body) = match request.uri().path() {
                "/v1/server" => (200, info().encode_to_vec()),
                _ => answer(&request),
            };
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            // In two pieces, as bodies come.
            let (first, second) = body.split_at(body.len() / 2);
            let pieces = [first, second].map(Bytes::copy_from_slice).to_vec();
            http::Response::builder().status(status).body(pieces).unwrap()
        })
    }
}

fn info() -> pb::ServerInfo {
    pb::ServerInfo {
        version: 1,
        suite: 1,
        operator_key: Bytes::copy_from_slice(key(1).as_bytes()),
        registrar_key: Bytes::copy_from_slice(key(2).as_bytes()),
        ..Default::default()
    }
}

pub(crate) fn ground(server: MemoryServer, system: &StillSystem) -> Ground {
    let files = Arc::new(MemoryFiles::default());
    Ground::new(files, Arc::new(server), Arc::new(system.clone()))
}

/// What comes of it while time passes.
pub(crate) async fn while_time_passes<T>(system: &StillSystem, future: impl Future<Output = T>) -> T {
    let passing = async {
        loop {
            system.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        done = future => done,
        () = passing => unreachable!(),
    }
}

/// KEY-9, on any ground.
#[tokio::test]
async fn a_link_pins_what_it_was_made_for() {
    let system = StillSystem::new(NOW, 1);
    let ground = ground(Asked::default().server(|_| (404, Vec::new())), &system);
    let pins = bootstrap(&link(), &ground).await.unwrap();
    assert_eq!((pins.operator, pins.registrar), (key(1), key(2)));
    assert_eq!(pins.certificate, Some(certificate()));
    let other = Fingerprint::of(&key(1), &key(2), Some(&Sha256Digest::of(b"another")));
    let other = ServerLink::new("vault.example:8443", other).unwrap();
    let refused = bootstrap(&other, &ground).await.unwrap_err();
    assert_eq!(refused.code(), "wrong-server");
    let moved = crate::home::Pins {
        certificate: Some(Sha256Digest::of(b"another")),
        ..pins
    };
    let server = Server::new(moved, None, &ground).unwrap();
    let refused = server.get(api::SERVER.here()).await.unwrap_err();
    let fault = CertificateFault::NotPinned;
    assert!(matches!(refused, Error::Certificate { fault: found, .. } if found == fault));
}

/// API-7: what is refused for a moment is asked again, signed anew, and in between nothing but the given clock moves.
#[tokio::test]
async fn pauses_and_signatures_go_by_the_given_clock() {
    let (asked, system) = (Asked::default(), StillSystem::new(NOW, 1));
    let mut times = 0;
    let ground = ground(
        asked.server(move |_| {
            times += 1;
            let busy = br#"{"type":"urn:medvault:problem:unavailable"}"#.to_vec();
            if times < 4 {
                (503, busy)
            } else {
                (200, b"text".to_vec())
            }
        }),
        &system,
    );
    let pins = bootstrap(&link(), &ground).await.unwrap();
    let credentials = Credentials {
        key_id: "pat_a".to_owned(),
        key: Arc::new(SigningIdentity::from_seed(&[9; 32]).unwrap()),
    };
    let server = Server::new(pins, Some(credentials), &ground).unwrap();
    drop(asked.all());
    let at = api::LOG_CHECKPOINT.here();
    assert!(
        server.get_file(at.again()).now_or_never().is_none(),
        "it waits for the clock"
    );
    let before = system.uptime();
    let text = while_time_passes(&system, server.get_file(at)).await.unwrap();
    assert_eq!(text, "text");
    assert!(system.uptime() - before >= Duration::from_millis(100));
    let inputs: Vec<_> = asked
        .all()
        .iter()
        .map(|request| request.headers()["signature-input"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(inputs.len(), 4);
    let created = format!("created={}", NOW / 1000);
    assert!(inputs.iter().all(|input| input.contains(&created)), "{inputs:?}");
    assert!(inputs.windows(2).all(|two| two[0] != two[1]), "a nonce each");
}

/// A registrar needs no server.
#[test]
fn a_registrar_lives_in_memory_and_its_clock_is_the_given_one() {
    let system = StillSystem::new(NOW, 1);
    let ground = ground(Asked::default().server(|_| (404, Vec::new())), &system);
    let unlock = Unlock::passphrase("seven otters carry a violin");
    let made = Registrar::init(ground.clone(), &unlock).unwrap();
    let again = Registrar::open(ground.clone(), &unlock).unwrap();
    assert_eq!(made.key_text(), again.key_text());
    let other = Registrar::open(ground.clone(), &Unlock::passphrase("another"));
    assert!(matches!(other, Err(Error::WrongUnlock { .. })));
    assert!(matches!(
        Registrar::init(ground, &unlock),
        Err(Error::HomeExists { .. })
    ));
}

/// What a simulation has made it makes again: all keys and sealed bytes follow from the seed, and none is like that of another.
#[test]
fn the_same_seed_makes_the_same_keys_and_seals_the_same_bytes() {
    let (first, again, other) = (made_by(1), made_by(1), made_by(2));
    assert_eq!(first, again);
    for ((what, one), (_, another)) in first.iter().zip(&other) {
        assert_ne!(one, another, "{what}");
    }
}

/// Keys, and bytes that are sealed by each way of sealing: under a home's key, to an X-Wing key, as a stream.
fn made_by(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let (system, files) = (StillSystem::new(NOW, seed), Arc::new(MemoryFiles::default()));
    let server = Asked::default().server(|_| (404, Vec::new()));
    let ground = Ground::new(files.clone(), Arc::new(server), Arc::new(system.clone()));
    let registrar = Registrar::init(ground, &Unlock::passphrase("seven otters carry a violin")).unwrap();

    let (patient, clinic) = (PatientId::from_bytes([1; 32]), InstitutionId::from_bytes([2; 32]));
    let reader = RecipientSecret::generate(&system).unwrap();
    let context = TextContext::to_patient(RequestId::from_bytes([3; 16]), &clinic, &patient);
    let text = seal_text(&system, reader.public(), &context, "text").unwrap();

    // Under one key, so that only the salt can make a difference.
    let (record, version) = (RecordId::from_bytes([4; 16]), VersionId::from_bytes([5; 16]));
    let context = RecordContext {
        patient,
        record,
        version,
    };
    let stream = seal_manifest(&system, &DataKey::from_bytes(&[6; 32]), &context, b"manifest").unwrap();
    vec![
        ("a signing key", registrar.key_text().into_bytes()),
        (
            "secrets of a home",
            files.read("secrets.sealed").unwrap().unwrap(),
        ),
        ("an X-Wing key", reader.expose_seed().to_vec()),
        ("an encapsulation", text.enc.to_vec()),
        ("a text", text.ciphertext.to_vec()),
        (
            "a data key",
            DataKey::generate(&system).unwrap().expose().to_vec(),
        ),
        ("a stream", stream),
    ]
}

/// 2027, in milliseconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000_000;
