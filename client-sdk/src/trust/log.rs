//! Receipts and the log: what the operator signs is believed once it is proven to stand in a log that only
//! grows. The newest log seen is pinned in the home; one that shrinks or forks is noticed.

mod scan;
mod seen;

use std::{collections::HashSet, sync::Arc, time::Duration};

use protocol_spec::{
    api::{self, ConsistencyQuery},
    field::ReadsAs,
    hash::Sha256Digest,
    log::{
        Generation, NoteKey, Receipt, ReceiptClaim, SignedCheckpoint, VerifiedCheckpoint, log_key_of,
        verify_consistency, verify_inclusion,
    },
    messages as pb,
    problem::Problem,
    statement::Body,
};
use tokio::sync::Mutex;

use self::seen::{Head, SeenLog, head};
use super::witnesses::{Began, Witnesses};
use crate::{Contradiction, Error, Result, connect::Server, home::Home};

/// The server's log, as far as this session has found it consistent with what is pinned in the home.
pub(crate) struct PinnedLog {
    server: Arc<Server>,
    home: Home,
    witnesses: Arc<Witnesses>,
    seen: Mutex<SeenLog>,
}

impl PinnedLog {
    /// What is asked from now on is asked by somebody who knows the pinned log.
    pub(crate) fn new(home: Home, server: Arc<Server>, witnesses: Arc<Witnesses>) -> Result<Self> {
        let mut log = Self {
            server,
            home,
            witnesses,
            seen: Mutex::default(),
        };
        if let Some(pinned) = log.pinned()? {
            log.server.has_seen_log(pinned.size);
            *log.seen.get_mut() = SeenLog::begin(pinned);
        }
        Ok(log)
    }

    /// Checks a receipt, its place in the log, and that log (LOG-3, LOG-4).
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    pub(crate) async fn receipt<T: Body>(
        &self,
        receipt: impl ReadsAs<ReceiptClaim<T>>,
        what: &'static str,
    ) -> Result<Receipt<T>> {
        let receipt = receipt
            .try_into()
            .and_then(|claim| claim.verify(self.server.operator()))
            .map_err(Error::tampered(what))?;
        self.accept(&receipt.checkpoint).await?;
        Ok(receipt)
    }

    /// Checks that a statement stands in the log. Gives the checkpoint under which it does.
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    pub(crate) async fn included(
        &self,
        proof: Option<pb::LogProof>,
        statement: &Sha256Digest,
        what: &'static str,
    ) -> Result<VerifiedCheckpoint> {
        let checkpoint =
            verify_inclusion(proof, statement, self.server.operator()).map_err(Error::tampered(what))?;
        self.accept(&checkpoint).await?;
        Ok(checkpoint)
    }

    /// Compares a checkpoint with the largest one seen, and keeps the larger.
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    pub(crate) async fn accept(&self, shown: &VerifiedCheckpoint) -> Result<()> {
        let mut seen = self.seen.lock().await;
        if let Some(witnessed) = self.witnesses.due().await? {
            self.compare(&mut seen, &witnessed).await?;
            self.witnesses.compared(&witnessed).await?;
        }
        self.compare(&mut seen, shown).await?;
        self.witnesses.note_pending(shown).await
    }

    /// The checkpoint that the server shows now, cosigned where there is a policy, and consistent with what was seen before.
    pub(crate) async fn shown(&self) -> Result<VerifiedCheckpoint> {
        let shown = self.witnesses.shown().await?;
        self.accept(&shown).await?;
        Ok(shown)
    }

    /// With a policy, whether the quorum has cosigned a log of so many leaves or more since something began (LOG-23).
    pub(crate) async fn witnessed_since(&self, began: Began, leaves: u64) -> Result<()> {
        match self.witnesses.since(began, leaves).await? {
            Some(witnessed) => self.accept(&witnessed).await,
            None => Ok(()),
        }
    }

    /// How many leaves this session knows of.
    pub(crate) async fn newest_size(&self) -> u64 {
        self.seen.lock().await.newest_size()
    }

    /// The newest checkpoint, if the server has shown it just now.
    pub(super) async fn shown_lately(&self) -> Option<VerifiedCheckpoint> {
        self.seen.lock().await.shown_lately(self.home.system())
    }

    /// What was shown until now was not just now.
    pub(super) async fn forget_shown(&self) {
        self.seen.lock().await.forget_shown();
    }

    /// The log's name and key, of the generation that this home goes by.
    pub(super) fn key(&self) -> Result<NoteKey> {
        let generation = self
            .pinned()?
            .map_or(Generation::FIRST, |pinned| pinned.generation());
        Ok(log_key_of(self.server.operator(), generation)?)
    }

    async fn compare(&self, log: &mut SeenLog, seen: &VerifiedCheckpoint) -> Result<()> {
        let head = head(seen);
        if let Some(newest) = &log.newest {
            check_generation(newest, seen)?;
        }
        if log.accepted.contains(&head) {
            return Ok(());
        }
        let grown = match &log.newest {
            Some(newest) if newest.size >= seen.size => {
                self.check_growth(seen, newest).await.map(|()| false)?
            }
            Some(newest) => self.check_growth(newest, seen).await.map(|()| true)?,
            None => true,
        };
        if grown {
            let due = log
                .pinned_at
                .is_none_or(|at| self.home.system().since(at) >= PIN_EVERY);
            if due {
                // Fails if another process has pinned a log that this one contradicts.
                self.pin(seen, &log.accepted).await?;
                log.pinned_at = Some(self.home.system().uptime());
            }
            log.unpinned = !due;
            // One that works for weeks may be killed; where another process writes just now, that one keeps its own time.
            drop(self.server.clock().keep(&self.home));
            let system = self.home.system();
            log.shown_at = Some((system.uptime(), system.now_ms()));
            log.newest = Some(seen.clone());
            self.server.has_seen_log(seen.size);
        }
        log.accepted.insert(head);
        Ok(())
    }

    /// Pins a checkpoint in the home, unless a larger one is pinned there. The home is locked to write, not
    /// while the server is asked; if another process has pinned meanwhile, its pin is compared next.
    async fn pin(&self, newest: &VerifiedCheckpoint, accepted: &HashSet<Head>) -> Result<()> {
        loop {
            let pinned = self.pinned()?;
            // Whatever was accepted here is what the newest continues.
            let other = pinned.as_ref().filter(|pinned| !accepted.contains(&head(pinned)));
            if let Some(pinned) = other {
                let grown = pinned.size < newest.size;
                let (old, new) = if grown { (pinned, newest) } else { (newest, pinned) };
                self.check_growth(old, new).await?;
            }
            let _lock = self.home.lock().await?;
            if self.pinned()? == pinned {
                return match pinned {
                    Some(pinned) if pinned.size >= newest.size => Ok(()),
                    _ => self.keep(newest),
                };
            }
        }
    }

    /// Pins what was seen since the last pin, when the session ends.
    fn pin_last(&mut self) -> Result<()> {
        let SeenLog {
            accepted,
            newest: Some(newest),
            unpinned: true,
            ..
        } = std::mem::take(self.seen.get_mut())
        else {
            return Ok(());
        };
        let _lock = self.home.try_lock()?;
        match self.pinned()? {
            // Another process's, which nobody has compared with this one's.
            Some(pinned) if pinned.size >= newest.size || !accepted.contains(&head(&pinned)) => Ok(()),
            _ => self.keep(&newest),
        }
    }

    /// Checks that the newer log continues the older one (LOG-4), by what came along if that proves it (LOG-19). What
    /// contradicts itself is kept in the home: two notes that the operator has signed, for whoever is to judge.
    async fn check_growth(&self, old: &VerifiedCheckpoint, new: &VerifiedCheckpoint) -> Result<()> {
        let came = self.server.growth(old.size, new.size);
        if came.is_some_and(|path| verify_consistency(old, new, &path).is_ok()) {
            return Ok(());
        }
        let path = if old.size == new.size {
            Ok(Vec::new())
        } else {
            let query = ConsistencyQuery {
                first: old.size,
                second: new.size,
            };
            let query = api::LOG_CONSISTENCY.ask([], query);
            self.server.get(query).await.map(|proof| proof.path)
        };
        let path = match path {
            // A log that grows has every proof; one that has become smaller lacks them.
            Err(error) if error.is_problem(Problem::NotFound) => Vec::new(),
            path => path?,
        };
        let path: Result<Vec<_>, _> = path.iter().map(|hash| hash.as_ref().try_into()).collect();
        let grown = path.is_ok_and(|path| verify_consistency(old, new, &path).is_ok());
        if grown {
            return Ok(());
        }
        let _lock = self.home.lock().await?;
        self.home
            .write(CONFLICT_OLDER, old.note().to_string().as_bytes())?;
        self.home
            .write(CONFLICT_NEWER, new.note().to_string().as_bytes())?;
        Err(Error::Contradicted(Contradiction::LogConflict {
            older: old.size,
            older_root: old.root.to_string(),
            newer: new.size,
            newer_root: new.root.to_string(),
            kept: self.home.path(CONFLICT_NEWER),
        }))
    }

    pub(crate) fn pinned(&self) -> Result<Option<VerifiedCheckpoint>> {
        let Some(bytes) = self.home.read(CHECKPOINT)? else {
            return Ok(None);
        };
        let damaged = |_| self.home.damaged(CHECKPOINT);
        SignedCheckpoint::parse(&bytes)
            .and_then(|checkpoint| checkpoint.verify_by(self.server.operator()))
            .map(Some)
            .map_err(damaged)
    }

    /// An older pin that comes back after a power cut is still one that the log must continue.
    fn keep(&self, checkpoint: &VerifiedCheckpoint) -> Result<()> {
        self.home
            .write_soon(CHECKPOINT, checkpoint.note().to_string().as_bytes())
    }
}

impl Drop for PinnedLog {
    fn drop(&mut self) {
        // Without it the pin is older than it could be, and still one that the log must continue.
        drop(self.pin_last());
    }
}

/// A log of another generation is gone on with only after its restoration was accepted, and never an earlier one (RST-6).
fn check_generation(known: &VerifiedCheckpoint, shown: &VerifiedCheckpoint) -> Result<()> {
    let (known, shown) = (known.generation(), shown.generation());
    match shown.cmp(&known) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Error::Restored {
            generation: shown.number(),
        }),
        std::cmp::Ordering::Less => Err(Error::Contradicted(Contradiction::OlderLog {
            seen: known.number(),
            shown: shown.number(),
        })),
    }
}

/// A pin for each receipt would cost more than the receipt; what a crash loses is the last second's.
const PIN_EVERY: Duration = Duration::from_secs(1);

pub(super) const CHECKPOINT: &str = "log.checkpoint";
const CONFLICT_OLDER: &str = "log-conflict.older";
const CONFLICT_NEWER: &str = "log-conflict.newer";

#[cfg(test)]
mod tests;
