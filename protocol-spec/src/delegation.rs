//! Delegations: what a patient lets another one do in her vault. See `spec/delegates.md`.

use crate::{
    bodies::{Delegation, DelegationEnd},
    problem::Problem,
};
pub use crate::{
    parts::delegation::{Power, Scope, SealedName},
    patient::VerifiedDelegation,
};

impl Delegation {
    /// Whether it holds at this time, in milliseconds since 1970 (DLG-5). Refused
    /// as `delegation-not-yet-valid` or `delegation-expired`.
    pub fn check_time(&self, now: u64) -> Result<(), Problem> {
        if now < self.not_before {
            return Err(Problem::DelegationNotYetValid);
        }
        if now >= self.not_after {
            return Err(Problem::DelegationExpired);
        }
        Ok(())
    }
}

impl DelegationEnd {
    /// Whether it ends this delegation.
    pub fn is_of(&self, delegation: &VerifiedDelegation) -> bool {
        self.patient_id == delegation.patient_id
            && self.delegation_id == delegation.delegation_id
            && self.delegation_hash == delegation.hash()
    }
}

#[cfg(test)]
mod tests;
