//! `medvault registrar`: says which institutions are what they claim. Works offline; its key never meets the server.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use client_sdk::{Accredited, Accrediting, InstitutionId, Registrar, registrar::Applicant, text};
use serde::Serialize;

use super::programs::{Vouching, vouch};
use crate::{
    confirm::confirm,
    context::Context,
    failure::Failure,
    new_file::{self, NewFile},
    output::{Report, moment, party, plain, table},
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
        /// Accredit it although its name looks like that of another that you have accredited
        #[arg(long)]
        although_alike: bool,
    },
    /// List what this registrar has accredited
    #[command(after_help = EXAMPLES)]
    List,
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
    /// Agree that an operator goes on with an older copy of its data, because the newest is lost for good
    #[command(after_help = RESTORE)]
    Restore {
        /// The file that the operator made with `vault-server restoration prepare`
        request_file: PathBuf,
        /// Where the agreement goes, for the operator
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Sign although you have signed another one for this log, which the operator has not begun with
        #[arg(long)]
        again: bool,
        /// Do not ask whether it is right
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

const RESTORE: &str = "\
Example:
  medvault registrar restore restoration.ask --out restoration.signed --home ~/registrar

By it what was revoked since that copy could hold again, so clients want your signature beside the operator's. Sign when you know by other
means that the newest data are lost and no newer copy is left, and never twice for the same log. What you have withdrawn since then
is withdrawn no more: carry those files to the server again.";

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
  medvault registrar list --home ~/registrar

Before you confirm, compare the fingerprints with the institution over a channel you trust. You are told when people would take
the name for that of another that you have accredited.";

pub(crate) fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init => {
            let registrar = Registrar::init(context.ground()?, &context.unlock_to_make()?)?;
            context.print(&Made {
                registrar: registrar.key_text(),
            })
        }
        Command::Accredit {
            request_file,
            out,
            emergency,
            yes,
            although_alike,
        } => {
            let how = Accrediting {
                emergency,
                although_alike,
            };
            accredit(context, &request_file, &out, how, yes)
        }
        Command::List => context.print(&List {
            accredited: context
                .registrar()?
                .accredited()?
                .into_iter()
                .map(Listed::from)
                .collect(),
        }),
        Command::Withdraw {
            institution,
            out,
            yes,
        } => withdraw(context, institution, &out, yes),
        Command::Restore {
            request_file,
            out,
            again,
            yes,
        } => restore(context, &request_file, &out, again, yes),
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
    let path = out.write(&registrar.withdraw(institution)?)?;
    context.print(&Withdrawal {
        institution_id: institution.to_string(),
        withdrawal: path.display().to_string(),
    })
}

fn restore(
    context: &Context,
    request_file: &Path,
    out: &Path,
    again: bool,
    yes: bool,
) -> Result<(), Failure> {
    let request = new_file::read(request_file)?;
    let registrar = context.registrar()?;
    let out = NewFile::at(out)?;
    let asked = Registrar::inspect_restoration(&request)?;
    let operator = asked.operator_id.to_string();
    if !yes && !context.json() {
        confirm(
            &format!(
                "operator      {operator}\nlog           {}\nthe copy has  {} leaves, until {}\nit had        {} leaves, as far as the operator knows",
                asked.generation,
                asked.size,
                moment(asked.until),
                asked.seen
            ),
            "Agree that it goes on from this copy, and that all that came later is lost?",
        )?;
    }
    let path = out.write(&registrar.restore(&request, again)?)?;
    context.print(&Restored {
        operator_id: operator,
        generation: asked.generation,
        restoration: path.display().to_string(),
    })
}

fn accredit(
    context: &Context,
    request_file: &Path,
    out: &Path,
    mut how: Accrediting,
    yes: bool,
) -> Result<(), Failure> {
    let request = new_file::read(request_file)?;
    let registrar = context.registrar()?;
    let out = NewFile::at(out)?;
    let applicant = Registrar::inspect(&request)?;
    let alike = registrar.alike(&applicant)?;
    if !yes && !context.json() {
        confirm(
            &about(&applicant, &alike),
            question(how.emergency, !alike.is_empty()),
        )?;
        how.although_alike = true;
    }
    let (accredited, accreditation) = registrar.accredit(&request, how)?;
    let path = out.write(&accreditation)?;
    context.print(&Done {
        institution_id: accredited.institution_id.to_string(),
        name: accredited.name,
        emergency: how.emergency,
        looks_like: alike.into_iter().map(|one| one.institution_id).collect(),
        accreditation: path.display().to_string(),
    })
}

/// What the registrar compares with what it knows by other means.
fn about(applicant: &Applicant, alike: &[Accredited]) -> String {
    let looks_like = alike.iter().map(|one| {
        format!(
            "\nLOOKS LIKE    {}, accredited {}",
            party(&one.name, &one.institution_id),
            moment(one.at)
        )
    });
    format!(
        "name          {}\ninstitution   {}\nrecipient key {}{}",
        plain(&applicant.name),
        applicant.institution_id,
        applicant.recipient_key,
        looks_like.collect::<String>()
    )
}

fn question(emergency: bool, alike: bool) -> &'static str {
    match (emergency, alike) {
        (false, false) => "Accredit this name with these keys?",
        (true, false) => "Accredit this name with these keys, also for emergencies?",
        (false, true) => "Accredit this name with these keys, although people will take it for the other?",
        (true, true) => {
            "Accredit this name with these keys, also for emergencies, although people will take it for the other?"
        }
    }
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
struct Done {
    institution_id: String,
    name: String,
    emergency: bool,
    /// Others whose names look like this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    looks_like: Vec<String>,
    accreditation: String,
}

impl Report for Done {
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
struct List {
    accredited: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    institution_id: String,
    name: String,
    #[serde(rename = "accredited", serialize_with = "text::moment")]
    at: u64,
    emergency: bool,
    withdrawn: bool,
}

impl From<Accredited> for Listed {
    fn from(one: Accredited) -> Self {
        Self {
            institution_id: one.institution_id,
            name: one.name,
            at: one.at,
            emergency: one.emergency,
            withdrawn: one.withdrawn,
        }
    }
}

impl Report for List {
    fn text(&self) -> String {
        if self.accredited.is_empty() {
            return "This registrar has accredited nobody yet.\n".to_owned();
        }
        table(
            ["INSTITUTION", "ACCREDITED", "", "NAME"],
            self.accredited.iter().map(|one| {
                let state = match (one.withdrawn, one.emergency) {
                    (true, _) => "withdrawn",
                    (false, true) => "for emergencies",
                    (false, false) => "",
                };
                [
                    one.institution_id.clone(),
                    moment(one.at),
                    state.to_owned(),
                    plain(&one.name),
                ]
            }),
        )
    }
}

#[derive(Serialize)]
struct Restored {
    operator_id: String,
    generation: u64,
    restoration: String,
}

impl Report for Restored {
    fn text(&self) -> String {
        format!(
            "Agreed that {} goes on with log {}.\nGive the operator the file {}; it takes it in by vault-server restoration begin.\n",
            self.operator_id, self.generation, self.restoration
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
