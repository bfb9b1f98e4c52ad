//! The table of what a server says and a client signs (`spec/security.md` §6): each field has a test in which
//! the server lies about it, and that test is there.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

const SECURITY: &str = include_str!("../spec/security.md");

/// The cells of each row of the table.
fn rows() -> Vec<Vec<&'static str>> {
    let (_, section) = SECURITY.split_once("## 6. What a server says").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| line.trim_matches('|').split(" | ").collect())
        .collect()
}

/// Names in backquotes.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether a module of the protocol tests has a function of this name.
fn is_there(test: &str) -> bool {
    let (module, function) = test.rsplit_once("::").unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tests/protocol");
    let file = folder.join(module.replace("::", "/")).with_extension("rs");
    let text = fs::read_to_string(&file).unwrap_or_default();
    text.contains(&format!("fn {function}("))
}

#[test]
fn every_field_that_is_signed_on_a_servers_word_has_a_lying_server() {
    let rows = rows();
    assert!(rows.len() > 20, "{}", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let [field, signed, held, rule, tests] = row[..] else {
            wrong.push(format!("{row:?} has not five cells"));
            continue;
        };
        let whole = [field, signed, held].iter().all(|cell| !cell.trim().is_empty());
        if !whole || !rule.contains('-') || names(tests).next().is_none() {
            wrong.push(format!("{field} is not whole"));
        }
        let missing = names(tests).filter(|test| !is_there(test));
        wrong.extend(missing.map(|test| format!("{field}: no {test}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
