//! The transcripts of `spec/transcripts`: each exchange is checked as far as anybody can who has nothing else, and each page
//! is what its other form says. `MEDVAULT_GOLDEN=write` writes the pages; `cargo xtask transcripts` plays the flows anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod check;
mod page;
mod record;
mod world;

use std::{collections::BTreeSet, fs};

use data_encoding::BASE64;

use page::{Reasons, page};
use record::{Exchange, Payload, Transcript, path};
use world::World;

/// What is wrong, in words.
type Result<T> = std::result::Result<T, String>;

/// In the order in which they were played: later ones rest on what earlier ones have shown.
const FLOWS: [&str; 3] = ["upload", "download", "reference"];

fn transcripts() -> Vec<Transcript> {
    FLOWS.map(|name| Transcript::read(name).unwrap()).into()
}

/// What is known after these flows.
fn played(transcripts: &[Transcript]) -> Result<World> {
    let mut world = World::default();
    for transcript in transcripts {
        check::check(transcript, &mut world)?;
    }
    Ok(world)
}

#[test]
fn every_exchange_holds_and_every_page_says_it() {
    let (all, reasons) = (transcripts(), Reasons::read().unwrap());
    let world = played(&all).unwrap();
    for (name, transcript) in FLOWS.iter().zip(&all) {
        let page = page(name, transcript, &world, &reasons).unwrap();
        let path = path(name, "md");
        if std::env::var("MEDVAULT_GOLDEN").as_deref() == Ok("write") {
            fs::write(&path, &page).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap();
        let first = found
            .lines()
            .zip(page.lines())
            .position(|(found, made)| found != made);
        assert!(
            found == page,
            "{}: line {first:?} is not what {name}.json says",
            path.display()
        );
    }
}

#[test]
fn the_flows_show_what_they_are_about() {
    let all = transcripts();
    let asked = |transcript: &Transcript| -> BTreeSet<&'static str> {
        let names = transcript
            .exchanges()
            .map(|(_, exchange)| exchange.endpoint().unwrap().name);
        names.collect()
    };
    let wanted: [&[&str]; 3] = [
        &[
            "SUBMIT_UPLOAD_REQUEST",
            "PRESENT",
            "COMMIT_UPLOAD",
            "RECEIVE_LEAVES",
            "ADOPT",
        ],
        &[
            "SUBMIT_DOWNLOAD_REQUEST",
            "SUBMIT_PERMISSION",
            "PRESENT",
            "RELEASE_LEAVES",
            "CLOSE_RELEASE",
        ],
        &[
            "SUBMIT_REFERENCE_REQUEST",
            "SUBMIT_PERMISSION",
            "PRESENT",
            "RELEASE_LEAVES",
            "CLOSE_RELEASE",
        ],
    ];
    for (transcript, wanted) in all.iter().zip(wanted) {
        let asked = asked(transcript);
        let missing: Vec<_> = wanted.iter().filter(|name| !asked.contains(*name)).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", transcript.title);
    }
}

/// Changes one exchange of one flow, and says what is wrong then.
fn changed(
    all: &[Transcript],
    at: (usize, usize, usize),
    change: impl FnOnce(&mut Exchange),
) -> Option<String> {
    let mut all = all.to_vec();
    let (flow, step, exchange) = at;
    change(&mut all[flow].steps[step].exchanges[exchange]);
    played(&all).err()
}

fn places(all: &[Transcript]) -> Vec<(usize, usize, usize)> {
    let mut places = Vec::new();
    for (flow, transcript) in all.iter().enumerate() {
        for (step, one) in transcript.steps.iter().enumerate() {
            places.extend((0..one.exchanges.len()).map(|exchange| (flow, step, exchange)));
        }
    }
    places
}

/// The first letter or digit is another one.
fn altered(text: &str) -> String {
    let mut chars: Vec<_> = text.chars().collect();
    let at = chars.iter().rposition(char::is_ascii_alphanumeric).unwrap();
    chars[at] = if chars[at] == 'b' { 'c' } else { 'b' };
    chars.into_iter().collect()
}

fn flip(payload: &mut Payload, at: usize) {
    let mut bytes = BASE64.decode(payload.base64.as_bytes()).unwrap();
    bytes[at] ^= 1;
    payload.base64 = BASE64.encode(&bytes);
}

/// The negative control of the requests: what a signature covers cannot be another byte, nor can the signature.
#[test]
fn a_signed_request_with_another_byte_is_noticed() {
    let all = transcripts();
    played(&all).unwrap();
    let mut changes = 0;
    for at in places(&all) {
        let exchange = &all[at.0].steps[at.1].exchanges[at.2];
        if !exchange.fields.contains_key("signature") {
            continue;
        }
        let covered = [
            "host",
            "medvault-operator",
            "content-digest",
            "idempotency-key",
            "medvault-challenge",
            "medvault-leaves",
            "signature-input",
            "signature",
        ];
        for name in covered {
            let Some(value) = exchange.fields.get(name) else {
                continue;
            };
            let other = altered(value);
            let wrong = changed(&all, at, |exchange| {
                drop(exchange.fields.insert(name.to_owned(), other));
            });
            assert!(wrong.is_some(), "{at:?}: {name}");
            changes += 1;
        }
        let path = format!(
            "{}{}",
            exchange.path,
            if exchange.path.contains('?') {
                "&x=1"
            } else {
                "?x=1"
            }
        );
        assert!(
            changed(&all, at, |exchange| exchange.path = path).is_some(),
            "{at:?}: path"
        );
        if exchange.body.base64.is_empty() {
            continue;
        }
        for byte in [0, exchange.body.bytes / 2, exchange.body.bytes - 1] {
            let wrong = changed(&all, at, |exchange| flip(&mut exchange.body, byte));
            assert!(wrong.is_some(), "{at:?}: byte {byte} of the body");
            changes += 1;
        }
    }
    assert!(changes > 100, "{changes}");
}

/// The negative control of what the server signs and proves: tickets, receipts, checkpoints, and leaves by their root.
#[test]
fn an_answer_with_another_byte_in_what_is_signed_is_noticed() {
    let all = transcripts();
    played(&all).unwrap();
    let mut changes = 0;
    for at in places(&all) {
        let exchange = &all[at.0].steps[at.1].exchanges[at.2];
        let signed = [
            "PRESENT",
            "COMMIT_UPLOAD",
            "CLOSE_RELEASE",
            "LOG_CHECKPOINT",
            "RELEASE_LEAVES",
        ];
        if !signed.contains(&exchange.endpoint().unwrap().name) || exchange.answer.body.base64.is_empty() {
            continue;
        }
        // The middle of each is in a statement, its signature or its proof.
        let bytes = exchange.answer.body.bytes;
        for byte in [bytes / 8, bytes / 4, bytes / 2] {
            let wrong = changed(&all, at, |exchange| flip(&mut exchange.answer.body, byte));
            assert!(wrong.is_some(), "{at:?}: byte {byte} of {bytes} of the answer");
            changes += 1;
        }
    }
    assert!(changes > 15, "{changes}");
}

/// The negative control of the pages: with any byte of an exchange its page is another one.
#[test]
fn a_page_shows_a_byte_that_is_another() {
    let (all, reasons) = (transcripts(), Reasons::read().unwrap());
    let world = played(&all).unwrap();
    for (flow, name) in FLOWS.iter().enumerate() {
        let committed = page(name, &all[flow], &world, &reasons).unwrap();
        for at in places(&all).into_iter().filter(|at| at.0 == flow) {
            let mut other = all[flow].clone();
            let exchange = &mut other.steps[at.1].exchanges[at.2];
            let shown = committed.contains(&format!("### {}.{} ", at.1 + 1, at.2 + 1));
            if !shown || exchange.answer.body.base64.is_empty() {
                continue;
            }
            let middle = exchange.answer.body.bytes / 2;
            flip(&mut exchange.answer.body, middle);
            let made = page(name, &other, &world, &reasons);
            assert!(
                made.is_err() || made.is_ok_and(|made| made != committed),
                "{at:?}"
            );
        }
    }
}
