//! A record stays where it was moved to, whatever the server shows of it (COL-10, ATK-38).

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use prost::Message;
use protocol_spec::{defence::Defence, messages as pb};
use serde_json::Value;
use tests::harness::{Cli, Liar, World};

use super::{collections::Scene, flows::array};

/// A record that was moved out of `default`, and what the server showed of it before.
struct Moved {
    scene: Scene,
    liar: Liar,
    record: String,
    private: String,
    /// When it had arrived.
    arrived: pb::VaultRecord,
    /// When it lay in `default`.
    placed: pb::VaultRecord,
}

impl Moved {
    fn set() -> Result<Self> {
        let (world, liar) = World::start_behind_liar()?;
        let scene = Scene::in_world(world)?;
        scene.patient.run(&["collection", "create", "private"])?;
        let shown: Arc<Mutex<Vec<pb::VaultRecord>>> = Arc::default();
        let keep = shown.clone();
        liar.tell(move |path, body| {
            if let (Some(Shown::List(_)), Ok(page)) = (Shown::of(path), pb::VaultPage::decode(body.clone())) {
                keep.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(page.records);
            }
            body
        });
        let record = scene.record("skin")?;
        scene
            .patient
            .run(&["collection", "move", &record, "--to", "private"])?;
        liar.be_honest();
        let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let find = |placed| {
            let mut shown = shown.iter();
            let found = shown.find(|record| record.placement.is_some() == placed);
            found.cloned().context("it was not shown so")
        };
        let (arrived, placed) = (find(false)?, find(true)?);
        let private = lies_in(&scene.patient, &record)?.context("it is not listed")?;
        Ok(Self {
            scene,
            liar,
            record,
            private,
            arrived,
            placed,
        })
    }

    /// The server shows the record as it was before, in every list and by itself.
    fn roll_back(&self, to: &pb::VaultRecord) {
        let to = to.clone();
        self.liar.tell(move |path, body| match Shown::of(path) {
            Some(Shown::One) => to.encode_to_vec().into(),
            Some(Shown::List(placed)) => rolled_back(&body, &to, placed).unwrap_or(body),
            None => body,
        });
    }
}

/// What of records a path asks for.
enum Shown {
    /// Those that are placed, or that are not.
    List(bool),
    One,
}

impl Shown {
    fn of(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v1/vault/")?;
        if rest.starts_with("records?") {
            return Some(Self::List(true));
        }
        if rest.starts_with("arrivals") {
            return Some(Self::List(false));
        }
        let version = rest.strip_prefix("records/")?;
        (!version.contains('/')).then_some(Self::One)
    }
}

/// A list in which this record stands as it was, or no more.
fn rolled_back(page: &Bytes, to: &pb::VaultRecord, placed: bool) -> Result<Bytes> {
    let mut page = pb::VaultPage::decode(page.clone())?;
    let id = |record: &pb::VaultRecord| record.record.as_ref().map(|record| record.record_id.clone());
    page.records.retain(|record| id(record) != id(to));
    if to.placement.is_some() == placed {
        page.records.push(to.clone());
    }
    Ok(page.encode_to_vec().into())
}

/// The id of the collection in which the program lists a record; none if it does not.
fn lies_in(by: &Cli, record: &str) -> Result<Option<String>> {
    let records = by.run(&["records"])?;
    let listed = array(&records, "records")?
        .iter()
        .find(|listed| listed["record_id"] == record);
    Ok(listed.and_then(|listed| listed["collection_id"].as_str().map(str::to_owned)))
}

/// Why the program does not list a record.
fn refused(by: &Cli, record: &str) -> Result<String> {
    let records = by.run(&["records"])?;
    let refused = array(&records, "refused")?
        .iter()
        .find(|refused| refused["record_id"] == record);
    Ok(refused.map(Value::to_string).unwrap_or_default())
}

const DEFAULT: &str = "col_aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The placement that it had before is well signed. Without the defence the record lies where it lay then.
#[test]
fn an_older_placement_brings_no_record_back() -> Result<()> {
    let moved = Moved::set()?;
    let (patient, record) = (&moved.scene.patient, moved.record.as_str());
    moved.roll_back(&moved.placed);
    let why = refused(patient, record)?;
    assert!(
        why.contains("placement 2") && why.contains("placement 1"),
        "what was seen, and what is shown: {why}"
    );
    assert_eq!(lies_in(patient, record)?, None);
    let out = moved.scene.world.path("out").display().to_string();
    let get = patient.fail(&["records", "get", record, "--out", &out])?;
    assert_eq!(get.json["error"]["code"], "older-placement", "{get:?}");
    let believing = patient.without(&[Defence::SeenPlacements, Defence::VaultHeads]);
    assert_eq!(
        lies_in(&believing, record)?.as_deref(),
        Some(DEFAULT),
        "the control"
    );
    // What a device has not seen it cannot miss; once it has, it does.
    moved.liar.be_honest();
    assert_eq!(lies_in(patient, record)?, Some(moved.private.clone()));
    Ok(())
}

/// Nor does it arrive again. Without the defence her own device puts it back into `default`.
#[test]
fn a_record_that_was_placed_does_not_arrive_again() -> Result<()> {
    let moved = Moved::set()?;
    let (patient, record) = (&moved.scene.patient, moved.record.as_str());
    moved.roll_back(&moved.arrived);
    let why = refused(patient, record)?;
    assert!(why.contains("placement 2") && why.contains("none"), "{why}");
    moved.liar.be_honest();
    assert_eq!(lies_in(patient, record)?, Some(moved.private.clone()));
    moved.roll_back(&moved.arrived);
    let believing = patient.without(&[Defence::SeenPlacements, Defence::VaultHeads]);
    lies_in(&believing, record)?;
    moved.liar.be_honest();
    assert_eq!(lies_in(patient, record)?.as_deref(), Some(DEFAULT), "the control");
    Ok(())
}

/// REV-9: nor does a version that was sealed anew. Without the defence the old one is listed, under the key that was given away.
#[test]
fn a_version_that_was_sealed_anew_does_not_come_back() -> Result<()> {
    let moved = Moved::set()?;
    let (patient, record) = (&moved.scene.patient, moved.record.as_str());
    let permission = moved.scene.permit("private", &[])?;
    let said = patient.run(&["revoke", &permission, "--reseal"])?;
    assert_eq!(array(&said, "sealed_anew")?, &[Value::from(record)], "{said}");
    moved.roll_back(&moved.placed);
    let why = refused(patient, record)?;
    assert!(
        why.contains("placement 3") && why.contains("placement 1"),
        "{why}"
    );
    let believing = patient.without(&[Defence::SeenPlacements, Defence::VaultHeads]);
    assert_eq!(
        lies_in(&believing, record)?.as_deref(),
        Some(DEFAULT),
        "the control"
    );
    Ok(())
}
