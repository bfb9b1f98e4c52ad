//! Opens the chunks of a stream in order, whatever the pieces in which it arrives.

use super::{
    framing::{Framing, NamedCipher, TAG},
    layout::Layout,
};
use crate::Error;

/// A stream that is being opened. What it has handed out is authentic, but until [`Self::finish`] it may be
/// only the beginning. Once it has failed, it fails for ever.
pub(super) struct ChunkReader<A> {
    framing: Framing<A>,
    layout: Layout,
    next: u64,
    /// The beginning of chunk `next`, when a piece ended inside it.
    partial: Vec<u8>,
    failed: bool,
}

impl<A: NamedCipher> ChunkReader<A> {
    pub(super) fn new(framing: Framing<A>, layout: Layout) -> Self {
        Self {
            framing,
            layout,
            next: 0,
            partial: Vec::new(),
            failed: false,
        }
    }

    /// Takes the next bytes after the header and appends the plaintext that they complete to `out`.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        // Failed until proven otherwise, whichever way this is left.
        if std::mem::replace(&mut self.failed, true) {
            return Err(Error::Open);
        }
        all_or_nothing(out, |out| self.open_chunks(piece, out))?;
        self.failed = false;
        Ok(())
    }

    /// Refuses everything from now on.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// All chunks, up to and including the short last one, have been opened (CNT-9).
    pub(super) fn finish(self) -> Result<(), Error> {
        if self.failed || self.next != self.layout.last_chunk() + 1 {
            Err(Error::Open)
        } else {
            Ok(())
        }
    }

    fn open_chunks(&mut self, mut piece: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        while !piece.is_empty() {
            let wanted = self.layout.sealed_len(self.next).ok_or(Error::Open)?;
            let (taken, rest) = piece
                .split_at_checked(wanted - self.partial.len())
                .unwrap_or((piece, &[]));
            piece = rest;
            if taken.len() == wanted {
                self.open_next(taken, out)?;
                continue;
            }
            self.partial.extend_from_slice(taken);
            if self.partial.len() == wanted {
                let chunk = std::mem::take(&mut self.partial);
                self.open_next(&chunk, out)?;
                self.partial = chunk;
                self.partial.clear();
            }
        }
        Ok(())
    }

    fn open_next(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        append_opened(&self.framing, self.next, chunk, out)?;
        self.next += 1;
        Ok(())
    }
}

/// Has `append` append to `out`, or leaves `out` as it was.
pub(super) fn all_or_nothing(
    out: &mut Vec<u8>,
    append: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    let before = out.len();
    append(out).inspect_err(|_| out.truncate(before))
}

/// Opens one chunk at the end of `out`.
pub(super) fn append_opened<A: NamedCipher>(
    framing: &Framing<A>,
    index: u64,
    chunk: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let before = out.len();
    out.resize(before + chunk.len().saturating_sub(TAG), 0);
    framing.open_chunk(index, chunk, out.get_mut(before..).unwrap_or_default())
}
