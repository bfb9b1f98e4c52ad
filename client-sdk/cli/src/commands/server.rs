//! `medvault server`: which server a home belongs to, and that it has moved.

use clap::Subcommand;
use client_sdk::{
    AcceptedRestoration, HomeServer, LostActs, Moved, RestorationInfo, ServerLink, accept_restoration,
    home_server, move_server,
};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, moment, timestamp},
};

/// What can be done about the server of a home.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Show which server the home belongs to; nobody is asked
    #[command(after_help = EXAMPLES)]
    Show,
    /// Follow the server to another name or port; the home stays as it is
    #[command(after_help = EXAMPLES)]
    Move {
        /// The new link, as the operator gives it out
        link: ServerLink,
    },
    /// Go on with a server on which an older copy of its data was put back, and say what was lost
    #[command(after_help = RESTORATION)]
    AcceptRestoration,
}

const RESTORATION: &str = "\
Example:
  medvault server accept-restoration --home ~/vault

It is done only when the operator and the registrar have both signed that the newest data are lost. A patient's device first takes back
again what she had revoked since; until then nothing of her vault moves. It can be repeated, to be told again.";

const EXAMPLES: &str = "\
Examples:
  medvault server show --home ~/vault
  medvault server move 'https://new.example:443/#m3k…' --home ~/vault

The server at the new link must have the keys of the one before: its operator's key signs that it answers there, and nothing is changed
otherwise. Transfers that were broken off go on at the new place. What was printed or handed out with the old link (recovery sheets,
emergency cards, invitations) still says that one: print it again, or keep the new link beside it.";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let (home, unlock) = (context.home()?, context.unlock()?);
    match command {
        Command::Show => context.print(&Shown::from(home_server(home, &unlock)?)),
        Command::AcceptRestoration => {
            context.print(&Accepted::from(accept_restoration(home, &unlock).await?))
        }
        Command::Move { link } => context.print(&Followed::from(move_server(home, &unlock, &link).await?)),
    }
}

#[derive(Serialize)]
struct Shown {
    link: String,
    operator_id: String,
    registrar_id: String,
    pins_certificate: bool,
}

impl From<HomeServer> for Shown {
    fn from(server: HomeServer) -> Self {
        Self {
            link: server.link.to_string(),
            operator_id: server.operator.to_string(),
            registrar_id: server.registrar.to_string(),
            pins_certificate: server.pins_certificate,
        }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let certificate = if self.pins_certificate {
            "the one that the link names"
        } else {
            "checked against this system's roots"
        };
        format!(
            "link         {}\noperator     {}\nregistrar    {}\ncertificate  {certificate}\n",
            self.link, self.operator_id, self.registrar_id
        )
    }
}

#[derive(Serialize)]
struct Followed {
    before: String,
    link: String,
}

impl From<Moved> for Followed {
    fn from(moved: Moved) -> Self {
        Self {
            before: moved.before.to_string(),
            link: moved.now.to_string(),
        }
    }
}

impl Report for Followed {
    fn text(&self) -> String {
        format!(
            "The same server answers there, and this home goes there from now on:\n  {}\nIt was:\n  {}\nWhat you have on paper or have \
             handed out with the old link still says that one.\n",
            self.link, self.before
        )
    }
}

#[derive(Serialize)]
struct Accepted {
    generation: u64,
    /// The time of the copy, RFC 3339: changes that came after it are lost.
    until: String,
    leaves: u64,
    lost: u64,
    lost_seen: u64,
    already: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<Vault>,
    #[serde(skip)]
    until_ms: u64,
}

/// What a patient is told of her own.
#[derive(Serialize)]
struct Vault {
    lost_acts: u64,
    lost_permissions: Vec<String>,
    lost_revocations: Vec<String>,
    lost_records: Vec<String>,
    lost_delegations: Vec<String>,
    lost_delegation_ends: Vec<String>,
    lost_deletions: Vec<String>,
    lost_take_backs: Vec<String>,
    lost_keys: bool,
    revoked_again: Vec<String>,
    ended_again: Vec<String>,
    deleted_again: Vec<String>,
}

impl From<AcceptedRestoration> for Accepted {
    fn from(accepted: AcceptedRestoration) -> Self {
        match accepted {
            AcceptedRestoration::Patient(returned) => {
                let vault = Vault {
                    revoked_again: texts(&returned.revoked),
                    ended_again: texts(&returned.ended),
                    deleted_again: texts(&returned.deleted),
                    ..Vault::from(&returned.lost)
                };
                Self::new(&returned.restoration, returned.already, Some(vault))
            }
            AcceptedRestoration::Institution(info, already) => Self::new(&info, already, None),
        }
    }
}

impl From<&LostActs> for Vault {
    fn from(lost: &LostActs) -> Self {
        Self {
            lost_acts: lost.acts,
            lost_permissions: texts(&lost.permissions),
            lost_revocations: texts(&lost.revocations),
            lost_records: texts(&lost.records),
            lost_delegations: texts(&lost.delegations),
            lost_delegation_ends: texts(&lost.delegation_ends),
            lost_deletions: texts(&lost.deletions),
            lost_take_backs: texts(&lost.taken_back),
            lost_keys: lost.keys,
            revoked_again: Vec::new(),
            ended_again: Vec::new(),
            deleted_again: Vec::new(),
        }
    }
}

impl Accepted {
    fn new(info: &RestorationInfo, already: bool, vault: Option<Vault>) -> Self {
        Self {
            generation: info.generation,
            until: timestamp(info.until),
            until_ms: info.until,
            leaves: info.leaves,
            lost: info.lost,
            lost_seen: info.lost_seen,
            already,
            vault,
        }
    }
}

fn texts<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

impl Report for Accepted {
    fn text(&self) -> String {
        let mut text = format!(
            "The operator has put back an older copy of the server's data, because the newest was lost; the registrar has agreed. Of its log {} \
             leaves are left, and {} are lost: what happened after {}.\n",
            self.leaves,
            self.lost,
            moment(self.until_ms)
        );
        text.push_str(&match &self.vault {
            Some(vault) => vault.text(),
            None => "What you have sent or asked for since then is not there any more: look into your inbox and your own files, send it again, and ask \
                     again. Nothing of a patient's vault moves before one of her devices was back.\n"
                .to_owned(),
        });
        if self.already {
            text.push_str("This home had accepted it before.\n");
        }
        text
    }
}

impl Vault {
    fn text(&self) -> String {
        let mut text = match self.lost_acts {
            0 => "Nothing of your vault that this device has seen was lost.\n".to_owned(),
            acts => format!("Of your vault {acts} changes were lost that this device has seen:\n"),
        };
        let lists = [
            (
                "permissions that you had given: give them again",
                &self.lost_permissions,
            ),
            ("permissions that you had taken back", &self.lost_revocations),
            (
                "records that had come: ask whoever sent them to send them again",
                &self.lost_records,
            ),
            (
                "delegations that you had given: give them again",
                &self.lost_delegations,
            ),
            ("delegations that you had ended", &self.lost_delegation_ends),
            ("records that you had deleted", &self.lost_deletions),
            (
                "uploads that were taken back, and may be there again: delete them if they are not for you",
                &self.lost_take_backs,
            ),
            (
                "revoked again just now, before anything can move",
                &self.revoked_again,
            ),
            ("delegations ended again just now", &self.ended_again),
            ("records deleted again just now", &self.deleted_again),
        ];
        for (what, ids) in lists.iter().filter(|(_, ids)| !ids.is_empty()) {
            text.push_str(&format!("  {what}:\n"));
            ids.iter().for_each(|id| text.push_str(&format!("    {id}\n")));
        }
        if self.lost_keys {
            text.push_str(
                "  A collection had a new key: run `medvault revoke` again for what you had taken back, so that it gets one again.\n",
            );
        }
        text.push_str("What other devices of yours had done since then, this one may not know. Your vault moves again.\n");
        text
    }
}
