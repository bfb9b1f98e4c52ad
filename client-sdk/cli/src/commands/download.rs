//! `medvault download`: an institution asks a patient, then reads with her permission.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use client_sdk::{
    Error, FetchTerms, Fetched, FetchedRecord, PatientId, PermissionId, Purpose, RequestId,
    transfer::FolderSink,
};

use crate::{
    context::Context,
    failure::Failure,
    given::Text,
    output::{fields, note},
    piped::{Output, is_pipe},
    shorthand::{self, Named},
    values::purpose,
    views::received,
};

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Ask a patient for permission to read; what is asked is sealed to her
    #[command(after_help = EXAMPLES)]
    Request {
        /// The patient's id, as she handed it over
        #[arg(long, value_name = "PATIENT")]
        patient: PatientId,
        /// What is asked, and why
        #[command(flatten)]
        text: Text,
        /// What for, as an HL7 PurposeOfUse code; the server sees it too
        #[arg(long, value_name = "CODE", value_parser = purpose)]
        purpose: Option<Purpose>,
    },
    /// Present a permission key of a download or reference, receive the records and verify them
    #[command(after_help = EXAMPLES)]
    Fetch {
        /// The permission, as the inbox shows it, shortened to what names one, or `last` for the newest
        #[arg(value_name = "PERMISSION")]
        permission: Named<PermissionId>,
        /// The folder; the files go into DIR/RECORD, which must not exist yet. `-`: the only file goes to standard output
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// What they are used for, as an HL7 PurposeOfUse code; without this, what was stated when it was asked for
        #[arg(long, value_name = "CODE", value_parser = purpose)]
        purpose: Option<Purpose>,
        /// Go on with what another terminal of the institution has begun to fetch under this permission
        #[arg(long)]
        take_over: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  medvault download request --patient pat_ab3… --text-file question.txt --purpose TREAT
  medvault download fetch perm_ae5… --out ~/incoming
  medvault download fetch perm_ae5… --out - | lpr

Files appear under their names only when every byte and the maker's signature are verified.
A broken download goes on where it stopped when the same command is run again. Until then what has come lies in a
hidden folder of DIR, .medvault-PERMISSION.partial, for you alone; to give it up, remove that.";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Request {
            patient,
            text,
            purpose,
        } => request(context, patient, text, purpose).await,
        Command::Fetch {
            permission,
            out,
            purpose,
            take_over,
        } => {
            let terms = FetchTerms {
                purpose,
                take_over,
                single: is_pipe(&out),
            };
            fetch(context, permission, terms, &out).await
        }
    }
}

async fn request(
    context: &Context,
    patient: PatientId,
    text: Text,
    purpose: Option<Purpose>,
) -> Result<(), Failure> {
    let text = text.read(context.global()).await?;
    let request = context
        .institution()
        .await?
        .request_download(patient, &text, purpose)
        .await?;
    say_asked(context, request)
}

async fn fetch(
    context: &Context,
    permission: Named<PermissionId>,
    terms: FetchTerms,
    out: &Path,
) -> Result<(), Failure> {
    let institution = context.institution().await?;
    let permission = shorthand::got(&institution, permission, false).await?;
    let output = terms
        .single
        .then(|| Output::prepare(context, &permission.to_string()))
        .transpose()?;
    let out = output.as_ref().map_or(out, Output::folder);
    let bar = context.progress("receiving");
    let fetched = institution.fetch_files(permission, terms, out, &bar).await;
    drop(bar);
    let fetched = fetched.map_err(|error| with_what_is_left(error, out, &permission.to_string()))?;
    match output {
        None => say_fetched(context, out, &fetched)?,
        Some(output) => {
            let [FetchedRecord { record_id, parts, .. }] = fetched.records.as_slice() else {
                return Err(Failure::usage("there is more than one record: give a folder"));
            };
            output.write(*record_id, parts).await?;
        }
    }
    // Whoever is killed before this has perhaps not seen the answer, and gets it again.
    is_known(institution.fetched_is_known(permission));
    Ok(())
}

/// An outcome that was told, and will be told again where that cannot be noted.
pub(crate) fn is_known(noted: Result<(), Error>) {
    if let Err(error) = noted {
        note(&format!("the same command will tell it again: {error}"));
    }
}

/// A failure, with where half of something lies, which nobody else can read.
pub(crate) fn with_what_is_left(error: Error, out: &Path, name: &str) -> Failure {
    match FolderSink::left_behind(out, name) {
        None => error.into(),
        Some(left) => Failure::from(error).and(&format!(
            "what has come lies hidden in {}, to be removed if you give up",
            left.display()
        )),
    }
}

/// Prints that a request is on its way to a patient.
pub(crate) fn say_asked(context: &Context, request_id: RequestId) -> Result<(), Failure> {
    context.say(
        &format!("Asked. Her answer comes to the inbox:\n  {request_id}\n"),
        &fields! { request_id },
    )
}

/// Prints what was received, and where it lies.
pub(crate) fn say_fetched(context: &Context, out: &Path, fetched: &Fetched) -> Result<(), Failure> {
    context.say(&fetched_text(&out.display().to_string(), fetched), fetched)
}

fn fetched_text(folder: &str, fetched: &Fetched) -> String {
    let Fetched {
        records,
        deleted,
        receipt,
        already,
    } = fetched;
    let records: String = records
        .iter()
        .map(|one| received(folder, one.record_id, &one.parts, &one.provenance))
        .collect();
    let receipt = match receipt {
        Some(_) => "The server's receipt is verified.\n",
        None => "The server's receipt did not come; the patient's history will have it.\n",
    };
    if *already {
        return format!("An earlier run of this command has fetched it:\n{records}{receipt}");
    }
    let deleted: String = deleted
        .iter()
        .map(|record| format!("The patient has deleted {record}: nothing of it is left to get.\n"))
        .collect();
    records + &deleted + receipt
}
