//! `medvault server`: which server a home belongs to, and that it has moved.

use clap::Subcommand;
use client_sdk::{HomeServer, Moved, ServerLink, home_server, move_server};
use serde::Serialize;

use crate::{context::Context, failure::Failure, output::Report};

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
}

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
