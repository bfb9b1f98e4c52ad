//! Revocation: once it is acknowledged, no request that starts later releases a byte, and running
//! releases stop at the next leaf.

use bytes::Bytes;
use protocol_spec::{
    bodies::{Revocation, RevocationReceipt},
    hash::Sha256Digest,
    ids::{PatientId, PermissionId, ReleaseId},
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    permission::Kind,
    problem::Problem,
    released::ReceiptsHasher,
    statement::Signed,
    vault_head::Act,
};

use super::{
    Caller, Intent, Refusal, Shared, Vault,
    log::statement_hash,
    refusal::ensure,
    release_end::CloseRelease,
    tables,
    tx::{Operation, Tx},
};
use crate::store::SCAN_LIMIT;

use pb::{event, history_entry};

impl Vault {
    /// The patient takes a permission back. Repeating it changes nothing, and gives the first receipt.
    ///
    /// # Errors
    /// `not-permitted`.
    pub async fn submit_revocation(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::SubmitRevocation,
    ) -> Result<pb::RevocationAnswer, Refusal> {
        let revocation = PatientSigned::<Revocation>::try_from(message.revocation)?.verify()?;
        self.shared
            .check_patient(caller, revocation.patient_id, self.shared.operator.id())?;
        caller.check_device(revocation.device())?;
        let shared = &self.shared;
        let answer = match shared.answered(caller, intent).await? {
            Some(answer) => answer,
            None => {
                let revoke = Revoke {
                    caller,
                    revocation: &revocation,
                };
                shared.run(&revoke).await?;
                shared
                    .close_releases(revocation.patient_id, revocation.permission_id)
                    .await?;
                shared
                    .mutate(
                        caller,
                        intent,
                        Conclude {
                            revocation: &revocation,
                        },
                    )
                    .await?
            }
        };
        let mut answer: pb::RevocationAnswer = answer;
        if let Some(receipt) = &mut answer.receipt {
            shared.complete(revocation.patient_id, receipt).await?;
        }
        Ok(answer)
    }

    /// The releases there were under one of the caller's permissions, in the order of their ids, after this one.
    ///
    /// # Errors
    /// `not-permitted`.
    pub async fn past_releases(
        &self,
        caller: &Caller,
        permission: PermissionId,
        after: Option<ReleaseId>,
        limit: usize,
    ) -> Result<pb::ReleaseList, Refusal> {
        let patient = caller.patient()?;
        let shared = &self.shared;
        let known = tables::permission(patient, permission)
            .get(&*shared.ledger)
            .await?;
        known.ok_or_else(|| Refusal::absent("no such permission"))?;
        let limit = limit.clamp(1, MAX_RELEASES);
        let ids = shared.releases_under(patient, permission, after, limit).await?;
        let next = ids.last().filter(|_| ids.len() == limit);
        let next = next.map_or_else(Bytes::new, |last| Bytes::copy_from_slice(last.as_bytes()));
        let mut list = pb::ReleaseList {
            releases: Vec::new(),
            next,
        };
        for id in ids {
            let row = tables::release(patient, id).get(&*shared.ledger).await?;
            let row = row.ok_or_else(|| Refusal::damaged("a release has no row"))?;
            let mut release = pb::PastRelease {
                ticket: Some(pb::Receipt {
                    statement: row.ticket,
                    proof: None,
                }),
                receipt: row.receipt,
            };
            for receipt in release.ticket.iter_mut().chain(&mut release.receipt) {
                shared.complete(patient, receipt).await?;
            }
            list.releases.push(release);
        }
        Ok(list)
    }
}

/// From here on nothing moves under the permission.
struct Revoke<'a> {
    caller: &'a Caller,
    revocation: &'a PatientVerified<Revocation>,
}

impl Operation for Revoke<'_> {
    type Answer = ();

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { caller, revocation } = self;
        tx.protects = true;
        tx.check_listed(caller).await?;
        let (patient, id) = (revocation.patient_id, revocation.permission_id);
        let permission = tx.read_existing(&tables::permission(patient, id)).await?;
        ensure(
            permission.hash() == revocation.permission_hash,
            Problem::NotPermitted,
            "the revocation is of another permission",
        )?;
        let key = tables::meter(patient, id);
        let meter = tx.read_existing(&key).await?;
        let Some(revoked) = meter.meter().revoke() else {
            return Ok(());
        };
        let message = revocation.to_message();
        let mut meter = meter.with(revoked);
        meter.revocation = Some(pb::RevocationAnswer {
            revocation: Some(message.clone()),
            receipt: None,
        });
        tx.put(&key, &meter);
        tx.log(*patient.as_bytes(), &revocation.hash()).await?;
        tx.act(patient, Act::Revocation(id, revocation.hash())).await?;
        tx.record_history(patient, history_entry::What::Revoked(message.clone()))
            .await?;
        let body = permission.body()?;
        if body.kind == Kind::Emergency {
            return tx.end_emergency(patient, id, message).await;
        }
        tx.notify(*body.institution_id.as_bytes(), event::What::Revoked(message))
            .await?;
        Ok(())
    }
}

/// Says what there was, once everything under the permission is closed (REV-2).
struct Conclude<'a> {
    revocation: &'a PatientVerified<Revocation>,
}

impl Operation for Conclude<'_> {
    type Answer = pb::RevocationAnswer;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::RevocationAnswer, Refusal> {
        let Self { revocation } = self;
        let (patient, id) = (revocation.patient_id, revocation.permission_id);
        let key = tables::meter(patient, id);
        let mut meter = tx.read_existing(&key).await?;
        let mut answer = meter.revocation.unwrap_or_default();
        if answer.receipt.is_some() {
            return Ok(answer);
        }
        let first =
            PatientSigned::<Revocation>::try_from(answer.revocation.clone()).map_err(Refusal::damaged)?;
        let permission = tx.read_existing(&tables::permission(patient, id)).await?;
        let (releases, releases_hash) = tx.shared.releases_hash(patient, id).await?;
        let operator = &tx.shared.operator;
        let receipt = RevocationReceipt {
            created: tx.now,
            operator_id: operator.id(),
            permission_id: id,
            patient_id: patient,
            institution_id: permission.body()?.institution_id,
            revocation_hash: first.hash(),
            releases,
            releases_hash,
        };
        let signed = Signed::sign(receipt, |message| operator.sign(message));
        let receipt = pb::Receipt {
            statement: Some(signed.to_message()),
            proof: None,
        };
        tx.log(*patient.as_bytes(), &signed.hash()).await?;
        answer.receipt = Some(receipt);
        meter.revocation = Some(answer.clone());
        tx.put(&key, &meter);
        Ok(answer)
    }
}

/// Most releases of one page.
const MAX_RELEASES: usize = 64;

impl Shared {
    /// Closes what is open under a revoked permission (REV-1). Nothing new is opened under it.
    async fn close_releases(&self, patient: PatientId, permission: PermissionId) -> Result<(), Refusal> {
        let mut after = None;
        loop {
            let ids = self
                .releases_under(patient, permission, after, SCAN_LIMIT)
                .await?;
            for release in &ids {
                let close = CloseRelease {
                    patient,
                    release: *release,
                    institution: None,
                };
                self.run(&close).await?;
            }
            match ids.last() {
                Some(last) if ids.len() == SCAN_LIMIT => after = Some(*last),
                _ => return Ok(()),
            }
        }
    }

    /// Number of releases under a permission, all closed, and the hash over their receipts.
    async fn releases_hash(
        &self,
        patient: PatientId,
        permission: PermissionId,
    ) -> Result<(u32, Sha256Digest), Refusal> {
        let (mut releases, mut hasher, mut after) = (0_u32, ReceiptsHasher::default(), None);
        loop {
            let ids = self
                .releases_under(patient, permission, after, SCAN_LIMIT)
                .await?;
            for id in &ids {
                let row = tables::release(patient, *id).get(&*self.ledger).await?;
                let receipt = row.and_then(|row| row.receipt);
                let receipt = receipt.ok_or_else(|| Refusal::damaged("a release is not closed"))?;
                hasher.add(&statement_hash(receipt.statement.as_ref()));
                releases = releases.saturating_add(1);
            }
            match ids.last() {
                Some(last) if ids.len() == SCAN_LIMIT => after = Some(*last),
                _ => return Ok((releases, hasher.finish())),
            }
        }
    }

    /// At most `limit` releases under a permission, of at most [`SCAN_LIMIT`].
    async fn releases_under(
        &self,
        patient: PatientId,
        permission: PermissionId,
        after: Option<ReleaseId>,
        limit: usize,
    ) -> Result<Vec<ReleaseId>, Refusal> {
        let first = tables::all_used(patient, permission);
        let from = tables::all_used(patient, permission).behind(after);
        let rows = from.scan(&*self.ledger, limit).await?;
        let of_permission = rows.iter().map_while(|(suffix, _)| first.rest(suffix));
        of_permission
            .map(|release| ReleaseId::try_from(release).map_err(Refusal::damaged))
            .collect()
    }
}
