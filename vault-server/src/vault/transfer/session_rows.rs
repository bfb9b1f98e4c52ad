//! Rows of open sessions: how many a principal has, and which of them belong to a permission.

use protocol_spec::{
    ids::{PatientId, PermissionId},
    permission::PermissionBody,
    problem::Problem,
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        tx::Tx,
    },
    tables::{self, CountRow, Counted, OpenSessionRow},
};

/// Counts a session of this principal, who may have so many.
pub(in crate::vault) async fn open_session(
    tx: &mut Tx<'_>,
    principal: [u8; 32],
    most: u64,
) -> Result<(), Refusal> {
    let open = tx.next_number(principal, Counted::Sessions).await?;
    ensure(open <= most, Problem::TooMany, "too many sessions are open")
}

/// Counts a session of this principal as over.
pub(in crate::vault) async fn close_session(tx: &mut Tx<'_>, principal: [u8; 32]) -> Result<(), Refusal> {
    let key = tables::count(principal, Counted::Sessions);
    let open = tx.read(&key).await?.unwrap_or_default().value;
    tx.put(
        &key,
        &CountRow {
            value: open.saturating_sub(1),
        },
    );
    Ok(())
}

/// Notes that a session is open.
pub(in crate::vault) fn opened(
    tx: &mut Tx<'_>,
    body: &PermissionBody,
    session: &[u8; 16],
    upload: bool,
    keyid: String,
) {
    let key = tables::open_session(body.patient_id, body.permission_id, session);
    tx.put(&key, &OpenSessionRow { upload, keyid });
}

/// Notes that it is not open any more.
pub(in crate::vault) fn ended(
    tx: &mut Tx<'_>,
    patient: PatientId,
    permission: PermissionId,
    session: &[u8; 16],
) {
    tx.delete(&tables::open_session(patient, permission, session));
}
