//! The case of a permission, exported by the patient and checked by whoever was not there.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{World, text};

use super::collections::Scene;

fn kinds(case: &Value) -> Vec<String> {
    let events = case["events"].as_array().into_iter().flatten();
    events
        .filter_map(|event| event["kind"].as_str().map(str::to_owned))
        .collect()
}

/// CAS-1 to CAS-6, ATK-37: with the server gone, the file and the link show who did what.
#[test]
fn a_case_is_checked_with_the_link_alone() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.record("heart")?;
    let permission = scene.permit("default", &[])?;
    scene.fetch(&permission)?;
    scene.fetch(&permission)?;
    scene.patient.run(&["revoke", &permission])?;
    let file = scene.world.path("case.pb").display().to_string();
    let export = ["history", "--export", &file, "--permission", &permission];
    let said = scene.patient.run(&export)?;
    // Never over a file that is there.
    scene.patient.fail(&export)?;
    let link = scene.world.server.link().to_string();
    scene.world.server.stop()?;

    let told = scene.clinic.run(&["verify", &file, "--server", &link])?;
    assert_eq!(told["permission_id"], permission.as_str());
    assert_eq!(told["name"], "Clinic");
    assert_eq!(told["asked_by"], "Clinic");
    let expected = [
        "requested",
        "permitted",
        "presented",
        "released",
        "presented",
        "released",
        "revoked",
    ];
    assert_eq!(kinds(&told), expected, "{told}");
    assert_eq!(told["events"], said["events"]);
    let released = told["events"][3].clone();
    assert_eq!(released["records"].as_array().map(Vec::len), Some(1), "{told}");
    ensure!(released["log_size"].as_u64() > Some(0), "{told}");

    // Another server's link does not fit, and no changed byte goes unnoticed.
    let other = World::start()?.server.link().to_string();
    let refused = scene.clinic.fail(&["verify", &file, "--server", &other])?;
    ensure!(refused.text.contains("link"), "{refused:?}");
    let mut bytes = fs::read(&file)?;
    let signed = |case: &Value| {
        let mut case = case.clone();
        for event in case["events"].as_array_mut().into_iter().flatten() {
            // Numbers of entries are nobody's statement.
            event["number"] = Value::Null;
        }
        case
    };
    for at in (0..bytes.len()).step_by(991) {
        let byte = bytes.get_mut(at).context("no byte")?;
        *byte ^= 1;
        fs::write(&file, &bytes)?;
        if let Ok(changed) = scene.clinic.run(&["verify", &file, "--server", &link]) {
            assert_eq!(signed(&changed), signed(&told), "byte {at}");
        }
        *bytes.get_mut(at).context("no byte")? ^= 1;
    }
    Ok(())
}

/// An upload's case, told by the patient's own request.
#[test]
fn an_upload_has_its_case_too() -> Result<()> {
    let scene = Scene::set()?;
    scene.record("heart")?;
    let history = scene.patient.run(&["history"])?;
    let entries = history["history"].as_array().context("no history")?;
    let stored = entries.iter().find(|entry| entry["kind"] == "stored");
    let permission = text(stored.context("nothing stored")?, "permission_id")?;
    let file = scene.world.path("case.pb").display().to_string();
    let said = scene
        .patient
        .run(&["history", "--export", &file, "--permission", &permission])?;
    assert_eq!(
        kinds(&said),
        ["requested", "permitted", "presented", "stored"],
        "{said}"
    );
    assert_eq!(said["asked_by"], Value::Null);
    let refused = scene.patient.fail(&["history", "--export", &file])?;
    ensure!(refused.text.contains("--permission"), "{refused:?}");
    Ok(())
}
