//! Manifests: parts that tile the plaintext, names that stay in their folder.

use prost::Message;
use protocol_spec::{manifest::Part, messages as pb, statement::Body};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{manifest, part},
};

pub(crate) fn cases() -> Vec<Case> {
    [parts(), names()].into_iter().flatten().collect()
}

fn check(parts: Vec<Part>) -> Check {
    Check::Manifest {
        body: Hex(manifest(parts).encode().to_vec()),
    }
}

fn parts() -> Vec<Case> {
    let wrong = |name, description, parts| bad("CNT-11", "mismatch", name, description, check(parts));
    let mut long = manifest(vec![part("a", 0, 5)]);
    long.plaintext_len = 6;
    let mut bare = pb::RecordManifestBody::decode(manifest(vec![part("a", 0, 5)]).encode()).unwrap();
    bare.parts[0].clinical = None;
    let overflow = vec![part("a", 0, u64::MAX), part("b", u64::MAX, 1)];
    let mut overflowing = manifest(vec![]);
    overflowing.parts = overflow;
    vec![
        good(
            "CNT-11",
            "parts",
            "two parts, one of them empty, in folders",
            check(vec![
                part("ct/1.dcm", 0, 5),
                part("ct/2.dcm", 5, 0),
                part("note", 5, 7),
            ]),
        ),
        good(
            "CNT-21",
            "parts-times",
            "parts that were changed after 1970, at its first moment, before it, and nobody knows when; of several days",
            check(times()),
        ),
        wrong(
            "gap",
            "a byte that belongs to no part",
            vec![part("a", 0, 5), part("b", 6, 5)],
        ),
        wrong(
            "overlap",
            "a byte that belongs to two",
            vec![part("a", 0, 5), part("b", 4, 5)],
        ),
        wrong(
            "late-start",
            "the first part does not start at 0",
            vec![part("a", 1, 5)],
        ),
        wrong(
            "name-twice",
            "one name twice",
            vec![part("a", 0, 5), part("a", 5, 5)],
        ),
        wrong(
            "name-is-folder",
            "one name is the folder of another",
            vec![part("a", 0, 5), part("a/b", 5, 5)],
        ),
        bad(
            "CNT-11",
            "mismatch",
            "plaintext-length",
            "the last part ends before plaintext_len",
            Check::Manifest {
                body: Hex(long.encode().to_vec()),
            },
        ),
        bad("CNT-11", "malformed", "no-parts", "an empty list", check(vec![])),
        bad(
            "CNT-11",
            "malformed",
            "overflow",
            "lengths beyond 2^64",
            Check::Manifest {
                body: Hex(overflowing.encode().to_vec()),
            },
        ),
        bad(
            "STM-7",
            "malformed",
            "no-clinical",
            "a part without its clinical message",
            Check::Manifest {
                body: Hex(bare.encode_to_vec()),
            },
        ),
    ]
}

fn times() -> Vec<Part> {
    let times = [Some(1_779_955_200_123_456_789), Some(0), Some(-1), None];
    let parts = times.into_iter().zip(["a", "b", "c", "d"]);
    let mut parts: Vec<Part> = parts
        .map(|(modified, name)| Part {
            modified,
            ..part(name, 0, 0)
        })
        .collect();
    parts[3].clinical.last_date = "2026-11-25".to_owned();
    parts
}

fn names() -> Vec<Case> {
    let check = |name: &str| Check::PartName {
        name: name.to_owned(),
    };
    let right = |file, name: &str| good("CNT-12", file, "a name", check(name));
    let wrong = |file, name: &str| bad("CNT-12", "malformed", file, "a name that is refused", check(name));
    vec![
        right("name-plain", "IM_0001.dcm"),
        right("name-nested", "series 1/Łódź ☕/a..b"),
        right("name-255", &"n".repeat(255)),
        wrong("name-empty", ""),
        wrong("name-absolute", "/etc/passwd"),
        wrong("name-parent", "a/../../b"),
        wrong("name-dot", "./a"),
        wrong("name-empty-component", "a//b"),
        wrong("name-trailing-slash", "a/"),
        right("name-backslash", "a\\..\\b"),
        right("name-drive", "c:x"),
        right("name-1020", &"n".repeat(1020)),
        right("name-4096", &format!("{}nnnn", "nnn/".repeat(1023))),
        wrong("name-nul", "a\0b"),
        wrong("name-1021", &"n".repeat(1021)),
        wrong("name-4097", &format!("{}nnnnn", "nnn/".repeat(1023))),
    ]
}
