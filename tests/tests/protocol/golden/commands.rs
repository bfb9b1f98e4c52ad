//! Which commands there are, by the program's own help.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Context, Result};
use tests::harness::program;

/// All commands that can be called, by their words.
pub(super) fn all() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![Vec::new()];
    while let Some(words) = waiting.pop() {
        let help = help(&words)?;
        let below = below(&help);
        // One with others below it can be called by itself where its usage does not ask for one of them.
        let usage = help
            .lines()
            .find(|line| line.starts_with("Usage:"))
            .context("no usage")?;
        if below.is_empty() || !usage.contains("<COMMAND>") {
            found.insert(words.join(" "));
        }
        waiting.extend(below.into_iter().map(|word| [&words[..], &[word]].concat()));
    }
    Ok(found)
}

fn help(words: &[String]) -> Result<String> {
    let output = Command::new(program("medvault")?)
        .args(words)
        .arg("--help")
        .output()?;
    String::from_utf8(output.stdout).context("help")
}

/// The commands that a help lists, but for the one that only prints help.
fn below(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' ') && !line.contains("Print this message or the help"))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}
