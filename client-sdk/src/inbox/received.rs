//! What a patient is told of her vault and of delegations: receipts, believed by the log, and what devices have signed.

use protocol_spec::{
    bodies::{
        Delegation, DelegationEnd, RecordDeletion, ReleaseReceipt, Revocation, TakeBack, UploadReceipt,
    },
    delegation::VerifiedDelegation,
    field::ReadsAs,
    ids::{InstitutionId, PermissionId, RecordId},
    log::ReceiptClaim,
    patient::PatientSigned,
};

use super::{
    opened::{OpenedEvent, check, tampered, verify},
    party::Party,
};
use crate::{
    Result,
    patient::{Vault, shown},
};

/// A record was stored: by which permission, which one, and how many bytes.
pub(super) async fn stored(
    patient: &Vault,
    receipt: impl ReadsAs<ReceiptClaim<UploadReceipt>>,
) -> Result<OpenedEvent<(PermissionId, RecordId, u64)>> {
    let log = &patient.session().log;
    let receipt = log.receipt(receipt, RECEIPT).await?.statement;
    check(receipt.patient_id == patient.id())?;
    shown::check_receipt_head(patient, receipt.vault_head).await?;
    let what = (receipt.permission_id, receipt.record_id, receipt.stream_len);
    by(patient, receipt.institution_id, what).await
}

/// Something was released: by which permission, and how many bytes.
pub(super) async fn released(
    patient: &Vault,
    receipt: impl ReadsAs<ReceiptClaim<ReleaseReceipt>>,
) -> Result<OpenedEvent<(PermissionId, u64)>> {
    let log = &patient.session().log;
    let receipt = log.receipt(receipt, RECEIPT).await?.statement;
    check(receipt.patient_id == patient.id())?;
    shown::check_receipt_head(patient, receipt.vault_head).await?;
    by(
        patient,
        receipt.institution_id,
        (receipt.permission_id, receipt.bytes),
    )
    .await
}

/// An institution took back this record.
pub(super) async fn taken_back(
    patient: &Vault,
    receipt: impl ReadsAs<ReceiptClaim<TakeBack>>,
) -> Result<OpenedEvent<RecordId>> {
    let (said, _) = patient.session().records.taken_back(receipt).await?;
    check(said.patient_id == patient.id())?;
    by(patient, said.institution_id, said.record_id).await
}

/// A device of hers deleted this record.
pub(super) fn record_deleted(
    patient: &Vault,
    statement: impl ReadsAs<PatientSigned<RecordDeletion>>,
) -> Result<OpenedEvent<RecordId>> {
    let deletion = verify(statement)?;
    check(deletion.patient_id == patient.id())?;
    Ok(OpenedEvent::wordless(
        Party::Patient(patient.id()),
        deletion.record_id,
    ))
}

/// Another patient lets this one act for her.
pub(super) fn delegated(
    patient: &Vault,
    statement: impl ReadsAs<PatientSigned<Delegation>>,
) -> Result<OpenedEvent<()>> {
    let delegation = statement
        .try_into()
        .and_then(VerifiedDelegation::verify)
        .map_err(tampered)?;
    check(delegation.delegate_id == patient.id())?;
    Ok(OpenedEvent::wordless(Party::Patient(delegation.patient_id), ()))
}

/// Another patient has ended that.
pub(super) fn delegation_ended(
    statement: impl ReadsAs<PatientSigned<DelegationEnd>>,
) -> Result<OpenedEvent<()>> {
    let end = verify(statement)?;
    Ok(OpenedEvent::wordless(Party::Patient(end.patient_id), ()))
}

/// The permission that is given was revoked.
pub(super) fn revoked(message: impl ReadsAs<PatientSigned<Revocation>>) -> Result<OpenedEvent<PermissionId>> {
    let revocation = verify(message)?;
    Ok(OpenedEvent::wordless(
        Party::Patient(revocation.patient_id),
        revocation.permission_id,
    ))
}

async fn by<T>(patient: &Vault, institution: InstitutionId, what: T) -> Result<OpenedEvent<T>> {
    let institution = patient.session().mirror.institution(institution).await?;
    Ok(OpenedEvent::wordless(Party::from(&institution), what))
}

const RECEIPT: &str = "a receipt";
