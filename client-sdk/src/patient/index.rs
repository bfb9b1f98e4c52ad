//! The index of her vault: what one device has verified, read and continued by the others. It only saves time; what
//! does not hold is as good as not there. See `protocol-spec/spec/index.md`.

use std::collections::HashMap;

use crypto::Collection;
use prost::Message;
use protocol_spec::{
    api::{self, PageQuery},
    bodies::IndexSegment,
    hash::Sha256Digest,
    ids::{CollectionId, RecordId, VersionId},
    index::{IndexEntry, IndexHead, SegmentContent},
    messages as pb,
    problem::Problem,
    submitted::{self, Submitted},
};

use crate::{
    Error, Result,
    pages::Whole,
    patient::{catching_up, listed, ring, shown, vault::Vault},
};

/// What may be used of the index.
pub(super) struct Index {
    /// The newest of each record.
    pub(super) entries: HashMap<RecordId, IndexEntry>,
    /// What did not verify when the index was written.
    pub(super) unverified: HashMap<RecordId, VersionId>,
    /// The number of the vault's last placement, before anything else was read.
    pub(super) last_placement: u64,
    /// How many records were placed then, by the acts or by the server, whichever says more.
    pub(super) placed: u64,
    head: IndexHead,
}

impl Index {
    /// Of all placements up to this one, those that still hold are in the entries.
    pub(super) fn through(&self) -> u64 {
        self.head.through
    }

    fn add(&mut self, head: IndexHead, content: SegmentContent) {
        self.head = head;
        for (record, version) in content.unverified {
            self.unverified.insert(record, version);
        }
        for entry in content.entries {
            self.unverified.remove(&entry.record_id);
            self.supersede(entry);
        }
    }

    /// Puts an entry in, unless there is a newer one (IDX-5).
    pub(super) fn supersede(&mut self, entry: IndexEntry) {
        let before = self.entries.get(&entry.record_id);
        if before.is_none_or(|before| before.number <= entry.number) {
            self.entries.insert(entry.record_id, entry);
        }
    }

    /// Has it say nothing of some records (DEL-5).
    pub(super) fn leave_out(&mut self, which: impl Fn(&RecordId) -> bool) {
        self.entries.retain(|record, _| !which(record));
        self.unverified.retain(|record, _| !which(record));
    }

    /// Has what it says of some records verified as if it said nothing.
    pub(super) fn doubt(&mut self, mut doubted: impl FnMut(&IndexEntry) -> bool) {
        let entries = self.entries.extract_if(|_, entry| doubted(entry));
        self.unverified
            .extend(entries.map(|(record, entry)| (record, entry.version_id)));
    }

    /// Whether it is in more pieces than it need be.
    fn is_in_pieces(&self) -> bool {
        self.head.segments > 64 + u64::try_from(self.entries.len() / 100).unwrap_or_default()
    }

    /// Forgets all of it: nothing is covered, and what is written next takes its place.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.unverified.clear();
        // Its number counts for nothing, and is the server's word when there is no segment.
        self.head = IndexHead::begin(self.head.generation.saturating_add(1));
    }
}

/// Reads the index, as far as it may be used (IDX-4).
pub(super) async fn read_index(vault: &Vault) -> Result<Index> {
    let before = catching_up::known_acts(vault).await?.acts().clone();
    let mut page = index_page(vault, 0).await?;
    let last_placement = shown::last_placement(vault, before.last_placement(), page.last_placement).await?;
    let placed = u64::try_from(before.placements().len()).unwrap_or(u64::MAX);
    let mut index = Index {
        entries: HashMap::new(),
        unverified: HashMap::new(),
        last_placement,
        // What was placed is not less for a server that says so: what is written must not cover what was
        // withheld.
        placed: page.placed.max(placed),
        head: IndexHead::begin(page.generation),
    };
    // The lists as they were when the page was made: a device may have been removed.
    listed::known_epoch(vault, page.root_epoch).await?;
    let mut whole = Whole::new("the index");
    loop {
        whole.add(page.segments.len(), page.encoded_len())?;
        for segment in &page.segments {
            let read = match submitted::SignedSegment::read(segment.clone()) {
                Ok(segment) => read_segment(vault, segment, &index).await,
                Err(error) => Err(tampered(error)),
            };
            match read {
                Ok((head, content)) => index.add(head, content),
                Err(error) if error.is_of_this_side() => return Err(error),
                // Begun anew by what is verified now alone: nobody vouches for another device's word.
                Err(_) => {
                    index.forget();
                    return Ok(index);
                }
            }
        }
        if !page.more || page.segments.is_empty() {
            if index.is_in_pieces() {
                index.forget();
            }
            return Ok(index);
        }
        page = index_page(vault, index.head.segments).await?;
    }
}

async fn index_page(vault: &Vault, after: u64) -> Result<pb::IndexPage> {
    let path = api::INDEX.ask([], PageQuery::behind_entry(after));
    vault.get(path).await
}

async fn read_segment(
    vault: &Vault,
    segment: submitted::SignedSegment,
    index: &Index,
) -> Result<(IndexHead, SegmentContent)> {
    let signed = segment.head.verify().map_err(tampered)?;
    let device = signed.device();
    let known = listed::known_device(vault, device).await?;
    let counts = signed.patient_id == vault.id()
        && known.newest().device(device.id()).is_some()
        && signed.through <= index.last_placement;
    if !counts {
        return Err(tampered("it is not by one of her devices"));
    }
    let head = index.head.then(&signed).map_err(tampered)?;
    let own = Collection {
        id: CollectionId::OWN,
        epoch: signed.epoch,
    };
    let open = |ring: &crate::patient::vault::ring::Ring| {
        Some(ring.key(own)?.open_index_segment(&signed, &segment.sealed))
    };
    let content = ring::in_ring(vault, open).await?;
    let content = content
        .ok_or_else(|| tampered("its key is gone"))?
        .map_err(tampered)?;
    Ok((head, SegmentContent::decode(&content).map_err(tampered)?))
}

/// Writes down what was verified now, if it is worth it: entries up to placement `through`, which are all that were placed
/// since the index, and what did not verify. What another device has written meanwhile stays.
pub(super) async fn write_index(
    vault: &Vault,
    index: &Index,
    fresh: &[IndexEntry],
    through: u64,
) -> Result<()> {
    if fresh.len() < WORTH_WRITING {
        return Ok(());
    }
    let mut head = index.head;
    let mut entries: Vec<&IndexEntry> = fresh.iter().collect();
    entries.retain(|entry| entry.number <= through);
    entries.sort_unstable_by_key(|entry| entry.number);
    let mut segments = SegmentContent::split(&entries, SEGMENT);
    let unverified = index
        .unverified
        .iter()
        .map(|(record, version)| (*record, *version));
    // What holds for all of them comes first: whoever reads less than all of it knows too much, not too little.
    if let Some(first) = segments.first_mut() {
        first.unverified = unverified.collect();
    }
    let last = segments.len();
    for (number, segment) in (1..).zip(&segments) {
        // Up to the last one, the segment's own entries say how far it goes.
        let upto = segment.entries.last().map_or(0, |entry| entry.number);
        let upto = if number == last { through } else { upto };
        match put_segment(vault, head, segment, upto.max(head.through)).await {
            Ok(after) => head = after,
            // It has grown by what holds no more: the next reader verifies all of it, and writes that down anew (ACC-7).
            Err(error) if is_full(&error) && !index.entries.is_empty() => {
                let anew = IndexHead::begin(head.generation + 1);
                drop(put_segment(vault, anew, &SegmentContent::default(), 0).await);
                return Ok(());
            }
            // Another device was there first, or the server has no space: nothing is lost by it.
            Err(Error::Refused { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Has the index begin anew if it says something of a record: its segments hold the names of files (DEL-5). Where that cannot
/// be done now, the next deletion does it.
pub(super) async fn forget_in_index(vault: &Vault, record: RecordId) -> Result<()> {
    let index = read_index(vault).await?;
    if !index.entries.contains_key(&record) && !index.unverified.contains_key(&record) {
        return Ok(());
    }
    let anew = IndexHead::begin(index.head.generation.saturating_add(1));
    match put_segment(vault, anew, &SegmentContent::default(), 0).await {
        Err(Error::Refused { .. }) => Ok(()),
        done => done.map(drop),
    }
}

async fn put_segment(
    vault: &Vault,
    head: IndexHead,
    content: &SegmentContent,
    through: u64,
) -> Result<IndexHead> {
    let mut body = IndexSegment {
        created: vault.session.system().now_ms(),
        patient_id: vault.id(),
        generation: head.generation,
        number: head.segments,
        previous: head.last,
        through,
        epoch: 0,
        sealed_hash: Sha256Digest::from_bytes([0; 32]),
    };
    let content = content.encode();
    let sealed = {
        let ring = vault.ring.get();
        let (own, key) = ring
            .current(CollectionId::OWN)
            .ok_or_else(ring::no_own_collection)?;
        body.epoch = own.epoch;
        key.seal_index_segment(vault.session.system(), &mut body, &content)?
    };
    let after = head.then(&body).map_err(tampered)?;
    let message = submitted::SignedSegment {
        head: vault.keys.statement(body),
        sealed: sealed.into(),
    };
    vault.post(api::PUT_SEGMENT.here(), &message).await?;
    Ok(after)
}

fn is_full(error: &Error) -> bool {
    error.is_problem(Problem::StorageBudget) || error.is_problem(Problem::TooMany)
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the index")(cause)
}

/// Entries that are verified faster than written down and read.
const WORTH_WRITING: usize = 64;
/// Bytes of the entries of a segment, if more than one fits.
const SEGMENT: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use protocol_spec::{
        hash::ContentRoot,
        ids::{InstitutionId, PermissionId},
    };

    use super::*;

    fn entry(record: u8, number: u64) -> IndexEntry {
        IndexEntry {
            number,
            record_id: RecordId::from_bytes([record; 16]),
            version_id: VersionId::from_bytes([record; 16]),
            collection_id: CollectionId::DEFAULT,
            content_root: ContentRoot::from_bytes([3; 32]),
            stream_len: 4,
            received: 5,
            institution_id: InstitutionId::from_bytes([6; 32]),
            permission_id: PermissionId::from_bytes([7; 16]),
            parts: Vec::new(),
        }
    }

    fn index() -> Index {
        Index {
            entries: HashMap::new(),
            unverified: HashMap::new(),
            last_placement: 9,
            placed: 9,
            head: IndexHead::begin(4),
        }
    }

    /// IDX-5
    #[test]
    fn the_larger_number_holds_in_whatever_order_they_come() {
        for numbers in [[3, 8], [8, 3]] {
            let mut index = index();
            for number in numbers {
                index.supersede(entry(1, number));
            }
            let held: Vec<u64> = index.entries.values().map(|entry| entry.number).collect();
            assert_eq!(held, [8]);
        }
    }

    #[test]
    fn what_has_verified_since_is_not_named_any_more() {
        let mut index = index();
        let version = VersionId::from_bytes([1; 16]);
        let content = SegmentContent {
            entries: Vec::new(),
            unverified: vec![(RecordId::from_bytes([1; 16]), version)],
        };
        index.add(IndexHead::begin(4), content);
        assert_eq!(index.unverified.len(), 1);
        let content = SegmentContent {
            entries: vec![entry(1, 2)],
            unverified: Vec::new(),
        };
        index.add(IndexHead::begin(4), content);
        assert!(index.unverified.is_empty());
    }

    /// DEL-5
    #[test]
    fn what_is_gone_is_left_out() {
        let mut index = index();
        for record in 1..=3 {
            index.supersede(entry(record, u64::from(record)));
        }
        let unverified = RecordId::from_bytes([4; 16]);
        index
            .unverified
            .insert(unverified, VersionId::from_bytes([4; 16]));
        let gone = [RecordId::from_bytes([2; 16]), unverified];
        index.leave_out(|record| gone.contains(record));
        let mut left: Vec<u64> = index.entries.values().map(|entry| entry.number).collect();
        left.sort_unstable();
        assert_eq!(left, [1, 3]);
        assert!(index.unverified.is_empty());
    }

    #[test]
    fn an_index_in_pieces_is_begun_anew() {
        let mut index = index();
        index.supersede(entry(1, 2));
        index.head.segments = 64;
        assert!(!index.is_in_pieces());
        index.head.segments = 65;
        assert!(index.is_in_pieces());
        index.forget();
        assert!(index.entries.is_empty());
        assert_eq!((index.head, index.through()), (IndexHead::begin(5), 0));
    }

    #[test]
    fn segments_fit_messages_and_hold_every_entry_once() {
        let entries: Vec<IndexEntry> = (0..10_000).map(|number| entry(1, number)).collect();
        let segments = SegmentContent::split(&entries.iter().collect::<Vec<_>>(), SEGMENT);
        assert!(segments.len() > 2);
        let numbers = segments.iter().flat_map(|segment| &segment.entries);
        assert!(numbers.map(|entry| entry.number).eq(0..10_000));
        assert!(segments.iter().all(|segment| segment.encode().len() < 300 << 10));
        assert_eq!(SegmentContent::split(&[], SEGMENT).len(), 1);
        let content = SegmentContent::decode(&segments[1].encode()).unwrap();
        assert_eq!(content.entries.first(), entries.get(segments[0].entries.len()));
    }
}
