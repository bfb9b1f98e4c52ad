//! `cargo xtask transcripts`: plays upload, download and reference once more, with little files, and keeps what travelled.
//!
//! Each command runs under `medvault trace --json --bytes`. The program is a weakened one, whose trace leaves no secret
//! out: without the salts of leaves nobody could check a place in the log. All keys are made for this run and gone after
//! it. `protocol-spec/tests/transcripts` makes the pages of it, and checks both forms at each test.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::process::{cargo, program, step, workspace_root};
use crate::{build, demo::principal::PASSPHRASE};

use super::cast::Cast;
use super::principal::{Actor, text};

/// Plays the flows and writes both forms of each transcript.
///
/// Errors: the first step that fails, or a transcript that does not hold.
pub(crate) fn run() -> Result<()> {
    build::programs()?;
    let folder = tempfile::Builder::new()
        .prefix("medvault-transcripts-")
        .tempdir()
        .context("cannot make a temporary folder")?;
    let mut cast = Cast::gather(folder.path())?;
    let played = Play::new(&cast, folder.path())?.play();
    let stopped = cast.server.stop();
    for (name, transcript) in played? {
        let path = workspace_root().join(format!("protocol-spec/spec/transcripts/{name}.json"));
        let text = serde_json::to_string_pretty(&transcript)? + "\n";
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    stopped?;
    let mut test = cargo(["test", "-p", "protocol-spec", "--test", "transcripts"]);
    step("pages and their checks", test.env("MEDVAULT_GOLDEN", "write"))
}

/// The play, with what is sent in it.
struct Play<'a> {
    cast: &'a Cast,
    folder: &'a Path,
    /// Another patient than the demo's: her first command is part of the play.
    patient: Actor,
}

impl<'a> Play<'a> {
    fn new(cast: &'a Cast, folder: &'a Path) -> Result<Self> {
        fs::write(folder.join("findings.txt"), FINDINGS)?;
        // One leaf and a bit.
        let image: Vec<u8> = (0..1_100_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        fs::write(folder.join("image.raw"), image)?;
        Ok(Self {
            cast,
            folder,
            patient: Actor::new("Patient", folder.join("anna")),
        })
    }

    fn play(&self) -> Result<[(&'static str, Value); 3]> {
        let (upload, patient, record) = self.upload()?;
        let download = self.download(&patient, &record)?;
        let reference = self.reference(&patient, &record)?;
        Ok([
            ("upload", upload),
            ("download", download),
            ("reference", reference),
        ])
    }

    /// The transcript, the patient's id, and the record that the other flows are about.
    fn upload(&self) -> Result<(Value, String, String)> {
        let (patient, north) = (&self.patient, &self.cast.north);
        let mut flow = Flow::new("Upload", self.folder);
        let link = self.cast.server.link();
        let enrolled = flow.step(patient, "opens a vault", &["patient", "enrol", "--server", link])?;
        let asked = flow.step(
            patient,
            "asks Hospital North for what it has of her",
            &[
                "upload",
                "request",
                "--to",
                north.name(),
                "--uses",
                "2",
                "--text",
                ASK_NORTH,
            ],
        )?;
        flow.step(north, "reads what is asked", &["inbox"])?;
        let permission = text(&asked, "permission_id")?;
        let sent = flow.step(
            north,
            "sends a record of one leaf, inside its commit",
            &["upload", "send", &permission, "findings.txt"],
        )?;
        flow.step(
            north,
            "sends a record of two leaves",
            &["upload", "send", &permission, "image.raw"],
        )?;
        flow.step(patient, "verifies and adopts what has come", &["records"])?;
        Ok((
            flow.transcript(),
            text(&enrolled, "patient_id")?,
            text(&sent, "record_id")?,
        ))
    }

    fn download(&self, patient: &str, record: &str) -> Result<Value> {
        let south = &self.cast.south;
        let mut flow = Flow::new("Download", self.folder);
        let asked = flow.step(
            south,
            "asks the patient for her findings",
            &["download", "request", "--patient", patient, "--text", ASK_PATIENT],
        )?;
        self.permit_and_fetch(&mut flow, &text(&asked, "request_id")?, record, "received")?;
        Ok(flow.transcript())
    }

    fn reference(&self, patient: &str, record: &str) -> Result<Value> {
        let (north, south) = (&self.cast.north, &self.cast.south);
        let mut flow = Flow::new("Reference", self.folder);
        let asked = flow.step(
            north,
            "refers the patient to Hospital South",
            &[
                "reference",
                "request",
                "--patient",
                patient,
                "--to",
                south.name(),
                "--text",
                REFER,
            ],
        )?;
        self.permit_and_fetch(&mut flow, &text(&asked, "request_id")?, record, "referred")?;
        Ok(flow.transcript())
    }

    fn permit_and_fetch(&self, flow: &mut Flow<'_>, request: &str, record: &str, out: &str) -> Result<()> {
        let south = &self.cast.south;
        flow.step(&self.patient, "reads what is asked", &["inbox"])?;
        let permitted = flow.step(
            &self.patient,
            "permits it for this record, once",
            &["permit", request, "--record", record],
        )?;
        flow.step(south, "finds the permission", &["inbox"])?;
        let permission = text(&permitted, "permission_id")?;
        flow.step(
            south,
            "presents the permission key, receives, opens",
            &["download", "fetch", &permission, "--out", out],
        )?;
        Ok(())
    }
}

/// A transcript that is being made.
struct Flow<'a> {
    title: &'static str,
    folder: &'a Path,
    steps: Vec<Value>,
}

impl<'a> Flow<'a> {
    fn new(title: &'static str, folder: &'a Path) -> Self {
        Self {
            title,
            folder,
            steps: Vec::new(),
        }
    }

    fn transcript(self) -> Value {
        json!({ "title": self.title, "steps": self.steps })
    }

    /// Runs one command, and keeps what it has sent and got.
    fn step(&mut self, by: &Actor, does: &str, command: &[&str]) -> Result<Value> {
        let trace = self.folder.join("trace.jsonl");
        let mut run = Command::new(program("weakened")?.join("medvault"));
        let arguments = ["trace", "--json", "--bytes", "--to"].map(OsString::from);
        run.args(arguments).arg(&trace).args(command).arg("--json");
        run.current_dir(self.folder)
            .env("MEDVAULT_HOME", by.home())
            .env("MEDVAULT_PASSPHRASE", PASSPHRASE)
            .env("MEDVAULT_SECRETS_IN_ARGUMENTS", "yes")
            .env("MEDVAULT_DEFENCES_OFF", "trace-redaction");
        let output = run.output().context("cannot start medvault")?;
        ensure!(
            output.status.success(),
            "{}: {command:?}: {}{}",
            by.name(),
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout)
        );
        let lines = fs::read_to_string(&trace)?;
        fs::remove_file(&trace)?;
        self.steps.push(json!({
            "by": by.name(),
            "command": format!("medvault {}", command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")),
            "does": does,
            "exchanges": exchanges(&lines)?,
        }));
        println!("  {} {does}", by.name());
        serde_json::from_slice(&output.stdout).context("it printed no JSON object")
    }
}

/// The requests of a trace, each with its answer.
fn exchanges(trace: &str) -> Result<Vec<Value>> {
    let mut found: Vec<(u64, Value)> = Vec::new();
    for line in trace.lines() {
        let line: Value = serde_json::from_str(line)?;
        let number = line["number"].as_u64().unwrap_or_default();
        let kind = line["step"].as_str().unwrap_or_default();
        if kind == "request" {
            let request = json!({
                "method": line["method"],
                "path": line["path"],
                "fields": line["fields"],
                "body": payload(&line),
            });
            found.push((number, request));
            continue;
        }
        let of = found.iter_mut().find(|(other, _)| *other == number);
        let (_, exchange) = of.with_context(|| format!("an answer to no request: {line}"))?;
        match kind {
            "answer" => {
                exchange["answer"] = json!({
                    "status": line["status"],
                    "fields": line["fields"],
                    "body": payload(&line),
                });
            }
            "end" => exchange["answer"]["body"] = payload(&line),
            other => anyhow::bail!("a {other} is no part of a transcript: {line}"),
        }
    }
    Ok(found.into_iter().map(|(_, exchange)| exchange).collect())
}

/// Length, and bytes or hash.
fn payload(line: &Value) -> Value {
    let mut kept = Map::new();
    kept.insert(
        "bytes".to_owned(),
        line["bytes"].as_u64().unwrap_or_default().into(),
    );
    for name in ["base64", "sha256"] {
        if let Some(value) = line.get(name) {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    kept.into()
}

fn quoted(word: &str) -> String {
    if word.contains(' ') {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

const FINDINGS: &str = "HbA1c 7.4 %\n";
const ASK_NORTH: &str = "Please send my laboratory findings";
const ASK_PATIENT: &str = "May we see your laboratory findings?";
const REFER: &str = "Hospital South should see these findings";
