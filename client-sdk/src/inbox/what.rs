//! What can come into an inbox. Each kind of event is one variant of [`InboxWhat`], one arm of [`to_patient`] or
//! [`to_institution`] and, where it is about something, of [`InboxWhat::columns`]. How requests, denials and notes are
//! opened stands here too, the rest in the modules beside this one.

use protocol_spec::{
    bodies::{Denial, Note, Revocation},
    field::ReadsAs,
    ids::{PatientId, PermissionId, RecordId, RequestId},
    messages::{self as pb, event::What},
    patient::PatientSigned,
    permission::Kind,
    purpose::Purpose,
};
use serde::Serialize;

use super::{
    columns::InboxColumns,
    emergency, granted,
    opened::{OpenedEvent, Recipient, check, tampered, verify},
    party::Party,
    received,
};
use crate::{
    Result,
    patient::{Vault, devices, requests},
    session::Session,
    trust::Asked,
};

type Opened = Result<OpenedEvent<InboxWhat>>;

/// What an event of an inbox tells its reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum InboxWhat {
    /// To the institution: a patient asks for an upload and has given the permission key.
    UploadRequest {
        /// The request by which she asks.
        request_id: RequestId,
        /// By which it is sent.
        permission_id: PermissionId,
    },
    /// To the patient: an institution asks to download.
    DownloadRequest {
        /// The request by which it asks.
        request_id: RequestId,
        /// The purpose that the request names, if it names one.
        #[serde(skip_serializing_if = "Option::is_none")]
        purpose: Option<Purpose>,
    },
    /// To the patient: an institution asks that another may download.
    ReferenceRequest {
        /// The request by which it asks.
        request_id: RequestId,
        /// The institution that would receive.
        #[serde(flatten, serialize_with = "Party::receiver")]
        to: Party,
        /// The purpose that the request names, if it names one.
        #[serde(skip_serializing_if = "Option::is_none")]
        purpose: Option<Purpose>,
    },
    /// To the institution: a permission key has come.
    Permission {
        /// The request that it answers.
        request_id: RequestId,
        /// By which records are received.
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
        /// The permission that it is about.
        permission_id: PermissionId,
    },
    /// To the patient: a record was stored.
    Stored {
        /// The permission by which it was.
        permission_id: PermissionId,
        /// The record that it is now.
        record_id: RecordId,
        /// The length of its stream in bytes.
        bytes: u64,
    },
    /// To the patient: bytes were released.
    Released {
        /// The permission by which it was.
        permission_id: PermissionId,
        /// The number of stream bytes.
        bytes: u64,
    },
    /// To the institution: a permission was revoked.
    Revoked {
        /// The permission that it is about.
        permission_id: PermissionId,
    },
    /// To the patient: a device of hers was added, named or removed; the text says which.
    DevicesChanged,
    /// To a delegate: a patient lets her act for her.
    Delegated,
    /// To a delegate: she acts for the patient no more.
    DelegationEnded,
    /// To the patient and her guardians: her emergency collection was opened.
    EmergencyOpened {
        /// The id of the opening.
        request_id: RequestId,
    },
    /// To the patient, her guardians and an institution: a guardian has begun to help.
    EmergencyHelp {
        /// The help, to which she can object.
        request_id: RequestId,
        /// The institution that may open.
        #[serde(flatten, serialize_with = "Party::receiver")]
        to: Party,
    },
    /// To the same readers: the patient has objected.
    EmergencyObjected {
        /// The id of the help.
        request_id: RequestId,
    },
    /// To a patient: another has named her as guardian.
    GuardianNamed {
        /// The permission by which it was.
        permission_id: PermissionId,
    },
    /// To the patient: a device of hers deleted a record.
    RecordDeleted {
        /// The record that is gone.
        record_id: RecordId,
    },
    /// To the patient: an institution took back what it had stored.
    TakenBack {
        /// The record that is gone.
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

    /// What the event is about.
    pub fn columns(&self) -> InboxColumns<'_> {
        let about = InboxColumns::default();
        match self {
            Self::UploadRequest {
                request_id,
                permission_id,
            } => about.request(request_id).permission(permission_id),
            Self::DownloadRequest { request_id, purpose } => about.request(request_id).purpose(*purpose),
            Self::ReferenceRequest {
                request_id,
                to,
                purpose,
            } => about.request(request_id).to(to).purpose(*purpose),
            Self::Permission {
                request_id,
                permission_id,
                purpose,
                delegate,
            } => {
                let about = about.request(request_id).permission(permission_id);
                about.purpose(*purpose).delegate(*delegate)
            }
            Self::Denial { request_id, delegate } => about.request(request_id).delegate(*delegate),
            Self::Stored {
                permission_id,
                record_id,
                bytes,
            } => about.permission(permission_id).record(record_id).bytes(*bytes),
            Self::Released { permission_id, bytes } => about.permission(permission_id).bytes(*bytes),
            Self::EmergencyHelp { request_id, to } => about.request(request_id).to(to),
            Self::Note { permission_id }
            | Self::Revoked { permission_id }
            | Self::GuardianNamed { permission_id } => about.permission(permission_id),
            Self::EmergencyOpened { request_id } | Self::EmergencyObjected { request_id } => {
                about.request(request_id)
            }
            Self::RecordDeleted { record_id } | Self::TakenBack { record_id } => about.record(record_id),
            _ => about,
        }
    }
}

/// Verifies and opens what was sent to a patient.
pub(super) async fn to_patient(patient: &Vault, what: What) -> Opened {
    use InboxWhat as Is;
    let session = patient.session();
    Ok(match what {
        What::DownloadRequested(said) => asked(patient, &session.asks.download(said).await?).await?,
        What::ReferenceRequested(said) => asked(patient, &session.asks.reference(said).await?).await?,
        What::DevicesChanged(list) => {
            let text = devices::devices_changed_text(patient, list).await?;
            OpenedEvent::new(Party::Patient(patient.id()), Is::DevicesChanged, text)
        }
        What::Delegated(said) => received::delegated(patient, said)?.map(|()| Is::Delegated),
        What::DelegationEnded(said) => received::delegation_ended(said)?.map(|()| Is::DelegationEnded),
        What::Stored(receipt) => {
            let stored = received::stored(patient, receipt).await?;
            stored.map(|(permission_id, record_id, bytes)| Is::Stored {
                permission_id,
                record_id,
                bytes,
            })
        }
        What::Released(receipt) => {
            let released = received::released(patient, receipt).await?;
            released.map(|(permission_id, bytes)| Is::Released { permission_id, bytes })
        }
        What::RecordDeleted(said) => {
            received::record_deleted(patient, said)?.map(|record_id| Is::RecordDeleted { record_id })
        }
        What::TakenBack(receipt) => received::taken_back(patient, receipt)
            .await?
            .map(|record_id| Is::TakenBack { record_id }),
        What::Revoked(said) => revoked(said)?,
        What::EmergencyOpened(used) => emergency::opened(patient, &used)
            .await?
            .map(|request_id| Is::EmergencyOpened { request_id }),
        What::EmergencyHelp(help) => help_began(session, help, Some(patient.id())).await?,
        What::EmergencyObjected(said) => {
            emergency::objected(said)?.map(|request_id| Is::EmergencyObjected { request_id })
        }
        What::GuardianNamed(permission) => {
            let named = emergency::guardian_named(permission, patient.id())?;
            named.map(|permission_id| Is::GuardianNamed { permission_id })
        }
        What::Deleted(_) => OpenedEvent::wordless(Party::Server, Is::Deleted),
        _ => return Err(tampered("it is for institutions")),
    })
}

/// Verifies and opens what was sent to an institution.
pub(super) async fn to_institution(session: &Session, to: Recipient<'_>, what: What) -> Opened {
    match what {
        What::UploadRequested(permitted) => {
            let asked = granted::upload_requested(session, to, permitted)?;
            Ok(asked.map(|(request_id, permission_id)| InboxWhat::UploadRequest {
                request_id,
                permission_id,
            }))
        }
        What::Permitted(message) => {
            let permitted = granted::permitted(session, to, &message).await?;
            Ok(permitted.map(|(request_id, permission)| InboxWhat::Permission {
                request_id,
                permission_id: permission.permission_id,
                purpose: permission.purpose,
                delegate: permission.delegation().map(|given| given.delegate_id),
            }))
        }
        What::Denied(denial) => denied(to, denial),
        What::Noted(note) => noted(to, note),
        What::Revoked(revocation) => revoked(revocation),
        What::EmergencyHelp(help) => help_began(session, help, None).await,
        What::EmergencyObjected(said) => {
            let objected = emergency::objected(said)?;
            Ok(objected.map(|request_id| InboxWhat::EmergencyObjected { request_id }))
        }
        What::Deleted(_) => Ok(OpenedEvent::wordless(Party::Server, InboxWhat::Deleted)),
        What::DownloadRequested(_)
        | What::ReferenceRequested(_)
        | What::DevicesChanged(_)
        | What::Delegated(_)
        | What::DelegationEnded(_)
        | What::EmergencyOpened(_)
        | What::GuardianNamed(_)
        | What::Stored(_)
        | What::Released(_)
        | What::RecordDeleted(_)
        | What::TakenBack(_) => Err(tampered("it is for patients")),
    }
}

fn denied(to: Recipient<'_>, message: impl ReadsAs<PatientSigned<Denial>>) -> Opened {
    let denial = verify(message)?;
    check(denial.institution_id == to.id)?;
    let text = to.open(denial.request_id, denial.patient_id, &denial.text)?;
    let what = InboxWhat::Denial {
        request_id: denial.request_id,
        delegate: denial.delegation().map(|given| given.delegate_id),
    };
    Ok(OpenedEvent::new(Party::Patient(denial.patient_id), what, text))
}

/// A note: the patient's word, to this institution (NOTE-3). That it is about a permission of hers, the server has seen to.
fn noted(to: Recipient<'_>, message: impl ReadsAs<PatientSigned<Note>>) -> Opened {
    let note = verify(message)?;
    check(note.institution_id == to.id)?;
    let text = to.open(note.note_id, note.patient_id, &note.text)?;
    Note::check_text(&text).map_err(tampered)?;
    let permission_id = note.permission_id;
    Ok(OpenedEvent::new(
        Party::Patient(note.patient_id),
        InboxWhat::Note { permission_id },
        text,
    ))
}

/// A permission was revoked: to its institution, or to a guardian.
fn revoked(message: impl ReadsAs<PatientSigned<Revocation>>) -> Opened {
    Ok(received::revoked(message)?.map(|permission_id| InboxWhat::Revoked { permission_id }))
}

async fn help_began(session: &Session, help: pb::EmergencyHelp, reader: Option<PatientId>) -> Opened {
    let helped = emergency::helped(session, help, reader).await?;
    Ok(helped.map(|(request_id, to)| InboxWhat::EmergencyHelp { request_id, to }))
}

/// An institution asks to download, or that another may.
async fn asked(patient: &Vault, asked: &Asked) -> Opened {
    let text = requests::open_asked(patient, asked).await?;
    let (request_id, purpose) = (asked.request_id, asked.purpose);
    let what = match asked.kind {
        Kind::Reference => InboxWhat::ReferenceRequest {
            request_id,
            to: Party::from(&patient.session().mirror.institution(asked.receiver).await?),
            purpose,
        },
        _ => InboxWhat::DownloadRequest { request_id, purpose },
    };
    Ok(OpenedEvent::new(Party::from(&asked.asker), what, text))
}
