//! Server → leaves → opener. A connection that breaks is taken up again at the first leaf that is not
//! complete; what has gone to the opener stays there.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::{Bytes, BytesMut};
use protocol_spec::{
    api::{self, LeafQuery, RequestTarget},
    content::{leaf_count, leaf_len},
    problem::Problem,
};
use tokio::sync::mpsc;

use super::{
    Progress, Sink,
    left::{LeftBehind, send_left},
    opening::{Expected, open},
};
use crate::{
    Error, Result,
    connect::{Patience, Retry, Server, lost},
    session::blocking,
};

/// Where the leaves of a stream are.
pub(crate) struct Leaves {
    /// Where they are asked for.
    pub(crate) at: RequestTarget<(), api::LeafBytes, LeafQuery>,
    pub(crate) stream_len: u64,
    /// What may be asked for, of this stream and others.
    pub(crate) budget: Budget,
}

/// Bytes that may still be asked for; without a number, any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget(Option<Arc<BudgetCounts>>);

#[derive(Debug)]
struct BudgetCounts {
    left: AtomicU64,
    /// Of what is there from an earlier run, what another release has brought: it costs this one nothing.
    had: AtomicU64,
    /// Nothing of what is there has come in this release.
    is_new: bool,
}

impl Budget {
    /// So many bytes, with what is there already, unless the release is new.
    pub(crate) fn of(bytes: u64, is_new: bool) -> Self {
        Self(Some(Arc::new(BudgetCounts {
            left: AtomicU64::new(bytes),
            had: AtomicU64::new(0),
            is_new,
        })))
    }

    /// What is left of them.
    pub(crate) fn left(&self) -> Option<u64> {
        Some(self.0.as_ref()?.left.load(Ordering::Relaxed))
    }

    /// What another release has brought of what was there.
    pub(crate) fn had(&self) -> u64 {
        self.0
            .as_ref()
            .map_or(0, |counts| counts.had.load(Ordering::Relaxed))
    }

    /// So many are there from an earlier run.
    pub(crate) fn take_up(&self, bytes: u64) {
        match &self.0 {
            Some(counts) if counts.is_new => {
                counts.had.fetch_add(bytes, Ordering::Relaxed);
            }
            _ => self.spend(bytes),
        }
    }

    /// Before so many are asked for (CND-12).
    fn covers(&self, bytes: u64) -> Result<()> {
        match self.left() {
            Some(left) if left < bytes => Err(Error::Refused {
                problem: Problem::BytesSpent,
                detail: Some(format!("{bytes} bytes more were needed, {left} are permitted")),
                reader: crate::error::Addressee::Institution,
            }),
            _ => Ok(()),
        }
    }

    /// Counts bytes that have arrived against the budget.
    fn spend(&self, bytes: u64) {
        if let Some(BudgetCounts { left, .. }) = self.0.as_deref() {
            left.store(
                left.load(Ordering::Relaxed).saturating_sub(bytes),
                Ordering::Relaxed,
            );
        }
    }
}

/// Receives, opens and verifies one record into the sink, and gives the sink back: nothing in it is final
/// before it is committed. What the sink has kept of it from an earlier run is not asked for again. On an error the sink is
/// dropped, and forgets everything unless the transfer broke off.
pub(crate) async fn receive<S: Sink>(
    server: &Server,
    leaves: &Leaves,
    expected: Expected,
    sink: S,
    progress: &dyn Progress,
) -> Result<S> {
    let (sender, received) = mpsc::channel(QUEUE);
    let (left, sink, expected) = look_for_left(sink, expected).await?;
    let left = left.and_then(|left: LeftBehind| {
        let sealer = left.sealer(&expected.key, &expected.context, expected.lengths)?;
        Some((left, sealer))
    });
    let opening = tokio::task::spawn_blocking(move || open(received, expected, sink));
    let there = match left {
        None => 0,
        Some((left, sealer)) => {
            let sender = sender.clone();
            blocking(move || Ok(send_left(left, sealer, &sender))).await?
        }
    };
    let bytes = (0..there).map(|leaf| leaf_len(leaves.stream_len, leaf)).sum();
    leaves.budget.take_up(bytes);
    progress.advanced(bytes);
    let fetched = fetch_all(server, leaves, there, &sender, progress).await;
    drop(sender);
    let opened = opening
        .await
        .map_err(|_| Error::Usage("the opening thread failed: fetch again".into()))?;
    // The opener's own error says more than that it takes nothing any more; a break in the transfer says
    // more than that the opener found the end missing.
    match fetched {
        Err(Stop::Transfer(error)) => Err(error),
        Err(Stop::Opener) | Ok(()) => opened,
    }
}

/// What an earlier run has left. Most often that is nothing, and a thread of its own would be waited for in vain.
async fn look_for_left<S: Sink>(
    mut sink: S,
    expected: Expected,
) -> Result<(Option<LeftBehind>, S, Expected)> {
    if !sink.has_left() {
        return Ok((
            sink.left(&expected.context.record, &expected.parts)?,
            sink,
            expected,
        ));
    }
    blocking(move || {
        Ok((
            sink.left(&expected.context.record, &expected.parts)?,
            sink,
            expected,
        ))
    })
    .await
}

enum Stop {
    Transfer(Error),
    Opener,
}

async fn fetch_all(
    server: &Server,
    leaves: &Leaves,
    first: u64,
    opener: &mpsc::Sender<Bytes>,
    progress: &dyn Progress,
) -> Result<(), Stop> {
    let total = leaf_count(leaves.stream_len);
    let (mut next, mut failures) = (first, 0);
    while next < total {
        let before = next;
        let Err(retry) = fetch_some(server, leaves, &mut next, opener, progress).await else {
            continue;
        };
        let Some(retry) = retry else {
            return Err(Stop::Opener);
        };
        failures = if next > before { 1 } else { failures + 1 };
        if !retry.useful || !Patience::LONG.pause(failures, server.clock().system()).await {
            return Err(Stop::Transfer(interrupted(retry.error)));
        }
    }
    Ok(())
}

/// One request for leaves from `next` on. Its error is empty when the opener takes no more.
async fn fetch_some(
    server: &Server,
    leaves: &Leaves,
    next: &mut u64,
    opener: &mpsc::Sender<Bytes>,
    progress: &dyn Progress,
) -> Result<(), Option<Retry>> {
    let count = (leaf_count(leaves.stream_len) - *next).min(RANGE);
    let bytes = (*next..*next + count)
        .map(|leaf| leaf_len(leaves.stream_len, leaf))
        .sum();
    let covered = leaves.budget.covers(bytes);
    covered.map_err(|error| Some(Retry { error, useful: false }))?;
    let query = leaves.at.again().asking(LeafQuery::range(*next, count));
    let mut body = server.stream(query).await.map_err(Some)?;
    let failed = |failure| Some(lost(failure, server.authority()));
    let end = *next + count;
    let mut piece = Bytes::new();
    while *next < end {
        let wanted = usize::try_from(leaf_len(leaves.stream_len, *next)).unwrap_or(0);
        let mut leaf = BytesMut::with_capacity(wanted);
        while leaf.len() < wanted {
            if piece.is_empty() {
                let cut = || {
                    failed(crate::ground::TransportFailure::Transport(
                        "the answer is too short".into(),
                    ))
                };
                piece = body.next().await.map_err(failed)?.ok_or_else(cut)?;
            }
            leaf.extend_from_slice(&piece.split_to(piece.len().min(wanted - leaf.len())));
        }
        opener.send(leaf.freeze()).await.map_err(|_| None)?;
        leaves.budget.spend(wanted as u64);
        progress.advanced(wanted as u64);
        *next += 1;
    }
    Ok(())
}

/// A server that stops answering in the middle is an interruption, not a wrong address.
pub(crate) fn interrupted(error: Error) -> Error {
    match error {
        Error::Unreachable { cause, .. } => Error::Interrupted { cause },
        error => error,
    }
}

/// Leaves asked for at once.
const RANGE: u64 = 64;
/// Leaves that wait to be opened.
const QUEUE: usize = 8;
