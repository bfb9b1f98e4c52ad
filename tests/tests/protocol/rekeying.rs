//! Revocation that means something: new keys for what was permitted, the old ones destroyed, others' permissions
//! given anew. By the real programs, and by attackers that do not follow them.

mod disturbed;
mod running;

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use protocol_spec::{
    bodies::ReleaseTicket,
    collection::Collection,
    defence::Defence,
    hash::Sha256Digest,
    ids::{CollectionId, PermissionId, ReleaseId},
    messages as pb,
    permission::{RecordSelector, Replaces},
    problem::Problem,
    statement::Signed,
};
use tests::{
    attack::{note, play_async},
    harness::{World, text},
    raw::{Answer, RawInstitution, RawPatient, RawWorld, Wire, defended, now_ms, random},
};

use super::collections::{Scene, set};

/// REV-1, REV-5, REV-6, PRM-14: one institution is revoked, another goes on without noticing.
#[test]
fn a_revoked_collection_gets_new_keys_and_others_go_on() -> Result<()> {
    let scene = Scene::set()?;
    let (laboratory, _) = scene.world.institution("Laboratory")?;
    scene.patient.run(&["collection", "create", "cardiology"])?;
    let (heart, valve) = (scene.record("heart")?, scene.record("valve")?);
    scene
        .patient
        .run(&["collection", "move", &heart, &valve, "--to", "cardiology"])?;
    let revoked = scene.permit("cardiology", &[])?;
    let other = scene.permit_to(&laboratory, "cardiology", &[])?;
    let bounded = scene.permit_to(&laboratory, "cardiology", &["--until-now"])?;
    assert_eq!(scene.fetch(&revoked)?, set(&["heart", "valve"]));

    scene.patient.run(&["revoke", &revoked])?;
    assert!(scene.fetch_refused(&revoked)?.text.contains("revoked"));
    let epochs: Vec<_> = scene
        .collections()?
        .iter()
        .map(|collection| (collection["name"].clone(), collection["epoch"].clone()))
        .collect();
    assert_eq!(
        epochs,
        [("default".into(), 0.into()), ("cardiology".into(), 1.into())]
    );

    // The others' old permissions are replaced; the new ones have what was left of them, and cover what comes.
    let fresh = replacements(&scene)?;
    assert_eq!(fresh.len(), 2, "{fresh:?}");
    assert!(!fresh.contains(&other) && !fresh.contains(&bounded));
    let later = scene.record("later")?;
    scene
        .patient
        .run(&["collection", "move", &later, "--to", "cardiology"])?;
    let fetched = fresh
        .iter()
        .map(|permission| scene.fetch_by(&laboratory, permission));
    let mut fetched = fetched.collect::<Result<Vec<_>>>()?;
    fetched.sort();
    assert_eq!(
        fetched,
        [set(&["heart", "later", "valve"]), set(&["heart", "valve"])]
    );
    let out = scene.world.path("old").display().to_string();
    let refused = laboratory.fail(&["download", "fetch", &other, "--out", &out])?;
    assert!(refused.text.contains("took its place"), "{refused:?}");
    // Her own records open under the new key.
    let out = scene.world.path("own");
    scene
        .patient
        .run(&["records", "get", &heart, "--out", &out.display().to_string()])?;
    assert_eq!(super::collections::contents(&out)?, set(&["heart"]));
    // Again: nothing is left to do.
    scene.patient.run(&["revoke", &revoked])?;
    // Who takes back a permission whose place another has taken means that one.
    let said = scene.patient.run(&["revoke", &other])?;
    let newest = text(&said, "permission_id")?;
    assert!(fresh.contains(&newest), "{said}");
    let out = scene.world.path("newest").display().to_string();
    let refused = laboratory.fail(&["download", "fetch", &newest, "--out", &out])?;
    assert!(refused.text.contains("revoked"), "{refused:?}");
    assert_eq!(replacements(&scene)?.len(), 1);
    Ok(())
}

/// REV-5: what was moved away is not given to whoever gets the new key, though the server shows its old wrap again.
#[test]
fn a_record_that_was_moved_away_is_not_brought_back() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let scene = Scene::in_world(world)?;
    scene.patient.run(&["collection", "create", "private"])?;
    let (heart, skin) = (scene.record("heart")?, scene.record("skin")?);
    let kept: Arc<Mutex<Option<pb::Wrap>>> = Arc::default();
    let (keep, show) = (kept.clone(), kept.clone());
    let revoked = scene.permit("default", &[])?;
    // The server keeps what it shows of the record before it is moved.
    liar.tell_of("/v1/vault/wraps", move |page: pb::WrapPage| {
        if let Some(last) = page.wraps.last() {
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(last.clone());
        }
        page
    });
    let other = scene.permit("default", &[])?;
    scene.patient.run(&["revoke", &other])?;
    scene
        .patient
        .run(&["collection", "move", &skin, "--to", "private"])?;
    let stale = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let stale = stale.context("the server has shown no wrap")?;
    let number = stale.number;
    assert_eq!(number, 2);
    liar.tell_of("/v1/vault/wraps?", move |mut page: pb::WrapPage| {
        if page.wraps.iter().any(|wrap| wrap.number == 1) && page.wraps.len() == 1 {
            page.wraps
                .extend(show.lock().unwrap_or_else(PoisonError::into_inner).clone());
        }
        page
    });
    // The honest server would refuse the wrap, and the revocation would never end.
    let anew = replacements(&scene)?;
    assert!(!anew.contains(&revoked));
    scene.patient.run(&["revoke", &revoked])?;
    liar.be_honest();
    let out = scene.world.path("own").display().to_string();
    scene.patient.run(&["records", "get", &heart, "--out", &out])?;
    scene.patient.run(&["records", "get", &skin, "--out", &out])?;
    Ok(())
}

/// REV-6, INS-13: an institution that has retired keeps no epoch open.
#[test]
fn a_retired_institution_does_not_stand_in_the_way() -> Result<()> {
    let scene = Scene::set()?;
    let (laboratory, _) = scene.world.institution("Laboratory")?;
    scene.record("heart")?;
    scene.permit_to(&laboratory, "default", &[])?;
    let revoked = scene.permit("default", &[])?;
    laboratory.run(&["institution", "retire", "--yes"])?;
    let said = scene.patient.run(&["revoke", &revoked])?;
    assert_eq!(said["closed"][0]["epoch"], 0, "{said}");
    Ok(())
}

/// REV-7, ATK-37: the certificate says what left and what may be known, and is checked without a server.
#[test]
fn the_certificate_is_checked_with_the_link_alone() -> Result<()> {
    let mut scene = Scene::set()?;
    let (heart, skin) = (scene.record("heart")?, scene.record("skin")?);
    let permission = scene.permit("default", &["--until-now"])?;
    scene.fetch(&permission)?;
    let later = scene.record("later")?;
    let file = scene.world.path("revoked.pb").display().to_string();
    let said = scene
        .patient
        .run(&["revoke", &permission, "--certificate", &file])?;
    let link = scene.world.server.link().to_string();
    scene.world.server.stop()?;
    let read = scene.patient.run(&["certificate", &file, "--server", &link])?;
    for field in ["permission_id", "released", "exposed", "closed", "signed"] {
        assert_eq!(read[field], said[field], "{field}");
    }
    assert_eq!(read["permission_id"], permission.as_str());
    // The key of the collection opens also what the permission did not cover.
    let all = [&heart, &skin, &later];
    for (field, records) in [("released", &all[..2]), ("exposed", &all[..])] {
        let told: Vec<_> = read[field].as_array().into_iter().flatten().collect();
        assert_eq!(told.len(), records.len(), "{field}: {read}");
        for record in records {
            let named = told.iter().any(|one| one["record_id"] == record.as_str());
            assert!(named, "{field}: {read}");
        }
    }
    assert_eq!(read["closed"][0]["epoch"], 0);

    let other = World::start()?;
    let refused =
        scene
            .patient
            .fail(&["certificate", &file, "--server", &other.server.link().to_string()])?;
    assert!(refused.text.contains("link"), "{refused:?}");
    let mut bytes = fs::read(&file)?;
    for at in (0..bytes.len()).step_by(997) {
        let byte = bytes.get_mut(at).context("no byte")?;
        *byte ^= 1;
        fs::write(&file, &bytes)?;
        let refused = scene.patient.fail(&["certificate", &file, "--server", &link])?;
        note(&[], refused.exit == 0)?;
        assert_eq!(refused.exit, 1, "byte {at}: {refused:?}");
        *bytes.get_mut(at).context("no byte")? ^= 1;
    }
    // The control: to whoever checks no signatures it is the same, whatever stands in their place.
    let off = [Defence::StatementSignatures];
    let credulous = scene.patient.without(&off);
    let mut believed = false;
    for at in (0..bytes.len()).step_by(61) {
        *bytes.get_mut(at).context("no byte")? ^= 1;
        fs::write(&file, &bytes)?;
        *bytes.get_mut(at).context("no byte")? ^= 1;
        let mut check = credulous.command(&["certificate", &file, "--server", &link])?;
        believed = check.output()?.status.success();
        if believed {
            break;
        }
    }
    note(&off, believed)?;
    ensure!(believed, "the control: no byte is one of a signature");
    Ok(())
}

/// REV-5, REV-6: a revocation that is killed over and over comes to its end, and nothing is lost.
#[test]
fn a_revocation_that_is_killed_is_taken_up_again() -> Result<()> {
    let scene = Scene::set()?;
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        scene.record(name)?;
    }
    let permission = scene.permit("default", &[])?;
    scene.fetch(&permission)?;
    let file = scene.world.path("revoked.pb").display().to_string();
    let mut broken = 0;
    for millis in (6..).step_by(6) {
        let mut child = scene
            .patient
            .spawn(&["revoke", &permission, "--certificate", &file])?;
        std::thread::sleep(std::time::Duration::from_millis(millis));
        child.kill()?;
        // Killed after the certificate was there, it has come to its end too.
        if child.wait()?.success() || fs::exists(&file)? {
            break;
        }
        broken += 1;
    }
    assert!(broken > 2, "only {broken} times");
    let link = scene.world.server.link().to_string();
    let read = scene.patient.run(&["certificate", &file, "--server", &link])?;
    for field in ["released", "exposed"] {
        assert_eq!(read[field].as_array().map(Vec::len), Some(names.len()), "{read}");
    }
    let next = scene.permit("default", &[])?;
    assert_eq!(scene.fetch(&next)?, set(&names));
    Ok(())
}

/// Live permissions over collections.
fn replacements(scene: &Scene) -> Result<Vec<String>> {
    let list = scene.patient.run(&["permissions"])?;
    let all = list["permissions"].as_array().context("no list")?;
    let live = all
        .iter()
        .filter(|entry| entry["state"] == "live" && entry["collection_id"].is_string());
    Ok(live
        .filter_map(|entry| entry["permission_id"].as_str().map(str::to_owned))
        .collect())
}

/// REV-6, ATK-43: after the epoch is closed, no file of the store holds what lay under its key.
#[tokio::test]
async fn what_lay_under_a_closed_key_is_in_no_file_of_the_store() -> Result<()> {
    let attack = async |off: &[Defence]| -> Result<bool> {
        let mut world = RawWorld::start_without(off).await?;
        let attacked = Attacked::set(&world).await?;
        attacked
            .patient
            .end_epoch(&world.wire, attacked.old, (&attacked.record, 1))
            .await?;
        // With the server stopped, so that nothing is in memory alone.
        world.server.stop()?;
        let found = world.found_in_files(&attacked.wraps)?;
        Ok(found.iter().any(|found| *found))
    };
    // The control: a server that forgets to destroy them still has the data key's.
    play_async(&[Defence::ClosedEpochs], attack).await
}

/// A collection with one record, permitted to a hospital, which has a release open.
struct Attacked {
    patient: RawPatient,
    hospital: RawInstitution,
    request: Sha256Digest,
    permission: (PermissionId, pb::Permission),
    old: Collection,
    record: RecordSelector,
    release: ReleaseId,
    /// What lies under the collection's key, and that key's own wrap.
    wraps: Vec<Vec<u8>>,
}

impl Attacked {
    async fn set(world: &RawWorld) -> Result<Self> {
        let wire = &world.wire;
        let patient = RawPatient::enrol(wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let old = Collection {
            id: CollectionId::mint(now_ms(), random()?),
            epoch: 0,
        };
        patient.put_collection(wire, old).await?;
        let record = hospital.upload(wire, &patient, 1_000).await?;
        patient.place(wire, &record, old, 1).await?;
        let path = format!("/v1/vault/wraps?collection={}&epoch=0", old.id);
        let page: pb::WrapPage = patient.get(wire, &path).await?.message()?;
        let list: pb::CollectionList = patient.get(wire, "/v1/vault/collections").await?.message()?;
        let collections = list
            .collections
            .iter()
            .flat_map(|collection| &collection.key_wraps);
        let data_keys = page.wraps.iter().map(|wrap| &wrap.data_key_wrap);
        let wraps = data_keys.chain(collections).map(|wrap| wrap.to_vec()).collect();
        let request = hospital.ask(wire, &patient).await?;
        let permission =
            patient.over_collection(wire, &hospital.entry, request, old, |body| body.uses = 3)?;
        patient.grant(wire, permission.1.clone()).await?;
        let release = open(&hospital, wire, permission.0).await?;
        Ok(Self {
            patient,
            hospital,
            request,
            permission,
            old,
            record,
            release,
            wraps,
        })
    }

    /// Asks for the record's only leaf.
    async fn take(&self, wire: &Wire) -> Result<Answer> {
        let (release, version) = (self.release, self.record.version_id);
        let path = format!("/v1/releases/{release}/records/{version}/leaves?first=0&count=1");
        self.hospital.get(wire, &path).await
    }
}

async fn open(hospital: &RawInstitution, wire: &Wire, permission: PermissionId) -> Result<ReleaseId> {
    let answer: pb::PresentationAnswer = hospital.present(wire, permission).await?.message()?;
    let Some(pb::presentation_answer::Answer::Release(release)) = answer.answer else {
        anyhow::bail!("no release")
    };
    Ok(Signed::<ReleaseTicket>::try_from(release.ticket)?
        .claimed()
        .release_id)
}

/// REV-6, ATK-43: a holder that goes on asking by a closed epoch.
#[tokio::test]
async fn nothing_is_released_by_a_closed_epoch() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let wire = &world.wire;
        let attacked = Attacked::set(world).await?;
        let before = attacked.take(wire).await?;
        ensure!(
            before.body.len() as u64 == attacked.record.stream_len,
            "{before:?}"
        );
        attacked
            .patient
            .end_epoch(wire, attacked.old, (&attacked.record, 1))
            .await?;
        attacked.take(wire).await
    };
    defended(&[Defence::ClosedEpochs], Problem::NotPermitted, attack).await
}

/// PRM-14: a holder that goes on with the permission whose place another has taken.
#[tokio::test]
async fn nothing_moves_under_a_replaced_permission() -> Result<()> {
    for presents in [false, true] {
        let attack = async |world: &mut RawWorld| {
            let wire = &world.wire;
            let attacked = Attacked::set(world).await?;
            let (old, message) = &attacked.permission;
            let entry = &attacked.hospital.entry;
            let replaces = Replaces {
                permission_id: *old,
                permission_hash: Sha256Digest::of(&message.body),
                // The release that is open has brought nothing yet.
                uses_left: 3,
                bytes_left: 64 << 20,
                signed_again: false,
            };
            let (_, new) =
                attacked
                    .patient
                    .over_collection(wire, entry, attacked.request, attacked.old, |body| {
                        body.replaces = Some(replaces);
                    })?;
            attacked.patient.grant(wire, new).await?;
            if presents {
                attacked.hospital.present(wire, *old).await
            } else {
                attacked.take(wire).await
            }
        };
        defended(&[Defence::Replacement], Problem::PermissionReplaced, attack).await?;
    }
    Ok(())
}

/// PRM-14: two permissions race for the place of one; one is taken.
#[tokio::test]
async fn a_permission_is_replaced_once() -> Result<()> {
    let world = RawWorld::start().await?;
    let wire = &world.wire;
    let attacked = Attacked::set(&world).await?;
    let (old, message) = &attacked.permission;
    let replaces = Replaces {
        permission_id: *old,
        permission_hash: Sha256Digest::of(&message.body),
        uses_left: 3,
        bytes_left: 64 << 20,
        signed_again: false,
    };
    let mut messages = Vec::new();
    for _ in 0..8 {
        let entry = &attacked.hospital.entry;
        let edit = |body: &mut protocol_spec::permission::PermissionBody| body.replaces = Some(replaces);
        let made = attacked
            .patient
            .over_collection(wire, entry, attacked.request, attacked.old, edit)?;
        messages.push(pb::SubmitPermission::from(made.1));
    }
    let attacked = Arc::new(attacked);
    let mut posts = tokio::task::JoinSet::new();
    for message in messages {
        let (attacked, wire) = (attacked.clone(), wire.clone());
        posts.spawn(async move { attacked.patient.post(&wire, "/v1/permissions", &message).await });
    }
    let answers = posts.join_all().await;
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let taken = answers.iter().filter(|answer| answer.problem().is_none()).count();
    let late = answers
        .iter()
        .filter(|answer| answer.problem() == Some(Problem::ReplacementConflict))
        .count();
    assert_eq!((taken, late), (1, 7));
    Ok(())
}

/// The harness' own world is what the scenes use.
#[test]
fn revoking_what_is_not_there_is_told() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    let unknown = PermissionId::from_bytes([7; 16]).to_string();
    let refused = patient.fail(&["revoke", &unknown])?;
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.text.contains(&unknown), "{refused:?}");
    Ok(())
}
