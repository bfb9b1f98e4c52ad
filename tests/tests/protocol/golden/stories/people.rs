//! Whoever acts for a patient, and whoever opens in an emergency.

use std::{fs, thread::sleep, time::Duration};

use anyhow::Result;
use tests::harness::{Cli, World, text};

use super::{Book, path, record};
use crate::emergency::code;

pub(in super::super) fn play(world: &mut World, book: &mut Book) -> Result<()> {
    let (patient, id) = world.patient("patient")?;
    let (other, other_id) = world.patient("other")?;
    let (practice, _) = world.institution("Practice")?;
    let heart = record(world, &patient, &practice, "Practice")?;
    delegates(book, (&patient, &id), (&other, &other_id), &practice)?;

    let (ambulance, _) = world.institution_for("Ambulance", &["--emergency"])?;
    patient.run(&["collection", "create", "emergency"])?;
    patient.run(&["collection", "move", &heart, "--to", "emergency"])?;
    card(world, book, (&patient, &id), &ambulance)?;
    guardians(world, book, (&patient, &id), (&other, &other_id), &ambulance)?;
    for reader in [&patient, &other, &ambulance] {
        book.run(reader, &["inbox"])?;
    }
    book.run(&patient, &["history", "--verify"])?;
    book.run(&patient, &["permissions"])?;
    Ok(())
}

fn delegates(
    book: &mut Book,
    (patient, id): (&Cli, &str),
    (other, other_id): (&Cli, &str),
    practice: &Cli,
) -> Result<()> {
    let add = [
        "delegate",
        "add",
        other_id,
        "--name",
        "Mother",
        "--until",
        "2040-04-01",
    ];
    let add = [&add[..], &["--power", "permit"]].concat();
    let first = text(&book.run(patient, &add)?, "delegation_id")?;
    book.run(other, &["delegate", "list"])?;
    book.run(other, &["delegate", "refuse", &first])?;
    let second = text(&book.run(patient, &add)?, "delegation_id")?;
    book.run(other, &["delegate", "accept", &second])?;
    book.run(patient, &["delegate", "list"])?;
    book.run(other, &["delegate", "list"])?;
    book.run(other, &["records", "--acting-for", id])?;
    let ask = ["download", "request", "--patient", id, "--text", "t"];
    let request = text(&practice.run(&ask)?, "request_id")?;
    book.run(other, &["inbox", "--acting-for", id])?;
    book.run(other, &["permit", &request, "--all", "--acting-for", id])?;
    book.run(patient, &["permissions"])?;
    book.run(patient, &["delegate", "end", &second])?;
    book.run(patient, &["delegate", "list"])?;
    Ok(())
}

fn card(world: &World, book: &mut Book, (patient, id): (&Cli, &str), ambulance: &Cli) -> Result<()> {
    let page = path(world, "card.pdf");
    book.run(patient, &["emergency", "card", "--pdf", &page])?;
    let code = code(&fs::read(&page)?)?;
    let out = path(world, "opened");
    let open = [
        "emergency",
        "open",
        "--patient",
        id,
        "--out",
        &out,
        "--card",
        &code,
    ];
    book.run(ambulance, &open)?;
    Ok(())
}

fn guardians(
    world: &World,
    book: &mut Book,
    (patient, id): (&Cli, &str),
    (other, other_id): (&Cli, &str),
    ambulance: &Cli,
) -> Result<()> {
    let guardian = |words: &[&'static str]| [&["emergency", "guardian"], words].concat();
    let add = |wait: &'static str| [&guardian(&["add"])[..], &[other_id, "--wait", wait]].concat();
    book.run(patient, &add("1s"))?;
    book.run(other, &[&guardian(&["refuse"])[..], &[id]].concat())?;
    book.run(patient, &guardian(&["list"]))?;
    book.run(patient, &[&guardian(&["remove"])[..], &[other_id]].concat())?;
    book.run(patient, &add("1s"))?;
    book.run(other, &[&guardian(&["accept"])[..], &[id]].concat())?;
    let help = ["emergency", "help", "--patient", id, "--institution", "Ambulance"];
    book.run(other, &help)?;
    sleep(Duration::from_millis(1100));
    let out = path(world, "helped");
    book.run(ambulance, &["emergency", "open", "--patient", id, "--out", &out])?;
    let remove = [&guardian(&["remove"])[..], &[other_id]].concat();
    patient.run(&remove)?;
    patient.run(&add("1h"))?;
    other.run(&[&guardian(&["accept"])[..], &[id]].concat())?;
    let begun = text(&book.run(other, &help)?, "help_id")?;
    book.run(patient, &["emergency", "object", &begun])?;
    book.run(patient, &guardian(&["list"]))?;
    Ok(())
}
