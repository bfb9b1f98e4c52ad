//! Runs the folders of `protocol-spec/vectors` that need ciphers.
//!
//! The builders in `make` say how each file came to be. `MEDVAULT_WRITE_VECTORS=1` writes the files that do
//! not exist yet, with fresh salts and encapsulations; one that exists is never written again.

mod case;
mod make;

use std::{collections::BTreeMap, fs, path::PathBuf};

use case::Case;

/// Cases in each folder: (folder, must succeed, must fail).
const COUNTS: [(&str, usize, usize); 9] = [
    ("conditions", 10, 10),
    ("content", 8, 22),
    ("delegated-key", 1, 7),
    ("emergency", 9, 9),
    ("key-wrap", 4, 10),
    ("link", 3, 7),
    ("permission-key", 3, 12),
    ("recovery", 6, 17),
    ("text", 4, 11),
];

fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "protocol-spec", "vectors", name]
        .iter()
        .collect()
}

fn stored(name: &str) -> BTreeMap<String, Case> {
    let entries = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let case = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), case)
    };
    entries.map(case).collect()
}

fn write_missing() {
    for (name, cases) in make::all() {
        fs::create_dir_all(folder(name)).unwrap();
        for case in cases {
            let path = folder(name).join(format!("{}.json", case.name));
            if !path.exists() {
                fs::write(path, serde_json::to_string_pretty(&case).unwrap() + "\n").unwrap();
            }
        }
    }
}

#[test]
fn every_vector_gives_what_it_says_and_none_is_missing() {
    if std::env::var_os("MEDVAULT_WRITE_VECTORS").is_some() {
        write_missing();
    }
    let mut counts = Vec::new();
    for (name, ..) in COUNTS {
        let cases = stored(name);
        for (file, case) in &cases {
            assert_eq!(&case.name, file);
            assert_eq!(
                case.outcome(),
                case.expected(),
                "{name}/{file}: {}",
                case.description
            );
        }
        let good = cases.values().filter(|case| case.succeeds()).count();
        counts.push((name, good, cases.len() - good));
    }
    assert_eq!(counts, COUNTS);
}

/// What is built today has the names of the files, and the outcomes that it claims.
#[test]
fn the_builders_still_make_these_cases() {
    for (name, cases) in make::all() {
        let names: Vec<_> = cases.iter().map(|case| case.name.clone()).collect();
        assert_eq!(names, stored(name).into_keys().collect::<Vec<_>>(), "{name}");
        for case in cases {
            assert_eq!(
                case.outcome(),
                case.expected(),
                "{name}/{}: {}",
                case.name,
                case.description
            );
        }
    }
}
