//! Emergencies in inboxes: to the patient, to her guardians, to the institution that a guardian has named.

use protocol_spec::{
    bodies::{EmergencyHelp, EmergencyObjection, Revocation},
    ids::PatientId,
    messages as pb,
    patient::PatientVerified,
    permission::SignedPermission,
};

use super::{Content, InboxWhat, Party, check, party, tampered, verify, wordless};
use crate::{
    Error, Result,
    patient::{OpenedBy, Vault, emergency::guardians},
    session::Session,
    trust::emergency_opening,
};

impl Session {
    /// Somebody's emergency collection was opened: hers, or that of a patient whose guardian she is.
    pub(super) async fn emergency_opened(
        &self,
        message: &pb::EmergencyUse,
        patient: &Vault,
    ) -> Result<Content> {
        let opening = emergency_opening(&self.server, message)?;
        let institution = self.mirror.institution(opening.institution_id).await?;
        let text = if opening.patient_id == patient.id() {
            afterwards(guardians::opened_by(patient, &opening.card_key).await)?
        } else {
            format!("the emergency collection of {} was opened", opening.patient_id)
        };
        let what = InboxWhat::EmergencyOpened {
            request_id: opening.opening_id,
        };
        Ok((party(&institution), what, text))
    }

    /// A guardian has begun to help. `reader` is the patient or guardian who reads this; an institution otherwise.
    pub(super) async fn emergency_help(
        &self,
        message: pb::EmergencyHelp,
        reader: Option<PatientId>,
    ) -> Result<Content> {
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
        let what = InboxWhat::EmergencyHelp {
            request_id: help.help_id,
            to: party(&self.mirror.institution(help.institution_id).await?),
        };
        Ok((Party::Patient(help.guardian_id), what, text))
    }
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

/// The patient has objected.
pub(super) fn objected(message: pb::PatientStatement) -> Result<Content> {
    let objection: PatientVerified<EmergencyObjection> = verify(message)?;
    let what = InboxWhat::EmergencyObjected {
        request_id: objection.help_id,
    };
    Ok(wordless(Party::Patient(objection.patient_id), what))
}

/// Another patient has named this one as her guardian.
pub(super) fn guardian_named(message: pb::Permission, reader: PatientId) -> Result<Content> {
    let permission = SignedPermission::try_from(message)
        .and_then(SignedPermission::verify)
        .map_err(tampered)?;
    let named = permission.emergency.and_then(|terms| terms.guardian);
    check(named.is_some_and(|named| named.guardian_id == reader))?;
    let text = format!(
        "you are the guardian of {0}; in an emergency: medvault emergency help --patient {0} --institution NAME",
        permission.patient_id
    );
    let what = InboxWhat::GuardianNamed {
        permission_id: permission.permission_id,
    };
    Ok((Party::Patient(permission.patient_id), what, text))
}

/// A permission was revoked: to its institution, or to a guardian.
pub(super) fn revoked(message: pb::PatientStatement) -> Result<Content> {
    let revocation: PatientVerified<Revocation> = verify(message)?;
    let what = InboxWhat::Revoked {
        permission_id: revocation.permission_id,
    };
    Ok(wordless(Party::Patient(revocation.patient_id), what))
}

/// In UTC.
fn when(ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_seconds(time).to_string()
}
