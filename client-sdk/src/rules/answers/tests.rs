use bytes::Bytes;

use super::*;
use crate::Error;

fn denial(body: &'static [u8]) -> SignedAnswer {
    let statement = pb::Statement {
        body: Bytes::from_static(body),
        signature: Bytes::from_static(&[1; 64]),
        certificate: None,
    };
    SignedAnswer::Denial(pb::SubmitDenial {
        denial: Some(pb::PatientStatement {
            statement: Some(statement),
            device: None,
            delegation: None,
        }),
    })
}

fn request(n: u8) -> RequestId {
    RequestId::from_bytes([n; 16])
}

fn kept(n: u8, at: u64) -> Kept {
    let by = By {
        rule: format!("rule {n}"),
        sequence: 3,
        at,
    };
    Kept::new(request(n), by, None, &denial(b"the body"))
}

#[test]
fn the_exact_message_comes_back_and_the_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    assert_eq!(Kept::all(&home).unwrap(), []);
    for (n, at) in [(1, 20), (2, 10)] {
        kept(n, at).save(&home).unwrap();
    }
    // A writer that died before it renamed leaves something behind.
    std::fs::write(home.path("rules/answers/.medvault-left"), "{").unwrap();
    let all = Kept::all(&home).unwrap();
    assert_eq!(all, [kept(2, 10), kept(1, 20)]);
    assert_eq!(all[0].answer(&home).unwrap(), denial(b"the body"));
    assert_eq!(all[0].state, State::Signed);
    assert_eq!(Kept::load(&home, request(3)).unwrap(), None);
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
        Kept::load(&home, request(2)),
        Err(Error::HomeAltered { .. })
    ));
}
