//! The rules of `spec/` and where they are cited: for the test that holds pages and code against each other, and for
//! `cargo xtask rules`, which lists them.

pub(crate) mod cite;
pub(crate) mod page;

use std::{
    fs,
    path::{Path, PathBuf},
};

use page::Rule;

/// Made from the other pages: no page of rules itself.
pub(crate) const INDEX: &str = "rules.md";

/// The pages of `spec/` by name, without the index and what lies in folders.
///
/// # Errors
/// Which file cannot be read.
pub(crate) fn pages(root: &Path) -> Result<Vec<(String, String)>, String> {
    let mut pages = Vec::new();
    let folder = root.join("protocol-spec/spec");
    for path in files(&folder)
        .into_iter()
        .filter(|path| path.parent() == Some(&folder))
    {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name != INDEX {
            pages.push((name, read(&path)?));
        }
    }
    Ok(pages)
}

/// All rules, in the order of prefixes and numbers.
///
/// # Errors
/// The first paragraph that is a rule of another form, and a rule that stands twice.
pub(crate) fn rules(pages: &[(String, String)]) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for (name, text) in pages {
        rules.extend(page::rules(name, text)?);
    }
    rules.sort_by(|a, b| (a.prefix(), a.number()).cmp(&(b.prefix(), b.number())));
    let twice = rules
        .iter()
        .zip(rules.iter().skip(1))
        .find(|(one, next)| one.id == next.id);
    match twice {
        Some((rule, other)) => Err(format!("{}, {}: {} stands twice", rule.page, other.page, rule.id)),
        None => Ok(rules),
    }
}

/// All files below a folder, in the order of their paths; none if there is no such folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
