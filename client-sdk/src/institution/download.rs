//! The download: present, receive, open, verify, close. Nothing is final before all of it is verified.

use std::path::Path;

use crypto::DataKey;
use protocol_spec::{
    bodies::{ReleaseReceipt, ReleaseTicket},
    ids::{PermissionId, RecordId},
    log::Receipt,
    messages::{self as pb, presentation_answer::Answer},
    permission::{Kind, RecordSelector, VerifiedPermission},
    statement::{Signed, Verified},
};

use super::{Fetched, FetchedRecord, Institution, delivery::Delivered};
use crate::{
    Error, Progress, Result,
    provenance::VerifiedRecord,
    session::blocking,
    transfer::{FetchJournal, FolderSink, Leaves, Sink, interrupted, receive},
};

/// A release that the server has opened, its records verified.
struct Release {
    ticket: Verified<ReleaseTicket>,
    records: Vec<(VerifiedRecord, DataKey)>,
}

impl Institution {
    /// Presents a download or reference permission, and opens what it is for into `out/<record id>/…`. Files
    /// appear there only when all of them are verified.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Refused`], [`Error::Tampered`], [`Error::Interrupted`]; nothing is left in
    /// `out` then.
    pub async fn fetch(
        &self,
        permission: PermissionId,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        let out = out.to_owned();
        let to_folder = |records: Vec<RecordId>| FolderSink::new(&out, &permission.to_string(), &records);
        self.fetch_with(permission, to_folder, progress).await
    }

    /// As [`Self::fetch`], into any sink.
    ///
    /// # Errors
    /// As there.
    pub async fn fetch_into(
        &self,
        permission: PermissionId,
        sink: impl Sink,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        self.fetch_with(permission, |_| Ok(sink), progress).await
    }

    async fn fetch_with<S: Sink>(
        &self,
        permission: PermissionId,
        make_sink: impl FnOnce(Vec<RecordId>) -> Result<S>,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        let delivered = self.deliver(permission).await?;
        if delivered.permission.kind == Kind::Upload {
            return Err(Error::Usage(
                "this permission is for an upload: send with it".into(),
            ));
        }
        let mut journal = FetchJournal::open(&self.session.home, &permission)?;
        // The sink first: a folder that is in the way must not cost a use.
        let records = delivered
            .permission
            .records
            .iter()
            .map(|record| record.record_id)
            .collect();
        let fetched = match make_sink(records) {
            Ok(sink) => self
                .run_fetch(delivered, sink, &mut journal, progress)
                .await
                .map_err(interrupted),
            Err(error) => Err(error),
        };
        // Kept otherwise: the same presentation goes on, and spends no second use.
        if fetched.as_ref().map_or_else(Error::is_final, |_| true) {
            journal.remove();
        }
        fetched
    }

    async fn run_fetch<S: Sink>(
        &self,
        delivered: Delivered,
        mut sink: S,
        journal: &mut FetchJournal,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        let release = self.open_release(delivered, journal).await?;
        progress.started(
            release
                .records
                .iter()
                .map(|(record, _)| record.stream_len())
                .sum(),
        );
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
            };
            sink = receive(
                &self.session.server,
                &leaves,
                record.expected(key),
                sink,
                progress,
            )
            .await?;
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
        let receipt = match self.close(&release.ticket, journal).await {
            Ok(receipt) => Some(receipt),
            Err(Error::Unreachable { .. } | Error::HomeLocked { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Fetched { records, receipt })
    }

    /// Presents the permission key and verifies what is released before a byte of it is asked for.
    async fn open_release(&self, mut delivered: Delivered, journal: &mut FetchJournal) -> Result<Release> {
        let permission = delivered.permission.clone();
        let opened = self.open_key::<Vec<DataKey>>(&permission)?;
        let mut renewed = false;
        let (ticket, stored) = loop {
            let message = pb::Presentation::default();
            let answer = self
                .present(delivered, &opened, &message, journal.idempotency_key())
                .await?;
            let (ticket, records) = self.check_release_ticket(answer, &permission).await?;
            // An earlier run's session that has ended since: a new one, which spends a use.
            if ticket.expires > self.session.server.now_ms() || renewed {
                break (ticket, records);
            }
            renewed = true;
            journal.renew()?;
            delivered = self.deliver(permission.permission_id).await?;
        };
        if stored.len() != permission.records.len() {
            return Err(Error::tampered(TICKET)("it is for other records"));
        }
        let mut records = Vec::with_capacity(stored.len());
        for ((stored, key), selector) in stored.into_iter().zip(opened.keys).zip(&permission.records) {
            records.push((self.check_record(stored, &key, &permission, selector).await?, key));
        }
        Ok(Release { ticket, records })
    }

    async fn check_release_ticket(
        &self,
        answer: Answer,
        permission: &VerifiedPermission,
    ) -> Result<(Verified<ReleaseTicket>, Vec<pb::StoredRecord>)> {
        let Answer::Release(pb::Release {
            ticket,
            proof,
            records,
        }) = answer
        else {
            return Err(Error::tampered(TICKET)("it is for an upload"));
        };
        let ticket = Signed::<ReleaseTicket>::try_from(ticket)
            .and_then(|ticket| ticket.verify(self.session.server.operator()))
            .map_err(Error::tampered(TICKET))?;
        self.session.included(proof, &ticket.hash(), TICKET).await?;
        let same = ticket.operator_id == self.session.server.operator_id()
            && ticket.permission_id == permission.permission_id
            && ticket.patient_id == permission.patient_id
            && ticket.institution_id == self.id();
        if same {
            Ok((ticket, records))
        } else {
            Err(Error::tampered(TICKET)("it is for something else"))
        }
    }

    /// A record must be the one that the patient selected, with the content that she saw (PRM-4).
    async fn check_record(
        &self,
        stored: pb::StoredRecord,
        key: &DataKey,
        permission: &VerifiedPermission,
        selector: &RecordSelector,
    ) -> Result<VerifiedRecord> {
        let record = self.session.receipted(permission.patient_id, stored).await?;
        let said = &record.receipt.statement;
        let selected = said.record_id == selector.record_id
            && said.version_id == selector.version_id
            && said.content_root == selector.content_root
            && said.stream_len == selector.stream_len;
        if !selected {
            return Err(Error::tampered("the record")(
                "it is not the one that the patient permitted",
            ));
        }
        self.session.verify_record(record, key).await
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

const TICKET: &str = "the release ticket";

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
