//! What all operations share: the stores, the clock, the log, and what is remembered beside them; pages of rows, and receipts with
//! their place in the log.

use std::sync::Arc;

use protocol_spec::{ids::PatientId, keys::IdentityKey, messages as pb};

use crate::{
    identity::OperatorIdentity,
    store::{BlobStore, Ledger},
    vault::{
        core::{limits::VaultLimits, refusal::Refusal, time::Time},
        log::{Log, statement_hash},
        tables::{Row, RowKey},
        telling::wakes::Wakes,
        transfer::in_flight::InFlight,
        who::{known::KnownCallers, work::Challenges},
    },
};

/// The parts of the vault that all operations share.
pub struct Shared {
    pub(in crate::vault) ledger: Arc<dyn Ledger>,
    pub(in crate::vault) blobs: Arc<dyn BlobStore>,
    pub(in crate::vault) operator: Arc<OperatorIdentity>,
    pub(in crate::vault) registrar: IdentityKey,
    pub(in crate::vault) time: Arc<Time>,
    pub(in crate::vault) limits: VaultLimits,
    pub(in crate::vault) log: Log,
    pub(in crate::vault) wakes: Wakes,
    pub(in crate::vault) known: KnownCallers,
    pub(in crate::vault) in_flight: InFlight,
    pub(in crate::vault) challenges: Challenges,
}

impl Shared {
    /// One page of rows, and whether there may be more: it ends after `limit` rows (zero: as many as the
    /// server likes) or after the row with which it reaches the size of a page.
    pub(in crate::vault) async fn page<R: Row>(
        &self,
        first: RowKey<R>,
        limit: usize,
    ) -> Result<(Vec<R>, bool), Refusal> {
        self.page_of(first, limit, self.limits.page_bytes).await
    }

    /// A page that is made in the memory kept for short messages.
    pub(in crate::vault) async fn short_page<R: Row>(
        &self,
        first: RowKey<R>,
        limit: usize,
    ) -> Result<(Vec<R>, bool), Refusal> {
        self.page_of(first, limit, self.limits.short_page()).await
    }

    /// A page has one row at least: an empty one would say that there are no more.
    async fn page_of<R: Row>(
        &self,
        first: RowKey<R>,
        limit: usize,
        page_bytes: usize,
    ) -> Result<(Vec<R>, bool), Refusal> {
        let page_bytes = page_bytes.max(1);
        let most = self.limits.page_rows.max(1);
        let wanted = if limit == 0 { most } else { limit.min(most) };
        let (mut from, mut rows, mut bytes) = (first, Vec::new(), 0);
        loop {
            let step = (wanted - rows.len()).min(PAGE_STEP);
            let batch = from.scan(&*self.ledger, step).await?;
            let last = batch.len() < step;
            for (suffix, row) in batch {
                if bytes >= page_bytes {
                    return Ok((rows, true));
                }
                from = from.after(&suffix);
                bytes += row.encoded_len();
                rows.push(row);
            }
            if last || rows.len() >= wanted || bytes >= page_bytes {
                return Ok((rows, !last));
            }
        }
    }

    /// Adds to a stored receipt about somebody's vault its place in the log.
    pub(in crate::vault) async fn complete(
        &self,
        patient: PatientId,
        receipt: &mut pb::Receipt,
    ) -> Result<(), Refusal> {
        let hash = statement_hash(receipt.statement.as_ref());
        receipt.proof = Some(self.log.prove(*patient.as_bytes(), &hash).await?);
        Ok(())
    }

    /// The same for a statement of a device.
    pub(in crate::vault) async fn complete_logged(
        &self,
        patient: PatientId,
        logged: &mut pb::LoggedStatement,
    ) -> Result<(), Refusal> {
        let statement = logged.statement.as_ref();
        let hash = statement_hash(statement.and_then(|signed| signed.statement.as_ref()));
        logged.proof = Some(self.log.prove(*patient.as_bytes(), &hash).await?);
        Ok(())
    }
}

/// Rows read at once for a page: rows are up to some hundred kilobytes large.
const PAGE_STEP: usize = 16;
