//! What for, and which records: purposes and conditions, by the real programs and by hand, each with its control.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use protocol_spec::{
    attributes::Attributes, bodies::ReleaseTicket, collection::Collection, conditions::Conditions,
    defence::Defence, messages as pb, problem::Problem, purpose::Purpose, statement::Signed,
};
use serde_json::Value;
use tests::{
    harness::{Cli, World, text},
    raw::{RawPatient, RawWorld, defended},
};

/// A patient, a laboratory that sends, and a clinic that reads for treatment.
struct Scene {
    world: World,
    patient: Cli,
    patient_id: String,
    laboratory: Cli,
    clinic: Cli,
}

impl Scene {
    fn set(world: World) -> Result<Self> {
        let (patient, patient_id) = world.patient("patient")?;
        let (laboratory, _) = world.institution("Laboratory")?;
        let (clinic, _) = world.institution("Clinic")?;
        Ok(Self {
            world,
            patient,
            patient_id,
            laboratory,
            clinic,
        })
    }

    /// A record of one FHIR resource of a day, named after its status.
    fn result(&self, status: &str, day: &str) -> Result<String> {
        let json =
            format!(r#"{{"resourceType":"Observation","status":"{status}","effectiveDateTime":"{day}"}}"#);
        self.record(&format!("{status}.json"), &json)
    }

    /// A record of one file, in the vault.
    fn record(&self, name: &str, content: &str) -> Result<String> {
        let file = self.world.path(name);
        fs::write(&file, content)?;
        let offer = ["upload", "request", "--to", "Laboratory", "--text", "t"];
        let permission = text(&self.patient.run(&offer)?, "permission_id")?;
        let sent = self
            .laboratory
            .run(&["upload", "send", &permission, &file.display().to_string()])?;
        self.patient.run(&["records"])?;
        text(&sent, "record_id")
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
        let ask = [&ask[..], &["--purpose", "TREAT"]].concat();
        text(&self.clinic.run(&ask)?, "request_id")
    }

    fn permit(&self, what: &[&str]) -> Result<String> {
        let request = self.request()?;
        let args = [&["permit", &request, "--uses", "9"], what].concat();
        text(&self.patient.run(&args)?, "permission_id")
    }

    /// What a program of the clinic receives: the names of all files.
    fn fetch(&self, clinic: &Cli, permission: &str, more: &[&str]) -> Result<BTreeSet<String>> {
        let number = fs::read_dir(self.world.folder())?.count();
        let out = self.world.path(&format!("out-{number}"));
        let folder = out.display().to_string();
        clinic.run(&[&["download", "fetch", permission, "--out", &folder], more].concat())?;
        names(&out)
    }

    /// The code by which the fetch is refused; nothing is left of it.
    fn refused(&self, clinic: &Cli, permission: &str, more: &[&str]) -> Result<String> {
        let out = self.world.path("refused");
        let folder = out.display().to_string();
        let refused = clinic.fail(&[&["download", "fetch", permission, "--out", &folder], more].concat())?;
        ensure!(refused.exit == 1, "{refused:?}");
        ensure!(names(&out)?.is_empty(), "files of what was refused");
        let code = refused.json.pointer("/error/code").or(refused.json.get("code"));
        Ok(code.and_then(Value::as_str).context(refused.text)?.to_owned())
    }

    fn permission(&self, id: &str) -> Result<Value> {
        let list = self.patient.run(&["permissions"])?;
        let mut all = list["permissions"].as_array().into_iter().flatten();
        let found = all.find(|entry| entry["permission_id"] == id);
        found.cloned().context("no such permission")
    }
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    if folder.exists() {
        for entry in walkdir::WalkDir::new(folder) {
            let entry = entry?;
            if entry.file_type().is_file() {
                found.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

const MAY: [&str; 6] = [
    "--from",
    "2026-05-01",
    "--to",
    "2026-05-31",
    "--type",
    "application/fhir+json",
];

/// CND-3, CND-9: also of what comes later, only what fits; and the server has no word of it.
#[test]
fn a_permission_over_a_collection_is_for_what_fits() -> Result<()> {
    let mut scene = Scene::set(World::start()?)?;
    scene.result("april", "2026-04-30")?;
    scene.result("may", "2026-05-01")?;
    scene.record("note.txt", "of no day")?;
    let permission = scene.permit(&[&["--collection", "default"], &MAY[..]].concat())?;
    let fetch = || scene.fetch(&scene.clinic, &permission, &[]);
    assert_eq!(fetch()?, set(&["may.json"]));
    scene.result("june", "2026-06-01")?;
    scene.result("last", "2026-05-31")?;
    assert_eq!(fetch()?, set(&["last.json", "may.json"]));
    let notes = scene.permit(&["--collection", "default", "--type", "text/plain"])?;
    assert_eq!(scene.fetch(&scene.clinic, &notes, &[])?, set(&["note.txt"]));
    let since = scene.permit(&["--collection", "default", "--from", "2026-05-31"])?;
    assert_eq!(
        scene.fetch(&scene.clinic, &since, &[])?,
        set(&["june.json", "last.json"])
    );
    let shown = scene.permission(&permission)?;
    assert_eq!(shown["media_types"], serde_json::json!(["application/fhir+json"]));
    assert_eq!(
        (&shown["from"], &shown["to"]),
        (&"2026-05-01".into(), &"2026-05-31".into())
    );
    assert_eq!(shown["purpose"], "TREAT");
    scene.world.server.stop()?;
    for entry in walkdir::WalkDir::new(scene.world.server.data()) {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        let bytes = fs::read(entry.path())?;
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        for secret in ["2026-05-", "fhir+json", "text/plain"] {
            assert!(!holds(secret), "{secret} in {}", entry.path().display());
        }
    }
    Ok(())
}

/// CND-10, PRM-14: a permission that is given anew under new keys keeps its conditions, at the server and at its holder.
#[test]
fn conditions_are_kept_when_a_permission_is_given_anew() -> Result<()> {
    let scene = Scene::set(World::start()?)?;
    scene.result("april", "2026-04-30")?;
    scene.result("may", "2026-05-01")?;
    let bounded = scene.permit(&[&["--collection", "default"], &MAY[..]].concat())?;
    let listed = scene.permit(&[&["--all"], &MAY[..]].concat())?;
    let other = scene.permit(&["--collection", "default"])?;
    scene.patient.run(&["revoke", &other])?;
    let all = scene.patient.run(&["permissions"])?;
    let live = all["permissions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["collection_id"].is_string() && entry["state"] == "live");
    let anew = text(live.context("it was not given anew")?, "permission_id")?;
    assert_ne!(anew, bounded);
    assert_eq!(scene.fetch(&scene.clinic, &anew, &[])?, set(&["may.json"]));
    scene.result("last", "2026-05-31")?;
    scene.result("june", "2026-06-01")?;
    assert_eq!(
        scene.fetch(&scene.clinic, &anew, &[])?,
        set(&["last.json", "may.json"])
    );
    assert_eq!(scene.permission(&anew)?["from"], "2026-05-01");
    assert_eq!(scene.fetch(&scene.clinic, &listed, &[])?, set(&["may.json"]));
    Ok(())
}

/// CND-3: of records that are named or taken all, the device chooses; and the clinic learns what was meant.
#[test]
fn conditions_choose_among_records() -> Result<()> {
    let scene = Scene::set(World::start()?)?;
    let april = scene.result("april", "2026-04-30")?;
    let may = scene.result("may", "2026-05-01")?;
    let permission = scene.permit(&["--all", "--to", "2026-04-30"])?;
    assert_eq!(
        scene.fetch(&scene.clinic, &permission, &[])?,
        set(&["april.json"])
    );
    let permission = scene.permit(&["--record", &may, "--from", "2026-05-01"])?;
    assert_eq!(scene.fetch(&scene.clinic, &permission, &[])?, set(&["may.json"]));
    let request = scene.request()?;
    let unfit = [
        "permit",
        &request,
        "--record",
        &april,
        &may,
        "--from",
        "2026-05-01",
    ];
    let refused = scene.patient.fail(&unfit)?;
    assert!(
        refused.exit == 1 && refused.text.contains(&april) && refused.text.contains("before"),
        "{refused:?}"
    );
    let none = scene
        .patient
        .fail(&["permit", &request, "--all", "--type", "application/dicom"])?;
    assert!(none.text.contains("no record fits"), "{none:?}");
    for bad in [
        &["--from", "2026-02-30"][..],
        &["--type", "image/*"],
        &["--purpose", "CURE"],
        &["--not-before", "soon"],
    ] {
        let refused = scene
            .patient
            .fail(&[&["permit", &request, "--all"], bad].concat())?;
        assert_eq!(refused.exit, 2, "{refused:?}");
    }
    let empty = [
        "permit",
        &request,
        "--all",
        "--from",
        "2026-05-02",
        "--to",
        "2026-05-01",
    ];
    assert_eq!(scene.patient.fail(&empty)?.exit, 1);
    Ok(())
}

fn one_part(media_type: &str, day: &str) -> Result<Attributes> {
    let day = day.parse()?;
    Ok(Attributes {
        media_types: Some([media_type.parse()?].into()),
        days: Some((day, day)),
    })
}

/// CND-9: the holder asks for what lies in the collection, but does not fit.
#[tokio::test]
async fn what_does_not_fit_the_conditions_is_not_released() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let wire = &world.wire;
        let patient = RawPatient::enrol(wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let (fits, other) = (
            hospital.upload(wire, &patient, 1_000).await?,
            hospital.upload(wire, &patient, 2_000).await?,
        );
        let default = Collection::DEFAULT;
        patient.put_collection(wire, default).await?;
        let (may, june) = (one_part("a/b", "2026-05-31")?, one_part("a/b", "2026-06-01")?);
        patient.place_as(wire, &fits, &may, default, 1).await?;
        patient.place_as(wire, &other, &june, default, 2).await?;
        let request = hospital.ask(wire, &patient).await?;
        let conditions = patient.conditions(&Conditions {
            to: Some("2026-05-31".parse()?),
            ..Conditions::default()
        })?;
        let id = patient
            .permit_collection_with(wire, &hospital.entry, request, default, |body| {
                body.conditions = Some(conditions);
            })
            .await?;
        let answer: pb::PresentationAnswer = hospital.present(wire, id).await?.message()?;
        let Some(pb::presentation_answer::Answer::Release(release)) = answer.answer else {
            bail!("no release")
        };
        let ticket = Signed::<ReleaseTicket>::try_from(release.ticket)?;
        let leaves = |version| {
            let release = ticket.claimed().release_id;
            format!("/v1/releases/{release}/records/{version}/leaves?first=0&count=1")
        };
        let allowed = hospital.get(wire, &leaves(fits.version_id)).await?;
        ensure!(allowed.body.len() as u64 == fits.stream_len, "{allowed:?}");
        hospital.get(wire, &leaves(other.version_id)).await
    };
    defended(&[Defence::Conditions], Problem::NotPermitted, attack).await
}

/// CND-11: a server that releases more than it should. The clinic's own client takes nothing of it.
#[test]
fn a_record_that_a_server_should_not_have_released_is_refused() -> Result<()> {
    let scene = Scene::set(World::start_without(&[Defence::Conditions])?)?;
    scene.result("april", "2026-04-30")?;
    scene.result("may", "2026-05-01")?;
    let permission = scene.permit(&[&["--collection", "default"], &MAY[..]].concat())?;
    assert_eq!(scene.refused(&scene.clinic, &permission, &[])?, "tampered");
    let careless = scene.clinic.without(&[Defence::Holder]);
    assert_eq!(
        scene.fetch(&careless, &permission, &[])?,
        set(&["april.json", "may.json"])
    );
    Ok(())
}

/// CND-2: presented for another purpose than permitted.
#[tokio::test]
async fn a_permission_is_not_presented_for_another_purpose() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let wire = &world.wire;
        let patient = RawPatient::enrol(wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let record = hospital.upload(wire, &patient, 1_000).await?;
        let request = hospital.ask(wire, &patient).await?;
        let entry = &hospital.entry;
        let (id, permission) = patient.permit(wire, entry, request, vec![record], |body| {
            body.purpose = Some(Purpose::TREAT);
        })?;
        patient.grant(wire, permission).await?;
        hospital.present_for(wire, id, Some("HRESCH".parse()?)).await
    };
    defended(&[Defence::Purpose], Problem::PurposeMismatch, attack).await
}

/// CND-2, FLW-11: a server that lets the clinic present for another purpose. Her history says so.
#[test]
fn a_presentation_for_another_purpose_is_found_in_her_history() -> Result<()> {
    let scene = Scene::set(World::start_without(&[Defence::Purpose])?)?;
    scene.record("note.txt", "n")?;
    let treat = scene.permit(&["--all"])?;
    scene.fetch(&scene.clinic, &treat, &[])?;
    // The control: presented for what she has permitted.
    let honest = scene.patient.run(&["history", "--verify"])?;
    assert_eq!(honest["checked"]["holds"], true, "{honest}");
    let careless = scene.clinic.without(&[Defence::Holder]);
    scene.fetch(&careless, &treat, &["--purpose", "HRESCH"])?;
    let found = scene.patient.fail(&["history", "--verify"])?;
    ensure!(found.json.to_string().contains("another purpose"), "{found:?}");
    Ok(())
}

/// CND-2: stated when it is asked for, shown to her, carried by the permission, stated when it is presented, shown in
/// her history; the clinic's own client does not send another.
#[test]
fn the_purpose_is_carried_from_the_request_to_the_history() -> Result<()> {
    let scene = Scene::set(World::start()?)?;
    scene.record("note.txt", "n")?;
    let treat = scene.permit(&["--all"])?;
    let events = scene.patient.run(&["inbox"])?;
    let asked = |event: &&Value| event["kind"] == "download-request";
    let event = events["events"].as_array().into_iter().flatten().find(asked);
    assert_eq!(event.context("no request")?["purpose"], "TREAT");

    assert_eq!(
        scene.refused(&scene.clinic, &treat, &["--purpose", "HRESCH"])?,
        "purpose-mismatch"
    );
    assert_eq!(scene.permission(&treat)?["uses_left"], 9);
    let history = || scene.patient.run(&["history"]);
    let presented = |history: &Value| -> Vec<Value> {
        let all = history["history"].as_array().into_iter().flatten();
        let presented = all.filter(|entry| entry["kind"] == "presented" && !entry["purpose"].is_null());
        presented.map(|entry| entry["purpose"].clone()).collect()
    };
    assert!(presented(&history()?).is_empty());
    // The control: sent all the same, the server refuses it.
    let careless = scene.clinic.without(&[Defence::Holder]);
    assert_eq!(
        scene.refused(&careless, &treat, &["--purpose", "HRESCH"])?,
        "purpose-mismatch"
    );
    scene.fetch(&scene.clinic, &treat, &[])?;
    assert_eq!(presented(&history()?), ["TREAT"]);

    // She permits for another purpose than was asked for: the clinic must state it.
    let legal = scene.permit(&["--all", "--purpose", "HLEGAL"])?;
    assert_eq!(scene.permission(&legal)?["purpose"], "HLEGAL");
    assert_eq!(scene.refused(&scene.clinic, &legal, &[])?, "purpose-mismatch");
    scene.fetch(&scene.clinic, &legal, &["--purpose", "HLEGAL"])?;
    assert_eq!(presented(&history()?), ["TREAT", "HLEGAL"]);
    let all = history()?;
    let proven = all["history"].as_array().context("no history")?;
    assert!(proven.iter().all(|entry| entry["verified"] == true), "{all}");
    Ok(())
}

/// CND-12: whatever the server allows, the clinic's own client keeps to time, uses and bytes.
#[test]
fn a_holder_keeps_to_the_permission_itself() -> Result<()> {
    let off = [Defence::Budgets, Defence::Deadlines];
    let scene = Scene::set(World::start_without(&off)?)?;
    scene.record("note.txt", "n")?;
    let careless = scene.clinic.without(&[Defence::Holder]);
    let one = scene.request()?;
    let once = text(&scene.patient.run(&["permit", &one, "--all"])?, "permission_id")?;
    let small = scene.permit(&["--all", "--max-bytes", "60"])?;
    let later = scene.permit(&["--all", "--not-before", "2999-01-01"])?;
    scene.fetch(&scene.clinic, &once, &[])?;
    for (permission, code) in [
        (&once, "permission-spent"),
        (&small, "bytes-spent"),
        (&later, "permission-not-yet-valid"),
    ] {
        assert_eq!(scene.refused(&scene.clinic, permission, &[])?, code);
        assert_eq!(
            scene.fetch(&careless, permission, &[])?,
            set(&["note.txt"]),
            "{code}"
        );
    }
    Ok(())
}

/// PRM-14: a permission is narrowed or prolonged by a new one alone, which ends it.
#[test]
fn a_permission_is_changed_by_one_that_takes_its_place() -> Result<()> {
    let scene = Scene::set(World::start()?)?;
    scene.record("note.txt", "n")?;
    scene.result("may", "2026-05-01")?;
    let request = scene.request()?;
    let permit = |more: &[&str]| -> Result<String> {
        let args = [&["permit", &request, "--all", "--uses", "9"], more].concat();
        text(&scene.patient.run(&args)?, "permission_id")
    };
    let old = permit(&[])?;
    scene.fetch(&scene.clinic, &old, &[])?;
    let again = scene.patient.fail(&["permit", &request, "--all"])?;
    assert!(again.text.contains("already answered"), "{again:?}");
    let new = permit(&["--replaces", &old, "--expires", "30d", "--type", "text/plain"])?;
    assert_eq!(scene.permission(&old)?["state"], "replaced");
    assert_eq!(scene.refused(&scene.clinic, &old, &[])?, "permission-replaced");
    assert_eq!(scene.fetch(&scene.clinic, &new, &[])?, set(&["note.txt"]));
    // What has ended is not changed, nor what answers something else.
    let ended = ["permit", &request, "--all", "--replaces", &old];
    assert_eq!(
        scene.patient.fail(&ended)?.json["error"]["code"],
        "replacement-conflict"
    );
    let other = scene.request()?;
    let elsewhere = ["permit", &other, "--all", "--replaces", &new];
    assert_eq!(
        scene.patient.fail(&elsewhere)?.json["error"]["code"],
        "request-mismatch"
    );
    Ok(())
}

/// `--not-before`, at the server.
#[test]
fn a_permission_that_begins_later_opens_nothing_before() -> Result<()> {
    let scene = Scene::set(World::start()?)?;
    scene.record("note.txt", "n")?;
    let later = scene.permit(&["--all", "--not-before", "2999-01-01", "--expires", "7d"])?;
    let shown = scene.permission(&later)?;
    assert_eq!(
        (&shown["begins"], &shown["expires"]),
        (
            &"2999-01-01T00:00:00.000Z".into(),
            &"2999-01-08T00:00:00.000Z".into()
        )
    );
    let careless = scene.clinic.without(&[Defence::Holder]);
    assert_eq!(scene.refused(&careless, &later, &[])?, "permission-not-yet-valid");
    Ok(())
}
