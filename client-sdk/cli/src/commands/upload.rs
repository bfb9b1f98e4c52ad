//! `medvault upload`: the patient asks, the institution sends.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use client_sdk::{
    PermissionId, RecordId, SendTerms, Sent, StoredUpload, TakenBack, UploadTerms, text::timestamp,
    transfer::FileSource,
};

use super::download::is_known;
use crate::{
    confirm::{confirm, from_now, if_short},
    context::Context,
    failure::Failure,
    given::Text,
    output::{Report, fields, moment, party},
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
        /// Do not ask whether it is meant
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
    let (request_id, permission_id) = patient.request_upload(&institution, &text, &terms).await?;
    let (institution_id, name) = (institution.id(), institution.name().as_str());
    let text = format!(
        "Asked {}:\n  {request_id}\nThe permission to send, until {}:\n  {permission_id}\n",
        party(name, institution_id),
        moment(expires)
    );
    let expires = timestamp(expires);
    context.say(
        &text,
        &fields! { request_id, permission_id, institution_id, name, expires },
    )
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
        let taken = TakenView::from(&source);
        return context.say(&format!("Would be sent:\n{}", taken.lines()), &taken);
    }
    let institution = context.institution().await?;
    let permission = shorthand::got(&institution, permission, true).await?;
    let taken = TakenView::from(&blocking(list).await?);
    let bar = context.progress("sending");
    let terms = SendTerms { take_over, follow };
    let sent = institution.send_files(permission, &files, terms, &bar).await?;
    drop(bar);
    context.say(
        &sent_text(&sent, &taken),
        &fields! { #[serde(flatten)] sent: &sent, #[serde(flatten)] taken: &taken },
    )?;
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
    let line = |one: &StoredUpload| {
        format!(
            "  {}  {}  {}\n",
            one.record_id,
            timestamp(one.at),
            size(one.bytes)
        )
    };
    let lines: String = stored.iter().map(line).collect();
    let text = if stored.is_empty() {
        format!("Nothing is stored under {permission}.\n")
    } else {
        format!(
            "Stored under {permission}:\n{lines}What nobody has opened yet can be taken back: medvault upload take-back RECORD\n"
        )
    };
    let fields = |one: &StoredUpload| {
        fields! { record_id: one.record_id, at: timestamp(one.at), at_ms: one.at, bytes: one.bytes }
    };
    let uploads: Vec<_> = stored.iter().map(fields).collect();
    context.say(&text, &fields! { permission_id: permission, uploads })
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

impl Report for TakenBack {
    fn text(&self) -> String {
        format!(
            "Taken back, before anybody had opened it:\n  {}\nThe server has destroyed it; that it was stored and taken back stands in \
             the patient's history and in the log.\n",
            self.record_id
        )
    }
}

fn sent_text(sent: &Sent, taken: &TakenView) -> String {
    let Sent {
        record_id,
        bytes,
        resumed_bytes,
        already,
        ..
    } = sent;
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
        taken.lines()
    )
}
