//! Devices are linked and removed, a vault is restored.

use std::{
    fs,
    io::{BufRead, BufReader},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Cli, World, text};

use super::{Book, file, path, record};
use crate::recovery::{kit, kit_before};

/// How long kits stay that are announced to leave: longer than the commands between take, also on a machine with other work.
pub(in super::super) const WEEK: &str = "4s";

pub(in super::super) fn play(world: &mut World, book: &mut Book) -> Result<()> {
    let (patient, _) = world.patient("patient")?;
    let (practice, _) = world.institution("Practice")?;
    record(world, &patient, &practice, "Practice")?;
    let tablet = linked(world, book, &patient, "Tablet")?;
    book.run(&tablet, &["device", "name", "Tablet", "Slate"])?;
    book.run(&tablet, &["collection", "create", "of the tablet"])?;
    book.run(&patient, &["device", "list"])?;
    book.run(&patient, &["device", "given", "Slate"])?;
    book.run(&patient, &["device", "retire", "Slate", "--yes"])?;
    linked(world, book, &patient, "Telephone")?;
    book.run(&patient, &["device", "remove", "Telephone", "--lost"])?;
    kits(world, book, &patient)?;
    trustees(world, book, &patient)?;
    book.run(&patient, &["history"])?;

    book.run(&patient, &["home", "check"])?;
    let words = file(world, "words", "correct horse battery staple of mine\n")?;
    let only_hers = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&words, only_hers)?;
    book.run(&patient, &["home", "passphrase", "--new-passphrase-file", &words])?;
    Ok(())
}

/// A device that shows its code, is approved, and has its home.
fn linked(world: &World, book: &mut Book, patient: &Cli, name: &str) -> Result<Cli> {
    let device = world.principal(name);
    let link = world.server.link().to_string();
    let link = ["device", "link", "--server", &link];
    let mut child = device.spawn(&link)?;
    let mut output = BufReader::new(child.stdout.take().context("standard output")?);
    let mut shown = || -> Result<Value> {
        let mut line = String::new();
        output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("shown: {line}"))
    };
    let offered = shown()?;
    book.note(&link, &offered)?;
    let code = text(&offered, "code")?;
    let approve = ["device", "approve", &code, "--name", name];
    book.fail(patient, &approve)?;
    let answered = shown()?;
    book.note(&link, &answered)?;
    let short = text(&answered, "short_string")?;
    book.run(patient, &[&approve[..], &["--short-string", &short]].concat())?;
    book.note(&link, &shown()?)?;
    ensure!(child.wait()?.success(), "{name} was not linked");
    Ok(device)
}

/// The second kit takes the place of a settled one, which leaves, stays after all, and leaves again with its words.
fn kits(world: &World, book: &mut Book, patient: &Cli) -> Result<()> {
    let (first, made) = kit(patient, &world.path("first.pdf"))?;
    book.note(&["recovery", "kit"], &made)?;
    book.run(&patient.fed(&first), &["recovery", "drill"])?;
    sleep(Duration::from_millis(4100));
    let (_, made) = kit(patient, &world.path("second.pdf"))?;
    book.note(&["recovery", "kit"], &made)?;
    let leaving = made["leaving"][0].as_str().context("nothing leaves")?;
    book.run(patient, &["device", "keep", leaving])?;
    let (third, made) = kit_before(patient, &world.path("third.pdf"), &first)?;
    book.note(&["recovery", "kit"], &made)?;
    let machine = world.principal("machine");
    let link = world.server.link().to_string();
    book.run(&machine.fed(&third), &["recover", "--server", &link])?;
    Ok(())
}

fn trustees(world: &World, book: &mut Book, patient: &Cli) -> Result<()> {
    let (eva, eva_id) = world.patient("eva")?;
    let (leo, leo_id) = world.patient("leo")?;
    let folder = path(world, "shares");
    fs::create_dir_all(&folder)?;
    let divide = ["recovery", "trustees", "--threshold", "2", "--out", &folder];
    book.run(patient, &[&divide[..], &[&eva_id, &leo_id, "Practice"]].concat())?;
    let machine = world.principal("another machine");
    let offer = path(world, "offer");
    let asked = book.run(&machine, &["recovery", "ask", "--out", &offer])?;
    let check = text(&asked, "check_string")?;
    let mut returned = Vec::new();
    for (number, trustee) in [(1, &eva), (2, &leo)] {
        let share = world
            .path("shares")
            .join(format!("{number}.share"))
            .display()
            .to_string();
        let out = path(world, &format!("{number}.returned"));
        let give = [
            "recovery", "share", &share, "--for", &offer, "--out", &out, "--check", &check,
        ];
        book.run(trustee, &give)?;
        returned.push(out);
    }
    let link = world.server.link().to_string();
    let recover = [
        "recover",
        "--server",
        &link,
        "--shares",
        &returned[0],
        &returned[1],
    ];
    book.run(&machine, &recover)?;
    Ok(())
}
