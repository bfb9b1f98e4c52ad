//! The specification and the code name the same rules: each rule of `spec/` is cited where it is enforced
//! and in a test, nothing else is cited, and tables that exist twice are equal.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use protocol_spec::{bodies, labels, problem::Problem};

use rules::{
    cite::{citations, cited, packages},
    files,
    page::{Role, Rule},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn pages() -> Vec<(String, String)> {
    rules::pages(&root()).unwrap()
}

fn rules() -> BTreeMap<String, Rule> {
    let rules = rules::rules(&pages()).unwrap();
    rules.into_iter().map(|rule| (rule.id.clone(), rule)).collect()
}

/// Whether there is such a rule, and such a line of it.
fn exists(rules: &BTreeMap<String, Rule>, id: &str, letter: Option<char>) -> bool {
    let rule = rules.get(id);
    rule.is_some_and(|rule| letter.is_none_or(|letter| rule.line(letter).is_some()))
}

#[test]
fn every_rule_is_cited_in_code_and_in_a_test() {
    let (rules, found) = (rules(), citations(&root()));
    let missing = |is_test: bool| -> Vec<&String> {
        let cited: BTreeSet<_> = found
            .iter()
            .filter(|one| one.is_test == is_test)
            .map(|one| &one.id)
            .collect();
        rules.keys().filter(|id| !cited.contains(id)).collect()
    };
    let (code, tests) = (missing(false), missing(true));
    assert!(
        code.is_empty() && tests.is_empty(),
        "not cited in code: {code:?}; not cited in tests: {tests:?}"
    );
    assert!(rules.len() >= 300, "{} rules were found", rules.len());
}

#[test]
fn every_citation_names_a_rule() {
    let rules = rules();
    for one in citations(&root()) {
        assert!(
            exists(&rules, &one.id, one.letter),
            "{}: {}{} is not in spec/",
            one.path.display(),
            one.id,
            one.letter.map(String::from).unwrap_or_default()
        );
    }
    for (page, text) in pages() {
        let unknown: Vec<_> = cited(&text)
            .into_iter()
            .filter(|(id, letter)| !exists(&rules, id, *letter))
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

/// What a page that has this rule alone is refused with.
fn refused(rule: &str) -> String {
    let page = ("keys.md".to_owned(), format!("# Keys\n\n{rule}\n"));
    rules::rules(&[page]).unwrap_err()
}

#[test]
fn a_rule_says_who_keeps_it() {
    let known = Role::ALL.map(Role::letter).join(", ");
    let (page, text) = (
        "keys.md".to_owned(),
        format!("**KEY-1** ({known}) An id MUST be one."),
    );
    let read = rules::rules(&[(page, text)]).unwrap();
    assert_eq!(read[0].roles, Role::ALL);
    assert_eq!(read[0].text, "An id MUST be one.");
    assert_eq!(read[0].heading, None);

    assert_eq!(
        refused("**KEY-1** An id MUST be one."),
        "keys.md: KEY-1: it does not say who keeps it"
    );
    assert_eq!(
        refused("**KEY-1** (S, X) An id MUST be one."),
        "keys.md: KEY-1: there is no role \"X\""
    );
    assert_eq!(
        refused("**KEY-1** (P, S) An id MUST be one."),
        "keys.md: KEY-1: its roles are not in the order of the overview: P, S"
    );
    assert_eq!(
        refused("**XYZ-1** (S) An id MUST be one."),
        "keys.md: XYZ-1 has a prefix that is not known"
    );
}

#[test]
fn the_lines_of_a_rule_are_lettered_and_kept_by_those_who_keep_it() {
    let text = "**KEY-1** (S, P)\n* a. (S) One MUST be.\n* b. (S, P) So MUST\n  the other.".to_owned();
    let read = rules::rules(&[("keys.md".to_owned(), text)]).unwrap();
    let line = read[0].line('b').unwrap();
    assert_eq!(line.roles, [Role::Server, Role::Patient]);
    assert_eq!(line.text, "So MUST the other.");
    assert!(read[0].line('c').is_none());
    let rules = read.into_iter().map(|rule| (rule.id.clone(), rule)).collect();
    assert!(exists(&rules, "KEY-1", Some('b')) && !exists(&rules, "KEY-1", Some('c')));

    assert_eq!(
        refused("**KEY-1** (S) This:\n* a. one;\n* c. another."),
        "keys.md: KEY-1: line b is missing or out of order"
    );
    assert_eq!(
        refused("**KEY-1** (S, P) This:\n* a. (S) one;\n* b. another."),
        "keys.md: KEY-1: some of its lines say who keeps them, and others do not"
    );
    assert_eq!(
        refused("**KEY-1** (S, P) This:\n* a. (S) one;\n* b. (S) another."),
        "keys.md: KEY-1: its roles are not those of its lines together"
    );
}

#[test]
fn a_citation_may_name_a_line() {
    let found = cited("KEY-1, KEY-2b and KEY-3s: KEY-4th, MONKEY-5, a-KEY-6");
    let named = |id: &str, letter| (id.to_owned(), letter);
    assert_eq!(
        found,
        [
            named("KEY-1", None),
            named("KEY-2", Some('b')),
            named("KEY-3", Some('s')),
            named("KEY-4", None)
        ]
    );
}

/// The roles and their letters are those of the overview.
#[test]
fn the_roles_are_those_of_the_overview() {
    let written: Vec<_> = table("overview.md", "| tag | who | what it is |")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(written, Role::ALL.map(Role::letter));
}

#[test]
fn every_section_that_code_refers_to_exists() {
    let pages: BTreeMap<_, _> = pages().into_iter().collect();
    let mut broken = Vec::new();
    for path in packages(&root()).flat_map(|package| files(&package.join("src"))) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for (page, section) in references(&text) {
            let exists = pages
                .get(&page)
                .is_some_and(|text| section.is_none_or(|number| text.contains(&format!("\n## {number}. "))));
            if !exists {
                broken.push(format!("{}: {page} §{section:?}", path.display()));
            }
        }
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
    let rows = table("statements.md", "| name | text | for |");
    let mut written: Vec<_> = rows.iter().map(|row| row[1].as_str()).collect();
    let all = bodies::labels().chain(labels::ALL.iter().copied());
    let mut coded: Vec<_> = all.map(|label| label.name()).collect();
    written.sort_unstable();
    coded.sort_unstable();
    assert_eq!(written, coded);
    let source = root().join("protocol-spec/src");
    let mut paths = files(&source.join("bodies"));
    paths.push(source.join("labels.rs"));
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let source: String = paths.iter().map(text).collect();
    for row in &rows {
        assert!(
            source.contains(&format!("{} = \"{}\"", row[0], row[1])),
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
