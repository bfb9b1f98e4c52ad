//! A record as a permission of its collection releases it.

use protocol_spec::{
    bodies::Placement,
    collection::CollectionSelector,
    defence::Defence,
    ids::{RecordId, VersionId},
    permission::PermissionBody,
    problem::Problem,
    tags::SealedConditions,
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        tx::Tx,
    },
    keep::{collections, gone},
    tables,
};

/// The record of a version that a permission over a collection is for, now (COL-6, COL-7, CND-9), and its length.
pub(in crate::vault) async fn placed_record(
    tx: &mut Tx<'_>,
    permission: &PermissionBody,
    selector: &CollectionSelector,
    version: VersionId,
) -> Result<(RecordId, u64), Refusal> {
    let patient = permission.patient_id;
    collections::check_open(tx, patient, selector.collection).await?;
    gone::check_not_gone_from(tx, permission, version).await?;
    let placement = tx.read_existing(&tables::placement(patient, version)).await?;
    let body = placement.body()?;
    if !Defence::ReleasedRecords.is_off() {
        ensure(
            selector.covers(body.collection_id, body.number),
            Problem::NotPermitted,
            "the permission does not cover the record",
        )?;
        tx.read_existing(&tables::wrap(patient, selector.collection, body.number))
            .await?;
    }
    ensure(
        admitted(permission.conditions.as_ref(), &body),
        Problem::NotPermitted,
        "the record does not fit the permission's conditions",
    )?;
    Ok((body.record_id, body.stream_len))
}

/// Whether a record so placed has the tags that the conditions ask for (CND-9).
pub(in crate::vault) fn admitted(conditions: Option<&SealedConditions>, placement: &Placement) -> bool {
    let fits = conditions.is_none_or(|conditions| conditions.admit(&placement.version_id, &placement.tags));
    Defence::Conditions.holds(fits)
}
