//! Delivery of a permission key, with the sessions that its institution has open under it.

use protocol_spec::{
    hash::Sha256Digest,
    ids::{PatientId, PermissionId},
    messages as pb,
    permission::{Kind, PermissionBody},
};

use crate::vault::{
    ask::challenge,
    core::{
        refusal::Refusal,
        run,
        shared::Shared,
        tx::{Operation, Tx},
    },
    tables::{self, Challenge},
    transfer::sessions,
    who::caller::Caller,
};

/// The permission with its request, its open sessions and a fresh challenge, to the institution named in it. It is
/// delivered also when it can no longer be used: the presentation tells why.
pub(crate) async fn deliver(
    shared: &Shared,
    caller: &Caller,
    permission: PermissionId,
) -> Result<pb::Delivery, Refusal> {
    let institution = caller.institution()?;
    let held = challenge::held(shared, institution, permission).await?;
    let held = held.ok_or_else(|| Refusal::absent("no such permission"))?;
    let body = &held.body;
    let request = match body.kind {
        // It answers nothing.
        Kind::Emergency => None,
        _ => Some(stored_request(shared, body.patient_id, body.request_hash).await?),
    };
    let challenge = challenge::fresh_challenge(shared)?;
    let open = OpenChallenge {
        body,
        challenge: &challenge,
    };
    run::run(shared, &open).await?;
    let sessions =
        sessions::open_sessions(shared, institution.id(), body.patient_id, body.permission_id).await?;
    Ok(pb::Delivery {
        open: sessions,
        permission: Some(held.permission),
        request,
        challenge: challenge.bytes,
        challenge_expires: challenge.expires,
    })
}

pub(in crate::vault) async fn stored_request(
    shared: &Shared,
    patient: PatientId,
    hash: Sha256Digest,
) -> Result<pb::StoredRequest, Refusal> {
    let row = tables::request(patient, hash).get(&*shared.ledger).await?;
    let stored = row.and_then(|row| row.stored);
    stored.ok_or_else(|| Refusal::damaged("a permission has no request"))
}

pub(in crate::vault) struct OpenChallenge<'a> {
    body: &'a PermissionBody,
    challenge: &'a Challenge,
}

impl Operation for OpenChallenge<'_> {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let PermissionBody {
            patient_id,
            permission_id,
            ..
        } = self.body;
        challenge::open_challenge(tx, *patient_id, *permission_id, self.challenge.clone()).await
    }
}
