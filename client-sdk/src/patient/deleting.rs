//! Deleting a record for good, and what that means for her other devices. See `protocol-spec/spec/deletion.md`.

use protocol_spec::{
    api,
    bodies::RecordDeletion,
    ids::{RecordId, VersionId},
    problem::Problem,
    submitted,
    vault_head::Act,
};

use crate::{
    Error, Result,
    patient::{
        acts,
        deletions::{self, DELETION},
        gone::{self, DeletedRecord},
        heads, index, listing,
        vault::Vault,
    },
};

pub(super) async fn delete_record(vault: &Vault, record: RecordId) -> Result<DeletedRecord> {
    for _ in 0..MAX_TRIES {
        let Some(version) = version_in_vault(vault, record).await? else {
            return gone::deleted_before(vault, record).await;
        };
        match submit_deletion(vault, record, version).await {
            Ok(deleted) => {
                // The next thing that this device does signs one.
                if let Err(error) = heads::put_head_if_room(vault).await {
                    tracing::debug!(%error, "no head was signed over a deletion");
                }
                // The record is gone: an index that names it still is read without it (DEL-5).
                if let Err(error) = index::forget_in_index(vault, record).await {
                    tracing::debug!(%error, "the index was not begun anew");
                }
                return Ok(deleted);
            }
            // Another device has sealed it anew, or deleted it.
            Err(error)
                if error.is_problem(Problem::RecordMismatch) || error.is_problem(Problem::RecordDeleted) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Usage(
        "another device seals the record anew all the time: try again later".into(),
    ))
}

pub(super) async fn submit_deletion(
    vault: &Vault,
    record_id: RecordId,
    version_id: VersionId,
) -> Result<DeletedRecord> {
    let deletion = RecordDeletion {
        created: vault.session.system().now_ms(),
        patient_id: vault.id(),
        record_id,
        version_id,
    };
    let deletion = vault.keys.statement(deletion);
    let message = submitted::DeleteRecord { deletion };
    let logged = vault.post(api::DELETE_RECORD.here(), &message).await?;
    let deleted = deletions::record_deletion(vault, logged).await?;
    let said = &deleted.statement;
    if said.record_id != record_id {
        return Err(Error::tampered(DELETION)("it is of another record"));
    }
    acts::did(vault, Act::Deletion(record_id, said.hash())).await;
    Ok(DeletedRecord::of(&deleted))
}

/// Which version of a record lies in the vault now, also where it does not verify: whoever lies about it gets nothing by that.
async fn version_in_vault(vault: &Vault, record: RecordId) -> Result<Option<VersionId>> {
    for (of, version) in listing::shown_versions(vault).await? {
        if of == record {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// Each failure is another device's success.
const MAX_TRIES: usize = 8;
