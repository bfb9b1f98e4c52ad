//! `medvault registrar`: says which institutions are what they claim. Works offline; its key never meets the server.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use client_sdk::{InstitutionId, Registrar};
use serde::Serialize;

use super::programs::{Vouching, vouch};
use crate::{
    confirm::confirm,
    context::Context,
    failure::Failure,
    new_file::{self, NewFile},
    output::{Report, plain},
};

/// What a registrar does.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Make the registrar's key; servers are started with its public part
    #[command(after_help = EXAMPLES)]
    Init,
    /// Check an institution's request with your own means, then accredit its name and keys
    #[command(after_help = EXAMPLES)]
    Accredit {
        /// The file that the institution made with `medvault institution request`
        request_file: PathBuf,
        /// Where the accreditation goes; only this institution can use it
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Let it open in emergencies, with a patient's card or after a guardian's help
        #[arg(long)]
        emergency: bool,
        /// Do not ask whether name and fingerprints are right
        #[arg(long)]
        yes: bool,
    },
    /// Withdraw an institution's accreditation, for ever; anybody can carry the file to the servers
    #[command(after_help = WITHDRAW)]
    Withdraw {
        /// The institution's id, as `medvault directory` shows it
        institution: InstitutionId,
        /// Where the withdrawal goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Do not ask whether it is the right one
        #[arg(long)]
        yes: bool,
    },
    /// Vouch for a client program that you have built yourself; anybody can carry the file to the servers
    #[command(after_help = VOUCH)]
    Vouch(Vouching),
}

const VOUCH: &str = "\
Example:
  medvault registrar vouch medvault --name medvault --version 1.0.1 --target x86_64-unknown-linux-gnu \\
    --source 9d6e8ed… --toolchain 'rustc 1.90.0' --out medvault-1.0.1.program --home ~/registrar
  medvault directory publish medvault-1.0.1.program --server 'https://vault.example:8443/#…'

It cannot be taken back, and no other file is ever vouched for under this name, version and target.";

const WITHDRAW: &str = "\
Example:
  medvault registrar withdraw inst_ab3… --out st-anna.withdrawal --home ~/registrar
  medvault directory withdraw st-anna.withdrawal --server 'https://vault.example:8443/#…'

It is for the institution's identity, for ever: to be accredited again it makes new keys.";

const EXAMPLES: &str = "\
Examples:
  medvault registrar init --home ~/registrar
  medvault registrar accredit st-anna.request --out st-anna.accreditation --home ~/registrar
  medvault registrar accredit ambulance.request --emergency --out ambulance.accreditation --home ~/registrar

Before you confirm, compare the fingerprints with the institution over a channel you trust.";

pub(crate) fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init => {
            let registrar = Registrar::init(context.home()?, &context.unlock_to_make()?)?;
            context.print(&Made {
                registrar: registrar.key_text(),
            })
        }
        Command::Accredit {
            request_file,
            out,
            emergency,
            yes,
        } => accredit(context, &request_file, &out, (emergency, yes)),
        Command::Withdraw {
            institution,
            out,
            yes,
        } => withdraw(context, institution, &out, yes),
        Command::Vouch(vouching) => vouch(context, vouching),
    }
}

fn withdraw(context: &Context, institution: InstitutionId, out: &Path, yes: bool) -> Result<(), Failure> {
    let registrar = context.registrar()?;
    let out = NewFile::at(out)?;
    if !yes && !context.json() {
        confirm(
            &format!("institution   {institution}"),
            "Withdraw its accreditation, for ever?",
        )?;
    }
    let path = out.write(&registrar.withdraw(institution))?;
    context.print(&Withdrawal {
        institution_id: institution.to_string(),
        withdrawal: path.display().to_string(),
    })
}

fn accredit(
    context: &Context,
    request_file: &Path,
    out: &Path,
    (emergency, yes): (bool, bool),
) -> Result<(), Failure> {
    let request = new_file::read(request_file)?;
    let registrar = context.registrar()?;
    let out = NewFile::at(out)?;
    if !yes && !context.json() {
        let applicant = Registrar::inspect(&request)?;
        let about = format!(
            "name          {}\ninstitution   {}\nrecipient key {}",
            plain(&applicant.name),
            applicant.institution_id,
            applicant.recipient_key
        );
        let question = if emergency {
            "Accredit this name with these keys, also for emergencies?"
        } else {
            "Accredit this name with these keys?"
        };
        confirm(&about, question)?;
    }
    let (accredited, accreditation) = registrar.accredit(&request, emergency)?;
    let path = out.write(&accreditation)?;
    context.print(&Accredited {
        institution_id: accredited.institution_id.to_string(),
        name: accredited.name,
        emergency,
        accreditation: path.display().to_string(),
    })
}

#[derive(Serialize)]
struct Made {
    registrar: String,
}

impl Report for Made {
    fn text(&self) -> String {
        format!(
            "The registrar's public key, for vault-server --registrar:\n  {}\n",
            self.registrar
        )
    }
}

#[derive(Serialize)]
struct Accredited {
    institution_id: String,
    name: String,
    emergency: bool,
    accreditation: String,
}

impl Report for Accredited {
    fn text(&self) -> String {
        format!(
            "{} is accredited{} as\n  {}\nGive it the file {}.\n",
            plain(&self.name),
            if self.emergency { " for emergencies" } else { "" },
            self.institution_id,
            self.accreditation
        )
    }
}

#[derive(Serialize)]
struct Withdrawal {
    institution_id: String,
    withdrawal: String,
}

impl Report for Withdrawal {
    fn text(&self) -> String {
        let Self {
            institution_id,
            withdrawal,
        } = self;
        format!(
            "The accreditation of {institution_id} is withdrawn by\n  {withdrawal}\nNothing ends before a server has it: \
             medvault directory withdraw {withdrawal} --server LINK\n"
        )
    }
}
