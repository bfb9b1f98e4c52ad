//! What others offer her: nothing counts before she has accepted it. See `protocol-spec/spec/accounts.md` §4.

use bytes::Bytes;
use protocol_spec::{
    api,
    delegation::VerifiedDelegation,
    ids::{DelegationId, PatientId},
    messages as pb,
};

use super::{DelegationState, HeldDelegation};
use crate::{Error, Patient, Result};

impl Patient {
    /// Delegations that she was offered and has not answered.
    ///
    /// # Errors
    /// [`Error::Tampered`] for one that is not for her.
    pub async fn offered_delegations(&self) -> Result<Vec<HeldDelegation>> {
        let offered = self.offered().await?;
        let info = |(delegation, _): &(VerifiedDelegation, bool)| {
            HeldDelegation::of(delegation, DelegationState::Offered)
        };
        Ok(offered.iter().map(info).collect())
    }

    /// Accepts a delegation that she was offered: from now on she may act (ACC-10).
    ///
    /// # Errors
    /// [`Error::Unknown`] for one that she was not offered, [`Error::Tampered`] for one that is not for her.
    pub async fn accept_delegation(&self, id: DelegationId) -> Result<HeldDelegation> {
        let offered = self.offered().await?;
        let found = offered.iter().find(|(offered, _)| offered.delegation_id == id);
        let (delegation, _) = found.ok_or_else(|| Error::Unknown {
            what: "offered delegation",
            id: id.to_string(),
        })?;
        let message = pb::AcceptDelegation {
            delegation_id: Bytes::copy_from_slice(id.as_bytes()),
        };
        self.session
            .server
            .post(api::ACCEPT_DELEGATION.here(), &message)
            .await?;
        Ok(HeldDelegation::of(delegation, DelegationState::Live))
    }

    async fn offered(&self) -> Result<Vec<(VerifiedDelegation, bool)>> {
        self.delegations_to_her(api::OFFERED_DELEGATIONS.here()).await
    }

    /// Why she cannot act for somebody.
    pub(super) async fn no_delegate_of(&self, owner: PatientId) -> Result<Error> {
        let offered = self.offered_delegations().await?;
        Ok(match offered.iter().find(|offered| offered.owner == owner) {
            Some(offered) => Error::Usage(format!(
                "you have not accepted to act for {owner}: medvault delegate accept {}",
                offered.id
            )),
            None => Error::Usage(format!(
                "{owner} has not made you a delegate: ask for `medvault delegate add {}`",
                self.id()
            )),
        })
    }
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
