//! Receipts and the log: what the operator signs is believed once it is proven to stand in a log that only
//! grows. The newest log seen is pinned in the home; one that shrinks or forks is noticed.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

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

    /// Compares a checkpoint with the largest one seen, and keeps the larger.
    pub(crate) async fn accept_log(&self, seen: &Verified<Checkpoint>) -> Result<()> {
        let mut log = self.log.lock().await;
        let head = (seen.size, *seen.root.as_bytes());
        if log.accepted.contains(&head) {
            return Ok(());
        }
        if log.newest.is_none() {
            log.newest = self.pinned_log()?;
        }
        let grown = match &log.newest {
            Some(newest) if newest.size >= seen.size => {
                self.check_growth(seen, newest).await.map(|()| false)?
            }
            Some(newest) => self.check_growth(newest, seen).await.map(|()| true)?,
            None => true,
        };
        log.accepted.insert(head);
        if grown {
            log.newest = Some(seen.clone());
            log.unpinned = true;
        }
        let due = log.unpinned && log.pinned_at.is_none_or(|at| at.elapsed() >= PIN_EVERY);
        if let (true, Some(newest)) = (due, &log.newest) {
            self.pin(newest).await?;
            log.unpinned = false;
            log.pinned_at = Some(Instant::now());
        }
        Ok(())
    }

    /// Pins a checkpoint in the home, unless a larger one is pinned there. The home is locked to write, not
    /// while the server is asked; if another process has pinned meanwhile, its pin is compared next.
    async fn pin(&self, newest: &Verified<Checkpoint>) -> Result<()> {
        loop {
            let pinned = self.pinned_log()?;
            if let Some(pinned) = &pinned {
                let grown = pinned.size < newest.size;
                let (old, new) = if grown { (pinned, newest) } else { (newest, pinned) };
                self.check_growth(old, new).await?;
            }
            let _lock = self.home.lock().await?;
            let hash = |pin: &Option<Verified<Checkpoint>>| pin.as_ref().map(Verified::hash);
            if hash(&self.pinned_log()?) == hash(&pinned) {
                return match pinned {
                    Some(pinned) if pinned.size >= newest.size => Ok(()),
                    _ => self.pin_log(newest),
                };
            }
        }
    }

    /// What was seen since the last pin, when the session ends.
    fn pin_last(&mut self) -> Result<()> {
        let log = self.log.get_mut();
        let (true, Some(newest)) = (log.unpinned, log.newest.take()) else {
            return Ok(());
        };
        let _lock = self.home.try_lock()?;
        match self.pinned_log()? {
            Some(pinned) if pinned.size >= newest.size => Ok(()),
            _ => self.pin_log(&newest),
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

impl Drop for Session {
    fn drop(&mut self) {
        // Without it the pin is older than it could be, and still one that the log must continue.
        drop(self.pin_last());
    }
}

/// What this session knows of the server's log.
#[derive(Default)]
pub(crate) struct Log {
    /// Sizes and roots that were compared.
    accepted: HashSet<(u64, [u8; 32])>,
    newest: Option<Verified<Checkpoint>>,
    unpinned: bool,
    pinned_at: Option<Instant>,
}

/// A pin for each receipt would cost more than the receipt; what a crash loses is the last second's.
const PIN_EVERY: Duration = Duration::from_secs(1);

const CHECKPOINT: &str = "checkpoint.pb";
