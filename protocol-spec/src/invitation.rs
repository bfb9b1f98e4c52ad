//! Invitations: by which patients enrol. Whoever holds one may use it; the server counts. See `spec/accounts.md` §1.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;
use prost::Message;

use crate::{
    Error,
    bodies::Invitation,
    ids::OperatorId,
    keys::IdentityKey,
    link::ServerLink,
    messages as pb,
    statement::{Signed, Verified},
};

/// Most patients of one invitation.
pub const MAX_USES: u32 = 10_000;
/// An invitation lives a year at most, in milliseconds.
pub const MAX_LIFE: u64 = 366 * 24 * 3600 * 1000;

/// An invitation as it is handed on: `inv_` and the base32 of its statement (ACC-2).
#[derive(Clone, Debug)]
pub struct InvitationText(Signed<Invitation>);

impl InvitationText {
    /// The invitation's statement, which nobody has verified.
    pub fn signed(&self) -> &Signed<Invitation> {
        &self.0
    }
}

impl From<Signed<Invitation>> for InvitationText {
    fn from(signed: Signed<Invitation>) -> Self {
        Self(signed)
    }
}

impl FromStr for InvitationText {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let form = Error::IdText { want: "inv_…" };
        let body = text.trim().strip_prefix(PREFIX).ok_or(form.clone())?;
        if body.bytes().any(|c| c.is_ascii_uppercase()) {
            return Err(form);
        }
        let bytes = BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes());
        let message: pb::Statement = pb::decode(&bytes.map_err(|_| form)?)?;
        Signed::try_from(message).map(Self)
    }
}

impl fmt::Display for InvitationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.to_message().encode_to_vec();
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

/// A server's link, with which an invitation may come along: `https://host:port/#fingerprint.inv_…`.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The link of the server at which one enrols.
    pub link: ServerLink,
    /// The invitation by which one may enrol there, if one came along.
    pub invitation: Option<InvitationText>,
}

impl FromStr for Invited {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (link, invitation) = match text.trim().split_once(BESIDE_LINK) {
            Some((link, rest)) => (link, Some(format!("{PREFIX}{rest}").parse()?)),
            None => (text, None),
        };
        Ok(Self {
            link: link.parse()?,
            invitation,
        })
    }
}

impl fmt::Display for Invited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.link)?;
        match &self.invitation {
            Some(invitation) => write!(f, ".{invitation}"),
            None => Ok(()),
        }
    }
}

/// Checks an invitation under the key of whoever it says invites: of this server, for no more patients and no longer
/// than there may be (ACC-2).
pub fn verify(
    invitation: Signed<Invitation>,
    operator: OperatorId,
    key: &IdentityKey,
) -> Result<Verified<Invitation>, Error> {
    let claimed = invitation.claimed();
    if claimed.operator_id != operator {
        return Err(Error::Mismatch {
            what: "invitation and server",
        });
    }
    if !(1..=MAX_USES).contains(&claimed.uses) {
        return Err(Error::Field { field: "uses" });
    }
    if claimed.expires > claimed.created.saturating_add(MAX_LIFE) {
        return Err(Error::Field { field: "expires" });
    }
    invitation.verify(key)
}

const PREFIX: &str = "inv_";
const BESIDE_LINK: &str = ".inv_";

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::{hash::Sha256Digest, ids::InvitationId, link::Fingerprint};

    fn key(seed: u8) -> (SigningKey, IdentityKey) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = IdentityKey::try_from(key.verifying_key().as_bytes().as_slice()).unwrap();
        (key, public)
    }

    fn invitation(edit: impl FnOnce(&mut Invitation)) -> Signed<Invitation> {
        let (operator, public) = key(1);
        let mut body = Invitation {
            created: 1000,
            operator_id: OperatorId::from(&public),
            institution_id: None,
            invitation_id: InvitationId::from_bytes([7; 16]),
            uses: 1,
            expires: 2000,
        };
        edit(&mut body);
        Signed::sign(body, |message| operator.sign(message).to_bytes())
    }

    /// ACC-2
    #[test]
    fn an_invitation_is_for_one_server_few_patients_and_a_year() {
        let (_, public) = key(1);
        let check = |invitation| verify(invitation, OperatorId::from(&public), &public);
        assert!(check(invitation(|_| ())).is_ok());
        assert!(
            check(invitation(
                |body| body.operator_id = OperatorId::from_bytes([9; 32])
            ))
            .is_err()
        );
        assert!(check(invitation(|body| body.uses = 0)).is_err());
        assert!(check(invitation(|body| body.uses = MAX_USES + 1)).is_err());
        assert!(check(invitation(|body| body.expires = 1001 + MAX_LIFE)).is_err());
        assert!(verify(invitation(|_| ()), OperatorId::from(&public), &key(2).1).is_err());
    }

    #[test]
    fn text_comes_back_alone_and_beside_a_link() {
        let text = InvitationText::from(invitation(|_| ()));
        let again: InvitationText = text.to_string().parse().unwrap();
        assert_eq!(again.signed().hash(), text.signed().hash());
        assert!(text.to_string().to_uppercase().parse::<InvitationText>().is_err());
        assert!("inv_aaaa".parse::<InvitationText>().is_err());

        let (_, public) = key(1);
        let fingerprint = Fingerprint::of(&public, &public, Some(&Sha256Digest::of(b"certificate")));
        let link = ServerLink::new("vault.example:8443", fingerprint).unwrap();
        let alone: Invited = link.to_string().parse().unwrap();
        assert!(alone.link == link && alone.invitation.is_none());
        let both = Invited {
            link: link.clone(),
            invitation: Some(text.clone()),
        };
        let again: Invited = both.to_string().parse().unwrap();
        assert_eq!(again.link, link);
        assert_eq!(again.invitation.unwrap().to_string(), text.to_string());
        assert!(format!("{link}.inv_").parse::<Invited>().is_err());
    }
}
