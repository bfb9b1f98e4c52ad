//! Recovery, by the real programs: from a kit's words or from trustees' shares, on a machine that has nothing; and
//! what becomes of it when somebody lies. See `protocol-spec/spec/recovery.md`.

mod malicious;
mod trustees;

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use crypto::{OperatingSystem, RecoverySecret, RecoveryWords};
use protocol_spec::defence::Defence;
use serde_json::Value;
use tests::harness::{Cli, Refused, World, kept, text, with_defences_off};
use walkdir::WalkDir;

use crate::flows::{array, hashes, upload};

/// How `recovery kit` ended.
pub(crate) struct Ended {
    success: bool,
    stdout: String,
    stderr: String,
}

/// Runs `recovery kit --pdf`; `answer` gives word number n of the words on the page, or nothing, which ends standard
/// input. Also the words as they stood on the page.
pub(crate) fn kit_with(
    patient: &Cli,
    pdf: &Path,
    answer: impl Fn(usize, &RecoveryWords) -> Option<String>,
) -> Result<(Ended, String)> {
    kit_by(patient, pdf, &[], answer)
}

/// The same with further arguments.
fn kit_by(
    patient: &Cli,
    pdf: &Path,
    more: &[&str],
    answer: impl Fn(usize, &RecoveryWords) -> Option<String>,
) -> Result<(Ended, String)> {
    let pdf_text = pdf.display().to_string();
    let mut child = patient
        .command(&[&["recovery", "kit", "--pdf", &pdf_text], more].concat())?
        .stdin(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take();
    let mut stderr = child.stderr.take().context("standard error")?;
    let (mut seen, mut byte, mut words) = (String::new(), [0], String::new());
    while stderr.read(&mut byte)? == 1 {
        seen.push(char::from(byte[0]));
        let line = seen.rsplit('\n').next().unwrap_or_default();
        let number = line
            .strip_prefix("Word ")
            .and_then(|rest| rest.strip_suffix(": "));
        let Some(number) = number.and_then(|number| number.parse().ok()) else {
            continue;
        };
        seen.push('\n');
        words = words_on(pdf)?;
        let listed = RecoverySecret::from_words(&words)?.words()?;
        match (answer(number, &listed), &mut stdin) {
            (Some(answer), Some(stdin)) => writeln!(stdin, "{answer}")?,
            _ => stdin = None,
        }
    }
    let output = child.wait_with_output()?;
    let ended = Ended {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: seen,
    };
    Ok((ended, words))
}

pub(crate) fn right(number: usize, words: &RecoveryWords) -> Option<String> {
    words.iter().nth(number - 1).map(str::to_owned)
}

/// Makes a kit and answers what is asked; its words, and what was printed.
pub(crate) fn kit(patient: &Cli, pdf: &Path) -> Result<(String, Value)> {
    made(kit_with(patient, pdf, right)?)
}

/// The same in the place of the kit with these words.
pub(crate) fn kit_before(patient: &Cli, pdf: &Path, before: &str) -> Result<(String, Value)> {
    let file = pdf.with_extension("words");
    fs::write(&file, before)?;
    let file = file.display().to_string();
    made(kit_by(patient, pdf, &["--before", &file], right)?)
}

fn made((ended, words): (Ended, String)) -> Result<(String, Value)> {
    ensure!(ended.success, "{} {}", ended.stdout, ended.stderr);
    // One of them may stand in any sentence, two in this order hardly.
    let all: Vec<&str> = words.split(' ').collect();
    let shown = |pair: &[&str]| ended.stdout.contains(&pair.join(" "));
    ensure!(!all.windows(2).any(shown), "words on standard output");
    Ok((words, serde_json::from_str(&ended.stdout)?))
}

/// The words in the page's own text: `(7. word) Tj`.
fn words_on(pdf: &Path) -> Result<String> {
    let page = fs::read(pdf)?;
    let page = String::from_utf8_lossy(&page);
    let word = |number: usize| {
        let (_, rest) = page.split_once(&format!("({number}. "))?;
        Some(rest.split_once(')')?.0.to_owned())
    };
    let words: Option<Vec<String>> = (1..=24).map(word).collect();
    Ok(words.context("a word is missing on the page")?.join(" "))
}

pub(crate) fn recover(world: &World, machine: &Cli, words: &str) -> Result<Value> {
    let link = world.server.link().to_string();
    machine.fed(words).run(&["recover", "--server", &link])
}

fn fail_to_recover(world: &World, machine: &Cli, words: &str) -> Result<Refused> {
    let link = world.server.link().to_string();
    let refused = machine.fed(words).fail(&["recover", "--server", &link])?;
    ensure!(
        !machine.home().join("principal.json").exists(),
        "something was left in the home: {refused:?}"
    );
    Ok(refused)
}

fn code(refused: &Refused) -> &str {
    refused.json["error"]["code"].as_str().unwrap_or_default()
}

/// Names and kinds of her devices.
fn devices(patient: &Cli) -> Result<Vec<(String, String)>> {
    let listed = patient.run(&["device", "list"])?;
    array(&listed, "devices")?
        .iter()
        .map(|device| Ok((text(device, "name")?, text(device, "kind")?)))
        .collect()
}

/// A patient with one record, and what is in it.
pub(crate) fn with_record(world: &World, name: &str) -> Result<(Cli, String, String)> {
    let (patient, id) = world.patient(name)?;
    let (hospital, _) = world.institution("Hospital North")?;
    let sent = world.path("sent");
    fs::create_dir_all(&sent)?;
    fs::write(sent.join("report.txt"), "HbA1c 7.4 %")?;
    let record = upload(&patient, &hospital, "Hospital North", &sent.display().to_string())?;
    patient.run(&["records"])?;
    Ok((patient, id, record))
}

/// RCV-4: the words and the link are enough. All else of the patient is gone.
#[test]
fn a_kit_restores_the_vault_on_an_empty_machine() -> Result<()> {
    let world = World::start()?;
    let (patient, id, record) = with_record(&world, "patient")?;
    let (words, made) = kit(&patient, &world.path("kit.pdf"))?;
    assert!(array(&made, "replaced")?.is_empty());
    assert!(devices(&patient)?.contains(&("recovery kit".into(), "recovery".into())));
    fs::remove_dir_all(patient.home())?;

    let machine = world.principal("machine");
    let restored = recover(&world, &machine, &words)?;
    assert_eq!(text(&restored, "patient_id")?, id);
    let names: Vec<String> = devices(&machine)?.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["first device", "recovery kit", "recovered device"]);
    assert!(machine.run(&["records"])?.to_string().contains(&record));
    let out = world.path("out").display().to_string();
    machine.run(&["records", "get", &record, "--out", &out])?;
    let found = hashes(Path::new(&out))?;
    assert!(
        found.values().eq(hashes(&world.path("sent"))?.values()),
        "{found:?}"
    );

    // She goes on: the lost device is removed, and a new kit takes the place of the one whose words were typed.
    machine.run(&["device", "remove", "first device", "--lost"])?;
    let (next, made) = kit(&machine, &world.path("next.pdf"))?;
    assert_eq!(array(&made, "replaced")?.len(), 1);
    let refused = fail_to_recover(&world, &world.principal("thief"), &words)?;
    assert_eq!(code(&refused), "unknown-recovery", "{refused:?}");
    let restored = recover(&world, &world.principal("later"), &next)?;
    assert_eq!(text(&restored, "patient_id")?, id);
    Ok(())
}

/// RCV-1: the program says which word is wrong, and neither shows words nor leaves anything behind.
#[test]
fn wrong_words_are_refused_before_anything_is_sent() -> Result<()> {
    let mut world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    let (words, _) = kit(&patient, &world.path("kit.pdf"))?;
    world.server.stop()?;
    let machine = world.principal("machine");
    let first = words.split(' ').next().context("no word")?;
    let swapped: Vec<&str> = words.split(' ').rev().collect();
    for (wrong, says) in [
        (words.replacen(first, "xyzzyx", 1), "word 1 is not in the list"),
        (words.replacen(first, "", 1), "there are 23 words"),
        (swapped.join(" "), "a word is wrong"),
    ] {
        let refused = fail_to_recover(&world, &machine, &wrong)?;
        // One in 256 reversals has a right checksum.
        if code(&refused) == "unreachable" {
            continue;
        }
        assert_eq!(code(&refused), "recovery-words", "{refused:?}");
        assert!(refused.text.contains(says), "{refused:?}");
        assert!(!refused.text.contains("xyzzyx"), "{refused:?}");
    }
    Ok(())
}

/// A kit whose words were not proven to be written down is of no use, leaves no page, and harms none before it.
#[test]
fn a_kit_that_is_broken_off_leaves_nothing() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    let (first, _) = kit(&patient, &world.path("first.pdf"))?;
    let before = patient.run(&["device", "list"])?;
    let page = world.path("kit.pdf");
    let silent = |_: usize, _: &RecoveryWords| None;
    let wrong = |number: usize, words: &RecoveryWords| right(number % 24 + 1, words).map(|word| word + "x");
    for (what, (ended, words)) in [
        ("no answer", kit_with(&patient, &page, silent)?),
        ("wrong answers", kit_with(&patient, &page, wrong)?),
    ] {
        assert!(!ended.success, "{what}");
        assert!(!page.exists(), "{what}: the page is still there");
        assert_eq!(patient.run(&["device", "list"])?, before, "{what}");
        let refused = fail_to_recover(&world, &world.principal("machine"), &words)?;
        assert_eq!(code(&refused), "unknown-recovery", "{what}: {refused:?}");
    }
    // Without a terminal and without a page there is nowhere to show the words.
    let refused = patient.fail(&["recovery", "kit"])?;
    assert_eq!(refused.exit, 2, "{refused:?}");
    patient.fed(&first).run(&["recovery", "drill"])?;
    Ok(())
}

/// A signal while it asks is no other end.
#[test]
fn a_kit_that_is_interrupted_leaves_nothing() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    let page = world.path("kit.pdf");
    let mut child = patient
        .command(&["recovery", "kit", "--pdf", &page.display().to_string()])?
        .stdin(Stdio::piped())
        .spawn()?;
    let mut stderr = child.stderr.take().context("standard error")?;
    let (mut seen, mut byte) = (String::new(), [0]);
    while !seen.ends_with(": ") && stderr.read(&mut byte)? == 1 {
        seen.push(char::from(byte[0]));
    }
    assert!(seen.contains("Word ") && page.exists(), "{seen}");
    let killed = std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status()?;
    assert!(killed.success());
    // Its standard input ends with the signal, as that of a terminal would.
    drop(child.stdin.take());
    assert!(!child.wait()?.success());
    assert!(!page.exists());
    assert_eq!(devices(&patient)?.len(), 1);
    Ok(())
}

/// RCV-11: a rehearsal finds the vault, and changes nothing but the date of the last one.
#[test]
fn a_drill_proves_the_kit_and_changes_nothing() -> Result<()> {
    let world = World::start()?;
    let (patient, id, _) = with_record(&world, "patient")?;
    let (words, made) = kit(&patient, &world.path("kit.pdf"))?;
    let state = || -> Result<Vec<Value>> {
        [
            &["device", "list"][..],
            &["records"],
            &["collection", "list"],
            &["history"],
            &["inbox"],
        ]
        .iter()
        .map(|command| patient.run(command))
        .collect()
    };
    let (said, mut files) = (state()?, hashes(patient.home())?);
    let found = patient.fed(&words).run(&["recovery", "drill"])?;
    assert_eq!(text(&found, "patient_id")?, id);
    assert_eq!(found["device_id"], made["device_id"]);
    assert!(array(&found, "collections")?.contains(&Value::from("default")));
    // The seal follows, and the time.
    for follows in ["home.seal", "clock"] {
        files.remove(follows);
    }
    let mut after = hashes(patient.home())?;
    after.retain(|name, _| files.contains_key(name));
    assert_ne!(
        after.insert("recovery.json".into(), files["recovery.json"]),
        Some(files["recovery.json"])
    );
    assert_eq!(after, files);
    assert_eq!(state()?, said);

    // It can fail: with the words of somebody else, and of nobody.
    let (other, _) = world.patient("other")?;
    let (others, _) = kit(&other, &world.path("other.pdf"))?;
    let refused = patient.fed(&others).fail(&["recovery", "drill"])?;
    assert!(refused.text.contains("another vault"), "{refused:?}");
    let nobodys = RecoverySecret::generate(&OperatingSystem)?.words()?.phrase();
    let refused = patient.fed(&nobodys).fail(&["recovery", "drill"])?;
    assert_eq!(code(&refused), "unknown-recovery", "{refused:?}");
    Ok(())
}

/// Once a day, for people alone, when a year has passed; a drill is what ends it.
#[test]
fn a_kit_that_nobody_has_tried_for_a_year_is_brought_to_mind() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    let (words, _) = kit(&patient, &world.path("kit.pdf"))?;
    // Whoever sets the time in a file by hand must not be taken for somebody else (KEY-19).
    let by_hand = [Defence::HomeSeal];
    let says = |json: bool| -> Result<bool> {
        let mut command = with_defences_off("medvault", &by_hand)?;
        command.args(["records", "--home"]).arg(patient.home());
        command
            .arg("--key-file")
            .arg(patient.home().with_extension("key"));
        command.args(json.then_some("--json"));
        let output = command.output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8_lossy(&output.stderr).contains("recovery drill"))
    };
    assert!(!says(false)?, "the kit is new");
    let file = patient.home().join("recovery.json");
    let proven: Value = serde_json::from_slice(&kept(patient.home(), "recovery.json")?)?;
    let proven = proven["proven"].as_u64().context("no time")?;
    let set_back = |days: u64| fs::write(&file, format!("{{\"proven\": {}}}", proven - days * 86_400_000));
    set_back(364)?;
    assert!(!says(false)?);
    set_back(366)?;
    assert!(!says(true)?, "a program does not want to know");
    assert!(says(false)?);
    assert!(!says(false)?, "once a day");
    set_back(366)?;
    patient
        .without(&by_hand)
        .fed(&words)
        .run(&["recovery", "drill"])?;
    assert!(!says(false)?);
    Ok(())
}

pub(crate) fn finds(folder: &Path, needles: &[Vec<u8>]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in WalkDir::new(folder) {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        let bytes = fs::read(entry.path())?;
        for (number, needle) in needles.iter().enumerate() {
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(format!("{number} in {}", entry.path().display()));
            }
        }
    }
    Ok(found)
}

/// ATK-46, ATK-49, RCV-2: neither the words, nor the secret or a seed, nor anything but public keys reaches the server's
/// files or log, or stays in a home; and the secret gives nothing that could be guessed.
#[test]
fn nothing_of_a_kit_is_kept_anywhere_but_on_paper() -> Result<()> {
    let mut world = World::start_with(&["--log", "debug"])?;
    let (patient, _) = world.patient("patient")?;
    let page = world.path("kit.pdf");
    let (words, _) = kit(&patient, &page)?;
    patient.fed(&words).run(&["recovery", "drill"])?;
    let machine = world.principal("machine");
    recover(&world, &machine, &words)?;
    world.server.stop()?;

    let secret = RecoverySecret::from_words(&words)?;
    let keys = secret.keys()?;
    let four: Vec<&str> = words.split(' ').take(4).collect();
    let hex = data_encoding::HEXLOWER.encode(secret.expose());
    let base64 = data_encoding::BASE64.encode(secret.expose());
    let needles = [
        four.join(" ").into_bytes(),
        secret.expose().to_vec(),
        keys.identity.expose_seed().to_vec(),
        keys.recipient.expose_seed().to_vec(),
        hex.into_bytes(),
        base64.as_bytes()[..40].to_vec(),
    ];
    for folder in [world.server.data(), patient.home(), machine.home()] {
        assert_eq!(finds(folder, &needles)?, Vec::<String>::new());
    }
    let log = fs::read(world.server.log())?;
    assert!(!log.is_empty());
    for needle in &needles {
        assert!(!log.windows(needle.len()).any(|window| window == needle));
    }
    // Control: what the server does keep is found, and so are the words where they are.
    let public = [keys.identity.public().as_bytes().to_vec()];
    assert!(!finds(world.server.data(), &public)?.is_empty());
    let on_page = [format!("1. {}", four[0]).into_bytes()];
    assert!(!finds(world.folder(), &on_page)?.is_empty());
    Ok(())
}
