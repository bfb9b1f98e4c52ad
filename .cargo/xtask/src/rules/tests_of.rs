//! The tests that cite a rule, as a cell of the index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::spec::cite::Citation;

/// More vectors of one folder than this are counted, not named.
const NAMED: usize = 3;

/// Files with their functions, `file`: `function`, `function`; and the vectors.
pub(super) fn cell(id: &str, citations: &[Citation]) -> String {
    let of_rule = citations.iter().filter(|one| one.is_test && one.id == id);
    let mut sources: BTreeMap<&Path, BTreeSet<&str>> = BTreeMap::new();
    let mut vectors: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for one in of_rule {
        let folder = one.path.parent().unwrap_or(&one.path);
        if one.path.extension().is_some_and(|ending| ending == "json") {
            vectors.entry(folder).or_default().insert(&one.path);
        } else {
            let functions = sources.entry(&one.path).or_default();
            functions.extend(one.function.as_deref());
        }
    }
    let sources = sources.iter().map(|(path, functions)| source(path, functions));
    let vectors = vectors
        .iter()
        .flat_map(|(folder, files)| in_folder(folder, files));
    sources.chain(vectors).collect::<Vec<_>>().join("; ")
}

/// As `file::function`; without a function, the file.
fn source(path: &Path, functions: &BTreeSet<&str>) -> String {
    let path = path.display();
    let mut names = functions.iter();
    let Some(first) = names.next() else {
        return format!("`{path}`");
    };
    let others = names.map(|name| format!(", `::{name}`"));
    format!("`{path}::{first}`{}", others.collect::<String>())
}

fn in_folder(folder: &Path, files: &BTreeSet<&Path>) -> Vec<String> {
    if files.len() > NAMED {
        return vec![format!("{} of `{}/`", files.len(), folder.display())];
    }
    files.iter().map(|file| format!("`{}`", file.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn citation(path: &str, function: Option<&str>, is_test: bool) -> Citation {
        Citation {
            id: "KEY-1".to_owned(),
            letter: None,
            path: path.into(),
            function: function.map(str::to_owned),
            is_test,
        }
    }

    #[test]
    fn functions_stand_behind_their_file_and_many_vectors_are_counted() {
        let mut found = vec![
            citation("a/tests.rs", Some("one"), true),
            citation("a/tests.rs", Some("two"), true),
            citation("b/tests.rs", None, true),
            citation("c.rs", Some("code"), false),
            citation("v/1.json", None, true),
        ];
        assert_eq!(
            cell("KEY-1", &found),
            "`a/tests.rs::one`, `::two`; `b/tests.rs`; `v/1.json`"
        );
        found.extend((2..=4).map(|number| citation(&format!("v/{number}.json"), None, true)));
        assert!(cell("KEY-1", &found).ends_with("; 4 of `v/`"));
        assert_eq!(cell("KEY-2", &found), "");
    }
}
