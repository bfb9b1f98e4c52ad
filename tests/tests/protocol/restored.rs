//! The newest data are lost, and the server goes on with an older copy of them (spec/restoration.md): what operator, registrar, witness,
//! hospital and patient do, and what nobody can do by it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context, Result, bail, ensure};
use crypto::{OperatingSystem, SigningIdentity};
use prost::Message;
use protocol_spec::{bodies::Restoration, defence::Defence, messages as pb, statement::Signed};
use serde_json::Value;
use tests::{
    attack::play,
    harness::{Cli, text, with_defences_off},
};

use super::{
    devices::link,
    flows::{array, upload},
    old_copy::{OldCopy, Scene, WITHOUT_WITNESSES},
    witnesses::copy,
};

const ACCEPT: &[&str] = &["server", "accept-restoration"];

/// `vault-server restoration …` on the data of a server that is stopped.
fn operator(old: &OldCopy, off: &[Defence], args: &[&str]) -> Result<Output> {
    let mut command = with_defences_off("vault-server", off)?;
    let (step, rest) = args.split_first().context("a step")?;
    command.args(["restoration", step, "--data"]);
    command.arg(old.scene.world.server.data()).args(rest);
    Ok(command.output()?)
}

fn done(output: &Output) -> Result<String> {
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What the registrar is to sign.
fn prepared(old: &OldCopy, name: &str) -> Result<PathBuf> {
    let ask = old.scene.world.path(name);
    let out = ask.display().to_string();
    done(&operator(old, &[], &["prepare", "--out", &out])?)?;
    Ok(ask)
}

fn agreed(old: &OldCopy, ask: &Path) -> Result<PathBuf> {
    let signed = ask.with_extension("signed");
    let (ask, out) = (ask.display().to_string(), signed.display().to_string());
    let world = &old.scene.world;
    world
        .registrar
        .run(&["registrar", "restore", &ask, "--out", &out])?;
    Ok(signed)
}

/// Takes the file in; the log's new key.
fn begun(old: &OldCopy, off: &[Defence], file: &Path) -> Result<String> {
    let said = done(&operator(old, off, &["begin", &file.display().to_string()])?)?;
    let log = said.lines().find_map(|line| line.strip_prefix("log: "));
    Ok(log.context(said.clone())?.to_owned())
}

/// All of it, with the registrar; the server does not run yet.
fn restore(old: &mut OldCopy, name: &str) -> Result<()> {
    let file = agreed(old, &prepared(old, name)?)?;
    let log = begun(old, &[], &file)?;
    ensure!(log.contains("/2+"), "{log}");
    old.scene.witness.kill()?;
    old.scene.witness.restart_knowing(&log)
}

fn code(by: &Cli, command: &[&str]) -> Result<String> {
    text(&by.fail(command)?.json["error"], "code")
}

fn is(answer: &Value, field: &str, ids: &[&str]) -> Result<()> {
    let listed = array(&answer["vault"], field)?;
    let same = listed.iter().map(Value::as_str).eq(ids.iter().copied().map(Some));
    ensure!(same, "{field}: {answer}");
    Ok(())
}

/// RST-1, RST-3, RST-4, RST-5, RST-6, RST-7, RST-8, RST-9: an honest restoration. Everybody is told and goes on; what she had taken back stays taken back.
#[test]
fn everybody_goes_on_with_what_is_left() -> Result<()> {
    let mut old = Scene::set(&[])?.with_policies()?.set_back()?;
    let file = agreed(&old, &prepared(&old, "restoration")?)?;
    // As it was signed, and not as the data are once something has come.
    old.scene.world.server.restart()?;
    ensure!(old.ready()?.contains("503"));
    old.scene.world.server.stop()?;
    let log = begun(&old, &[], &file)?;
    ensure!(begun(&old, &[], &file)? == log, "the same again changes nothing");
    old.scene.witness.kill()?;
    old.scene.witness.restart_knowing(&log)?;
    old.scene.world.server.restart()?;
    ensure!(old.ready()?.contains("200"), "{}", old.ready()?);

    let (patient, hospital, mother) = (&old.scene.patient, &old.scene.hospital, &old.scene.mother);
    let (permission, other) = (&old.scene.permission, &old.scene.other);
    // Nobody goes on without being told.
    ensure!(code(patient, &["records"])? == "log-restored");
    ensure!(old.scene.fetch(hospital, other)? == Err("log-restored".to_owned()));
    let told = hospital.run(ACCEPT)?;
    ensure!(told["generation"] == 2 && told["already"] == false, "{told}");
    ensure!(told["lost_seen"].is_u64() && told["vault"].is_null(), "{told}");
    ensure!(hospital.run(ACCEPT)?["already"] == true);
    mother.run(ACCEPT)?;
    // Before she is back nothing moves, also not what she never took back.
    for permission in [permission, other] {
        ensure!(old.scene.fetch(hospital, permission)? == Err("restored".to_owned()));
    }
    ensure!(old.scene.read_as_delegate(mother)? == Err("restored".to_owned()));

    let told = patient.run(ACCEPT)?;
    ensure!(told["lost_seen"].as_u64() > Some(0), "{told}");
    is(&told, "lost_revocations", &[permission])?;
    is(&told, "revoked_again", &[permission])?;
    is(&told, "lost_delegation_ends", &[&old.scene.delegation])?;
    is(&told, "ended_again", &[&old.scene.delegation])?;
    is(&told, "lost_permissions", &[])?;
    let again = patient.run(ACCEPT)?;
    ensure!(again["already"] == true, "{again}");
    is(&again, "revoked_again", &[])?;
    is(&again, "lost_revocations", &[permission])?;

    ensure!(old.scene.fetch(hospital, permission)? == Err("permission-revoked".to_owned()));
    ensure!(old.scene.fetch(hospital, other)? == Ok(()));
    let ended = old.scene.read_as_delegate(mother)?;
    ensure!(ended == Err("delegation-ended".to_owned()), "{ended:?}");
    let file = old.scene.world.path("next.txt");
    fs::write(&file, "HbA1c 6.9 %")?;
    upload(patient, hospital, "St. Anna", &file.display().to_string())?;
    ensure!(array(&patient.run(&["records"])?, "records")?.len() == 2);
    patient.run(&["history", "--verify"])?;
    hospital.run(&["directory", "audit"])?;
    // Whoever comes later has nothing to accept.
    let (later, _) = old.scene.world.patient("later")?;
    later.run(&["records"])?;
    ensure!(code(&later, ACCEPT)? == "usage");
    Ok(())
}

/// ATK-100, RST-2, RST-5: the operator puts an old copy back and signs the restoration alone. No client goes on with it.
#[test]
fn an_operator_alone_restores_nothing() -> Result<()> {
    let mut old = Scene::set(&[])?.set_back()?;
    let ask = prepared(&old, "restoration")?;
    let mut file: pb::RestorationFile = protocol_spec::messages::decode(&fs::read(&ask)?)?;
    let body = Signed::<Restoration>::try_from(file.by_operator.clone())?;
    let thief = SigningIdentity::generate(&OperatingSystem)?;
    let signed = Signed::sign(body.claimed().clone(), |message| thief.sign_bytes(message));
    file.by_registrar = Some(signed.to_message());
    let forged = old.scene.world.path("forged");
    fs::write(&forged, file.encode_to_vec())?;
    // Its own program refuses that; one that does not looks is soon made.
    let refused = operator(&old, &[], &["begin", &forged.display().to_string()])?;
    ensure!(!refused.status.success(), "{refused:?}");
    begun(&old, &[Defence::RestorationRegistrar], &forged)?;
    old.scene.world.server.restart_with(WITHOUT_WITNESSES)?;
    play(&[Defence::RestorationRegistrar], |off| {
        let hospital = match off {
            [] => old.scene.hospital.clone(),
            off => old.scene.hospital.without(off),
        };
        let output = hospital.command(ACCEPT)?.output()?;
        if output.status.success() {
            return Ok(true);
        }
        ensure!(code(&hospital, ACCEPT)? == "tampered");
        Ok(false)
    })
}

/// ATK-101, RST-8: an institution that was away holds a permission that was revoked since the copy. It goes on with the restored server
/// before the patient does.
#[test]
fn nothing_moves_before_she_is_back() -> Result<()> {
    play(&[Defence::RestoredHold], |off| {
        let mut old = Scene::set(off)?.set_back()?;
        restore(&mut old, "restoration")?;
        old.scene.world.server.restart()?;
        old.scene.hospital.run(ACCEPT)?;
        match old.scene.fetch(&old.scene.hospital, &old.scene.permission)? {
            Ok(()) => Ok(true),
            Err(code) if code == "restored" => {
                // A revocation needs no restoration (REV-11), and nothing else is done by it.
                let refused = old.scene.patient.fail(&["revoke", &old.scene.other])?;
                ensure!(refused.text.contains("is revoked"), "{refused:?}");
                let other = old.scene.fetch(&old.scene.hospital, &old.scene.other)?;
                ensure!(other == Err("permission-revoked".to_owned()), "{other:?}");
                let first = old.scene.fetch(&old.scene.hospital, &old.scene.permission)?;
                ensure!(first == Err("restored".to_owned()), "{first:?}");
                Ok(false)
            }
            Err(code) => bail!("refused otherwise: {code}"),
        }
    })
}

/// RST-6: who has gone on does not go back, whatever the older log has.
#[test]
fn a_generation_is_never_gone_back_from() -> Result<()> {
    let mut old = Scene::set(&[])?.set_back()?;
    restore(&mut old, "restoration")?;
    old.scene.world.server.restart()?;
    old.scene.hospital.run(ACCEPT)?;
    old.scene.world.server.stop()?;
    let data = old.scene.world.server.data().to_owned();
    fs::remove_dir_all(&data)?;
    fs::rename(&old.newest, &data)?;
    old.scene.world.server.restart()?;
    ensure!(code(&old.scene.hospital, &["directory", "audit"])? == "older-log");
    ensure!(code(&old.scene.hospital, ACCEPT)? == "older-log");
    // Who has not gone on has nothing against the log of before.
    old.scene.patient.run(&["records"])?;
    Ok(())
}

/// RST-6, RST-3, LOG-4: the registrar was had sign twice. Who has one restoration refuses the other, and has the proof.
#[test]
fn two_restorations_of_one_generation_are_a_fork() -> Result<()> {
    let mut old = Scene::set(&[])?.set_back()?;
    let (data, again) = (
        old.scene.world.server.data().to_owned(),
        old.scene.world.path("again"),
    );
    copy(&data, &again)?;
    let first = agreed(&old, &prepared(&old, "first")?)?;
    begun(&old, &[], &first)?;
    old.scene.world.server.restart_with(WITHOUT_WITNESSES)?;
    old.scene.hospital.run(ACCEPT)?;
    old.scene.world.server.stop()?;
    fs::remove_dir_all(&data)?;
    fs::rename(&again, &data)?;
    let ask = prepared(&old, "second")?;
    let (asked, second) = (ask.display().to_string(), ask.with_extension("signed"));
    let out = second.display().to_string();
    let registrar = &old.scene.world.registrar;
    let restore = ["registrar", "restore", &asked, "--out", &out];
    ensure!(registrar.fail(&restore)?.text.contains("--again"));
    registrar.run(&[&restore[..], &["--again"]].concat())?;
    begun(&old, &[], &second)?;
    old.scene.world.server.restart()?;
    ensure!(code(&old.scene.hospital, &["directory", "audit"])? == "log-conflict");
    for note in ["log-conflict.older", "log-conflict.newer"] {
        let note = fs::read_to_string(old.scene.hospital.home().join(note))?;
        ensure!(
            note.lines().next().is_some_and(|origin| origin.ends_with("/2")),
            "{note}"
        );
    }
    // A witness that has cosigned one of them contradicts the other; the patient, who comes now, is told of the second.
    old.scene.patient.run(ACCEPT)?;
    Ok(())
}

/// RST-10: the list of devices was changed since. The vault stays shut, and what was revoked is revoked again.
#[test]
fn a_list_of_devices_that_was_lost_keeps_the_vault_shut() -> Result<()> {
    let mut old = Scene::set(&[])?.set_back_after(|scene| {
        let listed = scene.patient.run(&["device", "list"])?;
        let device = text(&array(&listed, "devices")?[0], "device_id")?;
        scene.patient.run(&["device", "name", &device, "phone"])?;
        Ok(())
    })?;
    restore(&mut old, "restoration")?;
    old.scene.world.server.restart()?;
    old.scene.hospital.run(ACCEPT)?;
    let refused = old.scene.patient.fail(ACCEPT)?;
    ensure!(refused.text.contains("list of devices"), "{refused:?}");
    ensure!(code(&old.scene.patient, &["records"])? == "log-restored");
    let revoked = old.scene.fetch(&old.scene.hospital, &old.scene.permission)?;
    ensure!(revoked == Err("permission-revoked".to_owned()), "{revoked:?}");
    let other = old.scene.fetch(&old.scene.hospital, &old.scene.other)?;
    ensure!(other == Err("restored".to_owned()), "{other:?}");
    Ok(())
}

/// RST-9, RST-10: a device that has seen nothing of a revocation comes first, and her vault moves again. The one that has revoked does it
/// again when it comes.
#[test]
fn each_device_takes_back_what_it_has_seen_taken_back() -> Result<()> {
    let scene = Scene::set(&[])?;
    let phone = link(&scene.world, &scene.patient, "phone")?;
    phone.run(&["records"])?;
    let mut old = scene.set_back()?;
    restore(&mut old, "restoration")?;
    old.scene.world.server.restart()?;
    old.scene.hospital.run(ACCEPT)?;
    let told = phone.run(ACCEPT)?;
    is(&told, "lost_revocations", &[])?;
    let (hospital, permission) = (old.scene.hospital.clone(), old.scene.permission.clone());
    ensure!(
        old.scene.fetch(&hospital, &permission)? == Ok(()),
        "nobody here knows of it"
    );
    let told = old.scene.patient.run(ACCEPT)?;
    is(&told, "revoked_again", &[&permission])?;
    ensure!(old.scene.fetch(&hospital, &permission)? == Err("permission-revoked".to_owned()));
    for device in [&phone, &old.scene.patient] {
        device.run(&["history", "--verify"])?;
    }
    Ok(())
}
