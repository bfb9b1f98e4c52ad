//! What files are, of which day, and that none is left out or changed without a word: by the real programs.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{
    demo_data::{self, Options},
    harness::{Cli, World, text},
};

use crate::flows::{array, download, hashes};

#[cfg(target_os = "linux")]
mod stick;

/// A patient who has asked a hospital for two records.
struct Scene {
    world: World,
    patient: Cli,
    patient_id: String,
    hospital: Cli,
    permission: String,
}

impl Scene {
    fn set() -> Result<Self> {
        let world = World::start()?;
        let (patient, patient_id) = world.patient("patient")?;
        let (hospital, _) = world.institution("St. Anna")?;
        let offer = [
            "upload", "request", "--to", "St. Anna", "--text", "t", "--uses", "9",
        ];
        let permission = text(&patient.run(&offer)?, "permission_id")?;
        Ok(Self {
            world,
            patient,
            patient_id,
            hospital,
            permission,
        })
    }

    /// A folder `study`.
    fn study(&self) -> Result<PathBuf> {
        let folder = self.world.path("study");
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A CT image, of one of the days on which scanners of the demonstration work.
    fn image(&self) -> Result<Vec<u8>> {
        let folder = self.world.path("made");
        let made = demo_data::write(&folder, Options { slices: 1, seed: 7 })?;
        let image = fs::read_dir(made.ct)?.next().context("no image")??;
        Ok(fs::read(image.path())?)
    }

    fn send(&self, path: &Path, more: &[&str]) -> Result<Value> {
        let path = path.display().to_string();
        let sent = self
            .hospital
            .run(&[&["upload", "send", &self.permission, &path], more].concat())?;
        if sent["record_id"].is_string() {
            self.patient.run(&["records"])?;
        }
        Ok(sent)
    }

    fn request(&self) -> Result<String> {
        let ask = [
            "download",
            "request",
            "--patient",
            &self.patient_id,
            "--text",
            "t",
        ];
        text(&self.hospital.run(&ask)?, "request_id")
    }

    /// What a permission with these conditions covers.
    fn permit(&self, conditions: &[&str]) -> Result<Value> {
        let request = self.request()?;
        self.patient
            .run(&[&["permit", &request, "--all"], conditions].concat())
    }
}

/// A field of each thing in a list, by another one.
fn by<'a>(list: &'a Value, field: &str, key: &str, value: &str) -> Result<BTreeMap<&'a str, &'a str>> {
    let pair = |one: &'a Value| Some((one[key].as_str()?, one[value].as_str().unwrap_or_default()));
    array(list, field)?
        .iter()
        .map(|one| pair(one).context("no such field"))
        .collect()
}

/// CNT-20: the twelve spellings of one image that were tried, of which three were known; and a private sequence of VR UN whose items are
/// implicit, for which the whole file was refused.
#[test]
fn an_image_is_one_of_its_study_under_any_name() -> Result<()> {
    const NAMES: [&str; 12] = [
        "IM1",
        "IM2.dcm",
        "IM3.DCM",
        "1.2.276.0.7230010.3.1.4.1",
        "MR.1.2.840.113619.2.1",
        "CT0001.IMA",
        "IM4.dicom",
        "IM-0001-0001",
        "I0000001.img",
        "image.dc3",
        "slice.tmp",
        "scan.001",
    ];
    let scene = Scene::set()?;
    let (study, image) = (scene.study()?, scene.image()?);
    for name in NAMES {
        fs::write(study.join(name), &image)?;
    }
    fs::write(study.join("private"), with_an_unknown_sequence())?;
    let sent = scene.send(&study, &[])?;
    let types = by(&sent, "files", "name", "media_type")?;
    ensure!(
        types.len() == 13 && types.values().all(|one| *one == "application/dicom"),
        "{sent}"
    );
    let studies = by(&sent, "files", "name", "dicom_study_uid")?;
    let known = studies["study/IM1"];
    ensure!(
        studies["study/private"] == "2.25.2" && !known.is_empty(),
        "{sent}"
    );
    let dates = by(&sent, "files", "name", "date")?;
    for name in NAMES {
        let name = format!("study/{name}");
        ensure!(
            studies[name.as_str()] == known && !dates[name.as_str()].is_empty(),
            "{name}: {sent}"
        );
    }
    let permitted = scene.permit(&["--type", "application/dicom", "--from", "1950-01-01"])?;
    ensure!(permitted["covered"] == 1, "{permitted}");
    Ok(())
}

/// Explicit little endian: a date, a private sequence as PS3.5 §6.2.2 has it, study and series.
fn with_an_unknown_sequence() -> Vec<u8> {
    let element = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap_or_default().to_le_bytes();
        [
            &group.to_le_bytes()[..],
            &element.to_le_bytes(),
            vr,
            &length,
            value,
        ]
        .concat()
    };
    let marker = |group: u16, element: u16, length: u32| {
        [
            &group.to_le_bytes()[..],
            &element.to_le_bytes(),
            &length.to_le_bytes(),
        ]
        .concat()
    };
    [
        vec![0; 128],
        b"DICM".to_vec(),
        element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1\0"),
        element(8, 0x20, b"DA", b"20260914"),
        [
            &[0x09, 0x00, 0x01, 0x10][..],
            b"UN",
            &[0, 0, 0xff, 0xff, 0xff, 0xff],
        ]
        .concat(),
        marker(0xfffe, 0xe000, u32::MAX),
        [marker(0x0009, 0x1002, 4), b"abcd".to_vec()].concat(),
        marker(0xfffe, 0xe00d, 0),
        marker(0xfffe, 0xe0dd, 0),
        element(0x20, 0x0d, b"UI", b"2.25.2"),
        element(0x20, 0x0e, b"UI", b"2.25.3"),
    ]
    .concat()
}

/// CNT-22, CND-13: with a `.DS_Store` beside three images, and the disc's viewer, the record is one of images.
#[test]
fn litter_does_not_decide_of_which_type_a_record_is() -> Result<()> {
    let scene = Scene::set()?;
    let (study, image) = (scene.study()?, scene.image()?);
    fs::create_dir_all(study.join("VIEWER"))?;
    let program = [&b"MZ"[..], &[0; 58], &64_u32.to_le_bytes(), b"PE\0\0"].concat();
    for (name, content) in [
        ("IM1", image.as_slice()),
        ("IM2", &image),
        ("IM3", &image),
        (".DS_Store", b"Bud1"),
        ("Thumbs.db", b"x"),
        ("desktop.ini", b"[x]"),
        ("AUTORUN.INF", b"[autorun]"),
        ("start.exe", &program),
        ("VIEWER/view.dll", &program),
        ("VIEWER/help.html", b"<html></html>"),
    ] {
        fs::write(study.join(name), content)?;
    }
    let sent = scene.send(&study, &[])?;
    let left = by(&sent, "left_out", "path", "reason")?;
    ensure!(
        left.len() == 3 && left.values().all(|why| *why == "system-file"),
        "{sent}"
    );
    ensure!(array(&sent, "files")?.len() == 7, "{sent}");
    let permitted = scene.permit(&["--type", "application/dicom"])?;
    ensure!(
        permitted["covered"] == 1 && permitted["not_covered"] == serde_json::json!({}),
        "{permitted}"
    );
    // A letter is none of it.
    fs::write(study.join("letter.txt"), "dear colleague")?;
    scene.send(&study, &[])?;
    let permitted = scene.permit(&["--type", "application/dicom"])?;
    ensure!(
        permitted["covered"] == 1 && permitted["not_covered"]["media-type"] == 1,
        "{permitted}"
    );
    Ok(())
}

/// CNT-21: three of five files were sent, with exit code 0 and not a word.
#[test]
fn what_is_not_sent_is_said_and_links_are_followed_where_that_is_asked_for() -> Result<()> {
    let scene = Scene::set()?;
    let study = scene.study()?;
    for name in ["a.txt", "b.txt", "c.txt"] {
        fs::write(study.join(name), name)?;
    }
    let elsewhere = scene.world.path("elsewhere.txt");
    fs::write(&elsewhere, "elsewhere")?;
    std::os::unix::fs::symlink(&elsewhere, study.join("link.txt"))?;
    std::os::unix::fs::symlink("nowhere", study.join("lost.txt"))?;
    ensure!(Command::new("mkfifo").arg(study.join("pipe")).status()?.success());

    let reasons = |sent: &Value| -> Result<BTreeMap<String, String>> {
        let left = by(sent, "left_out", "path", "reason")?;
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(left
            .into_iter()
            .map(|(path, why)| (name(path), why.to_owned()))
            .collect())
    };
    let all = |link: Option<&str>| -> BTreeMap<String, String> {
        let others = [("lost.txt", "dangling-link"), ("pipe", "fifo")];
        let link = link.map(|why| ("link.txt", why));
        let all = others.into_iter().chain(link);
        all.map(|(name, why)| (name.to_owned(), why.to_owned())).collect()
    };
    let would = scene.send(&study, &["--dry-run"])?;
    ensure!(
        would["record_id"].is_null() && array(&would, "files")?.len() == 3,
        "{would}"
    );
    let sent = scene.send(&study, &[])?;
    assert_eq!(reasons(&sent)?, all(Some("symbolic-link")));
    assert_eq!(array(&sent, "files")?.len(), 3);
    let followed = scene.send(&study, &["--follow"])?;
    assert_eq!(reasons(&followed)?, all(None));
    assert_eq!(
        by(&followed, "files", "name", "media_type")?["study/link.txt"],
        "text/plain"
    );
    Ok(())
}

/// CNT-21: in the sealed manifest, and on the files that are received.
#[test]
fn times_and_the_folders_own_name_come_with_the_files() -> Result<()> {
    let scene = Scene::set()?;
    let study = scene.study()?;
    let times: [(&str, u64); 2] = [("small.txt", 1_100_000_000), ("sub/large.bin", 1_200_000_000)];
    fs::create_dir_all(study.join("sub"))?;
    let time = |seconds: u64| -> SystemTime { UNIX_EPOCH + Duration::new(seconds, 123_456_700) };
    for (name, seconds) in times {
        let length = if name.ends_with("bin") { 9 << 20 } else { 5 };
        fs::write(study.join(name), vec![b'x'; length])?;
        File::options()
            .write(true)
            .open(study.join(name))?
            .set_modified(time(seconds))?;
    }
    let sent = scene.send(&study, &[])?;
    let record = text(&sent, "record_id")?;
    let listed = scene.patient.run(&["records"])?;
    let parts = &array(&listed, "records")?[0];
    assert_eq!(
        by(parts, "parts", "name", "modified")?["study/small.txt"],
        "2004-11-09T11:33:20.123456700Z"
    );
    let (own, fetched) = (scene.world.path("own"), scene.world.path("fetched"));
    let out = own.display().to_string();
    scene.patient.run(&["records", "get", &record, "--out", &out])?;
    let out = fetched.display().to_string();
    download(&scene.patient, &scene.patient_id, &scene.hospital, &record, &out)?;
    for folder in [own, fetched] {
        for (name, seconds) in times {
            let received = folder.join(&record).join("study").join(name);
            assert_eq!(
                received.metadata()?.modified()?,
                time(seconds),
                "{}",
                received.display()
            );
        }
    }
    Ok(())
}

/// CNT-12, CNT-17, CNT-18: names of zips that were made on Windows, of more than 1,024 bytes, of only a different case, and such as a stick
/// of exFAT does not hold. All are carried; on receipt each lies under a name that every file system holds apart, which is said.
#[test]
fn names_that_other_systems_do_not_hold_are_carried() -> Result<()> {
    let scene = Scene::set()?;
    let study = scene.study()?;
    let deep = "folder-of-the-study/".repeat(60) + "IM1";
    fs::create_dir_all(study.join(&deep).parent().context("no folder")?)?;
    let names = [
        "series\\IM1",
        "c:x",
        "im1",
        "IM1",
        "what?.txt",
        "Dr. M.",
        "x ",
        "CON",
        &deep,
    ];
    for name in names {
        fs::write(study.join(name), name)?;
    }
    let sent = scene.send(&study, &[])?;
    let record = text(&sent, "record_id")?;
    let carried = by(&sent, "files", "name", "media_type")?;
    for name in names {
        ensure!(
            carried.contains_key(format!("study/{name}").as_str()),
            "{name}: {sent}"
        );
    }
    let out = scene.world.path("own");
    let to = out.display().to_string();
    let got = scene.patient.run(&["records", "get", &record, "--out", &to])?;
    let received = hashes(&out)?;
    ensure!(received.len() == names.len(), "{received:?}");
    let folded: std::collections::BTreeSet<String> =
        received.keys().map(|name| name.to_lowercase()).collect();
    ensure!(folded.len() == names.len(), "{received:?}");
    let held = |name: &&String| {
        let mut parts = name.split('/');
        !name.contains(['\\', ':', '?', '*', '"', '<', '>', '|'])
            && parts.all(|part| !part.ends_with([' ', '.']))
    };
    ensure!(
        received.keys().filter(held).count() == names.len(),
        "{received:?}"
    );
    let said = by(&got, "parts", "name", "file")?;
    for (name, file) in [
        ("series\\IM1", "series_IM1"),
        ("c:x", "c_x"),
        ("what?.txt", "what_.txt"),
    ] {
        assert_eq!(said[format!("study/{name}").as_str()], format!("study/{file}"));
    }
    ensure!(
        said["study/im1"].is_empty() != said["study/IM1"].is_empty(),
        "{got}"
    );
    ensure!(said[format!("study/{deep}").as_str()].len() <= 1024, "{got}");
    Ok(())
}

/// CNT-20, CND-3, CND-14: a window of days over every kind of file that says one, and which of them fall out.
#[test]
fn conditions_are_about_what_files_say() -> Result<()> {
    const MAY: [&str; 4] = ["--from", "2026-05-01", "--to", "2026-05-31"];
    let scene = Scene::set()?;
    let hl7 =
        |day: &str| format!("MSH|^~\\&|LAB|A|GP|B|20260601||ORU^R01|1|P|2.5\rOBR|1|||718-7^Hb^LN|||{day}\r");
    let cda = |day: &str| {
        format!(
            "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><effectiveTime value=\"{day}\"/></ClinicalDocument>"
        )
    };
    let xml = |day: &str| {
        format!("<Procedure xmlns=\"http://hl7.org/fhir\"><performedDateTime value=\"{day}\"/></Procedure>")
    };
    let json = |day: &str| {
        format!(
            "{{\"resourceType\":\"Observation\",\"effectiveDateTime\":\"{day}\",\"issued\":\"2026-06-30\"}}"
        )
    };
    let pdf = |day: &str| {
        format!("%PDF-1.4\n1 0 obj\n<</CreationDate (D:{day})>>\nendobj\ntrailer <</Info 1 0 R>>\n%%EOF")
    };
    for (name, text) in [
        ("in-1", json("2026-05-03")),
        ("in-2", xml("2026-05-04T08:00:00Z")),
        ("in-3", cda("20260505120000+0200")),
        ("in-4", hl7("202605060800")),
        ("in-5", pdf("20260507080000Z")),
        (
            "in-6",
            format!("{}\n{}\n", json("2026-05-01"), json("2026-05-31")),
        ),
        ("early", json("2026-04-30")),
        (
            "late",
            format!("{}\n{}\n", json("2026-05-31"), json("2026-06-01")),
        ),
        ("undated", "a letter".to_owned()),
    ] {
        let file = scene.world.path(name);
        fs::write(&file, text)?;
        scene.send(&file, &[])?;
    }
    let permitted = scene.permit(&MAY)?;
    ensure!(permitted["covered"] == 6, "{permitted}");
    let why = serde_json::json!({ "no-date": 1, "too-early": 1, "too-late": 1 });
    assert_eq!(permitted["not_covered"], why);
    let undated = scene.permit(&[&MAY[..], &["--undated"]].concat())?;
    ensure!(
        undated["covered"] == 7 && undated["not_covered"]["no-date"].is_null(),
        "{undated}"
    );

    // The same of whatever lies in a collection, which the server tests by tokens.
    let received = |more: &[&str]| -> Result<usize> {
        let request = scene.request()?;
        let permit = [&["permit", &request, "--collection", "default"], &MAY[..], more].concat();
        let permission = text(&scene.patient.run(&permit)?, "permission_id")?;
        let out = scene.world.path(&permission);
        let to = out.display().to_string();
        scene
            .hospital
            .run(&["download", "fetch", &permission, "--out", &to])?;
        Ok(hashes(&out)?.len())
    };
    assert_eq!(received(&[])?, 6);
    assert_eq!(received(&["--undated"])?, 7);
    let alone = ["permit", &scene.request()?, "--all", "--undated"].map(str::to_owned);
    let refused = scene.patient.fail(&alone.each_ref().map(String::as_str))?;
    ensure!(refused.text.contains("--undated goes with"), "{refused:?}");
    Ok(())
}
