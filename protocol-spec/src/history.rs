//! What happened to a vault, entry after entry, each held against those before it: a presentation against the permission, a
//! receipt against the presentation that opened its session, a revocation against what it ends. One walk for the patient who
//! reads her whole history, and for a stranger who is shown the [`case`](crate::case) of one permission.
//!
//! The walk is given statements that their makers' keys have verified; presentations it verifies itself, because it knows the
//! possession keys. Whose devices and which institutions are believed, [`Grounds`] say. Each step of it is refused with
//! [`Error::History`] where it does not go with those before it, or with what the grounds say.
//!
//! | module | holds |
//! |---|---|
//! | `consent` | requests, permissions, revocations |
//! | `moved` | presentations, and what was stored, released and deleted |
//! | `emergencies` | openings, and the helps that come before them |
//! | `delegates` | delegations, their ends, and what was read through them |

mod consent;
mod delegates;
mod emergencies;
mod moved;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub use self::{consent::AskedFor, delegates::GivenDelegation, moved::SessionTicket};
use self::{delegates::Delegations, emergencies::Emergencies, moved::Sessions};
use crate::{
    Error,
    delegation::VerifiedDelegation,
    directory::Institution,
    hash::Sha256Digest,
    ids::{InstitutionId, PatientId, PermissionId, RecordId, VersionId},
    lifecycle::ShownUses,
    patient::Device,
    permission::VerifiedPermission,
};

/// Whose word a history rests on.
pub trait Grounds {
    /// Fails unless a device of the patient's may have signed what is read now.
    fn device(&self, device: &Device) -> Result<(), Error>;

    /// Fails unless a delegate may have signed what is read now. `stands` says whether her delegation comes before it in this
    /// history, has not ended there, and held when the server received it.
    fn delegation(&self, delegation: &VerifiedDelegation, stands: bool) -> Result<(), Error>;

    /// The directory's entry of the institution that presents, by which its keys are believed.
    fn presenter(&self, permission: &VerifiedPermission, id: InstitutionId) -> Result<&Institution, Error>;
}

/// A history, as far as it was read.
#[derive(Debug)]
pub struct Walk<G> {
    /// Whose word it rests on.
    pub grounds: G,
    /// What was proven so far.
    pub counts: ProvenCounts,
    patient: PatientId,
    requests: HashMap<Sha256Digest, AskedFor>,
    permissions: BTreeMap<PermissionId, UsedPermission>,
    delegations: Delegations,
    emergencies: Emergencies,
    sessions: Sessions,
    /// Presentations, by the hashes of their evidence.
    presentations: HashSet<Sha256Digest>,
    /// Versions that were stored and are there, and of which record.
    stored: BTreeMap<VersionId, RecordId>,
    /// Who had stored what, and the hash of the receipt.
    receipts: BTreeMap<VersionId, (InstitutionId, Sha256Digest)>,
    gone: BTreeSet<RecordId>,
}

/// A permission, and what was done under it.
#[derive(Debug)]
pub struct UsedPermission {
    /// What was permitted, and to whom.
    pub permission: VerifiedPermission,
    /// Presentations, spent uses and open releases.
    pub uses: ShownUses,
    /// Whether it was revoked so far.
    pub revoked: bool,
    /// Stored or released under it.
    bytes: u64,
}

/// How much of a history has been proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProvenCounts {
    /// Statements of the patient's devices and of institutions, each by its maker's signature.
    pub statements: u64,
    /// Presentations, each by both of its signatures.
    pub presentations: u64,
    /// Receipts and tickets of the server, each by its signature and its place in the log.
    pub receipts: u64,
    /// Entries of the log under which the newest of them stands.
    pub log_size: u64,
}

impl<G: Grounds> Walk<G> {
    /// Begins before the first entry of this patient's history.
    pub fn new(patient: PatientId, grounds: G) -> Self {
        Self {
            grounds,
            counts: ProvenCounts::default(),
            patient,
            requests: HashMap::new(),
            permissions: BTreeMap::new(),
            delegations: Delegations::default(),
            emergencies: Emergencies::default(),
            sessions: Sessions::default(),
            presentations: HashSet::new(),
            stored: BTreeMap::new(),
            receipts: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    /// All permissions that were given so far.
    pub fn permissions(&self) -> &BTreeMap<PermissionId, UsedPermission> {
        &self.permissions
    }

    /// A permission, which must come before what is read now.
    pub fn permission(&self, id: PermissionId) -> Result<&VerifiedPermission, Error> {
        let permitted = self.permissions.get(&id).ok_or(NO_PERMISSION)?;
        Ok(&permitted.permission)
    }

    /// Versions that were stored, neither deleted nor replaced since, and of which record each is.
    pub fn stored_versions(&self) -> &BTreeMap<VersionId, RecordId> {
        &self.stored
    }

    /// Records that were deleted or taken back.
    pub fn gone_records(&self) -> &BTreeSet<RecordId> {
        &self.gone
    }

    /// A device of the patient's signed something that has no part in what is counted here.
    pub fn device_signed(&self, device: &Device) -> Result<(), Error> {
        self.grounds.device(device)
    }

    fn permitted_mut(&mut self, id: PermissionId) -> Result<&mut UsedPermission, Error> {
        self.permissions.get_mut(&id).ok_or(NO_PERMISSION)
    }

    /// Whether a device of the patient's, or a delegate at this time, may have signed what is read now (DLG-9).
    fn signer(&self, device: &Device, delegation: Option<&VerifiedDelegation>, at: u64) -> Result<(), Error> {
        match delegation {
            None => self.grounds.device(device),
            Some(delegation) => {
                let stands = self.delegations.stands(delegation, at);
                self.grounds.delegation(delegation, stands)
            }
        }
    }

    fn of_patient(&self, patient: PatientId) -> Result<(), Error> {
        ensure(patient == self.patient, "it is about somebody else")
    }

    /// Whether this institution may act under a permission: it is named there, or has opened it in an emergency.
    fn held(&self, permission: &VerifiedPermission, by: InstitutionId) -> Result<(), Error> {
        let holds = self.emergencies.may_hold(permission, by);
        ensure(holds, "another institution was permitted")
    }

    fn count_receipt(&mut self, log_size: u64) {
        self.counts.receipts += 1;
        self.counts.log_size = self.counts.log_size.max(log_size);
    }
}

const NO_PERMISSION: Error = Error::History {
    rule: "its permission does not come before it",
};

fn ensure(holds: bool, rule: &'static str) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::History { rule })
    }
}

#[cfg(test)]
pub(crate) mod story;
#[cfg(test)]
mod tests;
