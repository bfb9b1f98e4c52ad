//! Revocations that are disturbed: another device places a record meanwhile, the server shows garbage.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool, atomic::Ordering},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use prost::Message;
use protocol_spec::{bodies::RevocationCertificate, messages as pb, patient::PatientSigned};
use serde_json::Value;
use tests::harness::{Cli, World, text};

use crate::{collections::Scene, devices::link, flows::array};

/// Epochs of records by version, as the server shows them.
type Epochs = Arc<Mutex<HashMap<Bytes, u64>>>;

fn note(epochs: &Epochs, body: &Bytes) {
    let Ok(page) = pb::VaultPage::decode(body.clone()) else {
        return;
    };
    let mut epochs = epochs.lock().unwrap_or_else(PoisonError::into_inner);
    for record in page.records.iter().filter(|record| record.placement.is_some()) {
        let version = record.record.clone().unwrap_or_default().version_id;
        epochs.entry(version).or_insert(record.epoch);
    }
}

/// REV-7: a record that another device places while the list of what the old key opens is made lies under the new key:
/// the next epoch is opened before the list is asked for, or the certificate would leave out what the institution can open.
#[test]
fn what_is_placed_while_the_list_is_made_lies_under_the_new_key() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let scene = Scene::in_world(world)?;
    let tablet = link(&scene.world, &scene.patient, "Tablet")?;
    scene.record("before")?;
    let permission = scene.permit("default", &[])?;
    // It has arrived, and is not placed yet.
    let file = scene.world.path("meanwhile.txt");
    std::fs::write(&file, "meanwhile")?;
    let offer = ["upload", "request", "--to", "Practice", "--text", "t"];
    let upload = text(&scene.patient.run(&offer)?, "permission_id")?;
    let path = file.display().to_string();
    let sent = scene.practice.run(&["upload", "send", &upload, &path])?;
    let meanwhile = text(&sent, "record_id")?;

    let (epochs, revoked, placed) = (Epochs::default(), AtomicBool::new(false), AtomicBool::new(false));
    let (seen, other) = (epochs.clone(), tablet.clone());
    liar.tell(move |path, body| {
        match path {
            "/v1/revocations" => revoked.store(true, Ordering::SeqCst),
            path if path.starts_with("/v1/vault/records?") => note(&seen, &body),
            // The list is on its way to the device; now the other one places what has arrived, and looks at it.
            path if path.starts_with("/v1/vault/wraps?")
                && path.contains("epoch=0&")
                && revoked.load(Ordering::SeqCst)
                && !placed.swap(true, Ordering::SeqCst) =>
            {
                let looked = tokio::task::block_in_place(|| {
                    other.run(&["records"])?;
                    other.run(&["records"])
                });
                if let Err(error) = looked {
                    return format!("{error:#}").into();
                }
            }
            _ => {}
        }
        body
    });
    let file = scene.world.path("certificate.pb");
    let path = file.display().to_string();
    scene
        .patient
        .run(&["revoke", &permission, "--certificate", &path])?;
    liar.be_honest();
    let epochs = epochs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let version = version_of(&scene.patient, &meanwhile)?;
    assert_eq!(epochs.get(&version), Some(&1), "{epochs:?}");
    let certificate = pb::CertificateFile::decode(std::fs::read(&file)?.as_slice())?;
    let certificate = PatientSigned::<RevocationCertificate>::try_from(certificate.certificate)?;
    let exposed = &certificate.claimed().exposed;
    assert_eq!(exposed.len(), 1, "only what lay under the old key: {exposed:?}");
    assert_ne!(exposed[0].version_id.as_bytes()[..], version);
    Ok(())
}

fn version_of(by: &Cli, record: &str) -> Result<Bytes> {
    let records = by.run(&["records"])?;
    let listed = array(&records, "records")?
        .iter()
        .find(|listed| listed["record_id"] == record);
    let version: protocol_spec::ids::VersionId =
        text(listed.context("not listed")?, "version_id")?.parse()?;
    Ok(Bytes::copy_from_slice(version.as_bytes()))
}

fn flip(bytes: &mut Bytes) {
    let mut changed = bytes.to_vec();
    if let Some(byte) = changed.last_mut() {
        *byte ^= 1;
    }
    *bytes = changed.into();
}

/// REV-5: the server shows garbage in the place of a data key's wrap. The key is taken from what the record came with; if
/// that is garbage too, the record's wrap stays as it is, and neither the other records nor the end of the epoch wait for it.
#[test]
fn garbage_in_the_place_of_a_wrap_stops_no_revocation() -> Result<()> {
    for arrival_is_garbage in [false, true] {
        let (world, liar) = World::start_behind_liar()?;
        let scene = Scene::in_world(world)?;
        let (spoiled, other) = (scene.record("spoiled")?, scene.record("other")?);
        let permission = scene.permit("default", &[])?;
        liar.tell(move |path, body| {
            if path.starts_with("/v1/vault/wraps?")
                && let Ok(mut page) = pb::WrapPage::decode(body.clone())
            {
                let first = page.wraps.iter_mut().filter(|wrap| wrap.number == 1);
                first.for_each(|wrap| flip(&mut wrap.data_key_wrap));
                return page.encode_to_vec().into();
            }
            if path.starts_with("/v1/vault/records/")
                && arrival_is_garbage
                && let Ok(mut record) = pb::VaultRecord::decode(body.clone())
            {
                flip(&mut record.upload_key_wrap);
                return record.encode_to_vec().into();
            }
            body
        });
        scene.patient.run(&["revoke", &permission])?;
        liar.be_honest();
        assert_eq!(scene.collections()?[0]["epoch"], 1);
        let history = scene.patient.run(&["history", "--verify"])?;
        assert!(kinds(&history)?.contains(&"epoch-closed".to_owned()), "{history}");
        let get = |record: &str| {
            let out = scene.world.path(&format!("out-{record}")).display().to_string();
            scene
                .patient
                .command(&["records", "get", record, "--out", &out])?
                .output()
                .map_err(anyhow::Error::from)
        };
        let (opened, of_other) = (get(&spoiled)?, get(&other)?);
        assert!(of_other.status.success(), "{of_other:?}");
        assert_eq!(opened.status.success(), !arrival_is_garbage, "{opened:?}");
    }
    Ok(())
}

fn kinds(history: &Value) -> Result<Vec<String>> {
    array(history, "history")?
        .iter()
        .map(|entry| text(entry, "kind"))
        .collect()
}
