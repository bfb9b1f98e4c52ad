//! What an institution's client may do, and which rules it keeps for it: the table of `overview.md` §5.

use anyhow::{Context, Result, ensure};

use super::spec::cite::cited;
use super::spec::page::{Role, Rule};

const HEADING: &str = "| an institution that | keeps,";

/// One thing that it may do.
#[derive(Debug)]
pub(super) struct Activity {
    /// As the overview says it.
    pub(super) name: String,
    /// The rules that it keeps for that, as the overview says it.
    pub(super) keeps: String,
    /// Those that are named in it, and lines of them.
    pub(super) rules: Vec<(String, Option<char>)>,
}

/// Reads the table of `overview.md` that says what institutions do.
///
/// Fails when there is none, and when it names what an institution does not keep.
pub(super) fn read(pages: &[(String, String)], rules: &[Rule]) -> Result<Vec<Activity>> {
    let page = pages.iter().find(|(name, _)| name == "overview.md");
    let (_, text) = page.context("there is no overview.md")?;
    let (_, table) = text
        .split_once(HEADING)
        .context("overview.md has no table of what an institution does")?;
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let activities: Vec<_> = rows.filter_map(activity).collect();
    ensure!(!activities.is_empty(), "what an institution does has no rows");
    for (id, letter) in activities.iter().flat_map(|activity| &activity.rules) {
        let letters = letter.map(String::from).unwrap_or_default();
        ensure!(
            keeps(rules, id, *letter),
            "overview.md: {id}{letters} is no rule of I"
        );
    }
    Ok(activities)
}

fn activity(row: &str) -> Option<Activity> {
    let mut cells = row.trim_matches('|').split('|');
    let (name, keeps) = (cells.next()?.trim().to_owned(), cells.next()?.trim().to_owned());
    let rules = cited(&keeps);
    Some(Activity { name, keeps, rules })
}

fn keeps(rules: &[Rule], id: &str, letter: Option<char>) -> bool {
    let rule = rules.iter().find(|rule| rule.id == id);
    let roles = rule.and_then(|rule| match letter {
        Some(letter) => rule.line(letter).map(|line| &line.roles),
        None => Some(&rule.roles),
    });
    roles.is_some_and(|roles| roles.contains(&Role::Institution))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::spec;

    fn read_with(cell: &str) -> Result<Vec<Activity>> {
        let rules = "**KEY-1** (S, I)\n* a. (S) One.\n* b. (I) Other.\n\n**KEY-2** (S) Third.";
        let table = format!("{HEADING} besides |\n|---|---|\n| uploads | {cell} |\n");
        let pages = [("keys.md", rules.to_owned()), ("overview.md", table)];
        let pages = pages.map(|(name, text)| (name.to_owned(), text));
        read(&pages, &spec::rules(&pages).unwrap())
    }

    #[test]
    fn a_row_names_rules_of_institutions() {
        let read = read_with("KEY-1, KEY-1b").unwrap();
        assert_eq!(read[0].name, "uploads");
        assert_eq!(
            read[0].rules,
            [("KEY-1".to_owned(), None), ("KEY-1".to_owned(), Some('b'))]
        );
        for other in ["KEY-1a", "KEY-1c", "KEY-2", "KEY-3"] {
            let error = read_with(other).unwrap_err().to_string();
            assert_eq!(error, format!("overview.md: {other} is no rule of I"));
        }
    }
}
