//! What a thief does to her other ways in, who has one of her devices, unlocked: root keys that open for him alone, with the same
//! members. The thief's device is played by hand; all others are the real programs (ATK-96).

use std::{thread::sleep, time::Duration};

use anyhow::{Context, Result, ensure};
use protocol_spec::{collection::Collection, defence::Defence, ids::CollectionId, problem::Problem};
use serde_json::Value;
use tests::{
    attack::play_async,
    harness::{Cli, World, text},
    raw::{Newcomer, RawPatient, Rotation, Wire},
};

use super::{array, file, link, listed, upload};
use crate::{
    collections::contents,
    recovery::{kit, recover, with_record},
};

/// A root key for the thief, and nothing for anybody else.
const FOR_HIM_ALONE: Rotation = Rotation {
    root_key: false,
    previous: true,
    collections: true,
};

/// A vault with a record and a kit, of which the thief has a device.
struct Theft {
    world: World,
    wire: Wire,
    patient: Cli,
    record: String,
    words: String,
    thief: RawPatient,
}

impl Theft {
    async fn begin(flags: &[&str], off: &[Defence]) -> Result<Self> {
        let world = World::start_with_without(flags, off)?;
        let (patient, _, record) = with_record(&world, "patient")?;
        let (words, _) = kit(&patient, &world.path("kit.pdf"))?;
        let wire = Wire::connect(world.server.link()).await?;
        let thief = joined(&wire, &patient).await?;
        Ok(Self {
            world,
            wire,
            patient,
            record,
            words,
            thief,
        })
    }

    /// A machine that has the words and nothing else, and what it said.
    fn recover(&self) -> Result<(Cli, Value)> {
        let machine = self.world.principal("machine");
        let restored = recover(&self.world, &machine, &self.words)?;
        Ok((machine, restored))
    }

    /// Whether somebody can read the record that was there before.
    fn reads(&self, who: &Cli) -> Result<bool> {
        self.reads_this(who, &self.record, "HbA1c 7.4 %")
    }

    fn reads_this(&self, who: &Cli, record: &str, content: &str) -> Result<bool> {
        let count = std::fs::read_dir(self.world.folder())?.count();
        let out = self.world.path(&format!("read-{count}"));
        let output = who
            .command(&["records", "get", record, "--out", &out.display().to_string()])?
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            eprintln!("{record} is not read: {said}");
            return Ok(false);
        }
        Ok(contents(&out)?.contains(content))
    }

    /// Something that comes afterwards can be placed and read by her.
    fn goes_on(&self, who: &Cli, maker: &str) -> Result<()> {
        let (practice, _) = self.world.institution(maker)?;
        let sent = file(&self.world, "after")?;
        let record = upload(who, &practice, maker, &sent)?;
        who.run(&["records"])?;
        ensure!(self.reads_this(who, &record, "after")?, "what is placed now");
        let history = who.run(&["history", "--verify"])?;
        ensure!(history["checked"]["holds"] == true, "{history}");
        Ok(())
    }

    /// Whether the server still answers the thief.
    async fn is_thief_in(&self) -> Result<bool> {
        let answer = self.thief.get(&self.wire, "/v1/vault/collections").await?;
        if !answer.status.is_success() {
            ensure!(answer.problem() == Some(Problem::Unauthenticated), "{answer:?}");
        }
        Ok(answer.status.is_success())
    }
}

/// A device that is linked as any other.
async fn joined(wire: &Wire, by: &Cli) -> Result<RawPatient> {
    let newcomer = Newcomer::offer(wire).await?;
    let code = newcomer.code();
    let mut waiting = by.spawn(&["device", "approve", &code, "--name", "Thief"])?;
    let short = newcomer.short_string(wire).await?;
    waiting.wait()?;
    by.run(&[
        "device",
        "approve",
        &code,
        "--short-string",
        &short,
        "--name",
        "Thief",
    ])?;
    newcomer.added(wire).await
}

/// ATK-96, DEV-29, DEV-30, RCV-4: with the words of her kit she is back, without him, and reads what was there before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_key_for_the_thief_alone_does_not_shut_out_a_settled_kit() -> Result<()> {
    play_async(&[Defence::KeptEpochs], async |off| {
        let mut theft = Theft::begin(&[], off).await?;
        theft.thief.rotate(&theft.wire, FOR_HIM_ALONE).await?;
        let Ok((machine, restored)) = theft.recover() else {
            ensure!(theft.is_thief_in().await?, "nobody has the vault");
            return Ok(true);
        };
        let passed = &restored["passed_over"];
        ensure!(
            passed["by"] == "Thief" && passed["unfinished"].is_null(),
            "{restored}"
        );
        let removed: Vec<_> = array(passed, "removed")?
            .iter()
            .map(|gone| &gone["name"])
            .collect();
        ensure!(removed == ["Thief"], "{restored}");
        ensure!(!theft.is_thief_in().await?, "he still is on the list");
        ensure!(
            listed(&machine)? == ["first device", "recovery kit", "recovered device"],
            "{restored}"
        );
        ensure!(theft.reads(&machine)?, "what was there before");
        theft.goes_on(&machine, "Practice")?;
        // Her first device has the new root key, and a root key that opens as every other.
        ensure!(theft.reads(&theft.patient)?, "on the first device");
        theft.goes_on(&theft.patient, "Clinic")?;
        // With the same words once more: nothing is to be passed over now.
        let again = theft.world.principal("again");
        let restored = recover(&theft.world, &again, &theft.words)?;
        ensure!(restored["passed_over"].is_null(), "{restored}");
        ensure!(theft.reads(&again)?, "by way of the epochs that were passed over");
        Ok(false)
    })
    .await
}

/// ATK-96, DEV-29: one such list after the other, more than epochs are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_such_root_keys_push_out_nothing_that_lasted() -> Result<()> {
    let mut theft = Theft::begin(&[], &[]).await?;
    for _ in 0..12 {
        theft.thief.rotate(&theft.wire, Rotation::default()).await?;
    }
    let (machine, restored) = theft.recover()?;
    let epochs = &restored["passed_over"]["root_epochs"];
    ensure!(epochs == &serde_json::json!([1, 12]), "{restored}");
    ensure!(!theft.is_thief_in().await?, "he still is on the list");
    ensure!(theft.reads(&machine)?, "what was there before");
    theft.goes_on(&machine, "Practice")
}

/// ATK-96, DEV-30: a device that is still there says what is wrong and what to do about it, does nothing by itself, and does it
/// when it is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_device_removes_whoever_put_it() -> Result<()> {
    let mut theft = Theft::begin(&[], &[]).await?;
    let tablet = link(&theft.world, &theft.patient, "Tablet")?;
    theft.thief.rotate(&theft.wire, FOR_HIM_ALONE).await?;
    let refused = tablet.fail(&["collection", "list"])?;
    ensure!(
        refused.json["error"]["code"] == "root-key-unusable",
        "{refused:?}"
    );
    let step = format!("medvault device remove {} --lost", theft.thief.device_id());
    ensure!(
        refused.text.contains("\"Thief\"") && refused.text.contains(&step),
        "{refused:?}"
    );
    ensure!(
        listed(&tablet)? == ["first device", "recovery kit", "Thief", "Tablet"],
        "names are still read"
    );
    // The first device has it in its hand what to do.
    theft.patient.run(&["device", "remove", "Thief", "--lost"])?;
    ensure!(!theft.is_thief_in().await?, "he still is on the list");
    for who in [&theft.patient, &tablet] {
        ensure!(theft.reads(who)?, "what was there before");
    }
    theft.goes_on(&tablet, "Practice")?;
    let (machine, restored) = theft.recover()?;
    ensure!(restored["passed_over"].is_null(), "{restored}");
    ensure!(theft.reads(&machine)?, "with the kit");
    Ok(())
}

/// ATK-96, DEV-5, DEV-30: the root key opens for everybody, and what should lie under it does not: not the root key before, no
/// collection. Removed by a device of hers, and by the kit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_under_a_root_key_that_opens_loses_nothing() -> Result<()> {
    let garbage = Rotation {
        root_key: true,
        ..Rotation::default()
    };
    for by_kit in [false, true] {
        let mut theft = Theft::begin(&[], &[]).await?;
        theft.thief.rotate(&theft.wire, garbage).await?;
        theft.thief.rotate(&theft.wire, garbage).await?;
        ensure!(
            theft.reads(&theft.patient)?,
            "on the first device, before anything is done"
        );
        if !by_kit {
            // By its id: under the root key that opens he has called all devices the same.
            let device = theft.thief.device_id().to_string();
            theft.patient.run(&["device", "remove", &device, "--lost"])?;
        }
        let (machine, restored) = theft.recover()?;
        ensure!(restored["passed_over"].is_null() != by_kit, "{restored}");
        ensure!(!theft.is_thief_in().await?, "he still is on the list");
        for who in [&theft.patient, &machine] {
            ensure!(theft.reads(who)?, "what was there before");
        }
        theft.goes_on(&machine, "Practice")?;
    }
    Ok(())
}

/// ATK-96, DEV-30: before he shuts everybody out he has brought her record under a key of his own, and closed the epoch in which
/// her key opened it. The upload key that it came with opens it still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_he_has_brought_under_his_own_keys_opens_again() -> Result<()> {
    let mut theft = Theft::begin(&[], &[]).await?;
    let list: protocol_spec::messages::CollectionList = theft
        .thief
        .get(&theft.wire, "/v1/vault/collections")
        .await?
        .message()?;
    let default = list
        .collections
        .iter()
        .find(|one| one.collection_id == CollectionId::DEFAULT.as_bytes()[..]);
    let epochs = default.context("no collection")?.key_wraps.len();
    let old = Collection {
        id: CollectionId::DEFAULT,
        epoch: u64::try_from(epochs - 1)?,
    };
    theft.thief.bring_away(&theft.wire, old).await?;
    theft.thief.rotate(&theft.wire, Rotation::default()).await?;
    let (machine, restored) = theft.recover()?;
    ensure!(restored["passed_over"]["unfinished"].is_null(), "{restored}");
    ensure!(theft.reads(&machine)?, "what was there before");
    ensure!(theft.reads(&theft.patient)?, "on the first device");
    theft.goes_on(&machine, "Practice")
}

/// DEV-29: after the time for which it is kept, the server has nothing of it any more, and the kit says so. Before that, a device
/// that was removed gets nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_goes_when_its_time_is_over() -> Result<()> {
    let flags = ["--recovery-delay", "8s", "--sweep-interval", "1s"];
    let mut theft = Theft::begin(&flags, &[]).await?;
    let before = theft.thief.list.claimed().root_epoch;
    let path = format!("/v1/vault/collections?kept={before}");
    theft.thief.rotate(&theft.wire, FOR_HIM_ALONE).await?;
    let kept = theft.thief.get(&theft.wire, &path).await?;
    ensure!(kept.status.is_success(), "{kept:?}");
    sleep(Duration::from_secs(9));
    let kept = theft.thief.get(&theft.wire, &path).await?;
    ensure!(kept.problem() == Some(Problem::NotFound), "{kept:?}");
    ensure!(
        theft.recover().is_err(),
        "the kit opens what is not kept any more"
    );
    let refused = theft.patient.fail(&["device", "remove", "Thief", "--lost"])?;
    ensure!(
        refused
            .text
            .contains("keeps nothing any more of the root epochs before"),
        "{refused:?}"
    );
    ensure!(theft.is_thief_in().await?, "nothing was changed");
    Ok(())
}

/// DEV-29, DEV-30: a device is removed as ever, and nothing is passed over, by her devices or the kit.
#[test]
fn an_honest_root_key_is_passed_over_by_nobody() -> Result<()> {
    let world = World::start()?;
    let (patient, _, record) = with_record(&world, "patient")?;
    let (words, _) = kit(&patient, &world.path("kit.pdf"))?;
    let tablet = link(&world, &patient, "Tablet")?;
    link(&world, &patient, "Old")?;
    patient.run(&["device", "remove", "Old", "--lost"])?;
    tablet.run(&["device", "name", "Tablet", "Kitchen"])?;
    let machine = world.principal("machine");
    let restored = recover(&world, &machine, &words)?;
    ensure!(restored["passed_over"].is_null(), "{restored}");
    for who in [&patient, &tablet, &machine] {
        let out = world.path(&format!("out-{}", std::fs::read_dir(world.folder())?.count()));
        let said = who
            .command(&["records", "get", &record, "--out", &out.display().to_string()])?
            .output()?;
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        ensure!(said.status.success() && !text.contains("root key"), "{text}");
    }
    let devices = machine.run(&["device", "list"])?;
    let own = array(&devices, "devices")?.last().context("no device")?;
    ensure!(text(own, "name")? == "recovered device", "{devices}");
    Ok(())
}
