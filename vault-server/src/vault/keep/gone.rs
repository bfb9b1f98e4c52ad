//! Records that were deleted or taken back: nothing of them is stored, placed or released again (DEL-4).

use protocol_spec::{
    ids::{PatientId, RecordId, VersionId},
    messages as pb,
    permission::PermissionBody,
    problem::Problem,
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        shared::Shared,
        tx::Tx,
    },
    tables,
};

/// Refuses what is asked of a version that is gone (DEL-2).
pub(in crate::vault) async fn check_not_gone(
    tx: &mut Tx<'_>,
    patient: PatientId,
    version: VersionId,
) -> Result<(), Refusal> {
    let gone = tx.read(&tables::gone_version(patient, version)).await?;
    ensure(gone.is_none(), Problem::RecordDeleted, GONE)
}

/// As [`Self::check_not_gone`], to whoever has a permission over a collection: of what lay elsewhere nothing is said.
pub(in crate::vault) async fn check_not_gone_from(
    tx: &mut Tx<'_>,
    permission: &PermissionBody,
    version: VersionId,
) -> Result<(), Refusal> {
    let key = tables::gone_version(permission.patient_id, version);
    let Some(gone) = tx.read(&key).await? else {
        return Ok(());
    };
    let lay = gone.collection.as_ref().try_into().map_err(Refusal::damaged);
    let covered = match (&permission.collection, gone.number) {
        (Some(_), 0) | (None, _) => false,
        (Some(selector), number) => selector.covers(lay?, number),
    };
    ensure(!covered, Problem::RecordDeleted, GONE)
}

/// Refuses what was deleted or taken back, by what stands now, outside of a transaction.
pub(in crate::vault) async fn check_not_gone_now(
    shared: &Shared,
    patient: PatientId,
    version: VersionId,
) -> Result<(), Refusal> {
    let key = tables::gone_version(patient, version);
    let gone = key.get(&*shared.ledger).await?;
    ensure(gone.is_none(), Problem::RecordDeleted, GONE)
}

/// The deletion of a record, for those whose permission names it (DEL-3); none of one that was taken back.
pub(in crate::vault) async fn deletion(
    shared: &Shared,
    patient: PatientId,
    record: RecordId,
) -> Result<Option<pb::LoggedStatement>, Refusal> {
    let row = tables::gone(patient, record).get(&*shared.ledger).await?;
    let Some(mut deletion) = row.and_then(|row| row.deletion) else {
        return Ok(None);
    };
    shared.complete_logged(patient, &mut deletion).await?;
    Ok(Some(deletion))
}

pub(in crate::vault) const GONE: &str = "the record was deleted or taken back";

/// Whether a version is there, by its row, which the commit checks again.
pub(in crate::vault) async fn check_stored(
    tx: &mut Tx<'_>,
    patient: PatientId,
    version: VersionId,
) -> Result<(), Refusal> {
    let there = tx.read(&tables::record(patient, version)).await?.is_some();
    check_not_gone(tx, patient, version).await?;
    ensure(
        there,
        Problem::RecordMismatch,
        "a record of the permission was sealed anew",
    )
}
