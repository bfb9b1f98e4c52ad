//! Emergencies in inboxes: to the patient, to her guardians, to the institution that a guardian has named.

use protocol_spec::{
    bodies::{EmergencyHelp, EmergencyObjection, Revocation},
    ids::PatientId,
    messages as pb,
    patient::PatientVerified,
    permission::SignedPermission,
};

use super::{EventKind, InboxEvent, Party, check, party, tampered, verify};
use crate::{Patient, Result, session::Session};

impl Session {
    /// Somebody's emergency collection was opened: hers, or that of a patient whose guardian she is.
    pub(super) async fn emergency_opened(
        &self,
        message: &pb::EmergencyUse,
        patient: &Patient,
        blank: InboxEvent,
    ) -> Result<InboxEvent> {
        let opening = self.emergency_opening(message)?;
        let institution = self.institution(opening.institution_id).await?;
        let text = if opening.patient_id == patient.id() {
            "your emergency collection was opened; when the emergency is over, make a new card: \
             medvault emergency card --pdf FILE"
                .to_owned()
        } else {
            format!("the emergency collection of {} was opened", opening.patient_id)
        };
        Ok(InboxEvent {
            kind: EventKind::EmergencyOpened,
            from: party(&institution),
            request_id: Some(opening.opening_id),
            text: Some(text),
            ..blank
        })
    }

    /// A guardian has begun to help. `reader` is the patient or guardian who reads this; an institution otherwise.
    pub(super) async fn emergency_help(
        &self,
        message: pb::EmergencyHelp,
        reader: Option<PatientId>,
        blank: InboxEvent,
    ) -> Result<InboxEvent> {
        let help: PatientVerified<EmergencyHelp> =
            verify(message.help.ok_or_else(|| tampered("it is empty"))?)?;
        let opens = when(message.opens);
        let text = if reader == Some(help.patient_id) {
            format!(
                "a guardian asks to open your emergency collection, from {opens} on; if you do not want it: \
                 medvault emergency object {}",
                help.help_id
            )
        } else {
            format!(
                "the emergency collection of {} can be opened from {opens} on, unless the patient objects",
                help.patient_id
            )
        };
        Ok(InboxEvent {
            kind: EventKind::EmergencyHelp,
            from: Party::Patient(help.guardian_id),
            to: Some(party(&self.institution(help.institution_id).await?)),
            request_id: Some(help.help_id),
            text: Some(text),
            ..blank
        })
    }
}

/// The patient has objected.
pub(super) fn objected(message: pb::PatientStatement, blank: InboxEvent) -> Result<InboxEvent> {
    let objection: PatientVerified<EmergencyObjection> = verify(message)?;
    Ok(InboxEvent {
        kind: EventKind::EmergencyObjected,
        from: Party::Patient(objection.patient_id),
        request_id: Some(objection.help_id),
        ..blank
    })
}

/// Another patient has named this one as her guardian.
pub(super) fn guardian_named(
    message: pb::Permission,
    reader: PatientId,
    blank: InboxEvent,
) -> Result<InboxEvent> {
    let permission = SignedPermission::try_from(message)
        .and_then(SignedPermission::verify)
        .map_err(tampered)?;
    let named = permission.emergency.and_then(|terms| terms.guardian);
    check(named.is_some_and(|named| named.guardian_id == reader))?;
    let text = format!(
        "you are the guardian of {0}; in an emergency: medvault emergency help --patient {0} --institution NAME",
        permission.patient_id
    );
    Ok(InboxEvent {
        kind: EventKind::GuardianNamed,
        from: Party::Patient(permission.patient_id),
        permission_id: Some(permission.permission_id),
        text: Some(text),
        ..blank
    })
}

/// A permission was revoked: to its institution, or to a guardian.
pub(super) fn revoked(message: pb::PatientStatement, blank: InboxEvent) -> Result<InboxEvent> {
    let revocation: PatientVerified<Revocation> = verify(message)?;
    Ok(InboxEvent {
        kind: EventKind::Revoked,
        from: Party::Patient(revocation.patient_id),
        permission_id: Some(revocation.permission_id),
        ..blank
    })
}

/// In UTC.
fn when(ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_seconds(time).to_string()
}
