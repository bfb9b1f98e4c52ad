use ed25519_dalek::{Signer as _, SigningKey};
use http::Request;
use protocol_spec::{
    ids::{DeviceId, PatientId},
    request::{MAX_AGE, Params, Signer, sign},
};

use super::*;
use crate::config::Config;

const NOW: u64 = 1_000_000;
const OURS: &str = "vault.example:443";

fn identity(seed: u8) -> (SigningKey, IdentityKey) {
    let signing = SigningKey::from_bytes(&[seed; 32]);
    let key = IdentityKey::try_from(signing.verifying_key().as_bytes().as_slice()).unwrap();
    (signing, key)
}

fn operator() -> String {
    OperatorId::from(&identity(1).1).to_string()
}

fn gate(flags: &[&str]) -> Gate {
    let registrar = identity(3).1.to_text("regkey");
    let args = ["vault-server", "--data", "d", "--registrar", &registrar, "--dev"];
    let limits = Config::from_args(args.iter().chain(flags)).unwrap().limits;
    Gate::new(
        &identity(1).1,
        vec![OURS.into(), "127.0.0.1:8443".into()],
        NOW - 50,
        &limits,
    )
}

fn here() -> Origin {
    std::net::IpAddr::from([127, 0, 0, 1]).into()
}

/// A patient whose one key is both identity and device.
fn patient(seed: u8) -> Caller {
    let (_, key) = identity(seed);
    Caller::Patient {
        id: PatientId::from(&key),
        device: DeviceId::from(&key),
        key,
    }
}

struct Asked {
    host: &'static str,
    authority: &'static str,
    operator: String,
    created: u64,
    nonce: &'static str,
}

fn asked() -> Asked {
    Asked {
        host: OURS,
        authority: OURS,
        operator: operator(),
        created: NOW,
        nonce: "n",
    }
}

fn parts(asked: &Asked) -> Parts {
    let request = Request::get("/v1/inbox")
        .header(header::HOST, asked.host)
        .header(request::OPERATOR, &asked.operator);
    let mut parts = request.body(()).unwrap().into_parts().0;
    let params = Params {
        created: asked.created,
        expires: asked.created + 60,
        nonce: asked.nonce.repeat(22),
        key_id: patient(2).key_id(),
    };
    let sign_with = |message: &[u8]| identity(2).0.sign(message).to_bytes();
    sign(
        &mut parts,
        asked.authority,
        &[Signer {
            label: SignatureLabel::Id,
            params,
            sign: &sign_with,
        }],
    )
    .unwrap();
    parts
}

fn pass(gate: &Gate, asked: &Asked, caller: Option<Caller>) -> Result<Authenticated, Problem> {
    let signature = gate.signature(&parts(asked), SignatureLabel::Id, NOW * 1000);
    signature
        .and_then(|signature| gate.admit(caller, signature, here(), NOW * 1000))
        .map_err(|refusal| refusal.problem)
}

fn problem(asked: &Asked) -> Option<Problem> {
    pass(&gate(&[]), asked, Some(patient(2))).err()
}

#[test]
fn the_names_of_this_server_pass_and_others_do_not() {
    assert_eq!(problem(&asked()), None);
    assert_eq!(
        problem(&Asked {
            host: "VAULT.example",
            ..asked()
        }),
        None
    );
    let other_port = Asked {
        host: "127.0.0.1:8443",
        authority: "127.0.0.1:8443",
        ..asked()
    };
    assert_eq!(problem(&other_port), None);
    for host in ["vault.example:444", "other.example:443", "127.0.0.1"] {
        let asked = Asked {
            host,
            authority: host,
            ..asked()
        };
        assert_eq!(problem(&asked), Some(Problem::Unauthenticated), "{host}");
    }
    let relayed = Asked {
        authority: "other.example:443",
        ..asked()
    };
    assert_eq!(problem(&relayed), Some(Problem::Unauthenticated));
}

#[test]
fn a_request_for_another_operator_is_refused() {
    let other = OperatorId::from(&identity(9).1).to_string();
    assert_eq!(
        problem(&Asked {
            operator: other,
            ..asked()
        }),
        Some(Problem::Unauthenticated)
    );
}

/// ATK-10
#[test]
fn an_unknown_key_and_a_wrong_signature_look_alike() {
    let refusal = |caller| {
        let gate = gate(&[]);
        let signature = gate
            .signature(&parts(&asked()), SignatureLabel::Id, NOW * 1000)
            .unwrap();
        gate.admit(caller, signature, here(), NOW * 1000).err().unwrap()
    };
    assert_eq!(refusal(None), refusal(Some(patient(5))));
    assert_eq!(refusal(None).problem, Problem::Unauthenticated);
}

#[test]
fn signatures_from_the_future_from_long_ago_or_from_before_this_process_are_refused() {
    for created in [NOW + MAX_AHEAD, NOW - 49] {
        assert_eq!(problem(&Asked { created, ..asked() }), None);
    }
    for created in [NOW + MAX_AHEAD + 1, NOW + MAX_AGE, NOW - 51, NOW - 60] {
        assert_eq!(
            problem(&Asked { created, ..asked() }),
            Some(Problem::SignatureExpired)
        );
    }
}

/// API-8.
#[test]
fn a_signature_passes_once() {
    let gate = gate(&[]);
    assert!(pass(&gate, &asked(), Some(patient(2))).is_ok());
    assert_eq!(
        pass(&gate, &asked(), Some(patient(2))).err(),
        Some(Problem::Replayed)
    );
    assert!(
        pass(
            &gate,
            &Asked {
                nonce: "m",
                ..asked()
            },
            Some(patient(2))
        )
        .is_ok()
    );
}

#[test]
fn a_bad_signature_uses_up_no_nonce() {
    let gate = gate(&[]);
    assert_eq!(
        pass(&gate, &asked(), Some(patient(5))).err(),
        Some(Problem::Unauthenticated)
    );
    assert!(pass(&gate, &asked(), Some(patient(2))).is_ok());
}

#[test]
fn a_principal_has_only_so_many_requests_at_once() {
    let both = |limit| {
        let gate = gate(&["--requests-per-principal", limit]);
        let first = pass(&gate, &asked(), Some(patient(2)));
        assert!(first.is_ok());
        pass(
            &gate,
            &Asked {
                nonce: "m",
                ..asked()
            },
            Some(patient(2)),
        )
        .err()
    };
    assert_eq!(both("1"), Some(Problem::TooMany));
    // Control: without the limit both run.
    assert_eq!(both("2"), None);
}
