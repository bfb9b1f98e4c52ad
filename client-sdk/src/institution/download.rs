//! The download: present, receive, open, verify, close. Nothing is final before all of it is verified.

use std::path::Path;

use protocol_spec::{
    bodies::{ReleaseReceipt, ReleaseTicket},
    ids::{PermissionId, RecordId},
    log::Receipt,
    messages as pb,
    permission::Kind,
    purpose::Purpose,
};

use super::{Fetched, FetchedRecord, Institution, delivery::Delivered, holding::Holding, release::Fetch};
use crate::{
    Error, Progress, Result,
    session::blocking,
    transfer::{FetchJournal, FolderSink, Leaves, Sink, interrupted, receive},
};

impl Institution {
    /// Presents a download or reference permission, and opens what it is for into `out/<record id>/…`. Files
    /// appear there only when all of them are verified. `purpose` is what they are used for; without it, what was stated
    /// when it was asked for (CND-2).
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Refused`], [`Error::Tampered`], [`Error::Interrupted`], and with a policy of witnesses
    /// [`Error::NotWitnessed`] (LOG-23); nothing is left in `out` then.
    pub async fn fetch(
        &self,
        permission: PermissionId,
        purpose: Option<Purpose>,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        let out = out.to_owned();
        let to_folder = |records: Vec<RecordId>| FolderSink::new(&out, &permission.to_string(), &records);
        self.fetch_with(permission, purpose, to_folder, progress).await
    }

    /// As [`Self::fetch`], into any sink.
    ///
    /// # Errors
    /// As there.
    pub async fn fetch_into(
        &self,
        permission: PermissionId,
        purpose: Option<Purpose>,
        sink: impl Sink,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        self.fetch_with(permission, purpose, |_| Ok(sink), progress).await
    }

    async fn fetch_with<S: Sink>(
        &self,
        permission: PermissionId,
        purpose: Option<Purpose>,
        make_sink: impl FnOnce(Vec<RecordId>) -> Result<S>,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        let began = self.session.begin_witnessed().await?;
        let mut delivered = self.deliver(permission).await?;
        if delivered.permission.kind == Kind::Upload {
            return Err(Error::Usage(
                "this permission is for an upload: send with it".into(),
            ));
        }
        if delivered.permission.kind == Kind::Emergency {
            return Err(Error::Usage(
                "this permission is for an emergency: open it with the patient's card".into(),
            ));
        }
        let asked = self.session.answered(&mut delivered).await?;
        let mut journal = FetchJournal::open(&self.session.home, &permission)?;
        let fetch = Fetch {
            journal: &mut journal,
            holding: Holding::open(&self.session.home, &delivered.permission)?,
            purpose: purpose.or(asked.purpose),
            emergency: None,
            began,
        };
        let fetched = self
            .run_fetch(delivered, make_sink, fetch, progress)
            .await
            .map_err(interrupted);
        // Kept otherwise: the same presentation goes on, and spends no second use.
        if fetched.as_ref().map_or_else(Error::is_final, |_| true) {
            journal.remove();
        }
        fetched
    }

    pub(super) async fn run_fetch<S: Sink>(
        &self,
        delivered: Delivered,
        make_sink: impl FnOnce(Vec<RecordId>) -> Result<S>,
        mut fetch: Fetch<'_>,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        let permission = &delivered.permission;
        let vault = (permission.patient_id, permission.vault_head);
        let (release, mut sink) = if permission.collection.is_some() {
            // What lies in a collection is told to its holder alone.
            let release = self.open_release(delivered, &mut fetch).await?;
            let sink = make_sink(release.record_ids())?;
            (release, sink)
        } else {
            // The sink first: a folder that is in the way must not cost a use.
            let sink = make_sink(permission.records.iter().map(|record| record.record_id).collect())?;
            (self.open_release(delivered, &mut fetch).await?, sink)
        };
        progress.started(
            release
                .records
                .iter()
                .map(|(record, _)| record.stream_len())
                .sum(),
        );
        let budget = fetch.holding.budget();
        let mut records = Vec::with_capacity(release.records.len());
        for (record, key) in release.records {
            let path = format!(
                "/v1/releases/{}/records/{}/leaves",
                release.ticket.release_id,
                record.version_id()
            );
            let leaves = Leaves {
                path,
                stream_len: record.stream_len(),
                budget: budget.clone(),
            };
            let received = receive(
                &self.session.server,
                &leaves,
                record.expected(key),
                sink,
                progress,
            )
            .await;
            fetch.holding.keep(&budget)?;
            sink = received?;
            records.push(FetchedRecord {
                record_id: record.record_id(),
                version_id: record.version_id(),
                parts: record.fetched_parts(),
                provenance: record.provenance(),
            });
        }
        blocking(move || sink.commit()).await?;
        progress.finished();
        // The files are there and verified: an answer that does not come must not make a failure of that.
        let receipt = match self.close(&release.ticket, fetch.journal).await {
            Ok(receipt) => {
                let named = receipt.statement.vault_head;
                self.session.met_receipt_head(vault, named, "the receipt")?;
                Some(receipt)
            }
            Err(Error::Unreachable { .. } | Error::HomeLocked { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Fetched { records, receipt })
    }

    /// Ends the release; the answer says what was handed out.
    async fn close(&self, ticket: &ReleaseTicket, journal: &FetchJournal) -> Result<Receipt<ReleaseReceipt>> {
        let path = format!("/v1/releases/{}/close", ticket.release_id);
        let key = format!("{}-close", journal.idempotency_key());
        let message: pb::Receipt = self
            .session
            .server
            .post_once(&path, &pb::Accepted::default(), &key)
            .await?;
        let receipt = self
            .session
            .receipt::<ReleaseReceipt>(Some(message), "the receipt")
            .await?;
        if is_for(&receipt.statement, ticket) {
            Ok(receipt)
        } else {
            Err(Error::tampered("the receipt")("it is for something else"))
        }
    }
}

/// Whether the receipt is for the release of the ticket, in all that both say.
fn is_for(receipt: &ReleaseReceipt, ticket: &ReleaseTicket) -> bool {
    receipt.operator_id == ticket.operator_id
        && receipt.release_id == ticket.release_id
        && receipt.permission_id == ticket.permission_id
        && receipt.patient_id == ticket.patient_id
        && receipt.institution_id == ticket.institution_id
        && receipt.presentation_hash == ticket.presentation_hash
}

#[cfg(test)]
mod tests {
    use protocol_spec::{
        hash::Sha256Digest,
        ids::{InstitutionId, OperatorId, PatientId, ReleaseId},
    };

    use super::*;

    /// ATK-37: an institution that keeps it could prove nothing by it.
    #[test]
    fn a_receipt_for_another_release_is_refused() {
        let ticket = ReleaseTicket {
            created: 1,
            operator_id: OperatorId::from_bytes([1; 32]),
            release_id: ReleaseId::from_bytes([2; 16]),
            permission_id: PermissionId::from_bytes([3; 16]),
            patient_id: PatientId::from_bytes([4; 32]),
            institution_id: InstitutionId::from_bytes([5; 32]),
            bytes: 9,
            expires: 2,
            presentation_hash: Sha256Digest::of(b"presentation"),
        };
        let good = ReleaseReceipt {
            created: 2,
            operator_id: ticket.operator_id,
            release_id: ticket.release_id,
            permission_id: ticket.permission_id,
            patient_id: ticket.patient_id,
            institution_id: ticket.institution_id,
            bytes: 7,
            presentation_hash: ticket.presentation_hash,
            released_hash: Sha256Digest::of(b"released"),
            vault_head: None,
        };
        assert!(is_for(&good, &ticket));
        let wrong: [fn(&mut ReleaseReceipt); 6] = [
            |receipt| receipt.operator_id = OperatorId::from_bytes([9; 32]),
            |receipt| receipt.release_id = ReleaseId::from_bytes([9; 16]),
            |receipt| receipt.permission_id = PermissionId::from_bytes([9; 16]),
            |receipt| receipt.patient_id = PatientId::from_bytes([9; 32]),
            |receipt| receipt.institution_id = InstitutionId::from_bytes([9; 32]),
            |receipt| receipt.presentation_hash = Sha256Digest::of(b"another"),
        ];
        for change in wrong {
            let mut receipt = good.clone();
            change(&mut receipt);
            assert!(!is_for(&receipt, &ticket));
        }
    }
}
