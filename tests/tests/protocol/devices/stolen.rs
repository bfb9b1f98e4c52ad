//! What a thief does in the minute in which he has one of her devices, unlocked, and what is left of it once she has removed
//! the device as lost: nothing that is placed afterwards.

use std::{thread::sleep, time::Duration};

use anyhow::{Context, Result};
use protocol_spec::{defence::Defence, messages as pb};
use tests::{
    attack::play,
    harness::{Cli, World, text},
};

use super::{array, file, link, upload};
use crate::{
    collections::{Scene, contents},
    recovery::{kit, recover, with_record},
};

/// A patient with two devices, of which the first is stolen.
pub(super) struct Theft {
    pub(super) scene: Scene,
    /// The one that she still has.
    pub(super) tablet: Cli,
}

impl Theft {
    pub(super) fn begin(off: &[Defence]) -> Result<Self> {
        Self::in_scene(Scene::set()?, off)
    }

    pub(super) fn in_scene(scene: Scene, off: &[Defence]) -> Result<Self> {
        let tablet = link(&scene.world, &scene.patient, "Tablet")?.without(off);
        tablet.run(&["records"])?;
        Ok(Self { scene, tablet })
    }

    pub(super) fn stolen(&self) -> &Cli {
        &self.scene.patient
    }

    /// She removes it; then something comes into the vault.
    fn after(&self) -> Result<String> {
        self.tablet.run(&["device", "remove", "first device", "--lost"])?;
        self.placed()
    }

    pub(super) fn placed(&self) -> Result<String> {
        let sent = file(&self.scene.world, "after")?;
        let record = upload(&self.tablet, &self.scene.practice, "Practice", &sent)?;
        self.tablet.run(&["records"])?;
        Ok(record)
    }

    /// Whether a command of somebody's brings the record that was placed afterwards.
    fn brings(&self, who: &Cli, args: &[&str]) -> Result<bool> {
        brings(&self.scene.world, who, args)
    }

    /// Whether the clinic gets it by any permission that it has ever been given.
    fn clinic_reads(&self) -> Result<bool> {
        let inbox = self.scene.clinic.run(&["inbox"])?;
        for event in array(&inbox, "events")? {
            if let Some(permission) = event["permission_id"].as_str()
                && self.brings(&self.scene.clinic, &["download", "fetch", permission])?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Makes somebody a delegate, who accepts.
pub(super) fn delegate(by: &Cli, (to, id): (&Cli, &str), name: &str) -> Result<()> {
    let args = ["delegate", "add", id, "--name", name, "--until", "2100-01-01"];
    let added = by.run(&args)?;
    to.run(&["delegate", "accept", &text(&added, "delegation_id")?])?;
    Ok(())
}

fn brings(world: &World, who: &Cli, args: &[&str]) -> Result<bool> {
    let out = world.path(&format!("taken-{}", std::fs::read_dir(world.folder())?.count()));
    let out_text = out.display().to_string();
    let output = who.command(&[args, &["--out", &out_text]].concat())?.output()?;
    Ok(output.status.success() && contents(&out)?.contains("after"))
}

/// ATK-59, DEV-21, DEV-22: the thief makes an account of his own her delegate.
#[test]
fn a_delegate_by_a_stolen_device_reads_nothing_afterwards() -> Result<()> {
    play(&[Defence::SignersWord], |off| {
        let theft = Theft::begin(off)?;
        let (thief, id) = theft.scene.world.patient("thief")?;
        delegate(theft.stolen(), (&thief, &id), "Home care")?;
        let record = theft.after()?;
        let patient = theft.scene.patient_id.clone();
        theft.brings(&thief, &["records", "get", &record, "--acting-for", &patient])
    })
}

/// ATK-60, DEV-21, DEV-22: he permits a collection to an institution with which he works.
#[test]
fn a_permission_by_a_stolen_device_is_not_given_anew() -> Result<()> {
    play(&[Defence::SignersWord], |off| {
        let theft = Theft::begin(off)?;
        theft.scene.permit("default", &[])?;
        theft.after()?;
        theft.clinic_reads()
    })
}

/// ATK-60, DEV-21: the device of hers that still is there has given anew what the thief gave, by itself, before she noticed. Its
/// own signature under that is not her word.
#[test]
fn what_was_given_anew_before_she_noticed_ends_too() -> Result<()> {
    play(&[Defence::SignersWord], |off| {
        let theft = Theft::begin(off)?;
        theft.scene.permit("default", &[])?;
        let other = theft.scene.permit_to(&theft.scene.practice, "default", &[])?;
        theft.tablet.run(&["revoke", &other])?;
        theft.after()?;
        theft.clinic_reads()
    })
}

/// ATK-59, ATK-60, DEV-21: another client has removed the device and asked for nothing. What it gave is still there, and gets no
/// new keys from hers.
#[test]
fn nothing_of_a_removed_device_gets_new_keys_by_itself() -> Result<()> {
    play(&[Defence::SignersWord], |off| {
        let theft = Theft::begin(off)?;
        let (thief, id) = theft.scene.world.patient("thief")?;
        delegate(theft.stolen(), (&thief, &id), "Home care")?;
        theft.scene.permit("default", &[])?;
        let careless = theft.tablet.without(&[Defence::SignersWord]);
        careless.run(&["device", "remove", "first device", "--lost"])?;
        // Something else gives the collection another key.
        let request = theft.scene.request_by(&theft.scene.practice)?;
        let permitted = theft
            .tablet
            .run(&["permit", &request, "--collection", "default"])?;
        theft
            .tablet
            .run(&["revoke", &text(&permitted, "permission_id")?])?;
        let record = theft.placed()?;
        let patient = theft.scene.patient_id.clone();
        let delegate = theft.brings(&thief, &["records", "get", &record, "--acting-for", &patient])?;
        Ok(delegate || theft.clinic_reads()?)
    })
}

/// ATK-61, DEV-22: he adds a device of his own, and with that another one.
#[test]
fn devices_by_a_stolen_device_go_with_it() -> Result<()> {
    play(&[Defence::SignersWord], |off| {
        let theft = Theft::begin(off)?;
        let spare = link(&theft.scene.world, theft.stolen(), "Spare")?;
        let another = link(&theft.scene.world, &spare, "Another")?;
        let record = theft.after()?;
        let get = ["records", "get", record.as_str()];
        Ok(theft.brings(&spare, &get)? || theft.brings(&another, &get)?)
    })
}

/// ATK-62, DEV-22: he makes a kit.
#[test]
fn a_kit_by_a_stolen_device_goes_with_it() -> Result<()> {
    play(&[Defence::SignersWord], |off| {
        let theft = Theft::begin(off)?;
        let (words, _) = kit(theft.stolen(), &theft.scene.world.path("thief.pdf"))?;
        let record = theft.after()?;
        let machine = theft.scene.world.principal("machine");
        Ok(recover(&theft.scene.world, &machine, &words).is_ok()
            && theft.brings(&machine, &["records", "get", &record])?)
    })
}

/// ATK-62, DEV-23: his kit takes the place of hers. She has nothing left but the words of hers: with them she comes back, removes
/// the device, and his kit with it.
#[test]
fn a_stolen_device_takes_no_settled_kit_from_her() -> Result<()> {
    play(&[Defence::KeptRecovery], |off| {
        let world = World::start_with_without(&["--recovery-delay", "30s"], off)?;
        let (stolen, _, _) = with_record(&world, "patient")?;
        let (hers, _) = kit(&stolen, &world.path("hers.pdf"))?;
        // Hers is settled then, and his is not while she comes back.
        if off.is_empty() {
            sleep(Duration::from_secs(31));
        }
        let (his, _) = kit(&stolen, &world.path("his.pdf"))?;
        let machine = world.principal("machine");
        if recover(&world, &machine, &hers).is_err() {
            return Ok(true);
        }
        let removed = machine.run(&["device", "remove", "first device", "--lost"])?;
        let ended = array(&removed, "ended")?.iter();
        let kits = ended.filter(|ended| ended["kind"] == "recovery");
        assert_eq!(kits.count(), 1, "{removed}");
        let again = recover(&world, &world.principal("thief"), &his);
        Ok(again.is_ok())
    })
}

/// DEV-22: since she knows when, what the tablet had seen before stays, once she has confirmed it, by the tablet's word.
#[test]
fn what_was_seen_before_the_loss_stays_if_she_says_so() -> Result<()> {
    let theft = Theft::begin(&[])?;
    let (mother, mother_id) = theft.scene.world.patient("mother")?;
    delegate(theft.stolen(), (&mother, &mother_id), "Mother")?;
    theft.scene.permit("default", &[])?;
    sleep(Duration::from_millis(1100));
    theft.tablet.run(&["records"])?;
    let seen = humantime_now();
    sleep(Duration::from_millis(1100));
    let (thief, thief_id) = theft.scene.world.patient("thief")?;
    delegate(theft.stolen(), (&thief, &thief_id), "Home care")?;

    let remove = [
        "device",
        "remove",
        "first device",
        "--lost",
        "--since",
        seen.as_str(),
    ];
    let unasked = theft.tablet.fail(&remove)?;
    assert!(
        unasked.text.contains("confirm what stays, 2 in number"),
        "{unasked:?}"
    );
    let given = theft
        .tablet
        .run(&["device", "given", "first device", "--since", &seen])?;
    let earlier: Vec<_> = array(&given, "given")?
        .iter()
        .map(|given| (given["kind"].as_str(), given["earlier"].as_bool()))
        .collect();
    assert_eq!(
        earlier,
        [
            (Some("delegation"), Some(true)),
            (Some("delegation"), Some(false)),
            (Some("permission"), Some(true))
        ],
        "{given}"
    );
    let removed = theft.tablet.run(&[&remove[..], &["--yes"]].concat())?;
    assert_eq!(array(&removed, "ended")?.len(), 1, "{removed}");
    assert_eq!(array(&removed, "signed_again")?.len(), 2, "{removed}");
    let record = theft.placed()?;
    let get = ["records", "get", &record, "--acting-for", &theft.scene.patient_id];
    assert!(theft.brings(&mother, &get)?, "it stays");
    assert!(!theft.brings(&thief, &get)?, "it ends");
    assert!(theft.clinic_reads()?, "it stays");
    let left = theft.tablet.run(&["device", "given", "first device"]);
    assert!(left.is_err(), "it is not listed by its name any more");
    let history = theft.tablet.run(&["history", "--verify"])?;
    assert_eq!(history["checked"]["holds"], true, "{history}");
    Ok(())
}

fn humantime_now() -> String {
    humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string()
}

/// DEV-22: the removal breaks off once the device is off the list, before all that it gave has ended. Nothing of it gets new keys
/// meanwhile, and the same command by the id of the device ends the rest.
#[test]
fn a_removal_that_was_broken_off_ends_the_rest() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let theft = Theft::in_scene(Scene::in_world(world)?, &[])?;
    let (thief, thief_id) = theft.scene.world.patient("thief")?;
    delegate(theft.stolen(), (&thief, &thief_id), "Home care")?;
    theft.scene.permit("default", &[])?;
    theft.scene.permit("default", &[])?;
    let devices = theft.tablet.run(&["device", "list"])?;
    let lost = text(
        array(&devices, "devices")?.first().context("no device")?,
        "device_id",
    )?;

    liar.tell_of("/v1/revocations", |_: pb::RevocationAnswer| {
        pb::RevocationAnswer::default()
    });
    let failed = theft.tablet.fail(&["device", "remove", &lost, "--lost"])?;
    assert!(
        failed
            .text
            .contains(&format!("medvault device remove {lost} --lost")),
        "{failed:?}"
    );
    liar.be_honest();
    assert_eq!(super::listed(&theft.tablet)?, ["Tablet"]);
    let record = theft.placed()?;
    let get = ["records", "get", &record, "--acting-for", &theft.scene.patient_id];
    assert!(!theft.brings(&thief, &get)?);
    assert!(!theft.clinic_reads()?);

    let left = theft.tablet.run(&["device", "given", &lost])?;
    assert_eq!(array(&left, "given")?.len(), 1, "{left}");
    let told = theft.tablet.command(&["records"])?.output()?;
    let told = String::from_utf8(told.stderr)?;
    assert!(
        told.contains("1 of what a removed device gave still holds"),
        "{told}"
    );
    let removed = theft.tablet.run(&["device", "remove", &lost, "--lost"])?;
    assert_eq!(array(&removed, "ended")?.len(), 1, "{removed}");
    let left = theft.tablet.run(&["device", "given", &lost])?;
    assert!(array(&left, "given")?.is_empty(), "{left}");
    let history = theft.tablet.run(&["history", "--verify"])?;
    assert_eq!(history["checked"]["holds"], true, "{history}");
    Ok(())
}

/// DEV-22: lost and retired are told apart, by the person or not at all.
#[test]
fn nothing_is_removed_before_somebody_says_why() -> Result<()> {
    let theft = Theft::begin(&[])?;
    let refused = theft.tablet.fail(&["device", "remove", "first device"])?;
    assert!(
        refused.exit == 2 && refused.text.contains("--lost") && refused.text.contains("device retire"),
        "{refused:?}"
    );
    let refused = theft
        .tablet
        .fail(&["device", "remove", "first device", "--since", "3d"])?;
    assert_eq!(refused.exit, 2, "{refused:?}");
    theft.stolen().run(&["device", "list"])?;
    Ok(())
}

/// DEV-22: a device that is in her hand is retired: the new one signs again what stays, and what she excepts ends.
#[test]
fn a_retired_device_leaves_what_she_does_not_except() -> Result<()> {
    let theft = Theft::begin(&[])?;
    let (old, tablet) = (theft.stolen(), &theft.tablet);
    let (mother, mother_id) = theft.scene.world.patient("mother")?;
    delegate(old, (&mother, &mother_id), "Mother")?;
    let stays = theft.scene.permit("default", &[])?;
    let ends = theft.scene.permit_to(&theft.scene.practice, "default", &[])?;
    let sends = old.run(&[
        "upload", "request", "--to", "Practice", "--text", "t", "--uses", "9",
    ])?;
    let (_, guardian) = theft.scene.world.patient("guardian")?;
    old.run(&["collection", "create", "emergency"])?;
    old.run(&["emergency", "guardian", "add", &guardian, "--wait", "2h"])?;
    link(&theft.scene.world, old, "Laptop")?;

    let unasked = tablet.fail(&["device", "retire", "first device"])?;
    assert!(
        unasked.text.contains("confirm what stays, 6 in number"),
        "{unasked:?}"
    );
    let wrong = tablet.fail(&["device", "retire", "first device", "--end", "perm_x", "--yes"])?;
    assert!(wrong.text.contains("has given no perm_x"), "{wrong:?}");
    let retired = tablet.run(&["device", "retire", "first device", "--end", &ends, "--yes"])?;
    let ids = |field: &str| -> Result<Vec<String>> {
        array(&retired, field)?
            .iter()
            .map(|one| text(one, "id"))
            .collect()
    };
    assert_eq!(ids("ended")?, std::slice::from_ref(&ends), "{retired}");
    assert!(ids("not_signed_again")?.is_empty(), "{retired}");
    let again = ids("signed_again")?;
    assert_eq!(again.len(), 4, "{retired}");
    for id in [stays, text(&sends, "permission_id")?] {
        assert!(again.contains(&id), "{id} is not in {retired}");
    }
    assert_eq!(super::listed(tablet)?, ["Tablet", "Laptop"]);

    let record = theft.placed()?;
    assert!(theft.clinic_reads()?);
    let get = ["records", "get", &record, "--acting-for", &theft.scene.patient_id];
    assert!(theft.brings(&mother, &get)?);
    let refused = theft
        .scene
        .practice
        .fail(&["download", "fetch", &ends, "--out", "nowhere"])?;
    assert_eq!(refused.json["error"]["code"], "permission-revoked", "{refused:?}");
    // All of it is the tablet's word now: nothing of the old one is left, and the next removal has nothing to ask.
    let guardians = tablet.run(&["emergency", "guardian", "list"])?;
    assert_eq!(array(&guardians, "guardians")?.len(), 1, "{guardians}");
    let devices = tablet.run(&["device", "list"])?;
    let laptop = array(&devices, "devices")?.get(1).context("no laptop")?.clone();
    let given = tablet.run(&["device", "given", &text(&laptop, "device_id")?])?;
    assert!(array(&given, "given")?.is_empty(), "{given}");
    let history = tablet.run(&["history", "--verify"])?;
    assert_eq!(history["checked"]["holds"], true, "{history}");
    Ok(())
}

/// DEV-23: a settled kit is replaced at once with its own words, or when another device agrees; DEV-24: and it is told.
#[test]
fn a_settled_kit_goes_with_its_words_or_by_two_devices() -> Result<()> {
    let world = World::start_with(&["--recovery-delay", "2s"])?;
    let (first, _, _) = with_record(&world, "patient")?;
    let tablet = link(&world, &first, "Tablet")?;
    let (words, _) = kit(&first, &world.path("1.pdf"))?;
    sleep(Duration::from_millis(2100));

    let (next, made) = super::super::recovery::kit_before(&first, &world.path("2.pdf"), &words)?;
    assert_eq!(array(&made, "replaced")?.len(), 1, "{made}");
    assert!(recover(&world, &world.principal("a"), &words).is_err());
    first.fed(&next).run(&["recovery", "drill"])?;
    sleep(Duration::from_millis(2100));

    let (last, made) = kit(&first, &world.path("3.pdf"))?;
    let leaving = array(&made, "leaving")?.clone();
    let leaving = leaving
        .first()
        .and_then(serde_json::Value::as_str)
        .context("none leaves")?;
    let output = tablet.command(&["device", "list"])?.output()?;
    let told = String::from_utf8(output.stderr)?;
    for want in [
        "first device has added a way to recover",
        "has announced that recovery kit leaves",
    ] {
        assert!(told.contains(want), "{told}");
    }
    tablet.run(&["device", "remove", leaving, "--lost"])?;
    assert!(recover(&world, &world.principal("c"), &next).is_err());
    assert!(recover(&world, &world.principal("d"), &last).is_ok());
    Ok(())
}

/// DEV-24: whatever another device adds is told once, at the next command, and what this one adds is not.
#[test]
fn what_another_device_adds_is_told_once() -> Result<()> {
    let theft = Theft::begin(&[])?;
    let stolen = theft.stolen();
    let told = |by: &Cli| -> Result<String> {
        let output = by.command(&["device", "list"])?.output()?;
        Ok(String::from_utf8(output.stderr)?)
    };
    told(stolen)?;
    assert_eq!(told(&theft.tablet)?, "");
    let (thief, id) = theft.scene.world.patient("thief")?;
    delegate(stolen, (&thief, &id), "Home care")?;
    stolen.run(&["collection", "create", "emergency"])?;
    stolen.run(&["emergency", "guardian", "add", &id, "--wait", "2h"])?;
    link(&theft.scene.world, stolen, "Spare")?;
    kit(stolen, &theft.scene.world.path("kit.pdf"))?;
    let said = told(&theft.tablet)?;
    for want in [
        "first device has made Home care your delegate",
        "first device has named a guardian",
        "first device has added the device Spare",
        "first device has added a way to recover your vault: recovery kit",
        "medvault device remove NAME --lost",
    ] {
        assert!(said.contains(want), "{want}: {said}");
    }
    assert_eq!(told(&theft.tablet)?, "");
    assert_eq!(told(stolen)?, "");
    Ok(())
}
