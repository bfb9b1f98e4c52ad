//! What becomes of records without one thing that Medvault does: negative controls. Each attack here succeeds against
//! a container that is like ours but for that thing; that it fails against ours is tested beside the code.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use crypto::{
    DataKey, OperatingSystem,
    content::{RecordContext, Sealer, open_manifest, seal_manifest},
};
use miniz_oxide::deflate::compress_to_vec;
use protocol_spec::{
    content::{padme, single_leaf_root},
    hash::Sha256Digest,
    ids::{PatientId, RecordId, VersionId},
};

const KEY: [u8; 32] = [9; 32];
const CHUNK: usize = 4;

fn record(number: u8) -> RecordContext {
    RecordContext {
        patient: PatientId::from_bytes([1; 32]),
        record: RecordId::from_bytes([number; 16]),
        version: VersionId::from_bytes([3; 16]),
    }
}

/// A chunk that knows neither its place, nor its record, nor whether it is the last.
type Loose = ([u8; 12], Vec<u8>);

fn seal(text: &[u8], first_nonce: u8) -> Vec<Loose> {
    let chunks = (first_nonce..).zip(text.chunks(CHUNK));
    chunks
        .map(|(number, chunk)| {
            let nonce = [number; 12];
            let cipher = ChaCha20Poly1305::new(&KEY.into());
            (nonce, cipher.encrypt(&nonce.into(), chunk).unwrap())
        })
        .collect()
}

fn open(chunks: &[Loose]) -> Vec<u8> {
    let cipher = ChaCha20Poly1305::new(&KEY.into());
    let texts = chunks
        .iter()
        .map(|(nonce, sealed)| cipher.decrypt(nonce.into(), sealed.as_slice()).unwrap());
    texts.collect::<Vec<_>>().concat()
}

/// ATK-12: chunks whose place is not bound open in any order.
#[test]
fn without_places_permuted_chunks_open() {
    let mut chunks = seal(b"HIV-nein", 0);
    chunks.swap(0, 1);
    assert_eq!(open(&chunks), b"neinHIV-");
}

/// ATK-13: without a last chunk that is known as such, less opens as if it were all.
#[test]
fn without_an_end_a_cut_stream_opens() {
    let chunks = seal(b"allergic to penicillin", 0);
    assert_eq!(open(&chunks[..2]), b"allergic");
}

/// ATK-14: a chunk of another record under the same key.
#[test]
fn without_a_context_another_records_chunk_opens() {
    let (mut anna, bert) = (seal(b"AnnaRh+ ", 0), seal(b"BertRh- ", 100));
    anna[1] = bert[1].clone();
    assert_eq!(open(&anna), b"AnnaRh- ");
}

/// ATK-15: what stands beside what is sealed is what the server says, and the content opens all the same.
#[test]
fn beside_what_is_sealed_the_server_has_its_way() {
    let (mut kind, sealed) = ("final result", seal(b"no malignancy", 0));
    let sent = format!("{kind}: {}", String::from_utf8(open(&sealed)).unwrap());
    kind = "provisional";
    let shown = format!("{kind}: {}", String::from_utf8(open(&sealed)).unwrap());
    assert_ne!(sent, shown);
}

/// CNT-10, ATK-15: here it lies in the manifest, and a manifest of which a byte was changed does not open.
#[test]
fn whatever_is_told_of_a_record_is_sealed_with_it() {
    let key = DataKey::from_bytes(&KEY);
    let sealed = seal_manifest(&OperatingSystem, &key, &record(2), b"final result").unwrap();
    assert_eq!(open_manifest(&key, &record(2), &sealed).unwrap(), b"final result");
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(open_manifest(&key, &record(2), &changed).is_err(), "byte {at}");
    }
}

fn keystream(length: usize) -> Vec<u8> {
    let cipher = ChaCha20Poly1305::new(&KEY.into());
    let mut sealed = cipher
        .encrypt(&[0; 12].into(), vec![0; length].as_slice())
        .unwrap();
    sealed.truncate(length);
    sealed
}

fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

/// ATK-9: the same cipher without its tag: who changes a bit of what is sealed changes that bit of the text.
#[test]
fn without_a_tag_a_flipped_bit_passes() {
    let text = b"insulin: 10 units";
    let mut sealed = xor(text, &keystream(text.len()));
    sealed[9] ^= b'1' ^ b'9';
    assert_eq!(xor(&sealed, &keystream(text.len())), b"insulin: 90 units");
}

/// ATK-20: two texts under one key and nonce: who knows one reads the other.
#[test]
fn under_one_key_and_nonce_two_texts_give_each_other_away() {
    let (known, secret) = (b"nothing to report", b"positive for HIV.");
    let cipher = ChaCha20Poly1305::new(&KEY.into());
    let seal = |text: &[u8]| cipher.encrypt(&[0; 12].into(), text).unwrap();
    let between = xor(&seal(known), &seal(secret));
    assert_eq!(&xor(&between, known)[..secret.len()], secret);
}

/// ATK-17: whoever has the data key seals another text in the same place; the cipher alone takes it.
#[test]
fn the_key_alone_does_not_tell_who_sealed() {
    let payload = |msg| Payload { msg, aad: b"place" };
    let cipher = ChaCha20Poly1305::new(&KEY.into());
    let forged = cipher.encrypt(&[7; 12].into(), payload(b"no allergies")).unwrap();
    let opened = cipher.decrypt(&[7; 12].into(), payload(&forged)).unwrap();
    assert_eq!(opened, b"no allergies");
}

fn stream(text: &[u8]) -> Vec<u8> {
    let key = DataKey::from_bytes(&KEY);
    let mut sealer = Sealer::new(&OperatingSystem, &key, &record(2), text.len() as u64).unwrap();
    let (mut leaf, mut rest) = (Vec::new(), text);
    sealer
        .next_leaf(&mut leaf, |slot| {
            let (now, later) = rest.split_at(slot.len());
            slot.copy_from_slice(now);
            rest = later;
            Ok::<_, crypto::Error>(())
        })
        .unwrap();
    leaf
}

/// ATK-17: but what it seals has another root than the one that was signed, be it the same text once more (CNT-15).
#[test]
fn what_a_key_holder_seals_anew_has_another_root() {
    let signed = single_leaf_root(&stream(b"allergic to penicillin"));
    for text in [b"no allergies, none ...".as_slice(), b"allergic to penicillin"] {
        assert_ne!(single_leaf_root(&stream(text)), signed);
    }
}

/// ATK-34: one data key for all that is uploaded under a permission: who may write one record reads all of them.
#[test]
fn with_one_key_for_all_records_a_writer_reads_the_others() {
    let key = DataKey::from_bytes(&KEY);
    let anothers = seal_manifest(&OperatingSystem, &key, &record(2), b"by another").unwrap();
    assert_eq!(open_manifest(&key, &record(2), &anothers).unwrap(), b"by another");
}

/// ATK-42: in a log of bare digests whoever has a statement, or guesses it, finds that it is there, and whose.
#[test]
fn without_a_salt_a_statement_is_found_in_the_log() {
    let statement = |patient: u8| Sha256Digest::of(&[patient, b'p', b'e', b'r', b'm', b'i', b't']);
    let log: Vec<_> = (0..100).map(statement).collect();
    assert_eq!(log.iter().position(|leaf| *leaf == statement(42)), Some(42));
}

const SECRET: &[u8] = b"patient=Anna; diagnosis=epilepsy; ";
const GUESSES: [&[u8]; 2] = [b"diagnosis=epilepsy;", b"diagnosis=fracture;"];

/// ATK-21: where texts are compressed before they are sealed, the right guess beside the secret makes less.
#[test]
fn with_compression_the_right_guess_is_shorter() {
    let lengths = GUESSES.map(|guess| compress_to_vec(&[SECRET, guess].concat(), 9).len());
    assert!(lengths[0] < lengths[1], "{lengths:?}");
}

/// ATK-21: here both make the same.
#[test]
fn every_guess_of_one_length_makes_the_same() {
    let lengths = GUESSES.map(|guess| stream(&[SECRET, guess].concat()).len());
    assert_eq!(lengths[0], lengths[1]);
}

/// ATK-56: without padding what is sealed is as long as the text: one byte more is seen.
#[test]
fn without_padding_a_byte_more_is_seen() {
    let cipher = ChaCha20Poly1305::new(&KEY.into());
    let length = |text: &[u8]| cipher.encrypt(&[0; 12].into(), text).unwrap().len();
    assert_eq!(length(&[7; 1001]), length(&[7; 1000]) + 1);
}

/// ATK-56: records of one class look alike, and there are few classes (LKG-1).
#[test]
fn a_byte_more_is_not_seen() {
    assert_eq!(stream(&[7; 1000]).len(), stream(&[7; 1001]).len());
    let mut classes: Vec<_> = (1..100_000).map(padme).collect();
    classes.dedup();
    assert!(classes.len() < 256, "{}", classes.len());
}
