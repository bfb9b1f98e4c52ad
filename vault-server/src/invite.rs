//! `vault-server invite`: an invitation of the operator's, signed with its key. The server need not be asked: it counts how often
//! the invitation is used when it comes (ACC-2).

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use protocol_spec::{
    bodies::Invitation,
    ids::InvitationId,
    invitation::{InvitationText, Invited, MAX_LIFE, MAX_USES},
    link::ServerLink,
    statement::Signed,
};

use crate::{
    identity::OperatorIdentity,
    vault::{Clock, SystemClock},
};

/// Makes an invitation: whoever has it may enrol as a patient
#[derive(Clone, Debug, Parser)]
#[command(name = "vault-server invite", after_help = EXAMPLES)]
pub struct InviteOptions {
    /// The server's data directory, which has the operator's key
    #[arg(long, value_name = "DIR", env = "MEDVAULT_DATA", hide_env = true)]
    data: PathBuf,
    /// How many patients may enrol by it
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_USES)))]
    uses: u32,
    /// For how long, at most 366d
    #[arg(long = "for", value_name = "TIME", default_value = "30d", value_parser = lifetime)]
    lifetime: Duration,
    /// The server's link, to print both as one text, for a QR code [default: the invitation alone]
    #[arg(long, value_name = "LINK")]
    link: Option<ServerLink>,
}

const EXAMPLES: &str = "\
Example:
  vault-server invite --data /var/lib/medvault --uses 20 --for 30d --link 'https://vault.example:8443/#m3k…'

Hand it to those who shall enrol: medvault patient enrol --server LINK --invitation inv_…";

impl InviteOptions {
    /// The invitation, behind the link if there is one.
    ///
    /// Fails when the operator's key cannot be read, or the system has no random bytes.
    pub fn make(self) -> anyhow::Result<String> {
        let operator = OperatorIdentity::load(&self.data)?;
        let now = SystemClock.now_ms();
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        let body = Invitation {
            created: now,
            operator_id: operator.id(),
            institution_id: None,
            invitation_id: InvitationId::mint(now, random),
            uses: self.uses,
            expires: now.saturating_add(u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX)),
        };
        let invitation = InvitationText::from(Signed::sign(body, |message| operator.sign(message)));
        Ok(match self.link {
            None => invitation.to_string(),
            Some(link) => Invited {
                link,
                invitation: Some(invitation),
            }
            .to_string(),
        })
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if life.is_zero() || life > Duration::from_millis(MAX_LIFE) {
        return Err("an invitation lives from 1s to 366d".to_owned());
    }
    Ok(life)
}

#[cfg(test)]
mod tests {
    use protocol_spec::{ids::OperatorId, invitation};

    use super::*;

    fn parse(args: &[&str]) -> Result<InviteOptions, clap::Error> {
        InviteOptions::try_parse_from(["vault-server invite"].iter().chain(args))
    }

    #[test]
    fn an_invitation_is_the_operators() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().to_str().unwrap();
        let make = |args: &[&str]| parse(&[&["--data", data], args].concat()).unwrap().make();
        let missing = make(&[]).unwrap_err().to_string();
        assert!(missing.contains("operator.key"), "{missing}");

        let operator = OperatorIdentity::load_or_create(dir.path()).unwrap();
        let text: InvitationText = make(&["--uses", "3", "--for", "2d"]).unwrap().parse().unwrap();
        let id = OperatorId::from(operator.key());
        let checked = invitation::verify(text.signed().clone(), id, operator.key()).unwrap();
        assert_eq!(
            (checked.uses, checked.expires - checked.created),
            (3, 2 * 86_400_000)
        );
    }

    #[test]
    fn bounds_are_told() {
        for args in [
            ["--uses", "0"],
            ["--uses", "10001"],
            ["--for", "367d"],
            ["--for", "0s"],
        ] {
            assert!(
                parse(&[&["--data", "d"], &args[..]].concat()).is_err(),
                "{args:?}"
            );
        }
    }
}
