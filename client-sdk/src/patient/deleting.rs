//! Deleting a record for good, and what that means for her other devices. See `protocol-spec/spec/deletion.md`.

use std::collections::HashMap;

use protocol_spec::{
    api,
    bodies::RecordDeletion,
    defence::Defence,
    ids::{RecordId, VersionId},
    log::Logged,
    messages as pb,
    patient::PatientSigned,
    problem::Problem,
    statement::Signed,
    vault_head::{Act, Acts, Deleted},
};

use super::{Patient, acts::hidden, records::unknown, standing::OwnPermission};
use crate::{Error, Result, mint, pages::Pages};

/// A record that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedRecord {
    /// The record.
    pub record_id: RecordId,
    /// The version that was in the vault.
    pub version_id: VersionId,
    /// When a device of hers signed it, in milliseconds since 1970.
    pub at: u64,
    /// Entries of the log under which the deletion was proven to stand.
    pub log_size: u64,
}

impl Patient {
    /// Deletes a record for good: the server destroys it, and every permission over it ends there. What was handed out before
    /// stays with whoever has it. One that is deleted already is told again (DEL-1).
    ///
    /// # Errors
    /// [`Error::Unknown`] for a record that is not hers; [`Error::RecordGone`] for one that was taken back; what the server refuses.
    pub async fn delete_record(&self, record: RecordId) -> Result<DeletedRecord> {
        for _ in 0..MAX_TRIES {
            let Some(version) = self.version_in_vault(record).await? else {
                return self.deleted_before(record).await;
            };
            match self.submit_deletion(record, version).await {
                Ok(deleted) => {
                    // The next thing that this device does signs one.
                    if let Err(error) = self.put_head_if_room().await {
                        tracing::debug!(%error, "no head was signed over a deletion");
                    }
                    // The record is gone: an index that names it still is read without it (DEL-5).
                    if let Err(error) = self.forget_in_index(record).await {
                        tracing::debug!(%error, "the index was not begun anew");
                    }
                    return Ok(deleted);
                }
                // Another device has sealed it anew, or deleted it.
                Err(error)
                    if error.is_problem(Problem::RecordMismatch)
                        || error.is_problem(Problem::RecordDeleted) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Usage(
            "another device seals the record anew all the time: try again later".into(),
        ))
    }

    pub(super) async fn submit_deletion(
        &self,
        record_id: RecordId,
        version_id: VersionId,
    ) -> Result<DeletedRecord> {
        let deletion = RecordDeletion {
            created: mint::now_ms(),
            patient_id: self.id(),
            record_id,
            version_id,
        };
        let signed = Signed::sign(deletion, |message| self.keys.sign(message));
        let deletion = PatientSigned::new(signed, self.keys.chain.clone());
        let message = pb::DeleteRecord {
            deletion: Some((&deletion).into()),
        };
        let logged: pb::LoggedStatement = self
            .session
            .server
            .post(api::DELETE_RECORD.here(), &message)
            .await?;
        let deleted = self.record_deletion(logged).await?;
        let said = &deleted.statement;
        if said.record_id != record_id {
            return Err(Error::tampered(DELETION)("it is of another record"));
        }
        self.did(Act::Deletion(record_id, said.hash())).await;
        Ok(DeletedRecord::of(&deleted))
    }

    /// Which version of a record lies in the vault now, also where it does not verify: whoever lies about it gets nothing by that.
    async fn version_in_vault(&self, record: RecordId) -> Result<Option<VersionId>> {
        for (of, version) in self.shown_versions().await? {
            if of == record {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    async fn deleted_before(&self, record: RecordId) -> Result<DeletedRecord> {
        if !self.catch_up().await?.acts().deletions().contains_key(&record) {
            return Err(self.not_here(record).await);
        }
        let mut pages = self.deletion_pages();
        while let Some(page) = pages.next().await? {
            for logged in page.deletions {
                if record_of(&logged) == Some(record) {
                    return Ok(DeletedRecord::of(&self.record_deletion(logged).await?));
                }
            }
        }
        Err(hidden(format!("the deletion of {record} is not shown")))
    }

    /// Why there is no such record.
    pub(super) async fn not_here(&self, record: RecordId) -> Error {
        match self.known_acts().await {
            Ok(seen) if seen.acts().is_gone(&record) => Error::RecordGone { record },
            Ok(_) => unknown(record),
            Err(error) => error,
        }
    }

    /// Refuses a record that was deleted or taken back, whatever it comes with (DEL-4).
    pub(super) async fn check_not_gone(&self, record: RecordId) -> Result<()> {
        let gone = self.known_acts().await?.acts().is_gone(&record);
        if Defence::Deletions.holds(!gone) {
            Ok(())
        } else {
            Err(Error::RecordGone { record })
        }
    }

    /// Whether every deletion among the acts that came after so many is one that a device of hers has signed which was on the list
    /// then (DEL-4).
    pub(super) async fn check_deletions(&self, acts: &Acts, before: u64) -> Result<()> {
        if Defence::Deletions.is_off() {
            return Ok(());
        }
        if let Some(record) = acts.wrongly_taken_back() {
            return Err(hidden(format!(
                "{record} is said to have been taken back by its sender, and you had taken it in before"
            )));
        }
        let new = acts
            .deletions()
            .iter()
            .filter(|(_, deleted)| deleted.acts >= before);
        let mut new: HashMap<RecordId, Deleted> = new.map(|(record, deleted)| (*record, *deleted)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut pages = self.deletion_pages();
        while !new.is_empty()
            && let Some(page) = pages.next().await?
        {
            for logged in page.deletions {
                let Some(record) = record_of(&logged) else {
                    continue;
                };
                let Some(said) = new.get(&record) else { continue };
                match self.record_deletion(logged).await {
                    Ok(deletion) if self.signed_then(&deletion, said, acts) => drop(new.remove(&record)),
                    Ok(_) | Err(Error::Tampered { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        match new.keys().next() {
            Some(record) => Err(hidden(format!(
                "{record} is said to be deleted, and no device of yours has signed that"
            ))),
            None => Ok(()),
        }
    }

    fn signed_then(&self, deletion: &Logged<RecordDeletion>, said: &Deleted, acts: &Acts) -> bool {
        let list = acts.last_list(said.acts);
        let list = list.and_then(|last| self.keys.known().list(last));
        let signer = deletion.statement.device().id();
        deletion.statement.hash() == said.hash
            && list.is_some_and(|list| list.claimed().device(signer).is_some())
    }

    /// Checks a deletion of hers and its place in the log.
    pub(super) async fn record_deletion(
        &self,
        message: pb::LoggedStatement,
    ) -> Result<Logged<RecordDeletion>> {
        let deletion = Logged::<RecordDeletion>::verify(message, self.session.server.operator())
            .map_err(Error::tampered(DELETION))?;
        self.session.accept_log(&deletion.checkpoint).await?;
        self.known_device(deletion.statement.device()).await?;
        if deletion.statement.patient_id == self.id() {
            Ok(deletion)
        } else {
            Err(Error::tampered(DELETION)("it is somebody else's"))
        }
    }

    /// Whether nothing is left of all that a permission names.
    pub(super) async fn is_over_nothing(&self, own: &OwnPermission) -> Result<bool> {
        let records = &own.permission.records;
        let seen = self.known_acts().await?;
        let gone = |record: &RecordId| seen.acts().is_gone(record);
        Ok(!records.is_empty() && records.iter().all(|selector| gone(&selector.record_id)))
    }

    fn deletion_pages(&self) -> Pages<'_, pb::DeletionPage, RecordId> {
        self.session.server.pages(api::DELETIONS.here())
    }
}

impl DeletedRecord {
    fn of(deletion: &Logged<RecordDeletion>) -> Self {
        let said = &deletion.statement;
        Self {
            record_id: said.record_id,
            version_id: said.version_id,
            at: said.created,
            log_size: deletion.checkpoint.size,
        }
    }
}

/// The record that a deletion claims to be of.
fn record_of(logged: &pb::LoggedStatement) -> Option<RecordId> {
    let signed = PatientSigned::<RecordDeletion>::try_from(logged.statement.clone()).ok()?;
    Some(signed.claimed().record_id)
}

const DELETION: &str = "the deletion of a record";

/// Each failure is another device's success.
const MAX_TRIES: usize = 8;
