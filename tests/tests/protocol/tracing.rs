//! `medvault trace`: what it shows of a command, and what it must not (LKG-3).

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use data_encoding::{BASE64, HEXLOWER};
use protocol_spec::defence::Defence;
use serde_json::Value;
use tests::{
    attack::play,
    harness::{Cli, World, kept, private_folder, text},
};
use walkdir::WalkDir;

use super::flows::array;

/// A command under trace: what it printed, and the trace's lines.
fn traced(world: &World, by: &Cli, command: &[&str]) -> Result<(Value, Vec<Value>)> {
    let number = fs::read_dir(world.folder())?.count();
    let to = world.path(&format!("trace-{number}")).display().to_string();
    let answer = by.run(&[&["trace", "--json", "--bytes", "--to", &to], command].concat())?;
    let lines = fs::read_to_string(&to)?;
    let lines: Vec<Value> = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(!lines.is_empty(), "{command:?} shows nothing");
    Ok((answer, lines))
}

/// A patient whose record a hospital may fetch: the permission's id.
fn permitted(world: &World, patient: &Cli, id: &str, hospital: &Cli) -> Result<String> {
    let file = world.path("result.txt");
    fs::write(&file, "HbA1c 7.4 %".repeat(200_000))?;
    super::flows::upload(patient, hospital, "Hospital North", &file.display().to_string())?;
    patient.run(&["records"])?;
    let asked = hospital.run(&["download", "request", "--patient", id, "--text", "please"])?;
    let permitted = patient.run(&["permit", &text(&asked, "request_id")?, "--all"])?;
    text(&permitted, "permission_id")
}

#[test]
fn a_download_is_shown_request_by_request() -> Result<()> {
    let world = World::start()?;
    let (patient, id) = world.patient("patient")?;
    let (hospital, _) = world.institution("Hospital North")?;
    let permission = permitted(&world, &patient, &id, &hospital)?;
    let out = world.path("received").display().to_string();
    let fetch = ["download", "fetch", &permission, "--out", &out];
    let (answer, lines) = traced(&world, &hospital, &fetch)?;
    array(&answer, "records")?;

    // Each request has its end, later.
    for (at, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line["step"] == "request")
    {
        let rest = &lines[at + 1..];
        let ended = |other: &Value| other["number"] == line["number"] && other["step"] == "answer";
        ensure!(rest.iter().any(ended), "{line} has no answer");
        ensure!(
            line["fields"]["signature-input"].is_string() || line["path"] == "/v1/server",
            "{line}"
        );
    }
    let place = |step: &str, message: &str| {
        let found = lines
            .iter()
            .position(|line| line["step"] == step && line["message"] == message);
        found.with_context(|| format!("no {step} {message}"))
    };
    let delivered = place("answer", "Delivery")?;
    let presented = place("request", "Presentation")?;
    let answered = place("answer", "PresentationAnswer")?;
    assert!(delivered < presented && presented < answered);
    let permission_body = &lines[delivered]["content"]["permission"]["body"];
    assert_eq!(permission_body["type"], "PermissionBody");
    assert_eq!(permission_body["means"]["kind"], "PERMISSION_KIND_DOWNLOAD");
    let ticket = &lines[answered]["content"]["release"]["ticket"]["body"];
    assert_eq!(ticket["type"], "ReleaseTicketBody");
    assert!(lines[answered]["millis"].is_u64() && lines[answered]["bytes"].is_u64());
    // Leaves are counted, and nothing of them is shown.
    let end = lines
        .iter()
        .find(|line| line["step"] == "end")
        .context("no leaves")?;
    assert!(end["bytes"].as_u64() > Some(2_000_000), "{end}");
    let closed = &lines[place("answer", "Receipt")?]["content"]["statement"]["body"];
    assert_eq!(closed["type"], "ReleaseReceiptBody");
    Ok(())
}

#[test]
fn refusals_and_people_are_shown_too() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    let nobody = "perm_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let output = patient.command(&["trace", "revoke", nobody])?.output()?;
    let shown = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(serde_json::from_slice::<Value>(&output.stdout)?["error"].is_object());
    assert!(shown.contains("--> 1  GET /v1/"), "{shown}");
    assert!(shown.contains("<-- 1  200, "), "{shown}");
    assert!(!shown.contains("base64"), "{shown}");

    for (command, said) in [
        (vec!["trace", "trace", "records"], "cannot be traced"),
        (
            vec!["trace", "--to", "/nonexistent/trace", "records"],
            "check the path",
        ),
    ] {
        let output = patient.command(&command)?.output()?;
        let shown = String::from_utf8(output.stderr)?;
        assert!(!output.status.success() && shown.contains(said), "{shown}");
    }
    let usage = patient.command(&["trace", "recordz"])?.output()?;
    assert_eq!(usage.status.code(), Some(2));

    let (hospital, _) = world.institution("Hospital North")?;
    let output = hospital
        .command(&["trace", "download", "fetch", nobody, "--out", "nowhere"])?
        .output()?;
    let shown = String::from_utf8(output.stderr)?;
    assert!(shown.contains(", 403, ") || shown.contains("  403, "), "{shown}");
    assert!(shown.contains("urn:medvault:problem:not-permitted"), "{shown}");
    Ok(())
}

#[test]
fn events_are_shown_as_they_come() -> Result<()> {
    let world = World::start()?;
    let (patient, id) = world.patient("patient")?;
    let (hospital, _) = world.institution("Hospital North")?;
    let to = world.path("trace").display().to_string();
    let waiting = patient.spawn(&["trace", "--json", "--to", &to, "inbox", "--wait", "60"])?;
    let begun = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(25));
        fs::read_to_string(&to).is_ok_and(|trace| trace.contains("/v1/inbox/stream"))
    });
    ensure!(begun, "no stream");
    hospital.run(&["download", "request", "--patient", &id, "--text", "please"])?;
    ensure!(waiting.wait_with_output()?.status.success());
    let lines = fs::read_to_string(&to)?;
    let lines: Vec<Value> = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let event = lines
        .iter()
        .find(|line| line["step"] == "event")
        .context("no event")?;
    let body = &event["content"]["downloadRequested"]["body"];
    assert_eq!(body["type"], "DownloadRequestBody", "{event}");
    Ok(())
}

/// What a program without the redaction shows in this field of a traced command.
fn learn(lines: &[Value], message: &str, field: &str) -> Result<Vec<u8>> {
    let of_message = lines.iter().filter(|line| line["message"] == message);
    let found = of_message
        .filter_map(|line| line["content"][field].as_str())
        .next();
    let found = found.with_context(|| format!("no {message}.{field}"))?;
    let bytes = BASE64
        .decode(found.as_bytes())
        .with_context(|| format!("{message}.{field}: {found}"))?;
    ensure!(bytes.len() == 32, "{message}.{field}");
    Ok(bytes)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let path = to.join(entry.path().strip_prefix(from)?);
        match entry.file_type().is_dir() {
            true => private_folder(&path)?,
            false => drop(fs::copy(entry.path(), path)?),
        }
    }
    fs::copy(from.with_extension("key"), to.with_extension("key"))?;
    Ok(())
}

/// LKG-3: real commands under trace, then a search of all of it for the secrets that are known.
#[test]
fn no_secret_is_shown() -> Result<()> {
    play(&[Defence::TraceRedaction], |off| {
        let open = [Defence::TraceRedaction];
        let world = World::start()?;
        let (mut trace, mut secrets) = (Vec::new(), Vec::new());
        let link = world.server.link().to_string();

        // The same enrolment twice, the second time by one who shows what it holds: refused, but sent.
        let anna = world.principal("anna");
        let accreditation = world.accredit(&anna, "Hospital North")?;
        let twin = world.principal("twin");
        copy(anna.home(), twin.home())?;
        let enrol = [
            "institution",
            "enrol",
            "--server",
            &link,
            "--accreditation",
            &accreditation,
        ];
        let anna = anna.without(off);
        trace.extend(traced(&world, &anna, &enrol)?.1);
        let to = world.path("twin.trace").display().to_string();
        let twice = [&["trace", "--json", "--to", &to], &enrol[..]].concat();
        twin.without(&open).fail(&twice)?;
        let lines = fs::read_to_string(&to)?;
        let lines: Vec<Value> = lines
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        secrets.push(learn(&lines, "EnrolInstitution", "secret")?);

        let patient = world.principal("patient").without(off);
        let (answer, lines) = traced(&world, &patient, &["patient", "enrol", "--server", &link])?;
        trace.extend(lines);
        let id = text(&answer, "patient_id")?;
        let file = world.path("file.txt");
        fs::write(&file, "canary-plaintext-Q9".repeat(100))?;
        let file = file.display().to_string();
        let ask = [
            "upload",
            "request",
            "--to",
            "Hospital North",
            "--text",
            "canary-request-Q9",
        ];
        let (answer, lines) = traced(&world, &patient, &ask)?;
        trace.extend(lines);
        let send = ["upload", "send", &text(&answer, "permission_id")?, &file];
        trace.extend(traced(&world, &anna, &send)?.1);
        trace.extend(traced(&world, &patient, &["records"])?.1);
        let ask = [
            "download",
            "request",
            "--patient",
            &id,
            "--text",
            "canary-request-Q9",
        ];
        let (answer, lines) = traced(&world, &anna, &ask)?;
        trace.extend(lines);
        let permit = ["permit", &text(&answer, "request_id")?, "--all"];
        let (answer, lines) = traced(&world, &patient, &permit)?;
        trace.extend(lines);
        let out = world.path("received").display().to_string();
        let fetch = [
            "download",
            "fetch",
            &text(&answer, "permission_id")?,
            "--out",
            &out,
        ];
        trace.extend(traced(&world, &anna, &fetch)?.1);

        secrets.push(kept(patient.home(), "log.salt")?);
        trace.extend(traced(&world, &patient, &["history", "--verify"])?.1);
        patient.run(&["collection", "create", "emergency"])?;
        let card = world.path("card.pdf").display().to_string();
        trace.extend(traced(&world, &patient, &["emergency", "card", "--pdf", &card])?.1);

        for home in [anna.home(), patient.home()] {
            secrets.push(fs::read(home.with_extension("key"))?);
        }
        secrets.push(b"canary-plaintext-Q9".to_vec());
        secrets.push(b"canary-request-Q9".to_vec());
        let messages = [
            "EnrolInstitution",
            "EnrolPatient",
            "PutEmergency",
            "PresentationAnswer",
            "LogSalt",
        ];
        for message in messages {
            ensure!(
                trace.iter().any(|line| line["message"] == message),
                "no {message}"
            );
        }
        let shown = trace.iter().map(Value::to_string).collect::<String>();
        // The half of the card that the server keeps.
        let half = trace.iter().find_map(|line| line["content"]["share"].as_str());
        let half = half.context("no half")?;
        let bodies = trace.iter().filter_map(|line| line["base64"].as_str());
        let bodies: Vec<_> = bodies
            .map(|body| BASE64.decode(body.as_bytes()))
            .collect::<Result<_, _>>()?;
        ensure!(bodies.len() > 20, "bodies are not shown");
        let plain = |secret: &Vec<u8>| {
            let forms = [
                BASE64.encode(secret),
                HEXLOWER.encode(secret),
                String::from_utf8_lossy(secret).into_owned(),
            ];
            forms.iter().any(|form| shown.contains(form.as_str()))
                || bodies
                    .iter()
                    .any(|body| body.windows(secret.len()).any(|part| part == secret.as_slice()))
        };
        Ok(secrets.iter().any(plain) || !half.starts_with("(secret"))
    })
}
