//! Attacks on keys and signatures that succeed where one thing is done otherwise than here: negative controls, and
//! beside some of them the same attack on ours.

use std::{panic::catch_unwind, time::Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use bytes::Bytes;
use crypto::{
    Error, HomeKey, OperatingSystem, RecipientSecret, RecoverySecret, SigningIdentity, TextContext,
    open_text, seal_text,
};
use curve25519_dalek::{
    edwards::EdwardsPoint,
    scalar::{Scalar, clamp_integer},
};
use hpke::{
    Kem, OpModeR, OpModeS, Serializable,
    aead::ChaCha20Poly1305,
    kdf::HkdfSha256,
    kem::{X25519HkdfSha256, XWing},
    setup_sender, single_shot_open,
};
use protocol_spec::{
    bodies::{Retirement, TerminalRemoval},
    field::SealedBytes,
    hash::{Sha256Digest, sha256},
    ids::{InstitutionId, OperatorId, PatientId, RequestId, TerminalId},
    keys::IdentityKey,
    labels,
    statement::{Body, Signed, preimage},
};
use sha2::{Digest, Sha512};

/// Ed25519 as RUSTSEC-2022-0093 had it: the public key that is hashed comes from the caller.
fn sign_for(seed: &[u8; 32], message: &[u8], public: &[u8; 32]) -> (Scalar, Scalar, [u8; 64]) {
    let expanded: [u8; 64] = Sha512::digest(seed).into();
    let secret = Scalar::from_bytes_mod_order(clamp_integer(expanded[..32].try_into().unwrap()));
    let wide = |parts: &[&[u8]]| Scalar::from_bytes_mod_order_wide(&Sha512::digest(parts.concat()).into());
    let nonce = wide(&[&expanded[32..], message]);
    signature(&secret, &nonce, message, public)
}

/// s = r + H(R ‖ A ‖ M) · a
fn signature(
    secret: &Scalar,
    nonce: &Scalar,
    message: &[u8],
    public: &[u8; 32],
) -> (Scalar, Scalar, [u8; 64]) {
    let point = EdwardsPoint::mul_base(nonce).compress();
    let digest = Sha512::digest([point.as_bytes().as_slice(), public, message].concat());
    let challenge = Scalar::from_bytes_mod_order_wide(&digest.into());
    let response = nonce + challenge * secret;
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(point.as_bytes());
    bytes[32..].copy_from_slice(response.as_bytes());
    (challenge, response, bytes)
}

/// ATK-8: two signatures of one message for two public keys give the secret key away. That ours cannot be asked for the
/// second one is a matter of its types, and of a feature that is off.
#[test]
fn a_signer_that_takes_a_public_key_gives_its_secret_away() {
    let seed = [5; 32];
    let own = SigningIdentity::from_seed(&seed).unwrap();
    let other = SigningIdentity::from_seed(&[6; 32]).unwrap().public();
    let (first, one, bytes) = sign_for(&seed, b"permit", own.public().as_bytes());
    assert_eq!(bytes, own.sign_bytes(b"permit"), "it is Ed25519");
    let (second, two, _) = sign_for(&seed, b"permit", other.as_bytes());
    let stolen = (one - two) * (first - second).invert();
    let (.., forged) = signature(
        &stolen,
        &Scalar::from(7_u8),
        b"permit all",
        own.public().as_bytes(),
    );
    assert_eq!(own.public().verify(b"permit all", &forged), Ok(()));
}

fn removal() -> TerminalRemoval {
    TerminalRemoval {
        created: 1_800_000_000_000,
        operator_id: OperatorId::from_bytes([1; 32]),
        institution_id: InstitutionId::from_bytes([2; 32]),
        terminal_id: TerminalId::from_bytes([3; 32]),
    }
}

/// ATK-6, ATK-27: the same bytes are the removal of a terminal and the end of its institution. Signed as they are, they
/// would be both.
#[test]
fn without_labels_one_signature_is_of_two_statements() {
    let institution = SigningIdentity::generate(&OperatingSystem).unwrap();
    let bytes = removal().encode();
    let signature = institution.sign_bytes(&bytes);
    let retirement = Retirement::decode(&bytes).unwrap();
    assert_eq!(retirement.entry_hash, Sha256Digest::from_bytes([3; 32]));
    let bare = retirement.encode();
    assert_eq!(institution.public().verify(&bare, &signature), Ok(()));
}

/// STM-1, ATK-6, ATK-27: with their labels they are not; nor is a signature of any purpose one of another purpose.
#[test]
fn a_signature_is_of_one_statement() {
    let institution = SigningIdentity::generate(&OperatingSystem).unwrap();
    let signed = Signed::sign(removal(), |bytes| institution.sign_bytes(bytes)).to_message();
    assert!(
        Signed::<TerminalRemoval>::try_from(signed.clone())
            .unwrap()
            .verify(&institution.public())
            .is_ok()
    );
    let other = Signed::<Retirement>::try_from(signed).unwrap();
    assert!(other.verify(&institution.public()).is_err());
    let body = removal().encode();
    for (i, one) in labels::ALL.iter().enumerate() {
        let signature = institution.sign_bytes(&preimage(*one, &body));
        for (j, other) in labels::ALL.iter().enumerate() {
            let verified = institution.public().verify(&preimage(*other, &body), &signature);
            assert_eq!(verified.is_ok(), i == j, "{one:?} as {other:?}");
        }
    }
}

/// Of four digits, as a card has them.
fn public_key_of(pin: u32) -> IdentityKey {
    let secret = RecoverySecret::from_bytes(&sha256(&[&pin.to_be_bytes()]));
    secret.keys().unwrap().identity.public()
}

/// ATK-46, ATK-47: if vaults were recovered by a PIN, whoever has the server's files would try all of them, however
/// often the server lets others try. With the 256 bits of a kit there is nothing to try.
#[test]
fn a_pin_is_found_from_what_the_server_keeps() {
    let kept = public_key_of(2811);
    assert_eq!((0..10_000).find(|pin| public_key_of(*pin) == kept), Some(2811));
}

/// ATK-46, ATK-47, RCV-1: a kit says 256 bits; two that are made have nothing in common.
#[test]
fn a_kit_says_256_bits() {
    let kits: Vec<_> = (0..32)
        .map(|_| RecoverySecret::generate(&OperatingSystem).unwrap())
        .collect();
    let ones: u32 = kits
        .iter()
        .flat_map(|kit| kit.expose())
        .map(|byte| byte.count_ones())
        .sum();
    // 8192 fair bits: 4096 ± 45; further away than 400 once in 10^18 times.
    assert!((3696..=4496).contains(&ones), "{ones}");
    assert!(kits.iter().all(|kit| kit.words().unwrap().iter().count() == 24));
}

/// The key of a home under this passphrase, with that much work.
fn stretched(passphrase: &str, memory_kib: u32, passes: u32) -> HomeKey {
    let params = Params::new(memory_kib, passes, 1, Some(32)).unwrap();
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &[8; 16], &mut key)
        .unwrap();
    HomeKey::from_bytes(&key)
}

/// ATK-44: with as little work as somebody else may choose, whoever has the file tries passphrases by the thousand; and
/// one try with the work that is compiled in takes longer than fifty of these.
#[test]
fn with_little_work_a_passphrase_is_found() {
    let passphrase = |number: usize| format!("summer{number}");
    let sealed = stretched(&passphrase(1987), 8, 1)
        .seal(&OperatingSystem, b"home", b"secrets")
        .unwrap();
    let started = Instant::now();
    let opens = |number: &usize| {
        stretched(&passphrase(*number), 8, 1)
            .open(b"home", &sealed)
            .is_ok()
    };
    assert_eq!((0..2000).find(opens), Some(1987));
    let all_of_them = started.elapsed();
    let started = Instant::now();
    stretched("summer0", 64 * 1024, 3);
    assert!(started.elapsed() > all_of_them / 1988 * 50, "{all_of_them:?}");
}

/// ATK-52: a wrap by the curve alone, recorded, opens to whoever can compute the secret key later.
#[test]
fn by_the_curve_alone_what_was_recorded_opens_once_the_curve_is_broken() {
    let (computed, public) = X25519HkdfSha256::gen_keypair();
    let (enc, mut sender) =
        setup_sender::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(&OpModeS::Base, &public, b"").unwrap();
    let recorded = sender.seal(b"a data key", b"").unwrap();
    let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &computed,
        &enc,
        b"",
        &recorded,
        b"",
    );
    assert_eq!(opened.unwrap(), b"a data key");
    assert_eq!(enc.to_bytes().len(), 32, "there is nothing in it but a point");
}

/// KEY-11, ATK-52: ours need both halves: with the encapsulation of either half from another wrap nothing opens, though
/// the other half is right.
#[test]
fn neither_half_of_an_encapsulation_is_enough() {
    const LATTICE: usize = 1088;
    let reader = RecipientSecret::generate(&OperatingSystem).unwrap();
    let context = TextContext::to_patient(
        RequestId::from_bytes([1; 16]),
        &InstitutionId::from_bytes([2; 32]),
        &PatientId::from_bytes([3; 32]),
    );
    let seal = || seal_text(&OperatingSystem, reader.public(), &context, "recorded").unwrap();
    let (one, other) = (seal(), seal());
    assert!(open_text(&reader, &context, &one).is_ok());
    for (lattice, curve) in [(&one, &other), (&other, &one)] {
        let enc = [&lattice.enc[..LATTICE], &curve.enc[LATTICE..]].concat();
        let mixed = SealedBytes {
            enc: Bytes::from(enc),
            ..one.clone()
        };
        assert_eq!(open_text(&reader, &context, &mixed).err(), Some(Error::Open));
    }
}

/// ATK-53: the library's authenticated mode, which X-Wing does not have, panics; whoever could choose the mode would
/// end the process. Ours has no mode to choose.
#[test]
fn a_mode_that_could_be_chosen_would_panic() {
    let chosen = catch_unwind(|| {
        let (reader, sender) = (XWing::gen_keypair(), XWing::gen_keypair());
        setup_sender::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeS::Auth(sender), &reader.1, b"").is_ok()
    });
    assert!(chosen.is_err());
}
