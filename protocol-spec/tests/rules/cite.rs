//! Where code and tests cite rules, and in which function.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::files;

const PREFIXES: [&str; 25] = [
    "ACC", "VLT", "IDX", "DLG", "INS", "KEY", "STM", "DEV", "PRM", "FLW", "COL", "CND", "REV", "RCV", "EMG",
    "CAS", "CNT", "API", "LOG", "LKG", "PRG", "OPR", "DEL", "RST", "NOTE",
];
const PACKAGES: [&str; 9] = [
    "protocol-spec",
    "protocol-spec/guard",
    "protocol-spec/witness",
    "crypto",
    "client-sdk",
    "client-sdk/cli",
    "client-sdk/reader",
    "vault-server",
    "tests",
];

/// One place that cites a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Citation {
    /// Such as `KEY-3`.
    pub(crate) id: String,
    /// Which of its lines, if one is named.
    pub(crate) letter: Option<char>,
    /// From the root of the workspace.
    pub(crate) path: PathBuf,
    /// Whose comment or body it stands in.
    pub(crate) function: Option<String>,
    pub(crate) is_test: bool,
}

/// The folders of all packages whose code keeps rules.
pub(crate) fn packages(root: &Path) -> impl Iterator<Item = PathBuf> {
    PACKAGES.iter().map(|name| root.join(name))
}

/// All citations in sources and vectors; the sources that check citations are left out.
pub(crate) fn citations(root: &Path) -> Vec<Citation> {
    let folders = ["src", "tests", "benches", "examples"];
    let mut paths: Vec<_> = packages(root)
        .flat_map(|package| folders.map(|folder| package.join(folder)))
        .collect();
    paths.push(root.join("protocol-spec/vectors"));
    let mut found: Vec<_> = paths
        .iter()
        .flat_map(|folder| files(folder))
        .flat_map(|path| in_file(root, &path))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Ids such as `KEY-3` in a text, in their order, and the letter of a line: `KEY-3b`.
pub(crate) fn cited(text: &str) -> Vec<(String, Option<char>)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('-') {
        let (before, after) = (
            text.get(..at).unwrap_or_default(),
            text.get(at + 1..).unwrap_or_default(),
        );
        let Some(prefix) = PREFIXES.iter().find(|prefix| before.ends_with(*prefix)) else {
            continue;
        };
        let start = before.len() - prefix.len();
        let outside = before.get(..start).and_then(|rest| rest.chars().next_back());
        let number: String = after.chars().take_while(char::is_ascii_digit).collect();
        if number.is_empty() || outside.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-') {
            continue;
        }
        let mut rest = after.chars().skip(number.len());
        let letter = rest.next().filter(char::is_ascii_lowercase);
        let word = letter.is_some() && rest.next().is_some_and(|c| c.is_ascii_alphanumeric());
        found.push((format!("{prefix}-{number}"), letter.filter(|_| !word)));
    }
    found
}

/// What follows the first `#[cfg(test)]` of a file, test files, and vectors (a runner runs them all) are tests;
/// the package `tests` is one as a whole.
fn in_file(root: &Path, path: &Path) -> Vec<Citation> {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let Some(text) = is_source(inside).then(|| fs::read_to_string(path).ok()).flatten() else {
        return Vec::new();
    };
    let is_test = |part: &str| part == "tests" || part == "vectors" || part.ends_with("tests.rs");
    let whole = inside.iter().any(|part| part.to_str().is_some_and(is_test));
    let tests_from = if whole { 0 } else { inline_tests(&text) };
    let functions = functions(&text);
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (id, letter) in cited(line) {
            let around = functions.iter().rev().find(|function| function.holds(number));
            found.push(Citation {
                id,
                letter,
                path: inside.to_owned(),
                function: around.map(|function| function.name.clone()),
                is_test: number >= tests_from,
            });
        }
    }
    found
}

/// The line from which on there are tests. A test module that is declared, but stands in a file of its own, is
/// followed by code.
fn inline_tests(text: &str) -> usize {
    let before = text
        .split_once("#[cfg(test)]\nmod tests {")
        .map(|(before, _)| before);
    before.map_or(usize::MAX, |before| before.lines().count())
}

fn is_source(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let checks = path.ends_with("tests/rule_ids.rs") || path.starts_with("protocol-spec/tests/rules");
    matches!(ending, Some("rs" | "json")) && !checks
}

/// A function: from the first line of its comment to its last.
struct Function {
    name: String,
    first: usize,
    last: usize,
}

impl Function {
    fn holds(&self, line: usize) -> bool {
        (self.first..=self.last).contains(&line)
    }
}

/// The functions of a source as rustfmt writes it, in the order in which they begin: the brace that ends one stands
/// under its first letter.
fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let is_above = |line: &&&str| {
            let line = line.trim_start();
            line.starts_with("//") && !line.starts_with("//!") || line.starts_with("#[")
        };
        let above = lines.iter().take(at).rev().take_while(is_above).count();
        let whole = line.ends_with('}') || line.ends_with(';');
        let length = lines.iter().skip(at).position(|line| **line == *end);
        found.push(Function {
            name,
            first: at - above,
            last: at + if whole { 0 } else { length.unwrap_or_default() },
        });
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.trim_start().split(' ');
    let is_before = |word: &&str| matches!(*word, "async" | "const") || word.starts_with("pub");
    let first = words.by_ref().find(|word| !is_before(word));
    let name = words.next().filter(|_| first == Some("fn"))?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    name.get(..end).map(str::to_owned)
}
