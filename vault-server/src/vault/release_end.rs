//! The end of a release: a receipt tells how many bytes of which leaves were handed out. It is written when the
//! institution closes the session, when its time is over, and when the permission is revoked.

use bytes::Bytes;
use protocol_spec::{
    bodies::{ReleaseReceipt, ReleaseTicket},
    defence::Defence,
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId, RecordId, ReleaseId, VersionId},
    messages as pb,
    problem::Problem,
    released::{LeafRanges, ReleasedHasher, VersionLeaves},
    statement::Signed,
};

use super::{
    Caller, Intent, Refusal, Shared, Vault,
    refusal::ensure,
    tables::{self, ReleaseRow, ReleasedRow},
    tx::{Operation, Tx},
};
use crate::store::SCAN_LIMIT;

use pb::{event, history_entry};

impl Vault {
    /// Ends a session and gives its receipt. A session that is closed already has its receipt (FLW-10).
    ///
    /// # Errors
    /// `not-permitted`.
    pub async fn close_release(
        &self,
        caller: &Caller,
        intent: &Intent,
        release: ReleaseId,
    ) -> Result<pb::Receipt, Refusal> {
        let institution = Some(caller.institution()?.id());
        let patient = self.shared.release_vault(release).await?;
        let close = CloseRelease {
            patient,
            release,
            institution,
        };
        let mut receipt = self.shared.mutate(caller, intent, &close).await?;
        self.shared.complete(patient, &mut receipt).await?;
        Ok(receipt)
    }

    /// What one of the caller's releases has handed out, by version, after this one (REV-4).
    ///
    /// # Errors
    /// `not-permitted`.
    pub async fn released_ranges(
        &self,
        caller: &Caller,
        release: ReleaseId,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<pb::ReleasedRanges, Refusal> {
        let patient = caller.patient()?;
        let ledger = &*self.shared.ledger;
        let known = tables::release(patient, release).get(ledger).await?;
        known.ok_or_else(|| Refusal::absent("no such release"))?;
        let limit = limit.clamp(1, MAX_VERSIONS);
        let mut versions = self.shared.released(patient, release, after, limit).await?;
        let more = versions.len() == limit;
        let next = versions.last().filter(|_| more);
        let next = next.map_or_else(Bytes::new, |last| {
            Bytes::copy_from_slice(last.version_id.as_bytes())
        });
        let versions = versions.drain(..).map(|leaves| (&leaves).into()).collect();
        Ok(pb::ReleasedRanges { versions, next })
    }
}

/// Most versions of one page of ranges.
pub const MAX_VERSIONS: usize = 256;

impl Shared {
    /// At most `limit` versions, of at most [`SCAN_LIMIT`].
    async fn released(
        &self,
        patient: PatientId,
        release: ReleaseId,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<VersionLeaves>, Refusal> {
        let first = tables::all_released(patient, release);
        let from = tables::all_released(patient, release).behind(after);
        let rows = from.scan(&*self.ledger, limit).await?;
        let of_release = rows
            .into_iter()
            .map_while(|(suffix, row)| Some((first.rest(&suffix)?.to_vec(), row)));
        of_release
            .map(|(version, row)| {
                let message = pb::VersionRanges {
                    version_id: version.into(),
                    record_id: row.record,
                    leaves: row.leaves,
                };
                message.try_into().map_err(Refusal::damaged)
            })
            .collect()
    }
}

/// Closes a session, for its institution or, when its time is over, for nobody.
pub(super) struct CloseRelease {
    pub(super) patient: PatientId,
    pub(super) release: ReleaseId,
    pub(super) institution: Option<InstitutionId>,
}

impl Operation for CloseRelease {
    type Answer = pb::Receipt;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Receipt, Refusal> {
        let row = tx
            .read_existing(&tables::release(self.patient, self.release))
            .await?;
        let ticket = row.ticket()?;
        let own = self
            .institution
            .is_none_or(|institution| institution == ticket.institution_id);
        let own = Defence::SessionOwner.holds(own);
        ensure(own, Problem::NotPermitted, "another institution's release")?;
        tx.close_release(row).await
    }
}

impl Tx<'_> {
    /// What a release has handed out of a version so far, or is about to; the release's row guards it.
    pub(super) async fn noted(
        &mut self,
        patient: PatientId,
        release: ReleaseId,
        version: VersionId,
    ) -> Result<LeafRanges, Refusal> {
        let key = tables::released(patient, release, version);
        let row = self.read(&key).await?.unwrap_or_default();
        LeafRanges::try_from(row.leaves).map_err(Refusal::damaged)
    }

    /// Notes what a release has handed out of a version, or is about to (REV-3).
    pub(super) fn note(
        &mut self,
        (patient, release): (PatientId, ReleaseId),
        (record, version): (RecordId, VersionId),
        leaves: &LeafRanges,
    ) {
        let row = ReleasedRow {
            record: Bytes::copy_from_slice(record.as_bytes()),
            leaves: leaves.into(),
        };
        self.put(&tables::released(patient, release, version), &row);
    }

    /// Closes a release that has been read here, and gives its receipt. One that has handed out nothing gives its use back (FLW-16).
    pub(super) async fn close_release(&mut self, mut row: ReleaseRow) -> Result<pb::Receipt, Refusal> {
        if let Some(receipt) = row.receipt {
            return Ok(receipt);
        }
        let ticket = row.ticket()?;
        let patient = ticket.patient_id;
        if row.bytes == 0 {
            let key = tables::meter(patient, ticket.permission_id);
            let mut meter = self.read_existing(&key).await?;
            meter.give_back(0);
            self.put(&key, &meter);
        }
        self.ended(patient, ticket.permission_id, ticket.release_id.as_bytes());
        let signed = self.release_receipt(&ticket, row.bytes).await?;
        let receipt = pb::Receipt {
            statement: Some(signed.to_message()),
            proof: None,
        };
        self.log(*patient.as_bytes(), &signed.hash()).await?;
        row.receipt = Some(receipt.clone());
        self.put(&tables::release(patient, ticket.release_id), &row);
        self.close_session(*ticket.institution_id.as_bytes()).await?;
        self.record_history(patient, history_entry::What::Released(receipt.clone()))
            .await?;
        self.notify(*patient.as_bytes(), event::What::Released(receipt.clone()))
            .await?;
        Ok(receipt)
    }

    async fn release_receipt(
        &mut self,
        ticket: &ReleaseTicket,
        bytes: u64,
    ) -> Result<Signed<ReleaseReceipt>, Refusal> {
        let receipt = ReleaseReceipt {
            created: self.now,
            operator_id: ticket.operator_id,
            release_id: ticket.release_id,
            permission_id: ticket.permission_id,
            patient_id: ticket.patient_id,
            institution_id: ticket.institution_id,
            bytes,
            presentation_hash: ticket.presentation_hash,
            released_hash: self.released_hash(ticket.patient_id, ticket.release_id).await?,
            vault_head: self.newest_head(ticket.patient_id).await?,
        };
        let operator = &self.shared.operator;
        Ok(Signed::sign(receipt, |message| operator.sign(message)))
    }

    /// Whoever changes what was released changes the release's row, which this transaction checks.
    async fn released_hash(&self, patient: PatientId, release: ReleaseId) -> Result<Sha256Digest, Refusal> {
        let (mut hasher, mut after) = (ReleasedHasher::default(), None);
        loop {
            let versions = self.shared.released(patient, release, after, SCAN_LIMIT).await?;
            for leaves in &versions {
                hasher.add(leaves).map_err(Refusal::damaged)?;
            }
            match versions.last() {
                Some(last) if versions.len() == SCAN_LIMIT => after = Some(last.version_id),
                _ => return Ok(hasher.finish()),
            }
        }
    }
}
