//! `medvault history`: the statement of a vault, like that of a bank account: who, under which permission, which
//! records, how many bytes, when, answered by whom; each entry proven or named as unproven.

mod checked;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use client_sdk::{
    HistoryItem, PermissionId, Purpose,
    names::Look,
    patient::{DeviceRef, HistoryLine, HistoryWhat, InstitutionRef},
    verify_case,
};
use serde::Serialize;

use self::checked::CheckedHistory;
use crate::{
    commands::verify::Case,
    context::Context,
    failure::Failure,
    new_file::NewFile,
    output::{Report, moment, party, plain, table},
    values::{moment as clock_time, since},
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
    #[arg(long, value_name = "DATE", value_parser = clock_time)]
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
    let report = VerifiedHistory {
        history: History::of(&check.items, &options, context.json()),
        checked: CheckedHistory::from(&check),
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

#[derive(Serialize)]
struct History {
    history: Vec<HistoryItem>,
    /// How many entries before those were left out by `--last`.
    earlier: u64,
    /// What each institution did, in all that was asked for, shown or left out.
    totals: Vec<Total>,
}

impl History {
    fn of(items: &[HistoryItem], options: &Options, json: bool) -> Self {
        let fit: Vec<HistoryItem> = (items.iter().filter(|item| options.shows(item)).cloned()).collect();
        // In the order of the ids' texts.
        let mut totals: BTreeMap<String, Total> = BTreeMap::new();
        for item in &fit {
            if let Some(institution) = &item.institution {
                let total = totals.entry(institution.id.to_string());
                total.or_insert_with(|| Total::of(institution)).add(&item.what);
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
    fn newest(&self, fit: Vec<HistoryItem>, json: bool) -> (Vec<HistoryItem>, u64) {
        let all = fit.len() as u64;
        let most = self.window.most(json, self.from.is_some());
        let left = all.saturating_sub(most.unwrap_or(all));
        let shown: Vec<HistoryItem> = (0..)
            .zip(fit)
            .filter(|(at, item)| *at >= left || item.problem().is_some())
            .map(|(_, item)| item)
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
        item.problem().is_some() || (in_time && about)
    }
}

/// What one institution did, in sums.
#[derive(Serialize)]
struct Total {
    #[serde(flatten)]
    institution: InstitutionRef,
    presentations: u64,
    records_stored: u64,
    bytes_stored: u64,
    releases: u64,
    bytes_released: u64,
}

impl Total {
    fn of(institution: &InstitutionRef) -> Self {
        Self {
            institution: institution.clone(),
            presentations: 0,
            records_stored: 0,
            bytes_stored: 0,
            releases: 0,
            bytes_released: 0,
        }
    }

    fn add(&mut self, what: &HistoryWhat) {
        match what {
            HistoryWhat::Presented(_) => self.presentations += 1,
            HistoryWhat::Stored(stored) => {
                self.records_stored += 1;
                self.bytes_stored = self.bytes_stored.saturating_add(stored.bytes);
            }
            HistoryWhat::Released(released) => {
                self.releases += 1;
                self.bytes_released = self.bytes_released.saturating_add(released.bytes);
            }
            _ => {}
        }
    }
}

/// A history that was held against all that the server shows.
#[derive(Serialize)]
struct VerifiedHistory {
    #[serde(flatten)]
    history: History,
    checked: CheckedHistory,
}

impl Report for VerifiedHistory {
    fn text(&self) -> String {
        self.history.text() + &self.checked.text()
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
            self.history.iter().map(|item| columns(&item.line())),
        );
        text.push('\n');
        for total in &self.totals {
            text.push_str(&format!(
                "{}: {} presentations, {} records stored ({}), {} releases ({})\n",
                party(&total.institution.name, total.institution.id),
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

fn columns(line: &HistoryLine<'_>) -> [String; 11] {
    let under = line.permission_id.map(|id| id.to_string());
    let request = line.request_id.map(|id| id.to_string());
    [
        line.id.to_string(),
        moment(line.at),
        who(line),
        line.kind.to_owned(),
        under.or(request).unwrap_or_default(),
        records(line),
        line.purpose.map(Purpose::code).unwrap_or_default().to_owned(),
        line.bytes.map(size).unwrap_or_default(),
        line.total_bytes.map(size).unwrap_or_default(),
        line.answered_by.as_deref().map(plain).unwrap_or_default(),
        proof(line),
    ]
}

/// The institution, and the terminal that acted for it.
fn who(line: &HistoryLine<'_>) -> String {
    let institution = line.institution;
    let name = institution.map_or_else(String::new, |shown| party(&shown.name, shown.id));
    match line.terminal {
        Some(terminal) => format!("{name} ({})", plain(terminal)),
        None => name,
    }
}

/// The record or records that it is about, or the devices.
fn records(line: &HistoryLine<'_>) -> String {
    match (line.record_id, line.collection_id, line.records) {
        (Some(record), ..) => record.to_string(),
        (None, Some(collection), _) => format!("all in {collection}"),
        (None, None, [one]) => one.to_string(),
        (None, None, []) => devices_changed(line),
        (None, None, [first, rest @ ..]) => format!("{first} and {} more", rest.len()),
    }
}

/// The devices that a list adds, with a plus, and those that it removes, with a minus.
fn devices_changed(line: &HistoryLine<'_>) -> String {
    let shown = |sign: char, devices: Option<&[DeviceRef]>| {
        let devices = devices.unwrap_or_default().iter();
        let all: Vec<String> = devices
            .map(|device| format!("{sign} {}", plain(&device.name)))
            .collect();
        all
    };
    let added = shown('+', line.devices_added);
    [added, shown('-', line.devices_removed)].concat().join(", ")
}

fn proof(line: &HistoryLine<'_>) -> String {
    match (line.problem, line.log_size) {
        (Some(problem), _) => format!("NOT PROVEN: {}", plain(problem)),
        (None, Some(_)) => "signed, logged".to_owned(),
        (None, None) => "signed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use client_sdk::{RecordId, patient::StoredEntry};
    use serde_json::json;

    use super::*;

    fn stored() -> HistoryItem {
        HistoryItem {
            number: 4,
            at: 1_700_000_000_000,
            what: HistoryWhat::Stored(StoredEntry {
                permission: PermissionId::from_bytes([5; 16]),
                record: RecordId::from_bytes([4; 16]),
                bytes: 1 << 20,
                total: Some(3 << 20),
            }),
            institution: None,
            signer: None,
            logged: Some(9),
        }
    }

    fn unproven() -> HistoryItem {
        let problem = "log proof does not verify".to_owned();
        HistoryItem {
            what: HistoryWhat::Unverified { problem },
            ..stored()
        }
    }

    #[test]
    fn json_says_whether_an_entry_is_proven() {
        let entry = json!({
            "id": 4,
            "at": "2023-11-14T22:13:20.000Z",
            "kind": "stored",
            "verified": true,
            "permission_id": PermissionId::from_bytes([5; 16]).to_string(),
            "record_id": RecordId::from_bytes([4; 16]).to_string(),
            "bytes": 1 << 20,
            "total_bytes": 3 << 20,
            "log_size": 9,
        });
        assert_eq!(serde_json::to_value(stored()).unwrap(), entry);
    }

    #[test]
    fn days_and_moments_are_read_and_nothing_else() {
        assert_eq!(clock_time("1970-01-02"), Ok(86_400_000));
        assert_eq!(clock_time("1970-01-01T00:00:01Z"), Ok(1000));
        for wrong in ["", "yesterday", "2026-13-01", "2026-01-01 12:00"] {
            assert!(clock_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_range_keeps_what_is_not_proven() {
        let options = Options {
            from: Some(1_800_000_000_000),
            ..Options::default()
        };
        assert!(!options.shows(&stored()));
        assert!(options.shows(&unproven()));
    }

    #[test]
    fn an_entry_with_a_problem_is_shown_as_not_proven() {
        let item = unproven();
        assert!(!item.line().verified);
        assert_eq!(proof(&item.line()), "NOT PROVEN: log proof does not verify");
    }
}
