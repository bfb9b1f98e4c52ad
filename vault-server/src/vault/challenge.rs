//! Delivery of a permission key, with a fresh challenge: 32 random bytes, single use, for this permission
//! and this institution alone. They lie in one row, so that those never answered are forgotten by the next.

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    directory::Institution,
    hash::Sha256Digest,
    ids::{PatientId, PermissionId},
    messages as pb,
    permission::{Kind, PermissionBody},
    problem::Problem,
};

use super::{
    Caller, Refusal, Shared, Vault,
    tables::{self, Challenge},
    tx::{Operation, Tx, random},
    units::millis,
};

/// Challenges out for one permission; beyond it the oldest are forgotten.
const MOST_OPEN: usize = 64;

impl Vault {
    /// The permission with its request, its open sessions and a fresh challenge, to the institution named in it. It is
    /// delivered also when it can no longer be used: the presentation tells why.
    ///
    /// # Errors
    /// `not-permitted`.
    pub async fn deliver(&self, caller: &Caller, permission: PermissionId) -> Result<pb::Delivery, Refusal> {
        let institution = caller.institution()?;
        let held = self.shared.held(institution, permission).await?;
        let held = held.ok_or_else(|| Refusal::absent("no such permission"))?;
        let body = &held.body;
        let request = match body.kind {
            // It answers nothing.
            Kind::Emergency => None,
            _ => Some(
                self.shared
                    .stored_request(body.patient_id, body.request_hash)
                    .await?,
            ),
        };
        let challenge = fresh_challenge(&self.shared)?;
        let open = OpenChallenge {
            body,
            challenge: &challenge,
        };
        self.shared.run(&open).await?;
        let sessions = self
            .shared
            .open_sessions(institution.id(), body.patient_id, body.permission_id)
            .await?;
        Ok(pb::Delivery {
            open: sessions,
            permission: Some(held.permission),
            request,
            challenge: challenge.bytes,
            challenge_expires: challenge.expires,
        })
    }
}

/// 32 random bytes, to be answered within their time.
pub(super) fn fresh_challenge(shared: &Shared) -> Result<Challenge, Refusal> {
    Ok(Challenge {
        bytes: Bytes::copy_from_slice(&random::<32>()?),
        expires: shared.time.now() + millis(shared.limits.challenge_ttl),
    })
}

/// A permission in the hands of the institution that may present it.
pub(super) struct HeldPermission {
    /// Its conditions.
    pub(super) body: PermissionBody,
    /// As it came.
    pub(super) permission: pb::Permission,
    /// Bytes of the sealed manifests of its records.
    pub(super) manifest_bytes: u64,
}

impl Shared {
    /// The permission, if there is one of this id and it names this institution, or is of an emergency that this
    /// institution has opened.
    pub(super) async fn held(
        &self,
        institution: &Institution,
        permission: PermissionId,
    ) -> Result<Option<HeldPermission>, Refusal> {
        let Some(patient) = self.vault_of(&permission).await? else {
            return Ok(None);
        };
        let row = tables::permission(patient, permission).get(&*self.ledger).await?;
        let row = row.ok_or_else(|| Refusal::damaged("a permission has no row"))?;
        let body = row.body()?;
        let holds = match body.kind {
            Kind::Emergency => self.has_opened(patient, permission, institution).await?,
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
    pub(super) async fn vault_of(&self, id: &impl tables::Placed) -> Result<Option<PatientId>, Refusal> {
        let place = tables::place(id).get(&*self.ledger).await?;
        let patient = place.map(|place| place.patient.as_ref().try_into());
        patient.transpose().map_err(Refusal::damaged)
    }

    async fn stored_request(
        &self,
        patient: PatientId,
        hash: Sha256Digest,
    ) -> Result<pb::StoredRequest, Refusal> {
        let row = tables::request(patient, hash).get(&*self.ledger).await?;
        let stored = row.and_then(|row| row.stored);
        stored.ok_or_else(|| Refusal::damaged("a permission has no request"))
    }
}

struct OpenChallenge<'a> {
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
        tx.open_challenge(*patient_id, *permission_id, self.challenge.clone())
            .await
    }
}

impl Tx<'_> {
    /// Gives a challenge out for a permission.
    pub(super) async fn open_challenge(
        &mut self,
        patient: PatientId,
        permission: PermissionId,
        challenge: Challenge,
    ) -> Result<(), Refusal> {
        let key = tables::challenges(patient, permission);
        let mut row = self.read(&key).await?.unwrap_or_default();
        row.open.retain(|challenge| self.now < challenge.expires);
        let surplus = (row.open.len() + 1).saturating_sub(MOST_OPEN);
        row.open.drain(..surplus);
        row.open.push(challenge);
        self.put(&key, &row);
        Ok(())
    }

    /// Uses a challenge up (PRM-11).
    pub(super) async fn consume_challenge(
        &mut self,
        permission: &PermissionBody,
        challenge: &[u8; 32],
    ) -> Result<(), Refusal> {
        let key = tables::challenges(permission.patient_id, permission.permission_id);
        let mut row = self.read(&key).await?.unwrap_or_default();
        if Defence::Challenges.is_off() {
            return Ok(());
        }
        let found = row.open.iter().position(|open| open.bytes == challenge[..]);
        let challenge = row.open.remove(found.ok_or(Problem::ChallengeInvalid)?);
        if self.has_passed(challenge.expires).await {
            return Err(Problem::ChallengeInvalid.into());
        }
        self.put(&key, &row);
        Ok(())
    }
}
