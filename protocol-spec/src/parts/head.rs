//! How a vault head is named.

use crate::{Error, field::Field, hash::Sha256Digest, messages as pb};

/// A head as permissions and receipts name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRef {
    /// Counts the heads, from 0.
    pub sequence: u64,
    /// SHA-256 of its body.
    pub hash: Sha256Digest,
}

impl Field<pb::VaultHeadRef> for HeadRef {
    fn read(wire: pb::VaultHeadRef, field: &'static str) -> Result<Self, Error> {
        Ok(Self {
            sequence: wire.sequence,
            hash: Field::read(wire.hash, field)?,
        })
    }

    fn write(&self) -> pb::VaultHeadRef {
        pb::VaultHeadRef {
            sequence: self.sequence,
            hash: self.hash.write(),
        }
    }
}
