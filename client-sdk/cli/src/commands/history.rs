//! `medvault history`: the statement of a vault, like that of a bank account: who, under which permission, which
//! records, how many bytes, when, answered by whom; each entry proven or named as unproven.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

use clap::Args;
use client_sdk::{
    HistoryItem, PermissionId, Purpose,
    names::Look,
    patient::{DeviceRef, HistoryCheck, HistoryKind},
    text::timestamp,
    verify_case,
};
use serde::Serialize;

use crate::{
    commands::verify::Case,
    context::Context,
    failure::Failure,
    new_file::NewFile,
    output::{Report, moment, party, plain, table},
    values::since,
    views::size,
    window::{self, Window},
};

/// Which part of the history, and how closely it is looked at.
#[derive(Args, Debug, Default)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// From then on: a day or moment (UTC), or how long ago (`30d`)
    #[arg(long, visible_alias = "since", value_name = "DATE", value_parser = since)]
    from: Option<u64>,
    /// Before this day or moment (UTC)
    #[arg(long, value_name = "DATE", value_parser = date)]
    to: Option<u64>,
    /// What concerns this institution alone: id or name; those with names that look alike are shown together
    #[arg(long, value_name = "INSTITUTION")]
    institution: Option<String>,
    #[command(flatten)]
    window: Window,
    /// Check every signature, receipt and number, hold all of it against the vault, and say what was checked
    #[arg(long)]
    verify: bool,
    /// Write the case of one permission, with every signature and proof, to this new file
    #[arg(long, value_name = "FILE", requires = "permission", conflicts_with_all = ["verify", "from", "to", "institution", "last", "all"])]
    export: Option<PathBuf>,
    /// The permission whose case is written
    #[arg(long, value_name = "PERMISSION", requires = "export")]
    permission: Option<PermissionId>,
}

const EXAMPLES: &str = "\
Examples:
  medvault history
  medvault history --since 30d
  medvault history --last 200
  medvault history --institution 'St. Anna' --from 2026-01-01 --to 2026-02-01
  medvault history --verify --json
  medvault history --export case.pb --permission perm_ae5…
  medvault verify case.pb --server https://vault.example:8443/#m3k…

An entry counts as logged when the server's signed receipt stands in its append-only log. TOTAL is what an
institution has stored, or has been given, up to this entry. --verify always checks all of it, whatever is shown,
and fails when something does not hold.";

pub(crate) async fn run(context: &Context, options: Options) -> Result<(), Failure> {
    if let (Some(file), Some(permission)) = (&options.export, options.permission) {
        return export(context, file, permission).await;
    }
    let patient = context.patient().await?;
    if !options.verify {
        let items = patient.history().await?;
        return context.print(&History::of(&items, &options, context.json()));
    }
    let check = patient.check_history().await?;
    let report = Verified {
        history: History::of(&check.items, &options, context.json()),
        checked: Checked::from(&check),
    };
    if check.holds() {
        return context.print(&report);
    }
    // A program gets one object: the failure, with all that does not hold.
    if !context.json() {
        context.print(&report)?;
    }
    Err(Failure::unproven(&report.checked.what_fails(&check)))
}

async fn export(context: &Context, file: &Path, permission: PermissionId) -> Result<(), Failure> {
    let file = NewFile::at(file)?;
    let patient = context.patient().await?;
    let bundle = patient.export_case(permission).await?;
    let case = verify_case(&bundle, patient.link())?;
    let written = file.write(&bundle)?;
    context.print(&Case::of(&case, Some(written)))
}

/// `2026-01-31`, or a moment such as `2026-01-31T12:00:00Z`, in milliseconds.
fn date(text: &str) -> Result<u64, String> {
    let day = format!("{text}T00:00:00Z");
    let moment = humantime::parse_rfc3339(&day).or_else(|_| humantime::parse_rfc3339(text));
    moment
        .ok()
        .and_then(|moment| moment.duration_since(SystemTime::UNIX_EPOCH).ok())
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .ok_or_else(|| "write a day such as 2026-01-31, or a moment such as 2026-01-31T12:00:00Z".to_owned())
}

#[derive(Serialize)]
struct History {
    history: Vec<Entry>,
    /// How many entries before those were left out by `--last`.
    earlier: u64,
    /// What each institution did, in all that was asked for, shown or left out.
    totals: Vec<Total>,
}

impl History {
    fn of(items: &[HistoryItem], options: &Options, json: bool) -> Self {
        let fit: Vec<Entry> = items
            .iter()
            .filter(|item| options.shows(item))
            .map(Entry::from)
            .collect();
        let mut totals: BTreeMap<String, Total> = BTreeMap::new();
        for entry in &fit {
            if let Some(id) = &entry.institution_id {
                totals.entry(id.clone()).or_default().add(entry);
            }
        }
        let (shown, earlier) = options.newest(fit, json);
        Self {
            history: shown,
            earlier,
            totals: totals.into_values().collect(),
        }
    }
}

impl Options {
    /// The newest of these, as many as are shown, and how many are left out. What is not proven is never left out.
    fn newest(&self, fit: Vec<Entry>, json: bool) -> (Vec<Entry>, u64) {
        let all = fit.len() as u64;
        let most = self.window.most(json, self.from.is_some());
        let left = all.saturating_sub(most.unwrap_or(all));
        let shown: Vec<Entry> = (0..)
            .zip(fit)
            .filter(|(at, entry)| *at >= left || entry.problem.is_some())
            .map(|(_, entry)| entry)
            .collect();
        let earlier = all - shown.len() as u64;
        (shown, earlier)
    }

    /// An entry that is not proven may be anybody's: it is always shown.
    fn shows(&self, item: &HistoryItem) -> bool {
        let in_time = self.from.is_none_or(|from| from <= item.at) && self.to.is_none_or(|to| item.at < to);
        let about = match (&self.institution, &item.institution) {
            (Some(wanted), Some(institution)) => {
                Look::of(&institution.name).is_like(&Look::of(wanted))
                    || institution.id.to_string() == *wanted
            }
            _ => true,
        };
        item.problem.is_some() || (in_time && about)
    }
}

/// One institution's part.
#[derive(Default, Serialize)]
struct Total {
    institution_id: String,
    name: String,
    presentations: u64,
    records_stored: u64,
    bytes_stored: u64,
    releases: u64,
    bytes_released: u64,
}

impl Total {
    fn add(&mut self, entry: &Entry) {
        self.institution_id = entry.institution_id.clone().unwrap_or_default();
        self.name = entry.name.clone().unwrap_or_default();
        let bytes = entry.bytes.unwrap_or_default();
        match entry.kind {
            "presented" => self.presentations += 1,
            "stored" => {
                self.records_stored += 1;
                self.bytes_stored = self.bytes_stored.saturating_add(bytes);
            }
            "released" => {
                self.releases += 1;
                self.bytes_released = self.bytes_released.saturating_add(bytes);
            }
            _ => {}
        }
    }
}

/// A history that was held against all that the server shows.
#[derive(Serialize)]
struct Verified {
    #[serde(flatten)]
    history: History,
    checked: Checked,
}

/// What was checked.
#[derive(Serialize)]
struct Checked {
    holds: bool,
    entries: u64,
    /// Of patients' devices and of institutions.
    statements: u64,
    presentations: u64,
    receipts: u64,
    log_size: u64,
    seen_before: u64,
    permissions: u64,
    records: u64,
    leaves: u64,
    unproven_entries: u64,
    findings: Vec<String>,
}

impl From<&HistoryCheck> for Checked {
    fn from(check: &HistoryCheck) -> Self {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let unproven = check.items.iter().filter(|item| item.problem.is_some());
        Self {
            holds: check.holds(),
            entries: count(check.items.len()),
            statements: check.counts.statements,
            presentations: check.counts.presentations,
            receipts: check.counts.receipts,
            log_size: check.counts.log_size,
            seen_before: check.seen_before,
            permissions: check.permissions,
            records: check.records,
            leaves: check.leaves,
            unproven_entries: count(unproven.count()),
            findings: check.findings.clone(),
        }
    }
}

impl Checked {
    /// All that does not hold, in one line.
    fn what_fails(&self, check: &HistoryCheck) -> String {
        let entries = check.items.iter().filter_map(|item| {
            let problem = item.problem.as_ref()?;
            Some(format!("entry {}: {problem}", item.number))
        });
        let all: Vec<String> = entries.chain(self.findings.iter().cloned()).collect();
        all.join("; ")
    }
}

impl Report for Verified {
    fn text(&self) -> String {
        let Checked {
            holds,
            entries,
            statements,
            presentations,
            receipts,
            log_size,
            seen_before,
            permissions,
            records,
            leaves,
            unproven_entries,
            findings,
        } = &self.checked;
        let mut text = self.history.text();
        text.push_str(&format!(
            "\nChecked: {entries} entries, numbered without gaps; {seen_before} of them seen before by this device, unchanged.\n\
             {statements} statements by their makers' signatures; {presentations} presentations by both of theirs, within the uses permitted;\n\
             {receipts} receipts and tickets, each signed and in the log (of {log_size} entries), each with the presentation before it.\n\
             {permissions} permissions and {records} records of the vault, held against the history;\n\
             {leaves} leaves of the log since the last check are this vault's, each of something that is shown.\n"
        ));
        for finding in findings {
            text.push_str(&format!("PROBLEM: {}\n", plain(finding)));
        }
        if *unproven_entries > 0 {
            text.push_str(&format!(
                "PROBLEM: {unproven_entries} entries are not proven, see above\n"
            ));
        }
        if *holds {
            text.push_str("Verified: no problems found.\n");
        }
        text
    }
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
    /// Those that the permission is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// HL7 PurposeOfUse code.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'static str>,
    /// Stored by this institution, or given to it, up to here.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_bytes: Option<u64>,
    /// Who decided: this device, another of your devices, a delegate, or a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<String>,
    /// Entries of the log under which the receipt was proven to stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_size: Option<u64>,
    /// What the patient calls the device of hers that acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// The delegate who acted, or who is or was to.
    #[serde(skip_serializing_if = "Option::is_none")]
    delegate_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    devices_added: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    devices_removed: Option<Vec<String>>,
    /// The terminal that presented, as its institution calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal: Option<String>,
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
            records: item.records.iter().map(ToString::to_string).collect(),
            collection_id: item.collection.map(|id| id.to_string()),
            bytes: item.bytes,
            purpose: item.purpose.map(Purpose::code),
            total_bytes: item.total,
            answered_by: answered_by(item),
            log_size: item.logged,
            device: item.device.as_ref().map(|device| device.name.clone()),
            delegate_id: item.delegate.as_ref().map(|delegate| delegate.id.to_string()),
            delegate: item.delegate.as_ref().map(|delegate| delegate.name.clone()),
            devices_added: item.change.as_ref().map(|change| names(&change.added)),
            devices_removed: item.change.as_ref().map(|change| names(&change.removed)),
            terminal: item.terminal.as_ref().map(|terminal| terminal.name.clone()),
            rule: item.rule.clone(),
        }
    }
}

fn names(devices: &[DeviceRef]) -> Vec<String> {
    devices.iter().map(|device| device.name.clone()).collect()
}

/// A guardian who helped, or a rule that answered, is named; otherwise the device that signed.
fn answered_by(item: &HistoryItem) -> Option<String> {
    if let Some(guardian) = &item.guardian {
        return Some(format!("guardian {guardian}"));
    }
    match (&item.rule, &item.device) {
        (Some(rule), _) => Some(format!("rule {rule}")),
        (None, None) => item
            .delegate
            .as_ref()
            .map(|delegate| format!("delegate {} ({})", delegate.name, delegate.id)),
        (None, Some(device)) if device.this => Some("this device".to_owned()),
        (None, Some(device)) => Some(format!("device {}", device.name)),
    }
}

fn kind(kind: HistoryKind) -> &'static str {
    match kind {
        HistoryKind::UploadRequested => "upload-requested",
        HistoryKind::DownloadRequested => "download-requested",
        HistoryKind::ReferenceRequested => "reference-requested",
        HistoryKind::Permitted => "permitted",
        HistoryKind::Denied => "denied",
        HistoryKind::Noted => "noted",
        HistoryKind::Revoked => "revoked",
        HistoryKind::Presented => "presented",
        HistoryKind::Stored => "stored",
        HistoryKind::Resealed => "resealed",
        HistoryKind::Released => "released",
        HistoryKind::EpochClosed => "epoch-closed",
        HistoryKind::DevicesChanged => "devices-changed",
        HistoryKind::Delegated => "delegated",
        HistoryKind::DelegationEnded => "delegation-ended",
        HistoryKind::DelegateRead => "delegate-read",
        HistoryKind::EmergencyOpened => "emergency-opened",
        HistoryKind::EmergencyHelp => "emergency-help",
        HistoryKind::EmergencyObjected => "emergency-objected",
        HistoryKind::RecordDeleted => "record-deleted",
        HistoryKind::TakenBack => "taken-back",
        HistoryKind::Deleted => "deleted",
        HistoryKind::Unverified => "unverified",
    }
}

impl Report for History {
    fn text(&self) -> String {
        if self.history.is_empty() {
            return "Nothing has happened yet.\n".to_owned();
        }
        let mut text = window::earlier(self.earlier, "history");
        text += &table(
            [
                "#", "WHEN", "WHO", "WHAT", "UNDER", "RECORDS", "FOR", "BYTES", "TOTAL", "BY", "PROOF",
            ],
            self.history.iter().map(|entry| {
                [
                    entry.id.to_string(),
                    moment(entry.at_ms),
                    entry.who(),
                    entry.kind.to_owned(),
                    entry.under(),
                    entry.what(),
                    entry.purpose.unwrap_or_default().to_owned(),
                    entry.bytes.map(size).unwrap_or_default(),
                    entry.total_bytes.map(size).unwrap_or_default(),
                    entry.answered_by.as_deref().map(plain).unwrap_or_default(),
                    entry.proof(),
                ]
            }),
        );
        text.push('\n');
        for total in &self.totals {
            text.push_str(&format!(
                "{}: {} presentations, {} records stored ({}), {} releases ({})\n",
                party(&total.name, &total.institution_id),
                total.presentations,
                total.records_stored,
                size(total.bytes_stored),
                total.releases,
                size(total.bytes_released)
            ));
        }
        text
    }
}

impl Entry {
    /// The institution, and the terminal that acted for it.
    fn who(&self) -> String {
        let name = match (&self.name, &self.institution_id) {
            (Some(name), Some(id)) => party(name, id),
            (name, _) => name.as_deref().map(plain).unwrap_or_default(),
        };
        match &self.terminal {
            Some(terminal) => format!("{name} ({})", plain(terminal)),
            None => name,
        }
    }

    /// The permission, else the request.
    fn under(&self) -> String {
        let id = self.permission_id.as_ref().or(self.request_id.as_ref());
        id.cloned().unwrap_or_default()
    }

    /// The record or records that it is about.
    fn what(&self) -> String {
        match (&self.record_id, &self.collection_id, self.records.as_slice()) {
            (Some(record), ..) => record.clone(),
            (None, Some(collection), _) => format!("all in {collection}"),
            (None, None, [one]) => one.clone(),
            (None, None, []) => self.devices_changed(),
            (None, None, [first, rest @ ..]) => format!("{first} and {} more", rest.len()),
        }
    }

    /// Which devices came and went.
    fn devices_changed(&self) -> String {
        let added = self
            .devices_added
            .iter()
            .flatten()
            .map(|name| format!("+ {}", plain(name)));
        let removed = self
            .devices_removed
            .iter()
            .flatten()
            .map(|name| format!("- {}", plain(name)));
        added.chain(removed).collect::<Vec<_>>().join(", ")
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
            records: Vec::new(),
            collection: None,
            bytes: Some(1 << 20),
            purpose: None,
            total: Some(3 << 20),
            device: None,
            delegate: None,
            logged: Some(9),
            problem: None,
            change: None,
            terminal: None,
            guardian: None,
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
            "total_bytes": 3 << 20,
            "log_size": 9,
        });
        assert_eq!(serde_json::to_value(Entry::from(&stored())).unwrap(), entry);
    }

    #[test]
    fn days_and_moments_are_read_and_nothing_else() {
        assert_eq!(date("1970-01-02"), Ok(86_400_000));
        assert_eq!(date("1970-01-01T00:00:01Z"), Ok(1000));
        for wrong in ["", "yesterday", "2026-13-01", "2026-01-01 12:00"] {
            assert!(date(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_range_keeps_what_is_not_proven() {
        let options = Options {
            from: Some(1_800_000_000_000),
            ..Options::default()
        };
        assert!(!options.shows(&stored()));
        let unproven = HistoryItem {
            problem: Some("no".to_owned()),
            ..stored()
        };
        assert!(options.shows(&unproven));
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
