//! Delegates by the real programs: a mother acts for her child, and stops to.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use crypto::{DelegatedKeyContext, OperatingSystem, RecipientSecret, open_delegated_key};
use prost::Message;
use protocol_spec::{
    bodies::{DelegatedKey, Delegation, VaultKeyStatement},
    collection::Collection,
    defence::Defence,
    messages as pb,
    patient::PatientSigned,
    statement::Body,
};
use serde_json::Value;
use tests::{
    attack::play,
    harness::{Cli, World, text},
};

use super::collections::{Scene, contents};

/// A mother, enrolled, whom the scene's patient has made her delegate.
fn mother(scene: &Scene, power: &str, expires: &str) -> Result<(Cli, String, String)> {
    let (mother, mother_id) = scene.world.patient("mother")?;
    let added = scene.patient.run(&[
        "delegate",
        "add",
        &mother_id,
        "--name",
        "Mother",
        "--power",
        power,
        "--expires",
        expires,
    ])?;
    let delegation = text(&added, "delegation_id")?;
    mother.run(&["delegate", "accept", &delegation])?;
    Ok((mother, mother_id, delegation))
}

fn child(scene: &Scene) -> Result<String> {
    let record = scene.patient.run(&["delegate", "list"])?;
    ensure!(record["given"].is_array(), "{record}");
    Ok(scene.patient_id.clone())
}

/// Entries of the child's history of one kind.
fn entries(scene: &Scene, kind: &str) -> Result<Vec<Value>> {
    let history = scene.patient.run(&["history", "--verify"])?;
    let all = history["history"].as_array().context("no history")?;
    Ok(all
        .iter()
        .filter(|entry| entry["kind"] == kind)
        .cloned()
        .collect())
}

/// The whole of it: a mother reads, permits a record, permits a collection, denies; the history names her (DLG-9).
#[test]
fn a_mother_acts_for_her_child() -> Result<()> {
    let scene = Scene::set()?;
    let record = scene.record("the blood test")?;
    let (mother, mother_id, delegation) = mother(&scene, "permit", "1d")?;
    let child = child(&scene)?;
    let for_child = |args: &[&str]| {
        [args, &["--acting-for", &child]]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };

    let held = mother.run(&["delegate", "list"])?;
    assert_eq!(held["held"][0]["owner_id"], child, "{held}");
    assert_eq!(held["held"][0]["power"], "permit");
    assert_eq!(mother.run(&["inbox"])?["events"][0]["kind"], "delegated");
    let records = mother.run(&for_child(&["records"]))?;
    assert_eq!(records["records"][0]["record_id"], record, "{records}");
    let out = scene.world.path("mothers").display().to_string();
    let again = scene.world.path("again").display().to_string();
    mother.run(&for_child(&["records", "get", &record, "--out", &out]))?;
    assert_eq!(contents(out.as_ref())?, ["the blood test".to_owned()].into());
    // Her own vault is another one.
    assert_eq!(mother.run(&["records"])?["records"], serde_json::json!([]));

    let request = scene.request()?;
    let open = mother.run(&for_child(&["inbox"]))?;
    assert_eq!(open["requests"][0]["request_id"], request, "{open}");
    assert_eq!(open["requests"][0]["from_name"], "Clinic");
    let permitted = mother.run(&for_child(&["permit", &request, "--all"]))?;
    let first = text(&permitted, "permission_id")?;
    assert_eq!(scene.fetch(&first)?, ["the blood test".to_owned()].into());
    let inbox = scene.clinic.run(&["inbox"])?;
    let told = inbox["events"]
        .as_array()
        .and_then(|events| events.last())
        .cloned();
    assert_eq!(told.context("nothing")?["delegate"], mother_id, "{inbox}");

    let request = scene.request()?;
    let args = ["permit", &request, "--collection", "default", "--uses", "3"];
    let over = text(&mother.run(&for_child(&args))?, "permission_id")?;
    scene.record("the second test")?;
    let both = ["the blood test".to_owned(), "the second test".to_owned()].into();
    assert_eq!(scene.fetch(&over)?, both);

    let request = scene.request()?;
    mother.run(&for_child(&["deny", &request, "--text", "not now"]))?;
    let refused = mother.fail(&for_child(&["permit", &request, "--all"]))?;
    assert_eq!(refused.json["error"]["code"], "request-answered");

    let by = format!("delegate Mother ({mother_id})");
    let permitted = entries(&scene, "permitted")?;
    let of_mother = permitted
        .iter()
        .filter(|entry| entry["answered_by"] == by.as_str());
    assert_eq!(of_mother.count(), 2, "{permitted:?}");
    assert_eq!(entries(&scene, "denied")?[0]["answered_by"], by.as_str());
    assert_eq!(entries(&scene, "delegated")?[0]["delegate"], "Mother");
    // DLG-11: also what she looked at, once a day.
    mother.run(&for_child(&["records", "get", &record, "--out", &again]))?;
    let read = entries(&scene, "delegate-read")?;
    assert_eq!(read.len(), 1, "{read:?}");
    assert_eq!(
        (&read[0]["record_id"], &read[0]["answered_by"]),
        (&record.into(), &by.as_str().into())
    );
    let permissions = scene.patient.run(&["permissions"])?;
    let listed = permissions["permissions"].as_array().context("no list")?;
    let given = listed
        .iter()
        .find(|entry| entry["permission_id"] == over.as_str());
    assert_eq!(
        given.context("not listed")?["delegate"],
        "Mother",
        "{permissions}"
    );

    // What she may not, with the next step.
    let request = scene.request()?;
    for args in [
        &["permit", &request, "--all", "--expires", "30d"][..],
        &["permit", &request, "--all", "--type", "text/plain"],
        &["permit", &request, "--all", "--replaces", &over],
    ] {
        let refused = mother.fail(&for_child(args))?;
        assert_eq!(refused.json["error"]["code"], "usage", "{refused:?}");
    }
    // The owner ends it; what was given stays, hers from now on.
    let ended = scene.patient.run(&["delegate", "end", &delegation])?;
    assert_eq!(ended["epochs_closed"], 1, "{ended}");
    let still = ended["permissions"].as_array().context("no permissions")?;
    assert_eq!(still.len(), 1, "{ended}");
    let refused = mother.fail(&for_child(&["records"]))?;
    assert_eq!(refused.json["error"]["code"], "delegation-ended");
    assert_eq!(entries(&scene, "delegation-ended")?.len(), 1);
    let anew = text(&still[0], "permission_id")?;
    scene.record("the third test")?;
    assert_eq!(scene.fetch(&anew)?.len(), 3);
    assert_eq!(scene.collections()?[0]["epoch"], 1);
    Ok(())
}

/// DLG-5: who may only read; and DLG-6: only what lies in the collections that are named.
#[test]
fn a_carer_reads_one_collection_and_nothing_else() -> Result<()> {
    let scene = Scene::set()?;
    scene.patient.run(&["collection", "create", "medication"])?;
    let inside = scene.record("ibuprofen")?;
    scene.record("a letter")?;
    scene
        .patient
        .run(&["collection", "move", &inside, "--to", "medication"])?;
    let (carer, carer_id) = scene.world.patient("carer")?;
    let added = scene.patient.run(&[
        "delegate",
        "add",
        &carer_id,
        "--name",
        "Home care",
        "--collection",
        "medication",
        "--expires",
        "1d",
    ])?;
    carer.run(&["delegate", "accept", &text(&added, "delegation_id")?])?;
    let child = child(&scene)?;
    let records = carer.run(&["records", "--acting-for", &child])?;
    let listed = records["records"].as_array().context("no records")?;
    assert_eq!(listed.len(), 1, "{records}");
    assert_eq!(listed[0]["record_id"], inside);
    assert_eq!(records["refused"], serde_json::json!([]));
    let request = scene.request()?;
    let refused = carer.fail(&["permit", &request, "--all", "--acting-for", &child])?;
    assert_eq!(refused.json["error"]["code"], "delegation-power", "{refused:?}");
    let refused = carer.fail(&["inbox", "--acting-for", &child])?;
    assert_eq!(refused.json["error"]["code"], "delegation-power");
    // Nobody has let the carer's own mother do anything.
    let (stranger, _) = scene.world.patient("stranger")?;
    let refused = stranger.fail(&["records", "--acting-for", &child])?;
    assert_eq!(refused.json["error"]["code"], "usage", "{refused:?}");
    Ok(())
}

/// DLG-4, DLG-10: who is left goes on with the new keys; a device that is removed takes no delegate along.
#[test]
fn other_delegates_go_on_when_keys_change() -> Result<()> {
    let scene = Scene::set()?;
    scene.record("before")?;
    let (mother, _, delegation) = mother(&scene, "permit", "1d")?;
    let (father, father_id) = scene.world.patient("father")?;
    let added = scene.patient.run(&[
        "delegate",
        "add",
        &father_id,
        "--name",
        "Father",
        "--power",
        "permit",
        "--expires",
        "1d",
    ])?;
    father.run(&["delegate", "accept", &text(&added, "delegation_id")?])?;
    let child = child(&scene)?;
    scene.patient.run(&["delegate", "end", &delegation])?;
    scene.record("after")?;
    let records = father.run(&["records", "--acting-for", &child])?;
    assert_eq!(records["records"].as_array().map(Vec::len), Some(2), "{records}");
    let request = scene.request()?;
    let permitted = father.run(&["permit", &request, "--all", "--acting-for", &child])?;
    assert_eq!(scene.fetch(&text(&permitted, "permission_id")?)?.len(), 2);
    mother.fail(&["permit", &request, "--all", "--acting-for", &child])?;
    // A delegate's own vault gets new keys: what was sealed to the one before stays readable.
    assert_eq!(
        father.run(&["device", "list"])?["devices"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    Ok(())
}

/// DLG-10: a child comes of age. Nobody does anything but go on; the collection has a new key.
#[test]
fn the_day_of_age_takes_the_keys_back() -> Result<()> {
    let scene = Scene::set()?;
    scene.record("childhood")?;
    let (mother, mother_id, _) = mother(&scene, "permit", "6s")?;
    let child = child(&scene)?;
    let records = mother.run(&["records", "--acting-for", &child])?;
    assert_eq!(records["records"].as_array().map(Vec::len), Some(1), "{records}");
    assert_eq!(scene.collections()?[0]["epoch"], 0);
    std::thread::sleep(Duration::from_secs(7));
    let refused = mother.fail(&["records", "--acting-for", &child])?;
    assert_eq!(refused.json["error"]["code"], "delegation-expired", "{refused:?}");
    // What her device does anyway: by its rules, or when a record arrives.
    let rules = scene.world.path("rules.toml");
    std::fs::write(&rules, "format = 1\n")?;
    let used = scene.patient.run(&["rules", "use", &rules.display().to_string()]);
    if used.is_ok() {
        scene.patient.run(&["agent", "--once"])?;
    } else {
        scene.patient.run(&["records"])?;
    }
    assert_eq!(scene.collections()?[0]["epoch"], 1);
    let given = scene.patient.run(&["delegate", "list"])?;
    assert_eq!(given["given"][0]["state"], "ended", "{given}");
    let ended = entries(&scene, "delegation-ended")?;
    assert_eq!(ended[0]["delegate_id"], mother_id);
    Ok(())
}

/// DLG-10: a former delegate who has kept her keys, with a server that still shows her everything, opens nothing that
/// came later.
#[test]
fn a_former_delegate_opens_nothing_new_even_with_the_servers_help() -> Result<()> {
    let (world, liar) = World::start_behind_liar_without(&[Defence::DelegationLife])?;
    let scene = Scene::in_world(world)?;
    scene.record("before")?;
    let (mother, _, delegation) = mother(&scene, "permit", "1d")?;
    let child = child(&scene)?;
    // The operator keeps what it has handed out, and forgets the end.
    let kept: Arc<Mutex<HashMap<String, bytes::Bytes>>> = Arc::default();
    let store = kept.clone();
    liar.tell(move |asked, body| {
        let mut kept = store.lock().unwrap_or_else(PoisonError::into_inner);
        let page = pb::DelegatedKeyPage::decode(body.clone()).ok();
        if asked.starts_with("/v1/delegated-keys") {
            if page.is_some_and(|page| !page.keys.is_empty()) {
                kept.insert(asked.to_owned(), body);
            }
            return kept.get(asked).cloned().unwrap_or_default();
        }
        if asked.starts_with("/v1/delegations")
            && let Ok(mut page) = pb::DelegationPage::decode(body.clone())
        {
            page.delegations.iter_mut().for_each(|entry| entry.end = None);
            return page.encode_to_vec().into();
        }
        body
    });
    let read = || -> Result<(usize, usize)> {
        let records = mother.run(&["records", "--acting-for", &child])?;
        let count = |what: &str| records[what].as_array().map_or(0, Vec::len);
        Ok((count("records"), count("refused")))
    };
    assert_eq!(read()?, (1, 0));
    scene.record("while she acts")?;
    assert_eq!(
        read()?,
        (2, 0),
        "the control: with the keys that she has she opens what comes"
    );
    scene.patient.run(&["delegate", "end", &delegation])?;
    scene.record("afterwards")?;
    // All lie under the new key now; what she had opened she knows, and nothing that came later.
    assert_eq!(read()?, (0, 3));
    Ok(())
}

/// DLG-10: a delegation that ends between the look at it and the new keys for it keeps no revocation from its end.
#[test]
fn a_delegation_that_ends_meanwhile_breaks_no_revocation() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let scene = Scene::in_world(world)?;
    scene.record("before")?;
    let (practice, _) = scene.world.institution("Surgery")?;
    let ask = [
        "download",
        "request",
        "--patient",
        &scene.patient_id,
        "--text",
        "t",
    ];
    let request = text(&practice.run(&ask)?, "request_id")?;
    let permit = ["permit", &request, "--collection", "default"];
    let permission = text(&scene.patient.run(&permit)?, "permission_id")?;
    mother(&scene, "read", "20s")?;
    let over = Instant::now() + Duration::from_secs(22);
    // Once the records are under the new key, the delegates are asked for: the answer comes when this one is none any more.
    let wrapped = AtomicBool::new(false);
    liar.tell(move |asked, body| {
        if asked == "/v1/vault/wraps" {
            wrapped.store(true, Ordering::SeqCst);
        } else if asked.starts_with("/v1/vault/delegations") && wrapped.load(Ordering::SeqCst) {
            std::thread::sleep(over.saturating_duration_since(Instant::now()));
        }
        body
    });
    scene.patient.run(&["revoke", &permission])?;
    Ok(())
}

/// DLG-10: an end that breaks off after the server has taken it is taken up by whatever the patient does next; and no
/// server keeps the re-keying from her by hiding what there is to do.
#[test]
fn an_end_that_was_broken_off_is_taken_up_again() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let scene = Scene::in_world(world)?;
    scene.record("before")?;
    let (mother, _, delegation) = mother(&scene, "permit", "1d")?;
    let child = child(&scene)?;
    // The page of keys to be brought under the new one does not come.
    liar.tell(|asked, body| match asked {
        asked if asked.starts_with("/v1/vault/wraps") => bytes::Bytes::from_static(b"\xff"),
        _ => body,
    });
    scene.patient.fail(&["delegate", "end", &delegation])?;
    let refused = mother.fail(&["records", "--acting-for", &child])?;
    assert_eq!(refused.json["error"]["code"], "delegation-ended", "at once");
    // A server that says that the delegate was never given a key, or that there is no such collection.
    liar.tell(|asked, body| {
        if asked.starts_with("/v1/vault/delegations")
            && let Ok(mut page) = pb::DelegationPage::decode(body.clone())
        {
            page.delegations.iter_mut().for_each(|entry| entry.given.clear());
            return page.encode_to_vec().into();
        }
        body
    });
    scene.patient.run(&["records"])?;
    liar.be_honest();
    let list: Value = scene.patient.run(&["collection", "list"])?;
    assert_eq!(list["collections"][0]["epoch"], 1, "{list}");
    let closed = entries(&scene, "epoch-closed")?;
    assert_eq!(closed.len(), 1, "{closed:?}");
    liar.tell_of("/v1/vault/collections", |mut list: pb::CollectionList| {
        list.collections
            .retain(|collection| collection.collection_id != [0; 16][..]);
        list
    });
    let output = scene
        .patient
        .command(&["delegate", "end", &delegation])?
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("is shown without its newest key, or not at all"),
        "{said}"
    );
    Ok(())
}

/// Delegates' reads in a page of the history.
fn reads(page: &mut pb::HistoryPage) -> Vec<&mut pb::DelegateRead> {
    use pb::history_entry::What;
    page.entries
        .iter_mut()
        .filter_map(|entry| match &mut entry.what {
            Some(What::DelegateRead(read)) => Some(read),
            _ => None,
        })
        .collect()
}

/// DLG-11: a reading that the server puts under another record, or tells of twice, is named as unproven; without the
/// check the delegate is blamed.
#[test]
fn a_made_up_reading_is_not_believed() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let scene = Scene::in_world(world)?;
    let (first, second) = (scene.record("first")?, scene.record("second")?);
    let (mother, _, _) = mother(&scene, "read", "1d")?;
    let child = child(&scene)?;
    for record in [&first, &second] {
        let out = scene.world.path(record).display().to_string();
        mother.run(&["records", "get", record, "--out", &out, "--acting-for", &child])?;
    }
    let believing = scene
        .patient
        .without(&[Defence::DelegateReads, Defence::HomeSeal]);
    let verify = ["history", "--verify"];
    // The entries change places, evidence and all but the version.
    liar.tell_of("/v1/vault/history", |mut page: pb::HistoryPage| {
        if let [one, other] = reads(&mut page).as_mut_slice() {
            std::mem::swap(&mut one.version_id, &mut other.version_id);
        }
        page
    });
    let refused = scene.patient.fail(&verify)?;
    assert!(refused.text.contains("her request is another one"), "{refused:?}");
    believing.run(&verify).context("the control")?;
    // What it has believed does not count as seen.
    std::fs::remove_file(scene.patient.home().join("history.json"))?;
    let patient = scene.patient.without(&[Defence::HomeSeal]);
    // The last one once more, at the end.
    liar.tell_of("/v1/vault/history", |mut page: pb::HistoryPage| {
        let last = page.entries.last().cloned();
        page.entries.extend(last.map(|last| pb::HistoryEntry {
            number: last.number + 1,
            ..last
        }));
        page
    });
    let refused = patient.fail(&verify)?;
    assert!(refused.text.contains("stands before it already"), "{refused:?}");
    let believed = believing.run(&verify).context("the control")?;
    let told = believed["history"].as_array().context("no history")?;
    let told = told.iter().filter(|entry| entry["kind"] == "delegate-read");
    assert_eq!(told.count(), 3, "the control: {believed}");
    Ok(())
}

/// DLG-9: a server that lists a delegation that the history does not have, or has ended, is found out.
#[test]
fn the_history_and_the_list_of_delegations_must_agree() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let scene = Scene::in_world(world)?;
    scene.record("one")?;
    mother(&scene, "read", "1d")?;
    let verified = scene.patient.run(&["history", "--verify"])?;
    assert_eq!(verified["checked"]["holds"], true, "{verified}");
    liar.tell_of("/v1/vault/delegations", |mut page: pb::DelegationPage| {
        page.delegations.clear();
        page
    });
    let refused = scene.patient.fail(&["history", "--verify"])?;
    assert_eq!(refused.json["error"]["code"], "hidden-from-vault", "{refused:?}");
    // Also where nobody compares it with the acts (VLT-5).
    let refused = scene
        .patient
        .without(&[Defence::VaultHeads])
        .fail(&["history", "--verify"])?;
    assert_eq!(refused.json["error"]["code"], "unproven", "{refused:?}");
    assert!(
        refused.text.contains("not in the list of delegations"),
        "{refused:?}"
    );
    Ok(())
}

/// DLG-3, ATK-45: an operator that shows its own key as the delegate's gets nothing wrapped; without the check it reads
/// the collection.
#[test]
fn an_injected_delegate_key_gets_no_wrap() -> Result<()> {
    let attack = |without: &[Defence]| -> Result<(bool, String)> {
        let (world, liar) = World::start_behind_liar()?;
        let (child, _) = world.patient("child")?;
        let (mother, mother_id) = world.patient("mother")?;
        let operators = RecipientSecret::generate(&OperatingSystem)?;
        let (public, path) = (operators.public().clone(), format!("/v1/patients/{mother_id}"));
        liar.tell(move |asked, body| {
            let Ok(mut info) = pb::PatientInfo::decode(body.clone()) else {
                return body;
            };
            let key = info
                .vault_key
                .clone()
                .map(PatientSigned::<VaultKeyStatement>::try_from);
            let (true, Some(Ok(key))) = (asked == path, key) else {
                return body;
            };
            let mut forged = key.claimed().clone();
            forged.vault_key = public.clone();
            if let Some(statement) = info.vault_key.as_mut().and_then(|key| key.statement.as_mut()) {
                statement.body = forged.encode();
            }
            info.encode_to_vec().into()
        });
        let cli = if without.is_empty() {
            child.clone()
        } else {
            child.without(without)
        };
        let add = [
            "delegate",
            "add",
            &mother_id,
            "--name",
            "Mother",
            "--expires",
            "1d",
        ];
        let output = cli.command(&add)?.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // What she has given lies at the server; the operator looks at it there.
        let seen: Arc<Mutex<Vec<pb::PatientStatement>>> = Arc::default();
        let store = seen.clone();
        liar.tell_of("/v1/delegated-keys", move |page: pb::DelegatedKeyPage| {
            store
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(page.keys.clone());
            page
        });
        let held = Arc::new(Mutex::new(None));
        let given = child.run(&["delegate", "list"])?;
        if given["given"].as_array().is_none_or(Vec::is_empty) {
            return Ok((false, said));
        }
        mother.run(&["delegate", "accept", &text(&given["given"][0], "delegation_id")?])?;
        let owner = text(&mother.run(&["delegate", "list"])?["held"][0], "owner_id")?;
        drop(mother.command(&["records", "--acting-for", &owner])?.output()?);
        let note = held.clone();
        liar.tell_of("/v1/delegations", move |page: pb::DelegationPage| {
            let delegation = page
                .delegations
                .first()
                .and_then(|entry| entry.delegation.clone());
            if delegation.is_some() {
                *note.lock().unwrap_or_else(PoisonError::into_inner) = delegation;
            }
            page
        });
        mother.run(&["delegate", "list"])?;
        let delegation = held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let delegation = PatientSigned::<Delegation>::try_from(delegation)?;
        let keys = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut opened = false;
        for key in keys {
            let key = PatientSigned::<DelegatedKey>::try_from(key)?;
            let context = DelegatedKeyContext {
                owner: delegation.claimed().patient_id,
                delegate: delegation.claimed().delegate_id,
                delegation: delegation.hash(),
                collection: Collection {
                    id: key.claimed().collection_id,
                    epoch: key.claimed().epoch,
                },
            };
            opened |= open_delegated_key(&operators, &context, &key.claimed().key).is_ok();
        }
        Ok((opened, said))
    };
    play(&[Defence::StatementSignatures], |without| {
        let (opened, said) = attack(without)?;
        ensure!(opened || said.contains("cannot be trusted"), "{said}");
        Ok(opened)
    })
}
