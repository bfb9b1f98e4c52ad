//! Emergencies in a history: openings, the helps of guardians that come before them, and objections to these. The
//! rules are in `protocol-spec/spec/emergency.md` §6.

use protocol_spec::{
    bodies::{EmergencyHelp, EmergencyObjection},
    field::ReadsAs,
    ids::{PatientId, RequestId},
    messages as pb,
    patient::{PatientSigned, PatientVerified},
};

use crate::{
    Result,
    patient::history::{
        line::HistoryLine,
        reading::{HistoryReading, Told, tampered},
    },
    trust::emergency_opening,
};

/// An opening, a help, or an objection to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmergencyEntry {
    /// The id of the opening or of the help.
    pub request: RequestId,
    /// The guardian who helped, if one did; of an objection none.
    pub guardian: Option<PatientId>,
}

/// An opening is proven by both keys and by its place in the log, and its institution by the entry that it had then; one by a
/// guardian comes when the time to object was over (EMG-15).
pub(super) async fn opened(
    reading: &mut HistoryReading<'_>,
    message: pb::EmergencyUse,
) -> Result<Told<EmergencyEntry>> {
    let session = &reading.vault.session;
    let opening = emergency_opening(&session.server, &message)?;
    let hash = opening.statement().hash();
    session.log.included(message.proof, &hash, "the opening").await?;
    let guardian = reading.walk.opened(&opening, reading.at).map_err(tampered)?;
    let entry = EmergencyEntry {
        request: opening.opening_id,
        guardian,
    };
    let institution = reading.vault.institution_ref(opening.institution_id).await?;
    Ok(Told::new(entry).with(institution))
}

/// A help by the guardian whom her permission names, with the waiting time in it.
pub(super) async fn helped(
    reading: &mut HistoryReading<'_>,
    message: pb::EmergencyHelp,
) -> Result<Told<EmergencyEntry>> {
    let help: PatientVerified<EmergencyHelp> = PatientSigned::<EmergencyHelp>::try_from(message.help)
        .and_then(PatientSigned::verify)
        .map_err(tampered)?;
    let helped = reading.walk.helped(&help, message.opens, reading.at);
    helped.map_err(tampered)?;
    let entry = EmergencyEntry {
        request: help.help_id,
        guardian: Some(help.guardian_id),
    };
    let institution = reading.vault.institution_ref(help.institution_id).await?;
    Ok(Told::new(entry).with(institution))
}

/// Her objection to a help that came before.
pub(super) async fn objected(
    reading: &mut HistoryReading<'_>,
    message: impl ReadsAs<PatientSigned<EmergencyObjection>>,
) -> Result<Told<EmergencyEntry>> {
    let objection = reading.own(message).await?;
    let institution = reading.walk.objected(&objection).map_err(tampered)?;
    let entry = EmergencyEntry {
        request: objection.help_id,
        guardian: None,
    };
    let told = Told::new(entry).by(reading.signer(objection.device(), None)?);
    Ok(told.with(reading.vault.institution_ref(institution).await?))
}

impl EmergencyEntry {
    pub(super) fn columns(&self, kind: &'static str) -> HistoryLine<'_> {
        HistoryLine {
            answered_by: self.guardian.map(|guardian| format!("guardian {guardian}")),
            ..HistoryLine::of(kind).about(self.request)
        }
    }
}
