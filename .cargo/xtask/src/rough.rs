//! Troubles that users of other systems report, each played with the real programs: `tests/ROUGH.md` says which test plays
//! which, and what a person sees.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::json;

use crate::attacks::{Play, TestName};
use crate::build;
use crate::process::workspace_root;

/// Which kinds of trouble to play, and whether to report as a table or as JSON.
#[derive(Args)]
#[command(after_help = "Examples:\n  cargo xtask rough\n  cargo xtask rough 4 10 --json")]
pub(crate) struct Options {
    /// Kinds, by their numbers; without any, all
    kinds: Vec<u32>,
    /// Print one JSON object: rows with kind, trouble, tests, `passed`, seen
    #[arg(long)]
    json: bool,
}

/// One trouble of the page, and the tests that play it.
struct TroubleRow {
    kind: u32,
    trouble: String,
    tests: Vec<TestName>,
    /// What the programs show a person in that trouble.
    seen: String,
}

/// Builds what is needed, plays the stories, prints the table.
///
/// Fails when a build fails, a row of the page is none, or a test does not pass.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut rows = read()?;
    rows.retain(|row| options.kinds.is_empty() || options.kinds.contains(&row.kind));
    ensure!(!rows.is_empty(), "there is no such kind in {PAGE}");
    build::run()?;
    let wanted: BTreeSet<TestName> = rows.iter().flat_map(|row| row.tests.clone()).collect();
    let played = Play::of(wanted)?;
    let passed = |row: &TroubleRow| {
        row.tests
            .iter()
            .all(|test| played.outcome(test).is_some_and(|outcome| outcome.passed))
    };
    if options.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let tests = row
                    .tests
                    .iter()
                    .map(|test| format!("{} {}", test.binary, test.name));
                json!({
                    "kind": row.kind,
                    "trouble": row.trouble,
                    "tests": tests.collect::<Vec<_>>(),
                    "passed": passed(row),
                    "seen": row.seen,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "rows": rows }))?);
    } else {
        println!("kind  verdict  trouble → what a person sees now");
        for row in &rows {
            let verdict = if passed(row) { "well" } else { "BROKEN" };
            println!("{:<5} {verdict:<8} {} → {}", row.kind, row.trouble, row.seen);
        }
    }
    let broken = rows.iter().filter(|row| !passed(row)).count();
    ensure!(broken == 0, "{broken} of {} troubles are back", rows.len());
    Ok(())
}

fn read() -> Result<Vec<TroubleRow>> {
    let path = workspace_root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    rows(&page)
}

/// The rows of the page's table, whose first cell is a number.
fn rows(page: &str) -> Result<Vec<TroubleRow>> {
    let mut rows = Vec::new();
    let is_row = |line: &&str| line.starts_with("| ");
    for line in page.lines().filter(is_row) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [kind, trouble, tests, seen] = cells.as_slice() else {
            bail!("{PAGE}: a row has four cells, this has not: {line}");
        };
        let Ok(kind) = kind.parse() else {
            continue;
        };
        let names = tests.split('`').skip(1).step_by(2);
        let tests: Option<Vec<_>> = names.map(test).collect();
        let tests = tests.filter(|tests| !tests.is_empty());
        rows.push(TroubleRow {
            kind,
            trouble: (*trouble).to_owned(),
            tests: tests.with_context(|| format!("{PAGE}: no test is named in: {line}"))?,
            seen: (*seen).to_owned(),
        });
    }
    Ok(rows)
}

fn test(item: &str) -> Option<TestName> {
    let (binary, name) = item.split_once(' ')?;
    Some(TestName {
        binary: binary.to_owned(),
        name: name.to_owned(),
    })
}

const PAGE: &str = "tests/ROUGH.md";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_page_names_a_test() {
        assert!(read().unwrap().len() > 3);
    }

    #[test]
    fn a_row_without_a_test_is_no_row() {
        let page = "| kind | trouble | tests | seen |\n|---|---|---|---|\n| 4 | it breaks | `tests::protocol large::x` | a word |\n";
        let read = rows(page).unwrap();
        assert_eq!(
            (read.len(), read[0].kind, read[0].tests[0].name.as_str()),
            (1, 4, "large::x")
        );
        assert!(rows("| 4 | it breaks | – | a word |").is_err());
    }
}
