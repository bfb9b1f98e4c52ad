//! A body in pieces that are sent as they are.

use std::collections::VecDeque;

use bytes::Bytes;

/// A body in pieces that are sent as they are, one behind the other. A copy shares their bytes.
#[derive(Clone, Debug, Default)]
pub struct Pieces(VecDeque<Bytes>);

impl Pieces {
    /// Bytes of all that are left.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether there is not one left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, one behind the other.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|piece| &piece[..])
    }

    /// A message, which is one piece.
    pub(crate) fn whole(&self) -> Bytes {
        self.0.front().cloned().unwrap_or_default()
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.pop_front()
    }
}

impl From<Vec<Bytes>> for Pieces {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self(pieces.into())
    }
}
