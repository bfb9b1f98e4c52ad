use ed25519_dalek::{Signer, SigningKey};

use super::*;
use crate::{
    keys::IdentityKey,
    log::{Checkpoint, SignedCheckpoint, cosign, log_key},
};

fn key(signing: &SigningKey) -> IdentityKey {
    IdentityKey::try_from(signing.verifying_key().as_bytes().as_slice()).unwrap()
}

/// OPR-3
#[test]
fn a_digest_is_of_what_is_demanded_alone() {
    let vkey = |seed: u8| {
        let signing = SigningKey::from_bytes(&[seed; 32]);
        NoteKey::new(
            &format!("witness.example/{seed}"),
            KeyKind::Cosignature,
            key(&signing),
        )
        .unwrap()
    };
    let (a, b) = (vkey(1), vkey(2));
    let digest = |text: String| Policy::parse(text.as_bytes()).unwrap().digest();
    let two = digest(format!(
        "witness a {a} http://a\nwitness b {b} http://b\ngroup g 2 a b\nquorum g\n"
    ));
    let same = digest(format!(
        "# moved\nwitness x {b} http://c\nwitness y {a} http://d\ngroup two all x y\nquorum two\n"
    ));
    assert_eq!(two, same);
    for other in [
        format!("witness a {a} http://a\nwitness b {b} http://b\ngroup g 1 a b\nquorum g\n"),
        format!("witness a {a} http://a\nwitness b {b}\ngroup g 2 a b\nquorum g\n"),
        format!("witness a {a} http://a\nquorum a\n"),
        "quorum none\n".to_owned(),
    ] {
        assert_ne!(two, digest(other));
    }
}

/// LOG-23: two of three must have cosigned since then, so the second newest time counts; an older one of the same witness does not.
#[test]
fn the_quorum_has_cosigned_since_the_time_of_its_slowest_member() {
    let operator = SigningKey::from_bytes(&[9; 32]);
    let log = log_key(&key(&operator)).unwrap();
    let witnesses: Vec<_> = (1..=3_u8)
        .map(|seed| {
            let signing = SigningKey::from_bytes(&[seed; 32]);
            let name = format!("witness.example/{seed}");
            let key = NoteKey::new(&name, KeyKind::Cosignature, key(&signing)).unwrap();
            (signing, key)
        })
        .collect();
    let lines = (0..)
        .zip(&witnesses)
        .map(|(number, (_, key))| format!("witness w{number} {key}\n"));
    let lines: String = lines.collect();
    let policy = |end: &str| Policy::parse(format!("{lines}{end}").as_bytes()).unwrap();
    let two = policy("group two 2 w0 w1 w2\nquorum two\n");
    let checkpoint = Checkpoint {
        origin: log.name().to_owned(),
        size: 1,
        root: Sha256Digest::of(b"root"),
        extensions: vec![],
    };
    let signed = SignedCheckpoint::sign(checkpoint, &log, |text| operator.sign(text).to_bytes()).unwrap();
    let mut cosigned = signed.verify(&log).unwrap();
    let mut since = Vec::new();
    for (witness, time) in [(0, 100), (1, 50), (1, 90), (2, 95)] {
        let (signing, key) = &witnesses[witness];
        let line = cosign(&cosigned, key, time, |message| signing.sign(message).to_bytes()).unwrap();
        cosigned = cosigned.with(line);
        since.push(two.cosigned_since(&cosigned).unwrap());
    }
    assert_eq!(since, [None, Some(50), Some(90), Some(95)]);
    assert_eq!(policy("quorum w0\n").cosigned_since(&cosigned), Ok(Some(100)));
    assert_eq!(Policy::none().cosigned_since(&cosigned), Ok(Some(0)));
    for (time, met) in [(95, true), (96, false)] {
        assert_eq!(two.witnessed(cosigned.clone(), time).is_ok(), met, "{time}");
    }
}
