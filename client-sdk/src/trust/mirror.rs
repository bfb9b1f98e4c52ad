//! The mirror of the directory: every event that the log has of it, kept in the home and brought up to the log as it is
//! now. Names and keys of institutions are looked up here and nowhere else. See `protocol-spec/spec/log.md` §6.

mod audit;
mod files;
mod held;
mod lookup;

use std::{sync::Arc, time::Duration};

use prost::Message;
use protocol_spec::{
    api::{self, EventsQuery, RequestTarget},
    defence::Defence,
    log::{DirectoryHead, VerifiedCheckpoint, verify_leaf},
    messages as pb,
    mirror::{Directory, KeptEvent},
};
use tokio::sync::{Mutex, MutexGuard};

pub use self::audit::Audited;
pub(super) use self::files::write_all;
pub(crate) use self::lookup::must_go_on;
use self::{
    files::MirrorFiles,
    held::{KeptDirectory, Mirrored},
};
use super::{log::PinnedLog, witnesses::Witnesses};
use crate::{Contradiction, Error, Result, connect::Server, home::Home, pages::Whole};

/// The directory as the log has it.
pub(crate) struct Mirror {
    server: Arc<Server>,
    home: Home,
    witnesses: Arc<Witnesses>,
    log: Arc<PinnedLog>,
    files: MirrorFiles,
    mirrored: Mutex<Mirrored>,
}

impl Mirror {
    pub(crate) fn new(
        home: Home,
        server: Arc<Server>,
        witnesses: Arc<Witnesses>,
        log: Arc<PinnedLog>,
    ) -> Self {
        Self {
            files: MirrorFiles::new(home.clone(), server.clone()),
            server,
            home,
            witnesses,
            log,
            mirrored: Mutex::default(),
        }
    }

    /// The mirror, brought up to the log once since [`Self::invalidate`] or [`Self::revalidate_unless_recent`].
    async fn current(&self) -> Result<MutexGuard<'_, Mirrored>> {
        let mut mirrored = self.mirrored.lock().await;
        if !mirrored.fresh {
            // A mirror that fails verification is dropped: the last good one is in the home, and is read again.
            let mut before = mirrored.kept.take();
            if !self.covered_by_recent_checkpoint(before.as_mut()).await? {
                before = Some(self.catch_up(before).await?);
                mirrored.verified.clear();
            }
            mirrored.kept = before;
            mirrored.fresh = true;
        }
        Ok(mirrored)
    }

    /// True if a checkpoint accepted within the last second lists exactly the events we hold: then the server need not be asked.
    /// That checkpoint is written to the home as if it had come with events, at most once a second.
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    async fn covered_by_recent_checkpoint(&self, kept: Option<&mut KeptDirectory>) -> Result<bool> {
        // Only with the events comes one that the quorum has cosigned.
        if self.witnesses.are_asked_for() || Defence::DirectoryHead.is_off() {
            return Ok(false);
        }
        let lately = self.log.shown_lately().await;
        let Some((kept, lately)) = kept.zip(lately) else {
            return Ok(false);
        };
        if kept.directory.check(&lately).is_err() {
            return Ok(false);
        }
        kept.said = Some(lately);
        if kept
            .kept_at
            .is_none_or(|at| self.home.system().since(at) >= KEEP_EVERY)
        {
            self.files.keep_said(kept).await?;
        }
        Ok(true)
    }

    /// The next look into the mirror asks the server for new events, whatever the log has shown before.
    pub(crate) async fn invalidate(&self) {
        self.log.forget_shown().await;
        self.revalidate_unless_recent().await;
    }

    /// The next look into the mirror asks the server for new events, unless a checkpoint accepted within the last
    /// second says that there are none.
    pub(crate) async fn revalidate_unless_recent(&self) {
        self.mirrored.lock().await.fresh = false;
    }

    /// Reads the events since the last, verifies each and its place in the log, and that there are no others (LOG-16).
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    async fn catch_up(&self, mut before: Option<KeptDirectory>) -> Result<KeptDirectory> {
        if let Some(kept) = &mut before {
            // It counts whatever comes of the answer.
            self.files.keep_said(kept).await?;
        }
        let mut kept = self.files.newest(before)?;
        let had = kept.events.len();
        let (witnessed, seen) = match self.witnesses.are_asked_for() {
            true => (true, 0),
            false => (false, self.log.newest_size().await),
        };
        let mut whole = Whole::new(WHAT);
        let checkpoint = loop {
            let after = kept.directory.head().events;
            let path = events_after(after, witnessed);
            let page = self.server.get(path).await?;
            whole.add(page.events.len(), page.encoded_len())?;
            let checkpoint = self.witnesses.believe(page.checkpoint.as_bytes())?;
            self.log.accept(&checkpoint).await?;
            let current = checkpoint.size >= seen || Defence::LogGrowth.is_off();
            if !Defence::DirectoryHead.holds(current) {
                let shown = checkpoint.size;
                return Err(Error::Contradicted(Contradiction::OlderDirectory { seen, shown }));
            }
            let last = page.events.is_empty();
            for event in page.events {
                take(&mut kept.directory, &checkpoint, &event)?;
                kept.events.push(event.into());
            }
            let said = DirectoryHead::of(&checkpoint).map_err(Error::tampered(WHAT))?;
            if last || kept.directory.head().events >= said.events {
                break checkpoint;
            }
        };
        self.check_head(&mut kept.directory, &checkpoint).await?;
        self.files.keep(&mut kept, &checkpoint, had).await?;
        Ok(kept)
    }

    /// Has it know these institutions, and nothing else.
    #[cfg(test)]
    pub(crate) async fn know_only(&self, entries: impl IntoIterator<Item = crate::DirectoryEntry>) {
        *self.mirrored.lock().await = Mirrored::of(entries);
    }

    /// The events that this home has kept, which were verified when they came.
    pub(super) fn kept_events(&self) -> Result<Vec<KeptEvent>> {
        Ok(self.files.newest(None)?.events)
    }

    /// Holds a mirror against the checkpoint's line. A line that is false, or events that are, are proof of the operator's fault.
    async fn check_head(&self, directory: &mut Directory, checkpoint: &VerifiedCheckpoint) -> Result<()> {
        let (here, seen) = (directory.head(), directory.covered());
        if directory.check(checkpoint).is_ok() {
            return Ok(());
        }
        if checkpoint.size < seen {
            return Err(Error::Contradicted(Contradiction::OlderDirectory {
                seen,
                shown: checkpoint.size,
            }));
        }
        let said = DirectoryHead::of(checkpoint).map_err(Error::tampered(WHAT))?;
        let _lock = self.home.lock().await?;
        self.home
            .write(CONFLICT, checkpoint.note().to_string().as_bytes())?;
        Err(Error::Contradicted(Contradiction::DirectoryConflict {
            events: here.events,
            hash: here.hash.to_string(),
            said_events: said.events,
            said_hash: said.hash.to_string(),
            size: checkpoint.size,
            kept: self.home.path(CONFLICT),
        }))
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // Without it what the home has of the directory is of before, and still true.
        if let Some(kept) = self.mirrored.get_mut().kept.take() {
            drop(self.files.keep_last_said(kept));
        }
    }
}

/// Where the events of the directory behind so many are: in the newest log, or in that of which a quorum has cosigned a checkpoint.
pub(super) fn events_after(
    after: u64,
    witnessed: bool,
) -> RequestTarget<(), pb::DirectoryEvents, EventsQuery> {
    let query = EventsQuery {
        after: Some(after),
        limit: None,
        witnessed: witnessed.then_some(true),
    };
    api::DIRECTORY_EVENTS.ask([], query)
}

/// An event in its place (LOG-3), verified.
pub(super) fn take(
    directory: &mut Directory,
    checkpoint: &VerifiedCheckpoint,
    event: &pb::DirectoryEvent,
) -> Result<()> {
    let path: Result<Vec<_>, _> = event.path.iter().map(|hash| hash.as_ref().try_into()).collect();
    let path = path.map_err(|_| Error::tampered(WHAT)("a path has no hashes"))?;
    verify_leaf(checkpoint, &event.entry, event.index, &path)
        .and_then(|()| directory.take(event.index, &event.entry))
        .map_err(Error::tampered(WHAT))
}

/// Writing each down would cost more than asking; what a crash loses is the last second's.
const KEEP_EVERY: Duration = Duration::from_secs(1);

const WHAT: &str = "the directory";

const CONFLICT: &str = "directory-conflict.checkpoint";

#[cfg(test)]
pub(crate) mod tests;
