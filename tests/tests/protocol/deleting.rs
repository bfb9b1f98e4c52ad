//! Records that go for good: deleted by the patient, taken back by who has sent them to the wrong one; and an operator that shows one
//! again, or makes one go without her.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    bodies::{RecordDeletion, ReleaseTicket},
    collection::Collection,
    content,
    defence::Defence,
    ids::{CollectionId, ReleaseId},
    messages as pb,
    patient::PatientSigned,
    permission::RecordSelector,
    problem::Problem,
    statement::Signed,
};
use serde_json::Value;
use tests::{
    attack::{play, play_async},
    harness::{Cli, World, text},
    raw::{Answer, RawInstitution, RawPatient, RawWorld, Wire, defended, now_ms, random},
};

use super::{
    collections::{Scene, set},
    devices::link,
    flows::array,
    institutions_cli::{rotate, terminal},
};

/// The ids of the records that a program lists.
fn listed(by: &Cli) -> Result<Vec<String>> {
    let records = by.run(&["records"])?;
    ensure!(array(&records, "refused")?.is_empty(), "{records}");
    array(&records, "records")?
        .iter()
        .map(|record| text(record, "record_id"))
        .collect()
}

/// The kinds in a history that holds as a whole, and in it the entries of one kind.
fn verified(by: &Cli, kind: &str) -> Result<(Vec<String>, Vec<Value>)> {
    let checked = by.run(&["history", "--verify"])?;
    let entries = array(&checked, "history")?;
    let of_kind = entries.iter().filter(|entry| entry["kind"] == kind).cloned();
    let kinds = entries
        .iter()
        .map(|entry| text(entry, "kind"))
        .collect::<Result<_>>();
    Ok((kinds?, of_kind.collect()))
}

/// A permission of the clinic's for these records.
fn permit(scene: &Scene, records: &[&str]) -> Result<String> {
    let request = scene.request()?;
    let mut args = vec!["permit", &request, "--uses", "9"];
    for record in records {
        args.extend(["--record", record]);
    }
    text(&scene.patient.run(&args)?, "permission_id")
}

/// DEL-1, DEL-3, DEL-4: for a hospital that may have it, in the history, on her other device; and the rest goes on.
#[test]
fn a_deleted_record_is_gone_everywhere_and_the_rest_goes_on() -> Result<()> {
    let scene = Scene::set()?;
    let (patient, clinic) = (&scene.patient, &scene.clinic);
    let (heart, skin) = (scene.record("heart")?, scene.record("skin")?);
    let phone = link(&scene.world, patient, "Phone")?;
    assert_eq!(listed(&phone)?.len(), 2);
    let (alone, both) = (permit(&scene, &[&heart])?, permit(&scene, &[&heart, &skin])?);
    let all = scene.permit("default", &[])?;
    assert_eq!(scene.fetch(&both)?, set(&["heart", "skin"]));

    // Nobody is there to confirm.
    let asked = patient.fail(&["records", "delete", &heart])?;
    assert_eq!(
        (asked.exit, &asked.json["error"]["code"]),
        (2, &"usage".into()),
        "{asked:?}"
    );
    assert_eq!(listed(patient)?.len(), 2);
    let deleted = patient.run(&["records", "delete", &heart, "--yes"])?;
    assert_eq!(text(&deleted, "record_id")?, heart);
    // The same again is told again.
    assert_eq!(
        patient.run(&["records", "delete", &heart, "--yes"])?["at"],
        deleted["at"]
    );

    for device in [patient, &phone] {
        assert_eq!(listed(device)?, [skin.as_str()]);
        let (kinds, told) = verified(device, "record-deleted")?;
        assert_eq!(told.len(), 1, "{kinds:?}");
        assert_eq!(text(&told[0], "record_id")?, heart);
        assert_eq!(told[0]["verified"], true);
        let out = scene.world.path("gone").display().to_string();
        let get = device.fail(&["records", "get", &heart, "--out", &out])?;
        assert_eq!(get.json["error"]["code"], "record-deleted", "{get:?}");
    }
    let inbox = phone.run(&["inbox"])?;
    let events = array(&inbox, "events")?;
    assert!(
        events
            .iter()
            .any(|event| event["kind"] == "record-deleted" && event["record_id"] == heart.as_str()),
        "{inbox}"
    );

    // The hospital: what was for this record alone is of no use, the rest goes on, and she is not asked to permit it again.
    let refused = scene.fetch_refused(&alone)?;
    assert_eq!(refused.json["error"]["code"], "record-deleted", "{refused:?}");
    assert!(refused.text.contains("nothing of it is left"), "{refused:?}");
    let out = scene.world.path("rest");
    let fetched = clinic.run(&["download", "fetch", &both, "--out", &out.display().to_string()])?;
    assert_eq!(array(&fetched, "deleted")?, &[Value::from(heart.as_str())]);
    assert_eq!(super::collections::contents(&out)?, set(&["skin"]));
    assert_eq!(scene.fetch(&all)?, set(&["skin"]));
    let request = scene.request()?;
    let again = phone.fail(&["permit", &request, "--record", &heart])?;
    assert_eq!(again.json["error"]["code"], "record-deleted", "{again:?}");
    assert!(again.text.contains("gone for good"), "{again:?}");
    Ok(())
}

/// DEL-3, INS-6: a permission that names a deleted record too is brought under an institution's new key, for the rest; one that names
/// nothing else stays as it is, and keeps nobody from anything.
#[test]
fn a_permission_over_a_deleted_record_follows_a_rotation() -> Result<()> {
    let scene = Scene::set()?;
    let (heart, skin) = (scene.record("heart")?, scene.record("skin")?);
    let (alone, both) = (permit(&scene, &[&heart])?, permit(&scene, &[&heart, &skin])?);
    scene.patient.run(&["records", "delete", &heart, "--yes"])?;
    rotate(&scene.world, &scene.clinic, "second", "1s")?;
    let permissions = scene.patient.run(&["permissions"])?;
    let live = array(&permissions, "permissions")?.iter();
    let live: Vec<_> = live.filter(|permission| permission["state"] == "live").collect();
    let ids: Vec<String> = live
        .iter()
        .map(|permission| text(permission, "permission_id"))
        .collect::<Result<_>>()?;
    assert!(ids.contains(&alone) && !ids.contains(&both), "{permissions}");
    let new = ids.iter().filter(|id| **id != alone);
    let mut fetched = Vec::new();
    for permission in new {
        if let Ok(contents) = scene.fetch(permission) {
            fetched.push(contents);
        }
    }
    assert_eq!(fetched, [set(&["skin"])], "{permissions}");
    verified(&scene.patient, "record-deleted")?;
    Ok(())
}

/// DEL-1: a delegate who may permit deletes nothing, nor does the program let her try.
#[test]
fn a_delegate_deletes_nothing() -> Result<()> {
    let scene = Scene::set()?;
    let heart = scene.record("heart")?;
    let (mother, mother_id) = scene.world.patient("mother")?;
    let give = [
        "delegate",
        "add",
        &mother_id,
        "--name",
        "Mother",
        "--power",
        "permit",
        "--expires",
        "1d",
    ];
    let delegation = text(&scene.patient.run(&give)?, "delegation_id")?;
    mother.run(&["delegate", "accept", &delegation])?;
    let delete = [
        "records",
        "delete",
        &heart,
        "--yes",
        "--acting-for",
        &scene.patient_id,
    ];
    let refused = mother.fail(&delete)?;
    assert_eq!(refused.exit, 2, "{refused:?}");
    assert_eq!(listed(&scene.patient)?, [heart]);
    Ok(())
}

/// A record of three leaves in a collection, and a hospital with a release over it that is under way.
async fn under_way(world: &RawWorld) -> Result<(RawPatient, RawInstitution, RecordSelector, ReleaseId)> {
    let wire = &world.wire;
    let patient = RawPatient::enrol(wire).await?;
    let hospital = world.institution("Hospital North").await?;
    let collection = Collection {
        id: CollectionId::mint(now_ms(), random()?),
        epoch: 0,
    };
    patient.put_collection(wire, collection).await?;
    let record = hospital.upload_leaves(wire, &patient, 3).await?;
    patient.place(wire, &record, collection, 1).await?;
    let request = hospital.ask(wire, &patient).await?;
    let (id, permission) = patient.permit(wire, &hospital.entry, request, vec![record.clone()], |_| ())?;
    patient.grant(wire, permission).await?;
    let answer: pb::PresentationAnswer = hospital.present(wire, id).await?.message()?;
    let Some(pb::presentation_answer::Answer::Release(release)) = answer.answer else {
        anyhow::bail!("no release");
    };
    let ticket = Signed::<ReleaseTicket>::try_from(release.ticket)?;
    let release = ticket.claimed().release_id;
    let first = leaf(wire, &hospital, release, &record, 0).await?;
    ensure!(first.status.is_success(), "{first:?}");
    Ok((patient, hospital, record, release))
}

async fn leaf(
    wire: &Wire,
    hospital: &RawInstitution,
    release: ReleaseId,
    record: &RecordSelector,
    number: u32,
) -> Result<Answer> {
    let version = record.version_id;
    let path = format!("/v1/releases/{release}/records/{version}/leaves?first={number}&count=1");
    hospital.get(wire, &path).await
}

/// DEL-2, ATK-98: a release that is under way gets no further leaf of what was deleted, before and after a restart.
#[tokio::test]
async fn a_release_under_way_gets_nothing_of_a_deleted_record() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (patient, hospital, record, release) = under_way(world).await?;
        patient.delete(&world.wire, &record).await?;
        world.server.kill()?;
        world.server.restart()?;
        leaf(&world.wire, &hospital, release, &record, 1).await
    };
    defended(&[Defence::DeletedRecords], Problem::RecordDeleted, attack).await
}

/// DEL-2, ATK-98: after the next sweep no file of the store holds the record, deleted or taken back.
#[tokio::test]
async fn a_deleted_record_is_in_no_file_of_the_store() -> Result<()> {
    for by_the_patient in [true, false] {
        let attack = async |off: &[Defence]| -> Result<bool> {
            let mut world = RawWorld::start_with(&["--sweep-interval", "200ms"], off).await?;
            let wire = world.wire.clone();
            let patient = RawPatient::enrol(&wire).await?;
            let hospital = world.institution("Hospital North").await?;
            let stream: Vec<u8> = random::<20_000>()?.to_vec();
            let length = content::stream_len(10_000);
            let stream = stream
                .get(..usize::try_from(length)?)
                .context("too short")?
                .to_vec();
            let record = hospital.upload_stream(&wire, &patient, &stream).await?;
            if by_the_patient {
                patient.delete(&wire, &record).await?;
            } else {
                let answer = hospital.submit_take_back(&wire, &patient, &record).await?;
                answer.message::<pb::Receipt>()?;
            }
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
        play_async(&[Defence::DeletedRecords], attack).await?;
    }
    Ok(())
}

/// DEL-7, ATK-99: the institution comes too late once a leaf of it was handed out.
#[tokio::test]
async fn what_was_opened_is_not_taken_back() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let wire = &world.wire;
        let patient = RawPatient::enrol(wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let record = hospital.upload(wire, &patient, 5_000).await?;
        let message = hospital.take_back(wire, &patient, &record).await?;
        let path = format!("/v1/vault/records/{}/leaves?first=0&count=1", record.version_id);
        let read = patient.get(wire, &path).await?;
        ensure!(read.status.is_success(), "{read:?}");
        hospital.post(wire, "/v1/take-backs", &message).await
    };
    defended(&[Defence::OpenedRecords], Problem::RecordOpened, attack).await
}

/// Sends a file to the patient who has asked for it; the record.
fn send(scene: &Scene, content: &str) -> Result<String> {
    let file = scene.world.path(&format!("{content}.txt"));
    fs::write(&file, content)?;
    let offer = ["upload", "request", "--to", "Practice", "--text", "t"];
    let permission = text(&scene.patient.run(&offer)?, "permission_id")?;
    let sent = scene
        .practice
        .run(&["upload", "send", &permission, &file.display().to_string()])?;
    let again = scene.world.path("another.txt");
    fs::write(&again, "another")?;
    let again = again.display().to_string();
    let spent = scene.practice.fail(&["upload", "send", &permission, &again])?;
    assert_eq!(spent.json["error"]["code"], "permission-spent", "{spent:?}");
    text(&sent, "record_id")
}

/// DEL-6, DEL-7: before she has opened it, the practice takes it back; then only she can delete it.
#[test]
fn what_went_to_the_wrong_patient_is_taken_back() -> Result<()> {
    let scene = Scene::set()?;
    let (patient, practice) = (&scene.patient, &scene.practice);
    let wrong = send(&scene, "of-somebody-else")?;
    let asked = practice.fail(&["upload", "take-back", &wrong])?;
    assert_eq!(
        (asked.exit, &asked.json["error"]["code"]),
        (2, &"usage".into()),
        "{asked:?}"
    );
    let unknown = scene.clinic.fail(&["upload", "take-back", &wrong, "--yes"])?;
    assert_eq!(unknown.json["error"]["code"], "unknown", "{unknown:?}");
    let taken = practice.run(&["upload", "take-back", &wrong, "--yes"])?;
    assert_eq!(text(&taken, "record_id")?, wrong);
    let again = practice.run(&["upload", "take-back", &wrong, "--yes"])?;
    assert_eq!(again["at"], taken["at"], "it is told again");

    // She sees that something was stored and taken back, and by whom; and has nothing of it.
    assert_eq!(listed(patient)?, Vec::<String>::new());
    let (kinds, told) = verified(patient, "taken-back")?;
    assert!(kinds.contains(&"stored".to_owned()), "{kinds:?}");
    assert_eq!(told.len(), 1, "{kinds:?}");
    assert_eq!(
        (text(&told[0], "record_id")?, text(&told[0], "name")?),
        (wrong.clone(), "Practice".to_owned())
    );
    let inbox = patient.run(&["inbox"])?;
    let event = array(&inbox, "events")?
        .iter()
        .find(|event| event["kind"] == "taken-back");
    assert_eq!(event.context("no event")?["from_name"], "Practice");
    let phone = link(&scene.world, patient, "Phone")?;
    assert_eq!(listed(&phone)?, Vec::<String>::new());

    // Once her device has taken it in, it is hers.
    let later = send(&scene, "also-of-somebody-else")?;
    assert_eq!(listed(patient)?, [later.as_str()]);
    let refused = practice.fail(&["upload", "take-back", &later, "--yes"])?;
    assert_eq!(refused.json["error"]["code"], "record-opened", "{refused:?}");
    assert!(refused.text.contains("ask her to delete it"), "{refused:?}");
    patient.run(&["records", "delete", &later, "--yes"])?;
    let late = practice.fail(&["upload", "take-back", &later, "--yes"])?;
    assert_eq!(late.json["error"]["code"], "record-deleted", "{late:?}");
    verified(&phone, "record-deleted")?;
    Ok(())
}

/// What of one record a path asks for.
/// DEL-6, FLW-22: at another desk than the one that has sent it; and what was sent is told to whoever of the institution asks.
#[test]
fn what_another_terminal_has_sent_is_found_and_taken_back() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    let (practice, id) = world.institution("Practice")?;
    let (ward, _) = terminal(&world, &practice, &id, "Ward 3")?;
    let offer = [
        "upload", "request", "--to", "Practice", "--text", "t", "--uses", "2",
    ];
    let permission = text(&patient.run(&offer)?, "permission_id")?;
    let none = ward.run(&["upload", "stored", &permission])?;
    assert_eq!(none["uploads"], serde_json::json!([]));
    let mut sent = Vec::new();
    for content in ["first", "second"] {
        let file = world.path(content);
        fs::write(&file, content)?;
        let one = practice.run(&["upload", "send", &permission, &file.display().to_string()])?;
        sent.push(text(&one, "record_id")?);
    }
    let unknown = ward.fail(&["upload", "take-back", &sent[0], "--yes"])?;
    assert_eq!(unknown.json["error"]["code"], "unknown", "{unknown:?}");
    assert!(unknown.text.contains("upload stored"), "{unknown:?}");
    let stored = ward.run(&["upload", "stored", &permission])?;
    let ids: Vec<_> = array(&stored, "uploads")?
        .iter()
        .map(|one| one["record_id"].clone())
        .collect();
    assert_eq!(ids, sent, "{stored}");
    let taken = ward.run(&["upload", "take-back", &sent[0], "--yes"])?;
    assert_eq!(text(&taken, "record_id")?, sent[0]);
    assert_eq!(listed(&patient)?, [sent[1].as_str()]);
    Ok(())
}

/// FLW-22: an institution learns nothing of what another has stored.
#[tokio::test]
async fn what_another_institution_has_stored_is_not_told() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let wire = &world.wire;
        let patient = RawPatient::enrol(wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let thief = world.institution("Clinic South").await?;
        let stream = vec![7; usize::try_from(content::stream_len(100))?];
        let ticket = hospital.upload_under_offer(wire, &patient, &stream).await?;
        let path = format!("/v1/permissions/{}/uploads", ticket.claimed().permission_id);
        let own: pb::UploadPage = hospital.get(wire, &path).await?.message()?;
        ensure!(own.receipts.len() == 1 && own.next.is_empty(), "{own:?}");
        let answer = thief.get(wire, &path).await?;
        if answer.status.is_success() {
            let page = pb::UploadPage::decode(answer.body.clone())?;
            ensure!(page.receipts.len() == 1, "nothing was told: {page:?}");
        }
        Ok(answer)
    };
    let off = [Defence::PermissionHolder, Defence::SessionOwner];
    defended(&off, Problem::NotPermitted, attack).await
}

fn asks_for_records(path: &str) -> bool {
    path.starts_with("/v1/vault/records?")
}

/// DEL-4, ATK-98: the operator has kept what it says it has destroyed, and shows it again, as it was: with the placement that she has
/// signed, the wrap and the receipt.
#[test]
fn a_deleted_record_that_is_shown_again_is_noticed() -> Result<()> {
    play(&[Defence::Deletions], |off| {
        let (world, liar) = World::start_behind_liar()?;
        let scene = Scene::in_world(world)?;
        let heart = scene.record("heart")?;
        let shown: Arc<Mutex<Vec<pb::VaultRecord>>> = Arc::default();
        let keep = shown.clone();
        liar.tell(move |path, body| {
            if let (true, Ok(page)) = (asks_for_records(path), pb::VaultPage::decode(body.clone())) {
                *keep.lock().unwrap_or_else(PoisonError::into_inner) = page.records;
            }
            body
        });
        listed(&scene.patient)?;
        let phone = link(&scene.world, &scene.patient, "Phone")?;
        scene.patient.run(&["records", "delete", &heart, "--yes"])?;
        let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ensure!(shown.len() == 1, "it was not shown before");
        liar.tell(move |path, body| match pb::VaultPage::decode(body.clone()) {
            Ok(page) if asks_for_records(path) => {
                let records = [page.records, shown.clone()].concat();
                pb::VaultPage { records, ..page }.encode_to_vec().into()
            }
            _ => body,
        });
        let mut believed = Vec::new();
        for device in [&scene.patient, &phone] {
            let device = device.without(off);
            believed.push(match listed(&device) {
                Ok(records) => records.contains(&heart),
                Err(error) => {
                    let error = error.to_string();
                    ensure!(
                        error.contains("hidden-from-vault") && error.contains("is shown again"),
                        "{error}"
                    );
                    false
                }
            });
        }
        ensure!(believed[0] == believed[1], "{believed:?}");
        Ok(believed[0])
    })
}

/// DEL-4, ATK-98: an operator that has a record go without a word of hers enters a deletion that nobody has signed. Its server here takes
/// what another patient sends in her name.
#[tokio::test]
async fn a_record_does_not_go_without_a_word_of_hers() -> Result<()> {
    play_async(&[Defence::Deletions], async |off| {
        let weak = [Defence::OwnStatements, Defence::StatementSignatures];
        let (world, liar) = World::start_behind_liar_without(&weak)?;
        let scene = Scene::in_world(world)?;
        let heart = scene.record("heart")?;
        let placement: Arc<Mutex<Option<pb::PatientStatement>>> = Arc::default();
        let keep = placement.clone();
        liar.tell(move |path, body| {
            if let (true, Ok(page)) = (asks_for_records(path), pb::VaultPage::decode(body.clone())) {
                let placed = page.records.into_iter().find_map(|record| record.placement);
                *keep.lock().unwrap_or_else(PoisonError::into_inner) = placed;
            }
            body
        });
        let records = scene.patient.run(&["records"])?;
        let version = text(&array(&records, "records")?[0], "version_id")?;
        let placement = placement.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let hers = placement.context("no placement was shown")?;

        let wire = Wire::connect(scene.world.server.link()).await?;
        let stranger = RawPatient::enrol(&wire).await?;
        let body = RecordDeletion {
            created: now_ms(),
            patient_id: scene.patient_id.parse()?,
            record_id: heart.parse()?,
            version_id: version.parse()?,
        };
        let signed = Signed::sign(body, |message| stranger.sign(message));
        let forged = pb::PatientStatement {
            statement: Some(signed.to_message()),
            ..hers
        };
        let real = PatientSigned::<RecordDeletion>::try_from(forged.clone())?.verify();
        ensure!(real.is_err(), "the forged one verifies");
        let message = pb::DeleteRecord {
            deletion: Some(forged),
        };
        let answer = stranger.post(&wire, "/v1/vault/deletions", &message).await?;
        ensure!(answer.status.is_success(), "{answer:?}");

        match listed(&scene.patient.without(off)) {
            Ok(records) => Ok(!records.contains(&heart)),
            Err(error) => {
                let error = error.to_string();
                ensure!(error.contains("no device of yours has signed that"), "{error}");
                Ok(false)
            }
        }
    })
    .await
}

/// DEL-4, DEL-7, ATK-99: an operator and the institution that has stored a record take it back when she has taken it in. No device of
/// hers believes that.
#[test]
fn what_she_has_taken_in_is_not_believed_to_be_taken_back() -> Result<()> {
    play(&[Defence::Deletions], |off| {
        let scene = Scene::in_world(World::start_without(&[Defence::OpenedRecords])?)?;
        let heart = scene.record("heart")?;
        ensure!(listed(&scene.patient)?.contains(&heart), "it was not taken in");
        scene.practice.run(&["upload", "take-back", &heart, "--yes"])?;
        match listed(&scene.patient.without(off)) {
            Ok(records) => Ok(!records.contains(&heart)),
            Err(error) => {
                let error = error.to_string();
                ensure!(error.contains("taken back by its sender"), "{error}");
                Ok(false)
            }
        }
    })
}

/// DEL-3: a hospital does not believe that a record is gone because the server leaves it out.
#[test]
fn a_record_that_is_left_out_of_a_release_is_missed() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let scene = Scene::in_world(world)?;
    let (heart, skin) = (scene.record("heart")?, scene.record("skin")?);
    let both = permit(&scene, &[&heart, &skin])?;
    liar.tell(|path, body| leave_out(path, &body).unwrap_or(body));
    let refused = scene.fetch_refused(&both)?;
    assert_eq!(refused.json["error"]["code"], "tampered", "{refused:?}");
    liar.be_honest();
    assert_eq!(scene.fetch(&both)?, set(&["heart", "skin"]));
    ensure!(!Path::new(&scene.world.path("refused")).join(&heart).exists());
    Ok(())
}

fn leave_out(path: &str, body: &Bytes) -> Result<Bytes> {
    ensure!(path.ends_with("/presentation"));
    let mut answer = pb::PresentationAnswer::decode(body.clone())?;
    if let Some(pb::presentation_answer::Answer::Release(release)) = &mut answer.answer {
        release.records.remove(0);
    }
    Ok(answer.encode_to_vec().into())
}
