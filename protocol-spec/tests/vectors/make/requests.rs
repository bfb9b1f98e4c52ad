//! Signed requests: one presentation, and everything that may be wrong with it.

use http::{HeaderName, HeaderValue, request};
use protocol_spec::{
    ids::{DelegationId, DeviceId, PermissionId},
    request::{
        CHALLENGE, CONTENT_DIGEST, DELEGATION, IDEMPOTENCY_KEY, LEAVES, OPERATOR as OPERATOR_FIELD, Params,
        SIGNATURE, SIGNATURE_INPUT, SignatureLabel, Signer, content_digest, sign,
    },
};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{self, DELEGATES_DEVICE, INSTITUTION, NOW, POSSESSION, STRANGER, key},
};

const AUTHORITY: &str = "vault.example:8443";
const CREATED: u64 = NOW / 1000;

/// A presentation, signed as `id` and `pop`.
fn presentation() -> request::Parts {
    let permission = PermissionId::from_bytes([0x12; 16]);
    let mut parts = http::Request::post(format!("/v1/permissions/{permission}/presentation"))
        .header("content-type", "application/protobuf")
        .header(OPERATOR_FIELD, world::operator().to_string())
        .header(CONTENT_DIGEST, content_digest(b"presentation"))
        .header(IDEMPOTENCY_KEY, "7b1f6f0e-0000-4000-8000-000000000001")
        .header(CHALLENGE, ":AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=:")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    let institution = |message: &[u8]| key(INSTITUTION).sign(message);
    let possession = |message: &[u8]| key(POSSESSION).sign(message);
    let id = params(world::institution(INSTITUTION).to_string());
    let signers = [
        Signer {
            label: SignatureLabel::Id,
            params: id,
            sign: &institution,
        },
        Signer {
            label: SignatureLabel::Pop,
            params: params(permission.to_string()),
            sign: &possession,
        },
    ];
    sign(&mut parts, AUTHORITY, &signers).unwrap();
    parts
}

fn params(key_id: String) -> Params {
    Params {
        created: CREATED,
        expires: CREATED + 60,
        nonce: "MDEyMzQ1Njc4OWFiY2RlZg".to_owned(),
        key_id,
    }
}

fn at(parts: &request::Parts, label: &str, signer: u8, now: u64) -> Check {
    let text =
        |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    Check::Request {
        method: parts.method.to_string(),
        authority: AUTHORITY.to_owned(),
        uri: parts.uri.to_string(),
        headers: parts.headers.iter().map(text).collect(),
        label: label.to_owned(),
        key: Hex(key(signer).public().as_bytes().to_vec()),
        now,
    }
}

fn id(parts: &request::Parts) -> Check {
    at(parts, "id", INSTITUTION, CREATED + 1)
}

fn set(parts: &mut request::Parts, name: HeaderName, value: &str) {
    parts.headers.insert(name, value.parse().unwrap());
}

pub(crate) fn cases() -> Vec<Case> {
    let leaves = {
        let mut parts = http::Request::put("/v1/uploads/upl_x/leaves?first=3")
            .header(OPERATOR_FIELD, world::operator().to_string())
            .header(LEAVES, ":AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=:")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let institution = |message: &[u8]| key(INSTITUTION).sign(message);
        let params = params(world::institution(INSTITUTION).to_string());
        sign(
            &mut parts,
            AUTHORITY,
            &[Signer {
                label: SignatureLabel::Id,
                params,
                sign: &institution,
            }],
        )
        .unwrap();
        parts
    };
    let mut cases = vec![
        good(
            "API-4",
            "presentation-id",
            "the institution's signature of a presentation",
            id(&presentation()),
        ),
        good(
            "API-4",
            "presentation-pop",
            "the possession key's",
            at(&presentation(), "pop", POSSESSION, CREATED + 1),
        ),
        good(
            "API-2",
            "leaves",
            "a request with leaves and a query",
            id(&leaves),
        ),
    ];
    cases.extend(changed());
    cases.extend(outside_the_profile());
    cases.extend(times());
    cases.extend(acting());
    cases
}

/// What was signed is not what arrives.
fn changed() -> Vec<Case> {
    let case = |rule, name, description, change: &dyn Fn(&mut request::Parts)| {
        let mut parts = presentation();
        change(&mut parts);
        bad(rule, "bad signature", name, description, id(&parts))
    };
    let mut elsewhere = id(&presentation());
    if let Check::Request { authority, .. } = &mut elsewhere {
        *authority = "evil.example:8443".to_owned();
    }
    vec![
        case("API-4", "other-method", "PUT for POST", &|parts| {
            parts.method = http::Method::PUT
        }),
        case("API-4", "other-path", "another permission", &|parts| {
            parts.uri = format!(
                "/v1/permissions/{}/presentation",
                PermissionId::from_bytes([0x13; 16])
            )
            .parse()
            .unwrap();
        }),
        case("API-4", "other-query", "a query is added", &|parts| {
            parts.uri = format!("{}?a=1", parts.uri).parse().unwrap();
        }),
        case("API-3", "other-digest", "another body", &|parts| {
            set(parts, CONTENT_DIGEST, &content_digest(b"other"))
        }),
        case(
            "API-1",
            "other-operator",
            "relayed to another operator",
            &|parts| set(parts, OPERATOR_FIELD, "op_other"),
        ),
        case("PRM-11", "other-challenge", "another challenge", &|parts| {
            set(parts, CHALLENGE, ":AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=:");
        }),
        case(
            "API-4",
            "other-idempotency-key",
            "another idempotency key",
            &|parts| set(parts, IDEMPOTENCY_KEY, "k"),
        ),
        bad(
            "API-1",
            "bad signature",
            "other-authority",
            "relayed to another host",
            elsewhere,
        ),
        bad(
            "PRM-9",
            "bad signature",
            "other-key",
            "verified under another key",
            at(&presentation(), "id", STRANGER, CREATED + 1),
        ),
        bad(
            "PRM-9",
            "bad signature",
            "pop-is-not-id",
            "the possession key's signature under the institution's key",
            at(&presentation(), "pop", INSTITUTION, CREATED + 1),
        ),
    ]
}

/// Signed, but not as the profile says.
fn outside_the_profile() -> Vec<Case> {
    let edited = |rule, name, description, from: &str, to: &str| {
        let mut parts = presentation();
        let input = parts.headers[SIGNATURE_INPUT].to_str().unwrap().to_owned();
        assert!(input.contains(from), "{from}");
        set(&mut parts, SIGNATURE_INPUT, &input.replace(from, to));
        bad(rule, "request signature", name, description, id(&parts))
    };
    let case = |rule, name, description, change: &dyn Fn(&mut request::Parts)| {
        let mut parts = presentation();
        change(&mut parts);
        bad(rule, "request signature", name, description, id(&parts))
    };
    vec![
        edited(
            "API-4",
            "covers-less",
            "the query is not covered",
            "\"@query\" ",
            "",
        ),
        edited(
            "API-4",
            "covers-in-other-order",
            "path before authority",
            "\"@authority\" \"@path\"",
            "\"@path\" \"@authority\"",
        ),
        edited(
            "API-4",
            "component-parameter",
            "a parameter on a component",
            "\"@method\"",
            "\"@method\";req",
        ),
        edited(
            "API-5",
            "other-algorithm",
            "an HMAC",
            "alg=\"ed25519\"",
            "alg=\"hmac-sha256\"",
        ),
        edited(
            "API-5",
            "no-tag",
            "the tag is missing",
            ";tag=\"medvault/v1\"",
            "",
        ),
        edited(
            "API-5",
            "other-tag",
            "the tag of another version",
            "tag=\"medvault/v1\"",
            "tag=\"medvault/v2\"",
        ),
        edited(
            "API-5",
            "short-nonce",
            "21 characters",
            "MDEyMzQ1Njc4OWFiY2RlZg",
            "MDEyMzQ1Njc4OWFiY2RlZ",
        ),
        edited(
            "API-5",
            "no-algorithm",
            "the algorithm is missing",
            ";alg=\"ed25519\"",
            "",
        ),
        edited(
            "API-5",
            "parameters-out-of-order",
            "nonce behind the algorithm",
            ";nonce=\"MDEyMzQ1Njc4OWFiY2RlZg\";alg=\"ed25519\"",
            ";alg=\"ed25519\";nonce=\"MDEyMzQ1Njc4OWFiY2RlZg\"",
        ),
        edited(
            "API-6",
            "unknown-label",
            "a signature with another label",
            "pop=(",
            "sig=(",
        ),
        case("API-6", "no-signature", "no Signature field", &|parts| {
            drop(parts.headers.remove(SIGNATURE))
        }),
        case(
            "API-6",
            "signature-input-twice",
            "two Signature-Input fields",
            &|parts| {
                let input = parts.headers[SIGNATURE_INPUT].clone();
                parts.headers.append(SIGNATURE_INPUT, input);
            },
        ),
        case(
            "API-6",
            "short-signature",
            "a signature of three bytes",
            &|parts| set(parts, SIGNATURE, "id=:AAAA:, pop=:AAAA:"),
        ),
        case("API-1", "no-operator", "medvault-operator is missing", &|parts| {
            drop(parts.headers.remove(OPERATOR_FIELD))
        }),
        case("API-4", "field-twice", "a covered field stands twice", &|parts| {
            parts
                .headers
                .append(CONTENT_DIGEST, content_digest(b"other").parse().unwrap());
        }),
        case(
            "API-4",
            "uncovered-field",
            "a field that the signature does not cover",
            &|parts| set(parts, LEAVES, ":AAAA:"),
        ),
    ]
}

fn times() -> Vec<Case> {
    let case = |name, description, now| {
        bad(
            "API-7",
            "request signature",
            name,
            description,
            at(&presentation(), "id", INSTITUTION, now),
        )
    };
    let mut parts = presentation();
    let input = parts.headers[SIGNATURE_INPUT].to_str().unwrap().replace(
        &format!("expires={}", CREATED + 60),
        &format!("expires={}", CREATED + 121),
    );
    set(&mut parts, SIGNATURE_INPUT, &input);
    vec![
        good(
            "API-7",
            "clock-behind",
            "the server's clock is 120 s behind",
            at(&presentation(), "id", INSTITUTION, CREATED - 120),
        ),
        case("expired", "at the second of its expiry", CREATED + 60),
        case(
            "from-the-future",
            "the server's clock is 121 s behind",
            CREATED - 121,
        ),
        bad(
            "API-7",
            "request signature",
            "lives-too-long",
            "121 s from created to expires",
            id(&parts),
        ),
    ]
}

/// A delegate reads in another's vault, by a delegation that she names.
fn acting() -> Vec<Case> {
    let delegate = DeviceId::from(&key(DELEGATES_DEVICE).public()).to_string();
    let request = |delegation: Option<DelegationId>| {
        let mut parts = http::Request::get("/v1/vault/records?limit=200")
            .header(OPERATOR_FIELD, world::operator().to_string())
            .body(())
            .unwrap()
            .into_parts()
            .0;
        if let Some(id) = delegation {
            set(&mut parts, DELEGATION, &id.to_string());
        }
        let device = |message: &[u8]| key(DELEGATES_DEVICE).sign(message);
        let signer = Signer {
            label: SignatureLabel::Id,
            params: params(delegate.clone()),
            sign: &device,
        };
        sign(&mut parts, AUTHORITY, &[signer]).unwrap();
        parts
    };
    let check = |parts: &request::Parts| at(parts, "id", DELEGATES_DEVICE, CREATED + 1);
    let mut without = request(Some(world::DELEGATION_ID));
    without.headers.remove(DELEGATION);
    let mut added = request(None);
    set(&mut added, DELEGATION, &world::DELEGATION_ID.to_string());
    let mut another = request(Some(world::DELEGATION_ID));
    let other = DelegationId::from_bytes([0x16; 16]);
    set(&mut another, DELEGATION, &other.to_string());
    let bad = |expect, name, description, parts| bad("API-4", expect, name, description, check(&parts));
    vec![
        good(
            "API-4",
            "acting",
            "a delegate's request names the delegation",
            check(&request(Some(world::DELEGATION_ID))),
        ),
        bad(
            "request signature",
            "acting-delegation-removed",
            "the delegation is taken out after signing",
            without,
        ),
        bad(
            "request signature",
            "acting-delegation-added",
            "a delegation is put in after signing",
            added,
        ),
        bad(
            "bad signature",
            "acting-delegation-changed",
            "another delegation than was signed",
            another,
        ),
    ]
}
