//! Delegations: what a patient lets another one do in her vault. See `spec/delegates.md`.

use std::ops::Deref;

use bytes::Bytes;

use crate::{
    Error,
    bodies::{Delegation, DelegationEnd},
    defence::Defence,
    field::Field,
    hash::Sha256Digest,
    ids::{CollectionId, PatientId},
    messages as pb,
    patient::{Device, PatientSigned, PatientVerified},
    permission::PermissionBody,
    problem::Problem,
};

/// What a delegate may do; the greater one includes the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// Read records.
    Read,
    /// Answer requests, too.
    Permit,
}

impl Field<i32> for Power {
    fn read(wire: i32, field: &'static str) -> Result<Self, Error> {
        match pb::DelegationPower::try_from(wire) {
            Ok(pb::DelegationPower::Read) => Ok(Self::Read),
            Ok(pb::DelegationPower::Permit) => Ok(Self::Permit),
            Ok(pb::DelegationPower::Unspecified) | Err(_) => Err(Error::Field { field }),
        }
    }

    fn write(&self) -> i32 {
        let power = match self {
            Self::Read => pb::DelegationPower::Read,
            Self::Permit => pb::DelegationPower::Permit,
        };
        power.into()
    }
}

/// The collections of a delegation, ascending; never `own` (DLG-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(Vec<CollectionId>);

impl Scope {
    /// Most collections of one delegation; a vault has no more.
    pub const MAX: usize = 64;

    /// Sorts the given collections, and drops those that stand there twice.
    ///
    /// # Errors
    /// [`Error::Field`] if there are none, too many, or `own` is among them.
    pub fn new(mut collections: Vec<CollectionId>) -> Result<Self, Error> {
        collections.sort_unstable();
        collections.dedup();
        Self::ascending(collections, "collections")
    }

    /// The collections.
    pub fn ids(&self) -> &[CollectionId] {
        &self.0
    }

    /// Whether this one is among them.
    pub fn has(&self, collection: CollectionId) -> bool {
        self.0.binary_search(&collection).is_ok()
    }

    fn ascending(collections: Vec<CollectionId>, field: &'static str) -> Result<Self, Error> {
        let formed = (1..=Self::MAX).contains(&collections.len())
            && collections.is_sorted_by(|a, b| a < b)
            && !collections.contains(&CollectionId::OWN);
        if formed {
            Ok(Self(collections))
        } else {
            Err(Error::Field { field })
        }
    }
}

impl Field<Vec<Bytes>> for Scope {
    fn read(wire: Vec<Bytes>, field: &'static str) -> Result<Self, Error> {
        Self::ascending(Field::read(wire, field)?, field)
    }

    fn write(&self) -> Vec<Bytes> {
        self.0.write()
    }
}

/// A name under a key: 64, 128 or 256 bytes, and what sealing adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedName(Bytes);

impl SealedName {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for SealedName {
    type Error = Error;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Error> {
        Self::read(bytes.into(), "sealed_name")
    }
}

impl Field<Bytes> for SealedName {
    fn read(wire: Bytes, field: &'static str) -> Result<Self, Error> {
        match wire.len() {
            136 | 200 | 328 => Ok(Self(wire)),
            _ => Err(Error::Field { field }),
        }
    }

    fn write(&self) -> Bytes {
        self.0.clone()
    }
}

/// A delegation by the owner's own device, whose parts fit together. Whether it has been ended, the server and the
/// owner know.
#[derive(Clone, Debug)]
pub struct VerifiedDelegation(PatientVerified<Delegation>);

impl VerifiedDelegation {
    /// Checks who signed it, and what it says (DLG-1, DLG-2).
    ///
    /// # Errors
    /// [`Error::Field`], [`Error::Mismatch`], [`Error::Signature`].
    pub fn verify(signed: PatientSigned<Delegation>) -> Result<Self, Error> {
        let delegation = signed.verify()?;
        if delegation.not_before >= delegation.not_after {
            return Err(Error::Field { field: "not_after" });
        }
        if delegation.patient_id == delegation.delegate_id {
            return Err(Error::Field { field: "delegate_id" });
        }
        Ok(Self(delegation))
    }

    /// The owner's device that signed.
    pub fn device(&self) -> &Device {
        self.0.device()
    }

    /// SHA-256 of the exact body.
    pub fn hash(&self) -> Sha256Digest {
        self.0.hash()
    }

    /// The statement again, to be passed on.
    pub fn signed(&self) -> PatientSigned<Delegation> {
        self.0.signed()
    }

    /// The message that carries it.
    pub fn to_message(&self) -> pb::PatientStatement {
        self.0.to_message()
    }

    /// Whether it is for a statement of this owner's that was made then (DLG-7, DLG-8).
    pub(crate) fn speaks_for(&self, owner: PatientId, made: u64, holds_until: u64) -> Result<(), Error> {
        let what = "delegation and statement";
        let hers = Defence::DelegationChain.holds(self.patient_id == owner);
        let permits = Defence::DelegationScope.holds(self.power == Power::Permit);
        let within = self.not_before <= made && made < self.not_after && holds_until <= self.not_after;
        if hers && permits && Defence::DelegationLife.holds(within) {
            Ok(())
        } else {
            Err(Error::Mismatch { what })
        }
    }

    /// Whether a permission may be given through it (DLG-7).
    pub(crate) fn check_permission(&self, body: &PermissionBody) -> Result<(), Error> {
        self.speaks_for(body.patient_id, body.created, body.not_after)?;
        let named = body.delegation == Some(self.hash()) && body.operator_id == self.operator_id;
        let covered =
            (body.collection.as_ref()).is_none_or(|selector| self.collections.has(selector.collection.id));
        if named && Defence::DelegationScope.holds(covered) {
            Ok(())
        } else {
            Err(Error::Mismatch {
                what: "delegation and permission",
            })
        }
    }
}

impl Deref for VerifiedDelegation {
    type Target = Delegation;

    fn deref(&self) -> &Delegation {
        &self.0
    }
}

impl Delegation {
    /// Whether it holds at this time, in milliseconds since 1970 (DLG-5).
    ///
    /// # Errors
    /// `delegation-not-yet-valid`, `delegation-expired`.
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
