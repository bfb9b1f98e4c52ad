//! Permission keys that wait for an institution, with what it is asked or what it has asked.

use protocol_spec::{
    bodies::UploadRequest,
    ids::{PermissionId, RequestId},
    messages as pb,
    patient::PatientVerified,
    permission::VerifiedPermission,
};

use super::{
    opened::{OpenedEvent, Recipient, check, tampered, verify},
    party::Party,
};
use crate::{
    Result,
    institution::{answered, delivered},
    session::Session,
};

/// A patient asks for an upload: by which request, and which permission she gives for it.
pub(super) fn upload_requested(
    session: &Session,
    to: Recipient<'_>,
    message: pb::UploadPermitted,
) -> Result<OpenedEvent<(RequestId, PermissionId)>> {
    let request: PatientVerified<UploadRequest> =
        verify(message.request.ok_or_else(|| tampered("it is empty"))?)?;
    check(request.institution_id == to.id && request.operator_id == session.server.operator_id())?;
    let (id, patient) = (request.request_id, request.patient_id);
    let text = to.open(id, patient, &request.text)?;
    let permission = PermissionId::try_from(message.permission_id.as_ref())?;
    // Which permission comes with the request is the server's word: sending checks it by what was met here.
    session.met.permission(permission, patient, &request.hash())?;
    Ok(OpenedEvent::new(Party::Patient(patient), (id, permission), text))
}

/// A permission key waits: which request it answers, and the permission, from which is read whose it is and what it answers
/// (FLW-13), whatever the event says.
pub(super) async fn permitted(
    session: &Session,
    to: Recipient<'_>,
    message: &pb::PermissionDelivered,
) -> Result<OpenedEvent<(RequestId, VerifiedPermission)>> {
    let id = PermissionId::try_from(message.permission_id.as_ref())?;
    let mut delivered = delivered(session, id, to.id, to.keys).await?;
    let asked = answered(session, &mut delivered).await?;
    let from = Party::Patient(delivered.permission.patient_id);
    Ok(OpenedEvent::wordless(
        from,
        (asked.request_id, delivered.permission),
    ))
}
