//! A collection in an epoch of its key, and what of it a permission is for.

use crate::{Error, declare::fields, field::Field, ids::CollectionId, messages as pb};

fields! {
    /// A collection of a vault, in one epoch of its key.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
    Collection: ClosedEpoch {
        #[serde(rename = "collection_id")]
        (collection_id) id: CollectionId,
        /// Counts the collection's keys, from 0.
        epoch: u64,
    }
}

impl Collection {
    /// The collection that every vault has, under its first key.
    pub const DEFAULT: Self = Self {
        id: CollectionId::DEFAULT,
        epoch: 0,
    };
}

/// The records of a collection that a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionSelector {
    /// Which collection, and the epoch whose key the permission wraps.
    pub collection: Collection,
    /// Number of the last placement that is covered; none: also those that come later.
    pub until: Option<u64>,
}

impl Field<pb::CollectionSelector> for CollectionSelector {
    fn read(wire: pb::CollectionSelector, field: &'static str) -> Result<Self, Error> {
        let pb::CollectionSelector {
            collection_id,
            epoch,
            until,
        } = wire;
        let id = Field::read(collection_id, field)?;
        // COL-9
        if id == CollectionId::OWN {
            return Err(Error::Field { field });
        }
        Ok(Self {
            collection: Collection { id, epoch },
            until: (until != 0).then_some(until),
        })
    }

    fn write(&self) -> pb::CollectionSelector {
        pb::CollectionSelector {
            collection_id: self.collection.id.write(),
            epoch: self.collection.epoch,
            until: self.until.unwrap_or_default(),
        }
    }
}

impl CollectionSelector {
    /// Whether a record placed so is covered (COL-6).
    pub fn covers(&self, collection: CollectionId, number: u64) -> bool {
        self.collection.id == collection && self.until.is_none_or(|until| number <= until)
    }
}
