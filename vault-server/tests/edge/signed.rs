//! Signed requests, from outside: who passes, once, and what refusals give away (API-1 to API-10, ATK-25).

use super::{
    caller::{Ask, get, now, post},
    client::{Server, send_for_all},
    patient::Patient,
};

fn has(answer: &str, code: &str) -> bool {
    answer.contains(&format!("urn:medvault:problem:{code}\""))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn a_signed_request_passes_once_also_over_a_restart() {
    let server = Server::start(&[]).await;
    let patient = Patient::enrolled(&server).await;
    let captured = patient.sign(&get("/v1/inbox"));
    assert!(server.send(&captured).await.starts_with("HTTP/1.1 200"));
    assert!(has(&server.send(&captured).await, "replayed"));

    let server = server.restart().await;
    assert!(has(&server.send(&captured).await, "signature-expired"));
    // Control: what is signed after the start passes.
    assert!(patient.ask(&get("/v1/inbox")).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_whose_clock_is_off_is_told_the_time() {
    let server = Server::start(&[]).await;
    let patient = Patient::enrolled(&server).await;
    for created in [now() - 3600, now() + 3600] {
        let answer = patient
            .ask(&Ask {
                created,
                ..get("/v1/inbox")
            })
            .await;
        assert!(
            answer.starts_with("HTTP/1.1 401") && has(&answer, "signature-expired"),
            "{answer}"
        );
        assert!(body(&answer).contains("\"now\":"), "{answer}");
    }
}

#[tokio::test]
async fn unsigned_unknown_and_wrongly_signed_requests_look_alike() {
    let server = Server::start(&[]).await;
    let patient = Patient::enrolled(&server).await;
    let stranger = Patient::new(server.addr()).await;
    let unsigned = server
        .send(b"GET /v1/inbox HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let unknown = stranger.ask(&get("/v1/inbox")).await;
    let signed = String::from_utf8(patient.sign(&get("/v1/inbox"))).unwrap();
    let moved = server
        .send(signed.replace("/v1/inbox", "/v1/vault/history").as_bytes())
        .await;
    for answer in [&unsigned, &unknown, &moved] {
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert_eq!(body(answer), body(&unsigned));
    }
}

#[tokio::test]
async fn mutations_need_a_digest_that_fits_and_an_idempotency_key() {
    let server = Server::start(&[]).await;
    let patient = Patient::enrolled(&server).await;
    let message = protocol_spec::messages::SubmitDenial::default();
    let without = |name: &str| {
        let mut ask = post("/v1/denials", &message);
        ask.headers.retain(|(header, _)| *header != name);
        ask
    };
    assert!(has(
        &patient.ask(&without("idempotency-key")).await,
        "idempotency-key-missing"
    ));
    assert!(has(
        &patient.ask(&without("content-digest")).await,
        "unauthenticated"
    ));
    let mut other = post("/v1/denials", &message);
    (other.headers[2].1, other.body) = ("5".into(), b"other".to_vec());
    assert!(has(&patient.ask(&other).await, "digest-mismatch"));
}

#[tokio::test]
async fn resources_and_methods_that_do_not_exist_have_their_problems() {
    let server = Server::start(&[]).await;
    for (ask, status, code) in [
        ("GET /v2", "404", "not-found"),
        ("DELETE /v1/server", "405", "method-not-allowed"),
        ("GET /v1/directory/nobody/entries", "400", "malformed"),
        ("GET /v1/directory/events?page=2", "400", "malformed"),
    ] {
        let answer = server
            .send(format!("{ask} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
            .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && has(&answer, code),
            "{ask}: {answer}"
        );
    }
    let head = server
        .send(b"HEAD /v1/server HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
}

#[tokio::test]
async fn responses_have_only_the_headers_they_need() {
    let server = Server::start(&[]).await;
    let patient = Patient::enrolled(&server).await;
    let allowed = ["content-type", "content-length", "cache-control", "date"];
    for path in ["/v1/server", "/v1/inbox", "/v1/nothing"] {
        let answer = patient.ask(&get(path)).await;
        let head = answer.split_once("\r\n\r\n").unwrap().0;
        for line in head.lines().skip(1) {
            let name = line.split_once(':').unwrap().0;
            assert!(allowed.contains(&name), "{path}: {line}");
        }
    }
}

#[tokio::test]
async fn the_admin_address_answers_and_names_no_patient() {
    let server = Server::start(&[]).await;
    let patient = Patient::enrolled(&server).await;
    let path = format!("/v1/patients/{}", patient.actor.id);
    patient.ask(&get(&path)).await;
    assert!(server.admin("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(server.admin("/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = server.admin("/metrics").await;
    assert!(
        metrics.contains("medvault_requests_total{method=\"POST\",route=\"/v1/patients\",status=\"200\"} 1")
    );
    assert!(
        metrics.contains("route=\"/v1/patients/{patient}\"") && !metrics.contains("pat_"),
        "{metrics}"
    );
}

/// API-12: for people, in both directions; what proves a presentation stays as it came.
#[tokio::test]
async fn messages_are_json_for_whoever_asks_for_it() {
    let server = Server::start(&[]).await;
    let patient = Patient::enrolled(&server).await;
    let json = || ("accept", "application/json".to_owned());
    let info = server
        .send(b"GET /v1/server HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n")
        .await;
    assert!(info.contains("content-type: application/json"), "{info}");
    let info: serde_json::Value = serde_json::from_str(body(&info)).unwrap();
    assert_eq!(info["version"], 1);
    assert!(info["operatorKey"].as_str().unwrap().ends_with('='), "{info}");

    let mut list = get("/v1/vault/collections");
    list.headers.push(json());
    let answer = patient.ask(&list).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(body(&answer), "{}");

    // A body is signed as it is, and read as what it says it is.
    let posted = |content_type: &str, bytes: &[u8], path: &'static str| {
        let mut ask = post(path, &protocol_spec::messages::Accepted::default());
        ask.body = bytes.to_vec();
        ask.headers.retain(|(name, _)| *name == "idempotency-key");
        ask.headers.extend([
            ("content-digest", protocol_spec::request::content_digest(bytes)),
            ("content-length", bytes.len().to_string()),
            ("content-type", content_type.to_owned()),
        ]);
        ask
    };
    let wraps = br#"{"collectionId":"AAAAAAAAAAAAAAAAAAAAAA==","epoch":"1","wraps":[]}"#;
    let answer = patient
        .ask(&posted("application/json", wraps, "/v1/vault/wraps"))
        .await;
    assert!(!has(&answer, "malformed"), "{answer}");
    for (content_type, bytes) in [
        ("application/json", &br#"{"collection":""}"#[..]),
        ("application/json", b"{"),
        ("text/plain", wraps),
        ("application/protobuf", wraps),
    ] {
        let answer = patient.ask(&posted(content_type, bytes, "/v1/vault/wraps")).await;
        assert!(has(&answer, "malformed"), "{content_type}: {answer}");
    }
    let large = vec![b' '; (64 << 10) + 1];
    let answer = patient
        .ask(&posted("application/json", &large, "/v1/vault/wraps"))
        .await;
    assert!(has(&answer, "too-large"), "{answer}");
}

/// API-13
#[tokio::test]
async fn the_description_is_served_to_anybody() {
    let server = Server::start(&[]).await;
    let request = b"GET /v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let served = send_for_all(server.addr(), request).await;
    assert_eq!(served, vault_server::openapi().as_bytes());
}
