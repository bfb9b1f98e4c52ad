//! What a delegate may do, with which collections, and what her owner calls her.

use bytes::Bytes;

use crate::{Error, field::Field, ids::CollectionId, messages as pb};

/// What a delegate may do; the greater one includes the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Read the records of the named collections.
    Read,
    /// Answer requests for them, too.
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

    /// Sorts the given collections, and drops those that stand there twice. Fails with [`Error::Field`] if there are
    /// none, too many, or `own` is among them.
    pub fn new(mut collections: Vec<CollectionId>) -> Result<Self, Error> {
        collections.sort_unstable();
        collections.dedup();
        Self::ascending(collections, "collections")
    }

    /// The collections, in ascending order.
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
    /// The sealed bytes, as they stand in the body.
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
