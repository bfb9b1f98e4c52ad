//! The end of an upload: its leaves are sealed and sent, then its manifest, and the receipt is held against both.

use bytes::Bytes;
use crypto::{
    DataKey,
    content::{RecordContext, Sealer, seal_manifest},
};
use prost::Message;
use protocol_spec::{
    api,
    bodies::{RecordManifest, UploadReceipt},
    content::{leaf_count, padme, stream_len},
    field::ReadsAs,
    hash::Sha256Digest,
    ids::{RecordId, UploadId, VersionId},
    log::{Receipt, ReceiptClaim},
    messages::{LeafRange, decode},
    permission::VerifiedPermission,
    provenance::SealedManifest,
    submitted::{CommitUpload, Submitted},
};

use super::{office::Office, taking_back};
use crate::{
    Error, Progress, Result,
    transfer::{Journal, KeptCommit, SealedStream, Source, upload},
};

/// What an upload led to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Sent {
    /// The record that came to be.
    pub record_id: RecordId,
    /// The version under which it was sealed.
    pub version_id: VersionId,
    /// The server's word that it is stored, with its place in the log; verified.
    #[serde(serialize_with = "crate::text::upload_receipt")]
    pub receipt: Receipt<UploadReceipt>,
    /// Bytes of the sealed stream.
    pub bytes: u64,
    /// Those that an earlier run had sent already.
    pub resumed_bytes: u64,
    /// An earlier run has stored it; this one has found it, and sent nothing.
    pub already: bool,
}

/// What a running upload knows.
pub(super) struct Upload {
    pub(super) permission: VerifiedPermission,
    pub(super) context: RecordContext,
    pub(super) key: DataKey,
    pub(super) id: UploadId,
    pub(super) plaintext_len: u64,
}

/// Seals and sends the leaves, then the manifest.
pub(super) async fn send_and_commit(
    office: &Office,
    running: &Upload,
    present: &[LeafRange],
    source: impl Source,
    journal: &mut Journal,
    progress: &dyn Progress,
) -> Result<(Receipt<UploadReceipt>, u64)> {
    let Upload {
        key,
        context,
        id,
        plaintext_len,
        ..
    } = running;
    // A stream of one leaf stands in no list of leaves: it is sealed again only if the source cannot have changed (CNT-14).
    let long = leaf_count(stream_len(padme(*plaintext_len))) > 1;
    let again = long || journal.looks_same(source.parts());
    let sealer = match journal.header().filter(|_| again) {
        Some(header) => Sealer::resume(key, context, *plaintext_len, &header, 0)?,
        None => Sealer::new(office.session.system(), key, context, *plaintext_len)?,
    };
    journal.begin(id, sealer.header())?;
    let length = sealer.stream_len();
    let outcome = upload(
        &office.session.server,
        id,
        present,
        (source, sealer, Some(journal.leaf_log()?)),
        progress,
    )
    .await?;
    let sealed_manifest = sealed_manifest(office, running, &outcome.sealed)?;
    let commit = CommitUpload {
        content_root: outcome.sealed.root,
        stream_len: length,
        sealed_manifest: sealed_manifest.into(),
        content: outcome.sealed.single.unwrap_or_default(),
    };
    let kept = KeptCommit {
        contents: outcome.sealed.parts.iter().map(|part| part.sha256).collect(),
        message: Bytes::from(commit.write().encode_to_vec()),
    };
    journal.keep_commit(&kept)?;
    Ok((
        post_commit(office, running, journal, &kept.message).await?,
        outcome.resumed_bytes,
    ))
}

/// Signs what the record contains, and seals it with the record's key.
fn sealed_manifest(office: &Office, running: &Upload, sealed: &SealedStream) -> Result<Vec<u8>> {
    let Upload { context, key, .. } = running;
    let manifest = RecordManifest {
        created: office.session.system().now_ms(),
        patient_id: context.patient,
        record_id: context.record,
        version_id: context.version,
        institution_id: office.id(),
        permission_id: running.permission.permission_id,
        content_root: sealed.root,
        plaintext_len: running.plaintext_len,
        parts: sealed.parts.clone(),
    };
    manifest.check_parts()?;
    let manifest = SealedManifest::new(office.keys.statement(manifest)?);
    Ok(seal_manifest(
        office.session.system(),
        key,
        context,
        &manifest.encode(),
    )?)
}

/// The commit point: once the server has answered, the record is stored.
pub(super) async fn post_commit(
    office: &Office,
    running: &Upload,
    journal: &Journal,
    commit: &Bytes,
) -> Result<Receipt<UploadReceipt>> {
    let message = CommitUpload::read(decode(commit)?)?;
    let path = api::COMMIT_UPLOAD.at([&running.id]);
    let key = format!("{}-commit", journal.idempotency_key());
    receipt_of(office, office.post_once(path, &message, &key).await?).await
}

/// A receipt for an upload, verified.
pub(super) async fn receipt_of(
    office: &Office,
    receipt: impl ReadsAs<ReceiptClaim<UploadReceipt>>,
) -> Result<Receipt<UploadReceipt>> {
    office.session.log.receipt(receipt, RECEIPT).await
}

/// The receipt must be about what was sent.
pub(super) fn check_receipt(
    office: &Office,
    running: &Upload,
    journal: &Journal,
    receipt: Receipt<UploadReceipt>,
    (resumed_bytes, already): (u64, bool),
) -> Result<Sent> {
    let commit = journal
        .commit()?
        .ok_or_else(|| Error::tampered(RECEIPT)("nothing was committed"))?;
    let commit = CommitUpload::read(decode(&commit.message)?)?;
    let Upload {
        permission, context, ..
    } = running;
    let said = &receipt.statement;
    let length = stream_len(padme(running.plaintext_len));
    let same = said.operator_id == office.session.server.operator_id()
        && said.upload_id == running.id
        && said.permission_id == permission.permission_id
        && said.patient_id == permission.patient_id
        && said.institution_id == office.id()
        && (said.record_id, said.version_id) == (context.record, context.version)
        && stores(said, &commit);
    if !same {
        return Err(Error::tampered(RECEIPT)("it is for something else"));
    }
    office
        .session
        .met
        .receipt_head((said.patient_id, permission.vault_head), said.vault_head, RECEIPT)?;
    taking_back::keep_sent(office, &receipt.statement)?;
    let (record_id, version_id) = (context.record, context.version);
    Ok(Sent {
        record_id,
        version_id,
        receipt,
        bytes: length,
        resumed_bytes,
        already,
    })
}

/// Whether the receipt is for the very bytes that were committed.
fn stores(receipt: &UploadReceipt, commit: &CommitUpload) -> bool {
    receipt.content_root == commit.content_root
        && receipt.stream_len == commit.stream_len
        && receipt.sealed_manifest_hash == Sha256Digest::of(&commit.sealed_manifest)
}

const RECEIPT: &str = "the receipt";

#[cfg(test)]
mod tests {
    use protocol_spec::{
        hash::ContentRoot,
        ids::{InstitutionId, OperatorId, PatientId, PermissionId},
    };

    use super::*;

    /// ATK-37: such a receipt would prove nothing about what was sent.
    #[test]
    fn a_receipt_for_other_bytes_than_those_committed_is_refused() {
        let commit = CommitUpload {
            content_root: ContentRoot::from_bytes([1; 32]),
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
