//! Delegates: patients who act in another's vault, as far as a delegation of hers lets them. See `spec/delegates.md`
//! §3.

use bytes::Bytes;
use protocol_spec::{
    bodies::Delegation, defence::Defence, ids::VersionId, messages as pb, permission::VerifiedPermission,
    problem::Problem,
};

use crate::vault::{
    core::{
        back,
        refusal::{Refusal, ensure},
        shared::Shared,
        tx::{Operation, Tx},
    },
    tables::{self, DelegationRow, Mark},
    telling::history,
    who::principal::Acting,
};

/// DLG-5.
pub(in crate::vault) async fn check_acting_now(shared: &Shared, acting: &Acting) -> Result<(), Refusal> {
    let key = tables::delegation(acting.owner(), acting.delegation.delegation_id);
    let row = key.get(&*shared.ledger).await?;
    check_delegation(shared, &acting.delegation, row).await
}

/// Whether a delegation holds now.
pub(in crate::vault) async fn check_delegation(
    shared: &Shared,
    delegation: &Delegation,
    row: Option<DelegationRow>,
) -> Result<(), Refusal> {
    let ended = row.is_none_or(|row| row.end.is_some() || row.refused);
    ensure(
        Defence::DelegationLife.holds(!ended),
        Problem::DelegationEnded,
        "the delegation has ended",
    )?;
    back::check_back(shared, delegation.patient_id).await?;
    let over = shared.time.has_passed(delegation.not_after).await;
    ensure(
        Defence::DelegationLife.holds(!over),
        Problem::DelegationExpired,
        "the delegation is over",
    )?;
    ensure(
        Defence::DelegationLife.holds(delegation.not_before <= shared.time.now()),
        Problem::DelegationNotYetValid,
        "the delegation's time has not come",
    )
}

/// Refuses a record that does not lie in the delegate's collections as one that is not there (DLG-6).
pub(in crate::vault) async fn check_in_scope(
    shared: &Shared,
    acting: &Acting,
    version: VersionId,
) -> Result<(), Refusal> {
    let placed = tables::placement(acting.owner(), version)
        .get(&*shared.ledger)
        .await?;
    let within = match placed {
        Some(placed) => acting.has(placed.body()?.collection_id),
        None => false,
    };
    ensure(
        Defence::DelegationScope.holds(within),
        Problem::NotPermitted,
        "the record lies elsewhere",
    )
}

/// A delegate begins to read a record (DLG-11).
pub(in crate::vault) struct NoteRead<'a> {
    pub(in crate::vault) acting: &'a Acting,
    pub(in crate::vault) version: VersionId,
}

impl Operation for NoteRead<'_> {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { acting, version } = self;
        check_acting(tx, acting).await?;
        let (owner, id) = (acting.owner(), acting.delegation.delegation_id);
        let key = tables::delegate_read(owner, id, *version, tx.now / DAY);
        if Defence::DelegateReads.is_off() || tx.read(&key).await?.is_some() {
            return Ok(());
        }
        tx.put(&key, &Mark {});
        let device = tx.read_existing(&tables::device(acting.device)).await?.device;
        let read = pb::DelegateRead {
            delegation_hash: Bytes::copy_from_slice(acting.hash.as_bytes()),
            version_id: Bytes::copy_from_slice(version.as_bytes()),
            evidence: Some(acting.request.clone()),
            device: device.and_then(|device| device.chain),
        };
        history::record_history(tx, owner, pb::history_entry::What::DelegateRead(read)).await?;
        Ok(())
    }
}

/// In milliseconds.
const DAY: u64 = 24 * 3600 * 1000;

/// Whether a delegation holds (DLG-5), by rows that the commit checks again.
pub(in crate::vault) async fn check_acting(tx: &mut Tx<'_>, acting: &Acting) -> Result<(), Refusal> {
    let key = tables::delegation(acting.owner(), acting.delegation.delegation_id);
    let row = tx.read(&key).await?;
    check_delegation(tx.shared, &acting.delegation, row).await
}

/// Whether the records of a delegate's permission lie in her collections (DLG-6).
pub(in crate::vault) async fn check_delegated_records(
    tx: &mut Tx<'_>,
    permission: &VerifiedPermission,
) -> Result<(), Refusal> {
    let Some(delegation) = permission.delegation() else {
        return Ok(());
    };
    for selector in &permission.records {
        let placed = tables::placement(permission.patient_id, selector.version_id);
        let within = match tx.read(&placed).await? {
            Some(placed) => delegation.collections.has(placed.body()?.collection_id),
            None => false,
        };
        ensure(
            Defence::DelegationScope.holds(within),
            Problem::DelegationScope,
            "a record lies in no collection of the delegation",
        )?;
    }
    Ok(())
}
