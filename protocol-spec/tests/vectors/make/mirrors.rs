//! Mirrors of a directory: events in the log's order, and what a checkpoint says of them.

use protocol_spec::{
    bodies::{Program, Restoration},
    hash::Sha256Digest,
    ids::RegistrarId,
    log::{Checkpoint, DirectoryHead, Entry, Generation, SignedCheckpoint, log_key_of},
    messages as pb,
};

use super::{bad, directory::successor, good};
use crate::{
    case::{Case, Check, Hex, MirrorEvent},
    world::{self, INSTITUTION, OPERATOR, REGISTRAR, STRANGER, key},
};

/// Leaves of the log.
const SIZE: u64 = 1000;

/// Events with their places, and the lines of the checkpoint after the first three.
struct Told {
    events: Vec<(u64, Vec<u8>)>,
    lines: Vec<String>,
    size: u64,
    generation: u64,
}

fn keys(entry: pb::DirectoryEntry) -> Vec<u8> {
    let (Some(keys), Some(accreditation)) = (entry.keys, entry.accreditation) else {
        unreachable!()
    };
    Entry::Keys { keys, accreditation }.bytes().unwrap()
}

fn retirement(of: Sha256Digest, signer: u8) -> Vec<u8> {
    let mut retirement = world::retirement();
    retirement.entry_hash = of;
    let signed = key(signer).signed(retirement);
    Entry::Retirement(signed.to_message()).bytes().unwrap()
}

fn withdrawal(signer: u8, of: u8) -> Vec<u8> {
    let mut withdrawal = world::withdrawal();
    withdrawal.institution_id = world::institution(of);
    let signed = key(signer).signed(withdrawal);
    Entry::Withdrawal(signed.to_message()).bytes().unwrap()
}

fn program(signer: u8, change: impl FnOnce(&mut Program)) -> Vec<u8> {
    let mut program = world::program();
    change(&mut program);
    let signed = key(signer).signed(program);
    Entry::Program(signed.to_message()).bytes().unwrap()
}

fn head(events: &[(u64, Vec<u8>)]) -> DirectoryHead {
    events.iter().fold(DirectoryHead::NONE, |head, (index, entry)| {
        head.with(*index, entry)
    })
}

/// An institution that enrols, rotates and retires.
fn life() -> Told {
    let second = successor(|_| (), |_| ());
    let hash = Sha256Digest::of(&second.keys.as_ref().unwrap().body);
    let events = vec![
        (3, keys(world::entry())),
        (700, keys(second)),
        (999, retirement(hash, INSTITUTION)),
    ];
    Told {
        lines: vec![head(&events).line()],
        events,
        size: SIZE,
        generation: 1,
    }
}

fn check(told: Told) -> Check {
    let generation = Generation::new(told.generation).unwrap();
    let log = log_key_of(&key(OPERATOR).public(), generation).unwrap();
    let checkpoint = Checkpoint {
        origin: log.name().to_owned(),
        size: told.size,
        root: Sha256Digest::from_bytes([7; 32]),
        extensions: told.lines,
    };
    let note = SignedCheckpoint::sign(checkpoint, &log, |text| key(OPERATOR).sign(text)).unwrap();
    let event = |(index, entry)| MirrorEvent {
        index,
        entry: Hex(entry),
    };
    Check::Mirror {
        events: told.events.into_iter().map(event).collect(),
        note: note.note().to_string(),
        registrar_key: Hex(key(REGISTRAR).public().as_bytes().to_vec()),
        operator_key: Hex(key(OPERATOR).public().as_bytes().to_vec()),
    }
}

/// The life, after a change; the line is what it was, unless the change makes it anew.
fn told(change: impl FnOnce(&mut Told)) -> Check {
    let mut told = life();
    change(&mut told);
    check(told)
}

fn with_line(change: impl FnOnce(&mut Told)) -> Check {
    told(|told| {
        change(told);
        told.lines = vec![head(&told.events).line()];
    })
}

pub(crate) fn cases() -> Vec<Case> {
    [
        lines(),
        hidden(),
        events(),
        withdrawals(),
        programs(),
        restorations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn lines() -> Vec<Case> {
    let wrong = |name, description, lines: &[&str]| {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        let check = told(|told| told.lines = lines);
        bad("LOG-15", "malformed", name, description, check)
    };
    let (line, none) = (life().lines.concat(), DirectoryHead::NONE.line());
    vec![
        good(
            "LOG-15",
            "nothing",
            "a log without events",
            told(|told| {
                told.events.clear();
                told.lines = vec![DirectoryHead::NONE.line()];
            }),
        ),
        good(
            "LOG-16",
            "life",
            "an institution enrols, rotates and retires",
            told(|_| ()),
        ),
        good(
            "LOG-15",
            "other-lines",
            "lines that mean nothing beside it",
            told(|told| {
                told.lines.insert(0, "example.com/line".to_owned());
            }),
        ),
        wrong("no-line", "a checkpoint without a line", &[]),
        wrong("two-lines", "two lines, and both are true", &[&line, &line]),
        wrong("no-hash", "a number alone", &["medvault/directory 3"]),
        wrong(
            "leading-zero",
            "a number with a leading zero",
            &[&line.replace(" 3 ", " 03 ")],
        ),
        wrong(
            "short-hash",
            "a hash of 31 bytes",
            &["medvault/directory 3 BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw=="],
        ),
        wrong(
            "none-with-hash",
            "no events, and a chain over some",
            &[&line.replace(" 3 ", " 0 ")],
        ),
        wrong(
            "some-without-hash",
            "events, and a chain over none",
            &[&none.replace(" 0 ", " 3 ")],
        ),
        wrong(
            "more-than-leaves",
            "more events than leaves",
            &[&line.replace(" 3 ", " 1001 ")],
        ),
    ]
}

fn hidden() -> Vec<Case> {
    let wrong = |name, description, check| bad("LOG-16", "mismatch", name, description, check);
    vec![
        wrong(
            "hidden-retirement",
            "the last event is left out",
            told(|told| drop(told.events.pop())),
        ),
        wrong(
            "hidden-institution",
            "all events are left out",
            told(|told| told.events.clear()),
        ),
        wrong(
            "hidden-rotation",
            "an event in between is left out",
            told(|told| drop(told.events.remove(1))),
        ),
        wrong(
            "exchanged",
            "the same events in other places",
            told(|told| told.events[1].0 = 701),
        ),
        wrong(
            "another-event",
            "one event more than the line says",
            told(|told| {
                told.lines = vec![head(&told.events[..2]).line()];
            }),
        ),
        wrong(
            "order",
            "a rotation before the enrolment",
            with_line(|told| {
                told.events.swap(0, 1);
                (told.events[0].0, told.events[1].0) = (3, 700);
            }),
        ),
        wrong(
            "places",
            "places that go back",
            with_line(|told| told.events[1].0 = 2),
        ),
        wrong(
            "same-place",
            "two events in one place",
            with_line(|told| told.events[1].0 = 3),
        ),
        wrong(
            "beyond",
            "an event behind the log's end",
            with_line(|told| told.size = 999),
        ),
    ]
}

fn events() -> Vec<Case> {
    let wrong = |expect, name, description, check| bad("LOG-16", expect, name, description, check);
    vec![
        wrong(
            "malformed",
            "salted",
            "a salted leaf is no event",
            with_line(|told| {
                told.events[1].1 = vec![0; Entry::SALTED_LEN];
            }),
        ),
        bad(
            "KEY-17",
            "mismatch",
            "enrolled-twice",
            "another first entry of the same institution",
            with_line(|told| {
                told.events[1].1 = keys(world::entry());
            }),
        ),
        wrong(
            "mismatch",
            "retired-twice",
            "a retirement of who has retired",
            with_line(|told| {
                let again = told.events[2].1.clone();
                told.events.push((told.events[2].0 + 1, again));
                told.size += 1;
            }),
        ),
        wrong(
            "mismatch",
            "after-retirement",
            "a rotation of who has retired",
            with_line(|told| {
                let first = Sha256Digest::of(&world::entry().keys.unwrap().body);
                told.events[2].1 = told.events[1].1.clone();
                told.events[1].1 = retirement(first, INSTITUTION);
            }),
        ),
        wrong(
            "mismatch",
            "retirement-of-nobody",
            "a retirement of who never enrolled",
            with_line(|told| {
                told.events.drain(..2);
            }),
        ),
        wrong(
            "bad signature",
            "retired-by-another",
            "a retirement that another has signed",
            with_line(|told| {
                let second = Sha256Digest::of(&successor(|_| (), |_| ()).keys.unwrap().body);
                told.events[2].1 = retirement(second, STRANGER);
            }),
        ),
    ]
}

fn withdrawals() -> Vec<Case> {
    let wrong = |expect, name, description, check| bad("INS-15", expect, name, description, check);
    let ends = |events: &[Vec<u8>]| {
        with_line(|told| {
            told.events.truncate(1);
            told.events.extend((500..).zip(events.iter().cloned()));
        })
    };
    let right = withdrawal(REGISTRAR, INSTITUTION);
    vec![
        good(
            "INS-15",
            "withdrawn",
            "an accreditation is withdrawn",
            ends(std::slice::from_ref(&right)),
        ),
        good(
            "INS-16",
            "rotation-under-way",
            "a rotation after the withdrawal",
            ends(&[right.clone(), keys(successor(|_| (), |_| ()))]),
        ),
        wrong(
            "mismatch",
            "withdrawn-twice",
            "a second withdrawal",
            ends(&[right.clone(), right]),
        ),
        wrong(
            "bad signature",
            "withdrawn-by-another",
            "a withdrawal that the registrar has not signed",
            ends(&[withdrawal(STRANGER, INSTITUTION)]),
        ),
        wrong(
            "mismatch",
            "withdrawal-of-nobody",
            "a withdrawal of who never enrolled",
            ends(&[withdrawal(REGISTRAR, STRANGER)]),
        ),
    ]
}

fn programs() -> Vec<Case> {
    let wrong = |rule, expect, name, description, check| bad(rule, expect, name, description, check);
    let after_keys = |events: &[Vec<u8>]| {
        with_line(|told| {
            told.events.truncate(1);
            told.events.extend((500..).zip(events.iter().cloned()));
        })
    };
    let right = program(REGISTRAR, |_| ());
    let other_file = |program: &mut Program| program.file_hash = Sha256Digest::of(b"another");
    let next = program(REGISTRAR, |program| {
        other_file(program);
        program.version = "1.0.1".to_owned().try_into().unwrap();
    });
    vec![
        good(
            "PRG-1",
            "program",
            "a program that the registrar vouches for",
            after_keys(std::slice::from_ref(&right)),
        ),
        good(
            "PRG-3",
            "program-next-version",
            "two versions of a program",
            after_keys(&[right.clone(), next]),
        ),
        wrong(
            "PRG-3",
            "mismatch",
            "program-other-file",
            "another file under the same name, version and target",
            after_keys(&[right.clone(), program(REGISTRAR, other_file)]),
        ),
        wrong(
            "PRG-3",
            "mismatch",
            "program-twice",
            "the same program a second time",
            after_keys(&[right.clone(), right]),
        ),
        wrong(
            "PRG-1",
            "bad signature",
            "program-by-another",
            "a program that the registrar has not signed",
            after_keys(&[program(STRANGER, |_| ())]),
        ),
        wrong(
            "PRG-1",
            "mismatch",
            "program-of-another-registrar",
            "a program that names another registrar",
            after_keys(&[program(REGISTRAR, |program| {
                program.registrar_id = RegistrarId::from(&key(STRANGER).public());
            })]),
        ),
    ]
}

/// Signed by the operator, and by this key in the registrar's place.
fn restoration(registrar: u8, change: impl FnOnce(&mut Restoration)) -> Vec<u8> {
    let mut restoration = world::restoration();
    change(&mut restoration);
    let operator = key(OPERATOR).signed(restoration.clone()).to_message();
    let registrar = key(registrar).signed(restoration).to_message();
    Entry::Restoration { operator, registrar }.bytes().unwrap()
}

/// Keys, a restoration of 500 leaves, and what else there is; under the log of this generation.
fn restored(generation: u64, events: Vec<(u64, Vec<u8>)>) -> Check {
    with_line(|told| {
        told.events.truncate(1);
        told.events.extend(events);
        told.generation = generation;
    })
}

fn restorations() -> Vec<Case> {
    let right = || restoration(REGISTRAR, |_| ());
    let next = |generation| {
        restoration(REGISTRAR, |next| {
            (next.generation, next.size) = (generation, 700);
        })
    };
    let wrong = |expect, name, description, check| bad("RST-2", expect, name, description, check);
    let other_words = {
        let mut other = world::restoration();
        other.seen += 1;
        let operator = key(OPERATOR).signed(world::restoration()).to_message();
        let registrar = key(REGISTRAR).signed(other).to_message();
        Entry::Restoration { operator, registrar }.bytes().unwrap()
    };
    vec![
        good(
            "RST-2",
            "restoration",
            "a log that goes on after a restoration",
            restored(2, vec![(500, right())]),
        ),
        good(
            "RST-5",
            "restoration-next",
            "a second restoration",
            restored(3, vec![(500, right()), (700, next(3))]),
        ),
        wrong(
            "bad signature",
            "restoration-operator-alone",
            "a restoration that the registrar has not signed",
            restored(2, vec![(500, restoration(OPERATOR, |_| ()))]),
        ),
        wrong(
            "mismatch",
            "restoration-other-words",
            "operator and registrar have signed different restorations",
            restored(2, vec![(500, other_words)]),
        ),
        wrong(
            "mismatch",
            "restoration-elsewhere",
            "a restoration that stands behind other leaves than it says",
            restored(2, vec![(501, right())]),
        ),
        wrong(
            "mismatch",
            "restoration-less-seen",
            "a log that had fewer leaves than the copy",
            restored(2, vec![(500, restoration(REGISTRAR, |body| body.seen = 499))]),
        ),
        bad(
            "RST-5",
            "mismatch",
            "restoration-twice",
            "a second restoration of one generation",
            restored(2, vec![(500, right()), (700, next(2))]),
        ),
        bad(
            "RST-5",
            "mismatch",
            "restoration-skipped",
            "a restoration of a generation that is not the next one",
            restored(4, vec![(500, right()), (700, next(4))]),
        ),
        bad(
            "RST-5",
            "mismatch",
            "restoration-hidden",
            "a log of the second generation without a restoration",
            restored(2, Vec::new()),
        ),
        bad(
            "RST-5",
            "mismatch",
            "restoration-old-log",
            "a restoration in the log of before",
            restored(1, vec![(500, right())]),
        ),
    ]
}
