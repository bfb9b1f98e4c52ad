//! Invitations: an institution lets patients enrol with its server. The server is not asked; it counts when they come. See
//! `protocol-spec/spec/accounts.md` §1.

use std::time::Duration;

use protocol_spec::{
    bodies::Invitation,
    ids::InvitationId,
    invitation::{Invited, MAX_LIFE, MAX_USES},
    statement::Signed,
};

use super::Institution;
use crate::{Error, Result, mint};

impl Institution {
    /// An invitation for so many patients, and the link of the server with it.
    ///
    /// # Errors
    /// [`Error::Usage`] in the home of a terminal, or for more patients or longer than there may be;
    /// [`Error::KeyStore`].
    pub fn invite(&self, uses: u32, lifetime: Duration) -> Result<Invited> {
        self.by_identity_key()?;
        let lifetime = mint::millis(lifetime);
        if !(1..=MAX_USES).contains(&uses) || !(1..=MAX_LIFE).contains(&lifetime) {
            return Err(Error::Usage(format!(
                "an invitation is for 1 to {MAX_USES} patients, and lives for 366 days at most"
            )));
        }
        let now = mint::now_ms();
        let body = Invitation {
            created: now,
            operator_id: self.session.server.operator_id(),
            institution_id: Some(self.id()),
            invitation_id: mint::id(InvitationId::mint)?,
            uses,
            expires: now.saturating_add(lifetime),
        };
        let signed = Signed::try_sign(body, |message| self.keys.sign(message))?;
        Ok(Invited {
            link: self.session.server.link().clone(),
            invitation: Some(signed.into()),
        })
    }
}
