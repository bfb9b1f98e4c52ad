//! `medvault upload`: the patient asks, the institution sends.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use client_sdk::{
    InstitutionId, PermissionId, RecordId, RequestId, SendTerms, Sent, StoredUpload, TakenBack, UploadTerms,
    text::{self, timestamp},
    transfer::FileSource,
};
use serde::Serialize;

use super::download::is_known;
use crate::{
    confirm::{confirm, from_now, if_short},
    context::Context,
    failure::Failure,
    given::Text,
    output::{Report, moment, party},
    piped::{Input, is_pipe},
    shorthand::{self, Named},
    tending::tend,
    values::{byte_count, duration},
    views::{size, taken::TakenView},
};

/// The two sides of an upload.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Ask an institution for information and give it a permission key to send it (patient)
    #[command(after_help = EXAMPLES)]
    Request(RequestOptions),
    /// Present a permission key and send files as one record (institution)
    #[command(after_help = EXAMPLES)]
    Send(SendOptions),
    /// List what the institution has stored under a permission, whoever of it has sent it (institution)
    #[command(after_help = EXAMPLES)]
    Stored {
        /// The permission, as the inbox shows it, shortened to what names one, or `last` for the newest
        #[arg(value_name = "PERMISSION")]
        permission: Named<PermissionId>,
    },
    /// Take back a record that went to the wrong patient, before anybody has opened it (institution)
    #[command(after_help = EXAMPLES)]
    TakeBack {
        /// The record, as `upload send` has shown it, shortened to what names one, or `last` for the newest
        #[arg(value_name = "RECORD")]
        record: Named<RecordId>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// What is asked for, and what may be sent.
#[derive(Args, Debug)]
pub(crate) struct RequestOptions {
    /// Who is asked: id, or exact name in the directory
    #[arg(long, value_name = "INSTITUTION")]
    to: String,
    /// What is asked for; sealed, so that only this institution can read it
    #[command(flatten)]
    text: Text,
    /// How much may be sent in all
    #[arg(long, value_name = "N", value_parser = byte_count, default_value = "16GiB")]
    max_bytes: u64,
    /// How long from now the permission is valid
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "7d")]
    expires: Duration,
    /// How many records may be sent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), default_value = "1")]
    uses: u32,
    /// Do not ask, also where it would be over within the hour
    #[arg(long)]
    yes: bool,
}

/// What is sent.
#[derive(Args, Debug)]
pub(crate) struct SendOptions {
    /// The permission, as the inbox shows it, shortened to what names one, or `last` for the newest
    #[arg(value_name = "PERMISSION")]
    permission: Named<PermissionId>,
    /// Files, or folders with all that is in them; `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Under which name standard input is sent
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Send what symbolic links lead to; without this, they are left out
    #[arg(long)]
    follow: bool,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Take the place of an upload that another terminal of the institution has begun under this permission
    #[arg(long)]
    take_over: bool,
}

const EXAMPLES: &str = "\
Examples:
  medvault upload request --to 'St. Anna' --max-bytes 2GiB                        asks for the text
  echo 'the MRI of my knee' | medvault upload request --to 'St. Anna' --text -
  medvault upload send perm_ae5… series/ report.pdf

  medvault upload send perm_ae5… CD/ --follow --dry-run
  pg_dump … | medvault upload send perm_ae5… - --name export.sql
  medvault upload stored perm_ae5…                       what a terminal or a run that was killed has sent
  medvault upload take-back rec_ae5…

What each file is, and of which day, is read from its content. What is not sent is said, with the reason.
A broken upload goes on where it stopped when the same command is run again.";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Request(options) => request(context, options).await,
        Command::Send(options) => send(context, options).await,
        Command::Stored { permission } => stored(context, permission).await,
        Command::TakeBack { record, yes } => take_back(context, record, yes).await,
    }
}

async fn request(context: &Context, options: RequestOptions) -> Result<(), Failure> {
    let terms = UploadTerms {
        max_bytes: options.max_bytes,
        expires: options.expires,
        uses: options.uses,
    };
    let text = options.text.read(context.global()).await?;
    if_short(context, options.yes, options.expires)?;
    let expires = from_now(options.expires);
    let patient = context.patient().await?;
    tend(&patient).await;
    let institution = patient.institution(&options.to).await?;
    let (request, permission) = patient.request_upload(&institution, &text, &terms).await?;
    context.print(&Requested {
        request_id: request,
        permission_id: permission,
        institution_id: institution.id(),
        name: institution.name().as_str().to_owned(),
        expires,
    })
}

async fn send(context: &Context, options: SendOptions) -> Result<(), Failure> {
    let SendOptions {
        permission,
        mut files,
        name,
        follow,
        dry_run,
        take_over,
    } = options;
    let _input = from_pipe(context, &mut files, name.as_deref()).await?;
    let named = files.clone();
    let list = move || {
        if follow {
            FileSource::following(&named)
        } else {
            FileSource::list(&named)
        }
    };
    if dry_run {
        let source = blocking(list).await?;
        return context.print(&Taken(TakenView::from(&source)));
    }
    let institution = context.institution().await?;
    let permission = shorthand::got(&institution, permission, true).await?;
    let taken = TakenView::from(&blocking(list).await?);
    let bar = context.progress("sending");
    let terms = SendTerms { take_over, follow };
    let sent = institution.send_files(permission, &files, terms, &bar).await?;
    drop(bar);
    context.print(&SentReport { sent, taken })?;
    // Whoever is killed before this has perhaps not seen the answer, and gets it again.
    is_known(institution.sent_is_known(permission));
    Ok(())
}

/// Puts what comes by standard input in the place of `-`.
async fn from_pipe(
    context: &Context,
    files: &mut [PathBuf],
    name: Option<&str>,
) -> Result<Option<Input>, Failure> {
    let mut piped = files.iter_mut().filter(|file| is_pipe(file));
    match (piped.next(), name) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Failure::usage(
            "--name is for standard input: give - as a file, or rename the file",
        )),
        (Some(_), None) => Err(Failure::usage(
            "standard input has no name: give --name one, such as report.pdf",
        )),
        (Some(file), Some(name)) => {
            if piped.next().is_some() {
                return Err(Failure::usage("standard input can be sent once: give - once"));
            }
            let input = Input::read(context, name).await?;
            *file = input.path();
            Ok(Some(input))
        }
    }
}

async fn stored(context: &Context, permission: Named<PermissionId>) -> Result<(), Failure> {
    let institution = context.institution().await?;
    let permission = shorthand::got(&institution, permission, true).await?;
    let stored = institution.stored_under(permission).await?;
    context.print(&StoredReport {
        permission_id: permission,
        uploads: stored.into_iter().map(StoredView::from).collect(),
    })
}

async fn take_back(context: &Context, record: Named<RecordId>, yes: bool) -> Result<(), Failure> {
    let institution = context.institution().await?;
    let record = record.not_last_unseen(!yes)?.among(institution.sent_records()?)?;
    if !yes {
        confirm(
            &format!(
                "{record} will be destroyed at the server, if nobody has opened it yet. The patient's history will say that you have\n\
                 stored it and taken it back. The permission's use stays spent: to send again, ask for another permission."
            ),
            "Take it back?",
        )?;
    }
    let taken = institution.take_back(record).await?;
    context.print(&taken)
}

/// Looking into files takes as long as it takes to read their beginnings.
async fn blocking(
    list: impl FnOnce() -> client_sdk::Result<FileSource> + Send + 'static,
) -> Result<FileSource, Failure> {
    let listed = tokio::task::spawn_blocking(list).await;
    Ok(listed.map_err(|_| Failure::usage("the files could not be looked into: try again"))??)
}

/// Answer of `upload send --dry-run`: the files that a run without it would send.
#[derive(Serialize)]
#[serde(transparent)]
struct Taken(TakenView);

impl Report for Taken {
    fn text(&self) -> String {
        format!("Would be sent:\n{}", self.0.lines())
    }
}

#[derive(Serialize)]
struct StoredReport {
    permission_id: PermissionId,
    uploads: Vec<StoredView>,
}

#[derive(Serialize)]
struct StoredView {
    record_id: RecordId,
    /// When the server has committed it.
    at: String,
    at_ms: u64,
    /// Length of the sealed stream.
    bytes: u64,
}

impl From<StoredUpload> for StoredView {
    fn from(stored: StoredUpload) -> Self {
        Self {
            record_id: stored.record_id,
            at: timestamp(stored.at),
            at_ms: stored.at,
            bytes: stored.bytes,
        }
    }
}

impl Report for StoredReport {
    fn text(&self) -> String {
        if self.uploads.is_empty() {
            return format!("Nothing is stored under {}.\n", self.permission_id);
        }
        let lines: String = self
            .uploads
            .iter()
            .map(|one| format!("  {}  {}  {}\n", one.record_id, one.at, size(one.bytes)))
            .collect();
        format!(
            "Stored under {}:\n{lines}What nobody has opened yet can be taken back: medvault upload take-back RECORD\n",
            self.permission_id
        )
    }
}

impl Report for TakenBack {
    fn text(&self) -> String {
        format!(
            "Taken back, before anybody had opened it:\n  {}\nThe server has destroyed it; that it was stored and taken back stands in \
             the patient's history and in the log.\n",
            self.record_id
        )
    }
}

#[derive(Serialize)]
struct Requested {
    request_id: RequestId,
    permission_id: PermissionId,
    institution_id: InstitutionId,
    name: String,
    #[serde(serialize_with = "text::moment")]
    expires: u64,
}

impl Report for Requested {
    fn text(&self) -> String {
        format!(
            "Asked {}:\n  {}\nThe permission to send, until {}:\n  {}\n",
            party(&self.name, self.institution_id),
            self.request_id,
            moment(self.expires),
            self.permission_id
        )
    }
}

#[derive(Serialize)]
struct SentReport {
    #[serde(flatten)]
    sent: Sent,
    #[serde(flatten)]
    taken: TakenView,
}

impl Report for SentReport {
    fn text(&self) -> String {
        let Sent {
            record_id,
            bytes,
            resumed_bytes,
            already,
            ..
        } = &self.sent;
        if *already {
            return format!(
                "An earlier run of this command has stored it as\n  {record_id}\nNothing was sent now; the server's receipt is verified.\n"
            );
        }
        let resumed = match resumed_bytes {
            0 => String::new(),
            before => format!(", {} of them sent before", size(*before)),
        };
        format!(
            "Stored as\n  {record_id}\n{} sealed{resumed}; the server's receipt is verified.\nTaken for:\n{}",
            size(*bytes),
            self.taken.lines()
        )
    }
}
