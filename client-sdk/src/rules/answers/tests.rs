use crypto::SigningIdentity;
use protocol_spec::{
    bodies::{Denial, DeviceCertificate},
    field::SealedBytes,
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId},
    patient::{DeviceChain, PatientSigned},
    statement::Signed,
};

use super::*;
use crate::Error;

/// Of the same words by the same device, always the same bytes.
fn denial(text: &'static [u8]) -> SignedAnswer {
    let key = SigningIdentity::from_seed(&[1; 32]).unwrap();
    let patient_id = PatientId::from(&key.public());
    let certificate = DeviceCertificate {
        created: 1,
        patient_id,
        device_key: key.public(),
        recipient_key_hash: Sha256Digest::from_bytes([2; 32]),
    };
    let certificate = Signed::sign(certificate, |message| key.sign_bytes(message));
    let denial = Denial {
        created: 2,
        request_id: request(1),
        request_hash: Sha256Digest::from_bytes([3; 32]),
        patient_id,
        institution_id: InstitutionId::from_bytes([4; 32]),
        text: SealedBytes {
            enc: vec![5; SealedBytes::ENC_LEN].into(),
            ciphertext: [text, &[0; 17]].concat().into(),
        },
    };
    let denial = Signed::sign(denial, |message| key.sign_bytes(message));
    SignedAnswer::Denial(Box::new(SubmitDenial {
        denial: PatientSigned::new(denial, DeviceChain::first(key.public(), certificate)),
    }))
}

fn request(n: u8) -> RequestId {
    RequestId::from_bytes([n; 16])
}

fn kept(n: u8, at: u64) -> KeptAnswer {
    let by = By {
        rule: format!("rule {n}"),
        sequence: 3,
        at,
    };
    KeptAnswer::new(request(n), by, None, &denial(b"the body"))
}

#[test]
fn the_exact_message_comes_back_and_the_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    assert_eq!(KeptAnswer::all(&home).unwrap(), []);
    for (n, at) in [(1, 20), (2, 10)] {
        kept(n, at).save(&home).unwrap();
    }
    // A writer that died before it renamed leaves something behind.
    std::fs::write(home.path("rules/answers/.medvault-left"), "{").unwrap();
    let all = KeptAnswer::all(&home).unwrap();
    assert_eq!(all, [kept(2, 10), kept(1, 20)]);
    assert_eq!(all[0].answer(&home).unwrap().bytes(), denial(b"the body").bytes());
    assert_eq!(all[0].state, AnswerState::Signed);
    assert_eq!(KeptAnswer::load(&home, request(3)).unwrap(), None);
    let names = rules_by_statement(&home).unwrap();
    assert_eq!(names.len(), 1, "both have the same body here");
    assert!(names.contains_key(&denial(b"the body").statement_hash().to_string()));
}

#[test]
fn a_message_that_is_not_the_one_that_was_kept_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    let mut changed = kept(1, 1);
    assert!(changed.answer(&home).is_ok(), "the control");
    changed.message = BASE64.encode(&denial(b"another body").bytes());
    assert!(matches!(changed.answer(&home), Err(Error::HomeDamaged { .. })));
    // A file under another request's name.
    kept(1, 1).save(&home).unwrap();
    std::fs::rename(
        home.path(&file(&request(1).to_string())),
        home.path(&file(&request(2).to_string())),
    )
    .unwrap();
    assert!(matches!(
        KeptAnswer::load(&home, request(2)),
        Err(Error::HomeAltered { .. })
    ));
}
