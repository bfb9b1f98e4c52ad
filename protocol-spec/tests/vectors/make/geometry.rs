//! Lengths and hashes of streams.

use protocol_spec::content::{LEAF_LEN, MAX_STREAM_LEN, stream_len};

use super::{bad, good};
use crate::case::{Case, Check, Hex};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for plaintext in [0, 1, 16_383, 16_384, 16_385, 1 << 20, 5_000_000_000] {
        let name = format!("stream-length-{plaintext}");
        cases.push(good(
            "CNT-3",
            &name,
            "stream length of a plaintext length",
            Check::StreamLength { plaintext },
        ));
    }
    for stream in [72, 16_455, 16_472, stream_len(5_000_000_000)] {
        let name = format!("plaintext-length-{stream}");
        cases.push(good(
            "CNT-3",
            &name,
            "plaintext length of a stream length",
            Check::PlaintextLength { stream },
        ));
    }
    for (stream, description) in [
        (0, "nothing"),
        (56, "a header alone"),
        (71, "a tag that is cut"),
        (16_456, "one full chunk without a short one behind it"),
        (16_471, "a full chunk and a tag that is cut"),
        (MAX_STREAM_LEN + 1, "longer than the longest stream"),
    ] {
        let name = format!("no-stream-{stream}");
        cases.push(bad(
            "CNT-3",
            "malformed",
            &name,
            description,
            Check::PlaintextLength { stream },
        ));
    }
    for length in [
        0,
        1,
        2,
        3,
        5,
        9,
        100,
        1000,
        1_000_000,
        1_000_001,
        1 << 30,
        (1 << 30) + 1,
    ] {
        let name = format!("padme-{length}");
        cases.push(good("CNT-5", &name, "a padded length", Check::Padme { length }));
    }
    for (length, description) in [
        (72, "one short leaf"),
        (LEAF_LEN, "one full leaf"),
        (LEAF_LEN + 1, "two leaves"),
        (3 * LEAF_LEN, "three full leaves"),
        (5 * LEAF_LEN + 77, "six leaves"),
    ] {
        let name = format!("root-{length}");
        cases.push(good("CNT-8", &name, description, Check::ContentRoot { length }));
    }
    let hashes = |bytes: &[(u8, usize)]| Check::LeafHashes {
        hashes: bytes
            .iter()
            .map(|(byte, length)| Hex(vec![*byte; *length]))
            .collect(),
    };
    cases.extend([
        good(
            "CNT-8",
            "root-of-three-hashes",
            "the left subtree has two",
            hashes(&[(1, 32), (2, 32), (3, 32)]),
        ),
        bad(
            "CNT-8",
            "malformed",
            "root-of-one-hash",
            "a stream of one leaf has no leaf hash",
            hashes(&[(1, 32)]),
        ),
        bad("CNT-8", "malformed", "root-of-nothing", "no leaves", hashes(&[])),
        bad(
            "CNT-7",
            "malformed",
            "short-leaf-hash",
            "a hash of 31 bytes",
            hashes(&[(1, 32), (2, 31)]),
        ),
    ]);
    cases
}
