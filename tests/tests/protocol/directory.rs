//! The mirror of the directory, against a server that hides, reorders or sets back what has happened to institutions.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use crypto::SigningIdentity;
use prost::Message;
use protocol_spec::{
    defence::Defence,
    log::{DirectoryHead, SignedCheckpoint, log_key},
    messages as pb,
};
use serde_json::Value;
use tests::{
    attack::play,
    harness::{Cli, Liar, World, text},
};

use super::institutions_cli::rotate;

/// A change to what comes after the events that a client has; what it asks for then is nothing.
type Lie = fn(&mut Vec<pb::DirectoryEvent>);

const EVENTS: &str = "/v1/directory/events?after=";

/// Two institutions: the first has rotated, the second retired. Their events have the numbers 1 to 4.
fn lives(world: &World) -> Result<()> {
    let (anna, _) = world.institution("St. Anna")?;
    let (mercy, _) = world.institution("Mercy")?;
    rotate(world, &anna, "second", "1h")?;
    mercy.run(&["institution", "retire", "--yes"])?;
    Ok(())
}

/// Tells this of the events after number `known`.
fn tell(liar: &Liar, known: u64, lie: Lie) {
    liar.tell(move |asked, body| {
        let after = asked
            .strip_prefix(EVENTS)
            .and_then(|after| after.parse::<u64>().ok());
        let Some((after, Ok(mut page))) = after.zip(Some(pb::DirectoryEvents::decode(body.clone()))) else {
            return body;
        };
        match after == known {
            true => lie(&mut page.events),
            false => page.events.clear(),
        }
        page.encode_to_vec().into()
    });
}

/// Whether she believes a lie about the directory, and how it looks to her then.
fn believes(patient: &Cli) -> Result<Option<Value>> {
    let output = patient.command(&["directory"])?.output()?;
    let said: Value = serde_json::from_slice(&output.stdout)?;
    if output.status.success() {
        return Ok(Some(said));
    }
    let code = &said["error"]["code"];
    let refused = ["directory-conflict", "older-directory", "tampered"].map(Value::from);
    ensure!(refused.contains(code), "{said}");
    Ok(None)
}

fn names(directory: &Value) -> Vec<(&str, u64, bool)> {
    let all = directory["institutions"].as_array().into_iter().flatten();
    all.map(|one| {
        let name = one["name"].as_str().unwrap_or_default();
        (
            name,
            one["rotations"].as_u64().unwrap_or(9),
            one["retired"] == true,
        )
    })
    .collect()
}

/// ATK-4, LOG-16, INS-4: a rotation, a retirement or an institution that the server leaves out, to whoever has seen nothing yet and to
/// whoever is behind. Without the check by the line she believes it.
#[test]
fn what_is_left_out_of_the_directory_is_noticed() -> Result<()> {
    let lies: [(&str, Lie); 3] = [
        ("the rotation", |events| drop(events.remove(2))),
        ("the retirement", |events| drop(events.remove(3))),
        ("an institution", |events| {
            events.remove(3);
            events.remove(1);
        }),
    ];
    let (world, liar) = World::start_behind_liar()?;
    lives(&world)?;
    for (number, (what, lie)) in lies.into_iter().enumerate() {
        play(&[Defence::DirectoryHead], |without| {
            liar.be_honest();
            let (patient, _) = world.patient(&format!("{number}-{}", without.len()))?;
            tell(&liar, 0, lie);
            let believed = believes(&patient.without(without))?;
            if without.is_empty() {
                let kept = patient.home().join("directory-conflict.checkpoint");
                SignedCheckpoint::parse(&std::fs::read(kept)?)?;
                liar.be_honest();
                let directory = patient.run(&["directory"])?;
                ensure!(
                    names(&directory) == [("Mercy", 0, true), ("St. Anna", 1, false)],
                    "{what}: {directory}"
                );
            }
            Ok(believed.is_some())
        })?;
    }
    Ok(())
}

/// LOG-16: the same to a patient who has seen the beginning.
#[test]
fn who_is_behind_is_shown_all_that_came_since() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (anna, _) = world.institution("St. Anna")?;
    let (first, _) = world.patient("first")?;
    let (second, _) = world.patient("second")?;
    for patient in [&first, &second] {
        patient.run(&["directory"])?;
    }
    rotate(&world, &anna, "second", "1h")?;
    tell(&liar, 1, Vec::clear);
    play(&[Defence::DirectoryHead], |without| {
        let patient = if without.is_empty() { &first } else { &second };
        Ok(believes(&patient.without(without))?.is_some())
    })
}

/// ATK-4, LOG-16: events in another order.
#[test]
fn the_order_of_events_is_the_logs() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    world.institution("St. Anna")?;
    world.institution("Mercy")?;
    let (patient, _) = world.patient("patient")?;
    let (control, _) = world.patient("control")?;
    tell(&liar, 0, |events| events.swap(0, 1));
    play(&[Defence::DirectoryHead], |without| {
        let patient = if without.is_empty() { &patient } else { &control };
        Ok(believes(&patient.without(without))?.is_some())
    })
}

/// ATK-4, LOG-16: the directory as it was, to a patient who has seen it since.
#[test]
fn an_older_directory_is_refused() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    world.institution("St. Anna")?;
    let (patient, _) = world.patient("patient")?;
    let (control, _) = world.patient("control")?;
    let old = Arc::new(Mutex::new(Bytes::new()));
    let kept = old.clone();
    liar.tell(move |asked, body| {
        if let (Ok(mut kept), true) = (kept.lock(), asked.starts_with(EVENTS)) {
            kept.clone_from(&body);
        }
        body
    });
    patient.run(&["directory"])?;
    liar.be_honest();
    world.institution("Mercy")?;
    for patient in [&patient, &control] {
        patient.run(&["directory"])?;
    }
    liar.tell(move |asked, body| match (old.lock(), asked.starts_with(EVENTS)) {
        (Ok(old), true) => {
            let page = pb::DirectoryEvents::decode(old.clone()).unwrap_or_default();
            let events = Vec::new();
            pb::DirectoryEvents { events, ..page }.encode_to_vec().into()
        }
        _ => body,
    });
    let refused = patient.fail(&["directory"])?;
    ensure!(refused.json["error"]["code"] == "older-directory", "{refused:?}");
    play(&[Defence::DirectoryHead], |without| {
        let patient = if without.is_empty() { &patient } else { &control };
        Ok(believes(&patient.without(without))?.is_some())
    })
}

/// ATK-4, LOG-16: the directory as it was when she looked last, to a patient whom the log has shown more since.
#[test]
fn a_directory_that_is_older_than_the_log_she_knows_is_refused() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    world.institution("St. Anna")?;
    let (patient, _) = world.patient("patient")?;
    let pages: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let seen = pages.clone();
    liar.tell(move |asked, body| {
        if let (Ok(mut seen), true) = (seen.lock(), asked.starts_with(EVENTS)) {
            seen.push(body.clone());
        }
        body
    });
    patient.run(&["directory"])?;
    world.institution("Mercy")?;
    // A head of hers, which stands further on.
    patient.run(&["collection", "create", "of her own"])?;
    let last = pages.lock().ok().and_then(|pages| pages.last().cloned());
    let last = pb::DirectoryEvents::decode(last.context("no page")?)?;
    liar.tell(move |asked, body| match asked.starts_with(EVENTS) {
        true => pb::DirectoryEvents {
            events: Vec::new(),
            ..last.clone()
        }
        .encode_to_vec()
        .into(),
        false => body,
    });
    play(&[Defence::DirectoryHead], |without| {
        Ok(believes(&patient.without(without))?.is_some())
    })
}

/// The checkpoint with another line about the directory, signed by the operator.
fn with_line(data: &Path, note: &str, head: DirectoryHead) -> Result<String> {
    let seed = std::fs::read(data.join("operator.key"))?;
    let operator = SigningIdentity::from_seed(seed.as_slice().try_into()?)?;
    let mut checkpoint = SignedCheckpoint::parse(note.as_bytes())?.claimed().clone();
    checkpoint.extensions = vec![head.line()];
    let key = log_key(&operator.public())?;
    let signed = SignedCheckpoint::sign(checkpoint, &key, |text| operator.sign_bytes(text))?;
    Ok(signed.note().to_string())
}

/// ATK-4, LOG-18, LOG-15: an operator that signs a false line, and hides an institution by it, is believed until somebody reads the log
/// itself: whether it then shows the false line or the true one. Without the comparison nobody notices.
#[test]
fn an_audit_finds_a_false_line() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, _) = world.patient("patient")?;
    let audited = patient.run(&["directory", "audit"])?;
    ensure!(audited["events"] == 0, "{audited}");
    world.institution("St. Anna")?;
    world.institution("Mercy")?;
    let (control, _) = world.patient("control")?;
    let honest = control.run(&["directory", "audit"])?;
    ensure!(honest["events"] == 2 && honest["institutions"] == 2, "{honest}");
    let again = control.run(&["directory", "audit"])?;
    ensure!(again["from"] == honest["log_size"], "{again}");
    for everywhere in [false, true] {
        play(&[Defence::DirectoryHead], |without| {
            liar.be_honest();
            let (patient, _) = world.patient(&format!("p-{everywhere}-{}", without.len()))?;
            // The liar outlives the test: it must not keep the server.
            let data = world.server.data().to_owned();
            liar.tell(move |asked, body| {
                let lied = (|| {
                    if asked.starts_with(EVENTS) {
                        let mut page = pb::DirectoryEvents::decode(body.clone()).ok()?;
                        page.events.truncate(if asked.ends_with("=0") { 1 } else { 0 });
                        let first = page.events.first();
                        let head = match first {
                            Some(event) => DirectoryHead::NONE.with(event.index, &event.entry),
                            None => return None,
                        };
                        page.checkpoint = with_line(&data, &page.checkpoint, head).ok()?;
                        return Some(page.encode_to_vec().into());
                    }
                    if everywhere && asked.starts_with("/v1/log/checkpoint") {
                        let note = String::from_utf8_lossy(&body).into_owned();
                        return Some(with_line(&data, &note, DirectoryHead::NONE).ok()?.into());
                    }
                    None
                })();
                lied.unwrap_or(body)
            });
            let shown = patient.run(&["directory"])?;
            ensure!(names(&shown).len() == 1, "{shown}");
            let output = patient
                .without(without)
                .command(&["directory", "audit"])?
                .output()?;
            let said: Value = serde_json::from_slice(&output.stdout)?;
            let code = text(&said["error"], "code").unwrap_or_default();
            let noticed = ["directory-conflict", "tampered"].contains(&code.as_str());
            ensure!(output.status.success() || noticed, "{said}");
            Ok(output.status.success())
        })?;
    }
    Ok(())
}

/// LOG-17, LOG-15: names are looked up in the mirror, and chains are shown of it.
#[test]
fn an_institutions_entries_are_shown() -> Result<()> {
    let world = World::start()?;
    lives(&world)?;
    let (patient, _) = world.patient("patient")?;
    let shown = patient.run(&["directory", "show", "St. Anna"])?;
    let entries = shown["entries"].as_array().context("entries")?;
    ensure!(entries.len() == 2 && entries[1]["rotations"] == 1, "{shown}");
    ensure!(
        entries[0]["recipient_key"] != entries[1]["recipient_key"],
        "{shown}"
    );
    let unknown = patient.fail(&["directory", "show", "Hope"])?;
    ensure!(
        unknown.json["error"]["code"] == "unknown-institution",
        "{unknown:?}"
    );
    Ok(())
}
