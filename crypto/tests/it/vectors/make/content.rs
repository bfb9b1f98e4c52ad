//! Streams and manifests.

use crypto::{
    OperatingSystem,
    content::{Sealer, seal_manifest},
};
use protocol_spec::content::chunk_offset;

use super::{Cases, bytes, flipped, record};
use crate::vectors::case::{Case, Check, Hex, Record, seal};

const CHUNK: u64 = 16 * 1024;

pub fn cases() -> Vec<Case> {
    let mut cases = Cases::default();
    succeeding(&mut cases);
    wrong_context(&mut cases);
    changed(&mut cases);
    manifests(&mut cases);
    cases.0
}

fn stream(plaintext_len: u64) -> Vec<u8> {
    let header = *Sealer::new(
        &OperatingSystem,
        &record().key(),
        &record().context(),
        plaintext_len,
    )
    .unwrap()
    .header();
    seal(&record(), &header, plaintext_len).unwrap()
}

fn sealing(plaintext_len: u64) -> Check {
    let stream = stream(plaintext_len);
    Check::SealContent {
        key: record(),
        header: Hex(stream[..56].to_vec()),
        plaintext_len,
    }
}

fn opening(key: Record, plaintext_len: u64, stream: Vec<u8>) -> Check {
    Check::OpenContent {
        key,
        plaintext_len,
        stream: Hex(stream),
    }
}

fn succeeding(cases: &mut Cases) {
    for (name, length, what) in [
        ("seal-nothing", 0, "an empty record is one empty chunk"),
        ("seal-padded", 100, "padded from 100 to 104 bytes"),
        (
            "seal-full-chunk",
            CHUNK,
            "a full chunk is followed by an empty one",
        ),
        (
            "seal-many-chunks",
            300 * CHUNK,
            "the counter passes a byte's border; several leaves",
        ),
    ] {
        cases.success(name, "CNT-4", what, sealing(length));
    }
    for (name, length, what) in [
        ("open-nothing", 0, "an empty record is one empty chunk"),
        ("open-padded", 1001, "padded to 1024 bytes"),
        (
            "open-full-chunk",
            CHUNK,
            "a full chunk is followed by an empty one",
        ),
    ] {
        cases.success(name, "CNT-4", what, opening(record(), length, stream(length)));
    }
}

fn wrong_context(cases: &mut Cases) {
    let stream = stream(100);
    let mut wrong = |name: &str, what: &str, key: Record| {
        cases.open_failure(name, "CNT-1", what, opening(key, 100, stream.clone()));
    };
    wrong(
        "wrong-key",
        "another data key",
        Record {
            data_key: bytes(1, 32),
            ..record()
        },
    );
    wrong(
        "wrong-patient",
        "the same record of another patient",
        Record {
            patient: bytes(1, 32),
            ..record()
        },
    );
    wrong(
        "wrong-record",
        "another record",
        Record {
            record: bytes(1, 16),
            ..record()
        },
    );
    wrong(
        "wrong-version",
        "another version of the record",
        Record {
            version: bytes(1, 16),
            ..record()
        },
    );
    let swapped = Record {
        record: record().version,
        version: record().record,
        ..record()
    };
    wrong("record-and-version-swapped", "ids in each other's place", swapped);
}

fn changed(cases: &mut Cases) {
    let good = Hex(stream(100));
    let mut wrong = |name: &str, rule: &str, what: &str, stream: Hex, length: u64| {
        cases.open_failure(name, rule, what, opening(record(), length, stream.0));
    };
    wrong(
        "flipped-salt",
        "CNT-2",
        "first byte of the salt",
        flipped(&good, 0),
        100,
    );
    wrong(
        "flipped-commitment",
        "CNT-2",
        "first byte of the commitment",
        flipped(&good, 24),
        100,
    );
    wrong(
        "flipped-text",
        "CNT-4",
        "first byte of the first chunk",
        flipped(&good, 56),
        100,
    );
    wrong(
        "flipped-tag",
        "CNT-4",
        "last byte of the tag",
        flipped(&good, good.0.len() - 1),
        100,
    );
    wrong(
        "shorter-by-one",
        "CNT-9",
        "the last byte is missing",
        Hex(good.0[..good.0.len() - 1].to_vec()),
        100,
    );
    wrong(
        "longer-by-one",
        "CNT-9",
        "a byte follows",
        Hex([&good.0[..], &[0]].concat()),
        100,
    );
    wrong(
        "another-length",
        "CNT-5",
        "a length that would be padded further",
        good.clone(),
        110,
    );
    let three = stream(2 * CHUNK);
    let [a, b, c] = [0, 1, 2].map(|chunk| usize::try_from(chunk_offset(chunk)).unwrap());
    let swapped = [&three[..a], &three[b..c], &three[a..b], &three[c..]].concat();
    wrong(
        "chunks-swapped",
        "CNT-4",
        "chunks 0 and 1 in each other's place",
        Hex(swapped),
        2 * CHUNK,
    );
    let dropped = [&three[..a], &three[b..]].concat();
    wrong(
        "chunk-dropped",
        "CNT-9",
        "chunk 0 left out, lengths to match",
        Hex(dropped),
        CHUNK,
    );
    let dirty = dirty_padding();
    wrong(
        "padding-not-zero",
        "CNT-6",
        "the text ends in a byte that is padding by the length",
        Hex(dirty),
        100,
    );
    let mut malformed = |name: &str, what: &str, stream: &[u8]| {
        cases.malformed(name, "CNT-3", what, opening(record(), 0, stream.to_vec()));
    };
    malformed("cut-at-a-border", "a full chunk is the last one", &three[..b]);
    malformed("cut-in-a-tag", "15 bytes of a chunk", &three[..a + 15]);
    malformed("cut-in-the-header", "55 bytes of a header", &three[..55]);
}

/// 104 pattern bytes: read as 100 and their padding, the padding is not zero.
fn dirty_padding() -> Vec<u8> {
    stream(104)
}

fn manifests(cases: &mut Cases) {
    let sealed = Hex(seal_manifest(
        &OperatingSystem,
        &record().key(),
        &record().context(),
        b"the bytes of a statement",
    )
    .unwrap());
    let opening = |key: Record, sealed: &Hex| Check::OpenManifest {
        key,
        sealed: sealed.clone(),
    };
    cases.success(
        "manifest",
        "CNT-10",
        "a short manifest takes 1 KiB",
        opening(record(), &sealed),
    );
    let other = Record {
        version: bytes(1, 16),
        ..record()
    };
    cases.open_failure(
        "manifest-of-another-version",
        "CNT-1",
        "another version",
        opening(other, &sealed),
    );
    let flipped = flipped(&sealed, 60);
    cases.open_failure(
        "manifest-changed",
        "CNT-4",
        "one bit of the text",
        opening(record(), &flipped),
    );
    let content = Hex(stream(1024));
    cases.open_failure(
        "content-as-manifest",
        "CNT-1",
        "class 1 where 2 belongs",
        opening(record(), &content),
    );
    let as_content = Check::OpenContent {
        key: record(),
        plaintext_len: 1024,
        stream: sealed,
    };
    cases.open_failure(
        "manifest-as-content",
        "CNT-1",
        "class 2 where 1 belongs",
        as_content,
    );
}
