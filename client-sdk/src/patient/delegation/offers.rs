//! What others offer her: nothing counts before she has accepted it. See `protocol-spec/spec/accounts.md` §4.

use protocol_spec::{
    api::{self, PageQuery, RequestTarget},
    delegation::{Power, VerifiedDelegation},
    ids::{CollectionId, DelegationId, PatientId},
    messages as pb, submitted,
};

use crate::{
    Error, Result,
    patient::{
        delegation::{DelegationState, verify_delegation},
        known::tampered,
        vault::Vault,
    },
};

pub(in crate::patient) async fn offered_delegations(vault: &Vault) -> Result<Vec<HeldDelegation>> {
    let offered = offered(vault).await?;
    let info = |(delegation, _): &(VerifiedDelegation, bool)| {
        HeldDelegation::of(delegation, DelegationState::Offered)
    };
    Ok(offered.iter().map(info).collect())
}

pub(in crate::patient) async fn accept_delegation(vault: &Vault, id: DelegationId) -> Result<HeldDelegation> {
    let offered = offered(vault).await?;
    let found = offered.iter().find(|(offered, _)| offered.delegation_id == id);
    let (delegation, _) = found.ok_or_else(|| Error::Unknown {
        what: "offered delegation",
        id: id.to_string(),
    })?;
    let message = submitted::AcceptDelegation { delegation_id: id };
    vault.post(api::ACCEPT_DELEGATION.here(), &message).await?;
    Ok(HeldDelegation::of(delegation, DelegationState::Live))
}

async fn offered(vault: &Vault) -> Result<Vec<(VerifiedDelegation, bool)>> {
    delegations_to_her(vault, api::OFFERED_DELEGATIONS.here()).await
}

/// Why she cannot act for somebody.
pub(in crate::patient) async fn no_delegate_of(vault: &Vault, owner: PatientId) -> Result<Error> {
    let offered = offered_delegations(vault).await?;
    Ok(match offered.iter().find(|offered| offered.owner == owner) {
        Some(offered) => Error::Usage(format!(
            "you have not accepted to act for {owner}: medvault delegate accept {}",
            offered.id
        )),
        None => Error::Usage(format!(
            "{owner} has not made you a delegate: ask for `medvault delegate add {}`",
            vault.id()
        )),
    })
}

impl HeldDelegation {
    pub(super) fn of(delegation: &VerifiedDelegation, state: DelegationState) -> Self {
        Self {
            id: delegation.delegation_id,
            owner: delegation.patient_id,
            power: delegation.power,
            collections: delegation.collections.ids().to_vec(),
            not_before: delegation.not_before,
            not_after: delegation.not_after,
            state,
        }
    }
}

/// Delegations to her of this list that the server shows, verified.
pub(in crate::patient) async fn delegations_to_her(
    vault: &Vault,
    list: RequestTarget<(), pb::DelegationPage, PageQuery<DelegationId>>,
) -> Result<Vec<(VerifiedDelegation, bool)>> {
    let mut held = Vec::new();
    let mut pages = vault.session.server.pages(list);
    while let Some(page) = pages.next().await? {
        for entry in page.delegations {
            let delegation = verify_delegation(entry.delegation)?;
            let hers = delegation.delegate_id == vault.id()
                && delegation.operator_id == vault.session.server.operator_id();
            if !hers {
                return Err(tampered("it is for somebody else"));
            }
            held.push((delegation, entry.end.is_some()));
        }
    }
    Ok(held)
}

/// A delegation that a patient was given.
#[derive(Clone, Debug, serde::Serialize)]
pub struct HeldDelegation {
    /// The delegation's id, by which it is accepted.
    #[serde(rename = "delegation_id")]
    pub id: DelegationId,
    /// For whom she may act.
    #[serde(rename = "owner_id")]
    pub owner: PatientId,
    /// What the reader may do as a delegate.
    pub power: Power,
    /// With what lies in these.
    pub collections: Vec<CollectionId>,
    /// From when on, in milliseconds since 1970.
    #[serde(rename = "begins", serialize_with = "crate::text::moment")]
    pub not_before: u64,
    /// Until when, in milliseconds since 1970.
    #[serde(rename = "ends", serialize_with = "crate::text::moment")]
    pub not_after: u64,
    /// Whether she may now, as the server says.
    pub state: DelegationState,
}
