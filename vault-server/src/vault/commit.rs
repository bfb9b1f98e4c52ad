//! The end of an upload: leaves or an inline stream become a record, in one commit that also signs the
//! receipt. The server recomputes the content root itself.

use bytes::Bytes;
use protocol_spec::{
    bodies::{StandbyTicket, UploadReceipt},
    content::{self, LEAF_LEN},
    defence::Defence,
    hash::{ContentRoot, Sha256Digest},
    ids::{PatientId, UploadId},
    messages as pb,
    problem::Problem,
    statement::Signed,
};

use super::{
    Caller, Intent, Refusal, Shared, Vault,
    intake::RangeClaim,
    refusal::ensure,
    standing::Holder,
    tables::{self, ManifestRow, RecordRow, VersionRow},
    tx::{Operation, Tx},
    upload::{InspectUpload, OpenUpload},
};
use crate::store::{LeafKey, SMALL_LEAF_BYTES};

use pb::{event, history_entry};

impl Vault {
    /// Makes a record of an upload whose leaves are all there, or whose stream is in the message.
    ///
    /// # Errors
    /// `not-permitted`, `upload-closed`, `permission-revoked`, `malformed`, `too-large`,
    /// `leaves-missing`, `digest-mismatch`, `bytes-spent`.
    pub async fn commit_upload(
        &self,
        caller: &Caller,
        intent: &Intent,
        upload: UploadId,
        message: pb::CommitUpload,
    ) -> Result<pb::Receipt, Refusal> {
        let holder = caller.holder()?;
        let patient = self.shared.upload_vault(upload).await?;
        let stored = match self.shared.answered(caller, intent).await? {
            Some(receipt) => Ok(receipt),
            None => {
                let commit = CommitUpload::new(patient, upload, holder, message, &self.shared)?;
                let _claim = self.shared.store_inline(&commit).await?;
                self.shared.mutate(caller, intent, commit).await
            }
        };
        let mut receipt = stored?;
        self.shared.complete(patient, &mut receipt).await?;
        Ok(receipt)
    }
}

impl Shared {
    /// Stores a stream that came with its commit, after the session has been looked at; nothing refers
    /// to it until the commit. The claim keeps the sweeper off until then.
    async fn store_inline(&self, commit: &CommitUpload) -> Result<Option<RangeClaim>, Refusal> {
        let Some(content) = commit.content.clone() else {
            return Ok(None);
        };
        let claim = self.in_flight.claim(commit.upload, 0..1)?;
        let inspect = InspectUpload {
            patient: commit.patient,
            upload: commit.upload,
            holder: commit.holder,
        };
        let session = self.run(&inspect).await?;
        ensure(
            commit.stream_len <= session.meter.bytes_left,
            Problem::BytesSpent,
            "no bytes left for the stream",
        )?;
        ensure(
            session.row.leaves == 0,
            Problem::LeafConflict,
            "the stream came as leaves and inline",
        )?;
        let version = *session.ticket.version_id.as_bytes();
        if content.len() <= SMALL_LEAF_BYTES {
            self.blobs
                .put_small(LeafKey { version, leaf: 0 }, content)
                .await?;
        } else {
            let mut writer = self.leaf_writer(version, 0).await?;
            writer.put(content).await?;
            writer.persist().await?;
        }
        Ok(Some(claim))
    }
}

struct CommitUpload {
    patient: PatientId,
    upload: UploadId,
    holder: Holder,
    content_root: ContentRoot,
    stream_len: u64,
    sealed_manifest: Bytes,
    /// The whole stream, if it fits one leaf.
    content: Option<Bytes>,
}

impl CommitUpload {
    fn new(
        patient: PatientId,
        upload: UploadId,
        holder: Holder,
        message: pb::CommitUpload,
        shared: &Shared,
    ) -> Result<Self, Refusal> {
        let pb::CommitUpload {
            content_root,
            stream_len,
            sealed_manifest,
            content,
        } = message;
        content::plaintext_len(stream_len)?;
        let content_root = content_root.as_ref().try_into()?;
        let most = shared.limits.sealed_manifest_bytes;
        ensure(
            !sealed_manifest.is_empty(),
            Problem::Malformed,
            "sealed_manifest is empty",
        )?;
        ensure(
            sealed_manifest.len() <= most,
            Problem::TooLarge,
            "sealed_manifest is too long",
        )?;
        let inline = stream_len <= LEAF_LEN;
        let length = if inline { stream_len } else { 0 };
        ensure(
            content.len() as u64 == length,
            Problem::Malformed,
            "content is not the stream of one leaf",
        )?;
        if inline {
            let same = content::single_leaf_root(&content) == content_root;
            ensure(same, Problem::DigestMismatch, "content has another root")?;
        }
        Ok(Self {
            patient,
            upload,
            holder,
            content_root,
            stream_len,
            sealed_manifest,
            content: inline.then_some(content),
        })
    }

    fn receipt(&self, tx: &Tx<'_>, session: &OpenUpload) -> Result<Signed<UploadReceipt>, Refusal> {
        let StandbyTicket {
            permission_id,
            record_id,
            version_id,
            ..
        } = session.ticket;
        let presentation_hash = session.row.presentation_hash.as_ref().try_into();
        let receipt = UploadReceipt {
            created: tx.now,
            operator_id: tx.shared.operator.id(),
            upload_id: self.upload,
            permission_id,
            patient_id: self.patient,
            institution_id: self.holder.institution,
            record_id,
            version_id,
            content_root: self.content_root,
            stream_len: self.stream_len,
            sealed_manifest_hash: Sha256Digest::of(&self.sealed_manifest),
            presentation_hash: presentation_hash.map_err(Refusal::damaged)?,
        };
        Ok(Signed::sign(receipt, |message| tx.shared.operator.sign(message)))
    }

    /// The stream is there as announced, and paid for (FLW-8).
    async fn check_stream(&self, tx: &mut Tx<'_>, session: &mut OpenUpload) -> Result<(), Refusal> {
        if self.content.is_some() {
            let alone = session.row.leaves == 0;
            ensure(
                alone,
                Problem::LeafConflict,
                "the stream came as leaves and inline",
            )?;
            return tx.spend_upload(session, self.stream_len);
        }
        let all = session.row.leaves == content::leaf_count(self.stream_len);
        ensure(all, Problem::LeavesMissing, "not all leaves are registered")?;
        let root = tx
            .shared
            .leaves_root(self.patient, self.upload, self.stream_len)
            .await?;
        ensure(
            Defence::LeafHashes.holds(root == self.content_root),
            Problem::DigestMismatch,
            "the leaves have another root",
        )
    }
}

impl Operation for CommitUpload {
    type Answer = pb::Receipt;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Receipt, Refusal> {
        let mut session = tx.open_upload(self.patient, self.upload, self.holder).await?;
        self.check_stream(tx, &mut session).await?;
        let signed = self.receipt(tx, &session)?;
        let receipt = pb::Receipt {
            statement: Some(signed.to_message()),
            proof: None,
        };
        tx.log(*self.patient.as_bytes(), &signed.hash()).await?;
        let OpenUpload { mut row, ticket, .. } = session;
        row.receipt = Some(receipt.clone());
        tx.put(&tables::upload(self.patient, self.upload), &row);
        let permission = tables::permission(self.patient, ticket.permission_id);
        let permission = tx.read_existing(&permission).await?;
        let record = RecordRow {
            stored: Some(pb::StoredRecord {
                record_id: Bytes::copy_from_slice(ticket.record_id.as_bytes()),
                version_id: Bytes::copy_from_slice(ticket.version_id.as_bytes()),
                content_root: Bytes::copy_from_slice(self.content_root.as_bytes()),
                stream_len: self.stream_len,
                sealed_manifest: Bytes::new(),
                receipt: Some(receipt.clone()),
            }),
            manifest_length: self.sealed_manifest.len() as u64,
            upload_key_wrap: permission.upload_key_wrap,
            upload_key_epoch: permission.upload_key_epoch,
        };
        tx.claim(&tables::record(self.patient, ticket.version_id), &record)
            .await?;
        let arrived = VersionRow::from(ticket.version_id);
        tx.put(&tables::arrival(self.patient, ticket.version_id), &arrived);
        let manifest = ManifestRow {
            sealed: self.sealed_manifest.clone(),
        };
        tx.put(&tables::manifest(self.patient, ticket.version_id), &manifest);
        tx.close_session(self.holder.institution).await?;
        tx.record_history(self.patient, history_entry::What::Stored(receipt.clone()))
            .await?;
        tx.notify(*self.patient.as_bytes(), event::What::Stored(receipt.clone()))
            .await?;
        Ok(receipt)
    }
}
