//! Which element of a resource says the day that is clinically its own: HL7 FHIR R4 (4.0.1), the page of each resource.
//!
//! First what the resource is about (its mapping to `FiveWs.done[x]`, `FiveWs.init` or `FiveWs.planned`), then when it was written down
//! (`FiveWs.recorded`). Kinds without such an element (`Patient`, `Organization`, …) have no day.

/// Kinds of resources, and their elements in the order in which they count. An element of type Period stands for both its ends.
pub(super) const CLINICAL: &[(&str, &[&str])] = &[
    ("Account", &["servicePeriod"]),
    ("AdverseEvent", &["date", "detected", "recordedDate"]),
    (
        "AllergyIntolerance",
        &["onsetDateTime", "onsetPeriod", "recordedDate", "lastOccurrence"],
    ),
    ("Appointment", &["start", "end", "created"]),
    ("AppointmentResponse", &["start", "end"]),
    ("AuditEvent", &["period", "recorded"]),
    ("Basic", &["created"]),
    (
        "BiologicallyDerivedProduct",
        &["collection.collectedDateTime", "collection.collectedPeriod"],
    ),
    ("Bundle", &["timestamp"]),
    ("CarePlan", &["period", "created"]),
    ("CareTeam", &["period"]),
    (
        "ChargeItem",
        &[
            "occurrenceDateTime",
            "occurrencePeriod",
            "occurrenceTiming.event",
            "enteredDate",
        ],
    ),
    ("Claim", &["billablePeriod", "created"]),
    ("ClaimResponse", &["created"]),
    (
        "ClinicalImpression",
        &["effectiveDateTime", "effectivePeriod", "date"],
    ),
    ("Communication", &["sent", "received"]),
    (
        "CommunicationRequest",
        &["occurrenceDateTime", "occurrencePeriod", "authoredOn"],
    ),
    ("Composition", &["date"]),
    ("Condition", &["onsetDateTime", "onsetPeriod", "recordedDate"]),
    ("Consent", &["dateTime"]),
    ("Contract", &["issued", "applies"]),
    ("Coverage", &["period"]),
    (
        "CoverageEligibilityRequest",
        &["servicedDate", "servicedPeriod", "created"],
    ),
    (
        "CoverageEligibilityResponse",
        &["servicedDate", "servicedPeriod", "created"],
    ),
    ("DetectedIssue", &["identifiedDateTime", "identifiedPeriod"]),
    (
        "DeviceRequest",
        &[
            "occurrenceDateTime",
            "occurrencePeriod",
            "occurrenceTiming.event",
            "authoredOn",
        ],
    ),
    (
        "DeviceUseStatement",
        &[
            "timingDateTime",
            "timingPeriod",
            "timingTiming.event",
            "recordedOn",
        ],
    ),
    (
        "DiagnosticReport",
        &["effectiveDateTime", "effectivePeriod", "issued"],
    ),
    ("DocumentManifest", &["created"]),
    ("DocumentReference", &["context.period", "date"]),
    ("Encounter", &["period"]),
    ("EnrollmentRequest", &["created"]),
    ("EpisodeOfCare", &["period"]),
    ("ExplanationOfBenefit", &["billablePeriod", "created"]),
    ("FamilyMemberHistory", &["date"]),
    ("Flag", &["period"]),
    ("Goal", &["startDate", "statusDate"]),
    ("GuidanceResponse", &["occurrenceDateTime"]),
    ("ImagingStudy", &["started"]),
    ("Immunization", &["occurrenceDateTime", "recorded"]),
    ("ImmunizationEvaluation", &["date"]),
    ("ImmunizationRecommendation", &["date"]),
    ("Invoice", &["date"]),
    ("List", &["date"]),
    ("Measure", &["effectivePeriod", "date"]),
    ("MeasureReport", &["period", "date"]),
    ("Media", &["createdDateTime", "createdPeriod", "issued"]),
    (
        "MedicationAdministration",
        &["effectiveDateTime", "effectivePeriod"],
    ),
    ("MedicationDispense", &["whenHandedOver", "whenPrepared"]),
    ("MedicationRequest", &["authoredOn"]),
    (
        "MedicationStatement",
        &["effectiveDateTime", "effectivePeriod", "dateAsserted"],
    ),
    ("NutritionOrder", &["dateTime"]),
    (
        "Observation",
        &[
            "effectiveDateTime",
            "effectivePeriod",
            "effectiveInstant",
            "effectiveTiming.event",
            "issued",
        ],
    ),
    ("PaymentNotice", &["paymentDate", "created"]),
    ("PaymentReconciliation", &["period", "paymentDate", "created"]),
    ("Procedure", &["performedDateTime", "performedPeriod"]),
    ("Provenance", &["occurredDateTime", "occurredPeriod", "recorded"]),
    ("QuestionnaireResponse", &["authored"]),
    ("RequestGroup", &["authoredOn"]),
    ("ResearchSubject", &["period"]),
    ("RiskAssessment", &["occurrenceDateTime", "occurrencePeriod"]),
    (
        "ServiceRequest",
        &[
            "occurrenceDateTime",
            "occurrencePeriod",
            "occurrenceTiming.event",
            "authoredOn",
        ],
    ),
    ("Slot", &["start", "end"]),
    (
        "Specimen",
        &[
            "collection.collectedDateTime",
            "collection.collectedPeriod",
            "receivedTime",
        ],
    ),
    (
        "SupplyDelivery",
        &["occurrenceDateTime", "occurrencePeriod", "occurrenceTiming.event"],
    ),
    (
        "SupplyRequest",
        &[
            "occurrenceDateTime",
            "occurrencePeriod",
            "occurrenceTiming.event",
            "authoredOn",
        ],
    ),
    ("Task", &["executionPeriod", "authoredOn", "lastModified"]),
    ("VisionPrescription", &["dateWritten", "created"]),
];

/// All elements that stand above, ascending.
pub(super) const FIELDS: &[&str] = &[
    "applies",
    "authored",
    "authoredOn",
    "billablePeriod",
    "collection.collectedDateTime",
    "collection.collectedPeriod",
    "context.period",
    "created",
    "createdDateTime",
    "createdPeriod",
    "date",
    "dateAsserted",
    "dateTime",
    "dateWritten",
    "detected",
    "effectiveDateTime",
    "effectiveInstant",
    "effectivePeriod",
    "effectiveTiming.event",
    "end",
    "enteredDate",
    "executionPeriod",
    "identifiedDateTime",
    "identifiedPeriod",
    "issued",
    "lastModified",
    "lastOccurrence",
    "occurredDateTime",
    "occurredPeriod",
    "occurrenceDateTime",
    "occurrencePeriod",
    "occurrenceTiming.event",
    "onsetDateTime",
    "onsetPeriod",
    "paymentDate",
    "performedDateTime",
    "performedPeriod",
    "period",
    "received",
    "receivedTime",
    "recorded",
    "recordedDate",
    "recordedOn",
    "sent",
    "servicePeriod",
    "servicedDate",
    "servicedPeriod",
    "start",
    "startDate",
    "started",
    "statusDate",
    "timestamp",
    "timingDateTime",
    "timingPeriod",
    "timingTiming.event",
    "whenHandedOver",
    "whenPrepared",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_element_is_looked_for_and_each_kind_stands_once() {
        let named: BTreeSet<&str> = CLINICAL
            .iter()
            .flat_map(|(_, fields)| fields.iter().copied())
            .collect();
        assert!(named.iter().eq(FIELDS.iter()), "{named:?}");
        assert!(CLINICAL.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
