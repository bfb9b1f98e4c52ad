//! Leaves → verified parts, on a thread that may block. The end is reached only when the last chunk, the
//! content root and the hash of every part have been checked.

use bytes::Bytes;
use crypto::{
    DataKey,
    content::{HEADER_LEN, Opener, RecordContext, StreamLengths, StreamOpener},
};
use protocol_spec::{
    content::{content_root, leaf_count, leaf_hash, single_leaf_root},
    hash::{ContentRoot, LeafHash, Sha256Digest},
    ids::RecordId,
    manifest::Part,
};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::Sink;
use crate::{Error, Result};

/// What has been signed about a stream, and the key that opens it.
pub(crate) struct Expected {
    pub(crate) key: DataKey,
    pub(crate) context: RecordContext,
    pub(crate) lengths: StreamLengths,
    pub(crate) root: ContentRoot,
    pub(crate) parts: Vec<Part>,
}

/// Opens a stream whose leaves come in order. If they break off, or cannot be written, the sink may keep what it has for a later run;
/// if they are wrong, it forgets it.
pub(super) fn open<S: Sink>(leaves: mpsc::Receiver<Bytes>, mut expected: Expected, sink: S) -> Result<S> {
    let mut roots = Roots::new(expected.lengths.stream);
    let mut parts = Parts {
        record: expected.context.record,
        coming: std::mem::take(&mut expected.parts).into_iter(),
        current: None,
        sink,
    };
    match open_leaves(leaves, &expected, &mut roots, &mut parts) {
        Ok(()) => parts.finish(),
        Err(error) => {
            let wrong = matches!(error, Error::Tampered { .. });
            if wrong && (roots.all_came() || roots.failed) {
                parts.sink.forget();
            }
            Err(error)
        }
    }
}

fn open_leaves<S: Sink>(
    mut leaves: mpsc::Receiver<Bytes>,
    expected: &Expected,
    roots: &mut Roots,
    parts: &mut Parts<S>,
) -> Result<()> {
    let mut stream: Option<StreamOpener> = None;
    let mut text = Vec::new();
    let mut first = None;
    while let Some(leaf) = leaves.blocking_recv() {
        // Until it is opened and written.
        roots.failed = true;
        let hash = roots.add(&leaf);
        let (opener, body) = match stream.as_mut() {
            Some(opener) => (opener, leaf.as_ref()),
            None => {
                let (header, body) = leaf
                    .split_first_chunk::<HEADER_LEN>()
                    .ok_or_else(|| tampered("it is too short"))?;
                first = Some(*header);
                let opener = Opener::new(&expected.key, &expected.context, header, expected.lengths);
                (stream.insert(opener.map_err(tampered)?.stream()), body)
            }
        };
        text.clear();
        opener.push(body, &mut text).map_err(tampered)?;
        parts.write(&text)?;
        if let (Some(header), Some(hash)) = (&first, hash) {
            parts.sink.passed(&expected.context.record, header, &hash)?;
        }
        roots.failed = false;
    }
    let complete = stream
        .ok_or_else(|| tampered("it is empty"))?
        .finish()
        .map_err(tampered)?;
    if complete.plaintext_len() != expected.lengths.plaintext || roots.root()? != expected.root {
        return Err(tampered("its bytes are not those that were signed"));
    }
    Ok(())
}

/// Computes the content root while leaves pass.
struct Roots {
    count: u64,
    root: Option<ContentRoot>,
    hashes: Vec<LeafHash>,
    /// A leaf has come, and is not opened yet.
    failed: bool,
}

impl Roots {
    fn new(stream: u64) -> Self {
        Self {
            count: leaf_count(stream),
            root: None,
            hashes: Vec::new(),
            failed: false,
        }
    }

    /// The hash of a leaf, if it has one of its own (CNT-8).
    fn add(&mut self, leaf: &[u8]) -> Option<LeafHash> {
        if self.count == 1 {
            self.root = Some(single_leaf_root(leaf));
            return None;
        }
        let hash = leaf_hash(self.hashes.len() as u64, leaf);
        self.hashes.push(hash);
        Some(hash)
    }

    fn all_came(&self) -> bool {
        self.root.is_some() || self.hashes.len() as u64 >= self.count
    }

    fn root(&self) -> Result<ContentRoot> {
        self.root
            .map_or_else(|| content_root(&self.hashes).map_err(tampered), Ok)
    }
}

/// Cuts the text into parts and checks the hash of each.
struct Parts<S> {
    record: RecordId,
    coming: std::vec::IntoIter<Part>,
    /// The part being written, its hash so far, and the bytes that are still to come.
    current: Option<(Part, Sha256, u64)>,
    sink: S,
}

impl<S: Sink> Parts<S> {
    fn write(&mut self, mut text: &[u8]) -> Result<()> {
        while !text.is_empty() {
            if self.current.is_none() && !self.begin_next()? {
                return Err(tampered("it is longer than its parts"));
            }
            let Some((_, hash, left)) = self.current.as_mut() else {
                continue;
            };
            let wanted = usize::try_from(*left).map_or(text.len(), |left| left.min(text.len()));
            let (now, rest) = text.split_at(wanted);
            hash.update(now);
            self.sink.write(now)?;
            *left -= wanted as u64;
            text = rest;
            if *left == 0 {
                self.end_part()?;
            }
        }
        Ok(())
    }

    /// Begins the next part; one that is empty ends at once.
    fn begin_next(&mut self) -> Result<bool> {
        let Some(part) = self.coming.next() else {
            return Ok(false);
        };
        self.sink.begin(&self.record, &part)?;
        let length = part.length;
        self.current = Some((part, Sha256::new(), length));
        if length == 0 {
            self.end_part()?;
        }
        Ok(true)
    }

    fn end_part(&mut self) -> Result<()> {
        let Some((part, hash, _)) = self.current.take() else {
            return Ok(());
        };
        if Sha256Digest::from_bytes(hash.finalize().into()) == part.sha256 {
            Ok(())
        } else {
            Err(tampered(
                "one of its parts does not have the hash that was signed",
            ))
        }
    }

    fn finish(mut self) -> Result<S> {
        while self.current.is_none() && self.begin_next()? {}
        if self.current.is_some() {
            self.sink.forget();
            return Err(tampered("it is shorter than its parts"));
        }
        Ok(self.sink)
    }
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the record")(cause)
}
