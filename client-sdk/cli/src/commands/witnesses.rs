//! `medvault witnesses`: whose cosignatures of the server's log this home asks for.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use client_sdk::WitnessPolicy;

use crate::{
    context::Context,
    failure::Failure,
    new_file,
    output::{Report, plain},
};

/// What can be done with the policy of witnesses.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Ask for these witnesses from now on
    #[command(after_help = EXAMPLES)]
    Use {
        /// A policy in the form of c2sp.org/tlog-policy, from somebody other than the operator
        #[arg(value_name = "FILE")]
        policy: PathBuf,
    },
    /// Show whom this home asks for
    #[command(after_help = EXAMPLES)]
    Show,
}

const EXAMPLES: &str = "\
Example:
  medvault witnesses use witnesses.policy --home ~/vault

Witnesses are run by others than the operator. They cosign the server's log only while it continues what they have seen, so a
server that shows one history to you and another one to a hospital lacks their cosignatures for one of them. A policy:
  witness w1 witness.example/w1+5d1c9aef+BA…
  witness w2 …
  witness w3 …
  group two-of-three 2 w1 w2 w3
  quorum two-of-three";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let member = context.member().await?;
    let policy = match command {
        Command::Use { policy } => {
            let policy = read(&policy)?;
            member.trust().use_witnesses(&policy).await?;
            policy
        }
        Command::Show => member.trust().witnesses()?,
    };
    context.print(&policy)
}

/// Reads a policy that is to be used.
pub(crate) fn read(path: &Path) -> Result<WitnessPolicy, Failure> {
    Ok(WitnessPolicy::parse(&new_file::read(path)?)?)
}

impl Report for WitnessPolicy {
    fn text(&self) -> String {
        if !self.required {
            return "No witnesses are asked for: the server could show others another log. Use a policy with\n  \
                    medvault witnesses use FILE\n"
                .to_owned();
        }
        format!(
            "Cosignatures are asked for by this policy:\n{}",
            plain_lines(&self.file)
        )
    }
}

fn plain_lines(policy: &str) -> String {
    policy
        .lines()
        .map(|line| format!("  {}\n", plain(line)))
        .collect()
}
