//! Whether a record has been opened: what has been, its sender cannot take back (TB-2).

use protocol_spec::ids::{PatientId, VersionId};

use crate::vault::{
    core::{
        refusal::Refusal,
        tx::{Operation, Tx},
    },
    keep::gone,
    tables::{self, RecordRow},
};

/// A leaf of a record is about to be handed out to somebody for the first time (DEL-7).
pub(in crate::vault) struct NoteOpened {
    pub(in crate::vault) patient: PatientId,
    pub(in crate::vault) version: VersionId,
}

impl Operation for NoteOpened {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        note_opened(tx, self.patient, self.version).await
    }
}

pub(in crate::vault) async fn is_placed(
    tx: &mut Tx<'_>,
    patient: PatientId,
    version: VersionId,
) -> Result<bool, Refusal> {
    Ok(tx.read(&tables::placement(patient, version)).await?.is_some())
}

/// Notes that a record is opened, unless its placement says so already.
pub(in crate::vault) async fn note_opened(
    tx: &mut Tx<'_>,
    patient: PatientId,
    version: VersionId,
) -> Result<(), Refusal> {
    let key = tables::record(patient, version);
    let Some(row) = tx.read(&key).await? else {
        return gone::check_not_gone(tx, patient, version).await;
    };
    if !row.opened && !is_placed(tx, patient, version).await? {
        tx.put(&key, &RecordRow { opened: true, ..row });
    }
    Ok(())
}
