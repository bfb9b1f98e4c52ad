//! Opens a record as a stream or in ranges. See `spec/content.md` §2 and §3.
//!
//! ```text
//! Opener ── stream ──▶ StreamOpener ── finish ──▶ VerifiedContent      all of it, and nothing more
//!        └─ ranges ──▶ RangeOpener                                     the tail has been checked
//! ```
//! There is no other way to either type at the end, so that a beginning cannot pass for the whole.

use std::ops::Range;

use chacha20poly1305::ChaCha20Poly1305;
use protocol_spec::content::{CHUNK_LEN, padme};

use super::{
    Class, Header, RecordContext,
    framing::{Framing, TAG},
    layout::{CHUNK, Layout},
    reader::{ChunkReader, all_or_nothing, append_opened},
};
use crate::{DataKey, Error, padding::is_zero};

/// What the verified manifest and the permission or receipt say about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLengths {
    /// How many bytes the sealed stream has.
    pub stream: u64,
    /// Bytes of plaintext, without padding.
    pub plaintext: u64,
}

/// A stream whose header belongs to the key and the record.
pub struct Opener {
    framing: Framing<ChaCha20Poly1305>,
    layout: Layout,
    length: u64,
}

impl Opener {
    /// Checks the lengths against each other and the header's commitment (CNT-2). Fails with
    /// [`Error::Malformed`] for a length that no stream has; [`Error::Open`] for lengths that do not belong
    /// together, another key, or another record.
    pub fn new(
        key: &DataKey,
        record: &RecordContext,
        header: &Header,
        lengths: StreamLengths,
    ) -> Result<Self, Error> {
        Self::of_class(key, record, Class::Content, header, lengths)
    }

    pub(super) fn of_class(
        key: &DataKey,
        record: &RecordContext,
        class: Class,
        header: &Header,
        StreamLengths {
            stream,
            plaintext: length,
        }: StreamLengths,
    ) -> Result<Self, Error> {
        let layout = Layout::of_stream(stream)?;
        if layout.plaintext_len() != padme(length) {
            return Err(Error::Open);
        }
        let framing = super::open(key, record, class, header)?;
        Ok(Self {
            framing,
            layout,
            length,
        })
    }

    /// Opens everything behind the header, in order.
    pub fn stream(self) -> StreamOpener {
        let Self {
            framing,
            layout,
            length,
        } = self;
        StreamOpener {
            reader: ChunkReader::new(framing, layout),
            length,
            opened: 0,
        }
    }

    /// Where the last chunk stands in the stream: what [`Self::ranges`] needs.
    pub fn tail(&self) -> Range<u64> {
        let last = self.layout.last_chunk();
        self.layout.stream_range(last, last)
    }

    /// Opens ranges in any order, after the last chunk has proven the stream's length (CNT-13).
    pub fn ranges(self, tail: &[u8]) -> Result<RangeOpener, Error> {
        let Self {
            framing,
            layout,
            length,
        } = self;
        let opener = RangeOpener {
            framing,
            layout,
            length,
        };
        let last = layout.last_chunk();
        if layout.sealed_len(last) != Some(tail.len()) {
            return Err(Error::Open);
        }
        opener.open_chunks(last, tail, &mut Vec::new())?;
        Ok(opener)
    }
}

/// A stream that is being opened from its beginning.
pub struct StreamOpener {
    reader: ChunkReader<ChaCha20Poly1305>,
    length: u64,
    /// Plaintext bytes opened so far, padding included.
    opened: u64,
}

impl StreamOpener {
    /// Takes the next bytes of the stream, the first time those after the header, in pieces of any size, and
    /// appends the plaintext that they complete to `out`. It is authentic, but perhaps only a beginning: show
    /// it as complete only after [`Self::finish`]. Fails with [`Error::Open`], from then on always;
    /// `out` is then as before.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let Self {
            reader,
            length,
            opened,
        } = self;
        all_or_nothing(out, |out| {
            let before = out.len();
            reader.push(piece, out)?;
            *opened += (out.len() - before) as u64;
            cut_padding(out, before, *opened, *length).inspect_err(|_| reader.fail())
        })
    }

    /// All of the stream has been opened, nothing is missing, nothing was too much (CNT-9). Fails with
    /// [`Error::Open`] for a stream that broke off.
    pub fn finish(self) -> Result<VerifiedContent, Error> {
        self.reader.finish()?;
        Ok(VerifiedContent { length: self.length })
    }
}

/// Proof that a whole stream has been opened, up to its end. Only [`StreamOpener::finish`] makes it.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct VerifiedContent {
    length: u64,
}

impl VerifiedContent {
    /// Plaintext bytes that were handed out.
    pub fn plaintext_len(&self) -> u64 {
        self.length
    }
}

/// A stream whose beginning and end have been checked, to be opened in ranges.
pub struct RangeOpener {
    framing: Framing<ChaCha20Poly1305>,
    layout: Layout,
    length: u64,
}

impl RangeOpener {
    /// The bytes of the stream that hold these plaintext bytes: whole chunks. Fails with [`Error::Malformed`] for an
    /// empty range or one beyond the plaintext.
    pub fn sealed_range(&self, plaintext: &Range<u64>) -> Result<Range<u64>, Error> {
        if plaintext.is_empty() || plaintext.end > self.length {
            return Err(Error::Malformed {
                what: "plaintext range",
            });
        }
        Ok(self
            .layout
            .stream_range(plaintext.start / CHUNK_LEN, (plaintext.end - 1) / CHUNK_LEN))
    }

    /// Opens the plaintext bytes `plaintext` from `sealed`, the bytes of [`Self::sealed_range`], and appends
    /// them to `out`. Fails with [`Error::Open`]; `out` is then as before.
    pub fn open(&self, plaintext: &Range<u64>, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let wanted = self.sealed_range(plaintext)?;
        if wanted.end - wanted.start != sealed.len() as u64 {
            return Err(Error::Open);
        }
        let first = plaintext.start / CHUNK_LEN;
        let inside = |offset: u64| usize::try_from(offset - first * CHUNK_LEN).unwrap_or(0);
        let before = out.len();
        self.open_chunks(first, sealed, out)?;
        out.truncate(before + inside(plaintext.end));
        out.drain(before..before + inside(plaintext.start));
        Ok(())
    }

    /// Opens whole chunks from `first` on, and checks what of them is padding.
    fn open_chunks(&self, first: u64, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        all_or_nothing(out, |out| {
            let before = out.len();
            for (index, chunk) in (first..).zip(sealed.chunks(CHUNK + TAG)) {
                if self.layout.sealed_len(index) != Some(chunk.len()) {
                    return Err(Error::Open);
                }
                append_opened(&self.framing, index, chunk, out)?;
            }
            let end = first * CHUNK_LEN + (out.len() - before) as u64;
            cut_padding(out, before, end, self.length)
        })
    }
}

/// Of what stands in `out` from `before` on, and ends at plaintext byte `end`, cuts the part beyond the true
/// length, which must be zeros (CNT-6).
fn cut_padding(out: &mut Vec<u8>, before: usize, end: u64, length: u64) -> Result<(), Error> {
    let appended = out.len().saturating_sub(before);
    let padding =
        usize::try_from(end.saturating_sub(length)).map_or(appended, |padding| padding.min(appended));
    let text = out.len().saturating_sub(padding);
    let zero = is_zero(out.get(text..).unwrap_or_default());
    out.truncate(text);
    if zero { Ok(()) } else { Err(Error::Open) }
}
