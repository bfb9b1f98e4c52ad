//! The document as it was last accepted: one byte of it that is otherwise fails here.
//! `tests/golden/openapi.json` is the same document, laid out for reading.

use std::fs;

use serde_json::Value;

use crate::openapi;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/openapi.json");

#[test]
fn the_document_is_the_accepted_one() {
    let served = openapi();
    let document: Value = serde_json::from_str(&served).unwrap();
    if std::env::var("MEDVAULT_GOLDEN").as_deref() == Ok("write") {
        fs::write(GOLDEN, format!("{document:#}\n")).unwrap();
    }
    let accepted = fs::read_to_string(GOLDEN).unwrap();
    let parsed: Value = serde_json::from_str(&accepted).unwrap();
    let differs = first_difference(&parsed, &document, "");
    assert!(
        differs.is_none(),
        "the OpenAPI document is another one at {};\n{ACCEPT}",
        differs.unwrap_or_default().trim_start_matches(" > ")
    );
    // What is equal as a value is also equal byte for byte: the order of names, and no byte more in either.
    let bytes = parsed.to_string();
    assert!(bytes == served, "its bytes are others; {ACCEPT}");
    assert!(
        format!("{document:#}\n") == accepted,
        "openapi.json is laid out otherwise; {ACCEPT}"
    );
}

const ACCEPT: &str = "to accept a change on purpose, run the test with MEDVAULT_GOLDEN=write and commit tests/golden/openapi.json";

/// Where two values differ first, and how: the names and indexes that lead there, joined with ` > `.
fn first_difference(accepted: &Value, now: &Value, at: &str) -> Option<String> {
    match (accepted, now) {
        (Value::Object(old), Value::Object(new)) => {
            let names = old
                .keys()
                .chain(new.keys().filter(|name| !old.contains_key(*name)));
            first(names.map(|name| (name.clone(), old.get(name), new.get(name))), at)
        }
        (Value::Array(old), Value::Array(new)) => {
            let indexes = 0..old.len().max(new.len());
            first(
                indexes.map(|index| (index.to_string(), old.get(index), new.get(index))),
                at,
            )
        }
        _ => (accepted != now).then(|| format!("{at}: it was {accepted}, it is {now}")),
    }
}

fn first<'a>(
    mut parts: impl Iterator<Item = (String, Option<&'a Value>, Option<&'a Value>)>,
    at: &str,
) -> Option<String> {
    parts.find_map(|(name, old, new)| {
        let at = format!("{at} > {name}");
        match (old, new) {
            (Some(old), Some(new)) => first_difference(old, new, &at),
            (Some(_), None) => Some(format!("{at}: it is gone")),
            (None, _) => Some(format!("{at}: it is new")),
        }
    })
}

#[test]
fn the_first_difference_is_named() {
    let document = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let accepted = document(r#"{"a": {"b": [1, 2]}, "c": 3}"#);
    let found = |text| first_difference(&accepted, &document(text), "");
    assert_eq!(found(r#"{"c": 3, "a": {"b": [1, 2]}}"#), None);
    let changed = found(r#"{"a": {"b": [1, 5]}, "c": 4}"#);
    assert_eq!(changed.as_deref(), Some(" > a > b > 1: it was 2, it is 5"));
    let gone = found(r#"{"a": {"b": [1]}, "c": 3}"#);
    assert_eq!(gone.as_deref(), Some(" > a > b > 1: it is gone"));
    let new = found(r#"{"a": {"b": [1, 2]}, "c": 3, "d": 0}"#);
    assert_eq!(new.as_deref(), Some(" > d: it is new"));
}
