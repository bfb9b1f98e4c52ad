//! A home is what it was when it was left, whoever could write into its folder meanwhile (KEY-19), by the real programs.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use protocol_spec::defence::Defence;
use serde_json::Value;
use tests::{
    attack::play,
    harness::{Cli, World, kept, private_folder},
};
use walkdir::WalkDir;

use super::collections::Scene;

/// Whether a command goes on; if it does not, it must say why and what to do.
fn goes_on(who: &Cli, args: &[&str]) -> Result<bool> {
    let output = who.command(args)?.output()?;
    if output.status.success() {
        return Ok(true);
    }
    let said: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    ensure!(said["error"]["code"] == "home-altered", "{said}");
    let message = said["error"]["message"].as_str().unwrap_or_default();
    ensure!(
        message.contains("restore the whole folder from a backup"),
        "{message}"
    );
    Ok(false)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    drop(fs::remove_dir_all(to));
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let path = to.join(entry.path().strip_prefix(from)?);
        match entry.file_type().is_dir() {
            true => private_folder(&path)?,
            false => drop(fs::copy(entry.path(), path)?),
        }
    }
    Ok(())
}

/// KEY-19, ATK-68: a home that was pointed at another server and registrar, without its passphrase, trusts neither. Without the
/// seal, that registrar's hospital is shown as verified.
#[test]
fn a_home_that_was_pointed_at_another_server_does_not_open() -> Result<()> {
    play(&[Defence::HomeSeal], |off| {
        let (world, theirs) = (World::start()?, World::start()?);
        world.institution("St. Anna")?;
        let (patient, _) = world.patient("alice")?;
        patient.run(&["directory"])?;
        let (_, false_hospital) = theirs.institution("St. Anna")?;
        let (thief, _) = theirs.patient("thief")?;
        let mut principal: Value = serde_json::from_slice(&kept(patient.home(), "principal.json")?)?;
        let elsewhere: Value = serde_json::from_slice(&kept(thief.home(), "principal.json")?)?;
        principal["server"] = elsewhere["server"].clone();
        fs::write(patient.home().join("principal.json"), principal.to_string())?;
        for cache in [
            "directory.events",
            "directory.checkpoint",
            "log.checkpoint",
            "log-pending.json",
        ] {
            drop(fs::remove_file(patient.home().join(cache)));
        }
        let who = patient.without(off);
        if !goes_on(&who, &["directory"])? {
            return Ok(false);
        }
        let shown = who.run(&["directory"])?;
        ensure!(
            shown["institutions"][0]["institution_id"] == false_hospital.as_str(),
            "{shown}"
        );
        Ok(true)
    })
}

/// KEY-19, ATK-69: what a device or a hospital has seen is not forgotten because its file is gone.
#[test]
fn files_that_were_removed_are_missed() -> Result<()> {
    let scene = lived()?;
    play(&[Defence::HomeSeal], |off| {
        let of_the_patient = [
            "home.seal",
            "vault.acts",
            "log.checkpoint",
            "log.read",
            "met.book",
            "epochs.book",
            "placements.json",
            "history.json",
            "directory.checkpoint",
        ];
        let of_the_clinic = ["home.seal", "log.checkpoint", "met.book", "used.book"];
        let patients = all_go_on(&scene, &scene.patient.without(off), &of_the_patient, |_, path| {
            Ok(fs::remove_file(path)?)
        })?;
        let clinics = all_go_on(&scene, &scene.clinic.without(off), &of_the_clinic, |_, path| {
            Ok(fs::remove_file(path)?)
        })?;
        ensure!(patients == clinics, "one side only");
        Ok(patients)
    })
}

/// KEY-19, ATK-69: nor because an older one was put back.
#[test]
fn files_that_were_set_back_are_missed() -> Result<()> {
    let scene = lived()?;
    let before = scene.world.path("before");
    copy(scene.patient.home(), &before)?;
    let clinics_before = scene.world.path("clinics-before");
    copy(scene.clinic.home(), &clinics_before)?;
    live_on(&scene)?;
    play(&[Defence::HomeSeal], |off| {
        let put_back = |before: &Path, name: &str, path: &Path| -> Result<()> {
            let old = fs::read(before.join(name))?;
            ensure!(old != fs::read(path)?, "{name} has not changed since");
            Ok(fs::write(path, old)?)
        };
        let of_the_patient = [
            "home.seal",
            "vault.acts",
            "log.checkpoint",
            "met.book",
            "placements.json",
        ];
        let patients = all_go_on(
            &scene,
            &scene.patient.without(off),
            &of_the_patient,
            |name, path| put_back(&before, name, path),
        )?;
        // Its seal alone takes nothing back: each file is still at least as new as that one says.
        let of_the_clinic = ["log.checkpoint", "met.book", "used.book"];
        let clinics = all_go_on(
            &scene,
            &scene.clinic.without(off),
            &of_the_clinic,
            |name, path| put_back(&clinics_before, name, path),
        )?;
        ensure!(patients == clinics, "one side only");
        Ok(patients)
    })
}

/// KEY-19: who asks for witnesses is not made to forget that.
#[test]
fn a_policy_that_was_taken_away_is_missed() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("alice")?;
    let policy = world.path("none.policy");
    fs::write(&policy, "quorum none\n")?;
    let shown = patient.run(&["witnesses", "show"])?;
    ensure!(shown["required"] == false, "{shown}");
    patient.run(&["witnesses", "use", &policy.display().to_string()])?;
    fs::remove_file(patient.home().join("witness.policy"))?;
    ensure!(!goes_on(&patient, &["directory"])?, "the policy is gone");
    Ok(())
}

/// KEY-19: an honest home passes, whatever has been done in it; what a power cut has torn off the end of a book is no accusation.
#[test]
fn an_honest_home_is_what_it_was() -> Result<()> {
    let scene = lived()?;
    for who in [
        &scene.patient,
        &scene.practice,
        &scene.clinic,
        &scene.world.registrar,
    ] {
        let checked = who.run(&["home", "check"])?;
        ensure!(checked["files"].as_u64() >= Some(2), "{checked}");
    }
    for (who, book) in [
        (&scene.patient, "met.book"),
        (&scene.patient, "vault.acts"),
        (&scene.clinic, "used.book"),
    ] {
        let path = who.home().join(book);
        let torn = [&fs::read(&path)?[..], &[0; 100]].concat();
        fs::write(&path, torn)?;
        ensure!(
            goes_on(who, &["inbox"])? && goes_on(who, &["home", "check"])?,
            "{book}"
        );
    }
    live_on(&scene)
}

/// A vault with a record that a clinic has read, whose history was looked at.
fn lived() -> Result<Scene> {
    let scene = Scene::set()?;
    scene.record("the blood test")?;
    let permission = scene.permit("default", &[])?;
    scene.fetch(&permission)?;
    scene.patient.run(&["history", "--verify"])?;
    Ok(scene)
}

/// More of the same, and a revocation.
fn live_on(scene: &Scene) -> Result<()> {
    scene.record("a second test")?;
    let permission = scene.permit("default", &[])?;
    scene.fetch(&permission)?;
    scene.patient.run(&["revoke", &permission])?;
    scene.patient.run(&["history", "--verify"])?;
    Ok(())
}

/// Whether commands go on after each of these files was changed; either all do, or none.
fn all_go_on(
    scene: &Scene,
    who: &Cli,
    names: &[&str],
    change: impl Fn(&str, &Path) -> Result<()>,
) -> Result<bool> {
    let whole = scene.world.path("whole");
    copy(who.home(), &whole)?;
    let mut went = Vec::new();
    for name in names {
        change(name, &who.home().join(name)).with_context(|| (*name).to_owned())?;
        went.push(goes_on(who, &["inbox"])?);
        copy(&whole, who.home())?;
    }
    let all = went.iter().all(|went| *went);
    ensure!(
        all || went.iter().all(|went| !*went),
        "some go on: {names:?} {went:?}"
    );
    Ok(all)
}
