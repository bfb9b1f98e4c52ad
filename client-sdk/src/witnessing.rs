//! Whose cosignatures the home of a patient or an institution asks for. See [`crate::witnesses`].

use crate::{Institution, Patient, Result, witnesses::WitnessPolicy};

impl Patient {
    /// Whose cosignatures this home asks for.
    ///
    /// # Errors
    /// [`Error::HomeAltered`], [`Error::HomeDamaged`].
    pub fn witnesses(&self) -> Result<WitnessPolicy> {
        WitnessPolicy::of(self.home())
    }

    /// Has this home ask for these witnesses from its next session on (LOG-11).
    ///
    /// # Errors
    /// [`Error::Usage`] if the policy is about other logs than the server's.
    pub async fn use_witnesses(&self, policy: &WitnessPolicy) -> Result<()> {
        policy.keep(self.session()).await
    }
}

impl Institution {
    /// Whose cosignatures this home asks for.
    ///
    /// # Errors
    /// [`Error::HomeAltered`], [`Error::HomeDamaged`].
    pub fn witnesses(&self) -> Result<WitnessPolicy> {
        WitnessPolicy::of(self.home())
    }

    /// Has this home ask for these witnesses from its next session on (LOG-11).
    ///
    /// # Errors
    /// [`Error::Usage`] if the policy is about other logs than the server's.
    pub async fn use_witnesses(&self, policy: &WitnessPolicy) -> Result<()> {
        policy.keep(self.session()).await
    }
}
