//! All that lies in the vault: by the index what it covers, and verified record by record what it
//! does not. See `protocol-spec/spec/index.md` §2.

use std::collections::{BTreeMap, HashMap, HashSet};

use crypto::DataKey;
use protocol_spec::{
    defence::Defence,
    ids::{CollectionId, RecordId, VersionId},
    index::IndexEntry,
    messages as pb,
    problem::Problem,
};

use crate::{
    Error, Result,
    pages::{Cursor, ListPage, Pages},
    patient::{
        adopting, catching_up,
        examine::{self, Examined},
        gone, heads,
        index::{self, Index},
        paged, ring, shown,
        terms::Selection,
        vault::Vault,
        wraps,
    },
};

/// A record as one of her devices has verified it, and the key that opens it.
pub(crate) struct OwnRecord {
    pub(crate) entry: IndexEntry,
    pub(crate) key: DataKey,
}

impl From<Examined> for OwnRecord {
    fn from(record: Examined) -> Self {
        Self {
            entry: IndexEntry::from(&record),
            key: record.key,
        }
    }
}

/// What lies in the vault.
pub(super) struct Listing {
    /// Records that verified, the oldest first.
    pub(super) entries: Vec<IndexEntry>,
    pub(super) refused: Vec<(RecordId, Error)>,
    /// Of what was verified just now.
    keys: HashMap<VersionId, DataKey>,
    /// Nothing waited to be taken in, so nothing can have gone from one list to the other while they were read.
    settled: bool,
}

/// What was verified just now, or not.
#[derive(Default)]
struct Fresh {
    entries: Vec<IndexEntry>,
    keys: HashMap<VersionId, DataKey>,
    refused: Vec<(RecordId, Error)>,
    /// Of the refused, those that are placed: an index that covers them must name them.
    unverified: HashMap<RecordId, VersionId>,
}

/// The chosen records of the vault with their keys, oldest first, and those of them that do not verify.
pub(crate) async fn own_records(
    vault: &Vault,
    chosen: &Selection,
) -> Result<(Vec<OwnRecord>, Vec<(RecordId, Error)>)> {
    let Listing {
        mut entries,
        mut refused,
        keys,
        ..
    } = listing(vault).await?;
    if let Selection::Records(ids) = chosen {
        let seen = catching_up::known_acts(vault).await?;
        if let Some(record) = ids.iter().copied().find(|id| seen.acts().is_gone(id)) {
            return Err(Error::RecordGone { record });
        }
        drop(seen);
        entries.retain(|entry| ids.contains(&entry.record_id));
        refused.retain(|(id, _)| ids.contains(id));
    }
    Ok((with_keys(vault, entries, keys).await?, refused))
}

/// One of her records, verified now, whatever the index says (IDX-6).
pub(super) async fn examine(vault: &Vault, record: RecordId) -> Result<Examined> {
    let Listing {
        entries, mut refused, ..
    } = listing(vault).await?;
    let Some(entry) = entries.iter().find(|entry| entry.record_id == record) else {
        let at = refused.iter().position(|(id, _)| *id == record);
        return match at {
            Some(at) => Err(refused.swap_remove(at).1),
            None => Err(gone::not_here(vault, record).await),
        };
    };
    adopting::own_record(vault, examine::shown(vault, entry.version_id).await?).await
}

/// All that lies in the vault, held against what has been done to it (VLT-5). What another device takes in between two of
/// the lists that are read here may stand in neither: they are then read once more.
pub(super) async fn listing(vault: &Vault) -> Result<Listing> {
    for _ in 1..MAX_TRIES {
        let before = catching_up::catch_up(vault).await?.acts().clone();
        let listing = list_all(vault).await?;
        shown::check_records(vault, &before, &listing.entries, &listing.refused).await?;
        // Another device has deleted it while this was read.
        let gone = |(_, error): &(RecordId, Error)| matches!(error, Error::RecordGone { .. });
        if listing.refused.iter().any(gone) {
            continue;
        }
        if Defence::VaultHeads.holds(listing.settled || has_all_placed(vault, &listing).await?) {
            // For what was taken in just now.
            heads::put_head_if_due(vault).await?;
            return Ok(listing);
        }
    }
    Err(Error::Usage(
        "other devices take in records all the time: try again later".into(),
    ))
}

/// Whether what was placed until now stands in a listing.
async fn has_all_placed(vault: &Vault, listing: &Listing) -> Result<bool> {
    let placed = catching_up::catch_up(vault).await?.acts().placements();
    let listed = listing.entries.iter().map(|entry| entry.record_id);
    let refused = listing.refused.iter().map(|(record, _)| *record);
    let shown: HashSet<_> = listed.chain(refused).collect();
    Ok(placed.keys().all(|record| shown.contains(record)))
}

/// All that lies in the vault: by the index, and what that does not cover, verified and adopted (IDX-5).
async fn list_all(vault: &Vault) -> Result<Listing> {
    let waiting = paged::arrival_pages(vault).next().await?;
    let settled = waiting.is_none_or(|page| page.records.is_empty());
    vault.placements.read()?;
    let mut index = index::read_index(vault).await?;
    let seen = catching_up::known_acts(vault).await?;
    index.leave_out(|record| !Defence::Deletions.is_off() && seen.acts().is_gone(record));
    drop(seen);
    index.doubt(|entry| {
        vault
            .placements
            .check(entry.record_id, Some(entry.number))
            .is_err()
    });
    let mut fresh = look_at_placed(vault, &index).await?;
    if covers(&index, &fresh) < index.placed && index.through() > 0 {
        // Somebody has left something out of the index, or has kept it from whoever wrote it.
        index.forget();
        fresh = look_at_placed(vault, &index).await?;
    }
    let complete = covers(&index, &fresh) >= index.placed;
    if !settled {
        look_at_all(vault, paged::arrival_pages(vault), &mut fresh).await?;
    }
    for entry in &fresh.entries {
        index.supersede(entry.clone());
    }
    index.unverified = fresh.unverified;
    let numbers = fresh.entries.iter().map(|entry| entry.number);
    let through = covered(index.last_placement, numbers);
    if complete {
        index::write_index(vault, &index, &fresh.entries, through).await?;
    }
    let mut entries: Vec<IndexEntry> = index.entries.into_values().collect();
    entries.sort_unstable_by_key(|entry| (entry.received, entry.version_id));
    for entry in &entries {
        vault.placements.note(entry.record_id, entry.number)?;
    }
    vault.placements.keep().await?;
    Ok(Listing {
        entries,
        refused: fresh.refused,
        keys: fresh.keys,
        settled,
    })
}

/// What was placed since the index, and what did not verify when that was written and may do so now.
async fn look_at_placed(vault: &Vault, index: &Index) -> Result<Fresh> {
    let mut fresh = Fresh::default();
    for (record, version) in &index.unverified {
        match examine::shown(vault, *version).await {
            Ok(message) => look_at(vault, message, &mut fresh).await?,
            Err(error @ Error::Refused { .. }) => {
                fresh.refused.push((*record, error));
                fresh.unverified.insert(*record, *version);
            }
            Err(error) => return Err(error),
        }
    }
    if index.last_placement > index.through() {
        let placed = paged::placed_pages(vault).behind(index.through());
        look_at_all(vault, placed, &mut fresh).await?;
    }
    Ok(fresh)
}

async fn look_at_all<C: Cursor>(
    vault: &Vault,
    mut pages: Pages<'_, pb::VaultPage, C>,
    fresh: &mut Fresh,
) -> Result<()>
where
    pb::VaultPage: ListPage<C>,
{
    while let Some(page) = pages.next().await? {
        for record in page.records {
            look_at(vault, record, fresh).await?;
            // One refusal says it of all: the server takes nothing in until there is space again.
            let full = |(_, error): &(RecordId, Error)| error.is_problem(Problem::StorageFull);
            if fresh.refused.last().is_some_and(full) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Verifies one record, and notes what came of it.
async fn look_at(vault: &Vault, message: pb::VaultRecord, fresh: &mut Fresh) -> Result<()> {
    let stored = message.record.clone().unwrap_or_default();
    let record = RecordId::try_from(stored.record_id.as_ref())?;
    let version = VersionId::try_from(stored.version_id.as_ref())?;
    let placed = message.placement.is_some();
    match adopting::own_record(vault, message).await {
        Ok(examined) => {
            fresh.entries.push(IndexEntry::from(&examined));
            fresh.keys.insert(version, examined.key);
        }
        // What fails on this side says nothing about the record (OPR-8).
        Err(error) if error.is_of_this_side() => return Err(error),
        Err(error) => {
            fresh.refused.push((record, error));
            if placed {
                fresh.unverified.insert(record, version);
            }
        }
    }
    Ok(())
}

/// All versions in the vault, as the server shows them, unverified.
pub(super) async fn shown_versions(vault: &Vault) -> Result<Vec<(RecordId, VersionId)>> {
    let (mut shown, mut placed, mut arrivals) = (
        Vec::new(),
        paged::placed_pages(vault),
        paged::arrival_pages(vault),
    );
    while let Some(page) = placed.next().await? {
        shown.extend(page.records);
    }
    while let Some(page) = arrivals.next().await? {
        shown.extend(page.records);
    }
    let ids = shown.into_iter().map(|record| {
        let stored = record.record.unwrap_or_default();
        Ok((
            RecordId::try_from(stored.record_id.as_ref())?,
            VersionId::try_from(stored.version_id.as_ref())?,
        ))
    });
    let ids: Result<_, protocol_spec::Error> = ids.collect();
    ids.map_err(Error::tampered("a record"))
}

/// The records with their data keys, in the same order: those that are known, and the others as the server has them
/// wrapped under the current keys of their collections.
async fn with_keys(
    vault: &Vault,
    entries: Vec<IndexEntry>,
    mut keys: HashMap<VersionId, DataKey>,
) -> Result<Vec<OwnRecord>> {
    let mut missing: BTreeMap<CollectionId, BTreeMap<u64, VersionId>> = BTreeMap::new();
    for entry in entries
        .iter()
        .filter(|entry| !keys.contains_key(&entry.version_id))
    {
        let numbers = missing.entry(entry.collection_id).or_default();
        numbers.insert(entry.number, entry.version_id);
    }
    for (collection, numbers) in missing {
        unwrap_keys(vault, collection, numbers, &mut keys).await?;
    }
    let mut own = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = match keys.remove(&entry.version_id) {
            Some(key) => key,
            // Moved meanwhile, or not yet under the current key.
            None => {
                adopting::own_record(vault, examine::shown(vault, entry.version_id).await?)
                    .await?
                    .key
            }
        };
        own.push(OwnRecord { entry, key });
    }
    Ok(own)
}

/// Unwraps the data keys of these placements in a collection, as far as they lie under its current key.
async fn unwrap_keys(
    vault: &Vault,
    collection: CollectionId,
    mut numbers: BTreeMap<u64, VersionId>,
    keys: &mut HashMap<VersionId, DataKey>,
) -> Result<()> {
    let current =
        |ring: &crate::patient::vault::ring::Ring| ring.current(collection).map(|(current, _)| current);
    let Some(current) = ring::in_ring(vault, current).await? else {
        return Ok(());
    };
    while let Some((first, _)) = numbers.first_key_value() {
        let first = *first;
        let page = wraps::wraps(vault, current, first.saturating_sub(1), numbers.len()).await?;
        let Some(last) = page.wraps.last().map(|wrap| wrap.number) else {
            return Ok(());
        };
        if last < first {
            return Err(Error::tampered("a list of wrapped keys")("it goes back"));
        }
        for wrap in &page.wraps {
            let wanted = numbers.get(&wrap.number);
            let Some(version) = wanted.filter(|version| version.as_bytes()[..] == wrap.version_id) else {
                continue;
            };
            keys.insert(
                *version,
                wraps::unwrapped(vault, &wrap.data_key_wrap, *version, current).await?,
            );
        }
        numbers.retain(|number, _| *number > last);
    }
    Ok(())
}

/// Each failure is another device's success.
const MAX_TRIES: usize = 8;

/// How many placed records are known, verified or not.
fn covers(index: &Index, fresh: &Fresh) -> u64 {
    let verified = fresh.entries.iter().map(|entry| entry.record_id);
    let all = index.entries.keys().copied().chain(verified);
    let all: HashSet<RecordId> = all.chain(fresh.unverified.keys().copied()).collect();
    u64::try_from(all.len()).unwrap_or(u64::MAX)
}

/// The last placement such that all up to it are covered: those that the server had when the index was read, and those
/// that this device has made since without a gap.
fn covered(last_placement: u64, numbers: impl Iterator<Item = u64>) -> u64 {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers.into_iter().fold(last_placement, |covered, number| {
        if number == covered + 1 { number } else { covered }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IDX-2: a number that is missing may be another device's.
    #[test]
    fn what_is_covered_ends_before_the_first_gap() {
        for (last, numbers, wanted) in [
            (5, vec![], 5),
            (5, vec![2, 4], 5),
            (5, vec![7, 6], 7),
            (5, vec![6, 8], 6),
            (5, vec![7, 8], 5),
            (0, vec![1, 2, 3], 3),
        ] {
            assert_eq!(covered(last, numbers.clone().into_iter()), wanted, "{numbers:?}");
        }
    }
}
