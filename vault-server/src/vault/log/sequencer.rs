//! Gives queued leaves their places, one batch in one commit. The check on the head row makes the order
//! total, whoever sequences.

use std::time::Duration;

use bytes::Bytes;
use protocol_spec::{bodies::Checkpoint, hash::Sha256Digest, problem::Problem, statement::Signed};

use super::{Log, tree::Frontier};
use crate::{
    store::{Commit, CommitId, Outcome},
    vault::{
        Refusal,
        refusal::ensure,
        tables::{self, LogHeadRow, LogIndexRow, LogNodeRow, LogQueueRow, Row},
    },
};

/// Leaves of one batch: a commit of a few hundred rows.
const BATCH: usize = 256;

/// Pause after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

impl Log {
    /// Sequences for ever. A batch is whatever waits when the last one is durable; there is no timer.
    pub(in crate::vault) async fn run(&self) {
        loop {
            match self.sequence().await {
                Ok(true) => {}
                Ok(false) => self.queued.notified().await,
                Err(refusal) => {
                    tracing::error!(cause = refusal.cause, "the log is not sequenced, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Places one batch; whether there was any.
    pub(super) async fn sequence(&self) -> Result<bool, Refusal> {
        let queued = tables::log_queued(Vec::new()).scan(&*self.ledger, BATCH).await?;
        if queued.is_empty() {
            return Ok(false);
        }
        let (head, version) = tables::log_head().read(&*self.ledger).await?;
        let mut frontier = frontier(&head.unwrap_or_default())?;
        let mut commit = Commit::new(CommitId::fresh());
        commit.checks.push((tables::log_head().key().clone(), version));
        for (suffix, row) in queued {
            commit = append(commit, &mut frontier, suffix, &row)?;
        }
        let commit = self.with_head(commit, &frontier);
        if let Outcome::Applied = self.ledger.commit(commit).await? {
            self.size.send_replace(frontier.size);
        }
        Ok(true)
    }

    /// The head, made if this is the first start; its checkpoint's time is a floor of time.
    pub(super) async fn ensure_head(&self) -> Result<LogHeadRow, Refusal> {
        if let Some(head) = tables::log_head().get(&*self.ledger).await? {
            let checkpoint = Signed::<Checkpoint>::try_from(head.checkpoint.clone())?;
            ensure(
                checkpoint.claimed().operator_id == self.operator.id(),
                Problem::Internal,
                "its log is signed by another operator key, restore operator.key from a backup",
            )?;
            self.time.at_least(checkpoint.claimed().created);
            return Ok(head);
        }
        let mut commit = Commit::new(CommitId::fresh());
        commit.checks.push((tables::log_head().key().clone(), None));
        // A conflict means that another start was faster: its head is as good.
        let _ = self
            .ledger
            .commit(self.with_head(commit, &Frontier::default()))
            .await?;
        self.head().await
    }

    fn with_head(&self, commit: Commit, frontier: &Frontier) -> Commit {
        let checkpoint = Signed::sign(
            Checkpoint {
                created: self.time.now(),
                operator_id: self.operator.id(),
                size: frontier.size,
                root: Sha256Digest::from_bytes(frontier.root()),
            },
            |message| self.operator.sign(message),
        );
        let head = LogHeadRow {
            size: frontier.size,
            peaks: frontier
                .peaks
                .iter()
                .map(|peak| Bytes::copy_from_slice(peak))
                .collect(),
            checkpoint: Some(checkpoint.to_message()),
        };
        commit.put(tables::log_head().key().clone(), head.bytes())
    }
}

fn frontier(head: &LogHeadRow) -> Result<Frontier, Refusal> {
    let peaks: Result<_, _> = head.peaks.iter().map(|peak| peak.as_ref().try_into()).collect();
    Ok(Frontier {
        size: head.size,
        peaks: peaks.map_err(|_| Refusal::new(Problem::Internal, "the log's head is damaged"))?,
    })
}

fn append(
    mut commit: Commit,
    frontier: &mut Frontier,
    suffix: Vec<u8>,
    row: &LogQueueRow,
) -> Result<Commit, Refusal> {
    let leaf = row.leaf.as_ref().try_into();
    let leaf = leaf.map_err(|_| Refusal::new(Problem::Internal, "a queued leaf is not a hash"))?;
    let index = LogIndexRow { index: frontier.size };
    commit = commit
        .put(tables::log_index(leaf).key().clone(), index.bytes())
        .delete(tables::log_queued(suffix).key().clone());
    for (node, hash) in frontier.append(&leaf) {
        let row = LogNodeRow {
            hash: Bytes::copy_from_slice(&hash),
        };
        commit = commit.put(tables::log_node(node).key().clone(), row.bytes());
    }
    Ok(commit)
}
