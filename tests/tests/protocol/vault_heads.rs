//! Yesterday's vault, another one, or one with less in it, shown to the real programs (VLT-3 to VLT-9).

use std::{
    cell::Cell,
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use prost::Message;
use protocol_spec::{defence::Defence, messages as pb, vault_head::Act};
use serde_json::Value;
use tests::{
    attack::{note, play},
    harness::{Cli, Liar, World, grown, text},
};

use super::{collections::Scene, devices::link, flows::array, witnesses::copy};

/// What the server has shown of a vault at some time.
#[derive(Clone, Debug, Default)]
struct Shown {
    /// All acts, from the file in which the device keeps what it has verified.
    acts: Vec<u8>,
    newest: pb::VaultActs,
    permissions: Bytes,
    history: Bytes,
}

impl Shown {
    /// What it shows to this device now.
    fn now(liar: &Liar, device: &Cli) -> Result<Self> {
        let kept: Arc<Mutex<Self>> = Arc::default();
        let keep = kept.clone();
        liar.tell(move |path, body| {
            let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
            if path.starts_with(ACTS) {
                kept.newest = pb::VaultActs::decode(body.clone()).unwrap_or_default();
            } else if path.starts_with(PERMISSIONS) {
                kept.permissions = body.clone();
            } else if path.starts_with(HISTORY) {
                kept.history = body.clone();
            }
            body
        });
        device.run(&["permissions"])?;
        device.run(&["history"])?;
        liar.be_honest();
        let mut shown = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        shown.acts = seen(device)?;
        ensure!(shown.newest.head.is_some(), "no head was shown");
        ensure!(
            shown.acts.len() as u64 == shown.newest.count * Act::LEN as u64,
            "not all acts"
        );
        Ok(shown)
    }

    /// From now on the server shows this; with what history it likes.
    fn again(&self, liar: &Liar, history: History) {
        let shown = self.clone();
        liar.tell(move |path, body| {
            if let Some((_, after)) = path.strip_prefix(ACTS).and_then(|query| query.split_once('=')) {
                let after: usize = after.parse().unwrap_or_default();
                let acts = shown.acts.get(after * Act::LEN..).unwrap_or_default();
                let answer = pb::VaultActs {
                    acts: Bytes::copy_from_slice(acts),
                    ..shown.newest.clone()
                };
                return answer.encode_to_vec().into();
            }
            if path.starts_with(PERMISSIONS) {
                return shown.permissions.clone();
            }
            if path.starts_with(HISTORY) && history == History::AsItWas {
                return shown.history.clone();
            }
            body
        });
    }
}

/// Beside an older vault: the history of then, or of now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum History {
    AsItWas,
    AsItIs,
}

const ACTS: &str = "/v1/vault/acts";
const PERMISSIONS: &str = "/v1/vault/permissions";
const HISTORY: &str = "/v1/vault/history";

/// The acts that a device has verified.
fn seen(device: &Cli) -> Result<Vec<u8>> {
    grown(device.home(), "vault.acts")
}

/// A program that has these defences off; none: as it is.
fn weakened(program: &Cli, without: &[Defence]) -> Cli {
    match without {
        [] => program.clone(),
        _ => program.without(&[without, &[Defence::HomeSeal]].concat()),
    }
}

/// A vault in which a permission was given and revoked, and what the server showed of it before it was revoked.
struct Revoked {
    scene: Scene,
    liar: Liar,
    permission: String,
    before: Shown,
}

impl Revoked {
    fn set() -> Result<Self> {
        let (world, liar) = World::start_behind_liar()?;
        let scene = Scene::in_world(world)?;
        scene.record("skin")?;
        let permission = scene.permit("default", &[])?;
        let before = Shown::now(&liar, &scene.patient)?;
        scene.patient.run(&["revoke", &permission])?;
        Ok(Self {
            scene,
            liar,
            permission,
            before,
        })
    }

    /// Whether the program believes that the permission was not revoked, or with what code and text it refuses.
    fn is_live(&self, by: &Cli) -> Result<Result<bool, (String, String)>> {
        let output = by.command(&["permissions"])?.output()?;
        let said: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        if !output.status.success() {
            return Ok(Err((
                text(&said["error"], "code")?,
                text(&said["error"], "message")?,
            )));
        }
        let mut all = array(&said, "permissions")?.iter();
        let this = all.find(|one| one["permission_id"] == self.permission.as_str());
        Ok(Ok(this.is_some_and(|one| one["state"] == "live")))
    }

    /// A home of the same device that has seen nothing of what was done.
    fn fresh(&self, name: &str) -> Result<Cli> {
        let fresh = self.scene.world.principal(name);
        let home = self.scene.patient.home();
        copy(home, fresh.home())?;
        fs::copy(home.with_extension("key"), fresh.home().with_extension("key"))?;
        fs::remove_file(fresh.home().join("vault.acts"))?;
        // That somebody has taken it away is another matter (KEY-19).
        Ok(fresh.without(&[Defence::HomeSeal]))
    }
}

/// VLT-3, ATK-38: the vault as it was before a permission was revoked, with the head that was over it. Whoever has seen more
/// says what it has seen and what it is shown; without the defence the permission is back.
#[test]
fn an_older_vault_is_refused() -> Result<()> {
    let revoked = Revoked::set()?;
    let device = &revoked.scene.patient;
    ensure!(revoked.is_live(device)? == Ok(false), "it was revoked");
    revoked.before.again(&revoked.liar, History::AsItWas);
    play(&[Defence::VaultHeads], |without| {
        match revoked.is_live(&weakened(device, without))? {
            Ok(live) => Ok(live),
            Err((code, said)) => {
                let names_both = said.contains("has seen head") && said.contains("the server shows");
                ensure!(code == "older-vault" && names_both, "{code}: {said}");
                ensure!(said.contains("history --verify"), "what to do: {said}");
                Ok(false)
            }
        }
    })?;
    revoked.liar.be_honest();
    ensure!(
        revoked.is_live(device)? == Ok(false),
        "an honest server is believed again"
    );
    Ok(())
}

/// VLT-9, ATK-38: the same, shown to a device that has seen nothing of what was done: it finds leaves of hers in the log of
/// which the server shows no statement. That the history tells of a revocation does not make it one of the acts.
#[test]
fn a_device_that_has_seen_nothing_finds_in_the_log_what_is_kept_from_it() -> Result<()> {
    let revoked = Revoked::set()?;
    let number = Cell::new(0);
    for history in [History::AsItWas, History::AsItIs] {
        revoked.before.again(&revoked.liar, history);
        play(&[Defence::VaultHeads], |without| {
            number.set(number.get() + 1);
            let fresh = revoked.fresh(&format!("fresh {}", number.get()))?;
            match revoked.is_live(&weakened(&fresh, without))? {
                Ok(live) => Ok(live),
                Err((code, said)) => {
                    ensure!(code == "hidden-from-vault", "{code}: {said}");
                    ensure!(said.contains("of the log is of this vault"), "{said}");
                    Ok(false)
                }
            }
        })?;
    }
    revoked.liar.be_honest();
    let fresh = revoked.fresh("fresh and honest")?;
    ensure!(revoked.is_live(&fresh)? == Ok(false), "all leaves are explained");
    Ok(())
}

fn record_ids(by: &Cli) -> Result<Vec<String>> {
    let records = by.run(&["records"])?;
    let ids = array(&records, "records")?.iter();
    ids.map(|one| text(one, "record_id")).collect()
}

/// VLT-5, ATK-38: a record that is left out of every list, and of the count.
#[test]
fn a_hidden_record_is_missed() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let scene = Scene::in_world(world)?;
    let (shown, hidden) = (scene.record("skin")?, scene.record("heart")?);
    ensure!(record_ids(&scene.patient)?.contains(&hidden), "it is there");
    liar.tell(move |path, body| {
        if path.starts_with("/v1/vault/index")
            && let Ok(mut page) = pb::IndexPage::decode(body.clone())
        {
            page.segments.clear();
            page.placed = 1;
            return page.encode_to_vec().into();
        }
        if path.starts_with("/v1/vault/records?")
            && let Ok(mut page) = pb::VaultPage::decode(body.clone())
        {
            page.records.truncate(1);
            page.next_number = 0;
            return page.encode_to_vec().into();
        }
        body
    });
    play(&[Defence::VaultHeads], |without| {
        if !without.is_empty() {
            return Ok(record_ids(&scene.patient.without(without))? == [shown.clone()]);
        }
        let refused = scene.patient.fail(&["records"])?;
        let named = refused.json.to_string().contains(&hidden);
        ensure!(
            refused.json["error"]["code"] == "hidden-from-vault" && named,
            "{refused:?}"
        );
        Ok(false)
    })
}

/// VLT-4: the server answers that it has done what was asked for, and does not enter it among the acts.
#[test]
fn what_a_device_has_done_must_stand_among_the_acts() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, _) = world.patient("patient")?;
    patient.run(&["collection", "create", "first"])?;
    let shown = Shown::now(&liar, &patient)?;
    shown.again(&liar, History::AsItIs);
    play(&[Defence::VaultHeads], |without| {
        let name = format!("collection {}", without.len());
        let create = ["collection", "create", &name];
        let done = weakened(&patient, without).command(&create)?.output()?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stdout);
            ensure!(
                said.contains("hidden-from-vault") && said.contains("is not among the acts"),
                "{said}"
            );
        }
        Ok(done.status.success())
    })
}

/// VLT-8, ATK-39: two servers from one snapshot, each for one device of the vault. The clinic that both permit meets two heads
/// under one number, in receipts, also when it compares no logs.
#[test]
fn a_fork_of_a_vault_shows_where_both_sides_meet() -> Result<()> {
    let mut scene = Scene::set()?;
    let second = link(&scene.world, &scene.patient, "Tablet")?;
    scene.record("skin")?;
    second.run(&["records"])?;
    let (data, kept) = (scene.world.server.data().to_owned(), scene.world.path("kept"));
    scene.world.server.stop()?;
    copy(&data, &kept)?;
    scene.world.server.restart()?;
    let permission = scene.permit("default", &[])?;
    scene.fetch(&permission)?;
    scene.world.server.stop()?;
    fs::remove_dir_all(&data)?;
    copy(&kept, &data)?;
    scene.world.server.restart()?;
    // The other side: another device, and another act under the same number.
    let unaware = scene.clinic.without(&[Defence::LogGrowth]);
    let request = scene.request_by(&unaware)?;
    let permit = ["permit", &request, "--collection", "default", "--uses", "9"];
    let permission = text(&second.run(&permit)?, "permission_id")?;
    let fetch = |clinic: &Cli, out: &str| -> Result<std::process::Output> {
        let out = scene.world.path(out).display().to_string();
        let fetch = ["download", "fetch", &permission, "--out", &out];
        Ok(clinic.command(&fetch)?.output()?)
    };
    let refused = fetch(&unaware, "refused")?;
    let said = String::from_utf8_lossy(&refused.stdout);
    ensure!(
        !refused.status.success() && said.contains("other-vault"),
        "{refused:?}"
    );
    note(&[], false)?;
    let both = scene.clinic.without(&[Defence::LogGrowth, Defence::VaultHeads]);
    // The release that was refused is closed by now: this one finds that out, and the next opens another.
    fetch(&both, "closed")?;
    let believed = fetch(&both, "believed")?;
    ensure!(believed.status.success(), "the control: {believed:?}");
    note(&[Defence::VaultHeads], true)
}

/// VLT-5: two devices that take the same arrival in at once place it one after the other; neither takes that for a lie.
#[test]
fn two_devices_may_take_in_the_same_record() -> Result<()> {
    let scene = Scene::set()?;
    let second = link(&scene.world, &scene.patient, "Tablet")?;
    for content in ["skin", "heart", "bone", "lung"] {
        let file = scene.world.path(content);
        fs::write(&file, content)?;
        let offer = ["upload", "request", "--to", "Practice", "--text", "t"];
        let permission = text(&scene.patient.run(&offer)?, "permission_id")?;
        let file = file.display().to_string();
        scene.practice.run(&["upload", "send", &permission, &file])?;
    }
    let both = [&scene.patient, &second].map(|by| by.spawn(&["records"]));
    for child in both {
        let output = child?.wait_with_output()?;
        ensure!(output.status.success(), "{output:?}");
    }
    for by in [&scene.patient, &second] {
        ensure!(record_ids(by)?.len() == 4, "all are listed");
        by.run(&["history", "--verify"])?;
    }
    Ok(())
}

/// VLT-3, VLT-4: what two devices do by turns is one chain, and nobody misses anything.
#[test]
fn devices_that_act_by_turns_share_one_chain() -> Result<()> {
    let scene = Scene::set()?;
    let second = link(&scene.world, &scene.patient, "Tablet")?;
    for (number, by) in [&scene.patient, &second, &scene.patient, &second]
        .into_iter()
        .enumerate()
    {
        by.run(&["collection", "create", &format!("of {number}")])?;
    }
    let permission = scene.permit("default", &[])?;
    second.run(&["revoke", &permission])?;
    for by in [&scene.patient, &second] {
        by.run(&["permissions"])?;
        by.run(&["history", "--verify"])?;
    }
    ensure!(seen(&scene.patient)? == seen(&second)?, "both have seen the same");
    Ok(())
}
