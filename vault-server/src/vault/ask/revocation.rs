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
    submitted,
    vault_head::Act,
};

use crate::{
    store::SCAN_LIMIT,
    vault::{
        core::{
            proven::{Admitted, Proven},
            refusal::{Refusal, ensure},
            role::OwnDevice,
            run,
            shared::Shared,
            submission::{Submission, Turn},
            tx::{Operation, Tx},
        },
        device::listed,
        emergency,
        log::statement_hash,
        tables,
        telling::tell::{self, Tells},
        transfer::release_end::CloseRelease,
        who::caller::Caller,
    },
};

use pb::{event, history_entry};

/// The releases there were under one of the caller's permissions, in the order of their ids, after this one.
pub(crate) async fn past_releases(
    shared: &Shared,
    caller: &Caller,
    permission: PermissionId,
    after: Option<ReleaseId>,
    limit: usize,
) -> Result<pb::ReleaseList, Refusal> {
    let patient = caller.patient()?;
    let known = tables::permission(patient, permission)
        .get(&*shared.ledger)
        .await?;
    known.ok_or_else(|| Refusal::absent("no such permission"))?;
    let limit = limit.clamp(1, MAX_RELEASES);
    let ids = releases_under(shared, patient, permission, after, limit).await?;
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

/// The patient takes a permission back. Repeating it changes nothing, and gives the first receipt.
pub(crate) struct SubmitRevocation {
    revocation: Admitted<PatientVerified<Revocation>>,
}

impl Submission for SubmitRevocation {
    type Message = submitted::SubmitRevocation;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            revocation: who.statement(message.revocation)?,
        })
    }

    async fn carry_out(&self, turn: Turn<'_>) -> Result<Self::Answer, Refusal> {
        let Turn { shared, caller, .. } = turn;
        let (patient, permission) = (self.revocation.patient_id, self.revocation.permission_id);
        let mut answer = match turn.answered().await? {
            Some(answer) => answer,
            None => {
                let revocation = &self.revocation;
                run::run(shared, &Revoke { caller, revocation }).await?;
                close_releases(shared, patient, permission).await?;
                turn.commit(self).await?
            }
        };
        if let Some(receipt) = &mut answer.receipt {
            shared.complete(patient, receipt).await?;
        }
        Ok(answer)
    }
}

/// From here on nothing moves under the permission.
struct Revoke<'a> {
    caller: &'a Caller,
    revocation: &'a Admitted<PatientVerified<Revocation>>,
}

impl Operation for Revoke<'_> {
    type Answer = ();

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { caller, revocation } = self;
        tx.protects = true;
        listed::check_caller_listed(tx, caller).await?;
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
        let tells = Tells::logged(patient, revocation)
            .act(Act::Revocation(id, revocation.hash()))
            .history(history_entry::What::Revoked(message.clone()));
        let body = permission.body()?;
        if body.kind == Kind::Emergency {
            tell::tell(tx, tells).await?;
            return emergency::end_emergency(tx, patient, id, message).await;
        }
        let institution = *body.institution_id.as_bytes();
        tell::tell(tx, tells.inbox(institution, event::What::Revoked(message))).await?;
        Ok(())
    }
}

/// Says what there was, once everything under the permission is closed (REV-2).
impl Operation for SubmitRevocation {
    type Answer = pb::RevocationAnswer;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
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
        let (releases, releases_hash) = releases_hash(tx.shared, patient, id).await?;
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

/// Closes what is open under a revoked permission (REV-1). Nothing new is opened under it.
async fn close_releases(
    shared: &Shared,
    patient: PatientId,
    permission: PermissionId,
) -> Result<(), Refusal> {
    let mut after = None;
    loop {
        let ids = releases_under(shared, patient, permission, after, SCAN_LIMIT).await?;
        for release in &ids {
            let close = CloseRelease {
                patient,
                release: *release,
                institution: None,
            };
            run::run(shared, &close).await?;
        }
        match ids.last() {
            Some(last) if ids.len() == SCAN_LIMIT => after = Some(*last),
            _ => return Ok(()),
        }
    }
}

/// Number of releases under a permission, all closed, and the hash over their receipts.
async fn releases_hash(
    shared: &Shared,
    patient: PatientId,
    permission: PermissionId,
) -> Result<(u32, Sha256Digest), Refusal> {
    let (mut releases, mut hasher, mut after) = (0_u32, ReceiptsHasher::default(), None);
    loop {
        let ids = releases_under(shared, patient, permission, after, SCAN_LIMIT).await?;
        for id in &ids {
            let row = tables::release(patient, *id).get(&*shared.ledger).await?;
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
    shared: &Shared,
    patient: PatientId,
    permission: PermissionId,
    after: Option<ReleaseId>,
    limit: usize,
) -> Result<Vec<ReleaseId>, Refusal> {
    let first = tables::all_used(patient, permission);
    let from = tables::all_used(patient, permission).behind(after);
    let rows = from.scan(&*shared.ledger, limit).await?;
    let of_permission = rows.iter().map_while(|(suffix, _)| first.rest(suffix));
    of_permission
        .map(|release| ReleaseId::try_from(release).map_err(Refusal::damaged))
        .collect()
}
