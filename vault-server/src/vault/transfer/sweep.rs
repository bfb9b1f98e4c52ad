//! What is over is ended: sessions past their time, leaves nobody committed, answers nobody repeats.
//! Everything that expires has a row that names it under its time; the sweeper reads those that are due.

use std::sync::Arc;

use protocol_spec::{
    defence::Defence,
    ids::{PatientId, UploadId},
    problem::Problem,
};

use crate::{
    store::Key,
    vault::{
        ask::received::EndDay,
        core::{refusal::Refusal, run, shared::Shared},
        device::links::EndOffer,
        keep::{closure, reseal},
        tables::{self, Expiring, Mark},
        transfer::{release_end::CloseRelease, sessions::GiveUp, upload},
        who::admission,
    },
};

/// Rows looked at in one go.
const BATCH: usize = 256;

/// Sweeps until the task is ended.
pub(in crate::vault) async fn sweep_for_ever(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(shared.limits.sweep_interval);
    loop {
        ticks.tick().await;
        if let Err(refusal) = sweep(&shared).await {
            tracing::warn!(cause = refusal.cause, "not everything that is over was ended");
        }
    }
}

/// Time goes on durably, then all that is due is ended.
pub(in crate::vault) async fn sweep(shared: &Shared) -> Result<(), Refusal> {
    shared.time.persist().await?;
    // For leaves whose operation was cut off before it woke the sequencer.
    shared.log.look();
    let now = shared.time.now();
    let mut from = tables::expiries();
    loop {
        let rows = from.scan(&*shared.ledger, BATCH).await?;
        let due = due(&rows, now)?;
        let (mut over, mut replaced, mut shredded) = (Vec::new(), Vec::new(), Vec::new());
        for (at, what) in &due {
            match (end(shared, *at, *what).await, what) {
                (Ok(keys), Expiring::Version(patient, version)) => {
                    replaced.push((*patient, *version));
                    shredded.extend(keys);
                }
                (Ok(keys), _) => over.extend(keys),
                (Err(refusal), _) => tracing::warn!(cause = refusal.cause, "not ended, trying again"),
            }
        }
        match reseal::shred_versions(shared, &replaced).await {
            Ok(()) => over.extend(shredded),
            Err(refusal) => tracing::warn!(cause = refusal.cause, "not shredded, trying again"),
        }
        run::forget(shared, over).await?;
        match rows.last() {
            Some((last, _)) if due.len() == BATCH => from = from.after(last),
            _ => return Ok(()),
        }
    }
}

/// Ends one thing, and names the rows that need not be there any more.
async fn end(shared: &Shared, at: u64, what: Expiring) -> Result<Vec<Key>, Refusal> {
    let mut over = vec![tables::expiry(at, what).key().clone()];
    match what {
        Expiring::Idempotency(principal, key) => {
            over.push(tables::idempotency(principal, key).key().clone());
        }
        Expiring::Release(patient, release) => {
            let close = CloseRelease {
                patient,
                release,
                institution: None,
            };
            run::run(shared, &close).await?;
        }
        Expiring::Epoch(patient, collection) if !Defence::ClosedEpochs.is_off() => {
            closure::shred_epoch(shared, patient, collection).await?;
        }
        Expiring::Epoch(..) => {}
        Expiring::Version(_, version) => {
            shared.blobs.delete(*version.as_bytes(), 0..u32::MAX).await?;
        }
        Expiring::Sender(receiver, sender) => run::run(shared, &EndDay { receiver, sender }).await?,
        Expiring::Invitation(body) => over.push(admission::forgotten(&body)),
        Expiring::Kept(patient, root_epoch) => {
            over.push(tables::kept_keys(patient, root_epoch).key().clone());
            over.push(tables::kept_collections(patient, root_epoch).key().clone());
        }
        Expiring::Offer(link, device) => run::run(shared, &EndOffer { link, device }).await?,
        Expiring::Upload(patient, upload) => match end_upload(shared, patient, upload).await {
            // A request is still sending; it will be refused, and the session ended next time.
            Err(refusal) if refusal.problem == Problem::LeafConflict => return Ok(Vec::new()),
            ended => ended?,
        },
    }
    Ok(over)
}

/// Gives an upload up unless it was committed, and deletes what was only needed until then.
async fn end_upload(shared: &Shared, patient: PatientId, upload: UploadId) -> Result<(), Refusal> {
    let _claim = shared.in_flight.claim(upload, 0..u32::MAX)?;
    let row = run::run(shared, &GiveUp { patient, upload }).await?;
    if row.abandoned {
        let version = *row.version()?.as_bytes();
        shared.blobs.delete(version, 0..u32::MAX).await?;
    }
    loop {
        let rows = upload::leaf_rows(shared, patient, upload, 0, BATCH).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let key = |(leaf, _)| tables::leaf(patient, upload, leaf).key().clone();
        run::forget(shared, rows.into_iter().map(key).collect()).await?;
    }
}

/// Those whose time has come.
fn due(rows: &[(Vec<u8>, Mark)], now: u64) -> Result<Vec<(u64, Expiring)>, Refusal> {
    let decode = |(suffix, _): &(Vec<u8>, Mark)| {
        Expiring::decode(suffix).ok_or_else(|| Refusal::damaged("an expiry row"))
    };
    let is_due = |row: &Result<(u64, Expiring), Refusal>| !matches!(row, Ok((at, _)) if *at > now);
    rows.iter().map(decode).take_while(is_due).collect()
}
