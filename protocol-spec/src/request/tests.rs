use super::*;

fn parts() -> request::Parts {
    let request = http::Request::post("https://vault.example:8443/v1/denials?x=1")
        .header("host", "vault.example:8443")
        .header(OPERATOR, "op_a")
        .header(CONTENT_DIGEST, content_digest(b"body"))
        .header(IDEMPOTENCY_KEY, "k")
        .body(())
        .unwrap();
    request.into_parts().0
}

fn key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7; 32])
}

fn signed() -> request::Parts {
    let mut parts = parts();
    let params = Params {
        created: 1000,
        expires: 1060,
        nonce: "n".repeat(22),
        key_id: "pat_x".into(),
    };
    let sign_with = |message: &[u8]| ed25519_dalek::Signer::sign(&key(), message).to_bytes();
    sign(
        &mut parts,
        "vault.example:8443",
        &[Signer {
            label: SignatureLabel::Id,
            params,
            sign: &sign_with,
        }],
    )
    .unwrap();
    parts
}

fn check(parts: &request::Parts, authority: &str) -> Result<RequestSignature, Error> {
    let target = Target {
        method: &parts.method,
        authority,
        uri: &parts.uri,
        headers: &parts.headers,
    };
    let signature = RequestSignature::parse(&target, SignatureLabel::Id)?;
    let key = IdentityKey::try_from(key().verifying_key().as_bytes().as_slice())?;
    signature.verify(&key).map(|()| signature)
}

#[test]
fn a_signed_request_verifies_and_is_fresh_only_in_its_window() {
    let signature = check(&signed(), "vault.example:8443").unwrap();
    assert!(signature.check_time(1001).is_ok());
    assert!(signature.check_time(1060).is_err());
    assert!(signature.check_time(1000 - MAX_AGE - 1).is_err());
}

#[test]
fn every_covered_component_is_bound() {
    let change: [fn(&mut request::Parts); 7] = [
        |parts| parts.method = Method::PUT,
        |parts| parts.uri = "https://vault.example:8443/v1/denial?x=1".parse().unwrap(),
        |parts| parts.uri = "https://vault.example:8443/v1/denials?x=2".parse().unwrap(),
        |parts| drop(parts.headers.insert(OPERATOR, "op_b".parse().unwrap())),
        |parts| {
            drop(
                parts
                    .headers
                    .insert(CONTENT_DIGEST, content_digest(b"other").parse().unwrap()),
            )
        },
        |parts| drop(parts.headers.insert(IDEMPOTENCY_KEY, "j".parse().unwrap())),
        |parts| drop(parts.headers.insert(CHALLENGE, "c".parse().unwrap())),
    ];
    for apply in change {
        let mut parts = signed();
        apply(&mut parts);
        assert!(check(&parts, "vault.example:8443").is_err());
    }
    assert!(check(&signed(), "other.example:8443").is_err());
}

#[test]
fn a_bytes_field_reads_back_and_other_forms_do_not() {
    let read = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CHALLENGE, value.parse().unwrap());
        }
        read_bytes_field(&headers, &CHALLENGE)
    };
    assert_eq!(read(&[&bytes_field(b"challenge")]), Ok(b"challenge".to_vec()));
    for wrong in [&[][..], &[":AA==:", ":AA==:"], &["AA=="], &[":AA:"], &[":"]] {
        assert!(read(wrong).is_err());
    }
}

/// API-6: the last character of 64 bytes in base64 has four bits that mean nothing.
#[test]
fn a_signature_with_unused_bits_set_is_refused() {
    let mut parts = signed();
    let signature = parts.headers[SIGNATURE].to_str().unwrap().to_owned();
    let last = signature.strip_suffix("==:").and_then(|text| text.chars().last());
    let next = match last.unwrap() {
        'A' => 'B',
        'Q' => 'R',
        'g' => 'h',
        'w' => 'x',
        other => panic!("{other} is not the end of 64 bytes"),
    };
    let other = format!("{}{next}==:", &signature[..signature.len() - 4]);
    parts.headers.insert(SIGNATURE, other.parse().unwrap());
    assert!(check(&parts, "vault.example:8443").is_err());
}

#[test]
fn whatever_leaves_the_profile_is_refused() {
    let edits = [
        ("alg=\"ed25519\"", "alg=\"hmac-sha256\""),
        (";tag=\"medvault/v1\"", ""),
        ("\"@query\" ", ""),
        ("\"@method\"", "\"@method\";req"),
        ("id=(", "other=("),
        ("created=1000;expires=1060", "expires=1060;created=1000"),
    ];
    for (from, to) in edits {
        let mut parts = signed();
        let input = parts.headers[SIGNATURE_INPUT].to_str().unwrap().to_owned();
        assert!(input.contains(from), "{from}");
        parts
            .headers
            .insert(SIGNATURE_INPUT, input.replace(from, to).parse().unwrap());
        assert!(check(&parts, "vault.example:8443").is_err(), "{from} -> {to}");
    }
    let mut parts = signed();
    parts.headers.append(OPERATOR, "op_a".parse().unwrap());
    assert!(check(&parts, "vault.example:8443").is_err());
}
