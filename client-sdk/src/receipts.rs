//! Receipts and the log: what the operator signs is believed once it is proven to stand in a log that only
//! grows. The newest log seen is pinned in the home; one that shrinks or forks is noticed.

use prost::Message;
use protocol_spec::{
    bodies::Checkpoint,
    hash::Sha256Digest,
    log::{Receipt, verify_checkpoint, verify_consistency, verify_inclusion},
    messages as pb,
    statement::{Body, Signed, Verified},
};

use crate::{Error, Result, session::Session};

impl Session {
    /// Checks a receipt, its place in the log, and that log (LOG-3, LOG-4).
    pub(crate) async fn receipt<T: Body>(
        &self,
        message: Option<pb::Receipt>,
        what: &'static str,
    ) -> Result<Receipt<T>> {
        let receipt = Receipt::verify(message, self.server.operator()).map_err(Error::tampered(what))?;
        self.accept_log(&receipt.checkpoint).await?;
        Ok(receipt)
    }

    /// Checks that a statement stands in the log.
    pub(crate) async fn included(
        &self,
        proof: Option<pb::LogProof>,
        statement: &Sha256Digest,
        what: &'static str,
    ) -> Result<()> {
        let checkpoint =
            verify_inclusion(proof, statement, self.server.operator()).map_err(Error::tampered(what))?;
        self.accept_log(&checkpoint).await
    }

    /// Compares a checkpoint with the pinned one, and pins the larger. The home is locked to pin, not while the
    /// server is asked; if another process has pinned meanwhile, its pin is compared next.
    async fn accept_log(&self, seen: &Verified<Checkpoint>) -> Result<()> {
        let mut heads = self.heads.lock().await;
        let head = (seen.size, *seen.root.as_bytes());
        if heads.contains(&head) {
            return Ok(());
        }
        loop {
            let pinned = self.pinned_log()?;
            if let Some(pinned) = &pinned {
                let (old, new) = if pinned.size < seen.size {
                    (pinned, seen)
                } else {
                    (seen, pinned)
                };
                self.check_growth(old, new).await?;
            }
            let _lock = self.home.lock().await?;
            let hash = |pin: &Option<Verified<Checkpoint>>| pin.as_ref().map(Verified::hash);
            if hash(&self.pinned_log()?) == hash(&pinned) {
                if pinned.is_none_or(|pinned| pinned.size < seen.size) {
                    self.pin_log(seen)?;
                }
                heads.insert(head);
                return Ok(());
            }
        }
    }

    async fn check_growth(&self, old: &Verified<Checkpoint>, new: &Verified<Checkpoint>) -> Result<()> {
        let path = if old.size == new.size {
            Vec::new()
        } else {
            let query = format!("/v1/log/consistency?first={}&second={}", old.size, new.size);
            self.server.get::<pb::ConsistencyProof>(&query).await?.path
        };
        verify_consistency(old, new, &path)
            .map_err(Error::tampered("the server's log, which must only grow,"))
    }

    fn pinned_log(&self) -> Result<Option<Verified<Checkpoint>>> {
        let Some(bytes) = self.home.read(CHECKPOINT)? else {
            return Ok(None);
        };
        let damaged = |_| self.home.damaged(CHECKPOINT);
        let statement: pb::Statement = protocol_spec::messages::decode(&bytes).map_err(damaged)?;
        let checkpoint = Signed::try_from(statement).map_err(damaged)?;
        verify_checkpoint(checkpoint, self.server.operator())
            .map(Some)
            .map_err(damaged)
    }

    /// An older pin that comes back after a power cut is still one that the log must continue.
    fn pin_log(&self, checkpoint: &Verified<Checkpoint>) -> Result<()> {
        self.home
            .write_soon(CHECKPOINT, &checkpoint.to_message().encode_to_vec())
    }
}

const CHECKPOINT: &str = "checkpoint.pb";
