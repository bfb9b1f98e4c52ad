//! The institution: presents permission keys, sends what it makes, receives what it was permitted.
//!
//! | module | does |
//! |---|---|
//! | `enrol` | keys, accreditation request, enrolment |
//! | `ends` | when its recipient keys end |
//! | `rotation`, `terminals` | another recipient key, the end; machines that act with certificates |
//! | `inviting` | lets patients enrol |
//! | `requests` | ask patients for downloads and references |
//! | `delivery` | fetch and open a permission key; present it |
//! | `upload` | stand by, seal, send, commit |
//! | `committed` | what the institution has stored under a permission |
//! | `taking_back` | what went to the wrong patient |
//! | `release`, `download`, `finished` | receive, open, verify, close; what was fetched is found again |
//! | `emergency` | open with a card, or with a guardian's help |
//! | `holding` | keep to the permission |

mod committed;
mod delivery;
mod download;
mod emergency;
mod ends;
mod enrol;
mod finished;
mod holding;
mod inviting;
mod release;
mod requests;
mod rotation;
mod taking_back;
mod terminals;
mod upload;

use std::path::Path;

use crypto::shares::ShareReader;
use protocol_spec::{
    bodies::{ReleaseReceipt, UploadReceipt},
    ids::{InstitutionId, RecordId, TerminalId, VersionId},
    log::Receipt,
};

use self::enrol::Keys;
pub use self::{
    committed::StoredUpload,
    download::FetchTerms,
    emergency::EmergencyKey,
    rotation::Rotated,
    taking_back::TakenBack,
    terminals::{NewTerminal, TerminalInfo},
    upload::SendTerms,
};
use crate::{
    Audited, DirectoryEntry, FetchedPart, Progress, Provenance, Result, Vouched,
    home::Home,
    keystore::{KeyStore, KeyStoreError, open_by_any},
    patient::{SenderId, SenderInfo},
    session::Session,
    shares::ReturnedFile,
};

/// An institution's terminal with its keys, connected to its server.
pub struct Institution {
    session: Session,
    keys: Keys,
    name: String,
}

/// What an upload led to.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The record that came to be.
    pub record_id: RecordId,
    /// Its version.
    pub version_id: VersionId,
    /// The server's word that it is stored, with its place in the log; verified.
    pub receipt: Receipt<UploadReceipt>,
    /// Bytes of the sealed stream.
    pub bytes: u64,
    /// Those that an earlier run had sent already.
    pub resumed_bytes: u64,
    /// An earlier run has stored it; this one has found it, and sent nothing.
    pub already: bool,
}

/// What a fetch brought.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// In the order of the permission.
    pub records: Vec<FetchedRecord>,
    /// Records of the permission that the patient has deleted since (DEL-3).
    pub deleted: Vec<RecordId>,
    /// The server's word on what it handed out; absent when its answer did not come. The server then closes
    /// the release when its ticket expires.
    pub receipt: Option<Receipt<ReleaseReceipt>>,
    /// An earlier run has fetched it; this one has found it, and asked for nothing.
    pub already: bool,
}

/// A record that was received, opened and verified.
#[derive(Clone, Debug)]
pub struct FetchedRecord {
    /// The record.
    pub record_id: RecordId,
    /// Its version.
    pub version_id: VersionId,
    /// Its files.
    pub parts: Vec<FetchedPart>,
    /// Who made it.
    pub provenance: Provenance,
}

impl Institution {
    /// Its home.
    pub(crate) fn home(&self) -> &Home {
        &self.session.home
    }

    /// The connection to the server, with what this home has seen of its log and directory.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// What opens what is sealed to it.
    pub(crate) fn key_store(&self) -> &dyn KeyStore {
        &*self.keys.store
    }

    /// Its id.
    pub fn id(&self) -> InstitutionId {
        self.keys.institution
    }

    /// The terminal whose home this is, unless it is the institution's own.
    pub fn terminal_id(&self) -> Option<TerminalId> {
        let certificate = self.keys.certificate.as_ref()?;
        Some(TerminalId::from(&certificate.claimed().terminal_key))
    }

    /// The name that the registrar accredited.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As [`crate::Patient::directory`].
    ///
    /// # Errors
    /// As [`crate::Patient::directory`].
    pub async fn directory(&self, filter: Option<&str>) -> Result<Vec<DirectoryEntry>> {
        self.session.mirror.institutions(filter).await
    }

    /// As [`crate::Patient::institution`].
    ///
    /// # Errors
    /// As [`crate::Patient::institution`].
    pub async fn institution(&self, name_or_id: &str) -> Result<DirectoryEntry> {
        self.session.mirror.find_named(name_or_id).await
    }

    /// As [`crate::Patient::look_alikes`].
    ///
    /// # Errors
    /// As [`crate::Patient::look_alikes`].
    pub async fn look_alikes(&self) -> Result<crate::LookAlikes> {
        self.session.mirror.look_alikes().await
    }

    /// As [`crate::Patient::institution_entries`].
    ///
    /// # Errors
    /// As [`crate::Patient::institution_entries`].
    pub async fn institution_entries(&self, name_or_id: &str) -> Result<Vec<DirectoryEntry>> {
        let newest = self.session.mirror.find_named(name_or_id).await?;
        self.session.mirror.chain(newest.id()).await
    }

    /// As [`crate::Patient::audit_directory`].
    ///
    /// # Errors
    /// As [`crate::Patient::audit_directory`].
    pub async fn audit_directory(&self, progress: &dyn Progress) -> Result<Audited> {
        self.session.mirror.audit(progress).await
    }

    /// As [`crate::Patient::programs`].
    ///
    /// # Errors
    /// As [`crate::Patient::programs`].
    pub async fn programs(&self) -> Result<Vec<Vouched>> {
        self.session.mirror.programs().await
    }

    /// As [`crate::Patient::check_program`].
    ///
    /// # Errors
    /// As [`crate::Patient::check_program`].
    pub async fn check_program(&self, file: &Path) -> Result<Vouched> {
        self.session.check_program(file).await
    }

    /// As [`crate::Patient::return_share`].
    ///
    /// # Errors
    /// As [`crate::Patient::return_share`].
    pub async fn return_share(&self, file: &[u8], offer: &[u8], check: &str) -> Result<ReturnedFile> {
        let held = self.session.held_share(file, offer, check).await?;
        let holder = ShareReader::institution(&self.id());
        let share =
            open_by_any(&*self.keys.store, |key| held.open(key, &holder)).map_err(|error| match error {
                KeyStoreError::DoesNotOpen => held.not_opened(),
                error => error.into(),
            })?;
        held.give_back(&share)
    }

    /// As [`crate::Patient::block`], by the institution's identity key.
    ///
    /// # Errors
    /// As [`crate::Patient::block`].
    pub async fn block(&self, sender: SenderId, blocked: bool) -> Result<()> {
        self.by_identity_key()?;
        self.session.block(sender, blocked).await
    }

    /// As [`crate::Patient::senders`], by the institution's identity key.
    ///
    /// # Errors
    /// As [`crate::Patient::senders`].
    pub async fn senders(&self) -> Result<Vec<SenderInfo>> {
        self.by_identity_key()?;
        self.session.senders().await
    }
}
