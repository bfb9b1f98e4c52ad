//! Open sessions of a permission: found again by their institution, ended with what they held given back. See
//! `spec/flows.md` §3 (FLW-16, FLW-17).

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    ids::{InstitutionId, PatientId, PermissionId, ReleaseId, UploadId},
    messages as pb,
    permission::PermissionBody,
    problem::Problem,
};

use crate::{
    store::SCAN_LIMIT,
    vault::{
        core::{
            refusal::{Refusal, ensure},
            run,
            shared::Shared,
            tx::{Operation, Tx},
        },
        tables::{self, Expiring, OpenSessionRow, ReleaseRow, UploadRow},
        transfer::{release, release_end::CloseRelease, session_rows},
        who::principal::Holder,
    },
};

/// The id of a session, of upload or of release.
#[derive(Clone, Copy)]
enum Id {
    Upload(UploadId),
    Release(ReleaseId),
}

/// A session that is open, or over and not swept yet.
struct Session {
    id: Id,
    institution: InstitutionId,
    over: bool,
    open: pb::OpenSession,
}

/// The institution's open sessions under a permission, in the order of their ids.
pub(in crate::vault) async fn open_sessions(
    shared: &Shared,
    institution: InstitutionId,
    patient: PatientId,
    permission: PermissionId,
) -> Result<Vec<pb::OpenSession>, Refusal> {
    let sessions = sessions(shared, patient, permission).await?.into_iter();
    let own = sessions.filter(|session| session.institution == institution && !session.over);
    Ok(own.map(|session| session.open).collect())
}

/// Ends the sessions of a permission whose time is over, so that what they hold is free before they are swept.
pub(in crate::vault) async fn end_over(shared: &Shared, body: &PermissionBody) -> Result<(), Refusal> {
    let patient = body.patient_id;
    let sessions = sessions(shared, patient, body.permission_id).await?.into_iter();
    for session in sessions.filter(|session| session.over) {
        match session.id {
            Id::Upload(upload) => drop(run::run(shared, &GiveUp { patient, upload }).await?),
            Id::Release(release) => {
                let close = CloseRelease {
                    patient,
                    release,
                    institution: None,
                };
                drop(run::run(shared, &close).await?);
            }
        }
    }
    Ok(())
}

async fn sessions(
    shared: &Shared,
    patient: PatientId,
    permission: PermissionId,
) -> Result<Vec<Session>, Refusal> {
    let first = tables::open_sessions(patient, permission);
    let rows = first.scan(&*shared.ledger, SCAN_LIMIT).await?;
    let of_permission = rows.into_iter().map_while(|(suffix, row)| {
        let session = first.rest(&suffix)?.to_vec();
        Some((session, row))
    });
    let mut sessions = Vec::new();
    for (id, OpenSessionRow { upload, keyid }) in of_permission {
        let id = match upload {
            true => UploadId::try_from(id.as_slice()).map(Id::Upload),
            false => ReleaseId::try_from(id.as_slice()).map(Id::Release),
        };
        sessions.extend(session(shared, patient, id.map_err(Refusal::damaged)?, keyid).await?);
    }
    Ok(sessions)
}

/// None if it has ended meanwhile.
async fn session(
    shared: &Shared,
    patient: PatientId,
    id: Id,
    keyid: String,
) -> Result<Option<Session>, Refusal> {
    let mut open = pb::OpenSession {
        keyid,
        ..Default::default()
    };
    let (institution, expires) = match id {
        Id::Upload(upload) => {
            let Some(row) = tables::upload(patient, upload).get(&*shared.ledger).await? else {
                return Ok(None);
            };
            let ticket = row.ticket()?;
            open.standby_ticket = row.ticket;
            (ticket.institution_id, ticket.expires)
        }
        Id::Release(release) => {
            let Some(row) = tables::release(patient, release).get(&*shared.ledger).await? else {
                return Ok(None);
            };
            let ticket = row.ticket()?;
            open.release_ticket = row.ticket;
            (ticket.institution_id, ticket.expires)
        }
    };
    Ok(Some(Session {
        id,
        institution,
        over: shared.time.has_passed(expires).await,
        open,
    }))
}

/// Gives an upload up that was neither committed nor given up: what it held is the permission's again (FLW-16).
pub(in crate::vault) async fn give_up(
    tx: &mut Tx<'_>,
    patient: PatientId,
    upload: UploadId,
    row: &mut UploadRow,
) -> Result<(), Refusal> {
    if row.is_closed() {
        return Ok(());
    }
    row.abandoned = true;
    let sender = match row.reseal {
        Some(_) => *patient.as_bytes(),
        None => {
            let ticket = row.ticket()?;
            let key = tables::meter(patient, ticket.permission_id);
            let mut meter = tx.read_existing(&key).await?;
            meter.give_back(row.bytes);
            tx.put(&key, &meter);
            session_rows::ended(tx, patient, ticket.permission_id, upload.as_bytes());
            *ticket.institution_id.as_bytes()
        }
    };
    tx.put(&tables::upload(patient, upload), row);
    session_rows::close_session(tx, sender).await
}

/// Ends the upload whose place another presentation takes. Its leaves go with the next sweep.
pub(in crate::vault) async fn take_over(
    tx: &mut Tx<'_>,
    body: &PermissionBody,
    institution: InstitutionId,
    session: &Bytes,
) -> Result<(), Refusal> {
    let upload = UploadId::try_from(session.as_ref())?;
    let patient = body.patient_id;
    let mut row = tx.read_existing(&tables::upload(patient, upload)).await?;
    let own = row.reseal.is_none() && {
        let ticket = row.ticket()?;
        ticket.permission_id == body.permission_id
            && Defence::SessionOwner.holds(ticket.institution_id == institution)
    };
    ensure(own, Problem::NotPermitted, "another's upload")?;
    ensure(row.receipt.is_none(), Problem::UploadClosed, "it was committed")?;
    give_up(tx, patient, upload, &mut row).await?;
    tx.expire(tx.now, Expiring::Upload(patient, upload));
    Ok(())
}

/// A release that goes on for the purpose that it was opened for.
pub(in crate::vault) async fn goes_on(
    tx: &mut Tx<'_>,
    body: &PermissionBody,
    holder: Holder,
    presentation: &pb::Presentation,
) -> Result<ReleaseRow, Refusal> {
    let release = ReleaseId::try_from(presentation.session.as_ref())?;
    let (row, ticket, _) = release::open_release(tx, body.patient_id, release, holder).await?;
    ensure(
        ticket.permission_id == body.permission_id,
        Problem::NotPermitted,
        "another permission's release",
    )?;
    ensure(
        Defence::Purpose.holds(row.purpose == presentation.purpose),
        Problem::PurposeMismatch,
        "it was opened for another purpose",
    )?;
    Ok(row)
}

pub(in crate::vault) struct GiveUp {
    pub(in crate::vault) patient: PatientId,
    pub(in crate::vault) upload: UploadId,
}

impl Operation for GiveUp {
    type Answer = UploadRow;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<UploadRow, Refusal> {
        let key = tables::upload(self.patient, self.upload);
        let mut row = tx.read_existing(&key).await?;
        give_up(tx, self.patient, self.upload, &mut row).await?;
        Ok(row)
    }
}
