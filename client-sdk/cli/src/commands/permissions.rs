//! `medvault permissions` and `medvault revoke`: what the patient has allowed, and taking it back.

use std::path::PathBuf;

use clap::Args;
use client_sdk::{
    Conditions, PermissionId, PermissionInfo, PermissionKind, PermissionState, Purpose,
    patient::{Kept, KeptWhy, Resealed},
};
use serde::Serialize;

use crate::{
    commands::certificate::Certificate,
    context::Context,
    failure::Failure,
    new_file::NewFile,
    output::{Report, moment, party, table, timestamp},
    progress::Bar,
    shorthand::{self, Named},
    tending::tend,
    views::size,
};

/// What is withdrawn.
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

pub(crate) const EXAMPLES: &str = "\
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

pub(crate) async fn list(context: &Context) -> Result<(), Failure> {
    let patient = context.patient().await?;
    // The states that are shown are those after what is due (INS-6).
    tend(&patient).await;
    let permissions = patient.permissions().await?;
    context.print(&List {
        permissions: permissions.iter().map(Entry::from).collect(),
    })
}

pub(crate) async fn revoke(context: &Context, options: RevokeOptions) -> Result<(), Failure> {
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
    let resealed = report.resealed.as_ref().map(ResealedView::from);
    context.print(&Revoked {
        certificate: Certificate::new(&report.says, certificate),
        resealed,
    })
}

/// What a revocation came to.
#[derive(Serialize)]
struct Revoked {
    #[serde(flatten)]
    certificate: Certificate,
    #[serde(flatten)]
    resealed: Option<ResealedView>,
}

#[derive(Serialize)]
struct ResealedView {
    /// Records that were sealed anew now.
    sealed_anew: Vec<String>,
    kept: Vec<KeptView>,
}

#[derive(Serialize)]
struct KeptView {
    record_id: String,
    why: &'static str,
    /// Another permission that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_id: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<&Resealed> for ResealedView {
    fn from(resealed: &Resealed) -> Self {
        Self {
            sealed_anew: resealed.records.iter().map(ToString::to_string).collect(),
            kept: resealed.kept.iter().map(KeptView::from).collect(),
        }
    }
}

impl From<&Kept> for KeptView {
    fn from(kept: &Kept) -> Self {
        let blank = Self {
            record_id: kept.record_id.to_string(),
            why: "received",
            permission_id: None,
            error: None,
        };
        match &kept.why {
            KeptWhy::HandedOut => blank,
            KeptWhy::ItsOwn => Self {
                why: "its-own",
                ..blank
            },
            KeptWhy::Named(other) => Self {
                why: "permitted",
                permission_id: Some(other.to_string()),
                ..blank
            },
            KeptWhy::Failed(error) => Self {
                why: "failed",
                error: Some(error.clone()),
                ..blank
            },
        }
    }
}

impl KeptView {
    fn reason(&self) -> String {
        match (self.why, &self.permission_id, &self.error) {
            ("received", ..) => "the institution has received it".to_owned(),
            (_, Some(other), _) => format!("{other} names it: revoke that one too, and run this again"),
            (_, _, Some(error)) => error.clone(),
            _ => "the institution has made it".to_owned(),
        }
    }
}

impl Report for Revoked {
    fn text(&self) -> String {
        let mut text = self.certificate.text();
        if let Some(ResealedView { sealed_anew, kept }) = &self.resealed {
            text += &format!("Sealed anew: {} records.\n", sealed_anew.len());
            let kept = kept
                .iter()
                .map(|kept| format!("  {} stays as it is: {}.\n", kept.record_id, kept.reason()));
            text.extend(kept);
        }
        text
    }
}

#[derive(Serialize)]
struct List {
    permissions: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    permission_id: String,
    kind: &'static str,
    institution_id: String,
    name: String,
    state: &'static str,
    uses: u32,
    uses_left: u32,
    bytes_left: u64,
    created: String,
    begins: String,
    expires: String,
    #[serde(skip)]
    expires_ms: u64,
    records: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection_id: Option<String>,
    /// HL7 PurposeOfUse code.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'static str>,
    #[serde(flatten)]
    conditions: ConditionsView,
    /// Who gave it for the patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    delegate_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegate: Option<String>,
}

/// What the records are like.
#[derive(Serialize)]
struct ConditionsView {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    media_types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// What has no day is taken along.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    undated: bool,
    /// Another device has sealed what does not open.
    #[serde(rename = "conditions_unreadable", skip_serializing_if = "std::ops::Not::not")]
    unreadable: bool,
}

impl From<Option<&Conditions>> for ConditionsView {
    fn from(conditions: Option<&Conditions>) -> Self {
        let none = Conditions::default();
        let unreadable = conditions.is_none();
        let conditions = conditions.unwrap_or(&none);
        Self {
            media_types: conditions.media_types.iter().map(ToString::to_string).collect(),
            from: conditions.from.map(|day| day.to_string()),
            to: conditions.to.map(|day| day.to_string()),
            undated: conditions.undated,
            unreadable,
        }
    }
}

impl Entry {
    /// `TREAT; text/plain; 2026-05-01 to 2026-05-31`.
    fn only(&self) -> String {
        let ConditionsView {
            media_types,
            from,
            to,
            undated,
            unreadable,
        } = &self.conditions;
        let days = match (from, to) {
            (None, None) => String::new(),
            (Some(from), None) => format!("from {from}"),
            (None, Some(to)) => format!("up to {to}"),
            (Some(from), Some(to)) => format!("{from} to {to}"),
        };
        let all = [
            self.purpose.unwrap_or_default().to_owned(),
            media_types.join(" or "),
            days,
            if *undated { "or of no day" } else { "" }.to_owned(),
            if *unreadable {
                "conditions that do not open"
            } else {
                ""
            }
            .to_owned(),
        ];
        all.iter()
            .filter(|one| !one.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join("; ")
    }
}

impl From<&PermissionInfo> for Entry {
    fn from(permission: &PermissionInfo) -> Self {
        Self {
            permission_id: permission.permission_id.to_string(),
            kind: kind(permission.kind),
            institution_id: permission.institution.id.to_string(),
            name: permission.institution.name.clone(),
            state: state(permission.state),
            uses: permission.uses,
            uses_left: permission.uses_left,
            bytes_left: permission.bytes_left,
            created: timestamp(permission.created),
            begins: timestamp(permission.not_before),
            expires: timestamp(permission.not_after),
            expires_ms: permission.not_after,
            records: permission.records.iter().map(ToString::to_string).collect(),
            collection_id: permission.collection.map(|id| id.to_string()),
            purpose: permission.purpose.map(Purpose::code),
            conditions: permission.conditions.as_ref().into(),
            delegate_id: permission
                .delegate
                .as_ref()
                .map(|delegate| delegate.id.to_string()),
            delegate: permission.delegate.as_ref().map(|delegate| delegate.name.clone()),
        }
    }
}

pub(crate) fn kind(kind: PermissionKind) -> &'static str {
    match kind {
        PermissionKind::Upload => "upload",
        PermissionKind::Download => "download",
        PermissionKind::Reference => "reference",
        PermissionKind::Emergency => "emergency",
    }
}

fn state(state: PermissionState) -> &'static str {
    match state {
        PermissionState::Live => "live",
        PermissionState::Revoked => "revoked",
        PermissionState::Replaced => "replaced",
        PermissionState::Expired => "expired",
        PermissionState::Spent => "spent",
    }
}

impl Report for List {
    fn text(&self) -> String {
        if self.permissions.is_empty() {
            return "No permission was given yet.\n".to_owned();
        }
        table(
            [
                "PERMISSION",
                "KIND",
                "STATE",
                "USES LEFT",
                "BYTES LEFT",
                "UNTIL",
                "ONLY",
                "INSTITUTION",
            ],
            self.permissions.iter().map(|permission| {
                [
                    permission.permission_id.clone(),
                    permission.kind.to_owned(),
                    permission.state.to_owned(),
                    format!("{} of {}", permission.uses_left, permission.uses),
                    match permission.bytes_left {
                        u64::MAX => "no limit".to_owned(),
                        bytes => size(bytes),
                    },
                    moment(permission.expires_ms),
                    permission.only(),
                    party(&permission.name, &permission.institution_id),
                ]
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use client_sdk::{InstitutionId, RecordId, patient::InstitutionRef};
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
        assert_eq!(serde_json::to_value(Entry::from(&permission)).unwrap(), entry);
        assert_eq!(
            Entry::from(&permission).only(),
            "TREAT; text/plain; from 2026-05-01"
        );
    }
}
