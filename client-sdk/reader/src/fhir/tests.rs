//! Resources as they are written, and as they should not be.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::describe;

/// Type, kind, first and last day.
fn found(text: &str) -> (String, String, String, String) {
    let found = describe("x", Cursor::new(text)).unwrap();
    let shown = |day: Option<crate::Day>| day.map(|day| day.to_string()).unwrap_or_default();
    let (first, last) = (
        found.days.map(|days| days.first),
        found.days.map(|days| days.last),
    );
    (
        found.media_type,
        found.fhir_resource_type,
        shown(first),
        shown(last),
    )
}

fn days(text: &str) -> (String, String) {
    let (_, _, first, last) = found(text);
    (first, last)
}

fn day(first: &str, last: &str) -> (String, String) {
    (first.into(), last.into())
}

/// CNT-20: each element that the table names, in JSON and in XML, with a value of its own and before those that count less.
#[test]
fn every_element_of_the_table_says_the_day() {
    for (kind, fields) in CLINICAL {
        for (number, field) in fields.iter().enumerate() {
            let is_period = !field.contains("DateTime") && field.to_lowercase().ends_with("period")
                || *field == "applies";
            let (outer, inner) = field
                .split_once('.')
                .map_or((*field, None), |(outer, inner)| (outer, Some(inner)));
            let json = if is_period {
                r#"{"start":"2026-05-01","end":"2026-05-03T08:00:00Z"}"#
            } else {
                r#""2026-05-01T08:00:00+02:00""#
            };
            let json = inner.map_or(json.into(), |inner| format!(r#"{{"x":1,"{inner}":{json}}}"#));
            let less: String = fields[number + 1..]
                .iter()
                .filter(|field| !field.contains('.'))
                .map(|field| format!(r#""{field}":"2020-01-01","#))
                .collect();
            let last = if is_period { "2026-05-03" } else { "2026-05-01" };
            let json = format!(r#"{{{less}"id":"2019","{outer}":{json},"resourceType":"{kind}"}}"#);
            let expected = (
                "application/fhir+json".into(),
                (*kind).into(),
                "2026-05-01".into(),
                last.into(),
            );
            assert_eq!(found(&json), expected, "{json}");

            let value = if is_period {
                r#"><start value="2026-05-01"/><end value='2026-05-03T08:00:00Z'/>"#
            } else {
                r#" value="2026-05-01T08:00:00+02:00">"#
            };
            let name = inner.unwrap_or(outer);
            let element = format!("<{name}{value}</{name}>");
            let element = inner.map_or(element.clone(), |_| format!("<{outer}>{element}</{outer}>"));
            let xml = format!(
                "<?xml version=\"1.0\"?>\n<!-- <x> --><{kind} xmlns=\"http://hl7.org/fhir\"><id value=\"2019\"/>{element}</{kind}>\n"
            );
            let expected = (
                "application/fhir+xml".into(),
                (*kind).into(),
                "2026-05-01".into(),
                last.into(),
            );
            assert_eq!(found(&xml), expected, "{xml}");
        }
    }
}

/// CNT-20: as the issue's report had it.
#[test]
fn an_observation_has_the_day_of_its_effective_time() {
    let text = r#"{"resourceType":"Observation","status":"final","effectiveDateTime":"2026-05-01","issued":"2026-06-01T08:00:00Z"}"#;
    assert_eq!(days(text), day("2026-05-01", "2026-05-01"));
    assert_eq!(
        days(&text.replace("effectiveDateTime", "x")),
        day("2026-06-01", "2026-06-01")
    );
    assert_eq!(
        days(&text.replace("2026-05-01", "2026-05")),
        day("2026-05-01", "2026-05-31")
    );
    // What lies within another element, or in what it contains, is not its own.
    let inner = r#"{"resourceType":"Observation","contained":[{"resourceType":"Encounter","period":{"start":"2020-01-01"}}],
        "component":[{"effectiveDateTime":"2021-01-01"}]}"#;
    assert_eq!(days(inner), day("", ""));
    assert_eq!(
        days(r#"{"resourceType":"Patient","birthDate":"1970-01-01"}"#),
        day("", "")
    );
}

/// CNT-20: of all the days of its entries; of a document, of its composition's; without either, of its own.
#[test]
fn a_bundle_is_of_the_days_of_its_entries() {
    let entries = r#"[{"fullUrl":"a","resource":{"resourceType":"Composition","date":"2026-05-10"}},
        {"resource":{"effectiveDateTime":"2019-02-03","resourceType":"Observation"}},
        {"resource":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Procedure","performedPeriod":{"start":"2026-06-01"}}}]}},
        {"resource":{"resourceType":"Patient","birthDate":"1970-01-01"}}]"#;
    let bundle = |kind: &str, entries: &str| {
        days(&format!(
            r#"{{"resourceType":"Bundle","timestamp":"2026-11-23T08:00:00Z","entry":{entries},"type":"{kind}"}}"#
        ))
    };
    assert_eq!(bundle("collection", entries), day("2019-02-03", "2026-06-01"));
    assert_eq!(bundle("document", entries), day("2026-05-10", "2026-05-10"));
    assert_eq!(bundle("collection", "[]"), day("2026-11-23", "2026-11-23"));
    let xml = r#"<Bundle xmlns="http://hl7.org/fhir"><type value="document"/><timestamp value="2026-11-23T08:00:00Z"/>
        <entry><resource><Composition><date value="2026-05-10"/></Composition></resource></entry>
        <entry><resource><f:Observation xmlns:f="http://hl7.org/fhir"><f:issued value="2019-02-03T00:00:00Z"/></f:Observation></resource></entry></Bundle>"#;
    assert_eq!(days(xml), day("2026-05-10", "2026-05-10"));
    assert_eq!(
        days(&xml.replace("document", "searchset")),
        day("2019-02-03", "2026-05-10")
    );
}

/// CNT-20
#[test]
fn resources_one_behind_the_other_are_one_file() {
    let line = |kind: &str, date: &str| format!("{{\"resourceType\":\"{kind}\",\"date\":\"{date}\"}}\n");
    let same = format!(
        "\u{feff}{}\r\n{}",
        line("List", "2026-05-01"),
        line("List", "2026-05-03")
    );
    let expected = (
        "application/fhir+ndjson".into(),
        "List".into(),
        "2026-05-01".into(),
        "2026-05-03".into(),
    );
    assert_eq!(found(&same), expected);
    let mixed = found(&format!(
        "{}{}",
        line("List", "2026-05-01"),
        line("Flag", "2026-05-03")
    ));
    assert_eq!((mixed.1.as_str(), mixed.3.as_str()), ("", "2026-05-01"));
    let broken = format!("{}{{\"x\":1}}\n", line("List", "2026-05-01"));
    assert_eq!(found(&broken).0, "application/octet-stream");
}

#[test]
fn what_is_no_resource_is_none() {
    for text in [
        r#"{"resourceType":"#,
        r#"{"resourceType":"List"} x"#,
        r#"{"resourceType":"List",}"#,
        r#"{"resourceType":"not a kind"}"#,
        r#"{"resourceType":7}"#,
        r#"{"x":{"resourceType":"List"}}"#,
        "{}",
        "{",
        "<List/>",
        "<List xmlns=\"http://www.w3.org/1999/xhtml\"/>",
        "<!DOCTYPE x [<!ENTITY y 'z'>]><List xmlns=\"http://hl7.org/fhir\"/>",
        "<List",
    ] {
        assert_eq!(found(text).0, "application/octet-stream", "{text}");
    }
    // Cut off in the middle: it is one, and of no day that anybody knows.
    let cut = r#"<List xmlns="http://hl7.org/fhir"><date value="2026-05-01"/>"#;
    assert_eq!(
        found(cut),
        (
            "application/fhir+xml".into(),
            "List".into(),
            String::new(),
            String::new()
        )
    );
}

/// CNT-19, ATK-91: neither nesting nor length is for a file to say.
#[test]
fn nesting_and_length_are_bounded() {
    let deep =
        |open: &str, levels: usize| format!("{{\"resourceType\":\"List\",\"x\":{}", open.repeat(levels));
    for open in ["[", "{\"a\":"] {
        assert_eq!(found(&deep(open, 500)).0, "application/octet-stream");
    }
    let bundles = "{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":".repeat(40);
    let closed = format!("{bundles}{{}}{}", "}]}".repeat(40));
    assert_eq!(found(&closed).0, "application/fhir+json");
    let long = format!(
        "{{\"resourceType\":\"Binary\",\"data\":\"{}\",\"meta\":1}}",
        "A".repeat(3 << 20)
    );
    assert_eq!(found(&long).1, "Binary");
    let elements = format!("<List xmlns=\"http://hl7.org/fhir\">{}", "<a>".repeat(500));
    assert_eq!(found(&elements).2, "");
}

proptest! {
    #[test]
    fn any_text_ends(text in "[{}\\[\\]\",:<>/!? a-f0-9=-]{0,200}", start in 0..4_usize) {
        let start = ["{\"resourceType\":\"List\",", "<List xmlns=\"http://hl7.org/fhir\"", "<ClinicalDocument xmlns='urn:hl7-org:v3'", "MSH|^~\\&|"][start];
        found(&format!("{start}{text}"));
    }
}
