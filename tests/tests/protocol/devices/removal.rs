//! Removals that were broken off, that touch a kit, or that take a week: nothing is left of what was lost, and nothing goes that
//! she was not asked about (DEV-22, DEV-26 to DEV-28).

use std::{thread::sleep, time::Duration};

use anyhow::{Context, Result};
use protocol_spec::defence::Defence;
use serde_json::Value;
use tests::{
    attack::play,
    harness::{Cli, World, text},
    raw::now_ms,
};

use super::{
    array, link, listed,
    stolen::{Theft, delegate},
};
use crate::{
    collections::Scene,
    recovery::{kit, recover, with_record},
};

/// Longer than the week of DEV-23.
const DAYS_8: u64 = 8 * 24 * 3600;
/// A server for which a week is this.
const SHORT_WEEK: [&str; 2] = ["--recovery-delay", "2s"];

fn wait_a_week() {
    sleep(Duration::from_millis(2100));
}

/// The id of a device of this name.
fn id_of(by: &Cli, name: &str) -> Result<String> {
    let devices = by.run(&["device", "list"])?;
    let mut all = array(&devices, "devices")?.iter();
    let found = all.find(|device| device["name"] == name);
    text(
        found.with_context(|| format!("no {name} in {devices}"))?,
        "device_id",
    )
}

/// What a command says on standard error.
fn said(by: &Cli, args: &[&str]) -> Result<String> {
    Ok(String::from_utf8(by.command(args)?.output()?.stderr)?)
}

fn of_kind<'a>(rows: &'a [Value], kind: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["kind"] == kind).collect()
}

/// ATK-62, DEV-22: the removal was broken off once the device was off the list. His kit is there still; by the id of the device it
/// goes as well.
#[test]
fn a_kit_does_not_outlive_a_removal_that_was_broken_off() -> Result<()> {
    play(&[Defence::SignersWord], |off| {
        let theft = Theft::begin(off)?;
        let (words, _) = kit(theft.stolen(), &theft.scene.world.path("thief.pdf"))?;
        let lost = id_of(&theft.tablet, "first device")?;
        // It asks for nothing, and so leaves off where the connection breaks.
        let careless = theft.tablet.without(&[Defence::SignersWord]);
        careless.run(&["device", "remove", &lost, "--lost"])?;
        assert_eq!(listed(&theft.tablet)?, ["Tablet", "recovery kit"]);
        theft
            .tablet
            .run(&["device", "remove", &lost, "--lost", "--yes"])?;
        let machine = theft.scene.world.principal("machine");
        Ok(recover(&theft.scene.world, &machine, &words).is_ok())
    })
}

/// ATK-62, DEV-22, DEV-27: one that is settled is announced; nothing that is listed goes before she has said so.
#[test]
fn a_settled_kit_is_announced_when_a_removal_is_taken_up_again() -> Result<()> {
    let theft = Theft::in_scene(Scene::in_world(World::start_with(&SHORT_WEEK)?)?, &[])?;
    kit(theft.stolen(), &theft.scene.world.path("thief.pdf"))?;
    link(&theft.scene.world, theft.stolen(), "Spare")?;
    wait_a_week();
    let (tablet, lost) = (&theft.tablet, id_of(&theft.tablet, "first device")?);
    let his = id_of(tablet, "recovery kit")?;
    let careless = tablet.without(&[Defence::SignersWord]);
    careless.run(&["device", "remove", &lost, "--lost"])?;

    let given = tablet.run(&["device", "given", &lost])?;
    let given = array(&given, "given")?;
    assert_eq!(
        (of_kind(given, "recovery").len(), of_kind(given, "device").len()),
        (1, 1),
        "{given:?}"
    );
    let unasked = tablet.fail(&["device", "remove", &lost, "--lost"])?;
    assert!(
        unasked.exit == 2 && unasked.text.contains("2 that it had added are there still"),
        "{unasked:?}"
    );
    assert_eq!(listed(tablet)?.len(), 3);
    let removed = tablet.run(&["device", "remove", &lost, "--lost", "--yes"])?;
    assert_eq!(removed["leaving"], serde_json::json!([his]), "{removed}");
    assert_eq!(of_kind(array(&removed, "ended")?, "device").len(), 1, "{removed}");
    assert_eq!(listed(tablet)?, ["Tablet", "recovery kit"]);
    Ok(())
}

/// DEV-22: a device that is retired again by its id keeps what she does not except.
#[test]
fn what_is_listed_stays_when_a_retirement_is_taken_up_again() -> Result<()> {
    let theft = Theft::begin(&[])?;
    link(&theft.scene.world, theft.stolen(), "Laptop")?;
    let (tablet, old) = (&theft.tablet, id_of(&theft.tablet, "first device")?);
    tablet.run(&["device", "retire", &old, "--yes"])?;
    tablet.run(&["device", "retire", &old, "--yes"])?;
    assert_eq!(listed(tablet)?, ["Tablet", "Laptop"]);
    Ok(())
}

/// ATK-62, DEV-27: whoever has found the words of her kit has restored a device with them. The kit stays for a week; the
/// device goes at once.
#[test]
fn what_was_restored_with_a_lost_kit_goes_at_once() -> Result<()> {
    play(&[Defence::SignersWord], |off| {
        let world = World::start_with(&SHORT_WEEK)?;
        let (first, _, _) = with_record(&world, "patient")?;
        let (words, _) = kit(&first, &world.path("kit.pdf"))?;
        wait_a_week();
        let finder = world.principal("finder");
        recover(&world, &finder, &words)?;
        let removed = first
            .without(off)
            .run(&["device", "remove", "recovery kit", "--lost"])?;
        assert_eq!(array(&removed, "leaving")?.len(), 1, "{removed}");
        let reads = finder.command(&["records"])?.output()?;
        Ok(reads.status.success())
    })
}

/// DEV-28: what was announced is done, a week later, by the next command that needs the server. There are no standing rules.
#[test]
fn an_announced_kit_leaves_in_a_week() -> Result<()> {
    let world = World::start_with(&SHORT_WEEK)?;
    let (first, _, _) = with_record(&world, "patient")?;
    kit(&first, &world.path("1.pdf"))?;
    wait_a_week();
    let (_, made) = kit(&first, &world.path("2.pdf"))?;
    assert_eq!(array(&made, "leaving")?.len(), 1, "{made}");
    wait_a_week();
    first.run(&["records"])?;
    assert_eq!(listed(&first)?.len(), 3, "by its own clock it is no week");
    let later = first.later(DAYS_8);
    later.run(&["records"])?;
    assert_eq!(listed(&later)?, ["first device", "recovery kit"]);
    Ok(())
}

/// DEV-28: in the week in which a kit leaves, she comes back with its words. What she has restored stays, until she says
/// what becomes of it.
#[test]
fn nothing_goes_unasked_with_a_kit_that_leaves() -> Result<()> {
    let world = World::start_with(&SHORT_WEEK)?;
    let (first, _, _) = with_record(&world, "patient")?;
    let (words, _) = kit(&first, &world.path("1.pdf"))?;
    wait_a_week();
    let (_, made) = kit(&first, &world.path("2.pdf"))?;
    let leaving = array(&made, "leaving")?.first().and_then(Value::as_str);
    let leaving = leaving.context("none leaves")?.to_owned();
    let machine = world.principal("machine");
    recover(&world, &machine, &words)?;
    let (mother, mother_id) = world.patient("mother")?;
    delegate(&machine, (&mother, &mother_id), "Mother")?;
    wait_a_week();

    let later = first.later(DAYS_8);
    let told = said(&later, &["records"])?;
    assert!(
        told.contains("could leave now") && told.contains(&leaving),
        "{told}"
    );
    machine.run(&["records"])?;
    assert_eq!(listed(&later)?.len(), 4);
    later.run(&["device", "retire", &leaving, "--yes"])?;
    machine.run(&["records"])?;
    let delegates = later.run(&["delegate", "list"])?;
    assert_eq!(array(&delegates, "given")?.len(), 1, "{delegates}");
    assert_eq!(
        listed(&later)?,
        ["first device", "recovery kit", "recovered device"]
    );
    Ok(())
}

/// ATK-60, DEV-26: what a permission was spent on may still run: an upload that stands by, a release. It is revoked.
#[test]
fn what_a_lost_device_has_spent_is_revoked() -> Result<()> {
    play(&[Defence::SignersWord], |off| {
        let theft = Theft::begin(off)?;
        theft.scene.record("before")?;
        let spent = spent(&theft.tablet)?;
        theft
            .tablet
            .run(&["device", "remove", "first device", "--lost"])?;
        Ok(state(&theft.tablet, &spent)? != "revoked")
    })
}

/// DEV-26: of a device that is retired, what is spent is neither shown as what stays nor ended.
#[test]
fn what_a_retired_device_has_spent_is_left_alone() -> Result<()> {
    let theft = Theft::begin(&[])?;
    theft.scene.record("before")?;
    let spent = spent(&theft.tablet)?;
    let retired = theft.tablet.run(&["device", "retire", "first device"])?;
    for field in ["ended", "signed_again", "not_signed_again"] {
        assert!(array(&retired, field)?.is_empty(), "{retired}");
    }
    assert_eq!(state(&theft.tablet, &spent)?, "spent");
    let told = said(&theft.tablet, &["records"])?;
    assert!(!told.contains("still holds"), "{told}");
    Ok(())
}

/// The one permission that is spent.
fn spent(by: &Cli) -> Result<String> {
    let listed = by.run(&["permissions"])?;
    let mut all = array(&listed, "permissions")?.iter();
    let spent = all.find(|one| one["state"] == "spent");
    text(
        spent.with_context(|| format!("none is spent: {listed}"))?,
        "permission_id",
    )
}

fn state(by: &Cli, permission: &str) -> Result<String> {
    let listed = by.run(&["permissions"])?;
    let mut all = array(&listed, "permissions")?.iter();
    let found = all.find(|one| one["permission_id"] == permission);
    text(found.context("it is not listed")?, "state")
}

/// ATK-59, DEV-26: the server says that it is later than it is, so that what a stolen device has given counts as over and is
/// not ended.
#[test]
fn what_is_over_by_the_servers_clock_alone_ends() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let theft = Theft::in_scene(Scene::in_world(world)?, &[])?;
    let (_, id) = theft.scene.world.patient("thief")?;
    let add = ["delegate", "add", &id, "--name", "Home care", "--expires", "90s"];
    theft.stolen().run(&add)?;
    // Ahead by less than a signature lives, so that the true server behind takes it.
    liar.say_the_time(now_ms() + 100_000);
    let removed = theft
        .tablet
        .run(&["device", "remove", "first device", "--lost"])?;
    assert_eq!(
        of_kind(array(&removed, "ended")?, "delegation").len(),
        1,
        "{removed}"
    );
    Ok(())
}

/// DEV-22: a retirement ends nothing that it has not shown: what a device has given that went before is not the retired one's.
#[test]
fn a_retirement_ends_nothing_that_it_never_showed() -> Result<()> {
    let theft = Theft::begin(&[])?;
    let tablet = &theft.tablet;
    let spare = link(&theft.scene.world, theft.stolen(), "Spare")?;
    let (mother, mother_id) = theft.scene.world.patient("mother")?;
    delegate(&spare, (&mother, &mother_id), "Mother")?;
    let gone = id_of(tablet, "Spare")?;
    let careless = tablet.without(&[Defence::SignersWord]);
    careless.run(&["device", "remove", &gone, "--lost"])?;

    let given = tablet.run(&["device", "given", "first device"])?;
    assert!(array(&given, "given")?.is_empty(), "{given}");
    let retired = tablet.run(&["device", "retire", "first device"])?;
    assert!(array(&retired, "ended")?.is_empty(), "{retired}");
    let left = tablet.run(&["device", "given", &gone])?;
    assert_eq!(array(&left, "given")?.len(), 1, "{left}");
    Ok(())
}

/// DEV-22: what is excepted goes with what it has given, and none of that is shown as what stays.
#[test]
fn what_is_shown_as_staying_stays() -> Result<()> {
    let theft = Theft::begin(&[])?;
    let tablet = &theft.tablet;
    let spare = link(&theft.scene.world, theft.stolen(), "Spare")?;
    let (mother, mother_id) = theft.scene.world.patient("mother")?;
    delegate(&spare, (&mother, &mother_id), "Mother")?;
    let excepted = id_of(tablet, "Spare")?;
    // There is nothing to confirm.
    let retired = tablet.run(&["device", "retire", "first device", "--end", &excepted])?;
    assert_eq!(array(&retired, "ended")?.len(), 2, "{retired}");
    assert_eq!(listed(tablet)?, ["Tablet"]);
    Ok(())
}
