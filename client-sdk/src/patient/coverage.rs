//! What conditions come to before anything is signed under them: how many records they let through, how many not, and why (CND-14).

use std::collections::BTreeMap;

use protocol_spec::{
    attributes::Attributes,
    conditions::{Conditions, Misfit},
    ids::CollectionId,
    index::IndexEntry,
};

use crate::{
    Result,
    patient::{listing, terms::Selection, vault::Vault},
};

/// Of the records that are there now, what conditions let through.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Coverage {
    /// How many of the records fit.
    pub covered: usize,
    /// Bytes of their sealed streams.
    #[serde(rename = "covered_bytes")]
    pub bytes: u64,
    /// Records that do not fit, by the first condition that does not hold.
    #[serde(rename = "not_covered")]
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

pub(super) async fn coverage(vault: &Vault, of: &Selection, conditions: &Conditions) -> Result<Coverage> {
    let listing = listing::listing(vault).await?;
    let chosen = |entry: &&IndexEntry| match of {
        Selection::Records(ids) => ids.contains(&entry.record_id),
        Selection::All => true,
    };
    Ok(Coverage::of(listing.entries.iter().filter(chosen), conditions))
}

pub(super) async fn coverage_in(
    vault: &Vault,
    of: CollectionId,
    conditions: &Conditions,
) -> Result<Coverage> {
    let listing = listing::listing(vault).await?;
    let entries = listing.entries.iter().filter(|entry| entry.collection_id == of);
    Ok(Coverage::of(entries, conditions))
}
