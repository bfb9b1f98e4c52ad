//! Records that were deleted: none of them comes back, whatever a server shows (DEL-4).

use protocol_spec::{
    bodies::RecordDeletion,
    defence::Defence,
    ids::{RecordId, VersionId},
    log::Logged,
};

use crate::{
    Error, Result,
    patient::{
        catching_up,
        deletions::{self, record_of},
        paged,
        standing::OwnPermission,
        vault::{Vault, acts::hidden},
    },
};

pub(super) async fn deleted_before(vault: &Vault, record: RecordId) -> Result<DeletedRecord> {
    if !catching_up::catch_up(vault)
        .await?
        .acts()
        .deletions()
        .contains_key(&record)
    {
        return Err(not_here(vault, record).await);
    }
    let mut pages = paged::deletion_pages(vault);
    while let Some(page) = pages.next().await? {
        for logged in page.deletions {
            if record_of(logged.clone()) == Some(record) {
                return Ok(DeletedRecord::of(
                    &deletions::record_deletion(vault, logged).await?,
                ));
            }
        }
    }
    Err(hidden(format!("the deletion of {record} is not shown")))
}

/// Why there is no such record.
pub(super) async fn not_here(vault: &Vault, record: RecordId) -> Error {
    match catching_up::known_acts(vault).await {
        Ok(seen) if seen.acts().is_gone(&record) => Error::RecordGone { record },
        Ok(_) => unknown(record),
        Err(error) => error,
    }
}

/// Refuses a record that was deleted or taken back, whatever it comes with (DEL-4).
pub(super) async fn check_not_gone(vault: &Vault, record: RecordId) -> Result<()> {
    let gone = catching_up::known_acts(vault).await?.acts().is_gone(&record);
    if Defence::Deletions.holds(!gone) {
        Ok(())
    } else {
        Err(Error::RecordGone { record })
    }
}

/// Whether nothing is left of all that a permission names.
pub(super) async fn is_over_nothing(vault: &Vault, own: &OwnPermission) -> Result<bool> {
    let records = &own.permission.records;
    let seen = catching_up::known_acts(vault).await?;
    let gone = |record: &RecordId| seen.acts().is_gone(record);
    Ok(!records.is_empty() && records.iter().all(|selector| gone(&selector.record_id)))
}

/// A record that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeletedRecord {
    /// The record that was deleted.
    pub record_id: RecordId,
    /// The version that was in the vault.
    pub version_id: VersionId,
    /// When a device of hers signed it, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub at: u64,
    /// Entries of the log under which the deletion was proven to stand.
    pub log_size: u64,
}

impl DeletedRecord {
    pub(super) fn of(deletion: &Logged<RecordDeletion>) -> Self {
        let said = &deletion.statement;
        Self {
            record_id: said.record_id,
            version_id: said.version_id,
            at: said.created,
            log_size: deletion.checkpoint.size,
        }
    }
}

pub(super) fn unknown(record: RecordId) -> Error {
    Error::Unknown {
        what: "record",
        id: record.to_string(),
    }
}
