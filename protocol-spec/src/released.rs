//! What a release has handed out: leaves of record versions, and the hash over them that its
//! receipt signs. See `spec/revocation.md` §3.

use sha2::{Digest, Sha256};

use crate::{
    Error,
    content::LEAF_LEN,
    field::Field,
    hash::Sha256Digest,
    ids::{RecordId, VersionId},
    messages as pb,
};

/// Most ranges that are kept of one version.
pub const MAX_RANGES: usize = 1024;

/// Leaves of one stream: sorted, disjoint, not adjacent ranges of leaf numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeafRanges(Vec<(u32, u32)>);

impl LeafRanges {
    /// Adds `count` leaves from `first` on. With more than [`MAX_RANGES`] ranges the two that lie nearest to each
    /// other become one, so that never less is told than was handed out (REV-3).
    pub fn add(&mut self, first: u32, count: u32) {
        let (mut first, mut end) = (first, first.saturating_add(count));
        if first == end {
            return;
        }
        self.0.retain(|&(from, to)| {
            let touches = from <= end && first <= to;
            if touches {
                (first, end) = (first.min(from), end.max(to));
            }
            !touches
        });
        let at = self.0.partition_point(|&(from, _)| from < first);
        self.0.insert(at, (first, end));
        if self.0.len() > MAX_RANGES {
            self.join_nearest();
        }
    }

    fn join_nearest(&mut self) {
        let gaps = self.0.iter().zip(self.0.iter().skip(1));
        let gaps = gaps.map(|(left, right)| right.0.saturating_sub(left.1));
        let Some((at, _)) = gaps.enumerate().min_by_key(|(_, gap)| *gap) else {
            return;
        };
        let (_, end) = self.0.remove(at + 1);
        if let Some(joined) = self.0.get_mut(at) {
            joined.1 = end;
        }
    }

    /// First leaf and number of leaves of each range, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.0.iter().map(|&(first, end)| (first, end - first))
    }

    /// Bytes of these leaves, of a stream of this length.
    pub fn bytes(&self, stream_len: u64) -> u64 {
        let at = |leaf: u32| (u64::from(leaf) * LEAF_LEN).min(stream_len);
        self.0.iter().map(|&(first, end)| at(end) - at(first)).sum()
    }

    /// Adds all leaves of the other set.
    pub fn join(&mut self, other: &Self) {
        for (first, count) in other.iter() {
            self.add(first, count);
        }
    }
}

impl TryFrom<Vec<pb::LeafRange>> for LeafRanges {
    type Error = Error;

    fn try_from(wire: Vec<pb::LeafRange>) -> Result<Self, Error> {
        let mut ranges: Vec<(u32, u32)> = Vec::with_capacity(wire.len().min(MAX_RANGES));
        for pb::LeafRange { first, count } in wire {
            let end = first.checked_add(count).filter(|end| *end > first);
            let apart = ranges.last().is_none_or(|(_, before)| *before < first);
            let end = end.filter(|_| apart && ranges.len() < MAX_RANGES);
            ranges.push((first, end.ok_or(Error::Field { field: "leaves" })?));
        }
        Ok(Self(ranges))
    }
}

impl From<&LeafRanges> for Vec<pb::LeafRange> {
    fn from(ranges: &LeafRanges) -> Self {
        let message = |(first, count)| pb::LeafRange { first, count };
        ranges.iter().map(message).collect()
    }
}

/// What of one record version was handed out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VersionLeaves {
    /// The version whose leaves were handed out.
    pub version_id: VersionId,
    /// The record that this is a version of.
    pub record_id: RecordId,
    /// The leaves that were handed out, each once.
    pub leaves: LeafRanges,
}

/// Pairs of the first leaf and the number of leaves.
impl serde::Serialize for LeafRanges {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl Field<pb::VersionRanges> for VersionLeaves {
    fn read(wire: pb::VersionRanges, _: &'static str) -> Result<Self, Error> {
        wire.try_into()
    }

    fn write(&self) -> pb::VersionRanges {
        self.into()
    }
}

impl TryFrom<pb::VersionRanges> for VersionLeaves {
    type Error = Error;

    fn try_from(message: pb::VersionRanges) -> Result<Self, Error> {
        Ok(Self {
            version_id: Field::read(message.version_id, "version_id")?,
            record_id: Field::read(message.record_id, "record_id")?,
            leaves: message.leaves.try_into()?,
        })
    }
}

impl From<&VersionLeaves> for pb::VersionRanges {
    fn from(leaves: &VersionLeaves) -> Self {
        Self {
            version_id: leaves.version_id.write(),
            record_id: leaves.record_id.write(),
            leaves: (&leaves.leaves).into(),
        }
    }
}

/// Hashes what a release has handed out, in the order of version ids (REV-3).
#[derive(Clone, Default)]
pub struct ReleasedHasher {
    hasher: Sha256,
    last: Option<VersionId>,
}

impl ReleasedHasher {
    /// The next version. Fails with [`Error::Field`] when it does not come after the one before.
    pub fn add(&mut self, leaves: &VersionLeaves) -> Result<(), Error> {
        if self.last.is_some_and(|last| last >= leaves.version_id) {
            return Err(Error::Field { field: "version_id" });
        }
        self.last = Some(leaves.version_id);
        self.hasher.update(leaves.version_id.as_bytes());
        self.hasher.update(leaves.record_id.as_bytes());
        let count = u32::try_from(leaves.leaves.0.len()).map_err(|_| Error::Field { field: "leaves" })?;
        self.hasher.update(count.to_be_bytes());
        for (first, count) in leaves.leaves.iter() {
            self.hasher.update(first.to_be_bytes());
            self.hasher.update(count.to_be_bytes());
        }
        Ok(())
    }

    /// The hash over all versions that were added.
    pub fn finish(self) -> Sha256Digest {
        Sha256Digest::from_bytes(self.hasher.finalize().into())
    }
}

/// Hashes the receipts of all releases under a permission, in the order of release ids (REV-2).
#[derive(Clone, Default)]
pub struct ReceiptsHasher(Sha256);

impl ReceiptsHasher {
    /// The next receipt: SHA-256 of its body.
    pub fn add(&mut self, receipt: &Sha256Digest) {
        self.0.update(receipt.as_bytes());
    }

    /// The hash over all receipts that were added.
    pub fn finish(self) -> Sha256Digest {
        Sha256Digest::from_bytes(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(added: &[(u32, u32)]) -> LeafRanges {
        let mut ranges = LeafRanges::default();
        for &(first, count) in added {
            ranges.add(first, count);
        }
        ranges
    }

    proptest! {
        /// REV-3: exactly the leaves that were added, and a form that reads back.
        #[test]
        fn ranges_hold_what_was_added(added in prop::collection::vec((0_u32..60, 0_u32..9), 0..20)) {
            let ranges = ranges(&added);
            let mut all = std::collections::BTreeSet::new();
            for &(first, count) in &added {
                all.extend(first..first + count);
            }
            let told: Vec<u32> = ranges.iter().flat_map(|(first, count)| first..first + count).collect();
            prop_assert_eq!(told, all.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(LeafRanges::try_from(Vec::from(&ranges)), Ok(ranges));
        }
    }

    /// FLW-9
    #[test]
    fn bytes_are_those_of_the_leaves_each_once() {
        let leaf = LEAF_LEN;
        let stream = 3 * leaf + 100;
        for (added, bytes) in [
            (&[][..], 0),
            (&[(0, 1)], leaf),
            (&[(0, 2), (1, 1), (0, 1)], 2 * leaf),
            (&[(3, 1)], 100),
            (&[(0, 4), (3, 1)], stream),
            (&[(7, 9)], 0),
        ] {
            assert_eq!(ranges(added).bytes(stream), bytes, "{added:?}");
        }
    }

    /// REV-3: with too many ranges more is told, never less.
    #[test]
    fn too_many_ranges_become_fewer_and_cover_the_same() {
        let many = u32::try_from(MAX_RANGES).unwrap() + 7;
        // The last two lie nearest to each other.
        let added: Vec<_> = (0..many)
            .map(|at| (at * 10, 2))
            .chain([((many - 1) * 10 + 4, 1)])
            .collect();
        let ranges = ranges(&added);
        assert_eq!(ranges.0.len(), MAX_RANGES);
        for (first, count) in added {
            assert!(
                ranges
                    .0
                    .iter()
                    .any(|&(from, to)| from <= first && first + count <= to)
            );
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let range = |first, count| pb::LeafRange { first, count };
        let wrong = [
            vec![range(3, 0)],
            vec![range(u32::MAX, 2)],
            vec![range(3, 2), range(5, 1)],
            vec![range(3, 2), range(1, 1)],
        ];
        for wire in wrong {
            assert_eq!(LeafRanges::try_from(wire), Err(Error::Field { field: "leaves" }));
        }
    }

    fn version(seed: u8) -> VersionLeaves {
        VersionLeaves {
            version_id: VersionId::from_bytes([seed; 16]),
            record_id: RecordId::from_bytes([seed; 16]),
            leaves: ranges(&[(0, 2), (u32::from(seed), 1)]),
        }
    }

    /// REV-3
    #[test]
    fn the_hash_tells_versions_records_and_leaves_apart() {
        let hash = |versions: &[VersionLeaves]| {
            let mut hasher = ReleasedHasher::default();
            versions
                .iter()
                .try_for_each(|version| hasher.add(version))
                .map(|()| hasher.finish())
        };
        let right = hash(&[version(5), version(6)]).unwrap();
        assert!(hash(&[version(6), version(5)]).is_err());
        assert!(hash(&[version(5), version(5)]).is_err());
        let mut other = version(6);
        other.leaves.add(9, 1);
        assert_ne!(hash(&[version(5), other]), Ok(right));
        let mut other = version(6);
        other.record_id = RecordId::from_bytes([7; 16]);
        assert_ne!(hash(&[version(5), other]), Ok(right));
        assert_ne!(hash(&[version(5)]), Ok(right));
    }
}
