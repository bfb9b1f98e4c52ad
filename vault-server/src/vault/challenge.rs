//! Delivery of a permission key, with a fresh challenge: 32 random bytes, single use, for this permission
//! and this institution alone. They lie in one row, so that those never answered are forgotten by the next.

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId, PermissionId},
    messages as pb,
    permission::PermissionBody,
    problem::Problem,
};

use super::{
    Caller, Refusal, Shared, Vault,
    tables::{self, Challenge},
    time::millis,
    tx::{Operation, Tx, random},
};

/// Challenges out for one permission; beyond it the oldest are forgotten.
const MOST_OPEN: usize = 64;

impl Vault {
    /// The permission with its request and a fresh challenge, to the institution named in it. It is
    /// delivered also when it can no longer be used: the presentation tells why.
    ///
    /// # Errors
    /// `not-permitted`.
    pub async fn deliver(&self, caller: &Caller, permission: PermissionId) -> Result<pb::Delivery, Refusal> {
        let institution = caller.institution()?.id();
        let held = self.shared.held(institution, permission).await?;
        let held = held.ok_or_else(|| Refusal::absent("no such permission"))?;
        let body = &held.body;
        let request = self
            .shared
            .stored_request(body.patient_id, body.request_hash)
            .await?;
        let challenge = Challenge {
            bytes: Bytes::copy_from_slice(&random::<32>()?),
            expires: self.now_ms() + millis(self.shared.limits.challenge_ttl),
        };
        let open = OpenChallenge {
            body,
            challenge: &challenge,
        };
        self.shared.run(&open).await?;
        Ok(pb::Delivery {
            permission: Some(held.permission),
            request: Some(request),
            challenge: challenge.bytes,
            challenge_expires: challenge.expires,
        })
    }
}

/// A permission in the hands of the institution that it names.
pub(super) struct Held {
    /// Its conditions.
    pub(super) body: PermissionBody,
    /// As it came.
    pub(super) permission: pb::Permission,
    /// Bytes of the sealed manifests of its records.
    pub(super) manifest_bytes: u64,
}

impl Shared {
    /// The permission, if there is one of this id and it names this institution.
    pub(super) async fn held(
        &self,
        institution: InstitutionId,
        permission: PermissionId,
    ) -> Result<Option<Held>, Refusal> {
        let Some(patient) = self.vault_of(&permission).await? else {
            return Ok(None);
        };
        let row = tables::permission(patient, permission).get(&*self.ledger).await?;
        let row = row.ok_or_else(|| Refusal::damaged("a permission has no row"))?;
        let body = row.body()?;
        let manifest_bytes = row.manifest_bytes;
        let held = row.permission.map(|permission| Held {
            body,
            permission,
            manifest_bytes,
        });
        Ok(held.filter(|held| Defence::PermissionHolder.holds(held.body.institution_id == institution)))
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
        let key = tables::challenges(self.body.patient_id, self.body.permission_id);
        let mut row = tx.read(&key).await?.unwrap_or_default();
        row.open.retain(|challenge| tx.now < challenge.expires);
        let surplus = (row.open.len() + 1).saturating_sub(MOST_OPEN);
        row.open.drain(..surplus);
        row.open.push(self.challenge.clone());
        tx.put(&key, &row);
        Ok(())
    }
}

impl Tx<'_> {
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
