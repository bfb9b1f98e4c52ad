//! Where the chunks of a stream are, for one plaintext length. See `spec/content.md` §2.

use std::ops::Range;

use protocol_spec::content::{self, CHUNK_LEN, TAG_LEN};

use crate::{Error, content::framing::TAG};

/// Plaintext bytes of a full chunk.
pub(super) const CHUNK: usize = 16 * 1024;
const _: () = assert!(CHUNK as u64 == CHUNK_LEN && TAG as u64 == TAG_LEN);

/// The chunks of a stream whose plaintext, with its padding, has this length.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    plaintext: u64,
}

impl Layout {
    pub(super) fn of_plaintext(plaintext: u64) -> Result<Self, Error> {
        if content::stream_len(plaintext.min(content::MAX_STREAM_LEN)) > content::MAX_STREAM_LEN {
            return Err(Error::TooLong {
                what: "record",
                max: content::MAX_STREAM_LEN,
            });
        }
        Ok(Self { plaintext })
    }

    /// Errors: [`Error::Malformed`] for lengths that no stream has (CNT-3).
    pub(super) fn of_stream(stream: u64) -> Result<Self, Error> {
        let plaintext = content::plaintext_len(stream).map_err(|_| Error::Malformed {
            what: "stream length",
        })?;
        Ok(Self { plaintext })
    }

    pub(super) fn plaintext_len(&self) -> u64 {
        self.plaintext
    }

    pub(super) fn stream_len(&self) -> u64 {
        content::stream_len(self.plaintext)
    }

    pub(super) fn last_chunk(&self) -> u64 {
        self.plaintext / CHUNK_LEN
    }

    /// Ciphertext and tag bytes of chunk `index`, if there is such a chunk.
    pub(super) fn sealed_len(&self, index: u64) -> Option<usize> {
        let left = self.plaintext.checked_sub(index.checked_mul(CHUNK_LEN)?)?;
        Some(usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK)) + TAG)
    }

    /// Where the chunks `first..=last` stand in the stream; `last` may be the last chunk.
    pub(super) fn stream_range(&self, first: u64, last: u64) -> Range<u64> {
        let end = if last == self.last_chunk() {
            self.stream_len()
        } else {
            content::chunk_offset(last + 1)
        };
        content::chunk_offset(first)..end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_at_borders() {
        let chunks = |plaintext| {
            let layout = Layout::of_plaintext(plaintext).unwrap();
            (
                layout.last_chunk(),
                layout.sealed_len(layout.last_chunk()),
                layout.sealed_len(layout.last_chunk() + 1),
            )
        };
        assert_eq!(chunks(0), (0, Some(16), None));
        assert_eq!(chunks(CHUNK_LEN - 1), (0, Some(CHUNK + 15), None));
        assert_eq!(chunks(CHUNK_LEN), (1, Some(16), None));
        assert_eq!(chunks(CHUNK_LEN + 1), (1, Some(17), None));
        assert!(Layout::of_plaintext(content::MAX_STREAM_LEN).is_err());
        assert!(Layout::of_plaintext(u64::MAX).is_err());
    }

    proptest! {
        #[test]
        fn chunks_tile_the_stream(plaintext in 0_u64..200_000) {
            let layout = Layout::of_plaintext(plaintext).unwrap();
            let sealed: u64 = (0..=layout.last_chunk()).map(|i| layout.sealed_len(i).unwrap() as u64).sum();
            prop_assert_eq!(sealed + content::HEADER_LEN, layout.stream_len());
            prop_assert_eq!(layout.stream_range(0, layout.last_chunk()), content::HEADER_LEN..layout.stream_len());
            prop_assert_eq!(Layout::of_stream(layout.stream_len()).unwrap().plaintext_len(), plaintext);
        }
    }
}
