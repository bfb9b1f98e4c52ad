//! Invitations: an institution lets patients enrol with its server. The server is not asked; it counts when
//! they come. See `protocol-spec/spec/accounts.md` §1.

use std::time::Duration;

use protocol_spec::{
    bodies::Invitation,
    ids::InvitationId,
    invitation::{Invited, MAX_LIFE, MAX_USES},
    statement::Signed,
};

use super::office::Office;
use crate::{Error, Result, ground::millis};

pub(super) fn invite(office: &Office, uses: u32, lifetime: Duration) -> Result<Invited> {
    office.by_identity_key()?;
    let lifetime = millis(lifetime);
    if !(1..=MAX_USES).contains(&uses) || !(1..=MAX_LIFE).contains(&lifetime) {
        return Err(Error::Usage(format!(
            "an invitation is for 1 to {MAX_USES} patients, and lives for 366 days at most"
        )));
    }
    let now = office.session.system().now_ms();
    let body = Invitation {
        created: now,
        operator_id: office.session.server.operator_id(),
        institution_id: Some(office.id()),
        invitation_id: office.session.system().id(InvitationId::mint)?,
        uses,
        expires: now.saturating_add(lifetime),
    };
    let signed = Signed::try_sign(body, |message| office.keys.sign(message))?;
    Ok(Invited {
        link: office.session.server.link().clone(),
        invitation: Some(signed.into()),
    })
}
