//! What was found when a history was held against all that the server shows.

use client_sdk::patient::HistoryCheck;
use serde::Serialize;

use crate::output::plain;

/// How much of a history was checked, and what does not hold.
#[derive(Serialize)]
pub(super) struct CheckedHistory {
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

impl From<&HistoryCheck> for CheckedHistory {
    fn from(check: &HistoryCheck) -> Self {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let unproven = check.items.iter().filter(|item| item.problem().is_some());
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

impl CheckedHistory {
    /// All that does not hold, in one line.
    pub(super) fn what_fails(&self, check: &HistoryCheck) -> String {
        let entries = check.items.iter().filter_map(|item| {
            let problem = item.problem()?;
            Some(format!("entry {}: {problem}", item.number))
        });
        let all: Vec<String> = entries.chain(self.findings.iter().cloned()).collect();
        all.join("; ")
    }

    /// All that was checked and found, in sentences.
    pub(super) fn text(&self) -> String {
        let Self {
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
        } = self;
        let mut text = format!(
            "\nChecked: {entries} entries, numbered without gaps; {seen_before} of them seen before by this device, unchanged.\n\
             {statements} statements by their makers' signatures; {presentations} presentations by both of theirs, within the uses permitted;\n\
             {receipts} receipts and tickets, each signed and in the log (of {log_size} entries), each with the presentation before it.\n\
             {permissions} permissions and {records} records of the vault, held against the history;\n\
             {leaves} leaves of the log since the last check are this vault's, each of something that is shown.\n"
        );
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
