//! The types that an inbox shows: events, what each tells, and who sent it.

use protocol_spec::{
    ids::{InstitutionId, PatientId, PermissionId, RecordId, RequestId},
    purpose::Purpose,
};

/// What an event of an inbox tells its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// To the institution: a patient asks for an upload and has given the permission key.
    UploadRequest,
    /// To the patient: an institution asks to download.
    DownloadRequest,
    /// To the patient: an institution asks that another may download.
    ReferenceRequest,
    /// To the institution: a permission key has come.
    Permission,
    /// To the institution: the patient has denied.
    Denial,
    /// To the patient: a record was stored.
    Stored,
    /// To the patient: bytes were released.
    Released,
    /// To the institution: a permission was revoked.
    Revoked,
    /// To the patient: a device of hers was added, named or removed; `text` says which.
    DevicesChanged,
    /// To a delegate: a patient lets her act for her.
    Delegated,
    /// To a delegate: that has ended.
    DelegationEnded,
    /// To the patient and her guardians: her emergency collection was opened.
    EmergencyOpened,
    /// To the patient, her guardians and an institution: a guardian has begun to help.
    EmergencyHelp,
    /// To the same: the patient has objected.
    EmergencyObjected,
    /// To a patient: another has named her as guardian.
    GuardianNamed,
    /// To the patient: a device of hers deleted a record.
    RecordDeleted,
    /// To the patient: an institution took back what it had stored.
    TakenBack,
    /// What stood here was deleted, or taken back, before anybody answered it.
    Deleted,
    /// Something that does not verify; `text` says why.
    Unverified,
}

impl EventKind {
    /// The name that programs use, such as `upload-request`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UploadRequest => "upload-request",
            Self::DownloadRequest => "download-request",
            Self::ReferenceRequest => "reference-request",
            Self::Permission => "permission",
            Self::Denial => "denial",
            Self::Stored => "stored",
            Self::Released => "released",
            Self::Revoked => "revoked",
            Self::DevicesChanged => "devices-changed",
            Self::Delegated => "delegated",
            Self::DelegationEnded => "delegation-ended",
            Self::EmergencyOpened => "emergency-opened",
            Self::EmergencyHelp => "emergency-help",
            Self::EmergencyObjected => "emergency-objected",
            Self::GuardianNamed => "guardian-named",
            Self::RecordDeleted => "record-deleted",
            Self::TakenBack => "taken-back",
            Self::Deleted => "deleted",
            Self::Unverified => "unverified",
        }
    }
}

/// Who sent something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// A patient.
    Patient(PatientId),
    /// An institution, by its accredited name.
    Institution {
        /// Its id.
        id: InstitutionId,
        /// Its name in the verified directory.
        name: String,
    },
    /// The server itself, or nobody who could be verified.
    Server,
}

/// One event of an inbox, opened and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEvent {
    /// From 1, without gaps: the cursor.
    pub number: u64,
    /// When it arrived, in milliseconds since 1970, by the server's clock.
    pub at: u64,
    /// What it tells.
    pub kind: EventKind,
    /// Who sent it.
    pub from: Party,
    /// The request, where there is one.
    pub request_id: Option<RequestId>,
    /// The permission, where there is one.
    pub permission_id: Option<PermissionId>,
    /// The record, where there is one.
    pub record_id: Option<RecordId>,
    /// The institution that is to receive, in references.
    pub to: Option<Party>,
    /// What for: as the institution says that asks, or as the patient permits.
    pub purpose: Option<Purpose>,
    /// To the institution: the delegate who has answered for the patient.
    pub delegate: Option<PatientId>,
    /// Stream bytes stored or released.
    pub bytes: Option<u64>,
    /// The sealed text, opened; or why the event does not verify.
    pub text: Option<String>,
}

/// The newest events of an inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewestEvents {
    /// In order, the newest last.
    pub events: Vec<InboxEvent>,
    /// How many events there are before them.
    pub earlier: u64,
}
