//! The end of a record: her own device deletes it, or whoever stored it takes it back ([`crate::vault::transfer::take_back`]). From the
//! acknowledgement on nothing of it is handed out, and the store's files forget it. See `spec/deletion.md`.

use bytes::Bytes;
use protocol_spec::{
    bodies::{RecordDeletion, UploadReceipt},
    defence::Defence,
    ids::{PatientId, RecordId, VersionId},
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    problem::Problem,
    statement::Signed,
    submitted,
    vault_head::Act,
};

use crate::vault::{
    core::{
        account,
        proven::{Admitted, Proven},
        refusal::Refusal,
        role::OwnDevice,
        shared::Shared,
        submission::{Submission, Turn},
        tx::{Operation, Tx},
    },
    keep::{placement, reseal},
    tables::{self, CountRow, Counted, GoneRow, GoneVersionRow, RecordRow},
    telling::tell::{self, Tells},
    who::caller::Caller,
};

use pb::{event, history_entry};

/// The deletions of the caller's records, by record id, after this one. Uploads that were taken back are not among them.
pub(crate) async fn deletions(
    shared: &Shared,
    caller: &Caller,
    after: Option<RecordId>,
    limit: usize,
) -> Result<pb::DeletionPage, Refusal> {
    let patient = caller.patient()?;
    let first = tables::all_gone(patient).behind(after);
    let limit = if limit == 0 { OF_PAGE } else { limit.min(OF_PAGE) };
    let (rows, more) = shared.short_page(first, limit).await?;
    let mut page = pb::DeletionPage::default();
    for row in rows {
        if more {
            page.next = row.record;
        }
        if let Some(mut deletion) = row.deletion {
            shared.complete_logged(patient, &mut deletion).await?;
            page.deletions.push(deletion);
        }
    }
    Ok(page)
}

/// The patient deletes a record (DEL-1). Deleting it again gives the first deletion.
pub(crate) struct DeleteRecord {
    deletion: Admitted<PatientVerified<RecordDeletion>>,
}

impl Submission for DeleteRecord {
    type Message = submitted::DeleteRecord;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            deletion: who.statement(message.deletion)?,
        })
    }

    async fn carry_out(&self, turn: Turn<'_>) -> Result<Self::Answer, Refusal> {
        let mut logged = turn.commit(self).await?;
        let first = PatientSigned::<RecordDeletion>::try_from(logged.statement.clone());
        let first = first.map_err(Refusal::damaged)?;
        drop_leaves(turn.shared, first.claimed().version_id).await;
        turn.shared
            .complete_logged(self.deletion.patient_id, &mut logged)
            .await?;
        Ok(logged)
    }
}

impl Operation for DeleteRecord {
    type Answer = pb::LoggedStatement;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self { deletion } = self;
        tx.protects = true;
        let (patient, record) = (deletion.patient_id, deletion.record_id);
        if let Some(gone) = tx.read(&tables::gone(patient, record)).await? {
            return gone.deletion.ok_or_else(|| Problem::RecordDeleted.into());
        }
        let row = tx.read(&tables::record(patient, deletion.version_id)).await?;
        let same = |row: &RecordRow| {
            let stored = row.stored.as_ref();
            stored.is_some_and(|stored| stored.record_id == record.as_bytes()[..])
        };
        let row = row.filter(same).ok_or_else(|| {
            Refusal::new(
                Problem::RecordMismatch,
                "no such version of the record is in the vault",
            )
        })?;
        let logged = pb::LoggedStatement {
            statement: Some(deletion.to_message()),
            proof: None,
        };
        let gone = GoneRow {
            deletion: Some(logged.clone()),
            ..GoneRow::default()
        };
        drop_record(tx, patient, row, gone).await?;
        let told = event::What::RecordDeleted(deletion.to_message());
        let tells = Tells::logged(patient, deletion)
            .act(Act::Deletion(record, deletion.hash()))
            .history(history_entry::What::RecordDeleted(logged.clone()))
            .inbox(*patient.as_bytes(), told);
        tell::tell(tx, tells).await?;
        Ok(logged)
    }
}

/// Takes a record that was read here out of the vault, with its placement, its wraps and its manifest; what its rows pointed
/// at is due to be destroyed (DEL-2). What they took is given back to whom it was charged.
pub(in crate::vault) async fn drop_record(
    tx: &mut Tx<'_>,
    patient: PatientId,
    row: RecordRow,
    gone: GoneRow,
) -> Result<(), Refusal> {
    if Defence::DeletedRecords.is_off() {
        return Ok(());
    }
    let stored = row.stored.unwrap_or_default();
    let said = stored.receipt.and_then(|receipt| receipt.statement);
    let receipt = Signed::<UploadReceipt>::try_from(said).map_err(Refusal::damaged)?;
    let said = receipt.claimed();
    let (record, version) = (said.record_id, said.version_id);
    let maker = *said.institution_id.as_bytes();
    let payer = said.replaces.map_or(maker, |_| *patient.as_bytes());
    let lay = end_placed(tx, patient, version, maker).await?;
    tx.delete_paid(&tables::record(patient, version), payer).await?;
    tx.delete(&tables::manifest(patient, version));
    delete_upload_key(tx, patient, said).await?;
    account::lost_manifest(tx, patient, row.manifest_length).await?;
    let bytes = |id: &[u8]| Bytes::copy_from_slice(id);
    let gone = GoneRow {
        record: bytes(record.as_bytes()),
        institution: bytes(&maker),
        receipt_hash: bytes(receipt.hash().as_bytes()),
        ..gone
    };
    tx.put(&tables::gone(patient, record), &gone);
    tx.put(&tables::gone_version(patient, version), &lay);
    reseal::expire_version(tx, patient, version);
    Ok(())
}

/// Where it lay nothing lies any more; it says where that was.
async fn end_placed(
    tx: &mut Tx<'_>,
    patient: PatientId,
    version: VersionId,
    maker: [u8; 32],
) -> Result<GoneVersionRow, Refusal> {
    let key = tables::placement(patient, version);
    let Some(placed) = tx.read(&key).await? else {
        tx.delete_paid(&tables::arrival(patient, version), maker).await?;
        return Ok(GoneVersionRow::default());
    };
    let body = placed.body()?;
    // Who wraps what lies there anew goes by this row (`PutWraps`): it must see that something has gone.
    let moves = tables::count(*patient.as_bytes(), Counted::Placements);
    let last = tx.read(&moves).await?.unwrap_or_default();
    tx.put(&moves, &last);
    placement::end_placement(tx, patient, &placed).await?;
    tx.delete(&key);
    let count = tables::count(*patient.as_bytes(), Counted::Placed);
    let value = tx.read(&count).await?.unwrap_or_default().value;
    let value = value.saturating_sub(1);
    tx.put(&count, &CountRow { value });
    Ok(GoneVersionRow {
        collection: Bytes::copy_from_slice(body.collection_id.as_bytes()),
        number: placed.number,
    })
}

/// The wrap of the upload key, where it opens nothing but this record.
async fn delete_upload_key(tx: &mut Tx<'_>, patient: PatientId, said: &UploadReceipt) -> Result<(), Refusal> {
    let key = tables::permission(patient, said.permission_id);
    let Some(mut permission) = tx.read(&key).await? else {
        return Ok(());
    };
    if permission.body()?.uses == 1 {
        permission.upload_key_wrap = Bytes::new();
        tx.put(&key, &permission);
    }
    Ok(())
}

/// Deletes the leaves of a version that is gone. What fails here, or never comes to it, the sweeper does.
pub(in crate::vault) async fn drop_leaves(shared: &Shared, version: VersionId) {
    if Defence::DeletedRecords.is_off() {
        return;
    }
    if let Err(error) = shared.blobs.delete(*version.as_bytes(), 0..u32::MAX).await {
        tracing::warn!(%error, "leaves of a deleted record are left to the sweeper");
    }
}

/// A deletion is a statement with its chain.
const OF_PAGE: usize = 64;
