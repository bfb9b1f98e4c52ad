//! What is released under a permission, believed before a byte of it is asked for: the records that the permission
//! names, or those that lie in its collection.

use std::path::PathBuf;

use bytes::Bytes;
use crypto::{CollectionKey, DataKey, OpenedPermission, RecipientSecret, WrappedKey};
use protocol_spec::{
    api::{self, PageQuery},
    bodies::{RecordDeletion, ReleaseTicket},
    collection::CollectionSelector,
    conditions::Conditions,
    field::ReadsAs,
    ids::{PatientId, RecordId, ReleaseId},
    log::{LoggedClaim, VerifiedCheckpoint},
    messages::{self as pb, presentation_answer::Answer},
    patient::PatientSigned,
    permission::{RecordSelector, VerifiedPermission},
    problem::Problem,
    purpose::Purpose,
    statement::{Signed, Verified},
    submitted::Empty,
};

use super::{
    delivery::{self, Delivered},
    holding::{Holding, check_record},
    office::Office,
    upload::in_use,
};
use crate::{
    Error, Result,
    transfer::FetchJournal,
    trust::{Began, VerifiedRecord},
};

/// A release that the server has opened, its records verified.
pub(super) struct Release {
    pub(super) ticket: Verified<ReleaseTicket>,
    pub(super) records: Vec<(VerifiedRecord, DataKey)>,
    /// Of the records that the permission names, those that the patient has deleted.
    pub(super) deleted: Vec<RecordId>,
}

/// One fetch: how it is presented, and how far it may go.
pub(super) struct Fetch<'a> {
    pub(super) journal: &'a mut FetchJournal,
    pub(super) holding: Holding<'a>,
    pub(super) purpose: Option<Purpose>,
    /// It goes on with a release that another terminal of the institution has open.
    pub(super) take_over: bool,
    /// The folder, where what was fetched is to be found again.
    pub(super) out: Option<PathBuf>,
    /// Of an emergency: what both halves of its key give.
    pub(super) emergency: Option<RecipientSecret>,
    /// What was cosigned when it began; of an emergency, nothing is asked.
    pub(super) began: Began,
}

impl Release {
    /// Its records, and the lengths of their streams.
    pub(super) fn lengths(&self) -> Vec<(RecordId, u64)> {
        let length = |(record, _): &(VerifiedRecord, DataKey)| (record.record_id(), record.stream_len());
        self.records.iter().map(length).collect()
    }
}

/// Presents the permission key and verifies what is released before a byte of it is asked for.
pub(super) async fn open_release(
    office: &Office,
    delivered: Delivered,
    fetch: &mut Fetch<'_>,
) -> Result<Release> {
    let permission = delivered.permission.clone();
    if let Some(selector) = permission.collection {
        let opened = delivery::open_key::<CollectionKey>(office, &permission, fetch.emergency.as_ref())?;
        let conditions = conditions(&permission, &opened)?;
        let (ticket, ..) = release(office, delivered, &opened, fetch).await?;
        let records = placed_records(office, ticket.release_id, &permission, &selector, &opened.keys);
        let records = records.await?;
        for (record, _) in &records {
            check_record(&conditions, &record.attributes())?;
        }
        return Ok(Release {
            records,
            ticket,
            deleted: Vec::new(),
        });
    }
    let opened = delivery::open_key::<Vec<DataKey>>(office, &permission, None)?;
    let conditions = conditions(&permission, &opened)?;
    let (ticket, stored, deleted) = release(office, delivered, &opened, fetch).await?;
    let deleted = deletions(office, &permission, deleted).await?;
    let named = permission.records.iter().zip(opened.keys);
    let left: Vec<_> = named
        .filter(|(selector, _)| !deleted.contains(&selector.record_id))
        .collect();
    if stored.len() != left.len() {
        return Err(Error::tampered(TICKET)("it is for other records"));
    }
    let mut records = Vec::with_capacity(stored.len());
    for (stored, (selector, key)) in stored.into_iter().zip(left) {
        let record = permitted_record(office, stored, &key, &permission, selector).await?;
        check_record(&conditions, &record.attributes())?;
        records.push((record, key));
    }
    Ok(Release {
        ticket,
        records,
        deleted,
    })
}

async fn release<K: crypto::permission::Granted>(
    office: &Office,
    mut delivered: Delivered,
    opened: &OpenedPermission<K>,
    fetch: &mut Fetch<'_>,
) -> Result<(
    Verified<ReleaseTicket>,
    Vec<pb::StoredRecord>,
    Vec<pb::LoggedStatement>,
)> {
    let permission = delivered.permission.clone();
    // What an earlier run has left open goes on, whatever has become of its journal (FLW-17).
    let mut session = left_open(office, &delivered, fetch.take_over);
    let mut again = true;
    loop {
        // What an earlier run has asked is answered by its session, not by its key.
        fetch.journal.renew()?;
        let message = pb::Presentation {
            purpose: fetch.purpose.map(Purpose::code).unwrap_or_default().to_owned(),
            session: session.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes())),
            ..pb::Presentation::default()
        };
        let now = office.session.clock.now();
        fetch.holding.check(now, fetch.purpose, session)?;
        let others = delivered.others(&office.key_id());
        let key = fetch.journal.idempotency_key();
        match delivery::present(office, delivered, opened, &message, key).await {
            Ok(answer) => {
                let Answer::Release(release) = answer else {
                    return Err(Error::tampered(TICKET)("it is for an upload"));
                };
                let (ticket, log) =
                    check_release_ticket(office, release.ticket, release.proof, &permission).await?;
                // Whoever opens in an emergency waits for no witness.
                if fetch.emergency.is_none() {
                    office.session.log.witnessed_since(fetch.began, log.size).await?;
                }
                fetch.holding.presented(&ticket.release_id, session)?;
                return Ok((ticket, release.records, release.deleted));
            }
            Err(error) if again => {
                make_room(office, session, error, &others).await?;
                delivered = deliver_again(office, &permission).await?;
                session = left_open(office, &delivered, fetch.take_over);
                again = false;
            }
            Err(error) => return Err(in_use(error, &others)),
        }
    }
}

/// Sees to it that another presentation may be taken where the first one was not.
async fn make_room(
    office: &Office,
    session: Option<ReleaseId>,
    error: Error,
    others: &[String],
) -> Result<()> {
    match session {
        // Left open for another purpose: it makes room.
        Some(left) if error.is_problem(Problem::PurposeMismatch) => end_release(office, left).await,
        // Over meanwhile.
        Some(_) if error.is_problem(Problem::ReleaseClosed) => Ok(()),
        // An earlier run's presentation has come after the delivery.
        None if error.is_problem(Problem::PermissionInUse) => Ok(()),
        _ => Err(in_use(error, others)),
    }
}

/// The permission with another challenge, and the sessions that are open now.
async fn deliver_again(office: &Office, permission: &VerifiedPermission) -> Result<Delivered> {
    let delivered = delivery::deliver(office, permission.permission_id).await?;
    if delivered.permission.bytes() == permission.bytes() {
        return Ok(delivered);
    }
    Err(Error::tampered("the permission")("it is another one now"))
}

/// Ends a release that an earlier run has left open.
async fn end_release(office: &Office, release: ReleaseId) -> Result<()> {
    let path = api::CLOSE_RELEASE.at([&release]);
    let key = office.session.system().token()?;
    office.post_once(path, &Empty, &key).await.map(drop)
}

/// A release that this home has left open, or any of the institution's.
fn left_open(office: &Office, delivered: &Delivered, take_over: bool) -> Option<ReleaseId> {
    let mine = office.key_id();
    let open = delivered.releases();
    let left = open.iter().find(|(_, keyid)| *keyid == mine);
    let left = left.or_else(|| open.first().filter(|_| take_over));
    left.map(|(ticket, _)| ticket.release_id)
}

async fn check_release_ticket(
    office: &Office,
    ticket: impl ReadsAs<Signed<ReleaseTicket>>,
    proof: Option<pb::LogProof>,
    permission: &VerifiedPermission,
) -> Result<(Verified<ReleaseTicket>, VerifiedCheckpoint)> {
    let ticket = ticket
        .try_into()
        .and_then(|ticket| ticket.verify(office.session.server.operator()))
        .map_err(Error::tampered(TICKET))?;
    let log = office.session.log.included(proof, &ticket.hash(), TICKET).await?;
    let same = ticket.operator_id == office.session.server.operator_id()
        && ticket.permission_id == permission.permission_id
        && ticket.patient_id == permission.patient_id
        && ticket.institution_id == office.id();
    if same {
        Ok((ticket, log))
    } else {
        Err(Error::tampered(TICKET)("it is for something else"))
    }
}

/// Which records of the permission the patient has deleted, by what her devices have signed and the log has (DEL-3).
async fn deletions(
    office: &Office,
    permission: &VerifiedPermission,
    shown: Vec<impl ReadsAs<LoggedClaim<RecordDeletion>>>,
) -> Result<Vec<RecordId>> {
    let mut deleted = Vec::with_capacity(shown.len());
    for logged in shown {
        let deletion = logged
            .try_into()
            .and_then(|claim| claim.verify(office.session.server.operator()))
            .map_err(Error::tampered(DELETION))?;
        office.session.log.accept(&deletion.checkpoint).await?;
        let said = &deletion.statement;
        let named = said.patient_id == permission.patient_id
            && permission
                .records
                .iter()
                .any(|one| one.record_id == said.record_id);
        if !named || deleted.contains(&said.record_id) {
            return Err(Error::tampered(DELETION)("it is of another record"));
        }
        deleted.push(said.record_id);
    }
    Ok(deleted)
}

/// A record must be the one that the patient selected, with the content that she saw (PRM-4).
async fn permitted_record(
    office: &Office,
    stored: pb::StoredRecord,
    key: &DataKey,
    permission: &VerifiedPermission,
    selector: &RecordSelector,
) -> Result<VerifiedRecord> {
    let record = office
        .session
        .records
        .receipted(permission.patient_id, stored)
        .await?;
    let said = &record.receipt.statement;
    let selected = said.record_id == selector.record_id
        && said.version_id == selector.version_id
        && said.content_root == selector.content_root
        && said.stream_len == selector.stream_len;
    if !selected {
        return Err(Error::tampered("the record")(
            "it is not the one that the patient permitted",
        ));
    }
    office.session.records.open(record, key).await
}

/// All that lies in the permission's collection now and is covered, with the keys.
async fn placed_records(
    office: &Office,
    release: ReleaseId,
    permission: &VerifiedPermission,
    selector: &CollectionSelector,
    key: &CollectionKey,
) -> Result<Vec<(VerifiedRecord, DataKey)>> {
    let mut records = Vec::new();
    let path = api::RELEASED_RECORDS.ask([&release], PageQuery::of(100));
    let mut pages = office.session.server.pages(path);
    while let Some(page) = pages.next().await? {
        for record in page.records {
            records.push(placed_record(office, permission.patient_id, record, selector, key).await?);
        }
    }
    Ok(records)
}

/// A record must lie where the patient's own device says, and be what it says (COL-8).
async fn placed_record(
    office: &Office,
    patient: PatientId,
    released: pb::ReleasedRecord,
    selector: &CollectionSelector,
    key: &CollectionKey,
) -> Result<(VerifiedRecord, DataKey)> {
    let pb::ReleasedRecord {
        record,
        placement,
        data_key_wrap,
    } = released;
    let record = record.ok_or_else(|| Error::tampered(RECORD)("it is empty"))?;
    let record = office.session.records.receipted(patient, record).await?;
    let placement = PatientSigned::try_from(placement)
        .and_then(|placement| selector.verify_placement(placement, patient, &record.receipt.statement))
        .map_err(Error::tampered(RECORD))?;
    let wrapped = WrappedKey::try_from(data_key_wrap.as_ref()).map_err(Error::tampered(RECORD))?;
    let data_key = key
        .unwrap_data_key(&wrapped, &selector.collection, &placement.version_id)
        .map_err(Error::tampered(RECORD))?;
    Ok((office.session.records.open(record, &data_key).await?, data_key))
}

/// The permission's conditions, opened with the key that came with it (CND-11).
fn conditions<K>(permission: &VerifiedPermission, opened: &OpenedPermission<K>) -> Result<Conditions> {
    let (Some(sealed), Some(key)) = (&permission.conditions, &opened.conditions) else {
        return Ok(Conditions::default());
    };
    key.open(sealed, &permission.patient_id, &permission.permission_id)
        .map_err(Error::tampered("the permission"))
}

const TICKET: &str = "the release ticket";
const DELETION: &str = "the deletion of a record";
const RECORD: &str = "a record of the collection";
