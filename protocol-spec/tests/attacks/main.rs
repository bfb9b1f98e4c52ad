//! The table of attacks says what there is: each has one row, in the order of the numbers, and what a row names exists. That the rules
//! exist which it cites is checked with those of all pages (`rule_ids`). What comes of the attacks is for
//! `cargo xtask attacks` to say.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod table;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use protocol_spec::defence::Defence;

use table::{Control, Row, TestName, rows};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn attacks() -> Vec<Row> {
    rows(include_str!("../../spec/attacks.md")).unwrap()
}

#[test]
fn every_attack_has_one_row_that_is_whole() {
    let rows = attacks();
    let numbers: Vec<u32> = rows.iter().map(|row| row.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!((1..=58).all(|number| numbers.contains(&number)), "{numbers:?}");
    for row in rows {
        let number = row.number;
        let said = [&row.source, &row.attack, &row.adversary, &row.defence];
        assert!(said.iter().all(|text| !text.is_empty()), "ATK-{number}");
        assert!(
            row.adversary.split(", ").all(|who| "SIPNWCM".contains(who)),
            "ATK-{number}: {}",
            row.adversary
        );
        // A row that has no test or no control says what is missing.
        let whole = !row.tests.is_empty() && !row.controls.is_empty();
        assert!(whole || !row.missing.is_empty(), "ATK-{number}");
        assert!(
            row.rules.iter().all(|rule| rule.contains('-')),
            "ATK-{number}: {:?}",
            row.rules
        );
        assert!(
            row.tests.is_empty() || !row.code.is_empty(),
            "ATK-{number}: no code"
        );
        for path in row.code {
            assert!(root().join(&path).exists(), "ATK-{number}: no {path}");
        }
    }
}

#[test]
fn every_test_is_there_and_names_its_attack() {
    let mut wrong = Vec::new();
    for row in attacks() {
        let controls = row.controls.iter().filter_map(|control| match control {
            Control::Test(test) => Some(test),
            Control::Without(_) => None,
        });
        for test in row.tests.iter().chain(controls) {
            match docs(test) {
                None => wrong.push(format!("ATK-{}: no {test:?}", row.number)),
                Some(docs) if !cites(&docs, row.number) => {
                    wrong.push(format!("{test:?} does not name ATK-{}", row.number));
                }
                Some(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_defence_that_is_named_exists() {
    let known: BTreeSet<_> = Defence::ALL
        .iter()
        .map(|defence| format!("{defence:?}"))
        .collect();
    for row in attacks() {
        for control in row.controls {
            if let Control::Without(name) = control {
                assert!(known.contains(&name), "ATK-{}: no defence {name}", row.number);
            }
        }
    }
}

/// The comment above a test.
fn docs(test: &TestName) -> Option<String> {
    let (modules, function) = test.name.rsplit_once("::").unwrap_or(("", &test.name));
    let text = files(&test.binary, modules)
        .into_iter()
        .find_map(|path| fs::read_to_string(path).ok())?;
    let (before, _) = text.split_once(&format!("fn {function}("))?;
    let (above, _) = before.rsplit_once('\n')?;
    let docs = above.lines().rev().take_while(|line| {
        let line = line.trim();
        line.starts_with("///") || line.starts_with("#[")
    });
    Some(docs.collect::<Vec<_>>().join("\n"))
}

fn cites(docs: &str, number: u32) -> bool {
    let id = format!("ATK-{number}");
    docs.match_indices(&id).any(|(at, _)| {
        let after = docs.get(at + id.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(|letter| letter.is_ascii_digit())
    })
}

/// Where a module may stand: in a file, in a folder, or inside the module around it.
fn files(binary: &str, modules: &str) -> Vec<PathBuf> {
    let (package, target) = binary.split_once("::").unwrap_or((binary, ""));
    let package = root().join(match package {
        "medvault" => "client-sdk/cli",
        "medvault-guard" => "protocol-spec/guard",
        "medvault-reader" => "client-sdk/reader",
        package => package,
    });
    let (folder, first) = match target {
        "" => (package.join("src"), "lib.rs"),
        target => (package.join("tests").join(target), "main.rs"),
    };
    let mut found = Vec::new();
    let mut path = modules.replace("::", "/");
    while !path.is_empty() {
        found.push(folder.join(format!("{path}.rs")));
        found.push(folder.join(&path).join("mod.rs"));
        path = path
            .rsplit_once('/')
            .map_or(String::new(), |(around, _)| around.to_owned());
    }
    found.push(folder.join(first));
    found
}

/// Of the sources of this package, compiled as a release would be: that of a weakened build is refused. With assertions,
/// as negative controls are built, it is taken, and so is an ordinary one.
#[test]
fn no_release_can_be_weakened() {
    let folder = std::env::temp_dir().join(format!("medvault-defence-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let compile = |weakened: bool, assertions: &str| {
        let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        command
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "lib",
                "--emit",
                "metadata",
                "-C",
            ])
            .arg(format!("debug-assertions={assertions}"))
            .arg("--out-dir")
            .arg(&folder)
            .arg(root().join("protocol-spec/src/defence.rs"));
        if weakened {
            command.args(["--cfg", "feature=\"weakened\""]);
        }
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (taken, said) = compile(true, "no");
    assert!(
        !taken && said.contains("no release may be built with it"),
        "{said}"
    );
    for (weakened, assertions) in [(true, "yes"), (false, "no"), (false, "yes")] {
        let (taken, said) = compile(weakened, assertions);
        assert!(taken, "{said}");
    }
    fs::remove_dir_all(folder).unwrap();
}
