//! `medvault records`: what is in the patient's own vault.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use client_sdk::{DeletedRecord, Patient, PatientId, RecordId, RecordInfo, Records};

use super::download::with_what_is_left;
use crate::{
    confirm::confirm,
    context::Context,
    failure::Failure,
    output::{Report, moment, party, plain, table},
    piped::{Output, is_pipe},
    shorthand::Named,
    tending::tend,
    views::{self, contents},
};

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// Act for this patient, who has made you her delegate
    #[arg(long, global = true, value_name = "PATIENT")]
    acting_for: Option<PatientId>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open a record into a folder
    #[command(after_help = EXAMPLES)]
    Get {
        /// The record, shortened to what names one, or `last` for the newest
        #[arg(value_name = "RECORD")]
        record: Named<RecordId>,
        /// The folder; the files go into DIR/RECORD, which must not exist yet. `-`: the only file goes to standard output
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Delete a record for good: the server destroys it, and no permission gives it any more
    #[command(after_help = EXAMPLES)]
    Delete {
        /// The record, shortened to what names one, or `last` for the newest
        #[arg(value_name = "RECORD")]
        record: Named<RecordId>,
        /// Do not ask whether it is meant
        #[arg(long)]
        yes: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  medvault records
  medvault records get rec_ae5… --out ~/Documents
  medvault records get last --out - | less
  medvault records delete rec_ae5…
  medvault records --acting-for pat_ae6…

What is deleted stands in the history, and nothing brings it back; what was handed out before stays with whoever has it.
Files appear under their names only when every byte of the record is verified.";

pub(crate) async fn run(context: &Context, options: Options) -> Result<(), Failure> {
    let patient = context.patient().await?;
    if options.command.is_none() {
        // Whatever she looks at first, an announced removal is not put off for it (DEV-28).
        tend(&patient).await;
    }
    match (options.command, options.acting_for) {
        (None, None) => context.print(&patient.records().await?),
        (None, Some(owner)) => {
            let found = patient.acting_for(owner).await?.records().await?;
            context.print(&found)
        }
        (Some(Command::Get { record, out }), owner) => get(context, &patient, owner, record, &out).await,
        (Some(Command::Delete { .. }), Some(_)) => Err(Failure::usage(
            "a delegate deletes nothing: only the devices of whose vault it is can do that",
        )),
        (Some(Command::Delete { record, yes }), None) => delete(context, &patient, record, yes).await,
    }
}

async fn get(
    context: &Context,
    patient: &Patient,
    acting_for: Option<PatientId>,
    record: Named<RecordId>,
    out: &Path,
) -> Result<(), Failure> {
    let record = match record {
        Named::Whole(id) => id,
        named => {
            let found = match acting_for {
                None => patient.records().await?,
                Some(owner) => patient.acting_for(owner).await?.records().await?,
            };
            named.among(found.records.iter().map(|record| record.record_id))?
        }
    };
    if is_pipe(out) {
        return to_output(context, patient, acting_for, record).await;
    }
    let bar = context.progress("receiving");
    let received = match acting_for {
        None => patient.get_record(record, out, &bar).await,
        Some(owner) => {
            let delegate = patient.acting_for(owner).await?;
            delegate.get_record(record, out, &bar).await
        }
    };
    drop(bar);
    let record = received.map_err(|error| with_what_is_left(error, out, &record.to_string()))?;
    let folder = out.display().to_string();
    let text = views::received(&folder, record.record_id, &record.parts, &record.provenance);
    context.say(&text, &record)
}

/// Writes the only file of a record to standard output.
async fn to_output(
    context: &Context,
    patient: &Patient,
    acting_for: Option<PatientId>,
    record: RecordId,
) -> Result<(), Failure> {
    let output = Output::prepare(context, &record.to_string())?;
    output.clear();
    let bar = context.progress("receiving");
    let received = match acting_for {
        None => patient.get_file(record, output.folder(), &bar).await?,
        Some(owner) => {
            let delegate = patient.acting_for(owner).await?;
            delegate.get_file(record, output.folder(), &bar).await?
        }
    };
    drop(bar);
    output.write(received.record_id, &received.parts).await
}

async fn delete(
    context: &Context,
    patient: &Patient,
    record: Named<RecordId>,
    yes: bool,
) -> Result<(), Failure> {
    let named = record.not_last_unseen(!yes)?;
    let record = match named {
        // What is deleted already is told again.
        Named::Whole(id) if yes => id,
        named => {
            let found = patient.records().await?.records;
            let id = named.among(found.iter().map(|record| record.record_id))?;
            if let Some(info) = found.iter().find(|info| info.record_id == id).filter(|_| !yes) {
                ask(info)?;
            }
            id
        }
    };
    let deleted = patient.delete_record(record).await?;
    context.print(&deleted)
}

fn ask(info: &RecordInfo) -> Result<(), Failure> {
    let about = format!(
        "{}\n  {}, from {}, received {}\nIt will be destroyed at the server, for you and for everybody who has a permission. What was handed\n\
         out before stays with whoever has it.",
        info.record_id,
        contents(info.parts.iter().map(|part| part.length)),
        party(&info.from.name, info.from.id),
        moment(info.received),
    );
    confirm(&about, "Delete it for good?")
}

impl Report for DeletedRecord {
    fn text(&self) -> String {
        format!(
            "Deleted for good:\n  {}\nThe server destroys what it has of it; that it was deleted stands in your history and in the log.\n",
            self.record_id
        )
    }
}

impl Report for Records {
    fn text(&self) -> String {
        let mut text = if self.records.is_empty() {
            "The vault has no records yet.\n".to_owned()
        } else {
            table(
                ["RECORD", "RECEIVED", "CONTENTS", "FROM"],
                self.records.iter().map(|record| {
                    [
                        record.record_id.to_string(),
                        moment(record.received),
                        contents(record.parts.iter().map(|part| part.length)),
                        party(&record.from.name, record.from.id),
                    ]
                }),
            )
        };
        for (record, error) in &self.refused {
            text += &format!("Not accepted: {record}: {}\n", plain(&error.to_string()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use client_sdk::{Error, InstitutionId, PermissionId, VersionId, patient::InstitutionRef};
    use serde_json::json;

    use super::*;

    fn found() -> Records {
        let record = RecordInfo {
            record_id: RecordId::from_bytes([4; 16]),
            version_id: VersionId::from_bytes([5; 16]),
            received: 1_700_000_000_000,
            from: InstitutionRef {
                id: InstitutionId::from_bytes([1; 32]),
                name: "St. Anna".to_owned(),
            },
            permission_id: PermissionId::from_bytes([3; 16]),
            collection: client_sdk::CollectionId::DEFAULT,
            parts: Vec::new(),
            stream_len: 4096,
        };
        let refused = Error::Tampered {
            what: "the manifest",
            cause: "signature does not verify".to_owned(),
        };
        Records {
            records: vec![record],
            refused: vec![(RecordId::from_bytes([6; 16]), refused)],
        }
    }

    #[test]
    fn json_has_records_and_what_was_refused() {
        let list = serde_json::to_value(found()).unwrap();
        let record = json!({
            "record_id": RecordId::from_bytes([4; 16]).to_string(),
            "version_id": VersionId::from_bytes([5; 16]).to_string(),
            "received": "2023-11-14T22:13:20.000Z",
            "from": InstitutionId::from_bytes([1; 32]).to_string(),
            "from_name": "St. Anna",
            "permission_id": PermissionId::from_bytes([3; 16]).to_string(),
            "collection_id": "col_aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "parts": [],
            "stream_bytes": 4096,
        });
        assert_eq!(list["records"], json!([record]));
        assert_eq!(list["refused"][0]["code"], "tampered");
    }

    #[test]
    fn text_names_what_was_refused() {
        let text = found().text();
        assert!(text.contains("0 files, 0 B"), "{text}");
        assert!(
            text.contains("Not accepted: rec_ayda") && text.contains("cannot be trusted"),
            "{text}"
        );
    }
}
