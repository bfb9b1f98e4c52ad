//! Delegations in a history: given once, ended once, and what delegates' devices have signed to read a record. The rules
//! are in `spec/delegates.md` §4.

use std::collections::{HashMap, HashSet};

use prost::Message;

use super::{Grounds, Walk, ensure};
use crate::{
    Error,
    bodies::DelegationEnd,
    defence::Defence,
    delegation::VerifiedDelegation,
    hash::Sha256Digest,
    ids::{RecordId, VersionId},
    keys::IdentityKey,
    messages as pb,
    patient::{DeviceChain, PatientVerified},
};

/// A delegation that a history has.
#[derive(Debug)]
pub struct GivenDelegation {
    /// What the patient has signed.
    pub delegation: VerifiedDelegation,
    /// Whether she has ended it.
    pub ended: bool,
}

/// What was met of delegations.
#[derive(Debug, Default)]
pub(super) struct Delegations {
    /// By the hashes of their statements.
    given: HashMap<Sha256Digest, GivenDelegation>,
    /// Requests to read that delegates have signed, by their hashes.
    requests: HashSet<Sha256Digest>,
}

impl Delegations {
    /// Whether a delegation was given before, has not ended, and holds at this time.
    pub(super) fn stands(&self, delegation: &VerifiedDelegation, at: u64) -> bool {
        let before = self.given.get(&delegation.hash());
        before.is_some_and(|before| !before.ended) && delegation.check_time(at).is_ok()
    }
}

impl<G: Grounds> Walk<G> {
    /// All delegations that were given so far.
    pub fn delegations(&self) -> impl Iterator<Item = &GivenDelegation> {
        self.delegations.given.values()
    }

    /// A delegation by the hash of its statement, which must come before what is read now.
    pub fn delegation(&self, hash: &Sha256Digest) -> Result<&VerifiedDelegation, Error> {
        let given = self.delegations.given.get(hash).ok_or(NO_DELEGATION)?;
        Ok(&given.delegation)
    }

    /// The patient let another one act for her.
    pub fn delegated(&mut self, delegation: VerifiedDelegation) -> Result<(), Error> {
        self.of_patient(delegation.patient_id)?;
        self.grounds.device(delegation.device())?;
        let (hash, ended) = (delegation.hash(), false);
        let first = !self.delegations.given.contains_key(&hash);
        ensure(first, "it stands here a second time")?;
        let given = GivenDelegation { delegation, ended };
        self.delegations.given.insert(hash, given);
        self.counts.statements += 1;
        Ok(())
    }

    /// She ended a delegation that comes before.
    pub fn delegation_ended(&mut self, end: &PatientVerified<DelegationEnd>) -> Result<(), Error> {
        self.of_patient(end.patient_id)?;
        self.grounds.device(end.device())?;
        let given = self.delegations.given.get_mut(&end.delegation_hash);
        let given = given.ok_or(NO_DELEGATION)?;
        ensure(end.is_of(&given.delegation), "it is the end of another one")?;
        ensure(!given.ended, "its delegation has ended before")?;
        given.ended = true;
        self.counts.statements += 1;
        Ok(())
    }

    /// A delegate asked at `at` for a record that was stored; her device has signed the request (DLG-11). Gives the delegation
    /// by which she did, and the record.
    pub fn delegate_read(
        &mut self,
        read: &pb::DelegateRead,
        at: u64,
    ) -> Result<(VerifiedDelegation, RecordId), Error> {
        let hash = Sha256Digest::try_from(read.delegation_hash.as_ref())?;
        let version = VersionId::try_from(read.version_id.as_ref())?;
        let delegation = self.delegation(&hash)?.clone();
        let device = DeviceChain::try_from(read.device.clone())?.verify(delegation.delegate_id)?;
        self.signer(&device, Some(&delegation), at)?;
        let evidence = read.evidence.clone().unwrap_or_default();
        Defence::DelegateReads.check(asked_to_read(&evidence, device.key(), &delegation, version))?;
        let request = Sha256Digest::of(&evidence.encode_to_vec());
        let first = self.delegations.requests.insert(request);
        ensure(
            Defence::DelegateReads.holds(first),
            "her request stands before it already",
        )?;
        let record = self.stored.get(&version).copied().ok_or(Error::History {
            rule: "the record that she read was never stored",
        })?;
        self.counts.statements += 1;
        Ok((delegation, record))
    }
}

/// Whether this key has signed a request for leaves of this version, through this delegation.
fn asked_to_read(
    evidence: &pb::Evidence,
    key: &IdentityKey,
    delegation: &VerifiedDelegation,
    version: VersionId,
) -> Result<(), Error> {
    let signature = evidence.signature_id.as_ref().try_into();
    let signature = signature.map_err(|_| Error::Field { field: "signature" })?;
    key.verify(&evidence.signature_base_id, signature)?;
    let base = std::str::from_utf8(&evidence.signature_base_id).unwrap_or_default();
    let path = format!("\"@path\": /v1/vault/records/{version}/leaves\n");
    let named = format!("\n\"medvault-delegation\": {}\n", delegation.delegation_id);
    ensure(
        base.contains(&path) && base.contains(&named),
        "her request is another one",
    )
}

const NO_DELEGATION: Error = Error::History {
    rule: "its delegation does not come before it",
};
