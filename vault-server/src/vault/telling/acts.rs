//! What has been done to a vault, act by act, and the heads that the patient's devices sign over it. See
//! `spec/vault-head.md`.

use bytes::Bytes;
use protocol_spec::{
    bodies::VaultHead,
    hash::Sha256Digest,
    ids::PatientId,
    log::frontier::Frontier,
    messages as pb,
    patient::PatientVerified,
    permission::PermissionBody,
    problem::Problem,
    vault_head::{Act, HeadRef},
};

use crate::{
    store::SCAN_LIMIT,
    vault::{
        core::{
            refusal::{Refusal, ensure},
            shared::Shared,
            tx::Tx,
        },
        tables::{self, ActRow, ActsRow},
        who::caller::Caller,
    },
};

/// Most acts of one page: they are about two hundred kibibytes.
pub const MAX_ACTS: usize = 4000;

/// The caller's acts from this number on, how many there are, and the newest head with its place in the log.
pub(crate) async fn acts(
    shared: &Shared,
    caller: &Caller,
    after: u64,
    limit: usize,
) -> Result<pb::VaultActs, Refusal> {
    let patient = caller.patient()?;
    let ledger = &*shared.ledger;
    let row = tables::acts(patient).get(ledger).await?.unwrap_or_default();
    let end = row
        .count
        .min(after.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX)));
    let mut acts = Vec::new();
    let mut from = after;
    while from < end {
        let step = usize::try_from(end - from).map_or(SCAN_LIMIT, |left| left.min(SCAN_LIMIT));
        let rows = tables::act(patient, from).scan(ledger, step).await?;
        from += u64::try_from(rows.len()).unwrap_or(u64::MAX);
        ensure(rows.len() == step, Problem::Internal, "an act has no row")?;
        acts.extend(rows.into_iter().flat_map(|(_, row)| row.act));
    }
    let mut head = None;
    if let Some(newest) = row.newest()? {
        let mut logged = pb::LoggedStatement {
            statement: tables::vault_head(patient, newest.sequence).get(ledger).await?,
            proof: None,
        };
        shared.complete_logged(patient, &mut logged).await?;
        head = Some(logged);
    }
    Ok(pb::VaultActs {
        acts: acts.into(),
        count: row.count,
        head,
    })
}

/// Enters what this commit does to the vault (VLT-1).
pub(in crate::vault) async fn act(tx: &mut Tx<'_>, patient: PatientId, act: Act) -> Result<(), Refusal> {
    let key = tables::acts(patient);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    let mut tree = row.tree()?;
    let bytes = act.bytes();
    tree.append(&bytes);
    let entry = ActRow {
        act: Bytes::copy_from_slice(&bytes),
    };
    tx.put(&tables::act(patient, row.count), &entry);
    if let Act::Head(hash) = act {
        row.heads += 1;
        row.newest = Bytes::copy_from_slice(hash.as_bytes());
    }
    row.count = tree.size;
    row.peaks = tree
        .peaks
        .iter()
        .map(|peak| Bytes::copy_from_slice(peak))
        .collect();
    tx.put(&key, &row);
    Ok(())
}

/// The newest head of a vault, which receipts name (VLT-7).
pub(in crate::vault) async fn newest_head(
    tx: &mut Tx<'_>,
    patient: PatientId,
) -> Result<Option<HeadRef>, Refusal> {
    tx.read(&tables::acts(patient))
        .await?
        .unwrap_or_default()
        .newest()
}

/// A permission names a head of the vault (VLT-6).
pub(in crate::vault) async fn check_head(
    tx: &mut Tx<'_>,
    permission: &PermissionBody,
) -> Result<(), Refusal> {
    let Some(named) = permission.vault_head else {
        return Ok(());
    };
    let key = tables::vault_head(permission.patient_id, named.sequence);
    let stored = tx.read(&key).await?.and_then(|head| head.statement);
    ensure(
        stored.is_some_and(|head| Sha256Digest::of(&head.body) == named.hash),
        Problem::HeadConflict,
        "the vault has no such head",
    )
}

/// Without a proof of its place in the log: `complete_logged` adds it, once the log has the leaf.
pub(in crate::vault) fn logged(head: &PatientVerified<VaultHead>) -> pb::LoggedStatement {
    pb::LoggedStatement {
        statement: Some(head.to_message()),
        proof: None,
    }
}

impl ActsRow {
    pub(in crate::vault) fn newest(&self) -> Result<Option<HeadRef>, Refusal> {
        let Some(sequence) = self.heads.checked_sub(1) else {
            return Ok(None);
        };
        let hash = self.newest.as_ref().try_into().map_err(Refusal::damaged)?;
        Ok(Some(HeadRef { sequence, hash }))
    }

    pub(in crate::vault) fn tree(&self) -> Result<Frontier, Refusal> {
        Frontier::read(self.count, &self.peaks).map_err(Refusal::damaged)
    }
}
