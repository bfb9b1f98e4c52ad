//! Segments of a vault's index, sealed by one device of a patient for the others. See `spec/index.md` §1.

use protocol_spec::{
    bodies::IndexSegment,
    hash::Sha256Digest,
    index::{SEGMENT_UNIT, segment_aad},
    labels::INDEX_SEGMENT,
};
use zeroize::Zeroizing;

use crate::{
    CollectionKey, Error, SecureRandom, committed,
    padding::{frame, unframe},
};

impl CollectionKey {
    /// Seals the encoded content of the segment that `head` describes, by the key of `own` in the epoch that it
    /// names; its `sealed_hash` is filled in (IDX-1).
    pub fn seal_index_segment(
        &self,
        random: &dyn SecureRandom,
        head: &mut IndexSegment,
        content: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let sealed = committed::seal(
            random,
            self.expose(),
            INDEX_SEGMENT,
            &aad(head),
            &frame(content, padded)?,
        )?;
        head.sealed_hash = Sha256Digest::of(&sealed);
        Ok(sealed)
    }

    /// Opens what [`Self::seal_index_segment`] made for the same place. Fails with [`Error::Open`], also when `head`
    /// is of other sealed bytes, and for another padding.
    pub fn open_index_segment(
        &self,
        head: &IndexSegment,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        if head.sealed_hash != Sha256Digest::of(sealed) {
            return Err(Error::Open);
        }
        let framed = committed::open(self.expose(), INDEX_SEGMENT, &aad(head), sealed)?;
        unframe(&framed, padded).map(|content| Zeroizing::new(content.to_vec()))
    }
}

fn aad(head: &IndexSegment) -> bytes::Bytes {
    segment_aad(&head.patient_id, head.generation, head.number, head.epoch)
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(SEGMENT_UNIT)
}

#[cfg(test)]
mod tests {
    use protocol_spec::ids::PatientId;

    use super::*;
    use crate::OperatingSystem;

    fn head() -> IndexSegment {
        IndexSegment {
            created: 1,
            patient_id: PatientId::from_bytes([1; 32]),
            generation: 2,
            number: 3,
            previous: Sha256Digest::of(b"before"),
            through: 4,
            epoch: 5,
            sealed_hash: Sha256Digest::of(b""),
        }
    }

    /// IDX-1
    #[test]
    fn a_segment_opens_in_its_place_alone_and_its_size_says_little() {
        let key = CollectionKey::from_bytes(&[7; 32]);
        let mut head = head();
        let sealed = key
            .seal_index_segment(&OperatingSystem, &mut head, b"content")
            .unwrap();
        assert_eq!(sealed.len(), SEGMENT_UNIT + committed::OVERHEAD);
        let longer = key
            .seal_index_segment(&OperatingSystem, &mut self::head(), &[1; SEGMENT_UNIT - 4])
            .unwrap();
        assert_eq!(longer.len(), sealed.len());
        assert_eq!(
            key.open_index_segment(&head, &sealed).unwrap().as_slice(),
            b"content"
        );
        for elsewhere in [
            IndexSegment {
                patient_id: PatientId::from_bytes([2; 32]),
                ..head.clone()
            },
            IndexSegment {
                generation: 3,
                ..head.clone()
            },
            IndexSegment {
                number: 4,
                ..head.clone()
            },
            IndexSegment {
                epoch: 6,
                ..head.clone()
            },
            IndexSegment {
                sealed_hash: Sha256Digest::of(b"other"),
                ..head.clone()
            },
        ] {
            assert_eq!(
                key.open_index_segment(&elsewhere, &sealed).err(),
                Some(Error::Open)
            );
        }
        let other = CollectionKey::from_bytes(&[8; 32]);
        assert_eq!(other.open_index_segment(&head, &sealed).err(), Some(Error::Open));
    }
}
