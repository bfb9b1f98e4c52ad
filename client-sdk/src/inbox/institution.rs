//! Events in an institution's inbox.

use protocol_spec::{ids::InstitutionId, messages::event::What};

use super::{Content, InboxWhat, Party, denied, emergency, tampered};
use crate::{Result, keystore::KeyStore, session::Session};

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
