//! A record sealed anew: the patient's device sends its content under another data key, and the new version takes the
//! old one's place, of which then nothing is left. See `spec/revocation.md` §5.

use std::collections::BTreeSet;

use bytes::Bytes;
use protocol_spec::{
    bodies::UploadReceipt,
    defence::Defence,
    hash::Sha256Digest,
    ids::{PatientId, UploadId, VersionId},
    messages as pb,
    problem::Problem,
    statement::Signed,
    submitted::{self, Submitted},
};

use crate::vault::{
    core::{
        idempotency,
        proven::Proven,
        refusal::{Refusal, ensure},
        role::OwnDevice,
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
        units::{millis, random},
    },
    keep::{gone, placement::Place},
    tables::{self, Expiring, PlacementRow, RecordRow, ResealRow, UploadRow},
    telling::{acts, history},
    transfer::{
        commit::{self, Stream},
        session_rows,
        upload::{OpenUpload, Pays},
    },
    who::{
        caller::{Caller, Intent},
        principal::Sender,
    },
};

use pb::history_entry::What;

/// Sessions that a patient's devices may have open.
const MOST: u64 = 16;

/// Puts the new version in the place of the old one, of which nothing can be read any more; the sweeper has the store's
/// files forget it.
pub(crate) async fn commit_reseal(
    shared: &Shared,
    caller: &Caller,
    intent: &Intent,
    upload: UploadId,
    message: pb::CommitReseal,
) -> Result<pb::Receipt, Refusal> {
    let who = Proven::<OwnDevice>::new(shared, caller)?;
    let patient = who.principal();
    let stored = match idempotency::answered_now(shared, caller, intent).await? {
        Some(receipt) => Ok(receipt),
        None => {
            let submitted::CommitReseal {
                upload: stream,
                adoption,
            } = Submitted::read(message)?;
            let sender = Sender::Patient(patient);
            let stream = Stream::new(patient, upload, sender, stream, shared)?;
            let place = Place::of(adoption, &who)?;
            let _claim = commit::store_inline(shared, &stream).await?;
            let commit = CommitReseal { stream, place };
            idempotency::mutate(shared, caller, intent, &commit).await
        }
    };
    let mut receipt: pb::Receipt = stored?;
    let said = Signed::<UploadReceipt>::try_from(receipt.statement.clone()).map_err(Refusal::damaged)?;
    if let Some(replaced) = said
        .claimed()
        .replaces
        .filter(|_| !Defence::ReplacedVersions.is_off())
    {
        // Should this process end before, the sweeper does it.
        shared.blobs.delete(*replaced.as_bytes(), 0..u32::MAX).await?;
    }
    shared.complete(patient, &mut receipt).await?;
    Ok(receipt)
}

/// Opens a session in which a placed record of the caller is sealed anew (REV-9).
pub(crate) struct OpenReseal {
    patient: PatientId,
    replaces: VersionId,
    version: VersionId,
}

impl Submission for OpenReseal {
    type Message = submitted::OpenReseal;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            patient: who.principal(),
            replaces: message.replaces,
            version: message.version_id,
        })
    }
}

impl Operation for OpenReseal {
    type Answer = pb::ResealOpened;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self {
            patient,
            replaces,
            version,
        } = *self;
        let old = placed_version(tx, patient, replaces).await?;
        tx.place(&version, patient).await?;
        let upload = UploadId::mint(tx.now, random()?);
        tx.place(&upload, patient).await?;
        session_rows::open_session(tx, *patient.as_bytes(), MOST).await?;
        let expires = tx.now.saturating_add(millis(tx.shared.limits.upload_ttl));
        let reseal = ResealRow {
            replaces: Bytes::copy_from_slice(replaces.as_bytes()),
            version: Bytes::copy_from_slice(version.as_bytes()),
            expires,
            bytes_left: old.record.stored.unwrap_or_default().stream_len,
        };
        let row = UploadRow {
            reseal: Some(reseal),
            ..UploadRow::default()
        };
        tx.put(&tables::upload(patient, upload), &row);
        tx.expire(expires, Expiring::Upload(patient, upload));
        Ok(pb::ResealOpened {
            upload_id: Bytes::copy_from_slice(upload.as_bytes()),
            expires,
        })
    }
}

/// A version as it lies in the vault.
struct PlacedVersion {
    record: RecordRow,
    placement: PlacementRow,
}

async fn placed_version(
    tx: &mut Tx<'_>,
    patient: PatientId,
    version: VersionId,
) -> Result<PlacedVersion, Refusal> {
    let record = tx.read(&tables::record(patient, version)).await?;
    gone::check_not_gone(tx, patient, version).await?;
    let placement = tx.read(&tables::placement(patient, version)).await?;
    let gone = || Refusal::new(Problem::RecordMismatch, "the version is not placed in the vault");
    Ok(PlacedVersion {
        record: record.ok_or_else(gone)?,
        placement: placement.ok_or_else(gone)?,
    })
}

struct CommitReseal {
    stream: Stream,
    place: Place,
}

impl Operation for CommitReseal {
    type Answer = pb::Receipt;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let patient = self.stream.patient;
        let mut session = self.stream.check(tx).await?;
        let OpenUpload { version, pays, .. } = &session;
        let Pays::Reseal(reseal) = pays else {
            return Err(Refusal::damaged("a reseal without its row"));
        };
        let (version, replaces) = (
            *version,
            reseal.replaces.as_ref().try_into().map_err(Refusal::damaged)?,
        );
        let old = placed_version(tx, patient, replaces).await?;
        let stored = old.record.stored.clone().unwrap_or_default();
        ensure(
            stored.stream_len == self.stream.stream_len,
            Problem::Malformed,
            "the stream has another length than the one before",
        )?;
        let stays =
            self.place.names(version) && self.place.collection() == old.placement.body()?.collection_id;
        ensure(
            stays,
            Problem::RecordMismatch,
            "the placement is not of the new version, or moves it",
        )?;
        let signed = self.receipt(tx, &stored, replaces, version).await?;
        let receipt = pb::Receipt {
            statement: Some(signed.to_message()),
            proof: None,
        };
        tx.log(*patient.as_bytes(), &signed.hash()).await?;
        session.row.receipt = Some(receipt.clone());
        tx.put(&tables::upload(patient, self.stream.upload), &session.row);
        self.stream
            .put_record(tx, signed.claimed(), &receipt, None)
            .await?;
        self.place.check_record(tx).await?;
        self.place.put(tx, Some(old.placement)).await?;
        drop_version(tx, patient, replaces);
        session_rows::close_session(tx, *patient.as_bytes()).await?;
        history::record_history(tx, patient, What::Stored(receipt.clone())).await?;
        Ok(receipt)
    }
}

impl CommitReseal {
    /// As the first one was, for the new version.
    async fn receipt(
        &self,
        tx: &mut Tx<'_>,
        old: &pb::StoredRecord,
        replaces: VersionId,
        version_id: VersionId,
    ) -> Result<Signed<UploadReceipt>, Refusal> {
        let before = old.receipt.as_ref().and_then(|receipt| receipt.statement.clone());
        let before = Signed::<UploadReceipt>::try_from(before).map_err(Refusal::damaged)?;
        let receipt = UploadReceipt {
            created: tx.now,
            upload_id: self.stream.upload,
            version_id,
            content_root: self.stream.content_root,
            sealed_manifest_hash: Sha256Digest::of(&self.stream.sealed_manifest),
            replaces: Some(replaces),
            vault_head: acts::newest_head(tx, self.stream.patient).await?,
            ..before.claimed().clone()
        };
        Ok(Signed::sign(receipt, |message| tx.shared.operator.sign(message)))
    }
}

/// Forgets a version whose place another has taken; what its rows pointed at is due to be destroyed.
fn drop_version(tx: &mut Tx<'_>, patient: PatientId, version: VersionId) {
    if Defence::ReplacedVersions.is_off() {
        return;
    }
    tx.delete(&tables::record(patient, version));
    tx.delete(&tables::placement(patient, version));
    tx.delete(&tables::manifest(patient, version));
    expire_version(tx, patient, version);
}

/// What was stored of a version is due to be destroyed.
pub(in crate::vault) fn expire_version(tx: &mut Tx<'_>, patient: PatientId, version: VersionId) {
    tx.expire(AT_ONCE, Expiring::Version(patient, version));
}

/// When what was stored of a version is due that is not in the vault any more.
const AT_ONCE: u64 = 0;

/// Has the store forget versions that are not in the vault any more, whose leaves are deleted, and the rows that were deleted with them, so that no
/// file holds them. However many of one patient's there are: it rewrites all her rows.
pub(in crate::vault) async fn shred_versions(
    shared: &Shared,
    replaced: &[(PatientId, VersionId)],
) -> Result<(), Refusal> {
    if replaced.is_empty() {
        return Ok(());
    }
    let versions = replaced.iter().map(|(_, version)| *version.as_bytes());
    shared.blobs.purge_leaves(versions.collect()).await?;
    let patients: BTreeSet<_> = replaced.iter().map(|(patient, _)| *patient.as_bytes()).collect();
    for patient in patients {
        shared.ledger.purge(&patient).await?;
    }
    Ok(())
}
