//! Events in a patient's inbox.

use protocol_spec::{
    bodies::{Delegation, DelegationEnd, RecordDeletion, ReleaseReceipt, UploadReceipt},
    delegation::VerifiedDelegation,
    messages::{self as pb, event::What},
    patient::{PatientSigned, PatientVerified},
};

use super::{Content, InboxWhat, Party, check, emergency, party, tampered, verify, wordless};
use crate::{
    Result,
    patient::{Vault, devices, shown},
    session::Session,
};

impl Session {
    /// Verifies and opens what was sent to a patient.
    pub(super) async fn to_patient(&self, patient: &Vault, what: What) -> Result<Content> {
        match what {
            What::DownloadRequested(statement) => {
                let asked = self.asks.download(statement).await?;
                self.asked_event(&asked, patient).await
            }
            What::ReferenceRequested(statement) => {
                let asked = self.asks.reference(statement).await?;
                self.asked_event(&asked, patient).await
            }
            What::DevicesChanged(list) => {
                let text = devices::devices_changed_text(patient, list).await?;
                Ok((Party::Patient(patient.id()), InboxWhat::DevicesChanged, text))
            }
            What::Delegated(statement) => delegated(patient, statement),
            What::DelegationEnded(statement) => {
                let end: PatientVerified<DelegationEnd> = verify(statement)?;
                Ok(wordless(
                    Party::Patient(end.patient_id),
                    InboxWhat::DelegationEnded,
                ))
            }
            What::Stored(receipt) => self.stored(patient, receipt).await,
            What::Released(receipt) => self.released(patient, receipt).await,
            What::RecordDeleted(statement) => record_deleted(patient, statement),
            What::TakenBack(receipt) => self.was_taken_back(patient, receipt).await,
            What::Revoked(revocation) => emergency::revoked(revocation),
            What::EmergencyOpened(used) => self.emergency_opened(&used, patient).await,
            What::EmergencyHelp(help) => self.emergency_help(help, Some(patient.id())).await,
            What::EmergencyObjected(statement) => emergency::objected(statement),
            What::GuardianNamed(permission) => emergency::guardian_named(permission, patient.id()),
            What::Deleted(_) => Ok(wordless(Party::Server, InboxWhat::Deleted)),
            What::UploadRequested(_) | What::Permitted(_) | What::Denied(_) | What::Noted(_) => {
                Err(tampered("it is for institutions"))
            }
        }
    }

    async fn stored(&self, patient: &Vault, receipt: pb::Receipt) -> Result<Content> {
        let receipt = self
            .log
            .receipt::<UploadReceipt>(Some(receipt), RECEIPT)
            .await?
            .statement;
        check(receipt.patient_id == patient.id())?;
        shown::check_receipt_head(patient, receipt.vault_head).await?;
        let what = InboxWhat::Stored {
            permission_id: receipt.permission_id,
            record_id: receipt.record_id,
            bytes: receipt.stream_len,
        };
        Ok(wordless(
            party(&self.mirror.institution(receipt.institution_id).await?),
            what,
        ))
    }

    async fn released(&self, patient: &Vault, receipt: pb::Receipt) -> Result<Content> {
        let receipt = self
            .log
            .receipt::<ReleaseReceipt>(Some(receipt), RECEIPT)
            .await?
            .statement;
        check(receipt.patient_id == patient.id())?;
        shown::check_receipt_head(patient, receipt.vault_head).await?;
        let what = InboxWhat::Released {
            permission_id: receipt.permission_id,
            bytes: receipt.bytes,
        };
        Ok(wordless(
            party(&self.mirror.institution(receipt.institution_id).await?),
            what,
        ))
    }

    async fn was_taken_back(&self, patient: &Vault, receipt: pb::Receipt) -> Result<Content> {
        let (said, _) = self.records.taken_back(receipt).await?;
        check(said.patient_id == patient.id())?;
        let what = InboxWhat::TakenBack {
            record_id: said.record_id,
        };
        Ok(wordless(
            party(&self.mirror.institution(said.institution_id).await?),
            what,
        ))
    }
}

fn delegated(patient: &Vault, statement: pb::PatientStatement) -> Result<Content> {
    let delegation = PatientSigned::<Delegation>::try_from(statement)
        .and_then(VerifiedDelegation::verify)
        .map_err(tampered)?;
    check(delegation.delegate_id == patient.id())?;
    Ok(wordless(
        Party::Patient(delegation.patient_id),
        InboxWhat::Delegated,
    ))
}

fn record_deleted(patient: &Vault, statement: pb::PatientStatement) -> Result<Content> {
    let deletion: PatientVerified<RecordDeletion> = verify(statement)?;
    check(deletion.patient_id == patient.id())?;
    let what = InboxWhat::RecordDeleted {
        record_id: deletion.record_id,
    };
    Ok(wordless(Party::Patient(patient.id()), what))
}

const RECEIPT: &str = "a receipt";
