//! `medvault server`: which server a home belongs to, and that it has moved.

use std::fmt::Display;

use clap::Subcommand;
use client_sdk::{
    AcceptedRestoration, HomeServer, Moved, RestorationInfo, Returned, ServerLink, accept_restoration,
    home_server, move_server,
};

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, fields, moment},
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
    let (home, unlock) = (context.ground()?, context.unlock()?);
    match command {
        Command::Show => context.print(&home_server(home, &unlock)?),
        Command::AcceptRestoration => say_accepted(context, &accept_restoration(home, &unlock).await?),
        Command::Move { link } => context.print(&move_server(home, &unlock, &link).await?),
    }
}

impl Report for HomeServer {
    fn text(&self) -> String {
        let certificate = if self.pins_certificate {
            "the one that the link names"
        } else {
            "checked against this system's roots"
        };
        format!(
            "link         {}\noperator     {}\nregistrar    {}\ncertificate  {certificate}\n",
            self.link, self.operator, self.registrar
        )
    }
}

impl Report for Moved {
    fn text(&self) -> String {
        format!(
            "The same server answers there, and this home goes there from now on:\n  {}\nIt was:\n  {}\nWhat you have on paper or have \
             handed out with the old link still says that one.\n",
            self.now, self.before
        )
    }
}

/// Prints what a restoration has cost whoever has accepted it.
fn say_accepted(context: &Context, accepted: &AcceptedRestoration) -> Result<(), Failure> {
    match accepted {
        AcceptedRestoration::Patient(vault) => {
            let (restoration, already) = (&vault.restoration, vault.already);
            context.say(
                &accepted_text(restoration, already, &what_was_lost(vault)),
                &fields! { #[serde(flatten)] restoration, already, vault },
            )
        }
        AcceptedRestoration::Institution(restoration, already) => context.say(
            &accepted_text(restoration, *already, LOST_BY_AN_INSTITUTION),
            &fields! { #[serde(flatten)] restoration, already },
        ),
    }
}

const LOST_BY_AN_INSTITUTION: &str = "What you have sent or asked for since then is not there any more: look into your inbox and your own files, \
                                      send it again, and ask again. Nothing of a patient's vault moves before one of her devices was back.\n";

fn accepted_text(restoration: &RestorationInfo, already: bool, own: &str) -> String {
    let RestorationInfo {
        leaves, lost, until, ..
    } = restoration;
    let before = if already {
        "This home had accepted it before.\n"
    } else {
        ""
    };
    format!(
        "The operator has put back an older copy of the server's data, because the newest was lost; the registrar has agreed. Of its log \
         {leaves} leaves are left, and {lost} are lost: what happened after {}.\n{own}{before}",
        moment(*until)
    )
}

fn what_was_lost(vault: &Returned) -> String {
    let lost = &vault.lost;
    let mut text = match lost.acts {
        0 => "Nothing of your vault that this device has seen was lost.\n".to_owned(),
        acts => format!("Of your vault {acts} changes were lost that this device has seen:\n"),
    };
    let lists = [
        (
            "permissions that you had given: give them again",
            lines(&lost.permissions),
        ),
        ("permissions that you had taken back", lines(&lost.revocations)),
        (
            "records that had come: ask whoever sent them to send them again",
            lines(&lost.records),
        ),
        (
            "delegations that you had given: give them again",
            lines(&lost.delegations),
        ),
        ("delegations that you had ended", lines(&lost.delegation_ends)),
        ("records that you had deleted", lines(&lost.deletions)),
        (
            "uploads that were taken back, and may be there again: delete them if they are not for you",
            lines(&lost.taken_back),
        ),
        (
            "revoked again just now, before anything can move",
            lines(&vault.revoked),
        ),
        ("delegations ended again just now", lines(&vault.ended)),
        ("records deleted again just now", lines(&vault.deleted)),
    ];
    for (what, ids) in lists.iter().filter(|(_, ids)| !ids.is_empty()) {
        text.push_str(&format!("  {what}:\n{ids}"));
    }
    if lost.keys {
        text.push_str(
            "  A collection had a new key: run `medvault revoke` again for what you had taken back, so that it gets one again.\n",
        );
    }
    text.push_str(
        "What other devices of yours had done since then, this one may not know. Your vault moves again.\n",
    );
    text
}

fn lines<T: Display>(ids: &[T]) -> String {
    ids.iter().map(|id| format!("    {id}\n")).collect()
}
