//! Openings of emergency permissions as they are stored.

use protocol_spec::{
    directory::Institution,
    ids::{PatientId, PermissionId},
};

use crate::vault::{
    core::{refusal::Refusal, shared::Shared},
    tables,
};

/// Whether this institution has opened this emergency permission, not long ago, and may still (EMG-6).
pub(in crate::vault) async fn has_opened(
    shared: &Shared,
    patient: PatientId,
    permission: PermissionId,
    institution: &Institution,
) -> Result<bool, Refusal> {
    let row = tables::opening(patient, permission, institution.id());
    let Some(row) = row.get(&*shared.ledger).await? else {
        return Ok(false);
    };
    Ok(!shared.time.has_passed(row.ends).await && institution.check_emergency().is_ok())
}
