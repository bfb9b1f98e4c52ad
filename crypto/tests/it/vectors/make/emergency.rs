//! Emergency keys: codes of cards, what follows from both halves, halves that are sealed to people.

use crypto::{CardHalf, HalfContext, HalfReader, OperatingSystem};
use protocol_spec::ids::{InstitutionId, PatientId, RequestId};

use super::{Cases, bytes};
use crate::vectors::case::{Case, Check, Hex};

const PATIENT: PatientId = PatientId::from_bytes([0xa0; 32]);

pub fn cases() -> Vec<Case> {
    let mut cases = Cases::default();
    codes(&mut cases);
    halves(&mut cases);
    sealed(&mut cases);
    cases.0
}

fn card() -> CardHalf {
    CardHalf::from_bytes(&[0xc1; 32])
}

fn codes(cases: &mut Cases) {
    let check = |code: &str| Check::EmergencyCode {
        code: code.to_owned(),
        patient: bytes(0xa0, 32),
    };
    let code = card().code(&PATIENT);
    cases.success("code", "EMG-3", "as it stands on the card", check(&code));
    let scanned = format!("{PATIENT} {}", *code);
    cases.success("scanned", "EMG-3", "as its QR code has it", check(&scanned));
    let typed = code.to_uppercase().replace('-', " ");
    cases.success("typed", "EMG-3", "in capitals, with spaces", check(&typed));
    let other = PatientId::from_bytes([0xa1; 32]);
    for (name, description, text) in [
        (
            "one-letter",
            "a letter is another",
            code.replacen("emg-y", "emg-z", 1),
        ),
        (
            "short",
            "the last letter is missing",
            code[..code.len() - 1].to_owned(),
        ),
        ("no-prefix", "the prefix is missing", code[4..].to_owned()),
        (
            "of-another-patient",
            "made for another patient",
            card().code(&other).to_string(),
        ),
        (
            "after-another-patient",
            "the code, with another patient before it",
            format!("{other} {}", *code),
        ),
    ] {
        assert_ne!(text, *code);
        cases.malformed(name, "EMG-3", description, check(&text));
    }
}

fn halves(cases: &mut Cases) {
    let check = |first: u8, second: u8, patient: u8| Check::EmergencyKeys {
        first: bytes(first, 32),
        second: bytes(second, 32),
        patient: bytes(patient, 32),
    };
    cases.success(
        "both-halves",
        "EMG-2",
        "what follows from both halves",
        check(0xc1, 0x5e, 0xa0),
    );
    cases.success(
        "another-card",
        "EMG-2",
        "another first half",
        check(0xc2, 0x5e, 0xa0),
    );
    cases.success(
        "another-share",
        "EMG-2",
        "another second half",
        check(0xc1, 0x5f, 0xa0),
    );
    cases.success(
        "another-patient",
        "EMG-2",
        "another patient",
        check(0xc1, 0x5e, 0xa1),
    );
}

fn sealed(cases: &mut Cases) {
    let key = |half: &CardHalf| half.key(&PATIENT).unwrap().public();
    let context = |reader| HalfContext {
        patient: PATIENT,
        card_key: key(&card()),
        reader,
    };
    let guardian = context(HalfReader::Guardian(PatientId::from_bytes([0x77; 32])));
    let help = context(HalfReader::Institution(
        InstitutionId::from_bytes([0x77; 32]),
        RequestId::from_bytes([0xb7; 16]),
    ));
    let check = |half: &CardHalf, of: &HalfContext, reader: u8, help: Option<u8>| Check::OpenHalf {
        half: super::sealed::sealed(
            &half
                .seal(&OperatingSystem, super::sealed::recipient().public(), of)
                .unwrap(),
        ),
        patient: bytes(0xa0, 32),
        card_key: Hex(key(&card()).as_bytes().to_vec()),
        reader: bytes(reader, 32),
        help: help.map(|byte| bytes(byte, 16)),
    };
    cases.success(
        "guardians-half",
        "EMG-10",
        "sealed to a guardian",
        check(&card(), &guardian, 0x77, None),
    );
    cases.success(
        "helps-half",
        "EMG-10",
        "sealed to an institution",
        check(&card(), &help, 0x77, Some(0xb7)),
    );
    cases.open_failure(
        "another-reader",
        "EMG-10",
        "sealed to another guardian",
        check(&card(), &guardian, 0x78, None),
    );
    cases.open_failure(
        "another-help",
        "EMG-10",
        "sealed with another help",
        check(&card(), &help, 0x77, Some(0xb8)),
    );
    cases.open_failure(
        "guardians-half-as-helps",
        "EMG-10",
        "sealed to a guardian, opened as an institution's",
        check(&card(), &guardian, 0x77, Some(0xb7)),
    );
    cases.open_failure(
        "another-half",
        "EMG-10",
        "well sealed, but not the half that the card key follows from",
        check(&CardHalf::from_bytes(&[0xc2; 32]), &help, 0x77, Some(0xb7)),
    );
}
