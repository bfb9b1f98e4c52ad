//! `medvault registrar`: says which institutions are what they claim. Works offline; its key never meets the server.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use client_sdk::{Accredited, Accrediting, InstitutionId, Registrar, registrar::Applicant, text::timestamp};

use super::programs::{Vouching, vouch};
use crate::{
    confirm::confirm,
    context::Context,
    failure::Failure,
    new_file::{self, NewFile},
    output::{fields, moment, party, plain, table_or},
};

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
        /// Where the signed withdrawal goes
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
            let registrar = registrar.key_text();
            context.say(
                &format!("The registrar's public key, for vault-server --registrar:\n  {registrar}\n"),
                &fields! { registrar },
            )
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
        Command::List => list(context),
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
    let withdrawal = path.display().to_string();
    context.say(
        &format!(
            "The accreditation of {institution} is withdrawn by\n  {withdrawal}\nNothing ends before a server has it: \
             medvault directory withdraw {withdrawal} --server LINK\n"
        ),
        &fields! { institution_id: institution, withdrawal: &withdrawal },
    )
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
    let (operator, generation) = (asked.operator_id.to_string(), asked.generation);
    if !yes && !context.json() {
        confirm(
            &format!(
                "operator      {operator}\nlog           {}\nthe copy has  {} leaves, until {}\nit had        {} leaves, as far as the operator knows",
                generation,
                asked.size,
                moment(asked.until),
                asked.seen
            ),
            "Agree that it goes on from this copy, and that all that came later is lost?",
        )?;
    }
    let path = out.write(&registrar.restore(&request, again)?)?;
    let restoration = path.display().to_string();
    context.say(
        &format!(
            "Agreed that {operator} goes on with log {generation}.\nGive the operator the file {restoration}; it takes it in by \
             vault-server restoration begin.\n"
        ),
        &fields! { operator_id: &operator, generation, restoration: &restoration },
    )
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
    let accreditation = path.display().to_string();
    let (institution_id, name) = (accredited.institution_id, accredited.name);
    let text = format!(
        "{} is accredited{} as\n  {institution_id}\nGive it the file {accreditation}.\n",
        plain(&name),
        if how.emergency { " for emergencies" } else { "" },
    );
    let looks_like: Vec<String> = alike.into_iter().map(|one| one.institution_id).collect();
    let others = (!looks_like.is_empty()).then(|| fields! { looks_like });
    let fields =
        fields! { institution_id, name, emergency: how.emergency, #[serde(flatten)] others, accreditation };
    context.say(&text, &fields)
}

fn list(context: &Context) -> Result<(), Failure> {
    let all = context.registrar()?.accredited()?;
    let rows = all.iter().map(|one| {
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
    });
    let text = table_or(
        "This registrar has accredited nobody yet.\n",
        ["INSTITUTION", "ACCREDITED", "", "NAME"],
        rows,
    );
    let accredited = all.iter().map(|one| {
        fields! {
            institution_id: &one.institution_id,
            name: &one.name,
            accredited: timestamp(one.at),
            emergency: one.emergency,
            withdrawn: one.withdrawn,
        }
    });
    context.say(&text, &fields! { accredited: accredited.collect::<Vec<_>>() })
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
