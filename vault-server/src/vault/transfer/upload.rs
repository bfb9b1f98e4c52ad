//! Upload sessions: status and what each step finds. Leaves come in through [`crate::vault::transfer::intake`], the record
//! is made by [`crate::vault::transfer::commit`]. An institution sends under its standby ticket, a patient's device what it seals anew
//! ([`crate::vault::keep::reseal`]).
//!
//! The upload's row guards the rows of its leaves: whoever registers leaves changes it, so a commit that
//! has read all leaves cannot overlook one.

use bytes::Bytes;
use protocol_spec::{
    bodies::StandbyTicket,
    content,
    defence::Defence,
    hash::{ContentRoot, LeafHash},
    ids::{PatientId, PermissionId, UploadId, VersionId},
    messages as pb,
    problem::Problem,
    statement::Signed,
};

use crate::{
    store::SCAN_LIMIT,
    vault::{
        ask::challenge,
        core::{
            back, idempotency,
            refusal::{Refusal, ensure},
            run,
            shared::Shared,
            tx::{Operation, Tx},
        },
        keep::gone,
        tables::{self, LeafRow, MeterRow, ResealRow, UploadRow},
        who::{
            caller::Caller,
            principal::{Holder, Sender},
            standing,
        },
    },
};

/// A session of the caller: its ticket, the leaves that are there, its receipt once committed.
pub(crate) async fn upload_status(
    shared: &Shared,
    caller: &Caller,
    upload: UploadId,
) -> Result<pb::UploadStatus, Refusal> {
    let institution = caller.institution()?.id();
    let patient = upload_vault(shared, upload).await?;
    let row = tables::upload(patient, upload).get(&*shared.ledger).await?;
    let mut row = row.ok_or_else(|| Refusal::damaged("an upload has no row"))?;
    let own = Defence::SessionOwner.holds(row.ticket()?.institution_id == institution);
    ensure(own, Problem::NotPermitted, "another institution's upload")?;
    if let Some(receipt) = &mut row.receipt {
        shared.complete(patient, receipt).await?;
    }
    Ok(pb::UploadStatus {
        present: present_ranges(shared, patient, upload).await?,
        ticket: row.ticket,
        receipt: row.receipt,
    })
}

/// The receipts of what the caller's institution has committed under a permission, by upload id, after this one (FLW-22).
pub(crate) async fn committed_uploads(
    shared: &Shared,
    caller: &Caller,
    permission: PermissionId,
    after: Option<UploadId>,
    limit: usize,
) -> Result<pb::UploadPage, Refusal> {
    let institution = caller.institution()?;
    let held = challenge::held(shared, institution, permission).await?;
    let held = held.ok_or_else(|| Refusal::absent("no such permission"))?;
    let patient = held.body.patient_id;
    let first = tables::all_committed(patient, permission).behind(after);
    let (rows, more) = shared.short_page(first, limit).await?;
    let mut page = pb::UploadPage::default();
    for row in rows {
        if row.permission != permission.as_bytes()[..] {
            page.next = Bytes::new();
            break;
        }
        if more {
            page.next = row.upload;
        }
        let own = Defence::SessionOwner.holds(row.institution == institution.id().as_bytes()[..]);
        if let Some(mut receipt) = row.receipt.filter(|_| own) {
            shared.complete(patient, &mut receipt).await?;
            page.receipts.push(receipt);
        }
    }
    Ok(page)
}

/// Whether a session of the caller takes leaves: looked at before there is memory for them (API-16).
pub(crate) async fn check_session(shared: &Shared, caller: &Caller, upload: UploadId) -> Result<(), Refusal> {
    open_session_of(shared, caller, upload).await.map(drop)
}

/// The same for a commit of so many bytes, if that is said; one that was answered may come again, whatever its
/// session has become. `key` is that of the mutation.
pub(crate) async fn check_commit(
    shared: &Shared,
    caller: &Caller,
    upload: UploadId,
    bytes: Option<u64>,
    key: [u8; 32],
) -> Result<(), Refusal> {
    if idempotency::was_answered(shared, caller, key).await? {
        return Ok(());
    }
    let session = open_session_of(shared, caller, upload).await?;
    let inline = session.bytes_left().min(content::LEAF_LEN);
    let manifest = u64::try_from(shared.limits.sealed_manifest_bytes).unwrap_or(u64::MAX);
    ensure(
        bytes.is_none_or(|bytes| bytes <= inline.saturating_add(manifest).saturating_add(BESIDE)),
        Problem::TooLarge,
        "more than the session may still take",
    )
}

async fn open_session_of(shared: &Shared, caller: &Caller, upload: UploadId) -> Result<OpenUpload, Refusal> {
    let patient = upload_vault(shared, upload).await?;
    let sender = caller.sender()?;
    let inspect = InspectUpload {
        patient,
        upload,
        sender,
    };
    run::run(shared, &inspect).await
}

/// What a commit holds beside manifest and content: hashes, lengths, a placement.
const BESIDE: u64 = 64 << 10;

impl UploadRow {
    /// The session's ticket, as this server has signed it.
    pub(in crate::vault) fn ticket(&self) -> Result<StandbyTicket, Refusal> {
        let ticket = Signed::<StandbyTicket>::try_from(self.ticket.clone()).map_err(Refusal::damaged)?;
        Ok(ticket.claimed().clone())
    }

    /// The version that comes to be.
    pub(in crate::vault) fn version(&self) -> Result<VersionId, Refusal> {
        match &self.reseal {
            Some(reseal) => reseal.version.as_ref().try_into().map_err(Refusal::damaged),
            None => Ok(self.ticket()?.version_id),
        }
    }

    /// Committed, or given up.
    pub(in crate::vault) fn is_closed(&self) -> bool {
        self.abandoned || self.receipt.is_some()
    }
}

/// A session that takes leaves and a commit.
pub(in crate::vault) struct OpenUpload {
    pub(in crate::vault) row: UploadRow,
    pub(in crate::vault) version: VersionId,
    pub(in crate::vault) pays: Pays,
}

/// What the bytes of a session are taken from.
pub(in crate::vault) enum Pays {
    /// The upload permission.
    Permission(Box<(StandbyTicket, MeterRow)>),
    /// The length of the stream whose place is taken.
    Reseal(ResealRow),
}

impl OpenUpload {
    /// Bytes that may still be sent.
    pub(in crate::vault) fn bytes_left(&self) -> u64 {
        match &self.pays {
            Pays::Permission(permitted) => permitted.1.bytes_left,
            Pays::Reseal(reseal) => reseal.bytes_left,
        }
    }
}

/// The session, if it is the sender's, open, in its time, and neither the permission nor whoever acts is over.
pub(in crate::vault) async fn open_upload(
    tx: &mut Tx<'_>,
    patient: PatientId,
    upload: UploadId,
    sender: Sender,
) -> Result<OpenUpload, Refusal> {
    let row = tx.read_existing(&tables::upload(patient, upload)).await?;
    let version = row.version()?;
    let pays = match (sender, &row.reseal) {
        (Sender::Institution(holder), None) => open_permitted(tx, &row, patient, holder).await?,
        (Sender::Patient(own), Some(reseal)) if own == patient => {
            check_waiting(tx, &row, reseal.expires).await?;
            // Deleted meanwhile, nothing more of it is taken (DEL-2).
            let replaces = VersionId::try_from(reseal.replaces.as_ref()).map_err(Refusal::damaged)?;
            gone::check_not_gone(tx, patient, replaces).await?;
            Pays::Reseal(reseal.clone())
        }
        _ => return Err(Refusal::absent("another's session")),
    };
    Ok(OpenUpload { row, version, pays })
}

async fn check_waiting(tx: &Tx<'_>, row: &UploadRow, expires: u64) -> Result<(), Refusal> {
    ensure(!row.is_closed(), Problem::UploadClosed, "committed or given up")?;
    ensure(
        !tx.has_passed(expires).await,
        Problem::UploadClosed,
        "the session has expired",
    )
}

async fn open_permitted(
    tx: &mut Tx<'_>,
    row: &UploadRow,
    patient: PatientId,
    holder: Holder,
) -> Result<Pays, Refusal> {
    standing::check_holder(tx, &holder).await?;
    let ticket = row.ticket()?;
    ensure(
        Defence::SessionOwner.holds(ticket.institution_id == holder.institution),
        Problem::NotPermitted,
        "another institution's upload",
    )?;
    check_waiting(tx, row, ticket.expires).await?;
    let meter = tx
        .read_existing(&tables::meter(patient, ticket.permission_id))
        .await?;
    meter.check_not_ended()?;
    back::check_back(tx.shared, patient).await?;
    let permission = tx
        .read_existing(&tables::permission(patient, ticket.permission_id))
        .await?;
    standing::check_key(tx, permission.body()?.recipient_key_hash).await?;
    Ok(Pays::Permission(Box::new((ticket, meter))))
}

/// Has the session hold bytes of its permission (FLW-6). They stand in its row too, which the caller writes, as do those of a reseal.
pub(in crate::vault) fn spend_upload(
    tx: &mut Tx<'_>,
    session: &mut OpenUpload,
    bytes: u64,
) -> Result<(), Refusal> {
    match &mut session.pays {
        Pays::Permission(permitted) => {
            let (ticket, meter) = &mut **permitted;
            meter.hold(bytes)?;
            session.row.bytes = session.row.bytes.saturating_add(bytes);
            tx.put(&tables::meter(ticket.patient_id, ticket.permission_id), meter);
        }
        Pays::Reseal(reseal) => {
            let left = reseal.bytes_left.checked_sub(bytes);
            reseal.bytes_left = left.ok_or(Problem::BytesSpent)?;
            session.row.reseal = Some(reseal.clone());
        }
    }
    Ok(())
}

/// Looks at a session without changing it.
pub(in crate::vault) struct InspectUpload {
    pub(in crate::vault) patient: PatientId,
    pub(in crate::vault) upload: UploadId,
    pub(in crate::vault) sender: Sender,
}

impl Operation for InspectUpload {
    type Answer = OpenUpload;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<OpenUpload, Refusal> {
        open_upload(tx, self.patient, self.upload, self.sender).await
    }
}

/// In whose vault an upload lies.
pub(in crate::vault) async fn upload_vault(shared: &Shared, upload: UploadId) -> Result<PatientId, Refusal> {
    challenge::vault_of(shared, &upload)
        .await?
        .ok_or_else(|| Refusal::absent("no such upload"))
}

/// Registered leaves from `first` on, at most so many.
pub(in crate::vault) async fn leaf_rows(
    shared: &Shared,
    patient: PatientId,
    upload: UploadId,
    first: u32,
    limit: usize,
) -> Result<Vec<(u32, LeafRow)>, Refusal> {
    let rows = tables::leaf(patient, upload, first)
        .scan(&*shared.ledger, limit)
        .await?;
    let own = |(suffix, row): (Vec<u8>, LeafRow)| {
        let number = suffix.strip_prefix(upload.as_bytes())?.try_into().ok()?;
        Some((u32::from_be_bytes(number), row))
    };
    Ok(rows.into_iter().map_while(own).collect())
}

async fn present_ranges(
    shared: &Shared,
    patient: PatientId,
    upload: UploadId,
) -> Result<Vec<pb::LeafRange>, Refusal> {
    let mut ranges: Vec<pb::LeafRange> = Vec::new();
    let mut next = Some(0);
    while let Some(first) = next {
        let rows = leaf_rows(shared, patient, upload, first, SCAN_LIMIT).await?;
        next = following(&rows);
        for (leaf, _) in rows {
            match ranges.last_mut() {
                Some(range) if range.first + range.count == leaf => range.count += 1,
                _ => ranges.push(pb::LeafRange {
                    first: leaf,
                    count: 1,
                }),
            }
        }
    }
    Ok(ranges)
}

/// The root over all registered leaves, if they are exactly those of a stream of this length.
pub(in crate::vault) async fn leaves_root(
    shared: &Shared,
    patient: PatientId,
    upload: UploadId,
    stream_len: u64,
) -> Result<ContentRoot, Refusal> {
    let mut hashes: Vec<LeafHash> = Vec::new();
    let mut next = Some(0);
    while let Some(first) = next {
        let rows = leaf_rows(shared, patient, upload, first, SCAN_LIMIT).await?;
        next = following(&rows);
        for (leaf, row) in rows {
            let expected = u64::from(leaf) == hashes.len() as u64
                && row.length == content::leaf_len(stream_len, u64::from(leaf));
            ensure(
                expected,
                Problem::LeavesMissing,
                "a leaf is missing or of another length",
            )?;
            hashes.push(row.hash.as_ref().try_into().map_err(Refusal::damaged)?);
        }
    }
    let all = hashes.len() as u64 == content::leaf_count(stream_len);
    ensure(all, Problem::LeavesMissing, "the last leaves are missing")?;
    Ok(content::content_root(&hashes)?)
}

/// Where to read on after a full batch.
fn following(rows: &[(u32, LeafRow)]) -> Option<u32> {
    let (last, _) = rows.last().filter(|_| rows.len() == SCAN_LIMIT)?;
    last.checked_add(1)
}
