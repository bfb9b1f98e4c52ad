//! Which namespace counts, and for which elements.

use std::io::Cursor;

use crate::describe;

/// Type, and the first day.
fn found(text: &str) -> (String, String) {
    let found = describe("x", Cursor::new(text)).unwrap();
    let day = found.days.map(|days| days.first.to_string());
    (found.media_type, day.unwrap_or_default())
}

fn cda(day: &str) -> (String, String) {
    ("application/cda+xml".into(), day.into())
}

fn fhir(day: &str) -> (String, String) {
    ("application/fhir+xml".into(), day.into())
}

/// CNT-20: a file is what its outermost element is, whatever else that declares and in which order.
#[test]
fn the_namespace_of_the_outermost_element_decides_and_no_other_that_it_declares() {
    let (v3, hl7) = ("urn:hl7-org:v3", "http://hl7.org/fhir");
    for (prefix, own) in [("", ""), ("cda:", ":cda"), ("f:", ":f")] {
        let others = [format!("xmlns:x='{hl7}'"), format!("xmlns:y=\"{v3}\"")];
        for uri in [v3, hl7] {
            let own = format!("xmlns{own}='{uri}'");
            let orders = [
                format!("{own} {} {}", others[0], others[1]),
                format!("{} {own} {}", others[0], others[1]),
                format!("{} {own} {}", others[1], others[0]),
                format!("{} {} {own}", others[0], others[1]),
            ];
            for declared in orders {
                let document = format!(
                    "<{prefix}ClinicalDocument {declared}><{prefix}effectiveTime value='20260501'/></{prefix}ClinicalDocument>"
                );
                let expected = if uri == v3 { cda("2026-05-01") } else { fhir("") };
                assert_eq!(found(&document), expected, "{document}");
                let list =
                    format!("<{prefix}List {declared}><{prefix}date value='2026-05-02'/></{prefix}List>");
                let other = ("application/octet-stream".to_owned(), String::new());
                let expected = if uri == hl7 { fhir("2026-05-02") } else { other };
                assert_eq!(found(&list), expected, "{list}");
            }
        }
    }
}

#[test]
fn a_prefix_that_is_not_declared_is_of_no_namespace() {
    for text in [
        "<cda:ClinicalDocument xmlns='urn:hl7-org:v3'/>",
        "<ClinicalDocument xmlns:cda='urn:hl7-org:v3'/>",
        "<f:List xmlns='http://hl7.org/fhir' xmlns:g='http://hl7.org/fhir'/>",
        "<List xmlnsx='http://hl7.org/fhir' x:xmlns='http://hl7.org/fhir'/>",
        "<List xmlns='http://hl7.org/fhir' xmlns:f='x'",
    ] {
        assert_eq!(found(text).0, "application/octet-stream", "{text}");
    }
}

/// CNT-20: an element is what it is called only in the namespace of the outermost one, under whatever prefix that is there.
#[test]
fn elements_of_another_namespace_are_none_of_the_documents_own() {
    let document = |within: &str| {
        found(&format!(
            "<ClinicalDocument xmlns='urn:hl7-org:v3' xmlns:h='urn:hl7-org:v3' xmlns:sdtc='urn:hl7-org:sdtc'>{within}</ClinicalDocument>"
        ))
    };
    let own = "<effectiveTime value='20260501'/>";
    for foreign in [
        "<sdtc:effectiveTime value='20200101'/>",
        "<effectiveTime value='20200101' xmlns='urn:hl7-org:sdtc'/>",
        "<effectiveTime xmlns=''><low value='20200101'/></effectiveTime>",
        "<h:effectiveTime xmlns:h='x' value='20200101'/>",
        "<x:effectiveTime value='20200101'/>",
    ] {
        assert_eq!(document(foreign), cda(""), "{foreign}");
        assert_eq!(
            document(&format!("{foreign}{own}")),
            cda("2026-05-01"),
            "{foreign}"
        );
        assert_eq!(
            document(&format!("{own}{foreign}")),
            cda("2026-05-01"),
            "{foreign}"
        );
    }
    for same in [
        "<h:effectiveTime value='20260501'/>",
        "<n:effectiveTime value='20260501' xmlns:n='urn:hl7-org:v3'/>",
        "<sdtc:id xmlns='x' xmlns:h='y'><id/></sdtc:id><h:effectiveTime><low value='20260501'/></h:effectiveTime>",
    ] {
        assert_eq!(document(same), cda("2026-05-01"), "{same}");
    }
    let entry = |resource: &str| {
        format!(
            "<f:Bundle xmlns:f='http://hl7.org/fhir'><f:entry><f:resource>{resource}</f:resource></f:entry></f:Bundle>"
        )
    };
    let flag = "<List xmlns='http://hl7.org/fhir'><text><div xmlns='http://www.w3.org/1999/xhtml'><date value='2020'/></div></text>\
                <date value='2026-05-02'/></List>";
    assert_eq!(found(&entry(flag)), fhir("2026-05-02"));
    let other = "<List xmlns='x'><date value='2026-05-02'/></List>";
    assert_eq!(found(&entry(other)), fhir(""));
    assert_eq!(
        found(&entry("<f:List><date value='2026-05-02'/></f:List>")),
        fhir("")
    );
}

/// CNT-20: a document in UTF-16 is one as in UTF-8.
#[test]
fn documents_in_utf_16_are_read() {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?>\n<ä:ClinicalDocument xmlns:ä=\"urn:hl7-org:v3\">\
                <ä:title>Überweisung \u{1f600}</ä:title><ä:effectiveTime value='20260501'/></ä:ClinicalDocument>";
    let units = || std::iter::once(0xfeff).chain(text.encode_utf16());
    let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    for bytes in [&little, &big] {
        let found = describe("x", Cursor::new(bytes)).unwrap();
        let day = found.days.map(|days| days.first.to_string());
        assert_eq!((found.media_type, day.unwrap_or_default()), cda("2026-05-01"));
        // A byte is missing at the end.
        let cut = describe("x", Cursor::new(&bytes[..bytes.len() - 1])).unwrap();
        assert_eq!((cut.media_type.as_str(), cut.days), ("application/cda+xml", None));
    }
    let other = describe("x.txt", Cursor::new(b"\xff\xfea\0<\0")).unwrap();
    assert_eq!(other.media_type, "text/plain");
}

/// CNT-19: declarations are kept as long as they are in force, and only so many.
#[test]
fn declarations_are_bounded() {
    let one = "<x xmlns:a='b'/>".repeat(1000);
    let document = |within: &str| {
        found(&format!(
            "<ClinicalDocument xmlns='urn:hl7-org:v3'>{within}<effectiveTime value='20260501'/></ClinicalDocument>"
        ))
    };
    assert_eq!(document(&one), cda("2026-05-01"));
    assert_eq!(
        document(&format!("<x {}/>", "xmlns:a='b' ".repeat(1000))),
        cda("")
    );
}
