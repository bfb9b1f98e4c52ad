//! A vault's history: who asked, permitted, presented, received; numbered from 1 without gaps, each entry
//! written by the commit that did what it tells.

use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    hash::Sha256Digest,
    ids::{PatientId, PermissionId},
    messages as pb,
    permission::PermissionBody,
};

use crate::vault::{
    core::{refusal::Refusal, shared::Shared, tx::Tx},
    log::statement_hash,
    tables::{self, Counted, HistoryRow},
    who::caller::Caller,
};

use pb::history_entry::What;

/// The caller's history after this number, oldest first.
pub(crate) async fn history(
    shared: &Shared,
    caller: &Caller,
    after: u64,
    limit: usize,
) -> Result<pb::HistoryPage, Refusal> {
    let patient = caller.patient()?;
    let first = tables::history(patient, after.saturating_add(1));
    let (rows, mut more) = shared.page(first, limit).await?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for row in rows {
        // What the rows only name counts too.
        if bytes >= shared.limits.page_bytes && !entries.is_empty() {
            more = true;
            break;
        }
        let entry = history_entry(shared, patient, row).await?;
        bytes += entry.encoded_len();
        entries.push(entry);
    }
    let next = entries.last().filter(|_| more).map_or(0, |entry| entry.number);
    Ok(pb::HistoryPage { entries, next })
}

async fn history_entry(
    shared: &Shared,
    patient: PatientId,
    row: HistoryRow,
) -> Result<pb::HistoryEntry, Refusal> {
    let HistoryRow { entry, permitted } = row;
    let mut entry = entry.unwrap_or_default();
    match &mut entry.what {
        Some(What::Stored(receipt) | What::Released(receipt) | What::TakenBack(receipt)) => {
            shared.complete(patient, receipt).await?;
        }
        Some(What::EmergencyOpened(used)) => {
            let hash = statement_hash(used.opening.as_ref());
            used.proof = Some(shared.log.prove(*patient.as_bytes(), &hash).await?);
        }
        Some(What::Closed(logged) | What::RecordDeleted(logged)) => {
            shared.complete_logged(patient, logged).await?
        }
        Some(What::Presented(pb::Presented {
            release_ticket: Some(receipt),
            ..
        })) => shared.complete(patient, receipt).await?,
        None => {
            let id = PermissionId::try_from(permitted.as_ref()).map_err(Refusal::damaged)?;
            let row = tables::permission(patient, id).get(&*shared.ledger).await?;
            entry.what = row.and_then(|row| row.permission).map(What::Permitted);
        }
        _ => {}
    }
    Ok(entry)
}

/// Adds to a vault's history (FLW-11); the entry's number.
pub(in crate::vault) async fn record_history(
    tx: &mut Tx<'_>,
    patient: PatientId,
    what: What,
) -> Result<u64, Refusal> {
    record(tx, patient, Some(what), Bytes::new()).await
}

/// Adds a permission to the history of its vault. It never changes, so that its row can be named.
pub(in crate::vault) async fn record_permission(
    tx: &mut Tx<'_>,
    permission: &PermissionBody,
) -> Result<(), Refusal> {
    let id = Bytes::copy_from_slice(permission.permission_id.as_bytes());
    record(tx, permission.patient_id, None, id).await?;
    Ok(())
}

/// Leaves nothing of an entry that tells of a request but the hash of what it told: whoever has seen it finds that it is the
/// same (ACC-9).
pub(in crate::vault) async fn empty_entry(
    tx: &mut Tx<'_>,
    patient: PatientId,
    number: u64,
) -> Result<(), Refusal> {
    let key = tables::history(patient, number);
    let mut row = tx.read_existing(&key).await?;
    let entry = row.entry.get_or_insert_default();
    let (Some(What::DownloadRequested(request)) | Some(What::ReferenceRequested(request))) = &entry.what
    else {
        return Err(Refusal::damaged("the entry tells of no request"));
    };
    entry.what = Some(What::Deleted(pb::Deleted {
        hash: Bytes::copy_from_slice(Sha256Digest::of(&request.encode_to_vec()).as_bytes()),
    }));
    tx.put(&key, &row);
    Ok(())
}

async fn record(
    tx: &mut Tx<'_>,
    patient: PatientId,
    what: Option<What>,
    permitted: Bytes,
) -> Result<u64, Refusal> {
    let number = tx.next_number(*patient.as_bytes(), Counted::History).await?;
    let entry = pb::HistoryEntry {
        number,
        at: tx.now,
        what,
    };
    let row = HistoryRow {
        entry: Some(entry),
        permitted,
    };
    tx.put(&tables::history(patient, number), &row);
    Ok(number)
}
