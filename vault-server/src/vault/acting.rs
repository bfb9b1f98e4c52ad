//! Delegates: patients who act in another's vault, as far as a delegation of hers lets them. See `spec/delegates.md`
//! §3.

use std::sync::Arc;

use bytes::Bytes;
use protocol_spec::{
    bodies::Delegation,
    collection::Collection,
    defence::Defence,
    delegation::Power,
    ids::{DelegationId, PatientId, RequestId, VersionId},
    messages as pb,
    permission::VerifiedPermission,
    problem::Problem,
    request::RequestSignature,
};

use super::{
    Caller, Refusal, Shared, Vault,
    delegations::delegation_of,
    refusal::ensure,
    requests::request_place,
    tables::{self, DelegationRow, Mark},
    tx::{Operation, Tx},
    weakened,
    who::Acting,
};

impl Vault {
    /// The caller as a delegate, by the delegation that its request names (DLG-5).
    ///
    /// # Errors
    /// `not-permitted` unless it is hers, `delegation-ended`, `delegation-expired`, `delegation-not-yet-valid`.
    pub async fn act(
        &self,
        caller: Caller,
        delegation: DelegationId,
        request: &RequestSignature,
    ) -> Result<Caller, Refusal> {
        let absent = || Refusal::absent("no such delegation of the caller's");
        let Caller::Patient { id, device, key } = caller else {
            return Err(absent());
        };
        let ledger = &*self.shared.ledger;
        let held = match tables::held_delegation(id, delegation).get(ledger).await? {
            Some(held) => held,
            None => {
                let offered = tables::offered_delegation(id, delegation).get(ledger).await?;
                let offered = offered.ok_or_else(absent)?;
                let accepted = weakened::accepted(offered);
                accepted
                    .ok_or_else(|| Refusal::new(Problem::NotAccepted, "the delegation was not accepted"))?
            }
        };
        let owner = held.owner;
        let owner = PatientId::try_from(owner.as_ref()).map_err(Refusal::damaged)?;
        let row = tables::delegation(owner, delegation).get(ledger).await?;
        let signed = delegation_of(&row.ok_or_else(|| Refusal::damaged("a delegation has no row"))?)?;
        let acting = Acting {
            id,
            device,
            key,
            delegation: signed.claimed().clone(),
            hash: signed.hash(),
            request: request.evidence(),
        };
        self.shared.check_acting(&acting).await?;
        Ok(Caller::Delegate(Arc::new(acting)))
    }

    /// Keys of a collection that the caller was given, by epoch, from this one on.
    ///
    /// # Errors
    /// `not-permitted` unless a delegate asks; those of the store.
    pub async fn delegated_keys(
        &self,
        caller: &Caller,
        collection: Collection,
        limit: usize,
    ) -> Result<pb::DelegatedKeyPage, Refusal> {
        self.shared.log.check_uncontradicted()?;
        let acting = acting(caller)?;
        let (owner, id) = (acting.owner(), acting.delegation.delegation_id);
        let epochs = tables::delegation(owner, id).get(&*self.shared.ledger).await?;
        let mut given: Vec<u64> = epochs
            .unwrap_or_default()
            .given
            .iter()
            .filter(|given| given.collection_id == collection.id.as_bytes()[..])
            .map(|given| given.epoch)
            .filter(|epoch| *epoch >= collection.epoch)
            .collect();
        given.sort_unstable();
        let mut page = pb::DelegatedKeyPage::default();
        for epoch in given {
            if page.keys.len() >= limit.clamp(1, KEYS_OF_PAGE) {
                page.next = epoch;
                break;
            }
            let key = tables::delegated_key(owner, id, Collection { epoch, ..collection });
            page.keys.extend(key.get(&*self.shared.ledger).await?);
        }
        Ok(page)
    }

    /// What institutions ask the patient for whom the caller acts, and is still open.
    ///
    /// # Errors
    /// `not-permitted` unless a delegate asks, `delegation-power`; those of the store.
    pub async fn delegated_requests(
        &self,
        caller: &Caller,
        after: Option<RequestId>,
        limit: usize,
    ) -> Result<pb::RequestPage, Refusal> {
        acting(caller)?;
        let owner = caller.acts_for(Power::Permit)?;
        let after = match after {
            None => None,
            Some(id) => {
                let place = tables::place(&id).get(&*self.shared.ledger).await?;
                let place = place.ok_or_else(|| Refusal::absent("no such request"))?;
                Some(request_place(place)?.1)
            }
        };
        let first = tables::requests(owner).behind(after);
        let (rows, more) = self.shared.short_page(first, limit).await?;
        let mut page = pb::RequestPage {
            next: rows
                .last()
                .filter(|_| more)
                .map_or_else(Bytes::new, |row| row.request_id.clone()),
            ..pb::RequestPage::default()
        };
        for row in rows {
            let asked = row.kind() != pb::PermissionKind::Upload;
            let Some(stored) = row.stored.filter(|_| asked) else {
                continue;
            };
            if stored.state() == pb::RequestState::Open && !self.shared.time.has_passed(row.expires).await {
                page.requests.push(stored);
            }
        }
        Ok(page)
    }
}

fn acting(caller: &Caller) -> Result<&Acting, Refusal> {
    caller
        .acting()
        .ok_or_else(|| Refusal::absent("only delegates may do this"))
}

/// Most keys of one page: each is a statement with its chain.
pub const KEYS_OF_PAGE: usize = 32;

impl Shared {
    /// DLG-5.
    pub(super) async fn check_acting(&self, acting: &Acting) -> Result<(), Refusal> {
        let key = tables::delegation(acting.owner(), acting.delegation.delegation_id);
        let row = key.get(&*self.ledger).await?;
        self.check_delegation(&acting.delegation, row).await
    }

    /// Whether a delegation holds now.
    pub(super) async fn check_delegation(
        &self,
        delegation: &Delegation,
        row: Option<DelegationRow>,
    ) -> Result<(), Refusal> {
        let ended = row.is_none_or(|row| row.end.is_some() || row.refused);
        ensure(
            Defence::DelegationLife.holds(!ended),
            Problem::DelegationEnded,
            "the delegation has ended",
        )?;
        self.check_back(delegation.patient_id).await?;
        let over = self.time.has_passed(delegation.not_after).await;
        ensure(
            Defence::DelegationLife.holds(!over),
            Problem::DelegationExpired,
            "the delegation is over",
        )?;
        ensure(
            Defence::DelegationLife.holds(delegation.not_before <= self.time.now()),
            Problem::DelegationNotYetValid,
            "the delegation's time has not come",
        )
    }

    /// Refuses a record that does not lie in the delegate's collections as one that is not there (DLG-6).
    pub(super) async fn check_in_scope(&self, acting: &Acting, version: VersionId) -> Result<(), Refusal> {
        let placed = tables::placement(acting.owner(), version)
            .get(&*self.ledger)
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
}

/// A delegate begins to read a record (DLG-11).
pub(super) struct NoteRead<'a> {
    pub(super) acting: &'a Acting,
    pub(super) version: VersionId,
}

impl Operation for NoteRead<'_> {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { acting, version } = self;
        tx.check_acting(acting).await?;
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
        tx.record_history(owner, pb::history_entry::What::DelegateRead(read))
            .await?;
        Ok(())
    }
}

/// In milliseconds.
const DAY: u64 = 24 * 3600 * 1000;

impl Tx<'_> {
    /// As [`Shared::check_acting`], by rows that the commit checks again.
    pub(super) async fn check_acting(&mut self, acting: &Acting) -> Result<(), Refusal> {
        let key = tables::delegation(acting.owner(), acting.delegation.delegation_id);
        let row = self.read(&key).await?;
        self.shared.check_delegation(&acting.delegation, row).await
    }

    /// Whether the records of a delegate's permission lie in her collections (DLG-6).
    pub(super) async fn check_delegated_records(
        &mut self,
        permission: &VerifiedPermission,
    ) -> Result<(), Refusal> {
        let Some(delegation) = permission.delegation() else {
            return Ok(());
        };
        for selector in &permission.records {
            let placed = tables::placement(permission.patient_id, selector.version_id);
            let within = match self.read(&placed).await? {
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
}
