//! The end of a release: a receipt tells how many bytes of which leaves were handed out. It is written when the
//! institution closes the session, when its time is over, and when the permission is revoked.

use bytes::Bytes;
use protocol_spec::{
    bodies::{ReleaseReceipt, ReleaseTicket},
    defence::Defence,
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId, ReleaseId, VersionId},
    messages as pb,
    problem::Problem,
    released::{ReleasedHasher, VersionLeaves},
    statement::Signed,
};

use crate::{
    store::SCAN_LIMIT,
    vault::{
        core::{
            idempotency,
            refusal::{Refusal, ensure},
            shared::Shared,
            tx::{Operation, Tx},
        },
        tables::{self, ReleaseRow},
        telling::{acts, history, inbox},
        transfer::{release, session_rows},
        who::caller::{Caller, Intent},
    },
};

use pb::{event, history_entry};

/// Ends a session and gives its receipt. A session that is closed already has its receipt (FLW-10).
pub(crate) async fn close_release(
    shared: &Shared,
    caller: &Caller,
    intent: &Intent,
    release: ReleaseId,
) -> Result<pb::Receipt, Refusal> {
    let institution = Some(caller.institution()?.id());
    let patient = release::release_vault(shared, release).await?;
    let close = CloseRelease {
        patient,
        release,
        institution,
    };
    let mut receipt = idempotency::mutate(shared, caller, intent, &close).await?;
    shared.complete(patient, &mut receipt).await?;
    Ok(receipt)
}

/// What one of the caller's releases has handed out, by version, after this one (REV-4).
pub(crate) async fn released_ranges(
    shared: &Shared,
    caller: &Caller,
    release: ReleaseId,
    after: Option<VersionId>,
    limit: usize,
) -> Result<pb::ReleasedRanges, Refusal> {
    let patient = caller.patient()?;
    let ledger = &*shared.ledger;
    let known = tables::release(patient, release).get(ledger).await?;
    known.ok_or_else(|| Refusal::absent("no such release"))?;
    let limit = limit.clamp(1, MAX_VERSIONS);
    let mut versions = released(shared, patient, release, after, limit).await?;
    let more = versions.len() == limit;
    let next = versions.last().filter(|_| more);
    let next = next.map_or_else(Bytes::new, |last| {
        Bytes::copy_from_slice(last.version_id.as_bytes())
    });
    let versions = versions.drain(..).map(|leaves| (&leaves).into()).collect();
    Ok(pb::ReleasedRanges { versions, next })
}

/// Most versions of one page of ranges.
pub const MAX_VERSIONS: usize = 256;

/// At most `limit` versions, of at most [`SCAN_LIMIT`].
async fn released(
    shared: &Shared,
    patient: PatientId,
    release: ReleaseId,
    after: Option<VersionId>,
    limit: usize,
) -> Result<Vec<VersionLeaves>, Refusal> {
    let first = tables::all_released(patient, release);
    let from = tables::all_released(patient, release).behind(after);
    let rows = from.scan(&*shared.ledger, limit).await?;
    let of_release = rows
        .into_iter()
        .map_while(|(suffix, row)| Some((first.rest(&suffix)?.to_vec(), row)));
    of_release
        .map(|(version, row)| {
            let message = pb::VersionRanges {
                version_id: version.into(),
                record_id: row.record,
                leaves: row.leaves,
            };
            message.try_into().map_err(Refusal::damaged)
        })
        .collect()
}

/// Closes a session, for its institution or, when its time is over, for nobody.
pub(in crate::vault) struct CloseRelease {
    pub(in crate::vault) patient: PatientId,
    pub(in crate::vault) release: ReleaseId,
    pub(in crate::vault) institution: Option<InstitutionId>,
}

impl Operation for CloseRelease {
    type Answer = pb::Receipt;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let row = tx
            .read_existing(&tables::release(self.patient, self.release))
            .await?;
        let ticket = row.ticket()?;
        let own = self
            .institution
            .is_none_or(|institution| institution == ticket.institution_id);
        let own = Defence::SessionOwner.holds(own);
        ensure(own, Problem::NotPermitted, "another institution's release")?;
        close_early(tx, row).await
    }
}

/// Closes a release that has been read here, and gives its receipt. One that has handed out nothing gives its use back (FLW-16).
pub(in crate::vault) async fn close_early(
    tx: &mut Tx<'_>,
    mut row: ReleaseRow,
) -> Result<pb::Receipt, Refusal> {
    if let Some(receipt) = row.receipt {
        return Ok(receipt);
    }
    let ticket = row.ticket()?;
    let patient = ticket.patient_id;
    if row.bytes == 0 {
        let key = tables::meter(patient, ticket.permission_id);
        let mut meter = tx.read_existing(&key).await?;
        meter.give_back(0);
        tx.put(&key, &meter);
    }
    session_rows::ended(tx, patient, ticket.permission_id, ticket.release_id.as_bytes());
    let signed = release_receipt(tx, &ticket, row.bytes).await?;
    let receipt = pb::Receipt {
        statement: Some(signed.to_message()),
        proof: None,
    };
    tx.log(*patient.as_bytes(), &signed.hash()).await?;
    row.receipt = Some(receipt.clone());
    tx.put(&tables::release(patient, ticket.release_id), &row);
    session_rows::close_session(tx, *ticket.institution_id.as_bytes()).await?;
    history::record_history(tx, patient, history_entry::What::Released(receipt.clone())).await?;
    inbox::notify(tx, *patient.as_bytes(), event::What::Released(receipt.clone())).await?;
    Ok(receipt)
}

async fn release_receipt(
    tx: &mut Tx<'_>,
    ticket: &ReleaseTicket,
    bytes: u64,
) -> Result<Signed<ReleaseReceipt>, Refusal> {
    let receipt = ReleaseReceipt {
        created: tx.now,
        operator_id: ticket.operator_id,
        release_id: ticket.release_id,
        permission_id: ticket.permission_id,
        patient_id: ticket.patient_id,
        institution_id: ticket.institution_id,
        bytes,
        presentation_hash: ticket.presentation_hash,
        released_hash: released_hash(tx, ticket.patient_id, ticket.release_id).await?,
        vault_head: acts::newest_head(tx, ticket.patient_id).await?,
    };
    let operator = &tx.shared.operator;
    Ok(Signed::sign(receipt, |message| operator.sign(message)))
}

/// Whoever changes what was released changes the release's row, which this transaction checks.
async fn released_hash(tx: &Tx<'_>, patient: PatientId, release: ReleaseId) -> Result<Sha256Digest, Refusal> {
    let (mut hasher, mut after) = (ReleasedHasher::default(), None);
    loop {
        let versions = released(tx.shared, patient, release, after, SCAN_LIMIT).await?;
        for leaves in &versions {
            hasher.add(leaves).map_err(Refusal::damaged)?;
        }
        match versions.last() {
            Some(last) if versions.len() == SCAN_LIMIT => after = Some(last.version_id),
            _ => return Ok(hasher.finish()),
        }
    }
}
