//! Devices, by the real programs: a second one sees and does everything, a removed one nothing, and neither the
//! server nor whoever has no code puts one in. See `protocol-spec/spec/devices.md`.

mod forks;
mod headroom;
mod malicious;
mod removal;
mod rotations;
mod stolen;
mod unreadable;

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    io::{BufRead, BufReader, Read},
    process::Child,
};

use anyhow::{Context, Result, ensure};
use client_sdk::{CollectionId, Patient, Unlock};
use protocol_spec::{defence::Defence, messages as pb, problem::Problem};
use serde_json::Value;
use tests::{
    harness::{Cli, World, text},
    raw::{RawPatient, RawWorld, defended},
};

use crate::{
    collections::Scene,
    flows::{array, download, upload},
};

/// A new device that shows its code and waits.
struct Linking {
    device: Cli,
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    code: String,
    /// Once it has shown one.
    short_string: Option<String>,
}

impl Linking {
    fn start(world: &World, device: Cli) -> Result<Self> {
        let link = world.server.link().to_string();
        let mut child = device.spawn(&["device", "link", "--server", &link])?;
        let mut output = BufReader::new(child.stdout.take().context("standard output")?);
        let code = text(&shown(&mut output)?, "code")?;
        Ok(Self {
            device,
            child,
            output,
            code,
            short_string: None,
        })
    }

    /// What it shows as soon as a device has answered its code.
    fn short_string(&mut self) -> Result<String> {
        if let Some(short) = &self.short_string {
            return Ok(short.clone());
        }
        let short = text(&shown(&mut self.output)?, "short_string")?;
        self.short_string = Some(short.clone());
        Ok(short)
    }

    /// The device with its home, once it is approved; what it printed.
    fn finish(mut self) -> Result<(Cli, Value)> {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest)?;
        let mut errors = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut errors)?;
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}: {rest} {errors}");
        Ok((self.device, serde_json::from_str(&rest)?))
    }

    /// The JSON of its failure.
    fn fail(mut self) -> Result<Value> {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest)?;
        ensure!(!self.child.wait()?.success(), "it was linked: {rest}");
        Ok(serde_json::from_str(&rest)?)
    }

    fn stop(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// The next line that a device prints.
fn shown(output: &mut impl BufRead) -> Result<Value> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    serde_json::from_str(&line).with_context(|| format!("shown: {line}"))
}

/// Enters the code, reads the short string on the new device, and types it.
fn approve(by: &Cli, linking: &mut Linking, name: &str) -> Result<Value> {
    let waiting = by.fail(&["device", "approve", &linking.code, "--name", name])?;
    ensure!(waiting.text.contains("now shows a short string"), "{waiting:?}");
    let short = linking.short_string()?;
    by.run(&[
        "device",
        "approve",
        &linking.code,
        "--short-string",
        &short,
        "--name",
        name,
    ])
}

/// Links a device with this name to the vault of another.
pub(crate) fn link(world: &World, first: &Cli, name: &str) -> Result<Cli> {
    let mut linking = Linking::start(world, world.principal(name))?;
    approve(first, &mut linking, name)?;
    Ok(linking.finish()?.0)
}

fn names(devices: &Value) -> Result<Vec<String>> {
    array(devices, "devices")?
        .iter()
        .map(|device| text(device, "name"))
        .collect()
}

/// Who has answered, each once; taken out, for each device calls itself "this device".
fn answered(history: &mut Value) -> Result<Vec<String>> {
    let entries = history["history"].as_array_mut().context("no history")?;
    let mut all = Vec::new();
    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(Value::String(by)) = entry.remove("answered_by")
            && !all.contains(&by)
        {
            all.push(by);
        }
    }
    Ok(all)
}

fn listed(by: &Cli) -> Result<Vec<String>> {
    names(&by.run(&["device", "list"])?)
}

fn records(by: &Cli) -> Result<BTreeSet<String>> {
    let records = by.run(&["records"])?;
    array(&records, "records")?
        .iter()
        .map(|record| text(record, "record_id"))
        .collect()
}

fn file(world: &World, content: &str) -> Result<String> {
    let path = world.path(&format!("{content}.txt"));
    fs::write(&path, content)?;
    Ok(path.display().to_string())
}

#[test]
fn every_device_sees_the_whole_vault_and_acts() -> Result<()> {
    let world = World::start()?;
    let (first, patient) = world.patient("patient")?;
    let (clinic, _) = world.institution("Clinic")?;
    first.run(&["collection", "create", "cardiology"])?;
    let heart = upload(&first, &clinic, "Clinic", &file(&world, "heart")?)?;
    first.run(&["records"])?;
    first.run(&["collection", "move", &heart, "--to", "cardiology"])?;
    let asked = clinic.run(&["download", "request", "--patient", &patient, "--text", "before"])?;

    let mut linking = Linking::start(&world, world.principal("tablet"))?;
    let added = approve(&first, &mut linking, "Tablet")?;
    let (tablet, shown) = linking.finish()?;
    assert_eq!(text(&shown, "patient_id")?, patient);
    assert_eq!(names(&shown)?, ["first device", "Tablet"]);
    assert!(text(&added, "device_id")?.starts_with("dev_"));

    // What was there before: records and their content, collections, requests and their texts.
    assert_eq!(records(&tablet)?, BTreeSet::from([heart.clone()]));
    let out = world.path("own").display().to_string();
    tablet.run(&["records", "get", &heart, "--out", &out])?;
    let collections = |by: &Cli| by.run(&["collection", "list"]);
    assert_eq!(collections(&tablet)?, collections(&first)?);
    let inbox = tablet.run(&["inbox"])?;
    assert!(inbox.to_string().contains("before"), "{inbox}");

    // All flows from the second device, each seen from the first.
    let skin = upload(&tablet, &clinic, "Clinic", &file(&world, "skin")?)?;
    let out = world.path("fetched").display().to_string();
    download(&tablet, &patient, &clinic, &skin, &out)?;
    tablet.run(&["deny", &text(&asked, "request_id")?, "--text", "no"])?;
    tablet.run(&["collection", "create", "dermatology"])?;
    tablet.run(&["collection", "move", &skin, "--to", "dermatology"])?;
    assert_eq!(records(&first)?, BTreeSet::from([heart, skin]));
    assert_eq!(collections(&first)?, collections(&tablet)?);
    tablet.run(&["device", "name", "first device", "Telephone"])?;
    assert_eq!(listed(&first)?, ["Telephone", "Tablet"]);

    // The history says which device acted, on both alike.
    let mut history = first.run(&["history"])?;
    let mut seen = tablet.run(&["history"])?;
    assert_eq!(answered(&mut history)?, ["this device", "device Tablet"]);
    assert_eq!(answered(&mut seen)?, ["device Telephone", "this device"]);
    assert_eq!(history, seen);
    let acted: Vec<_> = array(&history, "history")?
        .iter()
        .map(|entry| {
            assert_eq!(entry["verified"], true, "{entry}");
            (
                entry["kind"].as_str().unwrap_or_default(),
                entry["device"].as_str(),
            )
        })
        .collect();
    for by in [
        ("upload-requested", Some("Telephone")),
        ("upload-requested", Some("Tablet")),
        ("permitted", Some("Tablet")),
        ("denied", Some("Tablet")),
        ("devices-changed", Some("Telephone")),
        ("devices-changed", Some("Tablet")),
    ] {
        assert!(acted.contains(&by), "{by:?} is not in {acted:?}");
    }
    Ok(())
}

/// DEV-15: a permission to send for a year does not go on under a key that a removed device has.
#[test]
fn upload_permissions_get_new_keys_when_a_device_is_removed() -> Result<()> {
    let world = World::start()?;
    let (first, _) = world.patient("patient")?;
    let (clinic, _) = world.institution("Clinic")?;
    let tablet = link(&world, &first, "Tablet")?;
    let asked = first.run(&[
        "upload",
        "request",
        "--to",
        "Clinic",
        "--text",
        "results",
        "--uses",
        "9",
        "--max-bytes",
        "1MiB",
    ])?;
    let known = text(&asked, "permission_id")?;
    let sent = file(&world, "before")?;
    clinic.run(&["upload", "send", &known, &sent])?;
    let devices = tablet.run(&["device", "list"])?;
    let second = array(&devices, "devices")?.get(1).context("no second device")?;
    first.run(&["device", "remove", &text(second, "device_id")?, "--lost"])?;

    let state = |id: &str| -> Result<Value> {
        let all = first.run(&["permissions"])?;
        let found = array(&all, "permissions")?
            .iter()
            .find(|one| one["permission_id"] == id);
        Ok(found.context("no such permission")?["state"].clone())
    };
    assert_eq!(state(&known)?, "replaced");
    let refused = clinic.fail(&["upload", "send", &known, &sent])?;
    assert_eq!(
        refused.json["error"]["code"], "permission-replaced",
        "{refused:?}"
    );
    let all = first.run(&["permissions"])?;
    let fresh = array(&all, "permissions")?
        .iter()
        .find(|one| one["state"] == "live");
    let fresh = text(fresh.context("none took its place")?, "permission_id")?;
    clinic.run(&["upload", "send", &fresh, &sent])?;
    assert_eq!(records(&first)?.len(), 2);
    Ok(())
}

/// DEV-10, DEV-12, DEV-20: whoever is to type the short string is not shown it; the same code may be tried again.
#[test]
fn a_code_is_for_one_device_once_and_with_its_short_string() -> Result<()> {
    let world = World::start()?;
    let (first, _) = world.patient("patient")?;
    let mut linking = Linking::start(&world, world.principal("tablet"))?;
    let code = linking.code.clone();
    let wrong = first.fail(&["device", "approve", &code, "--short-string", "000-000-000"])?;
    assert!(wrong.text.contains("short strings differ"), "{wrong:?}");
    let short = linking.short_string()?;
    let unasked = first.fail(&["device", "approve", &code])?;
    for said in [&wrong, &unasked] {
        assert!(!format!("{said:?}").contains(&short), "{said:?}");
    }
    let cut = first.fail(&["device", "approve", &code[..40], "--short-string", "1"])?;
    assert!(cut.text.contains("no code of a new device"), "{cut:?}");
    assert_eq!(listed(&first)?, ["first device"], "nothing was added so far");

    approve(&first, &mut linking, "Tablet")?;
    let (tablet, _) = linking.finish()?;
    for device in [&first, &tablet] {
        let again = device.fail(&["device", "approve", &code, "--short-string", &short])?;
        assert!(again.text.contains("the code was used"), "{again:?}");
    }
    assert_eq!(listed(&tablet)?, ["first device", "Tablet"]);
    let taken = world.server.link().to_string();
    let taken = tablet.fail(&["device", "link", "--server", &taken])?;
    assert!(taken.text.contains("holds the keys"), "{taken:?}");
    Ok(())
}

/// DEV-6: by the programs; the entrances one by one are tested at the server.
#[test]
fn a_removed_device_is_shut_out_and_the_vault_goes_on() -> Result<()> {
    let world = World::start()?;
    let (first, patient) = world.patient("patient")?;
    let (clinic, _) = world.institution("Clinic")?;
    let before = upload(&first, &clinic, "Clinic", &file(&world, "before")?)?;
    let tablet = link(&world, &first, "Tablet")?;
    assert_eq!(records(&tablet)?, BTreeSet::from([before.clone()]));
    clinic.run(&[
        "download",
        "request",
        "--patient",
        &patient,
        "--text",
        "under the old key",
    ])?;
    let own = tablet.fail(&["device", "remove", "Tablet", "--lost"])?;
    assert!(own.text.contains("cannot remove itself"), "{own:?}");

    first.run(&["device", "remove", "Tablet", "--lost"])?;
    for command in [
        &["records"][..],
        &["inbox"],
        &["device", "list"],
        &["collection", "create", "mine"],
    ] {
        let refused = tablet.fail(command)?;
        assert_eq!(refused.json["error"]["code"], "unauthenticated", "{refused:?}");
    }
    assert_eq!(listed(&first)?, ["first device"]);
    let epochs = first.run(&["collection", "list"])?;
    assert!(
        array(&epochs, "collections")?
            .iter()
            .all(|entry| entry["epoch"] == 1),
        "{epochs}"
    );

    // Old and new open on the devices that stay or come, the text under the old vault key too.
    let after = upload(&first, &clinic, "Clinic", &file(&world, "after")?)?;
    let all = BTreeSet::from([before.clone(), after.clone()]);
    assert_eq!(records(&first)?, all);
    let phone = link(&world, &first, "Telephone")?;
    assert_eq!(records(&phone)?, all);
    for record in [&before, &after] {
        let out = world.path(record).display().to_string();
        phone.run(&["records", "get", record, "--out", &out])?;
    }
    let asked = clinic.run(&[
        "download",
        "request",
        "--patient",
        &patient,
        "--text",
        "under the new key",
    ])?;
    let inbox = phone.run(&["inbox"])?.to_string();
    assert!(
        inbox.contains("under the old key") && inbox.contains("under the new key"),
        "{inbox}"
    );
    phone.run(&["permit", &text(&asked, "request_id")?, "--all"])?;
    let history = phone.run(&["history"])?;
    let removed = array(&history, "history")?
        .iter()
        .filter(|entry| entry["devices_removed"] == serde_json::json!(["Tablet"]));
    assert_eq!(removed.count(), 1, "{history}");
    assert!(
        array(&history, "history")?
            .iter()
            .all(|entry| entry["verified"] == true),
        "{history}"
    );
    Ok(())
}

/// DEV-13, COL-4, COL-1: two devices act at once, and no update is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_at_once_lose_nothing() -> Result<()> {
    let world = World::start()?;
    let (first, _) = world.patient("patient")?;
    let (clinic, _) = world.institution("Clinic")?;
    let mut uploaded = Vec::new();
    for number in 0..4 {
        uploaded.push(upload(
            &first,
            &clinic,
            "Clinic",
            &file(&world, &format!("record {number}"))?,
        )?);
    }
    let tablet = link(&world, &first, "Tablet")?;
    let (one, other) = (open(&first).await?, open(&tablet).await?);

    // Both adopt the same records, at the same time.
    let (a, b) = tokio::join!(one.records(), other.records());
    let count = uploaded.len();
    for found in [a?, b?] {
        assert!(found.refused.is_empty(), "{:?}", found.refused);
        assert_eq!(found.records.len(), count);
    }
    // Collections, and moves into them.
    let made = |patient, names: [&'static str; 3]| make(patient, names);
    let (a, b) = tokio::join!(made(&one, ["a", "b", "c"]), made(&other, ["d", "e", "f"]));
    let (mine, yours) = (a?, b?);
    let all = one.collections().await?;
    assert_eq!(all.len(), 7, "{all:?}");
    let ids: Vec<_> = one
        .records()
        .await?
        .records
        .iter()
        .map(|record| record.record_id)
        .collect();
    let (a, b) = tokio::join!(
        async {
            one.move_record(ids[0], mine[0]).await?;
            one.move_record(ids[1], mine[1]).await
        },
        async {
            other.move_record(ids[2], yours[0]).await?;
            other.move_record(ids[3], yours[1]).await
        },
    );
    a?;
    b?;
    for patient in [&one, &other] {
        let placed = patient.records().await?.records;
        let lies = |id| {
            placed
                .iter()
                .find(|record| record.record_id == id)
                .map(|record| record.collection)
        };
        let wanted = [mine[0], mine[1], yours[0], yours[1]];
        assert_eq!(
            [lies(ids[0]), lies(ids[1]), lies(ids[2]), lies(ids[3])],
            wanted.map(Some)
        );
    }
    // The list itself: both names stand, whoever came second.
    let devices = one.devices().await?;
    let (a, b) = tokio::join!(
        one.name_device(devices[0].id, "Telephone"),
        other.name_device(devices[1].id, "Tablet in the kitchen"),
    );
    a?;
    b?;
    for patient in [&one, &other] {
        let names: Vec<_> = patient
            .devices()
            .await?
            .into_iter()
            .map(|device| device.name)
            .collect();
        assert_eq!(names, ["Telephone", "Tablet in the kitchen"]);
    }
    // A removal against moves of the one that is removed: what was acknowledged stands, and is hers to see.
    let nothing = HashSet::new();
    let (removed, moved) = tokio::join!(
        one.remove_device(devices[1].id, &nothing, &()),
        other.move_record(ids[0], mine[2])
    );
    removed?;
    let placed = one.records().await?;
    assert!(placed.refused.is_empty(), "{:?}", placed.refused);
    let lies = placed
        .records
        .iter()
        .find(|record| record.record_id == ids[0])
        .map(|record| record.collection);
    assert_eq!(
        lies,
        Some(if moved.is_ok() { mine[2] } else { mine[0] }),
        "{moved:?}"
    );
    assert!(other.records().await.is_err());
    Ok(())
}

async fn open(device: &Cli) -> Result<Patient> {
    let unlock = Unlock::KeyFile(device.home().with_extension("key"));
    Ok(Patient::open(device.home(), &unlock).await?)
}

async fn make(patient: &Patient, names: [&str; 3]) -> Result<Vec<CollectionId>> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(patient.create_collection(name).await?.id);
    }
    Ok(ids)
}

/// DEV-6: the statements of a removed device, at the server.
#[tokio::test]
async fn a_removed_device_asks_for_nothing() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let patient = RawPatient::enrol(&world.wire).await?;
        let (second, added) = patient.adding(|_| ())?;
        patient
            .change(&world.wire, &added)
            .await?
            .message::<pb::Accepted>()?;
        let mut first = patient;
        first.list = second.list.clone();
        let (removal, _) = first.removing(second.device_id())?;
        first
            .change(&world.wire, &removal)
            .await?
            .message::<pb::Accepted>()?;
        second.get(&world.wire, "/v1/vault/records").await
    };
    defended(&[Defence::ListedDevices], Problem::Unauthenticated, attack).await
}

/// DEV-6, FLW-5: a revocation that a device has signed, which was removed before it was handed in: by itself, and by a
/// device that stays. The permission goes on.
#[tokio::test]
async fn a_removed_device_revokes_nothing() -> Result<()> {
    let attack = async |world: &mut RawWorld, by_itself: bool| {
        let wire = &world.wire;
        let hospital = world.institution("Hospital North").await?;
        let mut first = RawPatient::enrol(wire).await?;
        let record = hospital.upload(wire, &first, 1_000).await?;
        let request = hospital.ask(wire, &first).await?;
        let (id, permission) = first.permit(wire, &hospital.entry, request, vec![record], |_| ())?;
        first.grant(wire, permission.clone()).await?;
        let (second, added) = first.adding(|_| ())?;
        first.change(wire, &added).await?.message::<pb::Accepted>()?;
        let revocation = second.revocation(&permission, id);
        first.list = second.list.clone();
        let (removal, _) = first.removing(second.device_id())?;
        first.change(wire, &removal).await?.message::<pb::Accepted>()?;
        let by = if by_itself { &second } else { &first };
        let answer = by.post(wire, "/v1/revocations", &revocation).await?;
        let presented = hospital.present(wire, id).await?;
        ensure!(
            presented.status.is_success() != answer.status.is_success(),
            "the permission holds if nothing was revoked: {presented:?}"
        );
        Ok(answer)
    };
    let by_itself = async |world: &mut RawWorld| attack(world, true).await;
    defended(&[Defence::ListedDevices], Problem::Unauthenticated, by_itself).await?;
    let by_another = async |world: &mut RawWorld| attack(world, false).await;
    defended(&[Defence::OwnStatements], Problem::NotPermitted, by_another).await
}

/// REV-2, REV-7: what a device has revoked while it was one stays revoked when it is removed, and its revocation stands in
/// the certificate that another device makes.
#[test]
fn a_revocation_outlives_its_device() -> Result<()> {
    let scene = Scene::set()?;
    let first = &scene.patient;
    scene.record("heart")?;
    let request = scene.request()?;
    let permission = text(&first.run(&["permit", &request, "--all"])?, "permission_id")?;
    let tablet = link(&scene.world, first, "Tablet")?;
    tablet.run(&["revoke", &permission])?;
    first.run(&["device", "remove", "Tablet", "--lost"])?;
    assert!(scene.fetch_refused(&permission)?.text.contains("revoked"));
    let file = scene.world.path("certificate.pb").display().to_string();
    first.run(&["revoke", &permission, "--certificate", &file])?;
    let server = scene.world.server.link().to_string();
    scene.clinic.run(&["certificate", &file, "--server", &server])?;
    let history = first.run(&["history", "--verify"])?;
    assert_eq!(history["checked"]["holds"], true, "{history}");
    let revoked = array(&history, "history")?
        .iter()
        .filter(|entry| entry["kind"] == "revoked");
    let by: Vec<_> = revoked.map(|entry| entry["device"].clone()).collect();
    assert_eq!(by, ["Tablet"], "once, by the one that is gone");
    Ok(())
}

/// DEV-3, DEV-4: it removes a device without a new root key, which the removed one would still have.
#[tokio::test]
async fn a_removal_without_a_new_root_key_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let patient = RawPatient::enrol(&world.wire).await?;
        let (second, added) = patient.adding(|_| ())?;
        patient
            .change(&world.wire, &added)
            .await?
            .message::<pb::Accepted>()?;
        let mut first = patient;
        first.list = second.list.clone();
        let (_, message) = first.adding(|list| {
            list.devices.remove(1);
        })?;
        first.change(&world.wire, &message).await
    };
    defended(&[Defence::DeviceLists], Problem::Malformed, attack).await
}
