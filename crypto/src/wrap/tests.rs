//! HPKE as published, and what our one use of it refuses.

use data_encoding::HEXLOWER;
use hpke::{kem::X25519HkdfSha256, setup_receiver, setup_sender_with_rng};
use protocol_spec::labels;
use serde::Deserialize;

use super::*;
use crate::OperatingSystem;

fn info(context: &[u8]) -> Info {
    Info::new(labels::SEAL_TEXT, &[context])
}

/// KEY-10, KEY-11
#[test]
fn opens_only_for_the_recipient_and_the_context() {
    let secret = RecipientSecret::generate(&OperatingSystem).unwrap();
    let sealed = wrap(&OperatingSystem, secret.public(), info(b"here"), b"plaintext").unwrap();
    assert_eq!(
        (sealed.enc.len(), sealed.ciphertext.len()),
        (SealedBytes::ENC_LEN, 9 + 16)
    );
    assert_eq!(
        unwrap(&secret, info(b"here"), &sealed).unwrap().as_slice(),
        b"plaintext"
    );
    assert_eq!(unwrap(&secret, info(b"there"), &sealed), Err(Error::Open));
    assert_eq!(
        unwrap(
            &secret,
            Info::new(labels::SEAL_ACCREDITATION, &[b"here"]),
            &sealed
        ),
        Err(Error::Open)
    );
    assert_eq!(
        unwrap(
            &RecipientSecret::generate(&OperatingSystem).unwrap(),
            info(b"here"),
            &sealed
        ),
        Err(Error::Open)
    );
}

#[test]
fn two_wraps_of_one_plaintext_share_nothing() {
    let secret = RecipientSecret::generate(&OperatingSystem).unwrap();
    let [a, b] = [(); 2].map(|()| wrap(&OperatingSystem, secret.public(), info(b""), &[7; 64]).unwrap());
    assert_ne!(a.enc, b.enc);
    assert_ne!(a.ciphertext, b.ciphertext);
}

/// ATK-9
#[test]
fn every_flipped_bit_of_the_ciphertext_and_some_of_the_encapsulation_are_refused() {
    let secret = RecipientSecret::generate(&OperatingSystem).unwrap();
    let sealed = wrap(&OperatingSystem, secret.public(), info(b""), &[7; 8]).unwrap();
    let flipped = |bytes: &Bytes, bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Bytes::from(bytes)
    };
    for bit in 0..sealed.ciphertext.len() * 8 {
        let bad = SealedBytes {
            ciphertext: flipped(&sealed.ciphertext, bit),
            ..sealed.clone()
        };
        assert_eq!(unwrap(&secret, info(b""), &bad), Err(Error::Open));
    }
    for bit in (0..SealedBytes::ENC_LEN * 8).step_by(997) {
        let bad = SealedBytes {
            enc: flipped(&sealed.enc, bit),
            ..sealed.clone()
        };
        assert_eq!(unwrap(&secret, info(b""), &bad), Err(Error::Open));
    }
}

/// ATK-53
#[test]
fn wrong_lengths_are_refused() {
    let secret = RecipientSecret::generate(&OperatingSystem).unwrap();
    let sealed = wrap(&OperatingSystem, secret.public(), info(b""), b"").unwrap();
    let short_enc = SealedBytes {
        enc: sealed.enc.slice(1..),
        ..sealed.clone()
    };
    assert_eq!(
        unwrap(&secret, info(b""), &short_enc),
        Err(Error::Malformed {
            what: "hpke encapsulation"
        })
    );
    let no_tag = SealedBytes {
        ciphertext: sealed.ciphertext.slice(1..),
        ..sealed
    };
    assert_eq!(unwrap(&secret, info(b""), &no_tag), Err(Error::Open));
    assert!(matches!(
        wrap(
            &OperatingSystem,
            secret.public(),
            info(b""),
            &vec![0; MAX_PLAINTEXT + 1]
        ),
        Err(Error::TooLong { .. })
    ));
}

#[derive(Deserialize)]
struct Published {
    x_wing: Vector,
    dhkem_x25519: Vector,
}

#[derive(Deserialize)]
#[allow(non_snake_case, reason = "names of RFC 9180")]
struct Vector {
    info: String,
    ikmE: String,
    skRm: String,
    pkRm: String,
    enc: String,
    encryptions: Vec<Encryption>,
}

#[derive(Deserialize)]
struct Encryption {
    aad: String,
    pt: String,
    ct: String,
}

fn published() -> Published {
    serde_json::from_str(include_str!("../../tests/vectors/hpke.json")).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// Both directions, with the encapsulation's randomness of the vector.
fn check<K: Kem, const N: usize>(vector: &Vector) {
    let secret = K::PrivateKey::from_bytes(&hex(&vector.skRm)).unwrap();
    let public = K::PublicKey::from_bytes(&hex(&vector.pkRm)).unwrap();
    assert!(K::sk_to_pk(&secret) == public);
    let mut random = Drawn::<N>::of(Zeroizing::new(hex(&vector.ikmE).try_into().unwrap()));
    let info = hex(&vector.info);
    let (enc, mut sender) =
        setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeS::Base, &public, &info, &mut random)
            .unwrap();
    assert!(!random.ran_dry());
    assert_eq!(enc.to_bytes().as_slice(), hex(&vector.enc));
    let mut receiver =
        setup_receiver::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeR::Base, &secret, &enc, &info).unwrap();
    assert_eq!(vector.encryptions.len(), 5);
    for Encryption { aad, pt, ct } in &vector.encryptions {
        assert_eq!(sender.seal(&hex(pt), &hex(aad)).unwrap(), hex(ct));
        assert_eq!(receiver.open(&hex(ct), &hex(aad)).unwrap(), hex(pt));
    }
}

/// ATK-52
#[test]
fn our_suite_is_the_published_one() {
    check::<XWing, ENCAPSULATION_RANDOMNESS>(&published().x_wing);
}

#[test]
fn base_mode_is_that_of_rfc_9180() {
    check::<X25519HkdfSha256, 32>(&published().dhkem_x25519);
}

/// The published key pair and encapsulation through our own types: only aad differs, which we leave empty.
#[test]
fn our_types_make_the_published_keys_and_encapsulation() {
    let vector = published().x_wing;
    let secret = RecipientSecret::from_seed(&hex(&vector.skRm).try_into().unwrap()).unwrap();
    assert_eq!(secret.public().as_bytes().as_slice(), hex(&vector.pkRm));
    let random = Drawn::of(Zeroizing::new(hex(&vector.ikmE).try_into().unwrap()));
    let sealed = wrap_with(random, secret.public(), &hex(&vector.info), b"text").unwrap();
    assert_eq!(sealed.enc, hex(&vector.enc));
}
