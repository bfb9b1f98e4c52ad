//! The specification and the code name the same rules: each rule of `spec/` is cited where it is enforced
//! and in a test, nothing else is cited, and tables that exist twice are equal.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use protocol_spec::{labels, problem::Problem};

const PREFIXES: [&str; 24] = [
    "ACC", "VLT", "IDX", "DLG", "INS", "KEY", "STM", "DEV", "PRM", "FLW", "COL", "CND", "REV", "RCV", "EMG",
    "CAS", "CNT", "API", "LOG", "LKG", "PRG", "OPR", "DEL", "RST",
];
const CRATES: [&str; 9] = [
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn pages() -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join("protocol-spec/spec")).unwrap();
    let page = |path: PathBuf| {
        (
            path.file_name().unwrap().to_str().unwrap().to_owned(),
            fs::read_to_string(path).unwrap(),
        )
    };
    entries.map(|entry| page(entry.unwrap().path())).collect()
}

/// Ids such as `KEY-3` in a text.
fn ids(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in PREFIXES {
        for (at, _) in text.match_indices(prefix) {
            let before = text[..at].chars().next_back();
            let Some(rest) = text[at + prefix.len()..].strip_prefix('-') else {
                continue;
            };
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if !number.is_empty() && !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-') {
                found.insert(format!("{prefix}-{number}"));
            }
        }
    }
    found
}

/// Rules by id: the paragraph that starts with the bold id.
fn rules() -> BTreeMap<String, String> {
    let mut rules = BTreeMap::new();
    for (page, text) in pages() {
        for paragraph in text.split("\n\n") {
            let Some((id, rest)) = paragraph
                .trim()
                .strip_prefix("**")
                .and_then(|rest| rest.split_once("** "))
            else {
                continue;
            };
            if ids(id).first().map(String::as_str) != Some(id) {
                continue;
            }
            assert_eq!(
                rules.insert(id.to_owned(), rest.to_owned()),
                None,
                "{page}: {id} stands twice"
            );
        }
    }
    rules
}

#[derive(Default)]
struct Citations {
    code: BTreeMap<String, PathBuf>,
    tests: BTreeMap<String, PathBuf>,
}

fn citations() -> Citations {
    let mut found = Citations::default();
    for name in CRATES {
        for folder in ["src", "tests", "benches", "examples"] {
            walk(&root().join(name).join(folder), &mut |path| {
                cite(path, &mut found)
            });
        }
    }
    walk(&root().join("protocol-spec/vectors"), &mut |path| {
        cite(path, &mut found)
    });
    found
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, visit)
        } else {
            visit(&path)
        }
    }
}

/// What follows the first `#[cfg(test)]` of a file, test files, and vectors (a runner runs them all) are tests;
/// the package `tests` is one as a whole.
fn cite(path: &Path, found: &mut Citations) {
    let (Ok(text), true) = (fs::read_to_string(path), is_source(path)) else {
        return;
    };
    let inside = path.strip_prefix(root()).unwrap().to_owned();
    let is_test = |part: &str| part == "tests" || part == "vectors" || part.ends_with("tests.rs");
    let whole = inside
        .iter()
        .any(|part| is_test(part.to_str().unwrap_or_default()));
    let (code, tests) = if whole {
        ("", text.as_str())
    } else {
        split_tests(&text)
    };
    found
        .code
        .extend(ids(code).into_iter().map(|id| (id, inside.clone())));
    found
        .tests
        .extend(ids(tests).into_iter().map(|id| (id, inside.clone())));
}

/// A test module that is declared, but stands in a file of its own, is followed by code.
fn split_tests(text: &str) -> (&str, &str) {
    let inline = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text.split_at(inline)
}

fn is_source(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let this = path.file_name().is_some_and(|name| name == "rule_ids.rs");
    matches!(ending, Some("rs" | "json")) && !this
}

#[test]
fn every_rule_is_cited_in_code_and_in_a_test() {
    let (rules, found) = (rules(), citations());
    let missing = |cited: &BTreeMap<String, PathBuf>| -> Vec<String> {
        rules
            .keys()
            .filter(|id| !cited.contains_key(*id))
            .cloned()
            .collect()
    };
    let (code, tests) = (missing(&found.code), missing(&found.tests));
    assert!(
        code.is_empty() && tests.is_empty(),
        "not cited in code: {code:?}; not cited in tests: {tests:?}"
    );
    assert!(rules.len() >= 60, "{} rules were found", rules.len());
}

#[test]
fn every_citation_names_a_rule() {
    let (rules, found) = (rules(), citations());
    for (id, path) in found.code.iter().chain(&found.tests) {
        assert!(rules.contains_key(id), "{}: {id} is not in spec/", path.display());
    }
    for (page, text) in pages() {
        let unknown: Vec<_> = ids(&text)
            .into_iter()
            .filter(|id| !rules.contains_key(id))
            .collect();
        assert!(unknown.is_empty(), "{page}: {unknown:?}");
    }
}

#[test]
fn whatever_must_be_has_an_id() {
    for (page, text) in pages().into_iter().filter(|(page, _)| page != "overview.md") {
        for paragraph in text.split("\n\n").filter(|paragraph| paragraph.contains("MUST")) {
            assert!(
                paragraph.trim().starts_with("**"),
                "{page}: a MUST without id: {paragraph}"
            );
        }
    }
}

#[test]
fn every_section_that_code_refers_to_exists() {
    let pages: BTreeMap<_, _> = pages().into_iter().collect();
    let mut broken = Vec::new();
    for name in CRATES {
        walk(&root().join(name).join("src"), &mut |path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            for (page, section) in references(&text) {
                let exists = pages.get(&page).is_some_and(|text| {
                    section.is_none_or(|number| text.contains(&format!("\n## {number}. ")))
                });
                if !exists {
                    broken.push(format!("{}: {page} §{section:?}", path.display()));
                }
            }
        });
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// `` `spec/keys.md` §3 `` → (keys.md, 3).
fn references(text: &str) -> Vec<(String, Option<u32>)> {
    text.match_indices("spec/")
        .filter_map(|(at, prefix)| text[at + prefix.len()..].split_once(".md"))
        .filter(|(page, _)| page.chars().all(|c| c.is_ascii_lowercase()))
        .map(|(page, rest)| {
            let section = rest.trim_start_matches('`').strip_prefix(" §");
            let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
            (
                format!("{page}.md"),
                section.and_then(|rest| digits(rest).parse().ok()),
            )
        })
        .collect()
}

/// Rows of the table with this heading, cells without back quotes.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, text) = pages().into_iter().find(|(name, _)| name == page).unwrap();
    let (_, rows) = text.split_once(heading).unwrap();
    let cells = |row: &str| {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect()
    };
    rows.lines()
        .skip(2)
        .take_while(|row| row.starts_with('|'))
        .map(cells)
        .collect()
}

#[test]
fn the_registry_of_labels_is_that_of_the_specification() {
    let written: Vec<_> = table("statements.md", "| name | text | for |")
        .into_iter()
        .map(|row| row[1].clone())
        .collect();
    let coded: Vec<_> = labels::ALL.iter().map(|label| label.name().to_owned()).collect();
    assert_eq!(written, coded);
    let source = fs::read_to_string(root().join("protocol-spec/src/labels.rs")).unwrap();
    for row in table("statements.md", "| name | text | for |") {
        assert!(
            source.contains(&format!("    {} = \"{}\";", row[0], row[1])),
            "{row:?}"
        );
    }
}

#[test]
fn the_problems_are_those_of_the_specification() {
    let coded = Problem::ALL.iter().map(|problem| {
        vec![
            problem.code().to_owned(),
            problem.status().to_string(),
            problem.title().to_owned(),
        ]
    });
    assert_eq!(
        table("api.md", "| code | status | title |"),
        coded.collect::<Vec<_>>()
    );
}
