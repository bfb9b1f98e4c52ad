//! `medvault verify`: what happened under a permission, checked by whoever was not there, without asking anybody.

use std::{fs, path::PathBuf};

use clap::Args;
use client_sdk::{
    CaseEvent, CaseWhat, InstitutionId, PatientId, PermissionId, PermissionKind, ServerLink, VerifiedCase,
    text, verify_case,
};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, moment, plain, table, tag, word, words},
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

/// A case that holds, as it is shown.
#[derive(Serialize)]
pub(crate) struct Case {
    permission_id: PermissionId,
    kind: PermissionKind,
    patient_id: PatientId,
    institution_id: InstitutionId,
    name: String,
    /// Who asked, if an institution did.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_by: Option<String>,
    #[serde(serialize_with = "text::moment")]
    permitted: u64,
    #[serde(serialize_with = "text::moment")]
    expires: u64,
    uses: u32,
    events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
}

#[derive(Serialize)]
struct Event {
    number: u64,
    #[serde(serialize_with = "text::moment")]
    at: u64,
    #[serde(flatten)]
    what: CaseWhat,
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
            permission_id: permission.permission_id,
            kind: permission.kind,
            patient_id: case.patient(),
            institution_id: institution.id(),
            name: institution.name().as_str().to_owned(),
            asked_by: asker.as_ref().map(|asker| asker.name().as_str().to_owned()),
            permitted: permission.created,
            expires: permission.not_after,
            uses: permission.uses,
            events: events.iter().map(Event::from).collect(),
            bundle: file.map(|file| file.display().to_string()),
        }
    }
}

impl From<&CaseEvent> for Event {
    fn from(event: &CaseEvent) -> Self {
        Self {
            number: event.number,
            at: event.at,
            what: event.what.clone(),
        }
    }
}

impl Event {
    /// Number, time, kind, records, bytes and the size of the log.
    fn row(&self) -> [String; 6] {
        let (records, moved) = match &self.what {
            CaseWhat::Stored {
                record_id,
                bytes,
                log_size,
                ..
            } => (record_id.to_string(), Some((*bytes, *log_size))),
            CaseWhat::Released {
                bytes,
                versions,
                log_size,
            } => {
                let records: Vec<_> = versions.iter().map(|version| version.record_id).collect();
                (words(&records), Some((*bytes, *log_size)))
            }
            _ => (String::new(), None),
        };
        let (bytes, log_size) = moved
            .map(|(bytes, log_size)| (size(bytes), log_size.to_string()))
            .unwrap_or_default();
        [
            self.number.to_string(),
            moment(self.at),
            tag(&self.what, "kind"),
            records,
            bytes,
            log_size,
        ]
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
            self.events.iter().map(Event::row),
        );
        let file = self
            .bundle
            .as_ref()
            .map_or(String::new(), |file| format!("Case: {file}\n"));
        format!(
            "Verified: {} {} for {}, {asked}, by patient {}.\n{events}{file}",
            word(&self.kind),
            self.permission_id,
            plain(&self.name),
            self.patient_id,
        )
    }
}
