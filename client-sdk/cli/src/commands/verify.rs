//! `medvault verify`: what happened under a permission, checked by whoever was not there, without asking anybody.

use std::{fs, path::PathBuf};

use clap::Args;
use client_sdk::{CaseEvent, CaseWhat, Purpose, ServerLink, VerifiedCase, verify_case};
use serde::Serialize;

use crate::{
    commands::permissions::kind,
    context::Context,
    failure::Failure,
    output::{Report, moment, plain, table, timestamp},
    views::size,
};

/// Which case, and of which server.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The file that `medvault history --export` has written
    bundle: PathBuf,
    /// The link of the server, as it was handed over
    #[arg(long, value_name = "LINK")]
    server: ServerLink,
}

const EXAMPLES: &str = "\
Example:
  medvault verify case.pb --server https://vault.example:8443/#m3k…

Nothing is sent: the link says which operator's and which registrar's signatures to believe, everything else stands in
the file. It fails, and says where, if one signature, proof, number or hash does not hold. It cannot show that nothing was
left out.";

pub(crate) fn run(context: &Context, options: &Options) -> Result<(), Failure> {
    let bytes =
        fs::read(&options.bundle).map_err(|source| Failure::file("cannot read", &options.bundle, &source))?;
    let case = verify_case(&bytes, &options.server)?;
    context.print(&Case::of(&case, None))
}

/// What a case shows.
#[derive(Serialize)]
pub(crate) struct Case {
    permission_id: String,
    kind: &'static str,
    patient_id: String,
    institution_id: String,
    name: String,
    /// Who asked, if an institution did.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_by: Option<String>,
    permitted: String,
    expires: String,
    uses: u32,
    events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
}

#[derive(Serialize)]
struct Event {
    number: u64,
    at: String,
    #[serde(skip)]
    at_ms: u64,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Entries of the log under which the receipt stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_size: Option<u64>,
}

impl Case {
    /// With the file that was written.
    pub(crate) fn of(case: &VerifiedCase, file: Option<PathBuf>) -> Self {
        let VerifiedCase {
            permission,
            institution,
            asker,
            events,
        } = case;
        Self {
            permission_id: permission.permission_id.to_string(),
            kind: kind(permission.kind),
            patient_id: case.patient().to_string(),
            institution_id: institution.id().to_string(),
            name: institution.name().as_str().to_owned(),
            asked_by: asker.as_ref().map(|asker| asker.name().as_str().to_owned()),
            permitted: timestamp(permission.created),
            expires: timestamp(permission.not_after),
            uses: permission.uses,
            events: events.iter().map(Event::from).collect(),
            bundle: file.map(|file| file.display().to_string()),
        }
    }
}

impl From<&CaseEvent> for Event {
    fn from(event: &CaseEvent) -> Self {
        let blank = Self {
            number: event.number,
            at: timestamp(event.at),
            at_ms: event.at,
            kind: "requested",
            terminal_id: None,
            purpose: None,
            records: Vec::new(),
            bytes: None,
            log_size: None,
        };
        match &event.what {
            CaseWhat::Requested { .. } => blank,
            CaseWhat::Permitted { by_delegate } => Self {
                kind: if *by_delegate {
                    "permitted-by-delegate"
                } else {
                    "permitted"
                },
                ..blank
            },
            CaseWhat::Presented { terminal, purpose } => Self {
                kind: "presented",
                terminal_id: terminal.map(|id| id.to_string()),
                purpose: purpose.map(Purpose::code),
                ..blank
            },
            CaseWhat::Stored {
                record_id,
                bytes,
                log_size,
                ..
            } => Self {
                kind: "stored",
                records: vec![record_id.to_string()],
                bytes: Some(*bytes),
                log_size: Some(*log_size),
                ..blank
            },
            CaseWhat::Released {
                bytes,
                versions,
                log_size,
            } => Self {
                kind: "released",
                records: versions
                    .iter()
                    .map(|version| version.record_id.to_string())
                    .collect(),
                bytes: Some(*bytes),
                log_size: Some(*log_size),
                ..blank
            },
            CaseWhat::Revoked => Self {
                kind: "revoked",
                ..blank
            },
        }
    }
}

impl Report for Case {
    fn text(&self) -> String {
        let asked = match &self.asked_by {
            Some(name) => format!("asked for by {}", plain(name)),
            None => "asked for by the patient".to_owned(),
        };
        let events = table(
            ["#", "WHEN", "WHAT", "RECORDS", "BYTES", "LOG"],
            self.events.iter().map(|event| {
                [
                    event.number.to_string(),
                    moment(event.at_ms),
                    event.kind.to_owned(),
                    event.records.join(" "),
                    event.bytes.map(size).unwrap_or_default(),
                    event.log_size.map(|size| size.to_string()).unwrap_or_default(),
                ]
            }),
        );
        let file = self
            .bundle
            .as_ref()
            .map_or(String::new(), |file| format!("Case: {file}\n"));
        format!(
            "Verified: {} {} for {}, {asked}, by patient {}.\n{events}{file}",
            self.kind,
            self.permission_id,
            plain(&self.name),
            self.patient_id,
        )
    }
}
