//! The index of a vault: a new device lists what others have verified without verifying it again, and whatever the server
//! does to the index, the list is the same (ATK-37, ATK-40). See `protocol-spec/spec/index.md`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result};
use bytes::Bytes;
use client_sdk::{Institution, PermissionId, Unlock};
use prost::Message;
use protocol_spec::{bodies::IndexSegment, defence::Defence, messages as pb, patient::PatientSigned};
use serde_json::Value;
use tests::{
    attack::play,
    harness::{Cli, Liar, World, text},
};

use crate::{devices::link, flows::array};

/// Enough for an index.
const RECORDS: usize = 70;

/// A vault with an index, on two devices, behind a relay.
struct Scene {
    world: World,
    liar: Liar,
    first: Cli,
    second: Cli,
    hospital: Institution,
    upload: PermissionId,
}

impl Scene {
    async fn set() -> Result<Self> {
        let (world, liar) = World::start_behind_liar()?;
        let (first, _) = world.patient("alice")?;
        let (hospital, _) = world.institution("St. Anna")?;
        let unlock = Unlock::KeyFile(hospital.home().with_extension("key"));
        let hospital = Institution::open(hospital.home(), &unlock).await?;
        let asked = first.run(&[
            "upload",
            "request",
            "--to",
            "St. Anna",
            "--text",
            "results",
            "--uses",
            "200",
            "--max-bytes",
            "1MiB",
        ])?;
        let upload = text(&asked, "permission_id")?.parse()?;
        let second = link(&world, &first, "Tablet")?;
        let scene = Self {
            world,
            liar,
            first,
            second,
            hospital,
            upload,
        };
        scene.receive(RECORDS).await?;
        // Adopted, and written down.
        assert_eq!(listed(&scene.first)?.len(), RECORDS);
        Ok(scene)
    }

    async fn receive(&self, count: usize) -> Result<()> {
        let file = self.world.path("result.txt");
        for number in 0..count {
            std::fs::write(&file, format!("result {number}"))?;
            self.hospital
                .send_upload(self.upload, std::slice::from_ref(&file), &())
                .await?;
        }
        Ok(())
    }

    /// Has answers counted: how many records the server gives to be verified.
    fn count_verified(&self) -> Arc<AtomicUsize> {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        self.liar.tell(move |path, body| {
            let list = path.starts_with("/v1/vault/records?") || path.starts_with("/v1/vault/arrivals");
            if let (true, Ok(page)) = (list, pb::VaultPage::decode(body.clone())) {
                counted.fetch_add(page.records.len(), Ordering::Relaxed);
            }
            body
        });
        count
    }
}

/// Ids and collections, as the program lists them.
fn listed(by: &Cli) -> Result<Vec<(String, String)>> {
    let records = by.run(&["records"])?;
    assert_eq!(records["refused"].as_array().map_or(0, Vec::len), 0, "{records}");
    array(&records, "records")?
        .iter()
        .map(|record| Ok((text(record, "record_id")?, text(record, "collection_id")?)))
        .collect()
}

/// DEL-5: what the index has named is forgotten with it: the next one is written without, and the old one does not bring it back.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_leaves_the_index() -> Result<()> {
    let scene = Scene::set().await?;
    let old: Arc<Mutex<Option<Bytes>>> = Arc::default();
    let keep = old.clone();
    scene.liar.tell(move |path, body| {
        if path.starts_with("/v1/vault/index?after=0") {
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(body.clone());
        }
        body
    });
    let wanted = listed(&scene.second)?;
    let old = old.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let old = pb::IndexPage::decode(old.context("no index was read")?)?;
    assert!(!old.segments.is_empty());
    let (gone, _) = wanted.first().context("no record")?;
    scene.first.run(&["records", "delete", gone, "--yes"])?;
    let left: Vec<_> = wanted
        .iter()
        .filter(|(record, _)| record != gone)
        .cloned()
        .collect();
    let verified = scene.count_verified();
    assert_eq!(listed(&scene.second)?, left);
    assert_eq!(
        verified.load(Ordering::Relaxed),
        left.len(),
        "the index began anew"
    );
    assert_eq!(listed(&scene.first)?, left);
    assert_eq!(
        verified.load(Ordering::Relaxed),
        left.len(),
        "and holds what is left"
    );
    // The old segments, with the deleted record in them.
    scene
        .liar
        .tell_of("/v1/vault/index?after=0", move |page: pb::IndexPage| {
            pb::IndexPage {
                segments: old.segments.clone(),
                generation: old.generation,
                ..page
            }
        });
    assert_eq!(listed(&scene.second)?, left);
    Ok(())
}

/// IDX-2, IDX-5, IDX-6
#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_lists_without_verifying_again() -> Result<()> {
    let scene = Scene::set().await?;
    let wanted = listed(&scene.first)?;
    let verified = scene.count_verified();
    assert_eq!(listed(&scene.second)?, wanted);
    assert_eq!(verified.load(Ordering::Relaxed), 0, "all is in the index");

    // What comes later, and what is moved, is verified; what is opened is too.
    scene.receive(1).await?;
    let (moved, _) = wanted.first().context("no record")?;
    scene.first.run(&["collection", "create", "heart"])?;
    scene.first.run(&["collection", "move", moved, "--to", "heart"])?;
    let verified = scene.count_verified();
    let now = listed(&scene.second)?;
    assert_eq!(now.len(), RECORDS + 1);
    assert_eq!(verified.load(Ordering::Relaxed), 2);
    let collection = |all: &[(String, String)]| all.iter().find(|(id, _)| id == moved).cloned();
    assert_ne!(collection(&now), collection(&wanted));
    let out = scene.world.path("opened").display().to_string();
    scene.second.run(&["records", "get", moved, "--out", &out])?;
    Ok(())
}

/// IDX-4, ATK-15, ATK-40: the list does not depend on what becomes of the index.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_server_does_to_the_index_the_list_is_the_same() -> Result<()> {
    let scene = Scene::set().await?;
    let wanted = listed(&scene.first)?;
    type Lie = fn(&mut pb::IndexPage);
    let lies: [(&str, Lie); 5] = [
        ("withheld", |page| page.segments.clear()),
        ("altered", |page| alter(page, |segment| flip(&mut segment.sealed))),
        ("of another device", |page| {
            alter(page, |segment| {
                if let Some(statement) = segment.head.as_mut().and_then(|head| head.statement.as_mut()) {
                    flip(&mut statement.signature);
                }
            });
        }),
        ("twice", |page| page.segments.extend(page.segments.clone())),
        ("of a vault that goes on", |page| page.last_placement = 3),
    ];
    for (name, lie) in lies {
        scene
            .liar
            .tell_of("/v1/vault/index", move |mut page: pb::IndexPage| {
                lie(&mut page);
                page
            });
        assert_eq!(listed(&scene.second)?, wanted, "{name}");
    }
    Ok(())
}

/// IDX-2, VLT-5, ATK-64: an index that was begun anew is signed as if it covered placements that are not there. Whoever reads it
/// would take what is placed later for covered.
#[tokio::test(flavor = "multi_thread")]
async fn no_index_is_signed_over_what_is_not_there() -> Result<()> {
    let scene = Scene::set().await?;
    play(&[Defence::VaultHeads], |without| {
        scene.liar.tell_of("/v1/vault/index", |mut page: pb::IndexPage| {
            page.segments.clear();
            page.last_placement += 1000;
            page
        });
        let signed: Arc<Mutex<Vec<u64>>> = Arc::default();
        let keep = signed.clone();
        scene.liar.take(move |asked, body| {
            let segment = (asked == "POST /v1/vault/index").then(|| pb::SignedSegment::decode(body.clone()));
            let head = PatientSigned::<IndexSegment>::try_from(segment?.ok()?.head).ok()?;
            keep.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(head.claimed().through);
            Some(Bytes::new())
        });
        listed(&scene.first.without(without))?;
        scene.liar.be_honest();
        let signed = signed.lock().unwrap_or_else(PoisonError::into_inner);
        let last = signed.iter().max().context("no index was written")?;
        Ok(*last > RECORDS as u64)
    })
}

/// IDX-5, COL-10: an older index, which knows nothing of a move, with the record as it was then. Without the defence it lies
/// where it lay.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_index_brings_no_record_back() -> Result<()> {
    let scene = Scene::set().await?;
    let (moved, before) = listed(&scene.first)?.first().context("no record")?.clone();
    let kept: Arc<Mutex<HashMap<String, Bytes>>> = Arc::default();
    let keep = kept.clone();
    let tells = |path: &str| path.starts_with("/v1/vault/index") || path.starts_with("/v1/vault/records/");
    scene.liar.tell(move |path, body| {
        if tells(path) {
            let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
            kept.entry(path.to_owned()).or_insert_with(|| body.clone());
        }
        body
    });
    let out = scene.world.path("opened").display().to_string();
    scene.first.run(&["records", "get", &moved, "--out", &out])?;
    scene.first.run(&["collection", "create", "heart"])?;
    scene
        .first
        .run(&["collection", "move", &moved, "--to", "heart"])?;
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    scene
        .liar
        .tell(move |path, body| kept.get(path).cloned().unwrap_or(body));
    let records = scene.first.run(&["records"])?;
    let refused = array(&records, "refused")?;
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["record_id"], moved.as_str());
    assert!(
        refused[0].to_string().contains("was seen with placement"),
        "{refused:?}"
    );
    let lies = |record: &Value| (record["record_id"].clone(), record["collection_id"].clone());
    let brought_back = (Value::from(moved.as_str()), Value::from(before.as_str()));
    let listed_now = array(&records, "records")?;
    assert!(
        listed_now.iter().all(|record| lies(record) != brought_back),
        "{records}"
    );
    let believed = listed(
        &scene
            .first
            .without(&[Defence::SeenPlacements, Defence::VaultHeads]),
    )?;
    assert!(believed.contains(&(moved, before)), "the control: {believed:?}");
    Ok(())
}

fn alter(page: &mut pb::IndexPage, change: impl Fn(&mut pb::SignedSegment)) {
    page.segments.iter_mut().for_each(change);
}

fn flip(bytes: &mut Bytes) {
    let mut changed = bytes.to_vec();
    if let Some(byte) = changed.last_mut() {
        *byte ^= 1;
    }
    *bytes = changed.into();
}

/// IDX-4: what a device wrote down that was removed since is verified anew, and a new generation begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_device_vouches_for_nothing() -> Result<()> {
    let scene = Scene::set().await?;
    let wanted = listed(&scene.second)?;
    let verified = scene.count_verified();
    assert_eq!(listed(&scene.second)?, wanted);
    assert_eq!(verified.load(Ordering::Relaxed), 0);
    let third = link(&scene.world, &scene.second, "Laptop")?;
    let first = array(&scene.second.run(&["device", "list"])?, "devices")?
        .first()
        .context("no device")?
        .clone();
    let verified = scene.count_verified();
    scene
        .second
        .run(&["device", "remove", &text(&first, "device_id")?, "--lost"])?;
    assert_eq!(
        verified.load(Ordering::Relaxed),
        RECORDS,
        "the first device had written it"
    );
    let verified = scene.count_verified();
    assert_eq!(listed(&third)?, wanted);
    assert_eq!(
        verified.load(Ordering::Relaxed),
        0,
        "the second has written it anew"
    );
    Ok(())
}

/// IDX-2, ATK-15, ATK-16: what does not verify is named, asked for again, and not forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_verify_stays_in_sight() -> Result<()> {
    let scene = Scene::set().await?;
    let wanted = listed(&scene.first)?;
    let (bad, _) = wanted.get(3).context("no record")?;
    let bad = bad.clone();
    let of_bad = bad.clone();
    let spoil = move |record: &mut pb::VaultRecord| {
        if let Some(stored) = record.record.as_mut() {
            let id = protocol_spec::ids::RecordId::try_from(stored.record_id.as_ref());
            if id.is_ok_and(|id| id.to_string() == of_bad) {
                stored.stream_len += 1;
            }
        }
    };
    // No index, so that all is verified; one record does not, and the index that is written then says so.
    scene.liar.tell(move |path, body| {
        if path.starts_with("/v1/vault/index") {
            let page = pb::IndexPage::decode(body.clone()).map(|mut page| {
                alter(&mut page, |segment| flip(&mut segment.sealed));
                page.encode_to_vec().into()
            });
            return page.unwrap_or(body);
        }
        let page = pb::VaultPage::decode(body.clone()).map(|mut page| {
            page.records.iter_mut().for_each(&spoil);
            page.encode_to_vec().into()
        });
        match page {
            Ok(page) if path.starts_with("/v1/vault/records?") => page,
            _ => body,
        }
    });
    let refused = |records: &Value| {
        let refused = records["refused"].as_array().cloned().unwrap_or_default();
        refused.iter().filter(|one| one["record_id"] == bad).count()
    };
    let shown = scene.second.run(&["records"])?;
    assert_eq!(
        (array(&shown, "records")?.len(), refused(&shown)),
        (RECORDS - 1, 1)
    );
    // Once the server tells the truth, the record verifies, though no list shows it any more.
    let verified = scene.count_verified();
    assert_eq!(listed(&scene.first)?, wanted);
    assert_eq!(verified.load(Ordering::Relaxed), 0);
    Ok(())
}
