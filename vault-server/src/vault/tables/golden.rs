//! The stored format as it was last accepted: the bytes of every key and of a row of every type. One byte that is otherwise, or a
//! constructor, kind or row type that `golden.txt` does not have, fails here.
//!
//! `golden.txt` has a line for each constructor of keys (`key`: table, call, row, bytes), for each row type (`row`: its bytes with
//! every field set, once for each choice that it has) and for each message in one (`tag`: the numbers of its fields).

mod keys;
mod message;
mod sample;

use std::{collections::BTreeSet, fs};

use self::message::message_tags;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/vault/tables/golden.txt");
/// What constructors there are beside those that are declared.
const TABLES: &str = include_str!("../tables.rs");
/// What kinds of keys there are.
const KINDS: &str = concat!(include_str!("parts.rs"), include_str!("expiring.rs"));
const ROWS: &str = concat!(
    include_str!("rows/who.proto"),
    include_str!("rows/permissions.proto"),
    include_str!("rows/records.proto"),
    include_str!("rows/server.proto"),
);

#[test]
fn keys_and_rows_are_the_accepted_ones() {
    let now = lines().join("\n") + "\n";
    if std::env::var("MEDVAULT_GOLDEN").as_deref() == Ok("write") {
        fs::write(GOLDEN, &now).unwrap();
    }
    let accepted = fs::read_to_string(GOLDEN).unwrap();
    let old: BTreeSet<&str> = accepted.lines().collect();
    let new: BTreeSet<&str> = now.lines().collect();
    let gone: Vec<_> = old.difference(&new).collect();
    let come: Vec<_> = new.difference(&old).collect();
    assert!(
        accepted == now,
        "the stored format is another one: data of servers that run would not be read.\nIt was {gone:#?}\nIt is {come:#?}\nTo \
         accept a change on purpose, run the test with MEDVAULT_GOLDEN=write and commit vault-server/src/vault/tables/golden.txt"
    );
}

#[test]
fn every_constructor_and_kind_of_key_is_there() {
    let covered: Vec<String> = keys::all().into_iter().map(|key| key.call).collect();
    let is_called = |name: &str| covered.iter().any(|call| call.starts_with(&format!("{name}(")));
    let constructors = constructors();
    assert!(constructors.len() > 80, "{}", constructors.len());
    let kinds = ["Counted", "Daily", "Expiring"].into_iter().flat_map(variants);
    let (_, placed) = KINDS.split_once("\nplaced!(").unwrap();
    let (placed, _) = placed.split_once(')').unwrap();
    let placed = placed
        .split(", ")
        .map(|kind| kind.split_once(':').unwrap().0.to_owned());
    let kinds: Vec<String> = kinds.chain(placed.map(|id| format!("&{id}::"))).collect();
    assert!(kinds.len() > 20, "{kinds:?}");
    let is_used = |kind: &str| covered.iter().any(|call| call.contains(kind));
    let constructors = constructors.into_iter().filter(|name| !is_called(name));
    let kinds = kinds.iter().map(String::as_str).filter(|kind| !is_used(kind));
    let missing: Vec<_> = constructors.chain(kinds).collect();
    assert!(missing.is_empty(), "golden/keys.rs has no key of {missing:?}");
}

#[test]
fn every_row_type_is_there_and_every_field_is_set() {
    let rows = sample::rows();
    let declared = names(ROWS, "\nmessage ");
    assert!(declared.len() > 50, "{}", declared.len());
    let covered: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    let missing: Vec<_> = declared.iter().filter(|name| !covered.contains(*name)).collect();
    assert!(missing.is_empty(), "golden/sample.rs has no row {missing:?}");
    for row in &rows {
        let numbers: BTreeSet<u64> = row.fields.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers.len(), row.fields.len(), "{}: {:?}", row.name, row.fields);
    }
}

/// The golden file as it is to be, line by line.
fn lines() -> Vec<String> {
    let mut keys = keys::all();
    keys.sort_by_key(|key| key.table);
    let samples: BTreeSet<String> = keys.iter().map(|key| key.row_line.clone()).collect();
    let keys = keys
        .iter()
        .map(|key| format!("key {} {} -> {} {}", key.table, key.call, key.row, key.bytes));
    let rows = sample::rows();
    let tags = rows.iter().map(|row| {
        let fields = row.fields.iter().map(|(name, number)| format!("{name}={number}"));
        format!("tag {}: {}", row.name, fields.collect::<Vec<_>>().join(" "))
    });
    let parts = rows.iter().map(|row| row.line.clone());
    let samples: BTreeSet<String> = samples.into_iter().chain(parts).collect();
    keys.chain(samples).chain(tags).chain(message_tags()).collect()
}

/// The functions of `tables.rs` that make keys, but for one that another makes public.
fn constructors() -> Vec<&'static str> {
    let declared = super::CONSTRUCTORS.iter().filter(|name| **name != "place_row");
    let functions = TABLES.split("\npub(super) fn ").skip(1);
    let heads = functions.filter_map(|text| text.split_once(" {\n"));
    let makes_key = heads.filter(|(head, _)| head.contains("-> RowKey<"));
    let others = makes_key.filter_map(|(head, _)| Some(head.split_once('(')?.0));
    declared.copied().chain(others).collect()
}

/// The variants of an enumeration of kinds, as they are written in code.
fn variants(name: &str) -> Vec<String> {
    let (_, body) = KINDS.split_once(&format!("enum {name} {{\n")).unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let lines = body
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("///"));
    let variant = |line: &str| line.split(['(', ' ', ',']).next().unwrap_or_default().to_owned();
    lines.map(|line| format!("{name}::{}", variant(line))).collect()
}

/// What follows `before`, up to the next character that is in no name.
fn names<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let rest = text.split(before).skip(1);
    rest.map(|rest| {
        rest.split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or_default()
    })
    .collect()
}

/// A message's name, without where it is declared.
fn name_of<M>() -> &'static str {
    std::any::type_name::<M>().rsplit("::").next().unwrap_or_default()
}
