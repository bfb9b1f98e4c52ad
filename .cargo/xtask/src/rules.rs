//! `protocol-spec/spec/rules.md`: all rules of the specification, who keeps each, and which tests cite it.
//!
//! It is made from the pages and from what cites them, with what `protocol-spec/tests/rule_ids.rs` reads them with.
//! Nobody writes into it: `cargo xtask check` fails when it is not what would be made.

mod does;
mod index;
mod order;
#[path = "../../../protocol-spec/tests/rules/mod.rs"]
mod spec;
mod tests_of;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::process::workspace_root;

/// Writes the index, and the tables at the tops of pages whose later rules stand in earlier sections.
///
/// Errors: a rule that is not of its form or out of order, and a file that cannot be read or written.
pub(crate) fn run() -> Result<()> {
    let root = workspace_root();
    for (name, text) in read(&root)? {
        let path = root.join("protocol-spec/spec").join(&name);
        fs::write(&path, order::with_table(&name, &text)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let (path, made) = (path(&root), made(&root)?);
    fs::write(&path, made).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

/// Whether rules stand in their order, and index and tables are what would be made.
///
/// Fails when it is not, and those of [`run`].
pub(crate) fn check() -> Result<()> {
    let root = workspace_root();
    order::check(&read(&root)?)?;
    let path = path(&root);
    let made = made(&root)?;
    let found = fs::read_to_string(&path).unwrap_or_default();
    let Some(line) = first_difference(&found, &made) else {
        return Ok(());
    };
    bail!("{}:{line} is stale: run `cargo xtask rules`", path.display());
}

/// How many rules there are, and how many of them say who must keep them.
///
/// Errors: a rule that is not of its form, and a page that cannot be read.
pub(crate) fn counted(root: &Path) -> Result<(usize, usize)> {
    let pages = read(root)?;
    let rules = spec::rules(&pages).map_err(|error| anyhow!(error))?;
    let with_role = rules.iter().filter(|rule| !rule.roles.is_empty());
    Ok((rules.len(), with_role.count()))
}

fn path(root: &Path) -> PathBuf {
    root.join("protocol-spec/spec").join(spec::INDEX)
}

fn read(root: &Path) -> Result<Vec<(String, String)>> {
    spec::pages(root).map_err(|error| anyhow!(error))
}

fn made(root: &Path) -> Result<String> {
    let pages = read(root)?;
    let rules = spec::rules(&pages).map_err(|error| anyhow!(error))?;
    let does = does::read(&pages, &rules)?;
    let citations = spec::cite::citations(root);
    Ok(index::page(&rules, &does, &citations))
}

/// The number of the first line that is not the same.
fn first_difference(found: &str, made: &str) -> Option<usize> {
    if found == made {
        return None;
    }
    let same = found
        .lines()
        .zip(made.lines())
        .take_while(|(one, other)| one == other);
    Some(same.count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nc\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
    }
}
