//! Requests as they are stored: opened once, answered once.

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId, RequestId},
    messages as pb,
    permission::Kind,
    problem::Problem,
};

use crate::vault::{
    ask::received::{self, Asking},
    core::{
        refusal::{Refusal, ensure},
        tx::Tx,
    },
    tables::{self, PlaceRow, RequestRow},
};

use pb::{RequestState, stored_request::Request};

/// What the ledger must know of a new request.
pub(in crate::vault) struct NewRequest {
    pub(in crate::vault) id: RequestId,
    pub(in crate::vault) hash: Sha256Digest,
    pub(in crate::vault) patient: PatientId,
    pub(in crate::vault) asker: [u8; 32],
    pub(in crate::vault) concerned: InstitutionId,
    pub(in crate::vault) kind: Kind,
    pub(in crate::vault) expires: u64,
    pub(in crate::vault) request: Request,
    pub(in crate::vault) state: RequestState,
}

pub(in crate::vault) async fn open_request(tx: &mut Tx<'_>, new: NewRequest) -> Result<(), Refusal> {
    if tx.has_passed(new.expires).await {
        return Err(Problem::RequestExpired.into());
    }
    let place = PlaceRow {
        patient: Bytes::copy_from_slice(new.patient.as_bytes()),
        request_hash: Bytes::copy_from_slice(new.hash.as_bytes()),
    };
    tx.claim(&tables::place(&new.id), &place).await?;
    let row = RequestRow {
        stored: Some(pb::StoredRequest {
            request: Some(new.request),
            state: new.state.into(),
        }),
        request_id: Bytes::copy_from_slice(new.id.as_bytes()),
        asker: Bytes::copy_from_slice(&new.asker),
        concerned: Bytes::copy_from_slice(new.concerned.as_bytes()),
        kind: pb::PermissionKind::from(new.kind).into(),
        expires: new.expires,
        ..RequestRow::default()
    };
    tx.claim(&tables::request(new.patient, new.hash), &row).await
}

/// Answers an open request: checks that it is open, and notes the answer (FLW-1).
pub(in crate::vault) async fn answer_request(
    tx: &mut Tx<'_>,
    patient: PatientId,
    hash: Sha256Digest,
    answer: RequestState,
) -> Result<RequestRow, Refusal> {
    let key = tables::request(patient, hash);
    let mut row = tx.read(&key).await?.ok_or(Problem::RequestMismatch)?;
    let open = row
        .stored
        .as_ref()
        .is_some_and(|stored| stored.state() == RequestState::Open);
    let open = Defence::RequestMatch.holds(open);
    ensure(open, Problem::RequestAnswered, "the request is not open")?;
    if tx.has_passed(row.expires).await {
        return Err(Problem::RequestExpired.into());
    }
    if let Some(stored) = &mut row.stored {
        stored.set_state(answer);
    }
    tx.put(&key, &row);
    let asker = row.asker.as_ref().try_into().map_err(Refusal::damaged)?;
    received::settle(tx, *patient.as_bytes(), asker, Asking::Request, hash.as_bytes()).await?;
    Ok(row)
}

/// Where a request's row lies.
pub(in crate::vault) fn request_place(row: PlaceRow) -> Result<(PatientId, Sha256Digest), Refusal> {
    let patient = row.patient.as_ref().try_into().map_err(Refusal::damaged)?;
    let hash = row.request_hash.as_ref().try_into().map_err(Refusal::damaged)?;
    Ok((patient, hash))
}
