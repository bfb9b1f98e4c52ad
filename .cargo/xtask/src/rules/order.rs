//! In which order the rules of a page stand: by number within each section, and where a page's later rules belong to an
//! earlier section, with a table at its top that leads from number to section.

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::index::{anchor, section};
use super::spec::page::{self, Rule};

const HEADING: &str = "| rules | stand in |\n|---|---|\n";

/// Sections in which rules stand in another order than that of their numbers, and why: page, number of the section.
const OUT_OF_ORDER: &[(&str, &str, &str)] = &[(
    "devices.md",
    "6",
    "what goes with a device comes before the members that may not go at once, and both before what she is told",
)];

/// Whether the rules of every page stand in their order, and the tables at the tops of pages are what would be made.
///
/// Errors: the first rule that stands behind one with a greater number, and a table that is stale or missing.
pub(super) fn check(pages: &[(String, String)]) -> Result<()> {
    for (name, text) in pages {
        ensure!(
            &with_table(name, text)? == text,
            "{name}: the table of its rules is stale: run `cargo xtask rules`"
        );
    }
    Ok(())
}

/// The page with the table that it needs.
///
/// Errors: the first rule that stands behind one with a greater number, and a page without a place for its table.
pub(super) fn with_table(name: &str, text: &str) -> Result<String> {
    let rules = page::rules(name, text).map_err(|error| anyhow!(error))?;
    check_sections(name, &rules)?;
    let found = text.split_once(HEADING);
    if is_sorted(&rules) {
        ensure!(
            found.is_none(),
            "{name}: its rules stand in their order: the table goes"
        );
        return Ok(text.to_owned());
    }
    let (before, rest) =
        found.with_context(|| format!("{name}: it needs a table that begins with:\n{HEADING}"))?;
    let rows = rest.lines().take_while(|line| line.starts_with('|'));
    let length = rows.map(|row| row.len() + 1).sum();
    let after = rest.get(length..).unwrap_or_default();
    Ok(format!("{before}{HEADING}{}{after}", table(rules)))
}

fn check_sections(name: &str, rules: &[Rule]) -> Result<()> {
    for some in rules.chunk_by(|one, next| one.heading == next.heading) {
        let heading = some.first().and_then(|rule| rule.heading.as_deref());
        let number = section(heading.unwrap_or_default());
        let is_named = OUT_OF_ORDER
            .iter()
            .any(|(page, section, _)| (*page, *section) == (name, number));
        match some
            .iter()
            .zip(some.iter().skip(1))
            .find(|(one, next)| next.number() < one.number())
        {
            Some((one, next)) if !is_named => bail!("{name}: {} stands behind {}", next.id, one.id),
            None if is_named => bail!("{name} §{number} is in order: take it out of OUT_OF_ORDER"),
            _ => {}
        }
    }
    Ok(())
}

fn is_sorted(rules: &[Rule]) -> bool {
    rules.is_sorted_by_key(Rule::number)
}

/// A row for all that follow one another and stand in one section.
fn table(mut rules: Vec<Rule>) -> String {
    rules.sort_by_key(Rule::number);
    let rows = rules.chunk_by(|one, next| one.heading == next.heading);
    rows.map(row).collect()
}

fn row(rules: &[Rule]) -> String {
    let ids = match rules {
        [one] => one.id.clone(),
        [one, next] => format!("{}, {}", one.id, next.id),
        [first, .., last] => format!("{} to {}", first.id, last.id),
        [] => String::new(),
    };
    let place = match rules.first().and_then(|rule| rule.heading.as_deref()) {
        Some(heading) => format!("[§{heading}](#{})", anchor(heading)),
        None => "the beginning".to_owned(),
    };
    format!("| {ids} | {place} |\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with these rules in each of its sections.
    fn page(table: &str, sections: &[&[u32]]) -> String {
        let mut text = format!("# Keys\n\n{table}\n");
        for (at, numbers) in sections.iter().enumerate() {
            text.push_str(&format!("## {}. Part\n\n", at + 1));
            for number in *numbers {
                text.push_str(&format!("**KEY-{number}** (S) It MUST.\n\n"));
            }
        }
        text
    }

    #[test]
    fn a_rule_behind_a_greater_one_is_named() {
        let error = with_table("keys.md", &page("", &[&[1, 3, 2]])).unwrap_err();
        assert_eq!(error.to_string(), "keys.md: KEY-2 stands behind KEY-3");
        let sorted = page("", &[&[1, 2], &[3]]);
        assert_eq!(with_table("keys.md", &sorted).unwrap(), sorted);
    }

    #[test]
    fn a_page_whose_sections_overlap_has_a_table() {
        let sections: &[&[u32]] = &[&[1, 2, 3, 5], &[4]];
        let rows = "| KEY-1 to KEY-3 | [§1. Part](#1-part) |\n| KEY-4 | [§2. Part](#2-part) |\n| KEY-5 | [§1. Part](#1-part) |\n";
        let whole = page(&format!("{HEADING}{rows}"), sections);
        for table in [rows, "", "| KEY-1 | [§2. Part](#2-part) |\n"] {
            let stale = page(&format!("{HEADING}{table}"), sections);
            assert_eq!(with_table("keys.md", &stale).unwrap(), whole);
        }
        let none = with_table("keys.md", &page("", sections)).unwrap_err();
        assert!(none.to_string().starts_with("keys.md: it needs a table"));
        let needless = page(&format!("{HEADING}{rows}"), &[&[1, 2], &[3]]);
        assert!(with_table("keys.md", &needless).is_err());
    }

    /// Whoever wrote an exception says which section it is about, and why.
    #[test]
    fn exceptions_say_why() {
        assert!(
            OUT_OF_ORDER
                .iter()
                .all(|(page, _, why)| page.ends_with(".md") && !why.is_empty())
        );
    }
}
