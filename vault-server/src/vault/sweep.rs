//! What is over is ended: sessions past their time, leaves nobody committed, answers nobody repeats.
//! Everything that expires has a row that names it under its time; the sweeper reads those that are due.

use std::sync::Arc;

use protocol_spec::{
    defence::Defence,
    ids::{PatientId, UploadId},
    problem::Problem,
};

use super::{
    Refusal, Shared, admission,
    links::EndOffer,
    received::EndDay,
    release_end::CloseRelease,
    tables::{self, Expiring, Mark, UploadRow},
    tx::{Operation, Tx},
};
use crate::store::{Commit, CommitId, Key};

/// Rows looked at in one go.
const BATCH: usize = 256;

#[cfg(test)]
impl super::Vault {
    /// Ends what is due now. The vault does so by itself every `sweep_interval`.
    pub async fn sweep(&self) -> Result<(), Refusal> {
        self.shared.sweep().await
    }
}

impl Shared {
    /// Sweeps until the task is ended.
    pub(super) async fn sweep_for_ever(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.limits.sweep_interval);
        loop {
            ticks.tick().await;
            if let Err(refusal) = self.sweep().await {
                tracing::warn!(cause = refusal.cause, "not everything that is over was ended");
            }
        }
    }

    /// Time goes on durably, then all that is due is ended.
    async fn sweep(&self) -> Result<(), Refusal> {
        self.time.persist().await?;
        // For leaves whose operation was cut off before it woke the sequencer.
        self.log.look();
        let now = self.time.now();
        let mut from = tables::expiries();
        loop {
            let rows = from.scan(&*self.ledger, BATCH).await?;
            let due = due(&rows, now)?;
            let (mut over, mut replaced, mut shredded) = (Vec::new(), Vec::new(), Vec::new());
            for (at, what) in &due {
                match (self.end(*at, *what).await, what) {
                    (Ok(keys), Expiring::Version(patient, version)) => {
                        replaced.push((*patient, *version));
                        shredded.extend(keys);
                    }
                    (Ok(keys), _) => over.extend(keys),
                    (Err(refusal), _) => tracing::warn!(cause = refusal.cause, "not ended, trying again"),
                }
            }
            match self.shred_versions(&replaced).await {
                Ok(()) => over.extend(shredded),
                Err(refusal) => tracing::warn!(cause = refusal.cause, "not shredded, trying again"),
            }
            self.forget(over).await?;
            match rows.last() {
                Some((last, _)) if due.len() == BATCH => from = from.after(last),
                _ => return Ok(()),
            }
        }
    }

    /// Ends one thing, and names the rows that need not be there any more.
    async fn end(&self, at: u64, what: Expiring) -> Result<Vec<Key>, Refusal> {
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
                self.run(&close).await?;
            }
            Expiring::Epoch(patient, collection) if !Defence::ClosedEpochs.is_off() => {
                self.shred_epoch(patient, collection).await?;
            }
            Expiring::Epoch(..) => {}
            Expiring::Version(_, version) => {
                self.blobs.delete(*version.as_bytes(), 0..u32::MAX).await?;
            }
            Expiring::Sender(receiver, sender) => self.run(&EndDay { receiver, sender }).await?,
            Expiring::Invitation(body) => over.push(admission::forgotten(&body)),
            Expiring::Kept(patient, root_epoch) => {
                over.push(tables::kept_keys(patient, root_epoch).key().clone());
                over.push(tables::kept_collections(patient, root_epoch).key().clone());
            }
            Expiring::Offer(link, device) => self.run(&EndOffer { link, device }).await?,
            Expiring::Upload(patient, upload) => match self.end_upload(patient, upload).await {
                // A request is still sending; it will be refused, and the session ended next time.
                Err(refusal) if refusal.problem == Problem::LeafConflict => return Ok(Vec::new()),
                ended => ended?,
            },
        }
        Ok(over)
    }

    /// Gives an upload up unless it was committed, and deletes what was only needed until then.
    async fn end_upload(&self, patient: PatientId, upload: UploadId) -> Result<(), Refusal> {
        let _claim = self.in_flight.claim(upload, 0..u32::MAX)?;
        let row = self.run(&GiveUp { patient, upload }).await?;
        if row.abandoned {
            let version = *row.version()?.as_bytes();
            self.blobs.delete(version, 0..u32::MAX).await?;
        }
        loop {
            let rows = self.leaf_rows(patient, upload, 0, BATCH).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let key = |(leaf, _)| tables::leaf(patient, upload, leaf).key().clone();
            self.forget(rows.into_iter().map(key).collect()).await?;
        }
    }

    pub(super) async fn forget(&self, keys: Vec<Key>) -> Result<(), Refusal> {
        if !keys.is_empty() {
            let commit = keys
                .into_iter()
                .fold(Commit::new(CommitId::fresh()).urgent(), Commit::delete);
            // Nothing is checked, so nothing conflicts.
            let _applied = self.ledger.commit(commit).await?;
        }
        Ok(())
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

pub(super) struct GiveUp {
    pub(super) patient: PatientId,
    pub(super) upload: UploadId,
}

impl Operation for GiveUp {
    type Answer = UploadRow;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<UploadRow, Refusal> {
        let key = tables::upload(self.patient, self.upload);
        let mut row = tx.read_existing(&key).await?;
        tx.give_up(self.patient, self.upload, &mut row).await?;
        Ok(row)
    }
}
