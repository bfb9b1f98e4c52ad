//! Emergencies in inboxes: to the patient, to her guardians, to the institution that a guardian has named.

use protocol_spec::{
    bodies::{EmergencyHelp, EmergencyObjection},
    field::ReadsAs,
    ids::{PatientId, PermissionId, RequestId},
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    permission::SignedPermission,
};

use super::{
    opened::{OpenedEvent, check, tampered, verify},
    party::Party,
};
use crate::{
    Error, Result,
    patient::{OpenedBy, Vault, emergency::guardians},
    session::Session,
    text::system_time,
    trust::emergency_opening,
};

/// Somebody's emergency collection was opened: hers, or that of a patient whose guardian she is. Gives the id of the opening.
pub(super) async fn opened(patient: &Vault, message: &pb::EmergencyUse) -> Result<OpenedEvent<RequestId>> {
    let session = patient.session();
    let opening = emergency_opening(&session.server, message)?;
    let institution = session.mirror.institution(opening.institution_id).await?;
    let text = if opening.patient_id == patient.id() {
        afterwards(guardians::opened_by(patient, &opening.card_key).await)?
    } else {
        format!("the emergency collection of {} was opened", opening.patient_id)
    };
    Ok(OpenedEvent::new(
        Party::from(&institution),
        opening.opening_id,
        text,
    ))
}

/// A guardian has begun to help. `reader` is the patient or guardian who reads this; an institution otherwise. Gives the id of the
/// help, and who may open.
pub(super) async fn helped(
    session: &Session,
    message: pb::EmergencyHelp,
    reader: Option<PatientId>,
) -> Result<OpenedEvent<(RequestId, Party)>> {
    let help: PatientVerified<EmergencyHelp> = verify(message.help.ok_or_else(|| tampered("it is empty"))?)?;
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
    let to = Party::from(&session.mirror.institution(help.institution_id).await?);
    Ok(OpenedEvent::new(
        Party::Patient(help.guardian_id),
        (help.help_id, to),
        text,
    ))
}

/// What she can do when the emergency is over: the institution knows the half that it was opened with, and that one half ends by
/// what ends its permission. A new card leaves a guardian's half as it is (EMG-5).
fn afterwards(opened_by: Result<OpenedBy>) -> Result<String> {
    const CARD: &str = "make a new card: medvault emergency card --pdf FILE";
    let what = "your emergency collection was opened";
    Ok(match opened_by {
        Ok(OpenedBy::Card) => format!("{what} with your card; when the emergency is over, {CARD}"),
        Ok(OpenedBy::Guardian(guardian)) => format!(
            "{what} with the help of your guardian {guardian}; when the emergency is over, end what this help can open: \
             medvault emergency guardian remove {guardian}; you can then name her anew"
        ),
        Ok(OpenedBy::Ended) => format!("{what}; what it was opened with opens nothing any more"),
        Err(error @ (Error::Unreachable { .. } | Error::HomeLocked { .. })) => return Err(error),
        // Her permissions cannot be read: the event itself is proven, and is not hidden for that.
        Err(_) => format!(
            "{what}; when the emergency is over, {CARD}; and if a guardian has helped, remove her and name her anew: \
             medvault emergency guardian list"
        ),
    })
}

/// The patient has objected to the help that is given.
pub(super) fn objected(
    message: impl ReadsAs<PatientSigned<EmergencyObjection>>,
) -> Result<OpenedEvent<RequestId>> {
    let objection = verify(message)?;
    Ok(OpenedEvent::wordless(
        Party::Patient(objection.patient_id),
        objection.help_id,
    ))
}

/// Another patient has named this one as her guardian, by the permission that is given.
pub(super) fn guardian_named(
    message: impl ReadsAs<SignedPermission>,
    reader: PatientId,
) -> Result<OpenedEvent<PermissionId>> {
    let permission = message
        .try_into()
        .and_then(SignedPermission::verify)
        .map_err(tampered)?;
    let named = permission.emergency.and_then(|terms| terms.guardian);
    check(named.is_some_and(|named| named.guardian_id == reader))?;
    let text = format!(
        "you are the guardian of {0}; in an emergency: medvault emergency help --patient {0} --institution NAME",
        permission.patient_id
    );
    Ok(OpenedEvent::new(
        Party::Patient(permission.patient_id),
        permission.permission_id,
        text,
    ))
}

/// A moment in UTC, to the second.
fn when(ms: u64) -> String {
    humantime::format_rfc3339_seconds(system_time(ms)).to_string()
}
