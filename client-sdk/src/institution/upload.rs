//! The upload: present, stand by, seal, send, commit. Every step is in the journal before it is taken, so
//! that a run that was cut off is taken up by the next.

use std::path::PathBuf;

use bytes::Bytes;
use crypto::{
    DataKey, UploadKey,
    content::{RecordContext, Sealer, seal_manifest},
};
use prost::Message;
use protocol_spec::{
    bodies::{RecordManifest, StandbyTicket, UploadReceipt},
    content::{padme, stream_len},
    hash::Sha256Digest,
    ids::{PermissionId, UploadId},
    messages::{self as pb, presentation_answer::Answer},
    permission::{Kind, VerifiedPermission},
    problem::Problem,
    provenance::SealedManifest,
    statement::Signed,
};

use super::{Institution, Sent, delivery::Delivered};
use crate::{
    Error, Progress, Result, mint,
    session::blocking,
    transfer::{FileSource, Journal, SealedStream, Source, check_names, interrupted, upload},
};

/// What a running upload knows.
struct Upload {
    permission: VerifiedPermission,
    context: RecordContext,
    key: DataKey,
    id: UploadId,
    present: Vec<pb::LeafRange>,
    plaintext_len: u64,
}

impl Institution {
    /// Presents an upload permission and sends files and folders (recursively, sorted, symbolic links not
    /// followed) as one record. Run again after an interruption, it goes on where it stopped. Whoever wants to know what files were
    /// taken for, or what is not sent (CNT-21), lists them with [`FileSource`] and sends with [`Self::send_from`].
    ///
    /// # Errors
    /// [`Error::SourceChanged`], [`Error::Refused`], [`Error::Interrupted`]; nothing is committed then.
    pub async fn send_upload(
        &self,
        permission: PermissionId,
        sources: &[PathBuf],
        progress: &dyn Progress,
    ) -> Result<Sent> {
        let sources = sources.to_vec();
        let source = blocking(move || FileSource::list(&sources)).await?;
        self.send_from(permission, source, progress).await
    }

    /// As [`Self::send_upload`], from any source.
    ///
    /// # Errors
    /// As there.
    pub async fn send_from(
        &self,
        permission: PermissionId,
        source: impl Source,
        progress: &dyn Progress,
    ) -> Result<Sent> {
        check_names(&source)?;
        let delivered = self.deliver(permission).await?;
        check_budget(&delivered.permission, plaintext_len(&source))?;
        let mut journal = Journal::open(&self.session.home, &permission, source.parts())?;
        let sent = self
            .run(delivered, source, &mut journal, progress)
            .await
            .map_err(interrupted);
        match &sent {
            Ok(_) => journal.remove(),
            // What was refused for good is not taken up again.
            Err(error) if error.is_final() => journal.remove(),
            Err(_) => {}
        }
        sent
    }

    async fn run(
        &self,
        delivered: Delivered,
        source: impl Source,
        journal: &mut Journal,
        progress: &dyn Progress,
    ) -> Result<Sent> {
        let mut resumable = None;
        if let Some(id) = journal.upload_id() {
            match self
                .session
                .server
                .get::<pb::UploadStatus>(&format!("/v1/uploads/{id}"))
                .await
            {
                Ok(status) if journal.knows(&status.present)? => resumable = Some((id, status)),
                Ok(_) => journal.restart(source.parts())?,
                // The server waits no longer. A refusal that passes must not cost another use.
                Err(error) if error.is_final() => journal.restart(source.parts())?,
                Err(error) => return Err(error),
            }
        }
        let permission = delivered.permission.clone();
        let opened = self.open_key::<UploadKey>(&permission, None)?;
        let context = RecordContext {
            patient: permission.patient_id,
            record: journal.record_id()?,
            version: journal.version_id()?,
        };
        let key = opened
            .keys
            .record_key(&context.patient, &context.record, &context.version)?;
        let (id, present, receipt) = match resumable {
            Some((id, status)) => (id, status.present, status.receipt),
            None => {
                let message = pb::Presentation {
                    record_id: Bytes::copy_from_slice(context.record.as_bytes()),
                    version_id: Bytes::copy_from_slice(context.version.as_bytes()),
                    purpose: String::new(),
                };
                let answer = self
                    .present(delivered, &opened, &message, journal.idempotency_key())
                    .await?;
                (
                    self.check_standby_ticket(answer, &permission, &context)?,
                    Vec::new(),
                    None,
                )
            }
        };
        let upload = Upload {
            permission,
            context,
            key,
            id,
            present,
            plaintext_len: plaintext_len(&source),
        };
        progress.started(stream_len(padme(upload.plaintext_len)));
        let (receipt, resumed_bytes) = match (receipt, journal.commit()?) {
            (Some(receipt), _) => (receipt, stream_len(padme(upload.plaintext_len))),
            (None, Some(commit)) => (
                self.commit(&upload, journal, &commit).await?,
                stream_len(padme(upload.plaintext_len)),
            ),
            (None, None) => self.send_and_commit(&upload, source, journal, progress).await?,
        };
        let sent = self
            .check_receipt(&upload, journal, receipt, resumed_bytes)
            .await?;
        progress.finished();
        Ok(sent)
    }

    /// Seals and sends the leaves, then the manifest.
    async fn send_and_commit(
        &self,
        running: &Upload,
        source: impl Source,
        journal: &mut Journal,
        progress: &dyn Progress,
    ) -> Result<(pb::Receipt, u64)> {
        let Upload {
            key,
            context,
            id,
            plaintext_len,
            ..
        } = running;
        let sealer = match journal.header() {
            Some(header) => Sealer::resume(key, context, *plaintext_len, &header, 0)?,
            None => Sealer::new(key, context, *plaintext_len)?,
        };
        journal.begin(id, sealer.header())?;
        let length = sealer.stream_len();
        let outcome = upload(
            &self.session.server,
            id,
            &running.present,
            (source, sealer, Some(journal.leaf_log()?)),
            progress,
        )
        .await?;
        let sealed_manifest = self.seal_manifest(running, &outcome.sealed)?;
        let commit = pb::CommitUpload {
            content_root: Bytes::copy_from_slice(outcome.sealed.root.as_bytes()),
            stream_len: length,
            sealed_manifest: sealed_manifest.into(),
            content: outcome.sealed.single.unwrap_or_default(),
        };
        let commit = Bytes::from(commit.encode_to_vec());
        journal.keep_commit(&commit)?;
        Ok((
            self.commit(running, journal, &commit).await?,
            outcome.resumed_bytes,
        ))
    }

    /// Signs what the record contains, and seals it with the record's key.
    fn seal_manifest(&self, running: &Upload, sealed: &SealedStream) -> Result<Vec<u8>> {
        let Upload { context, key, .. } = running;
        let manifest = RecordManifest {
            created: mint::now_ms(),
            patient_id: context.patient,
            record_id: context.record,
            version_id: context.version,
            institution_id: self.id(),
            permission_id: running.permission.permission_id,
            content_root: sealed.root,
            plaintext_len: running.plaintext_len,
            parts: sealed.parts.clone(),
        };
        manifest.check_parts()?;
        let manifest = SealedManifest::new(self.keys.statement(manifest)?);
        Ok(seal_manifest(key, context, &manifest.encode())?)
    }

    /// The commit point: once the server has answered, the record is stored.
    async fn commit(&self, running: &Upload, journal: &Journal, commit: &Bytes) -> Result<pb::Receipt> {
        let message: pb::CommitUpload = protocol_spec::messages::decode(commit)?;
        let path = format!("/v1/uploads/{}/commit", running.id);
        self.session
            .server
            .post_once(&path, &message, &format!("{}-commit", journal.idempotency_key()))
            .await
    }

    fn check_standby_ticket(
        &self,
        answer: Answer,
        permission: &VerifiedPermission,
        context: &RecordContext,
    ) -> Result<UploadId> {
        let Answer::Standby(standby) = answer else {
            return Err(Error::tampered(TICKET)("it is for a download"));
        };
        let ticket = Signed::<StandbyTicket>::try_from(standby.ticket)
            .and_then(|ticket| ticket.verify(self.session.server.operator()))
            .map_err(Error::tampered(TICKET))?;
        let same = ticket.operator_id == self.session.server.operator_id()
            && ticket.permission_id == permission.permission_id
            && ticket.patient_id == permission.patient_id
            && ticket.institution_id == self.id()
            && ticket.record_id == context.record
            && ticket.version_id == context.version;
        if same {
            Ok(ticket.upload_id)
        } else {
            Err(Error::tampered(TICKET)("it is for something else"))
        }
    }

    /// The receipt must be about what was sent.
    async fn check_receipt(
        &self,
        running: &Upload,
        journal: &Journal,
        message: pb::Receipt,
        resumed_bytes: u64,
    ) -> Result<Sent> {
        let commit = journal
            .commit()?
            .ok_or_else(|| Error::tampered(RECEIPT)("nothing was committed"))?;
        let commit: pb::CommitUpload = protocol_spec::messages::decode(&commit)?;
        let receipt = self
            .session
            .receipt::<UploadReceipt>(Some(message), RECEIPT)
            .await?;
        let Upload {
            permission, context, ..
        } = running;
        let said = &receipt.statement;
        let length = stream_len(padme(running.plaintext_len));
        let same = said.operator_id == self.session.server.operator_id()
            && said.upload_id == running.id
            && said.permission_id == permission.permission_id
            && said.patient_id == permission.patient_id
            && said.institution_id == self.id()
            && (said.record_id, said.version_id) == (context.record, context.version)
            && stores(said, &commit);
        if !same {
            return Err(Error::tampered(RECEIPT)("it is for something else"));
        }
        self.session
            .met_receipt_head((said.patient_id, permission.vault_head), said.vault_head, RECEIPT)?;
        let (record_id, version_id) = (context.record, context.version);
        Ok(Sent {
            record_id,
            version_id,
            receipt,
            bytes: length,
            resumed_bytes,
        })
    }
}

fn plaintext_len(source: &impl Source) -> u64 {
    source
        .parts()
        .iter()
        .map(|part| part.length)
        .fold(0, u64::saturating_add)
}

/// Finds before anything is spent that a permission does not fit.
fn check_budget(permission: &VerifiedPermission, plaintext: u64) -> Result<()> {
    if permission.kind != Kind::Upload {
        return Err(Error::Usage(
            "this permission is for downloads: fetch with it".into(),
        ));
    }
    let needed = stream_len(padme(plaintext));
    if needed > permission.bytes {
        let detail = format!(
            "{} bytes are permitted, the sealed record has {needed}",
            permission.bytes
        );
        return Err(Error::Refused {
            problem: Problem::BytesSpent,
            detail: Some(detail),
            reader: crate::error::Reader::Institution,
        });
    }
    Ok(())
}

/// Whether the receipt is for the very bytes that were committed.
fn stores(receipt: &UploadReceipt, commit: &pb::CommitUpload) -> bool {
    receipt.content_root.as_bytes()[..] == commit.content_root
        && receipt.stream_len == commit.stream_len
        && receipt.sealed_manifest_hash == Sha256Digest::of(&commit.sealed_manifest)
}

const TICKET: &str = "the standby ticket";
const RECEIPT: &str = "the receipt";

#[cfg(test)]
mod tests {
    use protocol_spec::{
        hash::ContentRoot,
        ids::{InstitutionId, OperatorId, PatientId, RecordId, VersionId},
    };

    use super::*;

    /// ATK-37: such a receipt would prove nothing about what was sent.
    #[test]
    fn a_receipt_for_other_bytes_than_those_committed_is_refused() {
        let commit = pb::CommitUpload {
            content_root: Bytes::from_static(&[1; 32]),
            stream_len: 5,
            sealed_manifest: Bytes::from_static(b"manifest"),
            content: Bytes::new(),
        };
        let good = UploadReceipt {
            created: 1,
            operator_id: OperatorId::from_bytes([1; 32]),
            upload_id: UploadId::from_bytes([2; 16]),
            permission_id: PermissionId::from_bytes([3; 16]),
            patient_id: PatientId::from_bytes([4; 32]),
            institution_id: InstitutionId::from_bytes([5; 32]),
            record_id: RecordId::from_bytes([6; 16]),
            version_id: VersionId::from_bytes([7; 16]),
            content_root: ContentRoot::from_bytes([1; 32]),
            stream_len: 5,
            sealed_manifest_hash: Sha256Digest::of(b"manifest"),
            presentation_hash: Sha256Digest::of(b""),
            replaces: None,
            vault_head: None,
        };
        assert!(stores(&good, &commit));
        let wrong: [fn(&mut UploadReceipt); 3] = [
            |receipt| receipt.content_root = ContentRoot::from_bytes([2; 32]),
            |receipt| receipt.stream_len = 6,
            |receipt| receipt.sealed_manifest_hash = Sha256Digest::of(b"another"),
        ];
        for change in wrong {
            let mut receipt = good.clone();
            change(&mut receipt);
            assert!(!stores(&receipt, &commit));
        }
    }
}
