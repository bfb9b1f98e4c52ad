use crypto::{OperatingSystem, RecoverySecret};
use lopdf::Document;

use super::*;
use crate::paper::tests::{nothing_leaves, scanned};

const LINK: &str = "https://vault.example:8443/#aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn pdf(secret: &RecoverySecret) -> Document {
    let sheet = Sheet {
        words: &secret.words().unwrap(),
        patient: PatientId::from_bytes([7; 32]),
        link: &LINK.parse().unwrap(),
        date: "2026-11-25",
    };
    Document::load_mem(&sheet.to_pdf().unwrap()).unwrap()
}

fn secrets() -> impl Iterator<Item = RecoverySecret> {
    // The longest words there are, and chance.
    let longest = RecoverySecret::from_words(&("abstract ".repeat(23) + "acid"));
    [[0; 32], [0xff; 32], [0x5a; 32]]
        .map(|bytes| RecoverySecret::from_bytes(&bytes))
        .into_iter()
        .chain(longest)
        .chain((0..8).map(|_| RecoverySecret::generate(&OperatingSystem).unwrap()))
}

/// What another program selects and copies is what a machine that recovers reads.
#[test]
fn the_text_of_the_one_page_holds_the_words_link_and_id() {
    for secret in secrets() {
        let document = pdf(&secret);
        assert_eq!(document.get_pages().len(), 1);
        let text = document.extract_text(&[1]).unwrap();
        let flat: String = text.split_whitespace().collect();
        assert!(flat.contains(LINK) && flat.contains(&PatientId::from_bytes([7; 32]).to_string()));
        assert!(text.contains("2026-11-25") && text.contains("recovery drill"));
        let from = text.find("1. ").unwrap();
        let to = text.find("When all").unwrap();
        assert_eq!(RecoverySecret::from_words(&text[from..to]), Ok(secret), "{text}");
    }
}

/// Read from the page itself by a program that looks for codes in pictures.
#[test]
fn a_scanner_reads_the_words_from_the_page() {
    for secret in secrets() {
        let text = scanned(&pdf(&secret));
        assert_eq!(RecoverySecret::from_words(&text), Ok(secret), "{text}");
    }
}

#[test]
fn nothing_leaves_the_page() {
    assert!(nothing_leaves(&pdf(&RecoverySecret::from_bytes(&[0; 32]))) > 24);
}
