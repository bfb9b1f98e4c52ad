//! The download: present, receive, open, verify, close. Nothing is final before all of it is verified.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crypto::DataKey;
use protocol_spec::{
    api,
    bodies::{ReleaseReceipt, ReleaseTicket},
    content::LEAF_LEN,
    defence::Defence,
    ids::{PermissionId, RecordId},
    log::Receipt,
    permission::Kind,
    problem::Problem,
    purpose::Purpose,
    submitted::Empty,
};

use super::{
    delivery::{self, Delivered},
    finished::{Fetched, FetchedRecord, Finished},
    holding::{Holding, Noting},
    office::Office,
    release::{self, Fetch, Release},
};
use crate::{
    Error, Progress, Result,
    session::blocking,
    transfer::{FetchJournal, FolderSink, Leaves, Sink, interrupted, receive},
    trust::VerifiedRecord,
};

/// How a fetch is presented.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchTerms {
    /// What the records are used for; without it, what was stated when it was asked for (CND-2).
    pub purpose: Option<Purpose>,
    /// Goes on with a release that another terminal of the institution has open under the permission (FLW-17). With its own,
    /// which an earlier run has left, a client always does.
    pub take_over: bool,
    /// One file is wanted: of more, none is received.
    pub single: bool,
}

pub(super) async fn fetch(
    office: &Office,
    permission: PermissionId,
    purpose: Option<Purpose>,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Fetched> {
    let terms = FetchTerms {
        purpose,
        ..FetchTerms::default()
    };
    let fetched = fetch_files(office, permission, terms, out, progress).await?;
    fetched_is_known(office, permission)?;
    Ok(fetched)
}

pub(super) async fn fetch_files(
    office: &Office,
    permission: PermissionId,
    terms: FetchTerms,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Fetched> {
    if let Some(found) = found(office, permission, out).await? {
        return Ok(found);
    }
    let (out, name) = (out.to_owned(), permission.to_string());
    let to_folder = |records: &[(RecordId, u64)]| {
        let bytes = records.iter().map(|(_, bytes)| *bytes).sum();
        let ids: Vec<_> = records.iter().map(|(id, _)| *id).collect();
        let sink = FolderSink::with_room(&out, &name, &ids, bytes)?;
        if terms.single { sink.single() } else { Ok(sink) }
    };
    // Where its time is over in the middle, another one goes on behind what has come, as long as there are uses.
    let mut reach = Reach::new(progress);
    let fetched = loop {
        let to_folder = |records: Vec<_>| to_folder(&records);
        let fetched = fetch_with(office, permission, terms, Some(&out), to_folder, &reach);
        match fetched.await {
            Err(error) if error.is_problem(Problem::ReleaseClosed) && reach.has_grown() => {}
            fetched => break fetched,
        }
    };
    if fetched
        .as_ref()
        .is_err_and(|error| error.is_final() || is_damage(error))
    {
        FolderSink::discard(&out, &name);
    }
    fetched
}

pub(super) fn fetched_is_known(office: &Office, permission: PermissionId) -> Result<()> {
    FetchJournal::forget(&office.session.home, &permission)
}

pub(super) async fn fetch_into(
    office: &Office,
    permission: PermissionId,
    purpose: Option<Purpose>,
    sink: impl Sink,
    progress: &dyn Progress,
) -> Result<Fetched> {
    let terms = FetchTerms {
        purpose,
        ..FetchTerms::default()
    };
    fetch_with(office, permission, terms, None, |_| Ok(sink), progress).await
}

/// What an earlier run has fetched into this folder, if all of it is there; the release is closed then, if it was not.
async fn found(office: &Office, permission: PermissionId, out: &Path) -> Result<Option<Fetched>> {
    let Some(journal) = FetchJournal::left(&office.session.home, &permission)? else {
        return Ok(None);
    };
    let Some(finished) = journal.finished::<Finished>() else {
        return Ok(None);
    };
    let (out, name) = (out.to_owned(), permission.to_string());
    let looked = blocking(move || Ok((finished.found(&out, &name)?, finished.ticket()))).await?;
    let (Some(records), Some(ticket)) = looked else {
        return Ok(None);
    };
    let ticket = ticket
        .verify(office.session.server.operator())
        .map_err(Error::tampered(TICKET))?;
    let receipt = match close(office, &ticket, &journal).await {
        Ok(receipt) => Some(receipt),
        Err(error) if says_nothing_of_it(&error) => None,
        Err(error) => return Err(error),
    };
    Ok(Some(Fetched {
        records,
        deleted: Vec::new(),
        receipt,
        already: true,
    }))
}

async fn fetch_with<S: Sink>(
    office: &Office,
    permission: PermissionId,
    terms: FetchTerms,
    out: Option<&Path>,
    make_sink: impl FnOnce(Vec<(RecordId, u64)>) -> Result<S>,
    progress: &dyn Progress,
) -> Result<Fetched> {
    let began = office.session.witnesses.begin().await?;
    let mut delivered = delivery::deliver(office, permission).await?;
    if delivered.permission.kind == Kind::Upload {
        return Err(Error::Usage(
            "this permission is for an upload: send with it".into(),
        ));
    }
    if delivered.permission.kind == Kind::Emergency {
        return Err(Error::Usage(
            "this permission is for an emergency: open it with the patient's card".into(),
        ));
    }
    let asked = delivery::answered(&office.session, &mut delivered).await?;
    let mut journal = FetchJournal::open(&office.session.home, &permission)?;
    let fetch = Fetch {
        journal: &mut journal,
        holding: Holding::open(&office.session.home, &delivered.permission)?,
        purpose: terms.purpose.or(asked.purpose),
        take_over: terms.take_over,
        out: out.map(Path::to_owned),
        emergency: None,
        began,
    };
    let fetched = run_fetch(office, delivered, make_sink, fetch, progress)
        .await
        .map_err(interrupted);
    // Kept otherwise: the same release goes on, and what was fetched is found again until it is known.
    if fetched.as_ref().map_or_else(Error::is_final, |_| out.is_none()) {
        journal.remove();
    }
    fetched
}

pub(super) async fn run_fetch<S: Sink>(
    office: &Office,
    delivered: Delivered,
    make_sink: impl FnOnce(Vec<(RecordId, u64)>) -> Result<S>,
    mut fetch: Fetch<'_>,
    progress: &dyn Progress,
) -> Result<Fetched> {
    let permission = &delivered.permission;
    let vault = (permission.patient_id, permission.vault_head);
    let (release, mut sink) = open_both(office, delivered, make_sink, &mut fetch).await?;
    sink.leave_out(&release.deleted);
    let (records, mut sink) = receive_all(
        office,
        &release.ticket,
        release.records,
        sink,
        &mut fetch,
        progress,
    )
    .await?;
    if let Some(out) = &fetch.out {
        let finished = Finished::new(out, &release.ticket, &records);
        fetch.journal.finish(&finished)?;
    }
    blocking(move || sink.commit()).await?;
    progress.finished();
    // The files are there and verified: an answer that does not come must not make a failure of that.
    let receipt = match close(office, &release.ticket, fetch.journal).await {
        Ok(receipt) => {
            let named = receipt.statement.vault_head;
            office.session.met.receipt_head(vault, named, "the receipt")?;
            Some(receipt)
        }
        Err(error) if says_nothing_of_it(&error) => None,
        Err(error) => return Err(error),
    };
    Ok(Fetched {
        records,
        deleted: release.deleted,
        receipt,
        already: false,
    })
}

/// Opens the release, and what its records go into.
async fn open_both<S: Sink>(
    office: &Office,
    delivered: Delivered,
    make_sink: impl FnOnce(Vec<(RecordId, u64)>) -> Result<S>,
    fetch: &mut Fetch<'_>,
) -> Result<(Release, S)> {
    let permission = &delivered.permission;
    if permission.collection.is_some() {
        // What lies in a collection is told to its holder alone.
        let release = release::open_release(office, delivered, fetch).await?;
        let sink = make_sink(release.lengths())?;
        return Ok((release, sink));
    }
    // The sink first: what is in the way is found before anything is presented (FLW-19).
    let lengths = permission.records.iter();
    let lengths = lengths.map(|record| (record.record_id, record.stream_len));
    let sink = make_sink(lengths.collect())?;
    Ok((release::open_release(office, delivered, fetch).await?, sink))
}

/// Receives the records of a release one after the other, each verified as a whole.
async fn receive_all<S: Sink>(
    office: &Office,
    ticket: &ReleaseTicket,
    released: Vec<(VerifiedRecord, DataKey)>,
    mut sink: S,
    fetch: &mut Fetch<'_>,
    progress: &dyn Progress,
) -> Result<(Vec<FetchedRecord>, S)> {
    let total = released.iter().map(|(record, _)| record.stream_len()).sum();
    progress.started(total);
    let budget = fetch.holding.budget();
    let noting = Noting::new(progress, &fetch.holding, &budget);
    // What is one leaf is noted as a whole, right behind it.
    let progress: &dyn Progress = if total > LEAF_LEN { &noting } else { progress };
    let mut records = Vec::with_capacity(released.len());
    for (record, key) in released {
        let leaves = Leaves {
            at: api::RELEASE_LEAVES.at([&ticket.release_id, &record.version_id()]),
            stream_len: record.stream_len(),
            budget: budget.clone(),
        };
        let received = receive(
            &office.session.server,
            &leaves,
            record.expected(key),
            sink,
            progress,
        )
        .await;
        fetch.holding.keep(&budget)?;
        sink = received?;
        records.push(FetchedRecord {
            record_id: record.record_id(),
            version_id: record.version_id(),
            parts: record.fetched_parts(),
            provenance: record.provenance(),
        });
    }
    Ok((records, sink))
}

/// Ends the release; the answer says what was handed out.
async fn close(
    office: &Office,
    ticket: &ReleaseTicket,
    journal: &FetchJournal,
) -> Result<Receipt<ReleaseReceipt>> {
    let path = api::CLOSE_RELEASE.at([&ticket.release_id]);
    let key = format!("{}-close", journal.idempotency_key());
    let message = office.post_once(path, &Empty, &key).await?;
    let receipt = office
        .session
        .log
        .receipt::<ReleaseReceipt>(Some(message), "the receipt")
        .await?;
    if is_for(&receipt.statement, ticket) {
        Ok(receipt)
    } else {
        Err(Error::tampered("the receipt")("it is for something else"))
    }
}

const TICKET: &str = "the release ticket";

/// An answer that did not come, where the files are there and verified.
fn says_nothing_of_it(error: &Error) -> bool {
    matches!(
        error,
        Error::Unreachable { .. } | Error::HomeLocked { .. } | Error::Refused { .. }
    )
}

/// Whether it may take days until a repetition gets further: so long no half of a record lies about.
fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused {
            problem: Problem::RecordDamaged,
            ..
        }
    )
}

/// Whether the receipt is for the release of the ticket, in all that both say.
fn is_for(receipt: &ReleaseReceipt, ticket: &ReleaseTicket) -> bool {
    receipt.operator_id == ticket.operator_id
        && receipt.release_id == ticket.release_id
        && receipt.permission_id == ticket.permission_id
        && receipt.patient_id == ticket.patient_id
        && receipt.institution_id == ticket.institution_id
        && receipt.presentation_hash == ticket.presentation_hash
}

/// How far the releases of one fetch have come. A server that closes each before it brings anything must not keep
/// a client for ever (FLW-21).
struct Reach<'a> {
    progress: &'a dyn Progress,
    /// Stream bytes that are there, in the release that is open.
    now: AtomicU64,
    /// Stream bytes that were there when the one before was closed.
    before: u64,
    /// Releases in a row that brought nothing.
    idle: u32,
}

impl<'a> Reach<'a> {
    fn new(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            now: AtomicU64::new(0),
            before: 0,
            idle: 0,
        }
    }

    /// Whether another release is worth opening, after one was closed: it has brought something, or it alone has not (one that an
    /// earlier run left open may end just then).
    fn has_grown(&mut self) -> bool {
        let now = *self.now.get_mut();
        self.idle = if now > self.before { 0 } else { self.idle + 1 };
        self.before = self.before.max(now);
        Defence::IdleReleases.holds(self.idle < MOST_IDLE)
    }
}

impl Progress for Reach<'_> {
    fn started(&self, total: u64) {
        self.now.store(0, Ordering::Relaxed);
        self.progress.started(total);
    }

    fn advanced(&self, bytes: u64) {
        self.now.fetch_add(bytes, Ordering::Relaxed);
        self.progress.advanced(bytes);
    }

    fn finished(&self) {
        self.progress.finished();
    }
}

/// Releases in a row that may be closed without a byte.
const MOST_IDLE: u32 = 2;

#[cfg(test)]
mod tests {
    use protocol_spec::{
        hash::Sha256Digest,
        ids::{InstitutionId, OperatorId, PatientId, ReleaseId},
    };

    use super::*;

    /// ATK-37: an institution that keeps it could prove nothing by it.
    #[test]
    fn a_receipt_for_another_release_is_refused() {
        let ticket = ReleaseTicket {
            created: 1,
            operator_id: OperatorId::from_bytes([1; 32]),
            release_id: ReleaseId::from_bytes([2; 16]),
            permission_id: PermissionId::from_bytes([3; 16]),
            patient_id: PatientId::from_bytes([4; 32]),
            institution_id: InstitutionId::from_bytes([5; 32]),
            bytes: 9,
            expires: 2,
            presentation_hash: Sha256Digest::of(b"presentation"),
        };
        let good = ReleaseReceipt {
            created: 2,
            operator_id: ticket.operator_id,
            release_id: ticket.release_id,
            permission_id: ticket.permission_id,
            patient_id: ticket.patient_id,
            institution_id: ticket.institution_id,
            bytes: 7,
            presentation_hash: ticket.presentation_hash,
            released_hash: Sha256Digest::of(b"released"),
            vault_head: None,
        };
        assert!(is_for(&good, &ticket));
        let wrong: [fn(&mut ReleaseReceipt); 6] = [
            |receipt| receipt.operator_id = OperatorId::from_bytes([9; 32]),
            |receipt| receipt.release_id = ReleaseId::from_bytes([9; 16]),
            |receipt| receipt.permission_id = PermissionId::from_bytes([9; 16]),
            |receipt| receipt.patient_id = PatientId::from_bytes([9; 32]),
            |receipt| receipt.institution_id = InstitutionId::from_bytes([9; 32]),
            |receipt| receipt.presentation_hash = Sha256Digest::of(b"another"),
        ];
        for change in wrong {
            let mut receipt = good.clone();
            change(&mut receipt);
            assert!(!is_for(&receipt, &ticket));
        }
    }
}
