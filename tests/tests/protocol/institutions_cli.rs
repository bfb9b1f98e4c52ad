//! An institution's life by the real programs: another key, terminals, keys in a store of their own, the end.

use std::{fs, sync::Arc};

use anyhow::{Context, Result, ensure};
use client_sdk::{
    Error, Institution,
    keystore::{KeyStore, KeyStoreDouble},
};
use crypto::OperatingSystem;
use protocol_spec::messages as pb;
use serde_json::Value;
use tests::harness::{Cli, World, text};

/// Asks for an upload; gives the permission.
fn ask(patient: &Cli, to: &str) -> Result<String> {
    let answer = patient.run(&["upload", "request", "--to", to, "--text", "please"])?;
    text(&answer, "permission_id")
}

fn send(world: &World, from: &Cli, permission: &str, content: &str) -> Result<Value> {
    let file = world.path(&format!("{permission}.txt"));
    fs::write(&file, content)?;
    from.run(&["upload", "send", permission, &file.display().to_string()])
}

pub(crate) fn rotate(world: &World, hospital: &Cli, name: &str, overlap: &str) -> Result<Value> {
    let request = world.path(&format!("{name}.request")).display().to_string();
    let accreditation = world.path(&format!("{name}.accreditation")).display().to_string();
    hospital.run(&["institution", "rotate", "--out", &request])?;
    world
        .registrar
        .run(&["registrar", "accredit", &request, "--out", &accreditation])?;
    let rotated = hospital.run(&[
        "institution",
        "rotate",
        "--accreditation",
        &accreditation,
        "--overlap",
        overlap,
    ])?;
    // Asked again, it is what it was.
    let again = hospital.run(&["institution", "rotate", "--accreditation", &accreditation])?;
    ensure!(again.get("sequence") == rotated.get("sequence"), "{again}");
    Ok(rotated)
}

/// A terminal with this name that has joined.
pub(super) fn terminal(
    world: &World,
    hospital: &Cli,
    institution: &str,
    name: &str,
) -> Result<(Cli, String)> {
    let terminal = world.principal(name);
    let request = world.path(&format!("{name}.terminal")).display().to_string();
    let asked = terminal.run(&[
        "institution",
        "terminal",
        "request",
        "--name",
        name,
        "--out",
        &request,
    ])?;
    let link = world.server.link().to_string();
    let join = [
        "institution",
        "terminal",
        "join",
        "--server",
        &link,
        "--institution",
        institution,
    ];
    let early = terminal.fail(&join)?;
    ensure!(early.json["error"]["code"] == "unauthenticated", "{early:?}");
    let added = hospital.run(&["institution", "terminal", "add", &request])?;
    ensure!(added.get("terminal_id") == asked.get("terminal_id"), "{added}");
    terminal.run(&join)?;
    Ok((terminal, text(&asked, "terminal_id")?))
}

/// INS-4, INS-5: patients follow the chain; both keys open while they overlap.
#[test]
fn an_institution_rotates_its_key_and_nobody_notices() -> Result<()> {
    let world = World::start()?;
    let (hospital, _) = world.institution("St. Anna")?;
    let (patient, _) = world.patient("alice")?;
    let before = ask(&patient, "St. Anna")?;
    let rotated = rotate(&world, &hospital, "second", "1h")?;
    assert_eq!(rotated["sequence"], 1);
    // Twice, so that a client has to follow more than one step at once.
    let rotated = rotate(&world, &hospital, "third", "1h")?;
    assert_eq!(rotated["sequence"], 2);
    send(&world, &hospital, &before, "under the first key")?;
    let after = ask(&patient, "St. Anna")?;
    send(&world, &hospital, &after, "under the third key")?;
    let records = patient.run(&["records"])?;
    assert_eq!(records["records"].as_array().map(Vec::len), Some(2), "{records}");
    let directory = patient.run(&["directory"])?;
    assert_eq!(directory["institutions"][0]["rotations"], 2, "{directory}");
    Ok(())
}

/// INS-6: her device wraps open permissions to the new key when it is next online; what is left stays what it was.
#[test]
fn open_permissions_are_wrapped_to_the_new_key() -> Result<()> {
    let world = World::start()?;
    let (hospital, _) = world.institution("St. Anna")?;
    let (patient, patient_id) = world.patient("alice")?;
    let asked = patient.run(&[
        "upload", "request", "--to", "St. Anna", "--text", "results", "--uses", "3",
    ])?;
    let standing = text(&asked, "permission_id")?;
    send(&world, &hospital, &standing, "before")?;
    patient.run(&["records"])?;
    let asked = hospital.run(&[
        "download",
        "request",
        "--patient",
        &patient_id,
        "--text",
        "to read",
    ])?;
    let permitted = patient.run(&["permit", &text(&asked, "request_id")?, "--all", "--uses", "2"])?;
    let reading = text(&permitted, "permission_id")?;
    rotate(&world, &hospital, "second", "1s")?;

    // Whatever she does next with the server.
    let permissions = patient.run(&["permissions"])?;
    let live: Vec<&Value> = permissions["permissions"]
        .as_array()
        .context("no permissions")?
        .iter()
        .filter(|permission| permission["state"] == "live")
        .collect();
    assert_eq!(live.len(), 2, "{permissions}");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for permission in live {
        let id = text(permission, "permission_id")?;
        assert!(id != standing && id != reading, "{permissions}");
        assert_eq!(permission["uses_left"], 2, "{permission}");
        if permission["kind"] == "upload" {
            send(&world, &hospital, &id, "after the rotation")?;
        } else {
            let out = world.path("out").display().to_string();
            hospital.run(&["download", "fetch", &id, "--out", &out])?;
        }
    }
    let records = patient.run(&["records"])?;
    assert_eq!(records["records"].as_array().map(Vec::len), Some(2), "{records}");
    // Whoever revokes the permission that she gave means the one in its place.
    patient.run(&["revoke", &standing])?;
    let permissions = patient.run(&["permissions"])?;
    let states: Vec<_> = permissions["permissions"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    assert!(
        states
            .iter()
            .all(|it| it["kind"] != "upload" || it["state"] != "live"),
        "{permissions}"
    );
    let verified = patient.run(&["history", "--verify"])?;
    assert_eq!(verified["checked"]["holds"], true, "{verified}");
    Ok(())
}

/// INS-5: after the overlap the server refuses the old key.
#[test]
fn the_old_key_ends_with_the_overlap() -> Result<()> {
    let world = World::start()?;
    let (hospital, _) = world.institution("St. Anna")?;
    let (patient, _) = world.patient("alice")?;
    let before = ask(&patient, "St. Anna")?;
    rotate(&world, &hospital, "second", "1s")?;
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let file = world.path("late.txt");
    fs::write(&file, "late")?;
    let refused = hospital.fail(&["upload", "send", &before, &file.display().to_string()])?;
    assert_eq!(refused.json["error"]["code"], "key-ended", "{refused:?}");
    Ok(())
}

/// INS-8, INS-9, INS-12: terminals ask, send and fetch; the patient sees which; a removed one is out.
#[test]
fn terminals_act_for_their_institution_until_they_are_removed() -> Result<()> {
    let world = World::start()?;
    let (hospital, id) = world.institution("St. Anna")?;
    let (patient, patient_id) = world.patient("alice")?;
    let (ward, ward_id) = terminal(&world, &hospital, &id, "Ward 3")?;
    let (office, _) = terminal(&world, &hospital, &id, "Office")?;

    let permission = ask(&patient, "St. Anna")?;
    let inbox = ward.run(&["inbox"])?;
    assert_eq!(inbox["events"][0]["text"], "please", "{inbox}");
    send(&world, &ward, &permission, "from the ward")?;
    let records = patient.run(&["records"])?;
    assert_eq!(records["records"][0]["from_name"], "St. Anna", "{records}");
    let history = patient.run(&["history"])?;
    let presented = history["history"]
        .as_array()
        .and_then(|entries| entries.iter().find(|entry| entry["kind"] == "presented"))
        .context("no presentation in the history")?;
    assert_eq!(
        (&presented["terminal"], &presented["verified"]),
        (&"Ward 3".into(), &true.into())
    );

    let asked = ward.run(&[
        "download",
        "request",
        "--patient",
        &patient_id,
        "--text",
        "to read",
    ])?;
    let permitted = patient.run(&["permit", &text(&asked, "request_id")?, "--all", "--uses", "3"])?;
    let permission = text(&permitted, "permission_id")?;
    let out = world.path("out").display().to_string();
    ward.run(&["download", "fetch", &permission, "--out", &out])?;

    // A terminal does not decide for the institution.
    let refused = ward.fail(&["institution", "terminal", "remove", &ward_id])?;
    assert_eq!(refused.json["error"]["code"], "usage", "{refused:?}");
    hospital.run(&["institution", "terminal", "remove", &ward_id])?;
    let refused = ward.fail(&["inbox"])?;
    assert_eq!(refused.json["error"]["code"], "terminal-removed", "{refused:?}");
    let listed = hospital.run(&["institution", "terminal", "list"])?;
    let removed = listed["terminals"]
        .as_array()
        .map(|all| all.iter().filter(|it| it["removed"].is_string()).count());
    assert_eq!(removed, Some(1), "{listed}");

    // Those that go on get the new key.
    let rotated = rotate(&world, &hospital, "second", "1h")?;
    assert_eq!(rotated["terminals"], 1, "{rotated}");
    let permission = ask(&patient, "St. Anna")?;
    send(&world, &office, &permission, "from the office, under the new key")?;
    Ok(())
}

/// INS-12: a server that keeps a removal from the institution would have its next key sealed to whoever was removed.
#[test]
fn a_removal_is_not_forgotten_when_the_server_leaves_it_out() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (hospital, id) = world.institution("St. Anna")?;
    let (_, ward_id) = terminal(&world, &hospital, &id, "Ward 3")?;
    hospital.run(&["institution", "terminal", "remove", &ward_id])?;
    liar.tell_of("/v1/institutions/terminals?", |mut page: pb::TerminalPage| {
        page.terminals
            .iter_mut()
            .for_each(|terminal| terminal.removal = None);
        page
    });
    let refused = hospital.fail(&["institution", "terminal", "list"])?;
    assert_eq!(refused.json["error"]["code"], "tampered", "{refused:?}");
    assert!(
        rotate(&world, &hospital, "second", "1h").is_err(),
        "the new key was sealed to it"
    );
    liar.be_honest();
    let rotated = rotate(&world, &hospital, "third", "1h")?;
    assert_eq!(rotated["terminals"], 0, "{rotated}");
    Ok(())
}

/// INS-13, INS-14
#[test]
fn a_retired_institution_is_shown_as_such_and_nothing_is_sealed_to_it() -> Result<()> {
    let world = World::start()?;
    let (hospital, _) = world.institution("St. Anna")?;
    let (patient, _) = world.patient("alice")?;
    ask(&patient, "St. Anna")?;
    hospital.run(&["institution", "retire", "--yes"])?;
    // The answer may have been lost.
    hospital.run(&["institution", "retire", "--yes"])?;
    let directory = patient.run(&["directory"])?;
    assert_eq!(directory["institutions"][0]["retired"], true, "{directory}");
    let refused = patient.fail(&["upload", "request", "--to", "St. Anna", "--text", "please"])?;
    assert_eq!(
        refused.json["error"]["code"], "institution-retired",
        "{refused:?}"
    );
    let refused = hospital.fail(&["inbox"])?;
    assert_eq!(
        refused.json["error"]["code"], "institution-retired",
        "{refused:?}"
    );
    Ok(())
}

/// An institution whose keys never leave a store: everything goes through it, and its refusal is named.
#[tokio::test(flavor = "multi_thread")]
async fn an_institution_works_with_keys_in_a_store_of_its_own() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("alice")?;
    let store = Arc::new(KeyStoreDouble::new(Arc::new(OperatingSystem))?);
    let keys: Arc<dyn KeyStore> = store.clone();
    let home = world.path("hsm");
    let (_, request) = Institution::request_with(&home, keys.clone(), "St. Anna")?;
    let (file, accreditation) = (world.path("hsm.request"), world.path("hsm.accreditation"));
    fs::write(&file, request)?;
    world.registrar.run(&[
        "registrar",
        "accredit",
        &file.display().to_string(),
        "--out",
        &accreditation.display().to_string(),
    ])?;
    let link = world.server.link().clone();
    Institution::enrol_with(&home, keys.clone(), &link, &fs::read(&accreditation)?).await?;
    ensure!(!home.join("secrets.sealed").exists(), "the home keeps no secret");

    let permission = ask(&patient, "St. Anna")?.parse()?;
    let hospital = Institution::open_with(&home, keys.clone())?;
    let source = world.path("result.txt");
    fs::write(&source, "HbA1c 7.4 %")?;
    let opened = store.opened();
    hospital
        .send_upload(permission, std::slice::from_ref(&source), &())
        .await?;
    ensure!(
        store.opened() > opened,
        "the permission key is opened by the store"
    );

    store.refuse(true);
    let permission = ask(&patient, "St. Anna")?.parse()?;
    let refused = hospital.send_upload(permission, &[source], &()).await;
    ensure!(matches!(refused, Err(Error::KeyStore(_))), "{refused:?}");
    store.refuse(false);
    let other: Arc<dyn KeyStore> = Arc::new(KeyStoreDouble::new(Arc::new(OperatingSystem))?);
    ensure!(matches!(
        Institution::open_with(&home, other),
        Err(Error::Usage(_))
    ));
    Ok(())
}
