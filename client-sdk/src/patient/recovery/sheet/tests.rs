use crypto::RecoverySecret;
use lopdf::{Document, content::Content as Operations};

use super::*;

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
        .chain((0..8).map(|_| RecoverySecret::generate().unwrap()))
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

fn number(object: &lopdf::Object) -> f64 {
    f64::from(object.as_float().unwrap())
}

/// The page as a camera sees it: 4 pixels a point, row by row from the top, dark where a rectangle is filled.
fn painted(document: &Document) -> Vec<bool> {
    const SCALE: f64 = 4.0;
    let page = document.get_pages()[&1];
    let content = Operations::decode(&document.get_page_content(page)).unwrap();
    let (mut path, mut filled) = (Vec::new(), Vec::new());
    for operation in &content.operations {
        match operation.operator.as_str() {
            "re" => path.push([0, 1, 2, 3].map(|at| number(&operation.operands[at]))),
            "f" => filled.append(&mut path),
            "S" => path.clear(),
            _ => (),
        }
    }
    let mut dark = vec![false; PIXELS.0 * PIXELS.1];
    for [x, y, w, h] in filled {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "pixels of one page"
        )]
        let pixel = |points: f64| (points * SCALE).round() as usize;
        for row in pixel(y)..pixel(y + h) {
            for column in pixel(x)..pixel(x + w) {
                dark[(PIXELS.1 - 1 - row) * PIXELS.0 + column] = true;
            }
        }
    }
    dark
}

const PIXELS: (usize, usize) = (2400, 3400);

/// Read from the page itself by a program that looks for codes in pictures.
#[test]
fn a_scanner_reads_the_words_from_the_page() {
    for secret in secrets() {
        let dark = painted(&pdf(&secret));
        let light = |x, y| if dark[y * PIXELS.0 + x] { 20 } else { 235 };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(PIXELS.0, PIXELS.1, light);
        let codes = image.detect_grids();
        assert_eq!(codes.len(), 1);
        let (_, text) = codes[0].decode().unwrap();
        assert_eq!(RecoverySecret::from_words(&text), Ok(secret), "{text}");
    }
}

/// Helvetica's letters are at most as wide as high on average half of that; Courier's are 0.6 of their size.
#[test]
fn nothing_leaves_the_page() {
    let document = pdf(&RecoverySecret::from_bytes(&[0; 32]));
    let page = document.get_pages()[&1];
    let content = Operations::decode(&document.get_page_content(page)).unwrap();
    let (mut size, mut width, mut x) = (0.0, 0.0, 0.0);
    let mut lines = 0;
    for operation in &content.operations {
        match operation.operator.as_str() {
            "Tf" => {
                size = number(&operation.operands[1]);
                width = if operation.operands[0].as_name().unwrap() == b"F3" {
                    0.6
                } else {
                    0.5
                };
            }
            "Td" => {
                x = number(&operation.operands[0]);
                assert!((40.0..800.0).contains(&number(&operation.operands[1])));
            }
            "Tj" => {
                let length = operation.operands[0].as_str().unwrap().len() as f64;
                assert!(x + length * size * width < 575.0, "{:?}", operation.operands);
                lines += 1;
            }
            _ => (),
        }
    }
    assert!(lines > 24);
}
