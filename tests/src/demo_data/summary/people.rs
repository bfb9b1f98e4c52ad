//! Who the summary is about, who wrote it and who keeps it.

use serde_json::{Value, json};

use super::{Writer, narrative};

/// References to the people in the document.
pub(super) struct People {
    pub(super) patient: Value,
    pub(super) practitioner: Value,
    pub(super) organization: Value,
}

/// Adds patient, practitioner and organization.
pub(super) fn write(writer: &mut Writer<'_>) -> People {
    let patient = patient(writer);
    People {
        patient: writer.add("patient", patient),
        practitioner: writer.add("practitioner", practitioner()),
        organization: writer.add("organization", organization()),
    }
}

fn patient(writer: &Writer<'_>) -> Value {
    let identity = writer.identity;
    let name = format!("{} {}", identity.given, identity.family);
    json!({
        "resourceType": "Patient",
        "meta": { "profile": ["http://hl7.org/fhir/uv/ips/StructureDefinition/Patient-uv-ips"] },
        "text": narrative(&format!("<p>{name}, born {}</p>", identity.birth_date.iso())),
        "identifier": [{ "system": "https://hospital-north.example/patients", "value": identity.number }],
        "active": true,
        "name": [{ "text": name, "family": identity.family, "given": [identity.given] }],
        "gender": identity.sex.fhir(),
        "birthDate": identity.birth_date.iso(),
        "address": [{ "line": ["Lindenweg 12"], "city": "Falkenhagen", "postalCode": "99999", "country": "DE" }],
        "generalPractitioner": [writer.reference("practitioner")],
        "managingOrganization": writer.reference("organization"),
    })
}

fn practitioner() -> Value {
    json!({
        "resourceType": "Practitioner",
        "meta": { "profile": ["http://hl7.org/fhir/uv/ips/StructureDefinition/Practitioner-uv-ips"] },
        "text": narrative("<p>Dr. Ottilie Morgenstern</p>"),
        "name": [{ "text": "Dr. Ottilie Morgenstern", "family": "Morgenstern", "given": ["Ottilie"], "prefix": ["Dr."] }],
    })
}

fn organization() -> Value {
    json!({
        "resourceType": "Organization",
        "meta": { "profile": ["http://hl7.org/fhir/uv/ips/StructureDefinition/Organization-uv-ips"] },
        "text": narrative("<p>Hospital North</p>"),
        "name": "Hospital North",
        "address": [{ "city": "Falkenhagen", "country": "DE" }],
    })
}
