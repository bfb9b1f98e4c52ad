//! `medvault history`: who asked, permitted, presented and received, each entry proven or named as unproven.

use client_sdk::{
    HistoryItem, Purpose,
    patient::{DeviceRef, HistoryKind},
};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, moment, plain, table, timestamp},
    views::size,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  medvault history
  medvault history --json

An entry counts as logged when the server's signed receipt stands in its append-only log.";

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let items = context.patient().await?.history().await?;
    context.print(&History {
        history: items.iter().map(Entry::from).collect(),
    })
}

#[derive(Serialize)]
struct History {
    history: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: u64,
    at: String,
    #[serde(skip)]
    at_ms: u64,
    kind: &'static str,
    /// Whether signatures, receipt and log proof of the entry hold.
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    institution_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// HL7 PurposeOfUse code.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'static str>,
    /// Entries of the log under which the receipt was proven to stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_size: Option<u64>,
    /// What the patient calls the device of hers that acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    devices_added: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    devices_removed: Option<Vec<String>>,
    /// The standing rule that answered, as this home has kept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
}

impl From<&HistoryItem> for Entry {
    fn from(item: &HistoryItem) -> Self {
        Self {
            id: item.number,
            at: timestamp(item.at),
            at_ms: item.at,
            kind: kind(item.kind),
            verified: item.problem.is_none() && item.kind != HistoryKind::Unverified,
            problem: item.problem.clone(),
            institution_id: item
                .institution
                .as_ref()
                .map(|institution| institution.id.to_string()),
            name: item
                .institution
                .as_ref()
                .map(|institution| institution.name.clone()),
            request_id: item.request_id.map(|id| id.to_string()),
            permission_id: item.permission_id.map(|id| id.to_string()),
            record_id: item.record_id.map(|id| id.to_string()),
            bytes: item.bytes,
            purpose: item.purpose.map(Purpose::code),
            log_size: item.logged,
            device: item.device.as_ref().map(|device| device.name.clone()),
            devices_added: item.change.as_ref().map(|change| names(&change.added)),
            devices_removed: item.change.as_ref().map(|change| names(&change.removed)),
            rule: item.rule.clone(),
        }
    }
}

fn names(devices: &[DeviceRef]) -> Vec<String> {
    devices.iter().map(|device| device.name.clone()).collect()
}

fn kind(kind: HistoryKind) -> &'static str {
    match kind {
        HistoryKind::UploadRequested => "upload-requested",
        HistoryKind::DownloadRequested => "download-requested",
        HistoryKind::ReferenceRequested => "reference-requested",
        HistoryKind::Permitted => "permitted",
        HistoryKind::Denied => "denied",
        HistoryKind::Revoked => "revoked",
        HistoryKind::Presented => "presented",
        HistoryKind::Stored => "stored",
        HistoryKind::Released => "released",
        HistoryKind::EpochClosed => "epoch-closed",
        HistoryKind::DevicesChanged => "devices-changed",
        HistoryKind::Unverified => "unverified",
    }
}

impl Report for History {
    fn text(&self) -> String {
        if self.history.is_empty() {
            return "Nothing has happened yet.\n".to_owned();
        }
        table(
            [
                "#",
                "WHEN",
                "WHAT",
                "ABOUT",
                "BYTES",
                "FOR",
                "PROOF",
                "INSTITUTION",
                "DEVICE",
                "BY RULE",
            ],
            self.history.iter().map(|entry| {
                [
                    entry.id.to_string(),
                    moment(entry.at_ms),
                    entry.kind.to_owned(),
                    plain(&entry.about()),
                    entry.bytes.map(size).unwrap_or_default(),
                    entry.purpose.unwrap_or_default().to_owned(),
                    entry.proof(),
                    entry.name.as_deref().map(plain).unwrap_or_default(),
                    entry.device.as_deref().map(plain).unwrap_or_default(),
                    entry.rule.as_deref().map(plain).unwrap_or_default(),
                ]
            }),
        )
    }
}

impl Entry {
    /// The most telling id: record, else permission, else request; of devices, which came and went.
    fn about(&self) -> String {
        let ids = [&self.record_id, &self.permission_id, &self.request_id];
        let id = ids.into_iter().find_map(|id| id.as_deref());
        let changed = || {
            let added = self
                .devices_added
                .iter()
                .flatten()
                .map(|name| format!("+ {name}"));
            let removed = self
                .devices_removed
                .iter()
                .flatten()
                .map(|name| format!("- {name}"));
            added.chain(removed).collect::<Vec<_>>().join(", ")
        };
        id.map_or_else(changed, str::to_owned)
    }

    fn proof(&self) -> String {
        match (&self.problem, self.verified, self.log_size) {
            (Some(problem), ..) => format!("NOT PROVEN: {}", plain(problem)),
            (None, false, _) => "NOT PROVEN".to_owned(),
            (None, true, Some(_)) => "signed, logged".to_owned(),
            (None, true, None) => "signed".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use client_sdk::RecordId;
    use serde_json::json;

    use super::*;

    fn stored() -> HistoryItem {
        HistoryItem {
            number: 4,
            at: 1_700_000_000_000,
            kind: HistoryKind::Stored,
            institution: None,
            request_id: None,
            permission_id: None,
            record_id: Some(RecordId::from_bytes([4; 16])),
            bytes: Some(1 << 20),
            purpose: None,
            logged: Some(9),
            problem: None,
            device: None,
            change: None,
            rule: None,
        }
    }

    #[test]
    fn json_says_whether_an_entry_is_proven() {
        let entry = json!({
            "id": 4,
            "at": "2023-11-14T22:13:20.000Z",
            "kind": "stored",
            "verified": true,
            "record_id": RecordId::from_bytes([4; 16]).to_string(),
            "bytes": 1 << 20,
            "log_size": 9,
        });
        assert_eq!(serde_json::to_value(Entry::from(&stored())).unwrap(), entry);
    }

    #[test]
    fn an_entry_with_a_problem_is_shown_as_not_proven() {
        let item = HistoryItem {
            problem: Some("log proof does not verify".to_owned()),
            ..stored()
        };
        let entry = Entry::from(&item);
        assert!(!entry.verified);
        assert_eq!(entry.proof(), "NOT PROVEN: log proof does not verify");
    }
}
