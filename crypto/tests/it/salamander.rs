//! ATK-18: one ciphertext that ChaCha20-Poly1305 opens under two keys to different texts. Commitments keep it
//! from being a stream or a wrap of ours.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use crypto::{
    DataKey, Error, OperatingSystem,
    content::{Opener, RecordContext, Sealer, StreamLengths},
};
use data_encoding::HEXLOWER;
use protocol_spec::{
    content::stream_len,
    ids::{PatientId, RecordId, VersionId},
};

const RECORD: RecordContext = RecordContext {
    patient: PatientId::from_bytes([1; 32]),
    record: RecordId::from_bytes([2; 16]),
    version: VersionId::from_bytes([3; 16]),
};

struct Salamander {
    keys: [[u8; 32]; 2],
    nonce: [u8; 12],
    aad: Vec<u8>,
    ciphertext: Vec<u8>,
}

fn salamander() -> Salamander {
    let lines: Vec<Vec<u8>> = include_str!("../vectors/salamander.txt")
        .lines()
        .map(|line| HEXLOWER.decode(line.as_bytes()).unwrap())
        .collect();
    Salamander {
        keys: [0, 1].map(|i| lines[i].as_slice().try_into().unwrap()),
        nonce: lines[2].as_slice().try_into().unwrap(),
        aad: lines[3].clone(),
        ciphertext: lines[4].clone(),
    }
}

/// ATK-18, ATK-19: The negative control: without a commitment the attack works.
#[test]
fn the_bare_aead_opens_it_under_both_keys() {
    let Salamander {
        keys,
        nonce,
        aad,
        ciphertext,
    } = salamander();
    let texts = keys.map(|key| {
        let payload = Payload {
            msg: &ciphertext,
            aad: &aad,
        };
        ChaCha20Poly1305::new(&key.into())
            .decrypt(&nonce.into(), payload)
            .unwrap()
    });
    assert_ne!(texts[0], texts[1]);
}

/// ATK-18, ATK-19
#[test]
fn as_a_stream_it_opens_under_neither_key() {
    let Salamander { keys, ciphertext, .. } = salamander();
    let text_len = ciphertext.len() as u64 - 16;
    let lengths = StreamLengths {
        stream: stream_len(text_len),
        plaintext: text_len,
    };
    for (author, other) in [(keys[0], keys[1]), (keys[1], keys[0])] {
        let (author, other) = (DataKey::from_bytes(&author), DataKey::from_bytes(&other));
        let header = *Sealer::new(&OperatingSystem, &author, &RECORD, text_len)
            .unwrap()
            .header();
        assert_eq!(
            Opener::new(&other, &RECORD, &header, lengths).err(),
            Some(Error::Open),
            "commitment"
        );
        let mut stream = Opener::new(&author, &RECORD, &header, lengths).unwrap().stream();
        assert_eq!(
            stream.push(&ciphertext, &mut Vec::new()),
            Err(Error::Open),
            "derived key"
        );
    }
}
