//! What is known about the patient's health, section by section.
//!
//! Codes are from LOINC, SNOMED CT's free international patient set, ATC and UCUM.

use serde_json::{Value, json};

use super::{Section, Writer, concept, narrative};
use crate::demo_data::ct;

/// Adds all clinical resources and returns the sections that list them.
pub(super) fn write(writer: &mut Writer<'_>, slices: u16) -> Vec<Section> {
    vec![
        Section {
            loinc: "11450-4",
            title: "Problem list",
            entries: problems(writer),
        },
        Section {
            loinc: "48765-2",
            title: "Allergies and adverse reactions",
            entries: allergies(writer),
        },
        Section {
            loinc: "10160-0",
            title: "Medication use",
            entries: medications(writer),
        },
        Section {
            loinc: "11369-6",
            title: "Immunizations",
            entries: immunizations(writer),
        },
        Section {
            loinc: "30954-2",
            title: "Results",
            entries: results(writer, slices),
        },
    ]
}

type Entries = Vec<(Value, String)>;

fn problems(writer: &mut Writer<'_>) -> Entries {
    let problems = [
        ("44054006", "Diabetes mellitus type 2", "2014-03"),
        ("38341003", "Hypertensive disorder", "2009-11"),
        ("427359005", "Solitary nodule of lung", "2026-09-14"),
    ];
    let status = |kind: &str, code: &str| json!({ "coding": [{ "system": format!("http://terminology.hl7.org/CodeSystem/condition-{kind}"), "code": code }] });
    problems
        .map(|(code, name, onset)| {
            let condition = json!({
                "resourceType": "Condition",
                "meta": profile("Condition"),
                "text": narrative(&format!("<p>{name} since {onset}</p>")),
                "clinicalStatus": status("clinical", "active"),
                "verificationStatus": status("ver-status", "confirmed"),
                "category": [concept("http://loinc.org", "75326-9", "Problem")],
                "code": concept(SNOMED, code, name),
                "subject": writer.reference("patient"),
                "onsetDateTime": onset,
            });
            (writer.add(name, condition), format!("{name}, since {onset}"))
        })
        .into()
}

fn allergies(writer: &mut Writer<'_>) -> Entries {
    let allergies = [
        (
            "91936005",
            "Allergy to penicillin",
            "medication",
            "high",
            "39579001",
            "Anaphylaxis",
        ),
        (
            "300916003",
            "Latex allergy",
            "environment",
            "low",
            "247472004",
            "Wheal",
        ),
    ];
    allergies
        .map(|(code, name, category, criticality, reaction, manifestation)| {
            let allergy = json!({
                "resourceType": "AllergyIntolerance",
                "meta": profile("AllergyIntolerance"),
                "text": narrative(&format!("<p>{name}: {manifestation}</p>")),
                "clinicalStatus": concept(
                    "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active", "Active"
                ),
                "verificationStatus": concept(
                    "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification", "confirmed", "Confirmed"
                ),
                "type": "allergy",
                "category": [category],
                "criticality": criticality,
                "code": concept(SNOMED, code, name),
                "patient": writer.reference("patient"),
                "reaction": [{ "manifestation": [concept(SNOMED, reaction, manifestation)] }],
            });
            (writer.add(name, allergy), format!("{name}: {manifestation}"))
        })
        .into()
}

fn medications(writer: &mut Writer<'_>) -> Entries {
    let medications = [
        ("A10BA02", "metformin", "850 mg twice a day", "2014-04-02"),
        ("C09AA05", "ramipril", "5 mg in the morning", "2010-01-18"),
        ("C10AA05", "atorvastatin", "20 mg in the evening", "2019-06-30"),
    ];
    medications
        .map(|(code, name, dosage, since)| {
            let statement = json!({
                "resourceType": "MedicationStatement",
                "meta": profile("MedicationStatement"),
                "text": narrative(&format!("<p>{name}, {dosage}</p>")),
                "status": "active",
                "medicationCodeableConcept": concept("http://www.whocc.no/atc", code, name),
                "subject": writer.reference("patient"),
                "effectivePeriod": { "start": since },
                "dosage": [{ "text": dosage }],
            });
            (writer.add(name, statement), format!("{name}, {dosage}"))
        })
        .into()
}

fn immunizations(writer: &mut Writer<'_>) -> Entries {
    let immunizations = [
        (
            "J07BB02",
            "influenza, inactivated, split virus or surface antigen",
            "2025-10-06",
            "FL25-0417",
        ),
        (
            "J07AM51",
            "tetanus toxoid, combinations with diphtheria toxoid",
            "2021-05-20",
            "TD-88213",
        ),
    ];
    immunizations
        .map(|(code, name, date, lot)| {
            let immunization = json!({
                "resourceType": "Immunization",
                "meta": profile("Immunization"),
                "text": narrative(&format!("<p>{name}, {date}</p>")),
                "status": "completed",
                "vaccineCode": concept("http://www.whocc.no/atc", code, name),
                "patient": writer.reference("patient"),
                "occurrenceDateTime": date,
                "lotNumber": lot,
            });
            (writer.add(name, immunization), format!("{name}, {date}"))
        })
        .into()
}

fn results(writer: &mut Writer<'_>, slices: u16) -> Entries {
    let observations = [
        ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", 7.4, "%"),
        (
            "2160-0",
            "Creatinine [Mass/volume] in Serum or Plasma",
            1.1,
            "mg/dL",
        ),
        (
            "18262-6",
            "Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay",
            96.0,
            "mg/dL",
        ),
    ];
    let mut entries: Entries = observations
        .map(|(code, name, value, unit)| {
            let observation = observation(writer, (code, name), value, unit);
            (writer.add(name, observation), format!("{name}: {value} {unit}"))
        })
        .into();
    let study = imaging_study(writer, slices);
    writer.add("imaging study", study);
    let report = radiology_report(writer);
    entries.push((
        writer.add("radiology report", report),
        format!("CT chest: {FINDING}"),
    ));
    entries
}

fn observation(writer: &Writer<'_>, (code, name): (&str, &str), value: f64, unit: &str) -> Value {
    json!({
        "resourceType": "Observation",
        "meta": profile("Observation-results-laboratory-pathology"),
        "text": narrative(&format!("<p>{value} {unit}</p>")),
        "status": "final",
        "category": [concept(OBSERVATION_CATEGORY, "laboratory", "Laboratory")],
        "code": concept("http://loinc.org", code, name),
        "subject": writer.reference("patient"),
        "effectiveDateTime": "2026-09-11T08:10:00+02:00",
        "performer": [writer.reference("organization")],
        "valueQuantity": { "value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit },
    })
}

fn imaging_study(writer: &Writer<'_>, slices: u16) -> Value {
    let identity = writer.identity;
    let modality = json!({ "system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT" });
    json!({
        "resourceType": "ImagingStudy",
        "meta": profile("ImagingStudy"),
        "text": narrative(&format!("<p>CT of the chest, {slices} images</p>")),
        "identifier": [{ "system": "urn:dicom:uid", "value": format!("urn:oid:{}", identity.dicom_uid("study")) }],
        "status": "available",
        "modality": [modality],
        "subject": writer.reference("patient"),
        "started": "2026-09-14T10:15:00+02:00",
        "numberOfSeries": 1,
        "numberOfInstances": slices,
        "series": [{
            "uid": identity.dicom_uid("series"),
            "number": 2,
            "modality": modality,
            "numberOfInstances": slices,
            "instance": [{
                "uid": ct::instance_uid(identity, 1),
                "sopClass": { "system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2" },
                "number": 1,
            }],
        }],
    })
}

fn radiology_report(writer: &Writer<'_>) -> Value {
    json!({
        "resourceType": "DiagnosticReport",
        "meta": profile("DiagnosticReport"),
        "text": narrative(&format!("<p>{FINDING}</p>")),
        "status": "final",
        "category": [concept("http://loinc.org", "18748-4", "Diagnostic imaging study")],
        "code": concept("http://loinc.org", "24628-0", "CT Chest W contrast IV"),
        "subject": writer.reference("patient"),
        "effectiveDateTime": "2026-09-14T10:15:00+02:00",
        "issued": "2026-09-14T13:02:00+02:00",
        "performer": [writer.reference("practitioner")],
        "imagingStudy": [writer.reference("imaging study")],
        "conclusion": FINDING,
    })
}

fn profile(name: &str) -> Value {
    json!({ "profile": [format!("http://hl7.org/fhir/uv/ips/StructureDefinition/{name}-uv-ips")] })
}

const FINDING: &str = "Solitary nodule of 18 mm in the right upper lobe; no enlarged lymph nodes";
const SNOMED: &str = "http://snomed.info/sct";
const OBSERVATION_CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
