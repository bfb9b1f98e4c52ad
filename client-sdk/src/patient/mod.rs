//! The patient: holds the vault's keys and decides who may send and who may read.
//!
//! | module | does |
//! |---|---|
//! | `keys` | what her home keeps |
//! | `requests` | ask for an upload; permit or deny what institutions ask |
//! | `records` | list, adopt and open her own records |
//! | `permissions` | list and revoke |
//! | `history` | what happened, proven |

mod history;
mod keys;
mod permissions;
mod records;
mod requests;

use std::{path::Path, time::Duration};

use protocol_spec::{ids::PatientId, link::ServerLink};

pub use self::{
    history::{HistoryItem, HistoryKind},
    permissions::{PermissionInfo, PermissionState},
    records::{InstitutionRef, Received, RecordInfo, Records},
    requests::{PermitTerms, Selection, UploadTerms},
};
use crate::{DirectoryEntry, InboxEvent, Result, Unlock};

/// A patient with her device's keys, connected to her server.
pub struct Patient {}

impl Patient {
    /// Makes a new vault in `home` and enrols it with the server of the link.
    ///
    /// # Errors
    /// [`crate::Error::HomeExists`], [`crate::Error::WrongServer`], [`crate::Error::Unreachable`] and others;
    /// the home is then as before.
    pub async fn enrol(home: &Path, unlock: &Unlock, link: &ServerLink) -> Result<Self> {
        todo!()
    }

    /// Opens an enrolled home. Nothing is sent yet.
    ///
    /// # Errors
    /// [`crate::Error::HomeMissing`], [`crate::Error::WrongUnlock`], [`crate::Error::HomeKind`].
    pub async fn open(home: &Path, unlock: &Unlock) -> Result<Self> {
        todo!()
    }

    /// Her id: what institutions need to ask her for something.
    pub fn id(&self) -> PatientId {
        todo!()
    }

    /// The accredited institutions whose names contain `filter` (in any case), each verified.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] when an entry does not verify or has changed since it was first seen.
    pub async fn directory(&self, filter: Option<&str>) -> Result<Vec<DirectoryEntry>> {
        todo!()
    }

    /// The one institution with this id or this name (in any case).
    ///
    /// # Errors
    /// [`crate::Error::UnknownInstitution`], [`crate::Error::AmbiguousInstitution`], or as [`Self::directory`].
    pub async fn institution(&self, name_or_id: &str) -> Result<DirectoryEntry> {
        todo!()
    }

    /// Her events after number `after`, in order, opened and verified. With `wait` it waits so long for the
    /// first one.
    ///
    /// # Errors
    /// Of the connection alone; an event that does not verify is reported as such.
    pub async fn inbox(&self, after: u64, wait: Option<Duration>) -> Result<Vec<InboxEvent>> {
        todo!()
    }
}
