//! What time the server says is its own affair: it revives nothing at the client (ATK-66), by the real programs.

use std::{fs, thread::sleep, time::Duration};

use anyhow::{Context, Result, ensure};
use client_sdk::{Patient, Unlock};
use protocol_spec::{defence::Defence, messages as pb};
use serde_json::Value;
use tests::{
    attack::play,
    harness::{Cli, Liar, World},
    raw::now_ms,
};

use super::collections::Scene;

/// How far back the server says that it is: less than a signature lives, so that the true server behind takes it.
const BACK: u64 = 40_000;
/// Long enough for what must be done before it is over.
const LIFE: &str = "8s";

/// Waits until something that begins now and has this life is over, then has the server say that it is not.
fn outlive(liar: &Liar) {
    sleep(Duration::from_secs(9));
    liar.say_the_time(now_ms() - BACK);
}

fn scene() -> Result<(Scene, Liar)> {
    let (world, liar) = World::start_behind_liar()?;
    Ok((Scene::in_world(world)?, liar))
}

/// PRM-16, ATK-66: the institution's new recipient key goes to no terminal whose certificate has ended (INS-12).
#[test]
fn an_ended_terminal_gets_no_new_key() -> Result<()> {
    let off = [Defence::OwnClock];
    play(&off, |off| {
        let (world, liar) = World::start_behind_liar()?;
        let (hospital, _) = world.institution("St. Anna")?;
        let request = world.path("ward.request").display().to_string();
        let ward = [
            "institution",
            "terminal",
            "request",
            "--name",
            "Ward",
            "--out",
            &request,
        ];
        world.principal("ward").run(&ward)?;
        hospital.run(&[
            "institution",
            "terminal",
            "add",
            &request,
            "--expires",
            LIFE,
            "--yes",
        ])?;
        let next = world.path("next.request").display().to_string();
        let accredited = world.path("next.accreditation").display().to_string();
        hospital.run(&["institution", "rotate", "--out", &next])?;
        world
            .registrar
            .run(&["registrar", "accredit", &next, "--out", &accredited, "--yes"])?;
        outlive(&liar);
        let rotate = ["institution", "rotate", "--accreditation", &accredited];
        let rotated = hospital.without(off).run(&rotate)?;
        let given = rotated["terminals"].as_u64().context("no number of terminals")?;
        Ok(given > 0)
    })
}

/// PRM-16, ATK-66: after the end of a delegation its holder gets no key of what comes then (DLG-10).
#[test]
fn an_ended_delegate_gets_no_new_key() -> Result<()> {
    let off = [Defence::OwnClock];
    play(&off, |off| {
        let (scene, liar) = scene()?;
        scene.record("the blood test")?;
        let over_all = scene.permit("default", &[])?;
        let (_, mother) = scene.world.patient("mother")?;
        let add = ["delegate", "add", &mother, "--name", "Mother", "--expires", LIFE];
        scene.patient.run(&add)?;
        outlive(&liar);
        let before = liar.asked("POST /v1/vault/delegations/keys");
        ensure!(before > 0, "she was given keys while it held");
        // Whether the true server takes what has left the device is not the question.
        drop(output(&scene.patient.without(off), &["revoke", &over_all])?);
        Ok(liar.asked("POST /v1/vault/delegations/keys") > before)
    })
}

/// PRM-16, ATK-66: what is over is not presented (CND-12).
#[test]
fn an_ended_permission_is_not_presented() -> Result<()> {
    let off = [Defence::OwnClock];
    play(&off, |off| {
        let (scene, liar) = scene()?;
        scene.record("the blood test")?;
        let permission = scene.permit("default", &["--expires", LIFE])?;
        outlive(&liar);
        let out = scene.world.path("out").display().to_string();
        let fetch = ["download", "fetch", &permission, "--out", &out];
        drop(output(&scene.clinic.without(off), &fetch)?);
        Ok(liar.asked(&format!("POST /v1/permissions/{permission}/presentation")) > 0)
    })
}

/// PRM-16, ATK-66: a permission that is over, and that the server calls live, gets no key of the next epoch.
#[test]
fn an_ended_permission_is_not_given_anew() -> Result<()> {
    // Either defence alone keeps the permission from being given anew.
    let off = [Defence::OwnClock, Defence::PermissionStates];
    play(&off, |off| {
        let (scene, liar) = scene()?;
        scene.record("the blood test")?;
        let ended = scene.permit("default", &["--expires", LIFE])?;
        let revoked = scene.permit_to(&scene.practice, "default", &[])?;
        outlive(&liar);
        liar.tell_of("/v1/vault/permissions", |mut list: pb::PermissionList| {
            for entry in &mut list.permissions {
                if entry.state() == pb::PermissionState::Expired {
                    entry.set_state(pb::PermissionState::Live);
                }
            }
            list
        });
        let before = liar.asked("POST /v1/permissions");
        let listed = scene.patient.without(off).run(&["permissions"])?;
        let state = |id: &str| {
            let all = listed["permissions"].as_array().into_iter().flatten();
            all.into_iter()
                .find(|entry| entry["permission_id"] == id)
                .map(|entry| entry["state"].clone())
        };
        ensure!(state(&revoked) == Some(Value::from("live")), "{listed}");
        drop(output(&scene.patient.without(off), &["revoke", &revoked])?);
        let given = liar.asked("POST /v1/permissions") > before;
        ensure!(
            given == (state(&ended) == Some(Value::from("live"))),
            "{ended}: {listed}"
        );
        Ok(given)
    })
}

/// PRM-16: a difference of more than five minutes is told, a smaller one is not.
#[test]
fn a_clock_that_differs_is_told() -> Result<()> {
    let (scene, liar) = scene()?;
    for (ahead, told) in [(1_000_i64, false), (24 * 3_600_000, true)] {
        liar.say_the_time(now_ms().saturating_add_signed(ahead));
        let said = output(&scene.patient, &["records"])?;
        ensure!(said.contains("the server's clock is") == told, "{ahead}: {said}");
    }
    Ok(())
}

/// PRM-16: the latest time is in the home while a client works, not only when it ends: whoever kills it and sets the clock back
/// revives nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_is_kept_while_a_client_works() -> Result<()> {
    let world = World::start()?;
    let (home, key) = (world.path("working"), world.path("working.key"));
    let before = now_ms();
    let working = Patient::enrol(&home, &Unlock::KeyFile(key), world.server.link()).await?;
    let kept = fs::read_to_string(home.join("clock")).context("no time was kept yet")?;
    let kept: u64 = kept.lines().next().context("no line")?.parse()?;
    ensure!((before..=now_ms()).contains(&kept), "{kept}");
    drop(working);
    Ok(())
}

/// What a command says on standard error, however it ends.
fn output(who: &Cli, args: &[&str]) -> Result<String> {
    let output = who.command(args)?.output()?;
    Ok(String::from_utf8(output.stderr)?)
}
