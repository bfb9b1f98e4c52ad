//! Openings of emergency collections, as the server shows them to whom they concern.

use protocol_spec::{directory::Institution, emergency::Opening, messages as pb};

use crate::{Error, Result, connect::Server};

/// An opening by the institution whose entry comes with it, which the registrar has
/// accredited for emergencies (EMG-6, EMG-7).
pub(crate) fn emergency_opening(server: &Server, message: &pb::EmergencyUse) -> Result<Opening> {
    let entry = message.entry.clone();
    let entry = entry.ok_or_else(|| tampered("its institution is missing"))?;
    let institution =
        Institution::from_entry(entry, server.registrar(), server.operator_id()).map_err(tampered)?;
    if institution.check_emergency().is_err() {
        return Err(tampered("who opened was not accredited for emergencies"));
    }
    Opening::verify(message, &institution).map_err(tampered)
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the opening")(cause)
}
