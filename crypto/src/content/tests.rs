//! The two streams of a record, sealed and opened whole, in pieces and in ranges; and what must not open.

use std::collections::HashSet;

use proptest::prelude::*;
use protocol_spec::content::{LEAF_LEN, chunk_offset, leaf_len, padme, stream_len};

use super::*;
use crate::OperatingSystem;

const RECORD: RecordContext = RecordContext {
    patient: PatientId::from_bytes([1; 32]),
    record: RecordId::from_bytes([2; 16]),
    version: VersionId::from_bytes([3; 16]),
};
const CHUNK: usize = 16 * 1024;
const SEALED: usize = CHUNK + 16;

fn key() -> DataKey {
    DataKey::from_bytes(&[9; 32])
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251).to_le_bytes()[0]).collect()
}

/// Seals from where the sealer stands, with the plaintext from there on.
fn leaves(sealer: &mut Sealer, plaintext: &[u8]) -> Vec<Vec<u8>> {
    let mut at = usize::try_from(sealer.plaintext_offset()).unwrap();
    let (mut all, mut leaf) = (Vec::new(), Vec::new());
    let mut fill = |slot: &mut [u8]| {
        slot.copy_from_slice(&plaintext[at..at + slot.len()]);
        at += slot.len();
        Ok::<_, Error>(())
    };
    while sealer.next_leaf(&mut leaf, &mut fill).unwrap() {
        all.push(leaf.clone());
    }
    all
}

fn seal(plaintext: &[u8]) -> Vec<u8> {
    let mut sealer = Sealer::new(&OperatingSystem, &key(), &RECORD, plaintext.len() as u64).unwrap();
    let stream = leaves(&mut sealer, plaintext).concat();
    assert_eq!(stream.len() as u64, sealer.stream_len());
    stream
}

fn opener(stream: &[u8], plaintext: usize) -> Result<Opener, Error> {
    let header = stream.first_chunk().ok_or(Error::Open)?;
    Opener::new(
        &key(),
        &RECORD,
        header,
        StreamLengths {
            stream: stream.len() as u64,
            plaintext: plaintext as u64,
        },
    )
}

fn open_in_pieces(stream: &[u8], plaintext: usize, piece: usize) -> Result<Vec<u8>, Error> {
    let mut opener = opener(stream, plaintext)?.stream();
    let mut out = Vec::new();
    for piece in stream[HEADER_LEN..].chunks(piece) {
        opener.push(piece, &mut out)?;
    }
    assert_eq!(opener.finish()?.plaintext_len(), out.len() as u64);
    Ok(out)
}

/// A stream of exactly `chunks` chunks whose plaintext needs no padding: a power of two.
fn padme_fixed(chunks: usize) -> Vec<u8> {
    let length = (chunks - 1) * CHUNK;
    assert_eq!(padme(length as u64), length as u64);
    text(length)
}

#[test]
fn lengths_at_every_border_round_trip() {
    let leaf = usize::try_from(LEAF_LEN).unwrap();
    for length in [
        0,
        1,
        100,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        3 * CHUNK,
        leaf - 100,
        leaf,
        leaf + 1,
        2 * leaf + 12_345,
    ] {
        let plaintext = text(length);
        let stream = seal(&plaintext);
        assert_eq!(stream.len() as u64, stream_len(padme(length as u64)));
        assert!(
            open_in_pieces(&stream, length, leaf).as_ref() == Ok(&plaintext),
            "{length}"
        );
    }
}

/// Padding ends in a full chunk, so that an empty one follows it.
#[test]
fn pieces_that_complete_nothing_after_the_padding_cut_nothing() {
    let plaintext = text(47_105);
    assert_eq!(padme(47_105), 3 * CHUNK as u64);
    assert!(open_in_pieces(&seal(&plaintext), plaintext.len(), 1) == Ok(plaintext));
}

/// CNT-14
#[test]
fn sealing_resumes_at_any_leaf_with_the_same_bytes() {
    let plaintext = text(5 * 1024 * 1024 + 77);
    let mut sealer = Sealer::new(&OperatingSystem, &key(), &RECORD, plaintext.len() as u64).unwrap();
    let header = *sealer.header();
    let whole = leaves(&mut sealer, &plaintext);
    assert!(
        whole
            .iter()
            .zip(0..)
            .all(|(leaf, i)| leaf.len() as u64 == leaf_len(sealer.stream_len(), i))
    );
    for first in 0..=whole.len() {
        let mut resumed =
            Sealer::resume(&key(), &RECORD, plaintext.len() as u64, &header, first as u64).unwrap();
        assert_eq!(resumed.next_leaf_number(), first as u64);
        assert!(leaves(&mut resumed, &plaintext) == whole[first..], "leaf {first}");
    }
    let beyond = Sealer::resume(
        &key(),
        &RECORD,
        plaintext.len() as u64,
        &header,
        whole.len() as u64 + 1,
    );
    assert_eq!(beyond.err(), Some(Error::Malformed { what: "leaf number" }));
    let other_key = Sealer::resume(&DataKey::from_bytes(&[8; 32]), &RECORD, 0, &header, 0);
    assert_eq!(other_key.err(), Some(Error::Open));
}

#[test]
fn a_source_that_fails_stops_the_sealer() {
    let mut sealer = Sealer::new(&OperatingSystem, &key(), &RECORD, 100_000).unwrap();
    let mut leaf = Vec::new();
    let failed = sealer.next_leaf(&mut leaf, |_| Err(Error::Randomness));
    assert_eq!(failed, Err(Error::Randomness));
    assert_eq!(
        sealer.next_leaf(&mut leaf, |_| Ok::<_, Error>(())),
        Err(Error::Interrupted)
    );
}

/// CNT-1, CNT-2, ATK-14
#[test]
fn open_rejects_wrong_key_patient_record_version_and_class() {
    let stream = seal(b"text");
    let header = stream.first_chunk().unwrap();
    let lengths = StreamLengths {
        stream: stream.len() as u64,
        plaintext: 4,
    };
    let try_open = |key: &DataKey, record: &RecordContext| Opener::new(key, record, header, lengths).err();
    assert_eq!(try_open(&key(), &RECORD), None);
    assert_eq!(
        try_open(&DataKey::from_bytes(&[8; 32]), &RECORD),
        Some(Error::Open)
    );
    let wrong = [
        RecordContext {
            patient: PatientId::from_bytes([7; 32]),
            ..RECORD
        },
        RecordContext {
            record: RecordId::from_bytes([7; 16]),
            ..RECORD
        },
        RecordContext {
            version: VersionId::from_bytes([7; 16]),
            ..RECORD
        },
        RecordContext {
            record: RecordId::from_bytes([3; 16]),
            version: VersionId::from_bytes([2; 16]),
            ..RECORD
        },
    ];
    for record in wrong {
        assert_eq!(try_open(&key(), &record), Some(Error::Open));
    }
    let as_manifest = Opener::of_class(&key(), &RECORD, Class::Manifest, header, lengths);
    assert_eq!(as_manifest.err(), Some(Error::Open));
}

/// CNT-3, CNT-5
#[test]
fn open_rejects_wrong_lengths() {
    let stream = seal(&text(100));
    let header = stream.first_chunk().unwrap();
    let try_open = |stream: u64, plaintext: u64| {
        Opener::new(&key(), &RECORD, header, StreamLengths { stream, plaintext }).err()
    };
    let right = stream.len() as u64;
    assert_eq!(try_open(right, 100), None);
    assert_eq!(try_open(right, 110), Some(Error::Open), "another size class");
    assert_eq!(try_open(right, u64::MAX), Some(Error::Open));
    assert_eq!(
        try_open(55, 0),
        Some(Error::Malformed {
            what: "stream length"
        })
    );
    assert_eq!(
        try_open(chunk_offset(1), 0),
        Some(Error::Malformed {
            what: "stream length"
        })
    );
}

/// CNT-6
#[test]
fn padding_that_is_not_zero_is_refused() {
    let mut plaintext = text(100);
    assert_eq!(padme(100), 104);
    plaintext.extend([0, 0, 0, 1]);
    let stream = seal(&plaintext);
    assert_eq!(open_in_pieces(&stream, 104, 1000).as_ref(), Ok(&plaintext));
    assert_eq!(open_in_pieces(&stream, 100, 1000), Err(Error::Open));
    assert_eq!(open_in_pieces(&stream, 103, 1), Err(Error::Open));
    let opener = opener(&stream, 100).unwrap();
    assert_eq!(opener.ranges(&stream[HEADER_LEN..]).err(), Some(Error::Open));
}

/// CNT-4, ATK-12
#[test]
fn every_permutation_of_four_chunks_but_the_right_one_is_refused() {
    let plaintext = text(3 * CHUNK + 2048);
    assert_eq!(padme(plaintext.len() as u64), plaintext.len() as u64);
    let stream = seal(&plaintext);
    let chunks: Vec<_> = stream[HEADER_LEN..].chunks(SEALED).collect();
    let orders: Vec<[usize; 4]> = (0..256)
        .map(|i| [i / 64, i / 16 % 4, i / 4 % 4, i % 4])
        .filter(|order| *order != [0, 1, 2, 3])
        .collect();
    for order in orders {
        let mut changed = stream[..HEADER_LEN].to_vec();
        order.iter().for_each(|i| changed.extend_from_slice(chunks[*i]));
        assert!(
            open_in_pieces(&changed, plaintext.len(), SEALED).is_err(),
            "{order:?}"
        );
    }
}

/// CNT-9, ATK-13
#[test]
fn truncation_at_every_border_is_refused() {
    let plaintext = padme_fixed(5);
    let stream = seal(&plaintext);
    for kept in 0..5 {
        for more in [0, 1, 15, 16, 17] {
            let cut = HEADER_LEN + kept * SEALED + more;
            if cut >= stream.len() {
                continue;
            }
            // Told the true length, the reader misses the tail; told the shorter one, the lengths do not agree
            // or the last chunk is not what was sealed there.
            let mut told = opener(&stream, plaintext.len()).unwrap().stream();
            let mut out = Vec::new();
            told.push(&stream[HEADER_LEN..cut], &mut out).unwrap();
            assert_eq!(told.finish(), Err(Error::Open));
            assert!(open_in_pieces(&stream[..cut], kept * CHUNK, 1000).is_err());
        }
    }
}

/// CNT-9, ATK-13
#[test]
fn trailing_bytes_are_refused() {
    let plaintext = padme_fixed(2);
    let stream = seal(&plaintext);
    let mut opener = opener(&stream, plaintext.len()).unwrap().stream();
    let mut out = Vec::new();
    opener.push(&stream[HEADER_LEN..], &mut out).unwrap();
    assert_eq!(opener.push(&[0], &mut out), Err(Error::Open));
    assert_eq!(opener.push(&[], &mut out), Err(Error::Open), "fails for ever");
    assert_eq!(out, plaintext);
    assert_eq!(opener.finish(), Err(Error::Open));
}

/// CNT-4, ATK-14
#[test]
fn a_chunk_of_another_stream_under_the_same_key_is_refused() {
    let plaintext = padme_fixed(3);
    let (a, b) = (seal(&plaintext), seal(&plaintext));
    let spliced = [
        &a[..HEADER_LEN],
        &b[HEADER_LEN..HEADER_LEN + SEALED],
        &a[HEADER_LEN + SEALED..],
    ]
    .concat();
    assert_eq!(open_in_pieces(&spliced, plaintext.len(), 5000), Err(Error::Open));
}

/// ATK-9
#[test]
fn some_flipped_bits_everywhere_are_refused() {
    let plaintext = padme_fixed(2);
    let stream = seal(&plaintext);
    let early = (0..HEADER_LEN * 8).chain((HEADER_LEN * 8..stream.len() * 8).step_by(997));
    for bit in early {
        let mut flipped = stream.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            open_in_pieces(&flipped, plaintext.len(), 1 << 20),
            Err(Error::Open),
            "bit {bit}"
        );
    }
}

/// CNT-13
#[test]
fn ranges_open_only_after_the_tail() {
    let plaintext = text(100_000);
    let stream = seal(&plaintext);
    let range = |range: &std::ops::Range<u64>| {
        stream[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec()
    };
    let opener = || opener(&stream, plaintext.len()).unwrap();
    let mut bad_tail = range(&opener().tail());
    bad_tail[0] ^= 1;
    assert_eq!(opener().ranges(&bad_tail).err(), Some(Error::Open));
    assert_eq!(opener().ranges(&[]).err(), Some(Error::Open));
    assert_eq!(
        opener().ranges(&stream[HEADER_LEN..HEADER_LEN + SEALED]).err(),
        Some(Error::Open)
    );
    let ranges = opener().ranges(&range(&opener().tail())).unwrap();
    for wanted in [
        0..1,
        0..100_000,
        16_383..16_385,
        16_384..32_768,
        99_999..100_000,
        70_000..99_000,
    ] {
        let sealed = range(&ranges.sealed_range(&wanted).unwrap());
        let mut out = b"before".to_vec();
        ranges.open(&wanted, &sealed, &mut out).unwrap();
        let (start, end) = (
            usize::try_from(wanted.start).unwrap(),
            usize::try_from(wanted.end).unwrap(),
        );
        assert!(out[6..] == plaintext[start..end], "{wanted:?}");
        let mut out = b"before".to_vec();
        assert_eq!(ranges.open(&wanted, &sealed[1..], &mut out), Err(Error::Open));
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(ranges.open(&wanted, &changed, &mut out), Err(Error::Open));
        assert_eq!(out, b"before");
    }
    #[allow(clippy::reversed_empty_ranges, reason = "that is the point")]
    for wrong in [0..0, 5..4, 0..100_001, 100_000..100_001] {
        assert!(
            matches!(ranges.sealed_range(&wrong), Err(Error::Malformed { .. })),
            "{wrong:?}"
        );
    }
}

/// CNT-10
#[test]
fn manifests_round_trip_and_hide_their_length() {
    let sealed_len = |length: usize| {
        let sealed = seal_manifest(&OperatingSystem, &key(), &RECORD, &text(length)).unwrap();
        assert!(open_manifest(&key(), &RECORD, &sealed) == Ok(text(length)));
        sealed.len() as u64
    };
    assert_eq!([0, 1, 1020].map(sealed_len), [stream_len(1024); 3]);
    assert_eq!(sealed_len(1021), stream_len(padme(1025)));
    assert_eq!(sealed_len(1_500_000), stream_len(padme(1_500_004)));
}

/// ATK-14
#[test]
fn a_manifest_opens_for_its_record_and_class_alone() {
    let sealed = seal_manifest(&OperatingSystem, &key(), &RECORD, b"statement").unwrap();
    let other = RecordContext {
        version: VersionId::from_bytes([7; 16]),
        ..RECORD
    };
    assert_eq!(open_manifest(&key(), &other, &sealed), Err(Error::Open));
    assert_eq!(
        open_manifest(&DataKey::from_bytes(&[8; 32]), &RECORD, &sealed),
        Err(Error::Open)
    );
    let content = seal(&[&[0, 0, 0, 1][..], &[0; 1020]].concat());
    assert_eq!(content.len(), sealed.len());
    assert_eq!(
        open_manifest(&key(), &RECORD, &content),
        Err(Error::Open),
        "content is no manifest"
    );
    assert_eq!(
        opener(&sealed, 1024).err(),
        Some(Error::Open),
        "a manifest is no content"
    );
    assert_eq!(
        open_manifest(&key(), &RECORD, &sealed[..50]),
        Err(Error::Malformed {
            what: "sealed manifest"
        })
    );
    assert_eq!(
        open_manifest(&key(), &RECORD, &sealed[..60]),
        Err(Error::Malformed {
            what: "stream length"
        })
    );
    for cut in [80, 500, sealed.len() - 1] {
        assert_eq!(open_manifest(&key(), &RECORD, &sealed[..cut]), Err(Error::Open));
    }
}

/// CNT-14, ATK-20: all (key, nonce) pairs of several streams: classes, versions, upload keys, salts, chunks.
#[test]
fn no_key_and_nonce_occur_twice() {
    let mut seen = HashSet::new();
    let upload_key = crate::UploadKey::from_bytes(&[5; 32]);
    for version in 0..4 {
        let record = RecordContext {
            version: VersionId::from_bytes([version; 16]),
            ..RECORD
        };
        let derived = upload_key.record_key(&record.patient, &record.record, &record.version);
        for key in [key(), derived] {
            for class in [Class::Content, Class::Manifest] {
                for _salt in 0..2 {
                    let (framing, header) = start(&OperatingSystem, &key, &record, class).unwrap();
                    for chunk in 0..300 {
                        // The commitment stands for the key: both come from one derivation.
                        assert!(seen.insert((header, framing.nonce(chunk).unwrap())));
                    }
                }
            }
        }
    }
    let commitments: HashSet<_> = seen.iter().map(|(header, _)| &header[24..]).collect();
    assert_eq!(
        (seen.len(), commitments.len()),
        (4 * 2 * 2 * 2 * 300, 4 * 2 * 2 * 2)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_text_in_any_pieces_opens(length in 0_usize..120_000, piece in 1_usize..40_000) {
        let plaintext = text(length);
        let stream = seal(&plaintext);
        prop_assert!(open_in_pieces(&stream, length, piece) == Ok(plaintext));
    }

    /// ATK-9
    #[test]
    fn any_changed_byte_is_refused(length in 0_usize..40_000, at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut stream = seal(&text(length));
        let at = at.index(stream.len());
        stream[at] ^= flip;
        prop_assert_eq!(open_in_pieces(&stream, length, 10_000), Err(Error::Open));
    }

    #[test]
    fn any_range_of_any_text_opens(length in 1_u64..100_000, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let plaintext = text(usize::try_from(length).unwrap());
        let stream = seal(&plaintext);
        let (a, b) = (a.index(plaintext.len()), b.index(plaintext.len()));
        let wanted = a.min(b) as u64..a.max(b) as u64 + 1;
        let opener = opener(&stream, plaintext.len()).unwrap();
        let at = |range: std::ops::Range<u64>| &stream[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        let tail = at(opener.tail());
        let ranges = opener.ranges(tail).unwrap();
        let mut out = Vec::new();
        ranges.open(&wanted, at(ranges.sealed_range(&wanted).unwrap()), &mut out).unwrap();
        prop_assert!(out == plaintext[a.min(b)..=a.max(b)]);
    }

    #[test]
    fn arbitrary_bytes_are_no_manifest(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(open_manifest(&key(), &RECORD, &bytes).is_err());
    }
}
