//! Short strings of new devices.

use crypto::{LinkNonce, RecipientSecret, SigningIdentity};
use data_encoding::BASE32_NOPAD;
use protocol_spec::{hash::sha256, labels};

use super::{Cases, bytes, flipped};
use crate::vectors::case::{Case, Check, Hex};

/// What a new device offers, and the nonce to which its code binds it.
fn check(own: &Hex, root: u8, patient: u8) -> Check {
    let device = SigningIdentity::from_seed(&[0x21; 32]).unwrap().public();
    let recipient = RecipientSecret::from_seed(&[0x22; 32]).unwrap();
    let commitment = LinkNonce::try_from(own.0.as_slice()).unwrap().commitment();
    let offer = sha256(&[
        &labels::LINK_OFFER.bytes(),
        device.as_bytes(),
        recipient.public().as_bytes(),
        commitment.as_bytes(),
    ]);
    let code = BASE32_NOPAD.encode(&[&[0x5e; 16][..], &offer].concat());
    Check::LinkShortString {
        code: format!("code_{}", code.to_ascii_lowercase()),
        device_key: Hex(device.as_bytes().to_vec()),
        recipient_key: Hex(recipient.public().as_bytes().to_vec()),
        own_nonce: own.clone(),
        vault_root_key: bytes(root, 32),
        patient: bytes(patient, 32),
    }
}

/// The same with one thing changed.
fn with(change: impl FnOnce(&mut String, &mut Hex, &mut Hex, &mut Hex)) -> Check {
    let mut check = check(&bytes(0x31, 32), 0x41, 0xa0);
    if let Check::LinkShortString {
        code,
        device_key,
        recipient_key,
        own_nonce,
        ..
    } = &mut check
    {
        change(code, device_key, recipient_key, own_nonce);
    }
    check
}

pub fn cases() -> Vec<Case> {
    let mut cases = Cases::default();
    let own = bytes(0x31, 32);
    cases.success("good", "DEV-10", "a short string", check(&own, 0x41, 0xa0));
    cases.success(
        "another-root-key",
        "DEV-20",
        "the same offer, answered under another root key",
        check(&own, 0x42, 0xa0),
    );
    cases.success(
        "another-patient",
        "DEV-20",
        "the same offer, answered for another patient",
        check(&own, 0x41, 0xa1),
    );
    let opens = "DEV-20";
    cases.open_failure(
        "another-nonce",
        opens,
        "a nonce that the device is not bound to",
        with(|_, _, _, own| *own = flipped(own, 0)),
    );
    let another = SigningIdentity::from_seed(&[0x23; 32]).unwrap().public();
    cases.open_failure(
        "another-device-key",
        "DEV-9",
        "another device key than the code names",
        with(|_, device, _, _| *device = Hex(another.as_bytes().to_vec())),
    );
    cases.open_failure(
        "another-recipient-key",
        "DEV-9",
        "another recipient key than the code names",
        with(|_, _, recipient, _| *recipient = flipped(recipient, 0)),
    );
    for (name, rule, description, check) in [
        (
            "short-nonce",
            "DEV-20",
            "a nonce of 31 bytes",
            with(|_, _, _, own| own.0.truncate(31)),
        ),
        (
            "cut-code",
            "DEV-9",
            "a code that lacks its end",
            with(|code, _, _, _| code.truncate(40)),
        ),
        (
            "no-prefix",
            "DEV-9",
            "a code without its prefix",
            with(|code, _, _, _| drop(code.drain(.."code_".len()))),
        ),
        (
            "not-base32",
            "DEV-9",
            "a code with a character that base32 does not have",
            with(|code, _, _, _| code.replace_range(5..6, "1")),
        ),
    ] {
        cases.malformed(name, rule, description, check);
    }
    cases.0
}
