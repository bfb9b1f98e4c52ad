//! The types that an inbox shows: events, what each tells, and who sent it.

use protocol_spec::{
    ids::{InstitutionId, PatientId, PermissionId, RecordId, RequestId},
    purpose::Purpose,
};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// What an event of an inbox tells its reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum InboxWhat {
    /// To the institution: a patient asks for an upload and has given the permission key.
    UploadRequest {
        /// Her request.
        request_id: RequestId,
        /// To send by.
        permission_id: PermissionId,
    },
    /// To the patient: an institution asks to download.
    DownloadRequest {
        /// Its request.
        request_id: RequestId,
        /// What for, as it says.
        #[serde(skip_serializing_if = "Option::is_none")]
        purpose: Option<Purpose>,
    },
    /// To the patient: an institution asks that another may download.
    ReferenceRequest {
        /// Its request.
        request_id: RequestId,
        /// Who would receive.
        #[serde(flatten, serialize_with = "Party::receiver")]
        to: Party,
        /// What for, as it says.
        #[serde(skip_serializing_if = "Option::is_none")]
        purpose: Option<Purpose>,
    },
    /// To the institution: a permission key has come.
    Permission {
        /// The request that it answers.
        request_id: RequestId,
        /// To receive by.
        permission_id: PermissionId,
        /// What for, as the patient permits.
        #[serde(skip_serializing_if = "Option::is_none")]
        purpose: Option<Purpose>,
        /// The delegate who has answered for the patient.
        #[serde(skip_serializing_if = "Option::is_none")]
        delegate: Option<PatientId>,
    },
    /// To the institution: the patient has denied.
    Denial {
        /// The request that it answers.
        request_id: RequestId,
        /// The delegate who has answered for the patient.
        #[serde(skip_serializing_if = "Option::is_none")]
        delegate: Option<PatientId>,
    },
    /// To the institution: the patient says something about a permission.
    Note {
        /// Which one.
        permission_id: PermissionId,
    },
    /// To the patient: a record was stored.
    Stored {
        /// By which permission.
        permission_id: PermissionId,
        /// The record.
        record_id: RecordId,
        /// Bytes of its stream.
        bytes: u64,
    },
    /// To the patient: bytes were released.
    Released {
        /// By which permission.
        permission_id: PermissionId,
        /// Stream bytes.
        bytes: u64,
    },
    /// To the institution: a permission was revoked.
    Revoked {
        /// Which one.
        permission_id: PermissionId,
    },
    /// To the patient: a device of hers was added, named or removed; the text says which.
    DevicesChanged,
    /// To a delegate: a patient lets her act for her.
    Delegated,
    /// To a delegate: that has ended.
    DelegationEnded,
    /// To the patient and her guardians: her emergency collection was opened.
    EmergencyOpened {
        /// The opening.
        request_id: RequestId,
    },
    /// To the patient, her guardians and an institution: a guardian has begun to help.
    EmergencyHelp {
        /// The help, to which she can object.
        request_id: RequestId,
        /// Who may open.
        #[serde(flatten, serialize_with = "Party::receiver")]
        to: Party,
    },
    /// To the same: the patient has objected.
    EmergencyObjected {
        /// The help.
        request_id: RequestId,
    },
    /// To a patient: another has named her as guardian.
    GuardianNamed {
        /// By which permission.
        permission_id: PermissionId,
    },
    /// To the patient: a device of hers deleted a record.
    RecordDeleted {
        /// Which one.
        record_id: RecordId,
    },
    /// To the patient: an institution took back what it had stored.
    TakenBack {
        /// Which record.
        record_id: RecordId,
    },
    /// What stood here was deleted, or taken back, before anybody answered it.
    Deleted,
    /// Something that does not verify; the text says why.
    Unverified,
}

impl InboxWhat {
    /// What a patient is asked: a download or reference request.
    pub fn asked(&self) -> Option<RequestId> {
        match self {
            Self::DownloadRequest { request_id, .. } | Self::ReferenceRequest { request_id, .. } => {
                Some(*request_id)
            }
            _ => None,
        }
    }

    /// The request, opening or help that it is about.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::UploadRequest { request_id, .. }
            | Self::DownloadRequest { request_id, .. }
            | Self::ReferenceRequest { request_id, .. }
            | Self::Permission { request_id, .. }
            | Self::Denial { request_id, .. }
            | Self::EmergencyOpened { request_id }
            | Self::EmergencyHelp { request_id, .. }
            | Self::EmergencyObjected { request_id } => Some(*request_id),
            _ => None,
        }
    }

    /// The permission that it is about.
    pub fn permission(&self) -> Option<PermissionId> {
        match self {
            Self::UploadRequest { permission_id, .. }
            | Self::Permission { permission_id, .. }
            | Self::Stored { permission_id, .. }
            | Self::Released { permission_id, .. }
            | Self::Note { permission_id }
            | Self::Revoked { permission_id }
            | Self::GuardianNamed { permission_id } => Some(*permission_id),
            _ => None,
        }
    }

    /// The record that it is about.
    pub fn record(&self) -> Option<RecordId> {
        match self {
            Self::Stored { record_id, .. }
            | Self::RecordDeleted { record_id }
            | Self::TakenBack { record_id } => Some(*record_id),
            _ => None,
        }
    }

    /// The institution that would receive.
    pub fn receiver(&self) -> Option<&Party> {
        match self {
            Self::ReferenceRequest { to, .. } | Self::EmergencyHelp { to, .. } => Some(to),
            _ => None,
        }
    }

    /// What for.
    pub fn purpose(&self) -> Option<Purpose> {
        match self {
            Self::DownloadRequest { purpose, .. }
            | Self::ReferenceRequest { purpose, .. }
            | Self::Permission { purpose, .. } => *purpose,
            _ => None,
        }
    }

    /// The delegate who has answered for the patient.
    pub fn delegate(&self) -> Option<PatientId> {
        match self {
            Self::Permission { delegate, .. } | Self::Denial { delegate, .. } => *delegate,
            _ => None,
        }
    }

    /// Stream bytes stored or released.
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Self::Stored { bytes, .. } | Self::Released { bytes, .. } => Some(*bytes),
            _ => None,
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

impl Party {
    fn sender<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.under("from", "from_name", to)
    }

    fn receiver<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.under("to", "to_name", to)
    }

    fn under<S: Serializer>(
        &self,
        id_field: &'static str,
        name_field: &'static str,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        match self {
            Self::Patient(id) => map.serialize_entry(id_field, id)?,
            Self::Institution { id, name } => {
                map.serialize_entry(id_field, id)?;
                map.serialize_entry(name_field, name)?;
            }
            Self::Server => map.serialize_entry(id_field, "server")?,
        }
        map.end()
    }
}

/// One event of an inbox, opened and verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InboxEvent {
    /// From 1, without gaps: the cursor.
    #[serde(rename = "id")]
    pub number: u64,
    /// When it arrived, in milliseconds since 1970, by the server's clock.
    #[serde(serialize_with = "crate::text::moment")]
    pub at: u64,
    /// Who sent it.
    #[serde(flatten, serialize_with = "Party::sender")]
    pub from: Party,
    /// What it tells.
    #[serde(flatten)]
    pub what: InboxWhat,
    /// The sealed text, opened; or why the event does not verify. Empty where there is none.
    pub text: String,
}

/// What an event says, whenever it came: who sent it, what it tells, and in which words.
pub(super) type Content = (Party, InboxWhat, String);

/// The newest events of an inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewestEvents {
    /// In order, the newest last.
    pub events: Vec<InboxEvent>,
    /// How many events there are before them.
    pub earlier: u64,
}
