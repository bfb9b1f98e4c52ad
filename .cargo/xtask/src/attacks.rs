//! The malicious-server kit: plays the attacks of `protocol-spec/spec/attacks.md` and says what came of them.
//!
//! A row is defended when all its tests saw the attack fail, and its control succeeds when the same attack was seen to
//! succeed without the defence. Neither is inferred from the other: tests that play both sides note each by itself
//! (`tests::attack`), other controls are tests of their own. What is missing is shown, never left out.

mod play;
#[path = "../../../protocol-spec/tests/attacks/table.rs"]
mod table;
mod verdict;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use serde_json::json;

use crate::build;
use crate::process::workspace_root;
pub(crate) use play::Play;
pub(crate) use table::TestName;
use table::{Control, Row, rows};
use verdict::RowVerdict;

/// Which, and how to report.
#[derive(Args)]
#[command(after_help = "Examples:\n  cargo xtask attacks\n  cargo xtask attacks 18 ATK-25 --json")]
pub(crate) struct Options {
    /// Rows, as `ATK-18` or `18`; without any, all
    rows: Vec<String>,
    /// Print one JSON object: rows with id, defended, `control_succeeds`
    #[arg(long)]
    json: bool,
}

/// Builds what is needed, plays the attacks, prints the table.
///
/// Fails when a build fails, when there is no such row, and when not
/// every row is defended with a control that succeeds.
pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = chosen(&options.rows)?;
    let wanted: BTreeSet<TestName> = rows.iter().flat_map(tests_of).cloned().collect();
    // Those against servers need all programs, weakened too.
    if wanted.iter().any(|test| test.binary.starts_with("tests::")) {
        build::run()?;
    }
    let played = Play::of(wanted)?;
    let verdicts: Vec<RowVerdict<'_>> = rows.iter().map(|row| RowVerdict::of(row, &played)).collect();
    if options.json {
        let rows: Vec<_> = verdicts.iter().map(RowVerdict::json).collect();
        print_line(&serde_json::to_string_pretty(&json!({ "rows": rows }))?);
    } else {
        verdict::table(&verdicts).iter().for_each(|line| print_line(line));
    }
    let open = verdicts.iter().filter(|verdict| !verdict.holds()).count();
    ensure!(open == 0, "{open} of {} attacks are not answered", verdicts.len());
    Ok(())
}

/// What was asked for goes to standard output; what is said on the way does not.
fn print_line(line: &str) {
    println!("{line}");
}

fn chosen(names: &[String]) -> Result<Vec<Row>> {
    let path = workspace_root().join("protocol-spec/spec/attacks.md");
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut all = rows(&page).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let mut numbers: BTreeSet<u32> = BTreeSet::new();
    for name in names {
        let number = name.strip_prefix("ATK-").unwrap_or(name).parse();
        match number {
            Ok(number) if all.iter().any(|row| row.number == number) => numbers.insert(number),
            _ => bail!("there is no row {name}: rows are ATK-1 to ATK-{}", all.len()),
        };
    }
    all.retain(|row| numbers.is_empty() || numbers.contains(&row.number));
    Ok(all)
}

fn tests_of(row: &Row) -> impl Iterator<Item = &TestName> {
    let controls = row.controls.iter().filter_map(|control| match control {
        Control::Test(test) => Some(test),
        Control::Without(_) => None,
    });
    row.tests.iter().chain(controls)
}
