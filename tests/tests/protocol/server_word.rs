//! An operator that says more of a vault than is so, to have it signed: its word on states, uses, bytes and
//! numbers, and what her devices make of it (VLT-5, VLT-10, PRM-17).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    defence::Defence,
    devices::DeviceList,
    ids::PermissionId,
    messages::{self as pb, PermissionState},
    permission::PermissionBody,
    problem::Problem,
    statement::{Body, Signed},
};
use serde_json::Value;
use tests::{
    attack::play,
    harness::{Cli, Liar, World, text},
};

use super::collections::Scene;

/// Messages that a hostile server has taken, and its own server never saw.
type Taken<T> = Arc<Mutex<Vec<T>>>;

fn taken<T: Clone>(kept: &Taken<T>) -> Vec<T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// From now on it takes the permissions that she signs.
fn take_permissions(liar: &Liar) -> Taken<PermissionBody> {
    take_such(liar, |_| true)
}

/// From now on it takes those of her permissions for which `which` holds; the others reach the server.
fn take_such(
    liar: &Liar,
    which: impl Fn(&PermissionBody) -> bool + Send + Sync + 'static,
) -> Taken<PermissionBody> {
    let kept: Taken<PermissionBody> = Arc::default();
    let keep = kept.clone();
    liar.take(move |asked, body| {
        let permission = match asked {
            "POST /v1/permissions" => pb::SubmitPermission::decode(body.clone()).ok()?.permission,
            "POST /v1/vault/emergency" => pb::PutEmergency::decode(body.clone()).ok()?.permission,
            _ => return None,
        };
        let body = PermissionBody::decode(&permission?.body)
            .ok()
            .filter(|body| which(body))?;
        keep.lock().unwrap_or_else(PoisonError::into_inner).push(body);
        Some(Bytes::new())
    });
    kept
}

/// From now on it says this of a permission.
fn say(
    liar: &Liar,
    of: &str,
    change: impl Fn(&mut pb::PermissionEntry) + Send + Sync + 'static,
) -> Result<()> {
    let of: PermissionId = of.parse()?;
    liar.tell_of("/v1/vault/permissions", move |mut list: pb::PermissionList| {
        for entry in &mut list.permissions {
            let body = entry.permission.as_ref().map(|permission| &permission.body);
            let body = PermissionBody::decode(body.map(AsRef::as_ref).unwrap_or_default());
            if body.is_ok_and(|body| body.permission_id == of) {
                change(entry);
            }
        }
        list
    });
    Ok(())
}

/// Runs a command, whatever comes of it: what she has signed is at the server.
fn try_to(device: &Cli, args: &[&str]) -> Result<String> {
    let output = device.command(args)?.output()?;
    Ok(format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// A patient whose collection two institutions may read; the clinic's permission is to be revoked, so that
/// the laboratory's is given anew under the next key.
struct Shared {
    scene: Scene,
    liar: Liar,
    laboratory: Cli,
    revoked: String,
}

impl Shared {
    fn set() -> Result<Self> {
        let (world, liar) = World::start_behind_liar()?;
        let (laboratory, _) = world.institution("Laboratory")?;
        let scene = Scene::in_world(world)?;
        scene.record("heart")?;
        let revoked = scene.permit("default", &[])?;
        Ok(Self {
            scene,
            liar,
            laboratory,
            revoked,
        })
    }

    fn permit(&self, request: &str, more: &[&str]) -> Result<String> {
        let args = [&["permit", request, "--collection", "default"], more].concat();
        text(&self.scene.patient.run(&args)?, "permission_id")
    }

    /// What her device signs in the place of this permission when she revokes the clinic's, by a program
    /// without these defences.
    fn given_anew(&self, permission: &str, without: &[Defence]) -> Result<Option<PermissionBody>> {
        let kept = take_permissions(&self.liar);
        let said = try_to(&self.scene.patient.without(without), &["revoke", &self.revoked])?;
        let anew = taken(&kept);
        ensure!(
            !without.is_empty() || anew.is_empty(),
            "keys left: {anew:?}: {said}"
        );
        let old: PermissionId = permission.parse()?;
        let replaces = |body: &PermissionBody| {
            body.replaces
                .is_some_and(|replaces| replaces.permission_id == old)
        };
        Ok(anew.into_iter().find(replaces))
    }
}

/// VLT-10, INS-6, ATK-63: a permission that she has narrowed is shown as live, and would be given the next
/// key with all that was allowed once.
#[test]
fn a_replaced_permission_is_not_given_anew() -> Result<()> {
    play(&[Defence::PermissionStates], |without| {
        let shared = Shared::set()?;
        let request = shared.scene.request_by(&shared.laboratory)?;
        let wide = shared.permit(&request, &["--uses", "100", "--expires", "3650d"])?;
        shared.permit(&request, &["--uses", "1", "--expires", "1h", "--replaces", &wide])?;
        say(&shared.liar, &wide, |entry| {
            entry.set_state(PermissionState::Live);
        })?;
        let anew = shared.given_anew(&wide, without)?;
        Ok(anew.is_some_and(|body| {
            body.uses == 100 && body.collection.is_some_and(|of| of.collection.epoch == 1)
        }))
    })
}

/// VLT-10, ATK-63: what is over by her own clock is not given anew, though the server shows it as live.
/// Nothing is wrong with the list then: clocks differ, and she goes by hers.
#[test]
fn an_expired_permission_is_not_given_anew() -> Result<()> {
    play(&[Defence::PermissionStates], |without| {
        let shared = Shared::set()?;
        let request = shared.scene.request_by(&shared.laboratory)?;
        let over = shared.permit(&request, &["--uses", "9", "--expires", "1s"])?;
        thread::sleep(Duration::from_millis(1500));
        say(&shared.liar, &over, |entry| {
            entry.set_state(PermissionState::Live);
        })?;
        Ok(shared.given_anew(&over, without)?.is_some())
    })
}

/// VLT-10, EMG-14, ATK-63: the permission of the card before is shown as replaced, so that it would not be
/// revoked, and whoever found that card would open what comes later.
#[test]
fn a_new_card_is_not_made_while_the_old_one_is_shown_as_replaced() -> Result<()> {
    play(&[Defence::PermissionStates], |without| {
        let (world, liar) = World::start_behind_liar()?;
        let (patient, _) = world.patient("patient")?;
        let page = |name: &str| world.path(name).display().to_string();
        let made = patient.run(&["emergency", "card", "--pdf", &page("first.pdf")])?;
        let old = text(&made, "permission_id")?;
        say(&liar, &old, |entry| {
            entry.set_state(PermissionState::Replaced);
        })?;
        let kept = take_permissions(&liar);
        let device = patient.without(without);
        let said = try_to(&device, &["emergency", "card", "--pdf", &page("second.pdf")])?;
        liar.be_honest();
        let listed = patient.run(&["permissions"]).map(|list| list.to_string());
        let live = listed.is_ok_and(|list| list.contains("\"live\""));
        let made = !taken(&kept).is_empty();
        ensure!(made != without.is_empty(), "a card was made: {made}: {said}");
        // The second card is made, and the first opens as before.
        Ok(made && live)
    })
}

/// PRM-17, ATK-64: more uses and bytes than she has signed.
#[test]
fn no_more_is_signed_than_was_signed_before() -> Result<()> {
    play(&[Defence::PermissionLeft], |without| {
        let shared = Shared::set()?;
        let request = shared.scene.request_by(&shared.laboratory)?;
        let other = shared.permit(&request, &["--uses", "9", "--max-bytes", "1MB"])?;
        say(&shared.liar, &other, |entry| {
            entry.uses_left = u32::MAX;
            entry.bytes_left = u64::MAX;
        })?;
        let anew = shared.given_anew(&other, without)?;
        Ok(anew.is_some_and(|body| (body.uses, body.bytes) == (u32::MAX, u64::MAX)))
    })
}

/// PRM-17, VLT-10, ATK-64: a permission whose one use is spent comes back to life; and one of three uses gets
/// back what was used.
#[test]
fn what_was_used_does_not_come_back() -> Result<()> {
    for (uses, left) in [("1", 1), ("3", 3)] {
        play(&[Defence::PermissionLeft], |without| {
            let shared = Shared::set()?;
            let request = shared.scene.request_by(&shared.laboratory)?;
            let used = shared.permit(&request, &["--uses", uses])?;
            shared.scene.fetch_by(&shared.laboratory, &used)?;
            say(&shared.liar, &used, move |entry| {
                entry.set_state(PermissionState::Live);
                entry.uses_left = left;
            })?;
            let anew = shared.given_anew(&used, without)?;
            Ok(anew.is_some_and(|body| body.uses == left))
        })?;
    }
    Ok(())
}

/// PRM-17, ATK-64: bytes that a receipt says are gone.
#[test]
fn bytes_that_were_released_do_not_come_back() -> Result<()> {
    play(&[Defence::PermissionLeft], |without| {
        let shared = Shared::set()?;
        let request = shared.scene.request_by(&shared.laboratory)?;
        let used = shared.permit(&request, &["--uses", "9", "--max-bytes", "1000000"])?;
        shared.scene.fetch_by(&shared.laboratory, &used)?;
        say(&shared.liar, &used, |entry| entry.bytes_left = 1_000_000)?;
        let anew = shared.given_anew(&used, without)?;
        Ok(anew.is_some_and(|body| body.bytes == 1_000_000))
    })
}

/// PRM-17: what the home has counted stays counted, though the server leaves it out of the history later.
#[test]
fn what_was_once_seen_as_used_stays_used() -> Result<()> {
    let shared = Shared::set()?;
    let request = shared.scene.request_by(&shared.laboratory)?;
    let used = shared.permit(&request, &["--uses", "3"])?;
    shared.scene.fetch_by(&shared.laboratory, &used)?;
    shared.scene.patient.run(&["permissions"])?;
    let of: PermissionId = used.parse()?;
    shared.liar.tell(move |path, body| {
        if path.starts_with("/v1/vault/history")
            && let Ok(mut page) = pb::HistoryPage::decode(body.clone())
        {
            page.entries.clear();
            page.next = 0;
            return page.encode_to_vec().into();
        }
        if path.starts_with("/v1/vault/permissions")
            && let Ok(mut list) = pb::PermissionList::decode(body.clone())
        {
            for entry in &mut list.permissions {
                let body = entry.permission.as_ref().map(|permission| &permission.body);
                let body = PermissionBody::decode(body.map(AsRef::as_ref).unwrap_or_default());
                if body.is_ok_and(|body| body.permission_id == of) {
                    entry.uses_left = 3;
                }
            }
            return list.encode_to_vec().into();
        }
        body
    });
    let refused = shared.scene.patient.fail(&["permissions"])?;
    assert_eq!(refused.json["error"]["code"], "hidden-from-vault", "{refused:?}");
    Ok(())
}

/// PRM-17, ATK-64: an emergency permission is wrapped anew with more than she has signed.
#[test]
fn a_card_gets_no_more_than_was_signed() -> Result<()> {
    play(&[Defence::PermissionLeft], |without| {
        let (world, liar) = World::start_behind_liar()?;
        let (patient, _) = world.patient("patient")?;
        let (_, guardian) = world.patient("guardian")?;
        let page = |name: &str| world.path(name).display().to_string();
        patient.run(&["emergency", "card", "--pdf", &page("first.pdf")])?;
        let added = patient.run(&["emergency", "guardian", "add", &guardian])?;
        let of_guardian = text(&added, "permission_id")?;
        say(&liar, &of_guardian, |entry| entry.uses_left = 4000)?;
        // The new card is taken; then the one before it is revoked, the collection gets a new key, and the guardian's
        // permission another wrap.
        let kept = take_such(&liar, |body| body.replaces.is_some());
        try_to(
            &patient.without(without),
            &["emergency", "card", "--pdf", &page("second.pdf")],
        )?;
        let wide = |body: &PermissionBody| body.replaces.is_some() && body.uses == 4000;
        Ok(taken(&kept).iter().any(wide))
    })
}

/// From now on it shows this many placements more than there are.
fn show_placements(liar: &Liar, more: u64) {
    liar.tell_of("/v1/vault/collections", move |mut list: pb::CollectionList| {
        list.last_placement += more;
        list
    });
}

/// VLT-5, COL-6, ATK-64: a permission for what there is now would cover what is placed later.
#[test]
fn a_permission_for_now_ends_at_the_last_placement_there_is() -> Result<()> {
    play(&[Defence::VaultHeads], |without| {
        let shared = Shared::set()?;
        let request = shared.scene.request_by(&shared.laboratory)?;
        show_placements(&shared.liar, 1000);
        let kept = take_permissions(&shared.liar);
        let args = ["permit", &request, "--collection", "default", "--until-now"];
        let said = try_to(&shared.scene.patient.without(without), &args)?;
        let until = |body: &PermissionBody| body.collection.and_then(|of| of.until);
        let further = taken(&kept).iter().any(|body| until(body) == Some(1001));
        ensure!(further || said.contains("hidden-from-vault"), "{said}");
        Ok(further)
    })
}

/// VLT-5, DEV-8, ATK-64: a list of devices is signed over more placements than there are, and a device that
/// is removed by it could place what comes later.
#[test]
fn a_list_of_devices_is_signed_over_the_placements_there_are() -> Result<()> {
    play(&[Defence::VaultHeads], |without| {
        let (world, liar) = World::start_behind_liar()?;
        let scene = Scene::in_world(world)?;
        scene.record("heart")?;
        super::devices::link(&scene.world, &scene.patient, "Tablet")?;
        show_placements(&liar, 1000);
        let kept: Taken<u64> = Arc::default();
        let keep = kept.clone();
        liar.take(move |asked, body| {
            let message =
                (asked == "POST /v1/vault/devices").then(|| pb::ChangeDevices::decode(body.clone()));
            let list = Signed::<DeviceList>::try_from(message?.ok()?.list).ok()?;
            let number = list.claimed().last_placement;
            keep.lock().unwrap_or_else(PoisonError::into_inner).push(number);
            Some(Bytes::new())
        });
        let said = try_to(
            &scene.patient.without(without),
            &["device", "name", "Tablet", "Slate"],
        )?;
        let further = taken(&kept).contains(&1001);
        ensure!(further || said.contains("hidden-from-vault"), "{said}");
        Ok(further)
    })
}

/// REV-7, VLT-5, ATK-64: a record is left out of what lies under the key that is taken back, so that the
/// certificate would say that the institution cannot open it.
#[test]
fn a_certificate_leaves_out_nothing_that_the_key_opens() -> Result<()> {
    play(&[Defence::VaultHeads], |without| {
        let (world, liar) = World::start_behind_liar()?;
        let scene = Scene::in_world(world)?;
        scene.record("heart")?;
        scene.record("skin")?;
        let permission = scene.permit("default", &[])?;
        let first = AtomicBool::new(true);
        liar.tell_of("/v1/vault/wraps", move |mut page: pb::WrapPage| {
            if first.swap(false, Ordering::SeqCst) {
                page.wraps.truncate(1);
            }
            page
        });
        let device = scene.patient.without(without);
        let output = device.command(&["revoke", &permission])?.output()?;
        let said: Value = serde_json::from_slice(&output.stdout)?;
        let hidden = said["error"]["code"] == "hidden-from-vault";
        ensure!(hidden == without.is_empty(), "{said}");
        let exposed = said["exposed"].as_array().map(Vec::len);
        Ok(exposed == Some(1))
    })
}

/// VLT-5, COL-3: the newest key of a collection is kept back, so that she would permit under one that others
/// know.
#[test]
fn nothing_is_permitted_under_an_older_key_of_a_collection() -> Result<()> {
    let shared = Shared::set()?;
    let request = shared.scene.request_by(&shared.laboratory)?;
    shared.scene.patient.run(&["revoke", &shared.revoked])?;
    shared
        .liar
        .tell_of("/v1/vault/collections", |mut list: pb::CollectionList| {
            for collection in &mut list.collections {
                collection.key_wraps.truncate(1);
            }
            list
        });
    let kept = take_permissions(&shared.liar);
    let args = ["permit", &request, "--collection", "default"];
    let refused = shared.scene.patient.fail(&args)?;
    assert_eq!(refused.json["error"]["code"], "hidden-from-vault", "{refused:?}");
    assert!(taken(&kept).is_empty());
    Ok(())
}

/// VLT-5, DLG-10, ATK-63: the end of a delegation is left out, so that its delegate would be given the next
/// keys.
#[test]
fn a_delegate_whose_time_was_ended_gets_no_keys() -> Result<()> {
    play(&[Defence::VaultHeads], |without| {
        let (world, liar) = World::start_behind_liar()?;
        let (_, mother) = world.patient("mother")?;
        let scene = Scene::in_world(world)?;
        scene.record("heart")?;
        let add = ["delegate", "add", &mother, "--name", "Mother", "--expires", "1d"];
        let delegation = text(&scene.patient.run(&add)?, "delegation_id")?;
        scene.patient.run(&["delegate", "end", &delegation])?;
        liar.tell_of("/v1/vault/delegations", |mut page: pb::DelegationPage| {
            page.delegations.iter_mut().for_each(|entry| entry.end = None);
            page
        });
        let kept: Taken<Bytes> = Arc::default();
        let keep = kept.clone();
        liar.take(move |asked, body| {
            let keys = (asked == "POST /v1/vault/delegations/keys").then(|| body.clone())?;
            keep.lock().unwrap_or_else(PoisonError::into_inner).push(keys);
            Some(Bytes::new())
        });
        let said = try_to(&scene.patient.without(without), &["records"])?;
        let given = !taken(&kept).is_empty();
        ensure!(
            given || !without.is_empty() || said.contains("is shown otherwise than it was given or ended"),
            "{said}"
        );
        Ok(given)
    })
}

/// REV-2: the receipt of another permission's revocation is no receipt for this one.
#[test]
fn a_revocation_is_answered_with_its_own_receipt() -> Result<()> {
    let shared = Shared::set()?;
    let other = shared.scene.permit_to(&shared.laboratory, "default", &[])?;
    let first: Taken<Bytes> = Arc::default();
    shared.liar.tell(move |path, body| {
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        if path != "/v1/revocations" {
            return body;
        }
        first.push(body);
        first.first().cloned().unwrap_or_default()
    });
    shared.scene.patient.run(&["revoke", &shared.revoked])?;
    let refused = shared.scene.patient.fail(&["revoke", &other])?;
    assert_eq!(refused.json["error"]["code"], "tampered", "{refused:?}");
    Ok(())
}

/// EMG-10: a guardian is shown what another one was given.
#[test]
fn a_guardian_hands_on_her_own_half_alone() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, of) = world.patient("patient")?;
    let (one, one_id) = world.patient("one")?;
    let (two, two_id) = world.patient("two")?;
    world.institution_for("Ambulance", &["--emergency"])?;
    for (guardian, id) in [(&one, &one_id), (&two, &two_id)] {
        patient.run(&["emergency", "guardian", "add", id])?;
        guardian.run(&["emergency", "guardian", "accept", &of])?;
    }
    let first: Taken<Bytes> = Arc::default();
    liar.tell(move |path, body| {
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        if !path.starts_with("/v1/emergency/pat") {
            return body;
        }
        first.push(body);
        first.first().cloned().unwrap_or_default()
    });
    let help = [
        "emergency",
        "help",
        "--patient",
        &of,
        "--institution",
        "Ambulance",
    ];
    one.run(&help)?;
    let refused = two.fail(&help)?;
    assert_eq!(refused.json["error"]["code"], "tampered", "{refused:?}");
    Ok(())
}

/// FLW-21, ATK-104: each release is closed before a byte of it has come; the client says so, and asks no further.
#[test]
fn releases_that_bring_nothing_come_to_an_end() -> Result<()> {
    const MANY: usize = 12;
    play(&[Defence::IdleReleases], |without| {
        let shared = Shared::set()?;
        let presented = || shared.liar.asked("POST /v1/permissions/");
        let before = presented();
        shared.liar.refuse("/leaves?first=", Problem::ReleaseClosed);
        let clinic = shared.scene.clinic.without(without);
        let out = shared.scene.world.path("out").display().to_string();
        let args = ["download", "fetch", &shared.revoked, "--out", &out];
        let mut child = clinic.spawn(&args)?;
        let ended = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if presented() - before >= MANY {
                child.kill()?;
                child.wait()?;
                break None;
            }
            thread::sleep(Duration::from_millis(20));
        };
        let asked = presented() - before;
        ensure!(
            ended.is_some_and(|status| !status.success()) || asked >= MANY,
            "{ended:?}"
        );
        ensure!(asked >= 2, "a release may end when it is taken up: {asked}");
        if without.is_empty() {
            let refused = clinic.fail(&args)?;
            ensure!(refused.json["error"]["code"] == "release-closed", "{refused:?}");
            // Nothing is lost by it.
            shared.liar.be_honest();
            clinic.run(&args)?;
        }
        Ok(asked >= MANY)
    })
}
