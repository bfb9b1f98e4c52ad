//! For whom something is done: a delegate for a patient, an institution or its terminal, a sender of leaves.

use protocol_spec::{
    bodies::Delegation,
    defence::Defence,
    hash::Sha256Digest,
    ids::{CollectionId, DeviceId, InstitutionId, PatientId, TerminalId},
    keys::IdentityKey,
    messages as pb,
};

/// A patient who acts for another one.
#[derive(Clone, Debug)]
pub struct Acting {
    pub(in crate::vault) id: PatientId,
    pub(in crate::vault) device: DeviceId,
    pub(in crate::vault) key: IdentityKey,
    /// As its owner signed it, which was verified before it was stored.
    pub(in crate::vault) delegation: Delegation,
    /// SHA-256 of the body of the delegation.
    pub(in crate::vault) hash: Sha256Digest,
    /// What she asks, as she signed it.
    pub(in crate::vault) request: pb::Evidence,
}

impl Acting {
    /// The patient for whom she acts.
    pub(in crate::vault) fn owner(&self) -> PatientId {
        self.delegation.patient_id
    }

    pub(in crate::vault) fn has(&self, collection: CollectionId) -> bool {
        Defence::DelegationScope.holds(self.delegation.collections.has(collection))
    }
}

/// For whom a session goes on: an institution, and the terminal that acts for it, if one does.
#[derive(Clone, Copy, Debug)]
pub(in crate::vault) struct Holder {
    pub(in crate::vault) institution: InstitutionId,
    pub(in crate::vault) terminal: Option<TerminalId>,
}

/// Who sends to a session.
#[derive(Clone, Copy, Debug)]
pub(in crate::vault) enum Sender {
    /// Under an upload permission.
    Institution(Holder),
    /// One of her devices, what it seals anew.
    Patient(PatientId),
}
