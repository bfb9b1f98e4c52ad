//! Source → hashed parts and sealed leaves, in batches, on a thread that may block.
//!
//! The hashes of a batch are in the journal before the batch is handed on, so that nothing leaves the machine
//! of which a later run does not know what it was. What is never sealed again under the same key needs no journal.

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use crypto::content::Sealer;
use protocol_spec::{
    content::{content_root, leaf_count, leaf_hash, single_leaf_root},
    hash::{ContentRoot, LeafHash, Sha256Digest},
    manifest::Part,
};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{Source, journal::LeafLog};
use crate::{Error, Result};

/// Leaves that travel in one request. Enough to make a request's cost small,
/// few enough that several fit into memory.
pub(super) const BATCH: usize = 16;

/// Leaves of one stream, one behind the other.
pub(super) struct Batch {
    pub(super) first: u64,
    pub(super) leaves: Vec<Bytes>,
    pub(super) hashes: Vec<LeafHash>,
}

/// What sealing a whole source led to.
pub(crate) struct SealedStream {
    pub(crate) parts: Vec<Part>,
    pub(crate) root: ContentRoot,
    /// The stream itself, when it is one leaf.
    pub(crate) single: Option<Bytes>,
}

/// Seals everything; returns early when nobody takes the batches any more.
pub(super) fn seal<S: Source>(
    source: S,
    mut sealer: Sealer,
    mut log: Option<LeafLog>,
    batches: &mpsc::Sender<Batch>,
) -> Result<SealedStream> {
    let mut plaintext = Plaintext::new(source);
    if leaf_count(sealer.stream_len()) == 1 {
        let mut leaf = Vec::new();
        sealer.next_leaf(&mut leaf, |slot| plaintext.fill(slot))?;
        let parts = plaintext.finish()?;
        return Ok(SealedStream {
            parts,
            root: single_leaf_root(&leaf),
            single: Some(leaf.into()),
        });
    }
    let mut all = Vec::new();
    loop {
        let batch = next_batch(&mut sealer, &mut plaintext)?;
        if batch.leaves.is_empty() {
            break;
        }
        if let Some(log) = &mut log {
            log.extend(batch.first, &batch.hashes)
                .map_err(|error| plaintext.blame(error))?;
        }
        all.extend_from_slice(&batch.hashes);
        if batches.blocking_send(batch).is_err() {
            return Err(Error::Interrupted {
                cause: "sending has stopped".into(),
            });
        }
    }
    Ok(SealedStream {
        parts: plaintext.finish()?,
        root: content_root(&all)?,
        single: None,
    })
}

fn next_batch<S: Source>(sealer: &mut Sealer, plaintext: &mut Plaintext<S>) -> Result<Batch> {
    let first = sealer.next_leaf_number();
    let mut batch = Batch {
        first,
        leaves: Vec::with_capacity(BATCH),
        hashes: Vec::with_capacity(BATCH),
    };
    for index in (first..).take(BATCH) {
        let mut leaf = Vec::new();
        if !sealer.next_leaf(&mut leaf, |slot| plaintext.fill(slot))? {
            break;
        }
        batch.hashes.push(leaf_hash(index, &leaf));
        batch.leaves.push(leaf.into());
    }
    Ok(batch)
}

/// The parts of a source as one text, hashed part by part while it is read.
struct Plaintext<S> {
    source: S,
    /// The part being read, and how much of it is left.
    current: Option<(Box<dyn Read + Send>, u64)>,
    hasher: Sha256,
    /// Bytes read since the source was last looked at.
    unseen: u64,
    done: Vec<Part>,
    offset: u64,
}

/// So many bytes are read before the source is looked at again: often enough that a change is named at once.
const LOOK: u64 = 4 << 20;

impl<S: Source> Plaintext<S> {
    fn new(source: S) -> Self {
        Self {
            source,
            current: None,
            hasher: Sha256::new(),
            unseen: 0,
            done: Vec::new(),
            offset: 0,
        }
    }

    /// Fills the slot; a source that has too little has changed.
    fn fill(&mut self, mut slot: &mut [u8]) -> Result<()> {
        while !slot.is_empty() {
            let Some((reader, left)) = self.current.as_mut() else {
                self.open_next()?;
                continue;
            };
            let wanted = usize::try_from(*left).map_or(slot.len(), |left| left.min(slot.len()));
            let (now, rest) = slot.split_at_mut(wanted);
            if let Err(error) = reader.read_exact(now) {
                return Err(self.unreadable(error));
            }
            *left -= wanted as u64;
            let ended = *left == 0;
            self.hasher.update(&*now);
            self.unseen += wanted as u64;
            slot = rest;
            if ended {
                self.end_part()?;
            } else if self.unseen >= LOOK {
                self.look()?;
            }
        }
        Ok(())
    }

    /// All parts; those at the end that are empty have not been asked for yet.
    fn finish(mut self) -> Result<Vec<Part>> {
        while self.done.len() < self.source.parts().len() {
            self.open_next()?;
            if self.current.is_some() {
                return Err(self.changed());
            }
        }
        Ok(self.done)
    }

    /// Opens the next part, and ends it at once when it is empty.
    fn open_next(&mut self) -> Result<()> {
        let index = self.done.len();
        let length = self
            .source
            .parts()
            .get(index)
            .map(|part| part.length)
            .ok_or_else(|| self.changed())?;
        self.current = Some((self.source.open(index)?, length));
        if length == 0 { self.end_part() } else { Ok(()) }
    }

    fn end_part(&mut self) -> Result<()> {
        let index = self.done.len();
        self.look()?;
        self.current = None;
        let sha256 = Sha256Digest::from_bytes(self.hasher.finalize_reset().into());
        let part = self
            .source
            .parts()
            .get(index)
            .cloned()
            .ok_or_else(|| self.changed())?;
        let offset = self.offset;
        self.offset += part.length;
        self.done.push(Part {
            name: part.name,
            media_type: part.media_type,
            offset,
            length: part.length,
            sha256,
            clinical: part.clinical,
            modified: part.modified,
        });
        Ok(())
    }

    /// Has the source look whether it is still what was read of it.
    fn look(&mut self) -> Result<()> {
        self.unseen = 0;
        let index = self.done.len();
        let left = self.current.as_ref().map_or(0, |(_, left)| *left);
        let length = self.source.parts().get(index).map_or(0, |part| part.length);
        let hasher = &self.hasher;
        let hash = || Sha256Digest::from_bytes(hasher.clone().finalize().into());
        self.source.look(index, length.saturating_sub(left), &hash)
    }

    fn unreadable(&self, source: std::io::Error) -> Error {
        if source.kind() == ErrorKind::UnexpectedEof {
            return self.changed();
        }
        Error::Io {
            doing: "cannot read",
            path: self.source.path(self.done.len()),
            source,
        }
    }

    fn changed(&self) -> Error {
        Error::SourceChanged {
            path: self.source.path(self.done.len()),
        }
    }

    /// A leaf that is not what it was in an earlier run: the file that is being read has changed.
    fn blame(&self, error: Error) -> Error {
        if matches!(error, Error::SourceChanged { .. }) {
            self.changed()
        } else {
            error
        }
    }
}
