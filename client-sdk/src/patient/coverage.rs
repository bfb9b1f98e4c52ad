//! What conditions come to before anything is signed under them: how many records they let through, how many not, and why (CND-14).

use std::collections::BTreeMap;

use protocol_spec::{
    attributes::Attributes,
    conditions::{Conditions, Misfit},
    ids::CollectionId,
    index::IndexEntry,
};

use super::{Patient, Selection};
use crate::Result;

/// Of the records that are there now, what conditions let through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Records that fit.
    pub covered: usize,
    /// Bytes of their sealed streams.
    pub bytes: u64,
    /// Records that do not fit, by the first condition that does not hold.
    pub misfits: BTreeMap<Misfit, usize>,
}

impl Coverage {
    fn of<'a>(entries: impl Iterator<Item = &'a IndexEntry>, conditions: &Conditions) -> Self {
        let mut coverage = Self::default();
        for entry in entries {
            match conditions.check(&Attributes::of(&entry.parts)) {
                Ok(()) => {
                    coverage.covered += 1;
                    coverage.bytes = coverage.bytes.saturating_add(entry.stream_len);
                }
                Err(misfit) => *coverage.misfits.entry(misfit).or_default() += 1,
            }
        }
        coverage
    }

    /// Records that do not fit.
    pub fn left_out(&self) -> usize {
        self.misfits.values().sum()
    }
}

impl Patient {
    /// How many of these records fit the conditions.
    ///
    /// # Errors
    /// Of the connection.
    pub async fn coverage(&self, of: &Selection, conditions: &Conditions) -> Result<Coverage> {
        let listing = self.listing().await?;
        let chosen = |entry: &&IndexEntry| match of {
            Selection::Records(ids) => ids.contains(&entry.record_id),
            Selection::All => true,
        };
        Ok(Coverage::of(listing.entries.iter().filter(chosen), conditions))
    }

    /// How many of the records that lie in a collection now fit the conditions.
    ///
    /// # Errors
    /// Of the connection.
    pub async fn coverage_in(&self, of: CollectionId, conditions: &Conditions) -> Result<Coverage> {
        let listing = self.listing().await?;
        let entries = listing.entries.iter().filter(|entry| entry.collection_id == of);
        Ok(Coverage::of(entries, conditions))
    }
}
