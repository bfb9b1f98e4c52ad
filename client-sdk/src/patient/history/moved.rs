//! What institutions did, as a history has it: presentations, records that were stored, released, taken back or deleted, and keys
//! that were given up. Receipts are believed by the log, presentations by both of their signatures.

use protocol_spec::{
    bodies::{EpochClosure, RecordDeletion, ReleaseReceipt, TakeBack, UploadReceipt},
    field::ReadsAs,
    history::SessionTicket,
    ids::{InstitutionId, PermissionId, RecordId},
    log::{LoggedClaim, ReceiptClaim},
    messages as pb,
    purpose::Purpose,
    released::VersionLeaves,
};

use crate::{
    Result,
    patient::{
        certificate, deletions,
        history::{
            line::HistoryLine,
            named::{PermissionRef, TerminalRef},
            reading::{HistoryReading, Told, tampered},
        },
        rekey, shown,
    },
};

/// An institution has presented a permission key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedEntry {
    /// The permission whose key it is, and what it is for.
    pub permission: PermissionRef,
    /// Of an upload: the record that it is to be.
    pub record: Option<RecordId>,
    /// What for, as the institution says.
    pub purpose: Option<Purpose>,
    /// The terminal that presented; none if the institution's identity key did.
    pub terminal: Option<TerminalRef>,
}

/// A record that was stored, or sealed anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// The permission by which it was.
    pub permission: PermissionId,
    /// The record that was stored.
    pub record: RecordId,
    /// The length of its stream in bytes.
    pub bytes: u64,
    /// Stream bytes of all that this institution has stored up to here; none of a record that was only sealed anew.
    pub total: Option<u64>,
}

/// Parts of records were released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasedEntry {
    /// The permission by which it was.
    pub permission: PermissionId,
    /// Of which something was handed out.
    pub records: Vec<RecordId>,
    /// Stream bytes that were handed out.
    pub bytes: u64,
    /// Stream bytes of all that this institution has been given up to here.
    pub total: u64,
}

/// A presentation is proven by the possession key of her permission and by the institution's own key.
pub(super) async fn presented(
    reading: &mut HistoryReading<'_>,
    message: pb::Presented,
) -> Result<Told<PresentedEntry>> {
    let institution = InstitutionId::try_from(message.institution_id.as_ref()).map_err(tampered)?;
    let presenter = reading.vault.session.mirror.institution(institution).await?;
    reading.walk.grounds.presenter = Some(presenter);
    let ticket = session_ticket(reading, &message).await?;
    let proven = reading.walk.presented(&message, &ticket).map_err(tampered)?;
    let (record, logged) = match &ticket {
        SessionTicket::Release(ticket) => (None, Some(ticket.checkpoint.size)),
        SessionTicket::Upload(ticket) => (Some(ticket.record_id), None),
    };
    let permission = PermissionId::try_from(message.permission_id.as_ref()).map_err(tampered)?;
    let entry = PresentedEntry {
        permission: reading.permission(permission)?,
        record,
        purpose: Purpose::read(proven.presentation.purpose).map_err(tampered)?,
        terminal: proven.terminal.as_ref().map(TerminalRef::from),
    };
    let told = Told::new(entry).with(reading.vault.institution_ref(institution).await?);
    Ok(Told { logged, ..told })
}

/// The ticket that comes with a presentation: one for a release stands in the log.
async fn session_ticket(reading: &HistoryReading<'_>, message: &pb::Presented) -> Result<SessionTicket> {
    let session = &reading.vault.session;
    let ticket = SessionTicket::verify(message, session.server.operator()).map_err(tampered)?;
    if let SessionTicket::Release(ticket) = &ticket {
        session.log.accept(&ticket.checkpoint).await?;
    }
    Ok(ticket)
}

pub(super) async fn stored(
    reading: &mut HistoryReading<'_>,
    message: impl ReadsAs<ReceiptClaim<UploadReceipt>>,
) -> Result<Told<StoredEntry>> {
    let log = &reading.vault.session.log;
    let receipt = log.receipt(message, RECEIPT).await?;
    let said = &receipt.statement;
    shown::check_receipt_head(reading.vault, said.vault_head).await?;
    reading.walk.stored(&receipt).map_err(tampered)?;
    let institution = reading.vault.institution_ref(said.institution_id).await?;
    let total = match said.replaces {
        Some(_) => None,
        None => Some(reading.add_up(institution.id, true, said.stream_len)),
    };
    let entry = StoredEntry {
        permission: said.permission_id,
        record: said.record_id,
        bytes: said.stream_len,
        total,
    };
    Ok(Told::new(entry).with(institution).logged(receipt.checkpoint.size))
}

/// The records of which something was handed out are those that the receipt's hash is over (REV-4).
pub(super) async fn released(
    reading: &mut HistoryReading<'_>,
    message: impl ReadsAs<ReceiptClaim<ReleaseReceipt>>,
) -> Result<Told<ReleasedEntry>> {
    let log = &reading.vault.session.log;
    let receipt = log.receipt(message, RECEIPT).await?;
    let said = &receipt.statement;
    shown::check_receipt_head(reading.vault, said.vault_head).await?;
    let versions = certificate::released_ranges(reading.vault, said.release_id).await?;
    let versions = versions.into_iter().map(VersionLeaves::try_from);
    let versions = versions.collect::<Result<Vec<_>, _>>().map_err(tampered)?;
    reading.walk.released(&receipt, &versions).map_err(tampered)?;
    let mut records: Vec<RecordId> = Vec::new();
    for version in versions {
        if !records.contains(&version.record_id) {
            records.push(version.record_id);
        }
    }
    let institution = reading.vault.institution_ref(said.institution_id).await?;
    let entry = ReleasedEntry {
        permission: said.permission_id,
        records,
        bytes: said.bytes,
        total: reading.add_up(institution.id, false, said.bytes),
    };
    Ok(Told::new(entry).with(institution).logged(receipt.checkpoint.size))
}

/// An institution has taken back the record that is given.
pub(super) async fn taken_back(
    reading: &mut HistoryReading<'_>,
    message: impl ReadsAs<ReceiptClaim<TakeBack>>,
) -> Result<Told<RecordId>> {
    let (said, log_size) = reading.vault.session.records.taken_back(message).await?;
    reading.walk.taken_back(&said).map_err(tampered)?;
    let institution = reading.vault.institution_ref(said.institution_id).await?;
    Ok(Told::new(said.record_id).with(institution).logged(log_size))
}

/// A device of hers has deleted the record that is given.
pub(super) async fn record_deleted(
    reading: &mut HistoryReading<'_>,
    message: impl ReadsAs<LoggedClaim<RecordDeletion>>,
) -> Result<Told<RecordId>> {
    let deletion = deletions::record_deletion(reading.vault, message).await?;
    let said = &deletion.statement;
    reading.walk.deleted(said).map_err(tampered)?;
    let told = Told::new(said.record_id).by(reading.signer(said.device(), None)?);
    Ok(told.logged(deletion.checkpoint.size))
}

/// A device of hers has given up an old key of a collection.
pub(super) async fn epoch_closed(
    reading: &mut HistoryReading<'_>,
    message: impl ReadsAs<LoggedClaim<EpochClosure>>,
) -> Result<Told<()>> {
    let closure = rekey::epoch_closure(reading.vault, message).await?;
    let device = closure.statement.device();
    reading.walk.device_signed(device).map_err(tampered)?;
    let told = Told::new(()).by(reading.signer(device, None)?);
    Ok(told.logged(closure.checkpoint.size))
}

impl PresentedEntry {
    pub(super) fn columns(&self) -> HistoryLine<'_> {
        let line = HistoryLine::of("presented").under(&self.permission);
        HistoryLine {
            record_id: self.record,
            ..line.purpose(self.purpose).terminal(self.terminal.as_ref())
        }
    }
}

impl StoredEntry {
    pub(super) fn columns(&self, kind: &'static str) -> HistoryLine<'_> {
        HistoryLine {
            permission_id: Some(self.permission),
            bytes: Some(self.bytes),
            total_bytes: self.total,
            ..HistoryLine::of(kind).record(self.record)
        }
    }
}

impl ReleasedEntry {
    pub(super) fn columns(&self) -> HistoryLine<'_> {
        HistoryLine {
            permission_id: Some(self.permission),
            records: &self.records,
            bytes: Some(self.bytes),
            total_bytes: Some(self.total),
            ..HistoryLine::of("released")
        }
    }
}

const RECEIPT: &str = "the receipt";
