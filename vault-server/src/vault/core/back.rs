//! After a restoration nothing leaves a vault, or comes into it, before one of the patient's devices was back: what was revoked since
//! the copy was made holds again, until she has revoked it anew. See `spec/restoration.md` §4.

use protocol_spec::{bodies::VaultHead, defence::Defence, ids::PatientId, problem::Problem};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        shared::Shared,
        tx::Tx,
    },
    tables::{self, BackRow},
};

/// Whether a device of hers has read the log beyond the last restoration (RST-8). Once one has, that does not change: no commit
/// need check it.
pub(in crate::vault) async fn check_back(shared: &Shared, patient: PatientId) -> Result<(), Refusal> {
    let Some(restored) = shared.log.restored() else {
        return Ok(());
    };
    let row = tables::back(patient).get(&*shared.ledger).await?;
    let back = row.is_some_and(|row| row.log_size > restored);
    ensure(
        Defence::RestoredHold.holds(back),
        Problem::Restored,
        "no device of the patient was back since the restoration",
    )
}

/// A device says by its head how far it has read the log.
pub(in crate::vault) fn note_back(tx: &mut Tx<'_>, head: &VaultHead) {
    let log_size = head.log_size;
    if tx
        .shared
        .log
        .restored()
        .is_some_and(|restored| log_size > restored)
    {
        tx.put(&tables::back(head.patient_id), &BackRow { log_size });
    }
}
