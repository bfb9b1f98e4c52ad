//! `medvault permissions`, `medvault revoke` and `medvault note`: permissions are listed, withdrawn and commented on.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use client_sdk::{
    Conditions, MediaType, PermissionId, PermissionInfo, Purpose,
    patient::{KeptWhy, Resealed},
};

use crate::{
    commands::certificate::Certificate,
    context::Context,
    failure::Failure,
    given::Text,
    new_file::NewFile,
    output::{Report, fields, moment, party, table_or, word},
    progress::Bar,
    shorthand::{self, Named},
    tending::tend,
    views::size,
};

/// What is done about permissions that were given.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the permissions given, with state and uses (patient)
    #[command(after_help = EXAMPLES)]
    Permissions,
    /// Withdraw a permission: the server releases nothing more to it (patient)
    Revoke(RevokeOptions),
    /// Tell an institution something about a permission that it has (patient)
    Note(NoteOptions),
}

#[derive(Args, Debug)]
#[command(after_help = REVOKE_EXAMPLES)]
pub(crate) struct RevokeOptions {
    /// The permission, as `medvault permissions` shows it, or shortened to what names one
    #[arg(value_name = "PERMISSION")]
    permission: Named<PermissionId>,
    /// Write the certificate of what cannot be taken back to this new file
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Bring what it could have fetched and has not under new data keys: those records travel to this device and back
    #[arg(long)]
    reseal: bool,
}

/// What is said, and about which permission.
#[derive(Args, Debug)]
#[command(after_help = NOTE_EXAMPLES)]
pub(crate) struct NoteOptions {
    /// The permission, as `medvault permissions` shows it, or shortened to what names one
    #[arg(value_name = "PERMISSION")]
    permission: Named<PermissionId>,
    /// What to tell the institution that has it: at most 2,000 characters
    #[command(flatten)]
    text: Text,
}

const NOTE_EXAMPLES: &str = "\
Example:
  echo 'the second file is of my other knee' | medvault note perm_ae5… --text -

It is sealed to the institution, which reads it in its inbox. Your history shows that you wrote, and about what.";

const EXAMPLES: &str = "\
Examples:
  medvault permissions
  medvault permissions --json";

const REVOKE_EXAMPLES: &str = "\
Examples:
  medvault revoke perm_ae5…
  medvault revoke perm_ae5… --certificate revoked.pb
  medvault revoke perm_ae5… --reseal
  medvault certificate revoked.pb --server https://vault.example:8443/#m3k…

What starts after this gets nothing, what is running stops. A collection that was permitted gets a new key. It does not
unread what was received before: the certificate says what that was. With --reseal, what was not received is sealed anew,
so that the keys that the institution may have kept open nothing, wherever it gets it from. If it is interrupted,
run it again to resume.";

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Permissions => list(context).await,
        Command::Revoke(options) => revoke(context, options).await,
        Command::Note(options) => note(context, options).await,
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let patient = context.patient().await?;
    // The states that are shown are those after what is due (INS-6).
    tend(&patient).await;
    let permissions = patient.permissions().await?;
    context.say(&listed(&permissions), &fields! { permissions: &permissions })
}

async fn revoke(context: &Context, options: RevokeOptions) -> Result<(), Failure> {
    let named = options.permission.not_last_unseen(false)?;
    let file = options.certificate.as_deref().map(NewFile::at).transpose()?;
    let patient = context.patient().await?;
    let permission = shorthand::given(&patient, named).await?;
    let progress = Bar::records("Re-wrapping", context.json());
    let report = if options.reseal {
        let bytes = Bar::new("Sealing anew", context.json());
        patient.revoke_and_reseal(permission, &progress, &bytes).await?
    } else {
        patient.revoke(permission, &progress).await?
    };
    drop(progress);
    let certificate = file.map(|file| file.write(&report.certificate)).transpose()?;
    let certificate = Certificate::new(&report.says, certificate);
    let resealed = report.resealed;
    let text = certificate.text() + &resealed.as_ref().map(resealed_text).unwrap_or_default();
    context.say(
        &text,
        &fields! { #[serde(flatten)] certificate, #[serde(flatten)] resealed },
    )
}

async fn note(context: &Context, options: NoteOptions) -> Result<(), Failure> {
    let named = options.permission.not_last_unseen(false)?;
    let text = options.text.read(context.global()).await?;
    let patient = context.patient().await?;
    let permission_id = shorthand::given(&patient, named).await?;
    patient.note(permission_id, &text).await?;
    context.say(
        "Sent. The institution finds it in its inbox.\n",
        &fields! { permission_id },
    )
}

fn reason(why: &KeptWhy) -> String {
    match why {
        KeptWhy::HandedOut => "the institution has received it".to_owned(),
        KeptWhy::Named { permission_id } => {
            format!("{permission_id} names it: revoke that one too, and run this again")
        }
        KeptWhy::Failed { error } => error.clone(),
        KeptWhy::ItsOwn => "the institution has made it".to_owned(),
    }
}

/// What was sealed anew after a revocation, and what was not.
fn resealed_text(resealed: &Resealed) -> String {
    let Resealed { records, kept } = resealed;
    let kept = kept
        .iter()
        .map(|kept| format!("  {} stays as it is: {}.\n", kept.record_id, reason(&kept.why)));
    format!("Sealed anew: {} records.\n", records.len()) + &kept.collect::<String>()
}

/// `TREAT; text/plain; 2026-05-01 to 2026-05-31`.
fn only(permission: &PermissionInfo) -> String {
    let none = Conditions::default();
    let unreadable = permission.conditions.is_none();
    let Conditions {
        media_types,
        from,
        to,
        undated,
    } = permission.conditions.as_ref().unwrap_or(&none);
    let types: Vec<&str> = media_types.iter().map(MediaType::as_str).collect();
    let days = match (from, to) {
        (None, None) => String::new(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(to)) => format!("up to {to}"),
        (Some(from), Some(to)) => format!("{from} to {to}"),
    };
    let all = [
        permission
            .purpose
            .map(Purpose::code)
            .unwrap_or_default()
            .to_owned(),
        types.join(" or "),
        days,
        if *undated { "or of no day" } else { "" }.to_owned(),
        if unreadable {
            "conditions that do not open"
        } else {
            ""
        }
        .to_owned(),
    ];
    let said: Vec<String> = all.into_iter().filter(|one| !one.is_empty()).collect();
    said.join("; ")
}

fn listed(permissions: &[PermissionInfo]) -> String {
    let rows = permissions.iter().map(|permission| {
        [
            permission.permission_id.to_string(),
            word(&permission.kind),
            word(&permission.state),
            format!("{} of {}", permission.uses_left, permission.uses),
            match permission.bytes_left {
                u64::MAX => "no limit".to_owned(),
                bytes => size(bytes),
            },
            moment(permission.not_after),
            only(permission),
            party(&permission.institution.name, permission.institution.id),
        ]
    });
    let headings = [
        "PERMISSION",
        "KIND",
        "STATE",
        "USES LEFT",
        "BYTES LEFT",
        "UNTIL",
        "ONLY",
        "INSTITUTION",
    ];
    table_or("No permission was given yet.\n", headings, rows)
}

#[cfg(test)]
mod tests {
    use client_sdk::{InstitutionId, PermissionKind, PermissionState, RecordId, patient::InstitutionRef};
    use serde_json::json;

    use super::*;

    #[test]
    fn json_has_state_uses_and_times() {
        let permission = PermissionInfo {
            permission_id: PermissionId::from_bytes([3; 16]),
            kind: PermissionKind::Reference,
            institution: InstitutionRef {
                id: InstitutionId::from_bytes([1; 32]),
                name: "St. Anna".to_owned(),
            },
            state: PermissionState::Spent,
            uses: 2,
            uses_left: 0,
            bytes_left: 12,
            created: 1_700_000_000_000,
            not_before: 1_700_000_000_000,
            not_after: 1_700_000_000_001,
            records: vec![RecordId::from_bytes([4; 16])],
            collection: None,
            purpose: Some(Purpose::TREAT),
            conditions: Some(Conditions {
                media_types: ["text/plain".parse().unwrap()].into(),
                from: Some("2026-05-01".parse().unwrap()),
                to: None,
                undated: false,
            }),
            delegate: None,
        };
        let entry = json!({
            "permission_id": PermissionId::from_bytes([3; 16]).to_string(),
            "kind": "reference",
            "institution_id": InstitutionId::from_bytes([1; 32]).to_string(),
            "name": "St. Anna",
            "state": "spent",
            "uses": 2,
            "uses_left": 0,
            "bytes_left": 12,
            "created": "2023-11-14T22:13:20.000Z",
            "begins": "2023-11-14T22:13:20.000Z",
            "expires": "2023-11-14T22:13:20.001Z",
            "records": [RecordId::from_bytes([4; 16]).to_string()],
            "purpose": "TREAT",
            "media_types": ["text/plain"],
            "from": "2026-05-01",
        });
        assert_eq!(serde_json::to_value(&permission).unwrap(), entry);
        assert_eq!(only(&permission), "TREAT; text/plain; from 2026-05-01");
    }
}
