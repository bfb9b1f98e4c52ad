//! Records come, are kept, permitted, fetched, taken back and deleted; what is proven of it.

use std::fs;

use anyhow::Result;
use tests::harness::{Cli, World, text};

use super::{Book, file, path};

pub(in super::super) fn play(world: &mut World, book: &mut Book) -> Result<()> {
    let patient = world.principal("patient");
    let link = world.server.link().to_string();
    let enrolled = book.run(&patient, &["patient", "enrol", "--server", &link])?;
    let id = text(&enrolled, "patient_id")?;
    let (practice, _) = world.institution("Practice")?;
    let (clinic, _) = world.institution("Clinic")?;
    let heart = come(world, book, &patient, &practice)?;
    keep(book, &patient, &heart)?;
    under_conditions(book, &patient, &clinic, &id)?;
    let permission = fetched(world, book, &patient, &clinic, &id)?;
    referred(book, &patient, &id, &practice, &clinic)?;
    proven(world, book, &patient, &clinic, &permission)?;
    by_rules(world, book, &patient, &clinic, &id)?;
    inboxes(book, &patient, &clinic, &id)?;
    book.run(&patient, &["records", "delete", &heart, "--yes"])?;
    Ok(())
}

fn come(world: &World, book: &mut Book, patient: &Cli, practice: &Cli) -> Result<String> {
    book.run(patient, &["records"])?;
    let ask = [
        "upload",
        "request",
        "--to",
        "Practice",
        "--text",
        "the results",
        "--uses",
        "2",
    ];
    let permission = text(&book.run(patient, &ask)?, "permission_id")?;
    book.run(practice, &["inbox"])?;
    let sent = files(world)?;
    let send = ["upload", "send", &permission, &sent];
    book.run(practice, &[&send[..], &["--dry-run"]].concat())?;
    let heart = text(&book.run(practice, &send)?, "record_id")?;
    let wrong = text(&book.run(practice, &send)?, "record_id")?;
    book.run(practice, &["upload", "take-back", &wrong, "--yes"])?;
    book.run(practice, &["upload", "stored", &permission])?;
    book.fail(
        practice,
        &["upload", "send", "perm_aaaaaaaaaaaaaaaaaaaaaaaaaa", &sent],
    )?;
    book.run(patient, &["records"])?;
    book.run(patient, &["records", "get", &heart, "--out", &path(world, "own")])?;
    book.run(patient, &["inbox"])?;
    Ok(heart)
}

/// A folder with a text, a result that says its day, an image, and a link that is left out.
fn files(world: &World) -> Result<String> {
    let folder = world.path("sent");
    fs::create_dir_all(&folder)?;
    let result = r#"{"resourceType":"Observation","status":"final","effectiveDateTime":"2026-05-03"}"#;
    for (name, content) in [
        ("report.txt", "the report"),
        ("image.svg", "<svg/>"),
        ("result.json", result),
    ] {
        fs::write(folder.join(name), content)?;
    }
    std::os::unix::fs::symlink("report.txt", folder.join("link.txt"))?;
    Ok(folder.display().to_string())
}

fn keep(book: &mut Book, patient: &Cli, heart: &str) -> Result<()> {
    book.run(patient, &["collection", "create", "cardiology"])?;
    book.run(patient, &["collection", "move", heart, "--to", "cardiology"])?;
    book.run(patient, &["collection", "list"])?;
    Ok(())
}

fn fetched(world: &World, book: &mut Book, patient: &Cli, clinic: &Cli, id: &str) -> Result<String> {
    let ask = [
        "download",
        "request",
        "--patient",
        id,
        "--text",
        "for the consultation",
    ];
    let request = text(&book.run(clinic, &ask)?, "request_id")?;
    book.run(patient, &["inbox"])?;
    let permit = ["permit", &request, "--collection", "cardiology", "--uses", "2"];
    let permission = text(&book.run(patient, &permit)?, "permission_id")?;
    book.run(clinic, &["inbox"])?;
    let out = path(world, "fetched");
    book.run(clinic, &["download", "fetch", &permission, "--out", &out])?;
    let other = text(&clinic.run(&ask)?, "request_id")?;
    book.run(patient, &["deny", &other, "--text", "not now"])?;
    book.fail(patient, &["permit", &other, "--all"])?;
    book.run(patient, &["permissions"])?;
    Ok(permission)
}

/// A permission with conditions, taken back before anything was fetched: what it was for is sealed anew.
fn under_conditions(book: &mut Book, patient: &Cli, clinic: &Cli, id: &str) -> Result<()> {
    let ask = ["download", "request", "--patient", id, "--text", "of May"];
    let ask = [&ask[..], &["--purpose", "TREAT"]].concat();
    let request = text(&clinic.run(&ask)?, "request_id")?;
    let of_may = ["--all", "--from", "2026-05-01", "--to", "2026-05-31", "--undated"];
    let permitted = book.run(patient, &[&["permit", &request][..], &of_may].concat())?;
    let permission = text(&permitted, "permission_id")?;
    book.run(patient, &["permissions"])?;
    book.run(patient, &["revoke", &permission, "--reseal"])?;
    book.run(patient, &["note", &permission, "--text", "of June, please"])?;
    book.run(clinic, &["inbox"])?;
    Ok(())
}

fn referred(book: &mut Book, patient: &Cli, id: &str, practice: &Cli, clinic: &Cli) -> Result<()> {
    let refer = [
        "reference",
        "request",
        "--patient",
        id,
        "--to",
        "Clinic",
        "--text",
        "please see her",
    ];
    let request = text(&book.run(practice, &refer)?, "request_id")?;
    book.run(patient, &["permit", &request, "--all"])?;
    book.run(clinic, &["inbox"])?;
    book.run(practice, &["inbox"])?;
    Ok(())
}

fn proven(world: &World, book: &mut Book, patient: &Cli, clinic: &Cli, permission: &str) -> Result<()> {
    let link = world.server.link().to_string();
    let certificate = path(world, "certificate");
    book.run(patient, &["revoke", permission, "--certificate", &certificate])?;
    book.run(clinic, &["certificate", &certificate, "--server", &link])?;
    book.run(patient, &["permissions"])?;
    book.run(patient, &["history"])?;
    book.run(patient, &["history", "--verify"])?;
    let case = path(world, "case");
    book.run(
        patient,
        &["history", "--export", &case, "--permission", permission],
    )?;
    book.run(clinic, &["verify", &case, "--server", &link])?;
    let to = path(world, "trace");
    book.run(patient, &["trace", "--json", "--to", &to, "inbox", "senders"])?;
    for line in fs::read_to_string(&to)?.lines() {
        book.note(&["trace"], &serde_json::from_str(line)?)?;
    }
    Ok(())
}

const RULES: &str = r#"format = 1

[[rule]]
name = "what the clinic may read"
from = "Clinic"
kind = "download"
until = 2999-06-01
action = "permit"
records = { made-by = ["Practice"], received-within = "30d" }
terms = { expires = "2h", uses = 1 }

[[rule]]
name = "nothing else"
from = "Practice"
kind = "any"
action = "deny"
text = "I do not take part."
"#;

fn by_rules(world: &World, book: &mut Book, patient: &Cli, clinic: &Cli, id: &str) -> Result<()> {
    let rules = file(world, "rules.toml", RULES)?;
    book.run(patient, &["rules", "check", &rules])?;
    book.run(patient, &["rules", "use", &rules])?;
    book.run(patient, &["rules", "show"])?;
    let ask = ["download", "request", "--patient", id, "--text", "once more"];
    let request = text(&clinic.run(&ask)?, "request_id")?;
    book.run(patient, &["rules", "test", &request])?;
    book.run(patient, &["agent", "--once"])?;
    Ok(())
}

fn inboxes(book: &mut Book, patient: &Cli, clinic: &Cli, id: &str) -> Result<()> {
    let ask = ["download", "request", "--patient", id, "--text", "again"];
    let request = text(&clinic.run(&ask)?, "request_id")?;
    book.run(patient, &["inbox", "delete", &request])?;
    let senders = book.run(patient, &["inbox", "senders"])?;
    let sender = text(&senders["senders"][0], "id")?;
    book.run(patient, &["inbox", "block", &sender])?;
    book.run(patient, &["inbox", "senders"])?;
    book.run(patient, &["inbox", "unblock", &sender])?;
    book.run(patient, &["inbox"])?;
    Ok(())
}
