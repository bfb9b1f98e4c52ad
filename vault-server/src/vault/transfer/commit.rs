//! The end of an upload: leaves or an inline stream become a record, in one commit that also signs the
//! receipt. The server recomputes the content root itself.

use bytes::Bytes;
use protocol_spec::{
    bodies::{StandbyTicket, UploadReceipt},
    content,
    defence::Defence,
    hash::{ContentRoot, Sha256Digest},
    ids::{InstitutionId, PatientId, UploadId},
    messages as pb,
    problem::Problem,
    statement::Signed,
    submitted::{self, Submitted},
};

use crate::{
    store::{LeafKey, SMALL_LEAF_BYTES},
    vault::{
        core::{
            account, idempotency,
            refusal::{Refusal, ensure},
            run,
            shared::Shared,
            tx::{Operation, Tx},
        },
        tables::{self, CommittedRow, ManifestRow, PermissionRow, RecordRow, VersionRow},
        telling::{acts, history, inbox},
        transfer::{
            in_flight::RangeClaim,
            intake, session_rows,
            upload::{self, InspectUpload, OpenUpload, Pays},
        },
        who::{
            caller::{Caller, Intent},
            principal::Sender,
        },
    },
};

use pb::{event, history_entry};

/// Makes a record of an upload whose leaves are all there, or whose stream is in the message.
pub(crate) async fn commit_upload(
    shared: &Shared,
    caller: &Caller,
    intent: &Intent,
    upload: UploadId,
    message: pb::CommitUpload,
) -> Result<pb::Receipt, Refusal> {
    let holder = caller.holder()?;
    let patient = upload::upload_vault(shared, upload).await?;
    let sender = Sender::Institution(holder);
    let stored = match idempotency::answered_now(shared, caller, intent).await? {
        Some(receipt) => Ok(receipt),
        None => {
            let message = Submitted::read(message)?;
            let stream = Stream::new(patient, upload, sender, message, shared)?;
            let _claim = store_inline(shared, &stream).await?;
            let institution = holder.institution;
            let commit = CommitUpload { institution, stream };
            idempotency::mutate(shared, caller, intent, &commit).await
        }
    };
    let mut receipt = stored?;
    shared.complete(patient, &mut receipt).await?;
    Ok(receipt)
}

/// Stores a stream that came with its commit, after the session has been looked at; nothing refers
/// to it until the commit. The claim keeps the sweeper off until then.
pub(in crate::vault) async fn store_inline(
    shared: &Shared,
    stream: &Stream,
) -> Result<Option<RangeClaim>, Refusal> {
    let Some(content) = stream.content.clone() else {
        return Ok(None);
    };
    let claim = shared.in_flight.claim(stream.upload, 0..1)?;
    let inspect = InspectUpload {
        patient: stream.patient,
        upload: stream.upload,
        sender: stream.sender,
    };
    let session = run::run(shared, &inspect).await?;
    ensure(
        stream.stream_len <= session.bytes_left(),
        Problem::BytesSpent,
        "no bytes left for the stream",
    )?;
    ensure(
        session.row.leaves == 0,
        Problem::LeafConflict,
        "the stream came as leaves and inline",
    )?;
    let version = *session.version.as_bytes();
    if content.len() <= SMALL_LEAF_BYTES {
        shared
            .blobs
            .put_small(LeafKey { version, leaf: 0 }, content)
            .await?;
    } else {
        let mut writer = intake::leaf_writer(shared, version, 0).await?;
        writer.put(content).await?;
        writer.persist().await?;
    }
    Ok(Some(claim))
}

/// A stream that is complete, by what its sender says, and the manifest that goes with it.
pub(in crate::vault) struct Stream {
    pub(in crate::vault) patient: PatientId,
    pub(in crate::vault) upload: UploadId,
    sender: Sender,
    pub(in crate::vault) content_root: ContentRoot,
    pub(in crate::vault) stream_len: u64,
    pub(in crate::vault) sealed_manifest: Bytes,
    /// The whole stream, if it fits one leaf.
    content: Option<Bytes>,
}

impl Stream {
    pub(in crate::vault) fn new(
        patient: PatientId,
        upload: UploadId,
        sender: Sender,
        message: submitted::CommitUpload,
        shared: &Shared,
    ) -> Result<Self, Refusal> {
        ensure(
            message.sealed_manifest.len() <= shared.limits.sealed_manifest_bytes,
            Problem::TooLarge,
            "sealed_manifest is too long",
        )?;
        let content = message.inline().cloned();
        let submitted::CommitUpload {
            content_root,
            stream_len,
            sealed_manifest,
            ..
        } = message;
        if let Some(content) = &content {
            let same = content::single_leaf_root(content) == content_root;
            ensure(same, Problem::DigestMismatch, "content has another root")?;
        }
        Ok(Self {
            patient,
            upload,
            sender,
            content_root,
            stream_len,
            sealed_manifest,
            content,
        })
    }

    /// The session, if the stream is there as announced, and paid for (FLW-8).
    pub(in crate::vault) async fn check(&self, tx: &mut Tx<'_>) -> Result<OpenUpload, Refusal> {
        let mut session = upload::open_upload(tx, self.patient, self.upload, self.sender).await?;
        if self.content.is_some() {
            let alone = session.row.leaves == 0;
            ensure(
                alone,
                Problem::LeafConflict,
                "the stream came as leaves and inline",
            )?;
            upload::spend_upload(tx, &mut session, self.stream_len)?;
            return Ok(session);
        }
        let all = session.row.leaves == content::leaf_count(self.stream_len);
        ensure(all, Problem::LeavesMissing, "not all leaves are registered")?;
        let root = upload::leaves_root(tx.shared, self.patient, self.upload, self.stream_len).await?;
        ensure(
            Defence::LeafHashes.holds(root == self.content_root),
            Problem::DigestMismatch,
            "the leaves have another root",
        )?;
        Ok(session)
    }

    /// Makes a record of it. What arrives under a permission comes with the upload key's wrap.
    pub(in crate::vault) async fn put_record(
        &self,
        tx: &mut Tx<'_>,
        said: &UploadReceipt,
        receipt: &pb::Receipt,
        upload_key: Option<PermissionRow>,
    ) -> Result<(), Refusal> {
        let upload_key = upload_key.unwrap_or_default();
        let record = RecordRow {
            stored: Some(pb::StoredRecord {
                record_id: Bytes::copy_from_slice(said.record_id.as_bytes()),
                version_id: Bytes::copy_from_slice(said.version_id.as_bytes()),
                content_root: Bytes::copy_from_slice(self.content_root.as_bytes()),
                stream_len: self.stream_len,
                sealed_manifest: Bytes::new(),
                receipt: Some(receipt.clone()),
            }),
            manifest_length: self.sealed_manifest.len() as u64,
            upload_key_wrap: upload_key.upload_key_wrap,
            upload_key_epoch: upload_key.upload_key_epoch,
            opened: false,
        };
        tx.claim(&tables::record(self.patient, said.version_id), &record)
            .await?;
        let manifest = ManifestRow {
            sealed: self.sealed_manifest.clone(),
        };
        tx.put(&tables::manifest(self.patient, said.version_id), &manifest);
        Ok(())
    }
}

struct CommitUpload {
    institution: InstitutionId,
    stream: Stream,
}

impl CommitUpload {
    async fn receipt(
        &self,
        tx: &mut Tx<'_>,
        session: &OpenUpload,
        ticket: &StandbyTicket,
    ) -> Result<Signed<UploadReceipt>, Refusal> {
        let presentation_hash = session.row.presentation_hash.as_ref().try_into();
        let receipt = UploadReceipt {
            created: tx.now,
            operator_id: tx.shared.operator.id(),
            upload_id: self.stream.upload,
            permission_id: ticket.permission_id,
            patient_id: self.stream.patient,
            institution_id: self.institution,
            record_id: ticket.record_id,
            version_id: ticket.version_id,
            content_root: self.stream.content_root,
            stream_len: self.stream.stream_len,
            sealed_manifest_hash: Sha256Digest::of(&self.stream.sealed_manifest),
            presentation_hash: presentation_hash.map_err(Refusal::damaged)?,
            replaces: None,
            vault_head: acts::newest_head(tx, self.stream.patient).await?,
        };
        Ok(Signed::sign(receipt, |message| tx.shared.operator.sign(message)))
    }
}

impl Operation for CommitUpload {
    type Answer = pb::Receipt;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let patient = self.stream.patient;
        let mut session = self.stream.check(tx).await?;
        let held = session.row.bytes;
        let Pays::Permission(permitted) = &mut session.pays else {
            return Err(Refusal::damaged("an upload without its ticket"));
        };
        let (ticket, meter) = &mut **permitted;
        // The record is there: what the session held is spent (FLW-16).
        meter.bring(held);
        tx.put(&tables::meter(patient, ticket.permission_id), meter);
        session_rows::ended(tx, patient, ticket.permission_id, self.stream.upload.as_bytes());
        account::has_used(tx, *self.institution.as_bytes()).await?;
        let ticket = ticket.clone();
        let ticket = &ticket;
        let signed = self.receipt(tx, &session, ticket).await?;
        let receipt = pb::Receipt {
            statement: Some(signed.to_message()),
            proof: None,
        };
        let permission = tables::permission(patient, ticket.permission_id);
        tx.log(*patient.as_bytes(), &signed.hash()).await?;
        let permission = tx.read_existing(&permission).await?;
        session.row.receipt = Some(receipt.clone());
        tx.put(&tables::upload(patient, self.stream.upload), &session.row);
        let said = signed.claimed();
        let bytes = |id: &[u8]| Bytes::copy_from_slice(id);
        let committed = CommittedRow {
            permission: bytes(said.permission_id.as_bytes()),
            upload: bytes(said.upload_id.as_bytes()),
            institution: bytes(said.institution_id.as_bytes()),
            receipt: Some(receipt.clone()),
        };
        tx.put(
            &tables::committed(patient, said.permission_id, said.upload_id),
            &committed,
        );
        self.stream
            .put_record(tx, said, &receipt, Some(permission))
            .await?;
        let arrived = VersionRow::from(said.version_id);
        tx.put(&tables::arrival(patient, said.version_id), &arrived);
        session_rows::close_session(tx, *self.institution.as_bytes()).await?;
        let manifest = u64::try_from(self.stream.sealed_manifest.len()).unwrap_or(u64::MAX);
        account::holds_record(tx, patient, manifest).await?;
        history::record_history(tx, patient, history_entry::What::Stored(receipt.clone())).await?;
        inbox::notify(tx, *patient.as_bytes(), event::What::Stored(receipt.clone())).await?;
        Ok(receipt)
    }
}
