//! What an earlier run has left of a record, made into its leaves again: sealed once more, each is either the very leaf that
//! was received, or not there. So whatever a power cut has done to the files, nothing is taken for what it is not (FLW-19).

use std::io::Read;

use bytes::Bytes;
use crypto::{
    DataKey,
    content::{Header, RecordContext, Sealer, StreamLengths},
};
use protocol_spec::{content::leaf_hash, hash::LeafHash};
use tokio::sync::mpsc;

use crate::Error;

/// The beginning of a record, as a [`super::Sink`] has kept it from an earlier run.
pub struct LeftBehind {
    /// The header of the sealed stream.
    pub(crate) header: Header,
    /// Hashes of the leaves that had come.
    pub(crate) hashes: Vec<LeafHash>,
    /// The parts one behind the other, as far as they are there.
    pub(crate) text: Box<dyn Read + Send>,
}

impl LeftBehind {
    /// What makes it into leaves again; none if it is of another key or torn.
    pub(super) fn sealer(
        &self,
        key: &DataKey,
        context: &RecordContext,
        lengths: StreamLengths,
    ) -> Option<Sealer> {
        let sealer = Sealer::resume(key, context, lengths.plaintext, &self.header, 0).ok()?;
        (sealer.stream_len() == lengths.stream).then_some(sealer)
    }
}

/// Sends the leaves that are there, in order, and says how many they are.
pub(super) fn send_left(left: LeftBehind, mut sealer: Sealer, leaves: &mpsc::Sender<Bytes>) -> u64 {
    let LeftBehind { hashes, mut text, .. } = left;
    let mut sent = 0;
    for (index, hash) in (0..).zip(hashes) {
        let mut leaf = Vec::new();
        let fill = |slot: &mut [u8]| text.read_exact(slot).map_err(|_| ended());
        if !matches!(sealer.next_leaf(&mut leaf, fill), Ok(true)) || leaf_hash(index, &leaf) != hash {
            break;
        }
        if leaves.blocking_send(leaf.into()).is_err() {
            break;
        }
        sent += 1;
    }
    sent
}

fn ended() -> Error {
    Error::Interrupted {
        cause: "no more was kept".into(),
    }
}

/// The first bytes of a list of leaves: header ‖ hash of each leaf in order; what stands there behind a torn end is cut off.
pub(super) fn read_list(bytes: &[u8]) -> Option<(Header, Vec<LeafHash>)> {
    let (header, hashes) = bytes.split_first_chunk()?;
    let (hashes, _) = hashes.as_chunks::<32>();
    let hashes = hashes.iter().copied().map(LeafHash::from_bytes).collect();
    Some((*header, hashes))
}
