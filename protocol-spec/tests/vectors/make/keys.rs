//! Public keys: those that must never be used.

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{PATIENT, key, recipient},
};

pub(crate) fn cases() -> Vec<Case> {
    [ed25519(), x_wing()].into_iter().flatten().collect()
}

fn ed25519() -> Vec<Case> {
    let check = |bytes: &[u8]| Check::Ed25519Key {
        key: Hex(bytes.to_vec()),
    };
    let wrong = |name: &str, description, bytes: &[u8]| {
        bad(
            "KEY-2",
            "degenerate key",
            &format!("ed25519-{name}"),
            description,
            check(bytes),
        )
    };
    let padded = |first: u8, last: u8| [&[first][..], &[0; 30], &[last]].concat();
    let prime = |first: u8| [&[first][..], &[0xff; 30], &[0x7f]].concat();
    vec![
        good(
            "KEY-2",
            "ed25519-good",
            "a key",
            check(key(PATIENT).public().as_bytes()),
        ),
        wrong("identity", "the neutral element", &padded(1, 0)),
        wrong("order-4", "a point of order 4", &padded(0, 0)),
        wrong("order-2", "the point of order 2", &prime(0xec)),
        wrong(
            "not-reduced",
            "y = p + 1, the neutral element again",
            &prime(0xee),
        ),
        wrong("negative-zero", "x = 0 with its sign bit set", &padded(1, 0x80)),
        wrong("no-point", "y = 2 is on no point", &padded(2, 0)),
        bad("KEY-2", "malformed", "ed25519-short", "31 bytes", check(&[1; 31])),
    ]
}

fn x_wing() -> Vec<Case> {
    let key = recipient(2).as_bytes().to_vec();
    let check = |bytes: Vec<u8>| Check::XWingKey { key: Hex(bytes) };
    let with = |at: usize, bytes: &[u8]| {
        let mut key = key.clone();
        key[at..at + bytes.len()].copy_from_slice(bytes);
        check(key)
    };
    let x25519 = |name: &str, description, bytes: &[u8]| {
        bad(
            "KEY-3",
            "degenerate key",
            &format!("x-wing-{name}"),
            description,
            with(1184, bytes),
        )
    };
    let prime = |first: u8, last: u8| [&[first][..], &[0xff; 30], &[last]].concat();
    let order_8 = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ];
    let mut high_bit = key[1184..].to_vec();
    high_bit[31] |= 0x80;
    vec![
        good(
            "KEY-3",
            "x-wing-good",
            "both halves are admissible",
            check(key.clone()),
        ),
        good(
            "KEY-3",
            "x-wing-largest-coefficient",
            "a coefficient of 3328",
            with(0, &[0x00, 0x0d]),
        ),
        bad(
            "KEY-3",
            "degenerate key",
            "x-wing-coefficient",
            "the first coefficient is 3329",
            with(0, &[0x01, 0x0d]),
        ),
        bad(
            "KEY-3",
            "degenerate key",
            "x-wing-last-coefficient",
            "the last coefficient is 4095",
            with(1150, &[0xf0, 0xff]),
        ),
        x25519("zero", "an X25519 half of zeros", &[0; 32]),
        x25519("one", "u = 1, of order 4", &[&[1][..], &[0; 31]].concat()),
        x25519("order-8", "u of order 8", &order_8),
        x25519("p-minus-1", "u = p − 1, of low order", &prime(0xec, 0x7f)),
        x25519("p", "u = p, which is 0 again", &prime(0xed, 0x7f)),
        x25519("high-bit", "a key with the unused bit set", &high_bit),
        bad(
            "KEY-3",
            "malformed",
            "x-wing-short",
            "1215 bytes",
            check(key[1..].to_vec()),
        ),
    ]
}
