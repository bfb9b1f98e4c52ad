//! The index of a vault: what a device has verified, written down for the others. See `spec/index.md`.

use bytes::Bytes;
use prost::Message;

use crate::{
    Error,
    bodies::IndexSegment,
    field::Field,
    hash::{ContentRoot, Sha256Digest},
    ids::{CollectionId, InstitutionId, PatientId, PermissionId, RecordId, VersionId},
    manifest::Part,
    messages as pb,
    statement::Body,
};

/// A record version as some device of hers has verified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Number of the placement that the entry follows from.
    pub number: u64,
    /// The record that has this version.
    pub record_id: RecordId,
    /// The version that lies in the vault.
    pub version_id: VersionId,
    /// The collection that the placement puts it into.
    pub collection_id: CollectionId,
    /// BLAKE3 of its sealed stream, as the placement names it.
    pub content_root: ContentRoot,
    /// Bytes of its sealed stream.
    pub stream_len: u64,
    /// When the server stored it, in milliseconds since 1970.
    pub received: u64,
    /// The institution that made and uploaded it.
    pub institution_id: InstitutionId,
    /// The permission it was uploaded under.
    pub permission_id: PermissionId,
    /// The files inside of it, as its manifest lists them.
    pub parts: Vec<Part>,
}

impl TryFrom<pb::IndexEntry> for IndexEntry {
    type Error = Error;

    fn try_from(wire: pb::IndexEntry) -> Result<Self, Error> {
        Ok(Self {
            number: wire.number,
            record_id: Field::read(wire.record_id, "record_id")?,
            version_id: Field::read(wire.version_id, "version_id")?,
            collection_id: Field::read(wire.collection_id, "collection_id")?,
            content_root: Field::read(wire.content_root, "content_root")?,
            stream_len: wire.stream_len,
            received: wire.received,
            institution_id: Field::read(wire.institution_id, "institution_id")?,
            permission_id: Field::read(wire.permission_id, "permission_id")?,
            parts: Field::read(wire.parts, "parts")?,
        })
    }
}

impl From<&IndexEntry> for pb::IndexEntry {
    fn from(entry: &IndexEntry) -> Self {
        Self {
            number: entry.number,
            record_id: entry.record_id.write(),
            version_id: entry.version_id.write(),
            collection_id: entry.collection_id.write(),
            content_root: entry.content_root.write(),
            stream_len: entry.stream_len,
            received: entry.received,
            institution_id: entry.institution_id.write(),
            permission_id: entry.permission_id.write(),
            parts: entry.parts.write(),
        }
    }
}

/// What a segment holds under its seal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentContent {
    /// Records that were verified, by the numbers of their placements.
    pub entries: Vec<IndexEntry>,
    /// Versions that did not verify when the index was written.
    pub unverified: Vec<(RecordId, VersionId)>,
}

impl SegmentContent {
    /// As it was sealed.
    ///
    /// # Errors
    /// [`Error::Decode`], or the field that is malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let pb::IndexSegment { entries, unverified } = pb::decode(bytes)?;
        let entries = entries.into_iter().map(IndexEntry::try_from);
        let unverified = unverified.into_iter().map(|record| {
            let version = Field::read(record.version_id, "version_id")?;
            Ok((Field::read(record.record_id, "record_id")?, version))
        });
        Ok(Self {
            entries: entries.collect::<Result<_, _>>()?,
            unverified: unverified.collect::<Result<_, Error>>()?,
        })
    }

    /// As it is to be sealed.
    pub fn encode(&self) -> Vec<u8> {
        let unverified = |(record, version): &(RecordId, VersionId)| pb::UnverifiedRecord {
            record_id: record.write(),
            version_id: version.write(),
        };
        let message = pb::IndexSegment {
            entries: self.entries.iter().map(Into::into).collect(),
            unverified: self.unverified.iter().map(unverified).collect(),
        };
        message.encode_to_vec()
    }

    /// Entries in segments of so many bytes, or one entry each where that is longer; at least one segment.
    pub fn split(entries: &[&IndexEntry], most: usize) -> Vec<Self> {
        let (mut segments, mut bytes) = (vec![Self::default()], 0);
        for entry in entries {
            let length = pb::IndexEntry::from(*entry).encoded_len();
            if bytes > 0 && bytes + length > most {
                segments.push(Self::default());
                bytes = 0;
            }
            bytes += length;
            if let Some(segment) = segments.last_mut() {
                segment.entries.push((*entry).clone());
            }
        }
        segments
    }
}

/// Where one generation of the index stands: how many segments it has, and the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexHead {
    /// Counts how often the index was begun, from 0.
    pub generation: u64,
    /// Segments so far: the number of the next.
    pub segments: u64,
    /// SHA-256 of the body of the last; zeros when there is none.
    pub last: Sha256Digest,
    /// The placement number that the last segment goes up to.
    pub through: u64,
}

impl IndexHead {
    /// A generation that has no segments yet.
    pub fn begin(generation: u64) -> Self {
        Self {
            generation,
            segments: 0,
            last: Sha256Digest::from_bytes([0; 32]),
            through: 0,
        }
    }

    /// The generation after a segment. Fails with [`Error::Mismatch`] for one that does not continue it
    /// (IDX-3), or that goes back (IDX-4).
    pub fn then(self, segment: &IndexSegment) -> Result<Self, Error> {
        let continues = segment.generation == self.generation
            && segment.number == self.segments
            && segment.previous == self.last
            && segment.through >= self.through;
        if !continues {
            return Err(Error::Mismatch {
                what: "index and the segment after it",
            });
        }
        Ok(Self {
            segments: self.segments + 1,
            last: Sha256Digest::of(&segment.encode()),
            through: segment.through,
            ..self
        })
    }
}

/// What binds a sealed segment to its place (IDX-1).
pub fn segment_aad(patient: &PatientId, generation: u64, number: u64, epoch: u64) -> Bytes {
    [
        patient.as_bytes().as_slice(),
        &generation.to_be_bytes(),
        &number.to_be_bytes(),
        &epoch.to_be_bytes(),
    ]
    .concat()
    .into()
}

/// A sealed segment has so many bytes, or a multiple, beside what sealing adds.
pub const SEGMENT_UNIT: usize = 4096;

/// Most segments of a generation (IDX-3).
pub const MAX_SEGMENTS: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(head: &IndexHead, through: u64) -> IndexSegment {
        IndexSegment {
            created: 1,
            patient_id: PatientId::from_bytes([1; 32]),
            generation: head.generation,
            number: head.segments,
            previous: head.last,
            through,
            epoch: 0,
            sealed_hash: Sha256Digest::of(b"sealed"),
        }
    }

    /// IDX-3, IDX-4
    #[test]
    fn a_generation_is_continued_segment_by_segment() {
        let head = IndexHead::begin(3);
        let first = segment(&head, 10);
        let one = head.then(&first).unwrap();
        assert_eq!((one.segments, one.through, one.generation), (1, 10, 3));
        assert_eq!(one.last, Sha256Digest::of(&first.encode()));
        let second = segment(&one, 10);
        assert_eq!(one.then(&second).unwrap().segments, 2);
        for broken in [
            IndexSegment {
                generation: 4,
                ..second.clone()
            },
            IndexSegment {
                number: 2,
                ..second.clone()
            },
            IndexSegment {
                number: 0,
                ..second.clone()
            },
            IndexSegment {
                previous: head.last,
                ..second.clone()
            },
            IndexSegment {
                through: 9,
                ..second.clone()
            },
        ] {
            assert!(one.then(&broken).is_err(), "{broken:?}");
        }
        assert!(head.then(&second).is_err(), "the first is left out");
    }

    /// IDX-1
    #[test]
    fn every_part_of_the_place_is_bound() {
        let at = |patient, generation, number, epoch| {
            segment_aad(&PatientId::from_bytes([patient; 32]), generation, number, epoch)
        };
        let all = [
            at(1, 2, 3, 4),
            at(2, 2, 3, 4),
            at(1, 3, 2, 4),
            at(1, 2, 4, 3),
            at(1, 2, 3, 5),
        ];
        for (number, one) in all.iter().enumerate() {
            assert!(all.iter().skip(number + 1).all(|other| other != one));
        }
    }
}
