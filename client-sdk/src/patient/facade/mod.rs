//! What a patient can do, one method each: the work is done by the functions of the other modules, over her vault.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

mod own_devices;
mod sharing;

use std::{path::Path, time::Duration};

use protocol_spec::{
    ids::{CollectionId, PatientId, PermissionId, RecordId},
    invitation::InvitationText,
    link::ServerLink,
    log::VerifiedCheckpoint,
};

use crate::{
    CollectionInfo, DirectoryEntry, Ground, InboxEvent, LogEntry, Patient, Progress, Received, Records,
    Result, Trust, Unlock,
    inbox::{InboxReader, NewestEvents},
    patient::{
        case, collections, deleting,
        gone::DeletedRecord,
        history::{self, HistoryCheck, item::HistoryItem},
        opening, records,
    },
};

impl Patient {
    /// Makes a new vault in `home` and enrols it with the server of the link. An enrolment that broke
    /// off is taken up again.
    /// Errors: [`crate::Error::HomeExists`], [`crate::Error::WrongServer`], [`crate::Error::Unreachable`] and others;
    /// the home is then as before.
    pub async fn enrol(home: impl Into<Ground>, unlock: &Unlock, link: &ServerLink) -> Result<Self> {
        Self::enrol_by(home, unlock, link, None).await
    }

    /// As [`Self::enrol`], by an invitation, where the server asks for one (ACC-1).
    /// Errors: as [`Self::enrol`]; what the server refuses.
    pub async fn enrol_by(
        home: impl Into<Ground>,
        unlock: &Unlock,
        link: &ServerLink,
        invitation: Option<&InvitationText>,
    ) -> Result<Self> {
        let vault = opening::enrol(home.into(), unlock, link, invitation).await?;
        Ok(Self { vault })
    }

    /// Opens an enrolled home. Nothing is sent yet.
    /// Errors: [`crate::Error::HomeMissing`],
    /// [`crate::Error::NotEnrolled`],
    /// [`crate::Error::WrongUnlock`],
    /// [`crate::Error::HomeKind`].
    pub async fn open(home: impl Into<Ground>, unlock: &Unlock) -> Result<Self> {
        let vault = opening::open(home.into(), unlock).await?;
        Ok(Self { vault })
    }

    /// Her id: what institutions need to ask her for something.
    pub fn id(&self) -> PatientId {
        self.vault.id()
    }

    /// The link of her server.
    pub fn link(&self) -> &ServerLink {
        self.vault.session.server.link()
    }

    /// The one institution with this id or this name (in any case).
    /// Errors: [`crate::Error::UnknownInstitution`],
    /// [`crate::Error::AmbiguousInstitution`], or as
    /// [`crate::Trust::institutions`].
    pub async fn institution(&self, name_or_id: &str) -> Result<DirectoryEntry> {
        self.vault.session.mirror.find_named(name_or_id).await
    }

    /// All that happened under a permission, as a file to be shown to whoever was not there.
    /// Errors: [`crate::Error::Unknown`]; [`crate::Error::Usage`] of an emergency permission;
    /// [`crate::Error::Tampered`] when what the server shows does not hold.
    pub async fn export_case(&self, permission: PermissionId) -> Result<Vec<u8>> {
        case::export_case(&self.vault, permission).await
    }

    /// Deletes a record for good: the server destroys it, and every permission over it ends there. What was handed out before
    /// stays with whoever has it. One that is deleted already is told again (DEL-1).
    /// Errors: [`crate::Error::Unknown`] for a record that is not hers; [`crate::Error::RecordGone`] for one that was
    /// taken back; what the server refuses.
    pub async fn delete_record(&self, record: RecordId) -> Result<DeletedRecord> {
        deleting::delete_record(&self.vault, record).await
    }

    /// All that happened to her vault, each entry verified. One that fails is reported, not dropped.
    /// Errors: of the connection, and [`crate::Error::Tampered`] when numbers are missing, or what this device
    /// has seen before has changed.
    pub async fn history(&self) -> Result<Vec<HistoryItem>> {
        history::history(&self.vault).await
    }

    /// Her collections.
    /// Errors: [`crate::Error::Tampered`] when the server shows one that is not hers, or an older state
    /// than this device has seen.
    pub async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        collections::collections(&self.vault).await
    }

    /// The collection with this id or name.
    /// Errors: [`crate::Error::Usage`] when there is none, or several have the name.
    pub async fn collection(&self, id_or_name: &str) -> Result<CollectionInfo> {
        collections::collection(&self.vault, id_or_name).await
    }

    /// Makes a collection. `emergency` is the name of the one that is opened in an emergency.
    /// Errors: [`crate::Error::Usage`] for a name that is taken or is none.
    pub async fn create_collection(&self, name: &str) -> Result<CollectionInfo> {
        collections::create_collection(&self.vault, name).await
    }

    /// Moves one of her records into a collection. Permissions over the collection it leaves release it no more.
    /// Errors: [`crate::Error::Unknown`], [`crate::Error::Tampered`].
    pub async fn move_record(&self, record: RecordId, to: CollectionId) -> Result<()> {
        collections::move_record(&self.vault, record, to).await
    }

    /// Reads the server's log from entry number `from` on, under the checkpoint that it returns: all entries in order, each
    /// verified before `visit` gets it (LOG-14). `progress` counts entries.
    /// Errors: [`crate::Error::Tampered`] when a tile is not that of the checkpoint or `from` lies
    /// beyond it, [`crate::Contradiction::LogConflict`], [`crate::Error::NotWitnessed`], what `visit`
    /// returns, or of the connection.
    pub async fn scan_log(
        &self,
        from: u64,
        progress: &dyn Progress,
        visit: impl FnMut(u64, LogEntry) -> Result<()>,
    ) -> Result<VerifiedCheckpoint> {
        records::scan_log(&self.vault, from, progress, visit).await
    }

    /// Her records, each verified by this device or another one of hers; new ones are adopted into the vault.
    /// Errors: of the connection alone; a record that does not verify stands in `refused`.
    pub async fn records(&self) -> Result<Records> {
        records::records(&self.vault).await
    }

    /// Opens one of her records into `out/<record id>/`.
    /// Errors: [`crate::Error::Unknown`], [`crate::Error::Exists`], [`crate::Error::Tampered`]; nothing
    /// is then left in `out`.
    pub async fn get_record(
        &self,
        record: RecordId,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Received> {
        records::get_record(&self.vault, record, out, progress).await
    }

    /// As [`Self::get_record`], if it is one file.
    /// Errors: as [`Self::get_record`]; [`crate::Error::Usage`] when the record has more than one file.
    pub async fn get_file(&self, record: RecordId, out: &Path, progress: &dyn Progress) -> Result<Received> {
        records::get_file(&self.vault, record, out, progress).await
    }

    /// Checks each entry, each with those before it, and all with the permissions and records that the server lists.
    /// Errors: of the connection; [`crate::Error::Tampered`] when numbers are missing, or the history is not the one
    /// that this device has seen before.
    pub async fn check_history(&self) -> Result<HistoryCheck> {
        history::check::check_history(&self.vault).await
    }

    /// Her events after number `after`, in order, opened and verified. With `wait` it waits so
    /// long for the first one.
    /// Errors: of the connection alone; an event that does not verify is reported as such.
    pub async fn inbox(&self, after: u64, wait: Option<Duration>) -> Result<Vec<InboxEvent>> {
        InboxReader::of_patient(&self.vault).after(after, wait).await
    }

    /// At most `most` of her newest events, and none that arrived before `since`, in milliseconds since 1970. Errors: as [`Self::inbox`].
    pub async fn newest_events(&self, most: u64, since: u64) -> Result<NewestEvents> {
        InboxReader::of_patient(&self.vault).newest(most, since).await
    }

    /// The directory and the log of her server, as far as they are proven.
    pub fn trust(&self) -> Trust<'_> {
        self.vault.session().trust()
    }
}
