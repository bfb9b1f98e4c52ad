//! A release that is running when its epoch is closed.

use anyhow::{Context, Result, ensure};
use http_body_util::BodyExt;
use protocol_spec::{collection::Collection, defence::Defence, ids::CollectionId, problem::Problem};
use tests::raw::{Answer, Call, RawPatient, RawWorld, now_ms, random, rest};

use super::open;

/// More than what lies between server and client at any time.
const LEAVES: u64 = 48;

/// What of a record comes, by a permission that is spent, when the epoch is closed after the first bytes; and the record's
/// length.
async fn read_while_the_epoch_ends(off: &[Defence]) -> Result<(Answer, u64)> {
    let world = RawWorld::start_without(off).await?;
    let wire = &world.wire;
    let patient = RawPatient::enrol(wire).await?;
    let hospital = world.institution("Hospital North").await?;
    let old = Collection {
        id: CollectionId::mint(now_ms(), random()?),
        epoch: 0,
    };
    patient.put_collection(wire, old).await?;
    let record = hospital.upload_leaves(wire, &patient, LEAVES).await?;
    patient.place(wire, &record, old, 1).await?;
    let request = hospital.ask(wire, &patient).await?;
    let (permission, message) = patient.over_collection(wire, &hospital.entry, request, old, |body| {
        (body.uses, body.bytes) = (1, record.stream_len);
    })?;
    patient.grant(wire, message).await?;
    let release = open(&hospital, wire, permission).await?;
    let again = hospital.present(wire, permission).await?;
    ensure!(again.problem() == Some(Problem::PermissionInUse), "{again:?}");

    let path = format!(
        "/v1/releases/{release}/records/{}/leaves?first=0&count={LEAVES}",
        record.version_id
    );
    let request = wire.sign(&Call::get(path), hospital.key(), None)?;
    let mut answer = wire.begin(request).await?;
    ensure!(answer.status().is_success(), "{answer:?}");
    let first = answer.frame().await.context("nothing came")??;
    ensure!(first.is_data(), "{first:?}");
    patient.end_epoch(wire, old, (&record, 1)).await?;
    let read = first.into_data().map_or(0, |data| data.len() as u64);
    Ok((rest(answer).await, record.stream_len - read))
}

/// REV-6: no use and no byte of the permission is left, so that nothing but the closure stops what is running.
#[tokio::test]
async fn the_end_of_an_epoch_cuts_what_runs_under_a_spent_permission() -> Result<()> {
    let (cut, left) = read_while_the_epoch_ends(&[]).await?;
    assert!(
        !cut.complete && (cut.body.len() as u64) < left,
        "it went on to its end"
    );
    let (whole, left) = read_while_the_epoch_ends(&[Defence::ClosedEpochs]).await?;
    assert!(
        whole.complete && whole.body.len() as u64 == left,
        "the control was cut, too: {} of {left}",
        whole.body.len()
    );
    Ok(())
}
