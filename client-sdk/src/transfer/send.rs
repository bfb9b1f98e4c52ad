//! Leaves → server: several requests at once, each repeated until it is through, leaves that are there skipped.

use bytes::Bytes;
use crypto::content::Sealer;
use futures_util::{StreamExt, stream::FuturesUnordered};
use protocol_spec::{
    content::{leaf_count, leaf_len},
    hash::LeafHash,
    ids::UploadId,
    messages as pb,
};
use tokio::sync::mpsc;

use super::{
    Progress, Source,
    journal::LeafLog,
    sealing::{Batch, SealedStream, seal},
};
use crate::{Error, Result, connect::Server};

/// What an upload of leaves led to.
pub(crate) struct SendOutcome {
    pub(crate) sealed: SealedStream,
    /// Stream bytes that were there already.
    pub(crate) resumed_bytes: u64,
}

/// Seals a source and sends what the server does not have yet. With a list of leaves it can be broken off and done again under the same
/// header. Memory stays bounded: one batch is being
/// sealed, one waits, two are on their way.
pub(crate) async fn upload<S: Source>(
    server: &Server,
    upload: &UploadId,
    present: &[pb::LeafRange],
    (source, sealer, log): (S, Sealer, Option<LeafLog>),
    progress: &dyn Progress,
) -> Result<SendOutcome> {
    let plan = SendPlan {
        upload: *upload,
        stream_len: sealer.stream_len(),
        present: present.to_vec(),
    };
    let (sender, batches) = mpsc::channel(1);
    let sealing = tokio::task::spawn_blocking(move || seal(source, sealer, log, &sender));
    let sent = send_all(server, &plan, batches, progress).await;
    let sealed = sealing
        .await
        .map_err(|_| Error::Usage("the sealing thread failed: send again".into()))?;
    // When sending failed, sealing only stopped because of it.
    let resumed_bytes = sent?;
    Ok(SendOutcome {
        sealed: sealed?,
        resumed_bytes,
    })
}

struct SendPlan {
    upload: UploadId,
    stream_len: u64,
    present: Vec<pb::LeafRange>,
}

/// Leaves that follow one another and go in one request.
struct Run {
    first: u64,
    leaves: Vec<Bytes>,
    hashes: Vec<LeafHash>,
}

async fn send_all(
    server: &Server,
    plan: &SendPlan,
    mut batches: mpsc::Receiver<Batch>,
    progress: &dyn Progress,
) -> Result<u64> {
    let mut resumed = 0;
    let mut flying = FuturesUnordered::new();
    let mut more = true;
    loop {
        tokio::select! {
            batch = batches.recv(), if more && flying.len() < IN_FLIGHT => match batch {
                None => more = false,
                Some(batch) => {
                    let (runs, there) = plan.missing(batch);
                    resumed += there;
                    progress.advanced(there);
                    flying.extend(runs.into_iter().map(|run| send(server, &plan.upload, run)));
                }
            },
            Some(sent) = flying.next() => progress.advanced(sent?),
            else => return Ok(resumed),
        }
    }
}

async fn send(server: &Server, upload: &UploadId, run: Run) -> Result<u64> {
    let bytes = run.leaves.iter().map(|leaf| leaf.len() as u64).sum();
    server
        .put_leaves(upload, run.first, &run.leaves, &run.hashes)
        .await?;
    Ok(bytes)
}

impl SendPlan {
    /// Cuts a batch into runs of leaves that the server has not, and counts the bytes of those it has.
    fn missing(&self, batch: Batch) -> (Vec<Run>, u64) {
        let (mut runs, mut there): (Vec<Run>, u64) = (Vec::new(), 0);
        let mut open = false;
        for ((index, leaf), hash) in (batch.first..).zip(batch.leaves).zip(batch.hashes) {
            if self.has(index) {
                there += leaf_len(self.stream_len, index);
                open = false;
                continue;
            }
            match runs.last_mut().filter(|_| open) {
                Some(run) => {
                    run.leaves.push(leaf);
                    run.hashes.push(hash);
                }
                None => runs.push(Run {
                    first: index,
                    leaves: vec![leaf],
                    hashes: vec![hash],
                }),
            }
            open = true;
        }
        (runs, there)
    }

    fn has(&self, index: u64) -> bool {
        let within = |range: &pb::LeafRange| {
            let first = u64::from(range.first);
            (first..first + u64::from(range.count)).contains(&index)
        };
        index < leaf_count(self.stream_len) && self.present.iter().any(within)
    }
}

/// Requests on their way at once: while the server writes one batch, it receives the next.
const IN_FLIGHT: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_skipped_and_counted() {
        let range = |first, count| pb::LeafRange { first, count };
        let plan = SendPlan {
            upload: UploadId::from_bytes([1; 16]),
            stream_len: (5 << 20) + 100,
            present: vec![range(0, 1), range(2, 1), range(5, 1)],
        };
        let batch = Batch {
            first: 0,
            leaves: vec![Bytes::from_static(b"leaf"); 6],
            hashes: vec![LeafHash::from_bytes([0; 32]); 6],
        };
        let (runs, there) = plan.missing(batch);
        let shapes: Vec<_> = runs
            .iter()
            .map(|run| (run.first, run.leaves.len(), run.hashes.len()))
            .collect();
        assert_eq!((shapes, there), (vec![(1, 1, 1), (3, 2, 2)], (2 << 20) + 100));
    }
}
