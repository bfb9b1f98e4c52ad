//! Content sealed anew after a revocation: by the real programs, and by an institution that has kept its keys.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use protocol_spec::{
    collection::Collection,
    defence::Defence,
    ids::{CollectionId, VersionId},
    messages as pb,
    permission::RecordSelector,
    problem::Problem,
};
use serde_json::Value;
use tests::{
    attack::play_async,
    harness::text,
    raw::{Answer, RawPatient, RawWorld, defended, now_ms, random},
};

use super::collections::{Scene, contents, set};

/// The ids in a list of a command's answer.
fn ids(said: &Value, list: &str) -> Vec<String> {
    let all = said[list].as_array().into_iter().flatten();
    let id = |one: &Value| {
        one.as_str()
            .or_else(|| one["record_id"].as_str())
            .map(str::to_owned)
    };
    let mut ids: Vec<_> = all.filter_map(id).collect();
    ids.sort();
    ids
}

fn sorted(ids: &[&String]) -> Vec<String> {
    let mut ids: Vec<_> = ids.iter().map(|&id| id.clone()).collect();
    ids.sort();
    ids
}

/// REV-8, REV-10, CNT-16: what was received, made or is permitted stays; the rest opens by new keys, for everybody who may.
#[test]
fn what_was_not_received_lies_under_other_keys() -> Result<()> {
    let mut scene = Scene::set()?;
    let (laboratory, _) = scene.world.institution("Laboratory")?;
    let (heart, skin) = (scene.record("heart")?, scene.record("skin")?);
    let permission = scene.permit("default", &[])?;
    scene.fetch(&permission)?;
    let scan_content = "scan ".repeat(700_000);
    let (later, scan, named) = (
        scene.record("later")?,
        scene.record_of("scan", &scan_content)?,
        scene.record("named")?,
    );
    let own = scene.record_by(&scene.clinic, "Clinic", "own")?;
    let request = scene.request_by(&laboratory)?;
    let list = ["permit", &request, "--record", &named, "--uses", "2"];
    let list = text(&scene.patient.run(&list)?, "permission_id")?;
    let file = scene.world.path("revoked.pb").display().to_string();
    let revoke = ["revoke", &permission, "--reseal", "--certificate", &file];
    let said = scene.patient.run(&revoke)?;
    assert_eq!(ids(&said, "sealed_anew"), sorted(&[&later, &scan]), "{said}");
    assert_eq!(
        ids(&said, "kept"),
        sorted(&[&heart, &skin, &named, &own]),
        "{said}"
    );
    let why = |record: &str| {
        let all = said["kept"].as_array().into_iter().flatten();
        let kept = all.clone().find(|kept| kept["record_id"] == record);
        kept.map(|kept| (kept["why"].clone(), kept["permission_id"].clone()))
    };
    assert_eq!(why(&heart), Some(("received".into(), Value::Null)));
    assert_eq!(why(&own), Some(("its-own".into(), Value::Null)));
    assert_eq!(why(&named), Some(("permitted".into(), list.as_str().into())));
    assert_eq!(ids(&said, "resealed"), sorted(&[&later, &scan]), "{said}");

    // She reads them as before, and so does whoever may; who made them stands as before.
    let out = scene.world.path("own");
    for record in [&later, &scan, &heart] {
        scene
            .patient
            .run(&["records", "get", record, "--out", &out.display().to_string()])?;
    }
    assert_eq!(contents(&out)?, set(&["heart", "later", &scan_content]));
    let fresh = scene.permit_to(&laboratory, "default", &[])?;
    let all = ["heart", "skin", "later", "named", "own", &scan_content];
    assert_eq!(scene.fetch_by(&laboratory, &fresh)?, set(&all));
    let checked = scene.patient.run(&["history", "--verify"])?;
    let events = checked["history"].as_array().into_iter().flatten();
    assert_eq!(
        events.filter(|event| event["kind"] == "resealed").count(),
        2,
        "{checked}"
    );

    // Again: nothing is left to do, until what stood in the way is gone.
    fs::remove_file(&file)?;
    let said = scene.patient.run(&revoke)?;
    assert_eq!(ids(&said, "sealed_anew"), Vec::<String>::new(), "{said}");
    assert_eq!(ids(&said, "resealed"), sorted(&[&later, &scan]), "{said}");
    scene.patient.run(&["revoke", &list])?;
    fs::remove_file(&file)?;
    let said = scene.patient.run(&revoke)?;
    assert_eq!(ids(&said, "sealed_anew"), sorted(&[&named]), "{said}");
    let read = [&heart, &skin, &own].map(|record| record.as_str());
    assert_eq!(
        ids(&said, "kept"),
        sorted(&[&heart, &skin, &own]),
        "{said}, {read:?}"
    );

    // Whoever is shown the certificate finds the receipts in it.
    let link = scene.world.server.link().to_string();
    scene.world.server.stop()?;
    let told = scene.patient.run(&["certificate", &file, "--server", &link])?;
    assert_eq!(ids(&told, "resealed"), sorted(&[&later, &scan, &named]), "{told}");
    Ok(())
}

/// REV-9: one that is killed over and over loses nothing, and comes to its end.
#[test]
fn sealing_anew_that_is_killed_is_taken_up_again() -> Result<()> {
    let scene = Scene::set()?;
    scene.record("first")?;
    let permission = scene.permit("default", &[])?;
    let names = ["a", "b", "c", "d"];
    for name in names {
        scene.record(name)?;
    }
    let mut broken = 0;
    for millis in (20..300).step_by(20) {
        let mut child = scene.patient.spawn(&["revoke", &permission, "--reseal"])?;
        std::thread::sleep(Duration::from_millis(millis));
        child.kill()?;
        if child.wait()?.success() {
            break;
        }
        broken += 1;
    }
    ensure!(broken > 2, "only {broken} times");
    let said = scene.patient.run(&["revoke", &permission, "--reseal"])?;
    assert_eq!(ids(&said, "resealed").len(), names.len() + 1, "{said}");
    let next = scene.permit("default", &[])?;
    assert_eq!(scene.fetch(&next)?, set(&["a", "b", "c", "d", "first"]));
    scene.patient.run(&["history", "--verify"])?;
    Ok(())
}

/// A placed record, and the bytes of its stream.
async fn placed(world: &RawWorld) -> Result<(RawPatient, Collection, RecordSelector, Vec<u8>)> {
    let wire = &world.wire;
    let patient = RawPatient::enrol(wire).await?;
    let hospital = world.institution("Hospital North").await?;
    let collection = Collection {
        id: CollectionId::mint(now_ms(), random()?),
        epoch: 0,
    };
    patient.put_collection(wire, collection).await?;
    let record = hospital.upload(wire, &patient, 1_000).await?;
    patient.place(wire, &record, collection, 1).await?;
    let answer = leaves(world, &patient, record.version_id).await?;
    ensure!(answer.status.is_success(), "{answer:?}");
    Ok((patient, collection, record, answer.body.to_vec()))
}

async fn leaves(world: &RawWorld, patient: &RawPatient, version: VersionId) -> Result<Answer> {
    let path = format!("/v1/vault/records/{version}/leaves?first=0&count=1");
    patient.get(&world.wire, &path).await
}

/// REV-9: the old version is not handed out any more, to nobody.
#[tokio::test]
async fn the_old_version_is_not_handed_out() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (patient, collection, record, _) = placed(world).await?;
        let version = VersionId::mint(now_ms(), random()?);
        patient
            .reseal(&world.wire, &record, (version, 2), collection)
            .await?
            .message::<pb::Receipt>()?;
        let new = leaves(world, &patient, version).await?;
        ensure!(new.status.is_success(), "{new:?}");
        leaves(world, &patient, record.version_id).await
    };
    defended(&[Defence::ReplacedVersions], Problem::NotPermitted, attack).await
}

/// REV-9, ATK-43: after the next sweep, no file of the store holds what the institution has the key of.
#[tokio::test]
async fn the_old_version_is_in_no_file_of_the_store() -> Result<()> {
    let attack = async |off: &[Defence]| -> Result<bool> {
        let mut world = RawWorld::start_with(&["--sweep-interval", "200ms"], off).await?;
        let (patient, collection, record, stream) = placed(&world).await?;
        let version = VersionId::mint(now_ms(), random()?);
        patient
            .reseal(&world.wire, &record, (version, 2), collection)
            .await?
            .message::<pb::Receipt>()?;
        let needle = stream.get(100..612).context("too short")?.to_vec();
        // The control has all of the time to destroy it.
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            if !world
                .found_in_files(std::slice::from_ref(&needle))?
                .contains(&true)
            {
                break;
            }
        }
        world.server.stop()?;
        Ok(world.found_in_files(&[needle])?.contains(&true))
    };
    play_async(&[Defence::ReplacedVersions], attack).await
}
