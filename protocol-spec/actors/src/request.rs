//! Signatures on HTTP requests, as the profile demands them or as a test makes them.

use data_encoding::HEXLOWER;
use http::request::Parts;
use protocol_spec::request::{self, Params, SignatureLabel, Signer};

use crate::key::{KeyPair, random};

/// How long a signature holds, in seconds.
const LIFE: u64 = 60;

/// What fits a nonce or an idempotency key.
pub fn nonce() -> String {
    HEXLOWER.encode(&random::<16>())
}

/// Signs a request, made at `created` seconds, with these keys under these names.
pub fn sign(parts: &mut Parts, authority: &str, created: u64, keys: &[(SignatureLabel, &str, &KeyPair)]) {
    let sign_with = |key: &KeyPair| {
        let key = key.clone();
        move |message: &[u8]| key.sign(message)
    };
    let signs: Vec<_> = keys.iter().map(|(_, _, key)| sign_with(key)).collect();
    let signer = |((label, key_id, _), sign)| {
        let (label, key_id): (&SignatureLabel, &&str) = (label, key_id);
        Signer {
            label: *label,
            params: Params {
                created,
                expires: created + LIFE,
                nonce: nonce(),
                key_id: (*key_id).to_owned(),
            },
            sign,
        }
    };
    let signers: Vec<Signer<'_>> = keys
        .iter()
        .map(|(label, id, key)| (label, id, key))
        .zip(signs.iter().map(|sign| sign as &dyn Fn(&[u8]) -> [u8; 64]))
        .map(signer)
        .collect();
    request::sign(parts, authority, &signers).unwrap();
}
