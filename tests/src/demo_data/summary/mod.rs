//! An International Patient Summary: a FHIR R4 document whose resources refer to each other by `urn:uuid`.
//!
//! It has the three sections that every summary must have (problems, allergies, medications) and immunizations
//! and results, with the CT series among them.

mod clinical;
mod people;

use serde_json::{Value, json};

use super::identity::Identity;

/// When the document was made.
const MADE_AT: &str = "2026-09-14T16:40:00+02:00";

/// The document as a Bundle resource; `slices` images are told of in its ImagingStudy.
pub(super) fn document(identity: &Identity, slices: u16) -> Value {
    let mut writer = Writer {
        identity,
        entries: Vec::new(),
    };
    let people = people::write(&mut writer);
    let sections = clinical::write(&mut writer, slices);
    let composition = writer.resource("composition", composition(identity, &people, sections));

    let mut entries = vec![composition];
    entries.append(&mut writer.entries);
    json!({
        "resourceType": "Bundle",
        "id": identity.uuid("bundle"),
        "meta": { "profile": ["http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips"] },
        "language": "en",
        "identifier": { "system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{}", identity.uuid("document")) },
        "type": "document",
        "timestamp": MADE_AT,
        "entry": entries,
    })
}

/// Collects resources in the order of the document.
struct Writer<'a> {
    identity: &'a Identity,
    entries: Vec<Value>,
}

impl Writer<'_> {
    /// Adds a resource under a name that is unique in the document; returns a reference to it.
    fn add(&mut self, name: &str, resource: Value) -> Value {
        let entry = self.resource(name, resource);
        self.entries.push(entry);
        self.reference(name)
    }

    /// A reference to a resource, whether it has been added or will be.
    fn reference(&self, name: &str) -> Value {
        json!({ "reference": self.url(name) })
    }

    fn resource(&self, name: &str, mut resource: Value) -> Value {
        resource["id"] = self.identity.uuid(name).into();
        json!({ "fullUrl": self.url(name), "resource": resource })
    }

    fn url(&self, name: &str) -> String {
        format!("urn:uuid:{}", self.identity.uuid(name))
    }
}

/// A section of the composition: a LOINC code, a title and what it lists, each with its line of text.
struct Section {
    loinc: &'static str,
    title: &'static str,
    entries: Vec<(Value, String)>,
}

impl Section {
    fn into_json(self) -> Value {
        let lines: String = self
            .entries
            .iter()
            .map(|(_, text)| format!("<li>{}</li>", escape(text)))
            .collect();
        let references: Vec<Value> = self.entries.into_iter().map(|(reference, _)| reference).collect();
        json!({
            "title": self.title,
            "code": concept("http://loinc.org", self.loinc, self.title),
            "text": narrative(&format!("<ul>{lines}</ul>")),
            "entry": references,
        })
    }
}

fn composition(identity: &Identity, people: &people::People, sections: Vec<Section>) -> Value {
    let sections: Vec<Value> = sections.into_iter().map(Section::into_json).collect();
    json!({
        "resourceType": "Composition",
        "meta": { "profile": ["http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips"] },
        "text": narrative(&format!("<p>Patient summary of {} {}</p>", identity.given, identity.family)),
        "identifier": {
            "system": "urn:ietf:rfc:3986",
            "value": format!("urn:uuid:{}", identity.uuid("composition identifier")),
        },
        "status": "final",
        "type": concept("http://loinc.org", "60591-5", "Patient summary Document"),
        "subject": people.patient,
        "date": MADE_AT,
        "author": [people.practitioner],
        "title": format!("Patient summary of {} {}", identity.given, identity.family),
        "confidentiality": "N",
        "custodian": people.organization,
        "section": sections,
    })
}

/// A CodeableConcept with one coding.
fn concept(system: &str, code: &str, display: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code, "display": display }], "text": display })
}

fn narrative(xhtml: &str) -> Value {
    json!({ "status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{xhtml}</div>") })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reference_has_its_entry() {
        let document = document(&Identity::draw(1), 120);
        let entries = document["entry"].as_array().unwrap();
        let urls: BTreeSet<&str> = entries
            .iter()
            .map(|entry| entry["fullUrl"].as_str().unwrap())
            .collect();
        assert_eq!(urls.len(), entries.len());
        assert_eq!(entries[0]["resource"]["resourceType"], "Composition");

        let mut references = Vec::new();
        collect_references(&document, &mut references);
        assert!(references.len() > entries.len());
        for reference in references {
            assert!(urls.contains(reference), "{reference} refers to nothing");
        }
    }

    fn collect_references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
            Value::Object(fields) => {
                found.extend(fields.get("reference").and_then(Value::as_str));
                fields.values().for_each(|field| collect_references(field, found));
            }
            _ => {}
        }
    }
}
