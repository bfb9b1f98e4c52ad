//! Delivery of a permission key, with a fresh challenge: 32 random bytes, single use, for this permission
//! and this institution alone. They lie in one row, so that those never answered are forgotten by the next.

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    directory::Institution,
    ids::{PatientId, PermissionId},
    messages as pb,
    permission::{Kind, PermissionBody},
    problem::Problem,
};

use crate::vault::{
    core::{
        refusal::Refusal,
        shared::Shared,
        tx::Tx,
        units::{millis, random},
    },
    emergency::opened,
    tables::{self, Challenge},
};

/// Challenges out for one permission; beyond it the oldest are forgotten.
const MOST_OPEN: usize = 64;

/// 32 random bytes, to be answered within their time.
pub(in crate::vault) fn fresh_challenge(shared: &Shared) -> Result<Challenge, Refusal> {
    Ok(Challenge {
        bytes: Bytes::copy_from_slice(&random::<32>()?),
        expires: shared.time.now() + millis(shared.limits.challenge_ttl),
    })
}

/// A permission in the hands of the institution that may present it.
pub(in crate::vault) struct HeldPermission {
    /// Its conditions.
    pub(in crate::vault) body: PermissionBody,
    /// As it came.
    pub(in crate::vault) permission: pb::Permission,
    /// Bytes of the sealed manifests of its records.
    pub(in crate::vault) manifest_bytes: u64,
}

/// The permission, if there is one of this id and it names this institution, or is of an emergency that this
/// institution has opened.
pub(in crate::vault) async fn held(
    shared: &Shared,
    institution: &Institution,
    permission: PermissionId,
) -> Result<Option<HeldPermission>, Refusal> {
    let Some(patient) = vault_of(shared, &permission).await? else {
        return Ok(None);
    };
    let row = tables::permission(patient, permission)
        .get(&*shared.ledger)
        .await?;
    let row = row.ok_or_else(|| Refusal::damaged("a permission has no row"))?;
    let body = row.body()?;
    let holds = match body.kind {
        Kind::Emergency => opened::has_opened(shared, patient, permission, institution).await?,
        _ => body.institution_id == institution.id(),
    };
    let manifest_bytes = row.manifest_bytes;
    let held = row.permission.map(|permission| HeldPermission {
        body,
        permission,
        manifest_bytes,
    });
    Ok(held.filter(|_| Defence::PermissionHolder.holds(holds)))
}

/// In whose vault a thing lies, if there is such a thing.
pub(in crate::vault) async fn vault_of(
    shared: &Shared,
    id: &impl tables::Placed,
) -> Result<Option<PatientId>, Refusal> {
    let place = tables::place(id).get(&*shared.ledger).await?;
    let patient = place.map(|place| place.patient.as_ref().try_into());
    patient.transpose().map_err(Refusal::damaged)
}

/// Gives a challenge out for a permission.
pub(in crate::vault) async fn open_challenge(
    tx: &mut Tx<'_>,
    patient: PatientId,
    permission: PermissionId,
    challenge: Challenge,
) -> Result<(), Refusal> {
    let key = tables::challenges(patient, permission);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    row.open.retain(|challenge| tx.now < challenge.expires);
    let surplus = (row.open.len() + 1).saturating_sub(MOST_OPEN);
    row.open.drain(..surplus);
    row.open.push(challenge);
    tx.put(&key, &row);
    Ok(())
}

/// Uses a challenge up (PRM-11).
pub(in crate::vault) async fn consume_challenge(
    tx: &mut Tx<'_>,
    permission: &PermissionBody,
    challenge: &[u8; 32],
) -> Result<(), Refusal> {
    let key = tables::challenges(permission.patient_id, permission.permission_id);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    if Defence::Challenges.is_off() {
        return Ok(());
    }
    let found = row.open.iter().position(|open| open.bytes == challenge[..]);
    let challenge = row.open.remove(found.ok_or(Problem::ChallengeInvalid)?);
    if tx.has_passed(challenge.expires).await {
        return Err(Problem::ChallengeInvalid.into());
    }
    tx.put(&key, &row);
    Ok(())
}
