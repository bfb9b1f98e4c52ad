//! Events in a patient's inbox.

use protocol_spec::{
    bodies::{Delegation, DelegationEnd, RecordDeletion, ReleaseReceipt, UploadReceipt},
    delegation::VerifiedDelegation,
    messages::{self as pb, event::What},
    patient::{PatientSigned, PatientVerified},
};

use super::{EventKind, InboxEvent, Party, check, emergency, party, tampered, verify};
use crate::{
    Result,
    patient::{Vault, devices, shown},
    session::Session,
};

impl Session {
    /// Verifies and opens what was sent to a patient.
    pub(super) async fn to_patient(
        &self,
        patient: &Vault,
        what: What,
        blank: InboxEvent,
    ) -> Result<InboxEvent> {
        match what {
            What::DownloadRequested(statement) => {
                let asked = self.asks.download(statement).await?;
                self.asked_event(&asked, patient, blank).await
            }
            What::ReferenceRequested(statement) => {
                let asked = self.asks.reference(statement).await?;
                self.asked_event(&asked, patient, blank).await
            }
            What::DevicesChanged(list) => Ok(InboxEvent {
                kind: EventKind::DevicesChanged,
                from: Party::Patient(patient.id()),
                text: Some(devices::devices_changed_text(patient, list).await?),
                ..blank
            }),
            What::Delegated(statement) => delegated(patient, statement, blank),
            What::DelegationEnded(statement) => {
                let end: PatientVerified<DelegationEnd> = verify(statement)?;
                Ok(InboxEvent {
                    kind: EventKind::DelegationEnded,
                    from: Party::Patient(end.patient_id),
                    ..blank
                })
            }
            What::Stored(receipt) => self.stored(patient, receipt, blank).await,
            What::Released(receipt) => self.released(patient, receipt, blank).await,
            What::RecordDeleted(statement) => record_deleted(patient, statement, blank),
            What::TakenBack(receipt) => self.was_taken_back(patient, receipt, blank).await,
            What::Revoked(revocation) => emergency::revoked(revocation, blank),
            What::EmergencyOpened(used) => self.emergency_opened(&used, patient, blank).await,
            What::EmergencyHelp(help) => self.emergency_help(help, Some(patient.id()), blank).await,
            What::EmergencyObjected(statement) => emergency::objected(statement, blank),
            What::GuardianNamed(permission) => emergency::guardian_named(permission, patient.id(), blank),
            What::Deleted(_) => Ok(InboxEvent {
                kind: EventKind::Deleted,
                ..blank
            }),
            What::UploadRequested(_) | What::Permitted(_) | What::Denied(_) => {
                Err(tampered("it is for institutions"))
            }
        }
    }

    async fn stored(&self, patient: &Vault, receipt: pb::Receipt, blank: InboxEvent) -> Result<InboxEvent> {
        let receipt = self
            .log
            .receipt::<UploadReceipt>(Some(receipt), RECEIPT)
            .await?
            .statement;
        check(receipt.patient_id == patient.id())?;
        shown::check_receipt_head(patient, receipt.vault_head).await?;
        Ok(InboxEvent {
            kind: EventKind::Stored,
            from: party(&self.mirror.institution(receipt.institution_id).await?),
            permission_id: Some(receipt.permission_id),
            record_id: Some(receipt.record_id),
            bytes: Some(receipt.stream_len),
            ..blank
        })
    }

    async fn released(&self, patient: &Vault, receipt: pb::Receipt, blank: InboxEvent) -> Result<InboxEvent> {
        let receipt = self
            .log
            .receipt::<ReleaseReceipt>(Some(receipt), RECEIPT)
            .await?
            .statement;
        check(receipt.patient_id == patient.id())?;
        shown::check_receipt_head(patient, receipt.vault_head).await?;
        Ok(InboxEvent {
            kind: EventKind::Released,
            from: party(&self.mirror.institution(receipt.institution_id).await?),
            permission_id: Some(receipt.permission_id),
            bytes: Some(receipt.bytes),
            ..blank
        })
    }

    async fn was_taken_back(
        &self,
        patient: &Vault,
        receipt: pb::Receipt,
        blank: InboxEvent,
    ) -> Result<InboxEvent> {
        let (said, _) = self.records.taken_back(receipt).await?;
        check(said.patient_id == patient.id())?;
        Ok(InboxEvent {
            kind: EventKind::TakenBack,
            from: party(&self.mirror.institution(said.institution_id).await?),
            record_id: Some(said.record_id),
            ..blank
        })
    }
}

fn delegated(patient: &Vault, statement: pb::PatientStatement, blank: InboxEvent) -> Result<InboxEvent> {
    let delegation = PatientSigned::<Delegation>::try_from(statement)
        .and_then(VerifiedDelegation::verify)
        .map_err(tampered)?;
    check(delegation.delegate_id == patient.id())?;
    Ok(InboxEvent {
        kind: EventKind::Delegated,
        from: Party::Patient(delegation.patient_id),
        ..blank
    })
}

fn record_deleted(patient: &Vault, statement: pb::PatientStatement, blank: InboxEvent) -> Result<InboxEvent> {
    let deletion: PatientVerified<RecordDeletion> = verify(statement)?;
    check(deletion.patient_id == patient.id())?;
    Ok(InboxEvent {
        kind: EventKind::RecordDeleted,
        from: Party::Patient(patient.id()),
        record_id: Some(deletion.record_id),
        ..blank
    })
}

const RECEIPT: &str = "a receipt";
