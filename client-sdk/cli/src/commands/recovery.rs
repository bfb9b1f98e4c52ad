//! `medvault recovery`: what is done while there is still a device, and what trustees do.

use std::{
    io::{IsTerminal, stdout},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use client_sdk::{DeviceId, Kit, Patient, RecoveringMachine, ReturnedFile, text::timestamp};
use zeroize::Zeroizing;

use crate::{
    context::{Context, Member},
    failure::Failure,
    new_file::{self, NewFile, SecretPage},
    output::{fields, moment, note, plain, table},
    progress::Bar,
    words,
};

/// How a patient prepares, and how trustees help.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Make a kit of 24 words that opens the vault when all devices are lost; it replaces the one before
    #[command(after_help = EXAMPLES)]
    Kit {
        /// Write it as a page to print; the file holds the words
        #[arg(long, value_name = "FILE")]
        pdf: Option<PathBuf>,
        /// A file with the words of the kit before, which then goes at once; on a terminal they are asked for. Without them one
        /// that is older than a week stays for another week, unless another device removes it
        #[arg(long, value_name = "FILE")]
        before: Option<PathBuf>,
    },
    /// Prove that the kit works, without changing anything; the words are asked for, or read from standard input
    #[command(after_help = EXAMPLES)]
    Drill,
    /// Divide a second secret among trustees; new trustees replace those before
    #[command(after_help = EXAMPLES)]
    Trustees {
        /// How many of them it takes to restore the vault
        #[arg(long, value_name = "K")]
        threshold: u8,
        /// Where the files for them go
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// Patient ids; ids or names of institutions
        #[arg(required = true, value_name = "TRUSTEE")]
        trustees: Vec<String>,
    },
    /// On a machine that has nothing: make the file and the check string for trustees
    #[command(after_help = EXAMPLES)]
    Ask {
        /// The file for the trustees
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// As a trustee: give a share back to the machine of somebody whose voice you know
    #[command(after_help = EXAMPLES)]
    Share {
        /// The share, as you were given it
        share: PathBuf,
        /// What `recovery ask` has written on the machine that recovers
        #[arg(long = "for", value_name = "FILE")]
        ask: PathBuf,
        /// The check string, as the patient has told you in person or by voice
        #[arg(long, value_name = "STRING")]
        check: String,
        /// The file that you send to her
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

const EXAMPLES: &str = "\
Examples:
  medvault recovery kit --pdf kit.pdf
  medvault recovery drill
  medvault recovery trustees --threshold 2 --out shares pat_ae5… pat_kq2… 'St. Anna'
When all devices are lost:
  medvault recover --home ~/vault --server 'https://vault.example:8443/#m3k…'
or with trustees:
  medvault recovery ask --home ~/vault --out ask.recovery                          on the new machine
  medvault recovery share 1.share --for ask.recovery --check abcd-efgh-ijkl-mnop --out 1.returned   each trustee
  medvault recover --home ~/vault --server LINK --shares 1.returned 3.returned      on the new machine";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Kit { pdf, before } => kit(context, pdf.as_deref(), before.as_deref()).await,
        Command::Drill => drill(context).await,
        Command::Trustees {
            threshold,
            out,
            trustees: names,
        } => trustees(context, threshold, &out, &names).await,
        Command::Ask { out } => ask(context, &out).await,
        Command::Share {
            share,
            ask,
            check,
            out,
        } => give_back(context, &share, &ask, &check, &out).await,
    }
}

/// The kit is put in force once its words are proven to be written down; before that nothing has changed.
async fn kit(context: &Context, pdf: Option<&Path>, before: Option<&Path>) -> Result<(), Failure> {
    let terminal = stdout().is_terminal() && !context.json();
    if pdf.is_none() && !terminal {
        return Err(Failure::usage(
            "the words are shown on a terminal alone: run this on one without --json, or give --pdf FILE",
        ));
    }
    let file = pdf.map(NewFile::at).transpose()?;
    let patient = context.patient().await?;
    let before = words_before(&patient, before, terminal).await?;
    let kit = Kit::generate(&patient)?;
    let page = match file {
        Some(file) => Some(SecretPage::write(file, &patient.kit_sheet(&kit)?)?),
        None => None,
    };
    if terminal {
        words::show(kit.words()).await?;
    } else if let Some(page) = &page {
        note(&format!("The words stand in {}.", page.path().display()));
    }
    words::ask_for_three(&patient, &kit).await?;
    let used = patient
        .use_kit(
            &kit,
            before.as_deref().map(String::as_str),
            &Bar::records("Re-wrapping", context.json()),
        )
        .await;
    let (member, pages) = in_force(used, page.into_iter().collect())?;
    let pdf = pages.into_iter().next();
    let print = pdf.as_ref().map_or(String::new(), |pdf| {
        format!("Print {pdf}, then delete it: whoever has the file has the vault.\n")
    });
    let before = if member.replaced.is_empty() {
        to_leave(&member.leaving)
    } else {
        "The kit before opens nothing any more: destroy it.\n".to_owned()
    };
    let text = format!(
        "The kit opens your vault from now on.\n  {}\n{print}{before}{}Try it once a year: medvault recovery drill\n",
        member.id,
        to_finish(member.unfinished.as_ref())
    );
    let pdf = pdf.map(|pdf| fields! { pdf });
    context.say(
        &text,
        &fields! { #[serde(flatten)] member, #[serde(flatten)] pdf },
    )
}

/// The words of the kit that is to go, if there is one and she has them.
async fn words_before(
    patient: &Patient,
    file: Option<&Path>,
    terminal: bool,
) -> Result<Option<Zeroizing<String>>, Failure> {
    if let Some(path) = file {
        let bytes = Zeroizing::new(new_file::read(path)?);
        let text = std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned()));
        let text = text.map_err(|_| {
            Failure::usage(format!(
                "{} holds no words: give a text file with the 24 words of the kit before",
                path.display()
            ))
        })?;
        return Ok(Some(text));
    }
    if !terminal || !patient.has_kit().await? {
        return Ok(None);
    }
    let words =
        words::line("The words of the kit before, in one line (not shown), or nothing if they are lost: ")
            .await?;
    Ok(Some(words).filter(|words| !words.trim().is_empty()))
}

/// What came to be of use, and the files that belong to it. They stay also when nobody knows whether it did: a file
/// too many can be destroyed, one too few is a vault that is lost.
fn in_force<T>(used: client_sdk::Result<T>, pages: Vec<SecretPage>) -> Result<(T, Vec<String>), Failure> {
    let keep = |pages: Vec<SecretPage>| -> Vec<String> {
        let kept = pages.into_iter().map(|page| page.keep().display().to_string());
        kept.collect()
    };
    match used {
        Ok(used) => Ok((used, keep(pages))),
        Err(error) => {
            if matches!(error, client_sdk::Error::Unreachable { .. }) {
                for page in keep(pages) {
                    note(&format!(
                        "{page} is kept, since it may be in force: look at `medvault device list` when the server answers again."
                    ));
                }
            }
            Err(error.into())
        }
    }
}

/// What to do about re-keying that broke off.
fn to_finish(unfinished: Option<&String>) -> String {
    unfinished.map_or_else(String::new, |why| {
        format!(
            "What the one before could open is not all under new keys yet ({why}): it goes on with the next command that needs the \
             server, such as medvault records.\n"
        )
    })
}

/// What to do about those that stay for a while.
fn to_leave(members: &[DeviceId]) -> String {
    let text = |member: &DeviceId| {
        format!(
            "{member} stays for a week, so that nobody who has one device of yours can take it from you. Then this device removes \
             it, with the next command that needs the server. It goes at once with `medvault device remove {member} --lost` on another \
             device.\n"
        )
    };
    members.iter().map(text).collect()
}

async fn drill(context: &Context) -> Result<(), Failure> {
    let patient = context.patient().await?;
    let words = words::read().await?;
    let found = patient.rehearse(&words).await?;
    let patient_id = patient.id();
    let collections = found.collections.into_iter();
    let collections: Vec<String> = collections.map(|collection| collection.name).collect();
    let devices: Vec<String> = found.devices.into_iter().map(|device| device.name).collect();
    let names = |names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
        names.join(", ")
    };
    let text = format!(
        "The kit works: with its words and the server's link, the whole vault opens again.\n  vault        {patient_id}\n  \
         collections  {}\n  devices      {} (list of {})\nNothing was changed.\n",
        names(&collections),
        names(&devices),
        moment(found.list_made)
    );
    let list_made = timestamp(found.list_made);
    context.say(
        &text,
        &fields! { device_id: found.member, patient_id, collections, devices, list_made },
    )
}

async fn trustees(context: &Context, threshold: u8, out: &Path, names: &[String]) -> Result<(), Failure> {
    let patient = context.patient().await?;
    let mut trustees = Vec::with_capacity(names.len());
    for name in names {
        trustees.push(patient.trustee(name).await?);
    }
    let new = patient.new_trustees(threshold, &trustees).await?;
    let mut pages = Vec::with_capacity(new.shares.len());
    for share in &new.shares {
        let path = out.join(format!("{}.share", share.number));
        pages.push(SecretPage::write(NewFile::at(&path)?, &share.file)?);
    }
    let used = patient
        .use_trustees(&new, &Bar::records("Re-wrapping", context.json()))
        .await;
    let (entrusted, files) = in_force(used, pages)?;
    let member = entrusted.member;
    let rows = new.shares.iter().zip(&files);
    let rows = rows.map(|(share, file)| [share.number.to_string(), plain(&share.trustee), file.clone()]);
    let text = format!(
        "Any {threshold} of these can restore your vault together, and fewer learn nothing. Give each its file, in any way:\n{}{}{}",
        table(["SHARE", "TRUSTEE", "FILE"], rows),
        to_leave(&member.leaving),
        to_finish(member.unfinished.as_ref())
    );
    let shares = new.shares.iter().zip(files);
    let shares = shares.map(|(share, file)| fields! { number: share.number, trustee: &share.trustee, file });
    let shares: Vec<_> = shares.collect();
    context.say(&text, &fields! { #[serde(flatten)] member, threshold, shares })
}

async fn ask(context: &Context, out: &Path) -> Result<(), Failure> {
    let file = NewFile::at(out)?;
    let machine = RecoveringMachine::prepare(context.ground()?, &context.unlock_to_make()?).await?;
    let check_string = machine.check_string();
    let file = file.write(&machine.offer())?.display().to_string();
    let text = format!(
        "Send {file} to your trustees, and tell each of them this in person or by telephone:\n  {check_string}\n\
         With enough of what they give back: medvault recover --server LINK --shares FILE…\n"
    );
    context.say(&text, &fields! { check_string, file })
}

async fn give_back(
    context: &Context,
    share: &Path,
    ask: &Path,
    check: &str,
    out: &Path,
) -> Result<(), Failure> {
    let (share, ask) = (new_file::read(share)?, new_file::read(ask)?);
    let file = NewFile::at(out)?;
    let returned: ReturnedFile = match context.member().await? {
        Member::Patient(patient) => patient.return_share(&share, &ask, check).await?,
        Member::Institution(institution) => institution.return_share(&share, &ask, check).await?,
    };
    let (patient_id, number) = (returned.patient, returned.number);
    let file = file.write(&returned.file)?.display().to_string();
    let text = format!(
        "Share {number} of the vault of\n  {patient_id}\nis in {file}: send it to her. Only the machine that you have checked can open it.\n"
    );
    context.say(&text, &fields! { patient_id, number, file })
}
