//! Memory of leaves, used again: first touch of fresh memory would cost more than hashing what is in it.

use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::LEAF;

/// Leaves given to the store, whose memory is taken back once the store has let go of it.
#[derive(Default)]
pub(in crate::http) struct LeafBuffers {
    /// Only whole allocations of [`LEAF`] bytes, at most [`MOST_KEPT`].
    lent: Mutex<Vec<Bytes>>,
}

/// 16 MiB: four transfers at full speed.
const MOST_KEPT: usize = 16;

impl LeafBuffers {
    fn take(&self) -> BytesMut {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        let free = lent
            .iter()
            .position(Bytes::is_unique)
            .map(|index| lent.swap_remove(index));
        match free.map(Bytes::try_into_mut) {
            Some(Ok(mut buffer)) => {
                buffer.clear();
                buffer
            }
            _ => BytesMut::with_capacity(LEAF),
        }
    }

    fn lend(&self, leaf: &Bytes) {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        if lent.len() < MOST_KEPT {
            lent.push(leaf.clone());
        }
    }
}

/// Cuts a body into leaves.
pub(super) struct Assembly<'a> {
    buffers: &'a LeafBuffers,
    leaf: BytesMut,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(buffers: &'a LeafBuffers) -> Self {
        Self {
            buffers,
            leaf: buffers.take(),
        }
    }

    /// Takes from `frame` what the leaf still needs, and gives the leaf once it is whole.
    pub(super) fn fill(&mut self, frame: &mut Bytes) -> Option<Bytes> {
        let wanted = LEAF.saturating_sub(self.leaf.len()).min(frame.len());
        self.leaf.extend_from_slice(&frame.split_to(wanted));
        if self.leaf.len() < LEAF {
            return None;
        }
        let next = self.buffers.take();
        Some(self.lend(next))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leaf.is_empty()
    }

    /// The last leaf, if it is a short one.
    pub(super) fn rest(&mut self) -> Option<Bytes> {
        (!self.leaf.is_empty()).then(|| self.lend(BytesMut::new()))
    }

    fn lend(&mut self, next: BytesMut) -> Bytes {
        let leaf = std::mem::replace(&mut self.leaf, next).freeze();
        self.buffers.lend(&leaf);
        leaf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_any_size_become_leaves() {
        let body: Vec<u8> = (0..2 * LEAF + 77).map(|i| (i % 251).to_le_bytes()[0]).collect();
        for frame_len in [1000, 16 << 10, LEAF - 1, LEAF, 3 * LEAF] {
            let buffers = LeafBuffers::default();
            let mut assembly = Assembly::new(&buffers);
            let mut leaves = Vec::new();
            for frame in body.chunks(frame_len) {
                let mut frame = Bytes::copy_from_slice(frame);
                while let Some(leaf) = assembly.fill(&mut frame) {
                    leaves.push(leaf);
                }
            }
            leaves.extend(assembly.rest());
            assert_eq!(
                leaves.iter().map(Bytes::len).collect::<Vec<_>>(),
                [LEAF, LEAF, 77]
            );
            assert_eq!(leaves.concat(), body);
        }
    }

    #[test]
    fn memory_is_used_again_only_after_it_was_let_go() {
        let buffers = LeafBuffers::default();
        let mut assembly = Assembly::new(&buffers);
        let mut next = || assembly.fill(&mut Bytes::from(vec![1; LEAF])).unwrap();
        let (first, second) = (next(), next());
        let address = first.as_ptr();
        assert_ne!(address, second.as_ptr());
        drop(first);
        let others: Vec<Bytes> = (0..2).map(|_| next()).collect();
        assert!(others.iter().any(|leaf| leaf.as_ptr() == address));
        assert!(others.iter().all(|leaf| leaf.as_ptr() != second.as_ptr()));
    }
}
