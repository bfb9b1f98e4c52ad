//! Names that deceive: of institutions, to those who decide by them (ATK-72), and of files, to those who receive them
//! (ATK-73).

use std::fs;

use anyhow::{Context, Result, ensure};
use protocol_spec::defence::Defence;
use tests::{
    attack::play,
    harness::{Cli, World, text},
};

use crate::flows::{array, download};

/// An institution that wants to be known by this name: how far it comes.
struct Applicant {
    cli: Cli,
    accreditation: String,
}

impl Applicant {
    fn request(world: &World, home: &str, name: &str, off: &[Defence]) -> Result<(Self, String)> {
        let cli = world.principal(home).without(off);
        let request = world.path(&format!("{home}.request")).display().to_string();
        let accreditation = world.path(&format!("{home}.accreditation")).display().to_string();
        cli.run(&["institution", "request", "--name", name, "--out", &request])?;
        Ok((Self { cli, accreditation }, request))
    }

    fn enrol(&self, world: &World) -> Result<String> {
        let link = world.server.link().to_string();
        let (server, file) = (["--server", &link], ["--accreditation", &self.accreditation]);
        let enrolled = self
            .cli
            .run(&[&["institution", "enrol"], &server[..], &file].concat())?;
        text(&enrolled, "institution_id")
    }
}

/// STM-8, ATK-72: beside "St. Anna" somebody asks to be accredited under names that look the same. With the attacker's own
/// programs, which make any name; where nobody else asks either, all of them stand in the directory as "St. Anna" does.
#[test]
fn names_with_what_cannot_be_seen_are_not_accredited() -> Result<()> {
    let false_names = [
        "St.\u{200b} Anna",
        "St.\u{a0}Anna",
        "St. \u{410}nna",
        "St. An\u{34f}na",
    ];
    let off = [Defence::NameProfile, Defence::LookAlikes];
    play(&off, |without| {
        let world = World::start_without(without)?;
        world.institution("St. Anna")?;
        let registrar = world.registrar.without(without);
        let mut enrolled = 0;
        for (number, name) in false_names.into_iter().enumerate() {
            let (applicant, request) = Applicant::request(&world, &format!("false-{number}"), name, &off)?;
            let arguments = [
                "registrar",
                "accredit",
                &request,
                "--out",
                &applicant.accreditation,
            ];
            if !without.is_empty() {
                registrar.run(&arguments)?;
                applicant.enrol(&world)?;
                enrolled += 1;
                continue;
            }
            let refused = registrar.fail(&arguments)?;
            ensure!(refused.text.contains("not a name"), "{refused:?}");
        }
        let (patient, _) = world.patient("patient")?;
        let directory = patient.without(without).run(&["directory"])?;
        ensure!(
            array(&directory, "institutions")?.len() == 1 + enrolled,
            "{directory}"
        );
        Ok(enrolled == false_names.len())
    })
}

/// INS-17, ATK-72: a name that is one, and looks like another. The registrar is told; where it wants both, both are marked, and
/// the name alone leads to neither.
#[test]
fn a_name_that_looks_like_another_leads_nobody_astray() -> Result<()> {
    play(&[Defence::LookAlikes], |without| {
        let world = World::start()?;
        let (_, true_id) = world.institution("Illinois Clinic")?;
        let (applicant, request) = Applicant::request(&world, "false", "lllinois Clinic", &[])?;
        let registrar = world.registrar.without(without);
        let accredit = [
            "registrar",
            "accredit",
            &request,
            "--out",
            &applicant.accreditation,
        ];
        if without.is_empty() {
            let refused = registrar.fail(&accredit)?;
            ensure!(
                refused.json["error"]["code"] == "look-alike" && refused.text.contains(&true_id),
                "{refused:?}"
            );
            let although = registrar.run(&[&accredit[..], &["--although-alike"]].concat())?;
            ensure!(
                array(&although, "looks_like")?[0] == true_id.as_str(),
                "{although}"
            );
        } else {
            registrar.run(&accredit)?;
        }
        let false_id = applicant.enrol(&world)?;

        let patient = world.patient("patient")?.0.without(without);
        let directory = patient.run(&["directory"])?;
        let marked: Vec<_> = array(&directory, "institutions")?
            .iter()
            .filter(|entry| entry.get("looks_like").is_some())
            .map(|entry| text(entry, "institution_id"))
            .collect::<Result<_>>()?;
        let by_name = [
            "upload",
            "request",
            "--to",
            "lllinois Clinic",
            "--text",
            "my results",
        ];
        if without.is_empty() {
            ensure!(marked.len() == 2 && marked.contains(&false_id), "{directory}");
            let refused = patient.fail(&by_name)?;
            ensure!(
                refused.json["error"]["code"] == "ambiguous-institution" && refused.text.contains(&true_id),
                "{refused:?}"
            );
            let by_id = ["upload", "request", "--to", &true_id, "--text", "my results"];
            patient.run(&by_id)?;
            let listed = world.registrar.run(&["registrar", "list"])?;
            ensure!(array(&listed, "accredited")?.len() == 2, "{listed}");
            return Ok(false);
        }
        patient.run(&by_name)?;
        Ok(marked.is_empty())
    })
}

/// What a sender calls its files, and what no folder may have in it after they were received.
const DECEIVING: [&str; 7] = [
    "report\u{202e}fdp.exe",
    "-rf",
    ".bashrc",
    "CON",
    "x ",
    "y.",
    "a.txt",
];

fn deceiving_files(world: &World) -> Result<String> {
    let folder = world.path("sent");
    fs::create_dir_all(&folder)?;
    for name in DECEIVING.into_iter().chain(["A.txt"]) {
        fs::write(folder.join(name), name)?;
    }
    Ok(folder.display().to_string())
}

fn asked_to_send(patient: &Cli) -> Result<String> {
    let asked = patient.run(&[
        "upload",
        "request",
        "--to",
        "Clinic",
        "--text",
        "everything",
        "--uses",
        "2",
    ])?;
    text(&asked, "permission_id")
}

/// CNT-17, ATK-73: files under names that deceive whoever receives them are not sent.
#[test]
fn files_with_deceiving_names_are_not_sent() -> Result<()> {
    play(&[Defence::FileNames], |without| {
        let world = World::start()?;
        let (patient, _) = world.patient("patient")?;
        let (clinic, _) = world.institution("Clinic")?;
        let (permission, files) = (asked_to_send(&patient)?, deceiving_files(&world)?);
        let send = ["upload", "send", &permission, &files];
        if without.is_empty() {
            let refused = clinic.fail(&send)?;
            ensure!(refused.text.contains("rename it"), "{refused:?}");
        } else {
            clinic.without(without).run(&send)?;
        }
        let records = patient.run(&["records"])?;
        Ok(!array(&records, "records")?.is_empty())
    })
}

/// CNT-18, ATK-73: whoever has been sent them all the same, by an older or another program, has every file, under names that
/// deceive nobody, and is told.
#[test]
fn files_with_deceiving_names_are_received_under_safe_ones() -> Result<()> {
    play(&[Defence::FileNames], |without| {
        let world = World::start()?;
        let (patient, patient_id) = world.patient("patient")?;
        let (clinic, _) = world.institution("Clinic")?;
        let (permission, files) = (asked_to_send(&patient)?, deceiving_files(&world)?);
        let sent = clinic
            .without(&[Defence::FileNames])
            .run(&["upload", "send", &permission, &files])?;
        let record = text(&sent, "record_id")?;
        patient.run(&["records"])?;

        let (own, fetched) = (world.path("own"), world.path("fetched"));
        let out = own.display().to_string();
        let got = patient
            .without(without)
            .run(&["records", "get", &record, "--out", &out])?;
        let reader = clinic.without(without);
        download(
            &patient,
            &patient_id,
            &reader,
            &record,
            &fetched.display().to_string(),
        )?;
        let mut deceived = 0;
        for folder in [own, fetched].map(|out| out.join(&record).join("sent")) {
            let names: Vec<String> = fs::read_dir(&folder)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<Result<_>>()?;
            ensure!(names.len() == DECEIVING.len() + 1, "a file is missing: {names:?}");
            deceived += names
                .iter()
                .filter(|name| DECEIVING.contains(&name.as_str()))
                .count();
        }
        if without.is_empty() {
            let told = array(&got, "parts")?
                .iter()
                .find(|part| part["name"] == "sent/.bashrc");
            ensure!(told.context("no such part")?["file"] == "sent/_bashrc", "{got}");
        }
        Ok(deceived == 2 * DECEIVING.len())
    })
}
