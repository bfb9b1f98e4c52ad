//! Events in an institution's inbox.

use crypto::TextContext;
use protocol_spec::{
    bodies::Note,
    ids::InstitutionId,
    messages::{self as pb, event::What},
    patient::PatientVerified,
};

use super::{Content, InboxWhat, Party, check, denied, emergency, opening, tampered, verify};
use crate::{
    Result,
    keystore::{KeyStore, open_text},
    session::Session,
};

impl Session {
    /// Verifies and opens what was sent to an institution.
    pub(super) async fn to_institution(
        &self,
        id: InstitutionId,
        keys: &dyn KeyStore,
        what: What,
    ) -> Result<Content> {
        match what {
            What::UploadRequested(permitted) => self.upload_requested(permitted, id, keys),
            What::Permitted(message) => self.permitted(&message, id, keys).await,
            What::Denied(denial) => denied(denial, id, keys),
            What::Noted(note) => noted(note, id, keys),
            What::Revoked(revocation) => emergency::revoked(revocation),
            What::EmergencyHelp(help) => self.emergency_help(help, None).await,
            What::EmergencyObjected(statement) => emergency::objected(statement),
            What::Deleted(_) => Ok((Party::Server, InboxWhat::Deleted, String::new())),
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
}

/// A note: the patient's word, to this institution (NOTE-3). That it is about a permission of hers, the server has seen to.
fn noted(message: pb::PatientStatement, id: InstitutionId, keys: &dyn KeyStore) -> Result<Content> {
    let note: PatientVerified<Note> = verify(message)?;
    check(note.institution_id == id)?;
    let context = TextContext::to_institution(note.note_id, &note.patient_id, &id);
    let text = open_text(keys, &context, &note.text).map_err(opening)?;
    Note::check_text(&text).map_err(tampered)?;
    let about = InboxWhat::Note {
        permission_id: note.permission_id,
    };
    Ok((Party::Patient(note.patient_id), about, text))
}
