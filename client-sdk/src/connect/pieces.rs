//! A body in pieces that are sent as they are.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

/// A body in pieces that are sent as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces(VecDeque<Bytes>);

impl Pieces {
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.remaining() as u64).sum()
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

impl From<Vec<Bytes>> for Pieces {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self(pieces.into())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}
