//! Files that come from a pipe and go to one: `-` in place of a path.

use std::{
    fs::{self, File},
    io::Write,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use tests::harness::{Cli, World, program, text};

use crate::flows::array;

/// A patient with a hospital.
struct Scene {
    world: World,
    patient: Cli,
    patient_id: String,
    north: Cli,
}

impl Scene {
    fn set() -> Result<Self> {
        let world = World::start()?;
        let (patient, patient_id) = world.patient("patient")?;
        let (north, _) = world.institution("Hospital North")?;
        Ok(Self {
            world,
            patient,
            patient_id,
            north,
        })
    }

    fn offer(&self) -> Result<String> {
        let offer = self
            .patient
            .run(&["upload", "request", "--to", "Hospital North", "--text", "study"])?;
        text(&offer, "permission_id")
    }

    /// A permission to read a record once.
    fn readable(&self, record: &str) -> Result<String> {
        let patient = &self.patient_id;
        let asked = self
            .north
            .run(&["download", "request", "--patient", patient, "--text", "t"])?;
        let request = text(&asked, "request_id")?;
        let permitted = self
            .patient
            .run(&["permit", &request, "--record", record, "--uses", "1"])?;
        text(&permitted, "permission_id")
    }

    fn uses_left(&self, permission: &str) -> Result<u64> {
        let list = self.patient.run(&["permissions"])?;
        let found = array(&list, "permissions")?
            .iter()
            .find(|one| one["permission_id"] == permission);
        found.context("no such permission")?["uses_left"]
            .as_u64()
            .context("uses_left")
    }
}

/// Without `--json`, as somebody writes it in a shell.
fn plain(by: &Cli, args: &[&str]) -> Result<Command> {
    let mut command = Command::new(program("medvault")?);
    command
        .args(args)
        .arg("--home")
        .arg(by.home())
        .arg("--key-file")
        .arg(by.home().with_extension("key"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

fn fed(by: &Cli, args: &[&str], input: &[u8]) -> Result<Output> {
    let mut child = plain(by, args)?.stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("standard input")?;
    // A command that fails before it reads closes its end.
    drop(stdin.write_all(input));
    drop(stdin);
    Ok(child.wait_with_output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn piped_is_empty(by: &Cli) -> bool {
    fs::read_dir(by.home().join("piped")).map_or(true, |mut entries| entries.next().is_none())
}

/// What goes in at one end comes out at the other, bit for bit, and lies nowhere afterwards.
#[test]
fn a_file_goes_through_pipes() -> Result<()> {
    let scene = Scene::set()?;
    let content: Vec<u8> = (0..3_000_000_u32)
        .map(|i| (i * 31 % 251).to_le_bytes()[0])
        .collect();
    let permission = scene.offer()?;
    let send = ["upload", "send", &permission, "-", "--name", "export.bin"];
    let sent = fed(&scene.north, &send, &content)?;
    ensure!(sent.status.success(), "{}", said(&sent));
    assert!(piped_is_empty(&scene.north));
    let records = scene.patient.run(&["records"])?;
    let record = &array(&records, "records")?[0];
    assert_eq!(record["parts"][0]["name"], "export.bin", "{record}");
    let id = text(record, "record_id")?;

    let got = plain(&scene.patient, &["records", "get", &id, "--out", "-"])?.output()?;
    ensure!(got.status.success(), "{}", said(&got));
    assert!(got.stdout == content && piped_is_empty(&scene.patient));

    let reading = scene.readable(&id)?;
    let fetched = plain(&scene.north, &["download", "fetch", &reading, "--out", "-"])?.output()?;
    ensure!(fetched.status.success(), "{}", said(&fetched));
    assert!(fetched.stdout == content && piped_is_empty(&scene.north));
    assert_eq!(scene.uses_left(&reading)?, 0);
    Ok(())
}

/// An answer that could not be written is there for the next run, at no cost.
#[test]
fn a_pipe_that_breaks_costs_nothing() -> Result<()> {
    let scene = Scene::set()?;
    let sent = fed(
        &scene.north,
        &["upload", "send", &scene.offer()?, "-", "--name", "a.txt"],
        b"finding",
    )?;
    ensure!(sent.status.success(), "{}", said(&sent));
    let records = scene.patient.run(&["records"])?;
    let reading = scene.readable(&text(&array(&records, "records")?[0], "record_id")?)?;
    let fetch = ["download", "fetch", &reading, "--out", "-"];
    let full = File::options().write(true).open("/dev/full")?;
    let broken = plain(&scene.north, &fetch)?.stdout(full).output()?;
    assert_eq!(broken.status.code(), Some(1), "{}", said(&broken));
    let again = plain(&scene.north, &fetch)?.output()?;
    assert_eq!(again.stdout, b"finding", "{}", said(&again));
    assert!(piped_is_empty(&scene.north));
    // It was told: from now on it is another use.
    let spent = plain(&scene.north, &fetch)?.output()?;
    assert!(said(&spent).contains("all uses"), "{}", said(&spent));
    Ok(())
}

/// More files than one are not mixed; it is said before anything is received, and the same permission gives them into a folder.
#[test]
fn what_cannot_go_through_a_pipe_is_said_at_no_cost() -> Result<()> {
    let scene = Scene::set()?;
    let folder = scene.world.path("study");
    fs::create_dir(&folder)?;
    fs::write(folder.join("a"), "one")?;
    fs::write(folder.join("b"), "two")?;
    let permission = scene.offer()?;
    for (args, what) in [
        (&["-"][..], "--name"),
        (&["-", "--name", "x/y"], "without folders"),
        (&["-", "--name", ".."], "without folders"),
        (&["-", "-", "--name", "x"], "once"),
        (&["file", "--name", "x"], "standard input"),
        (&["-", "--name=-rf"], "rename it"),
    ] {
        let args = [&["upload", "send", &permission], args].concat();
        let refused = fed(&scene.north, &args, b"text")?;
        let text = said(&refused);
        assert!(!refused.status.success() && text.contains(what), "{text}");
    }
    assert!(piped_is_empty(&scene.north));
    let path = folder.display().to_string();
    let sent = scene.north.run(&["upload", "send", &permission, &path])?;
    let id = text(&sent, "record_id")?;

    let got = plain(&scene.patient, &["records", "get", &id, "--out", "-"])?.output()?;
    assert!(
        got.stdout.is_empty() && said(&got).contains("2 files"),
        "{}",
        said(&got)
    );
    let reading = scene.readable(&id)?;
    let fetched = plain(&scene.north, &["download", "fetch", &reading, "--out", "-"])?.output()?;
    assert!(fetched.stdout.is_empty() && said(&fetched).contains("2 files"));
    let in_json = scene.north.fail(&["download", "fetch", &reading, "--out", "-"])?;
    assert_eq!(in_json.json["error"]["code"], "usage", "{in_json:?}");
    assert_eq!(scene.uses_left(&reading)?, 1);
    let out = scene.world.path("out").display().to_string();
    scene.north.run(&["download", "fetch", &reading, "--out", &out])?;
    assert_eq!(scene.uses_left(&reading)?, 0);
    Ok(())
}
