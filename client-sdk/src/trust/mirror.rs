//! The mirror of the directory: every event that the log has of it, kept in the home and brought up to the log as it is
//! now. Names and keys of institutions are looked up here and nowhere else. See `protocol-spec/spec/log.md` §6.

mod held;

use std::time::{Duration, Instant};

use prost::Message;
use protocol_spec::{
    api::{self, RequestTarget},
    defence::Defence,
    log::{DirectoryHead, SignedCheckpoint, VerifiedCheckpoint, verify_leaf},
    messages as pb,
    mirror::Directory,
};
use tokio::sync::MutexGuard;

use self::held::Kept;
pub(crate) use self::held::Mirror;
use crate::{Error, Progress, Result, pages::Whole, session::Session};

impl Session {
    /// The mirror, brought up to the log once since [`Self::forget_entries`] or [`Self::doubt_entries`].
    pub(crate) async fn mirror(&self) -> Result<MutexGuard<'_, Mirror>> {
        let mut mirror = self.mirror.lock().await;
        if !mirror.fresh {
            // A mirror that fails verification is dropped: the last good one is in the home, and is read again.
            let mut before = mirror.kept.take();
            if !self.is_said_to_be_all(before.as_mut()).await? {
                before = Some(self.catch_up(before).await?);
                mirror.verified.clear();
            }
            mirror.kept = before;
            mirror.fresh = true;
        }
        Ok(mirror)
    }

    /// True if a checkpoint that was accepted a moment ago lists exactly the events that we hold: then the server need not be asked.
    /// That checkpoint is written to the home as if it had come with events, at most once a second.
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    async fn is_said_to_be_all(&self, kept: Option<&mut Kept>) -> Result<bool> {
        // Only with the events comes one that the quorum has cosigned.
        if self.policy.asks_for_witnesses() || Defence::DirectoryHead.is_off() {
            return Ok(false);
        }
        let lately = self.log.lock().await.shown_lately();
        let Some((kept, lately)) = kept.zip(lately) else {
            return Ok(false);
        };
        if kept.directory.check(&lately).is_err() {
            return Ok(false);
        }
        kept.said = Some(lately);
        if kept.kept_at.is_none_or(|at| at.elapsed() >= KEEP_EVERY) {
            self.keep_said(kept).await?;
        }
        Ok(true)
    }

    async fn keep_said(&self, kept: &mut Kept) -> Result<()> {
        let Some(said) = kept.said.take() else {
            return Ok(());
        };
        let had = kept.events.len();
        self.keep(kept, &said, had).await
    }

    /// Writes the newest checkpoint that is not in the home yet, when the session ends.
    pub(crate) fn keep_last_said(&mut self) -> Result<()> {
        let Some(Kept {
            note,
            said: Some(said),
            ..
        }) = self.mirror.get_mut().kept.take()
        else {
            return Ok(());
        };
        let _lock = self.home.try_lock()?;
        if self.home.read(CHECKPOINT)?.unwrap_or_default() == note {
            self.home
                .write_soon(CHECKPOINT, said.note().to_string().as_bytes())?;
        }
        Ok(())
    }

    /// Makes the next [`Session::mirror`] ask the server for new events, whatever the log has shown before.
    pub(crate) async fn forget_entries(&self) {
        self.log.lock().await.forget_shown();
        self.doubt_entries().await;
    }

    /// Makes the next [`Session::mirror`] look again. It asks the server only if no checkpoint that was accepted a moment ago says
    /// that there are no new events.
    pub(crate) async fn doubt_entries(&self) {
        self.mirror.lock().await.fresh = false;
    }

    /// Reads the events since the last, verifies each and its place in the log, and that there are no others (LOG-16).
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    async fn catch_up(&self, mut before: Option<Kept>) -> Result<Kept> {
        if let Some(kept) = &mut before {
            // It counts whatever comes of the answer.
            self.keep_said(kept).await?;
        }
        let mut kept = self.newest_kept(before)?;
        let had = kept.events.len();
        let (witnessed, seen) = match self.policy.asks_for_witnesses() {
            true => (true, 0),
            false => (false, self.log.lock().await.newest_size()),
        };
        let mut whole = Whole::new(WHAT);
        let checkpoint = loop {
            let after = kept.directory.head().events;
            let path = events_after(after, witnessed);
            let page: pb::DirectoryEvents = self.server.get(path).await?;
            whole.add(page.events.len(), page.encoded_len())?;
            let checkpoint = self.believe_shown(page.checkpoint.as_bytes())?;
            self.accept_log(&checkpoint).await?;
            let current = checkpoint.size >= seen || Defence::LogGrowth.is_off();
            if !Defence::DirectoryHead.holds(current) {
                let shown = checkpoint.size;
                return Err(Error::OlderDirectory { seen, shown });
            }
            let last = page.events.is_empty();
            for event in page.events {
                take(&mut kept.directory, &checkpoint, &event)?;
                kept.events.push(pb::DirectoryEvent {
                    path: Vec::new(),
                    ..event
                });
            }
            let said = DirectoryHead::of(&checkpoint).map_err(Error::tampered(WHAT))?;
            if last || kept.directory.head().events >= said.events {
                break checkpoint;
            }
        };
        self.check_head(&mut kept.directory, &checkpoint).await?;
        self.keep(&mut kept, &checkpoint, had).await?;
        Ok(kept)
    }

    /// Holds a mirror against the checkpoint's line. A line that is false, or events that are, are proof of the operator's fault.
    async fn check_head(&self, directory: &mut Directory, checkpoint: &VerifiedCheckpoint) -> Result<()> {
        let (here, seen) = (directory.head(), directory.covered());
        if directory.check(checkpoint).is_ok() {
            return Ok(());
        }
        if checkpoint.size < seen {
            return Err(Error::OlderDirectory {
                seen,
                shown: checkpoint.size,
            });
        }
        let said = DirectoryHead::of(checkpoint).map_err(Error::tampered(WHAT))?;
        let _lock = self.home.lock().await?;
        self.home
            .write(CONFLICT, checkpoint.note().to_string().as_bytes())?;
        Err(Error::DirectoryConflict {
            events: here.events,
            hash: here.hash.to_string(),
            said_events: said.events,
            said_hash: said.hash.to_string(),
            size: checkpoint.size,
            kept: self.home.path(CONFLICT),
        })
    }

    /// What this session or another process of the home has verified last.
    fn newest_kept(&self, before: Option<Kept>) -> Result<Kept> {
        let note = self.home.read(CHECKPOINT)?.unwrap_or_default();
        match before {
            Some(kept) if kept.note == note => Ok(kept),
            _ => self.read_kept(note),
        }
    }

    fn read_kept(&self, note: Vec<u8>) -> Result<Kept> {
        let server = &self.server;
        let mut directory = Directory::new(*server.registrar(), *server.operator());
        let mut events = Vec::new();
        if note.is_empty() {
            return Ok(Kept::new(directory, events, note));
        }
        let file = self.home.read(EVENTS)?.unwrap_or_default();
        let damaged = |_| self.home.damaged(CHECKPOINT);
        let checkpoint = SignedCheckpoint::parse(&note)
            .and_then(|checkpoint| checkpoint.verify_by(server.operator()))
            .map_err(damaged)?;
        let count = DirectoryHead::of(&checkpoint).map_err(damaged)?.events;
        let damaged = |_| self.home.damaged(EVENTS);
        let all =
            pb::DirectoryEvents::decode(bytes::Bytes::from(file)).map_err(|_| self.home.damaged(EVENTS))?;
        // What is more was written just before a crash, and is read again.
        for event in all
            .events
            .into_iter()
            .take(usize::try_from(count).unwrap_or(usize::MAX))
        {
            directory.recall(event.index, &event.entry).map_err(damaged)?;
            events.push(event);
        }
        directory.check(&checkpoint).map_err(damaged)?;
        Ok(Kept::new(directory, events, note))
    }

    /// The events that this home has kept, which were verified when they came.
    pub(crate) fn kept_events(&self) -> Result<Vec<pb::DirectoryEvent>> {
        let note = self.home.read(CHECKPOINT)?.unwrap_or_default();
        Ok(self.read_kept(note)?.events)
    }

    /// Keeps what was verified, unless another process has kept more meanwhile: the events first, then the checkpoint that says how
    /// many of them there are.
    async fn keep(&self, kept: &mut Kept, checkpoint: &VerifiedCheckpoint, had: usize) -> Result<()> {
        let note = checkpoint.note().to_string().into_bytes();
        if kept.note == note {
            return Ok(());
        }
        let _lock = self.home.lock().await?;
        if self.home.read(CHECKPOINT)?.unwrap_or_default() == kept.note {
            if kept.events.len() > had {
                let file = pb::DirectoryEvents {
                    checkpoint: String::new(),
                    events: kept.events.clone(),
                };
                self.home.write(EVENTS, &file.encode_to_vec())?;
            }
            self.home.write_soon(CHECKPOINT, &note)?;
        }
        kept.note = note;
        kept.said = None;
        kept.kept_at = Some(Instant::now());
        Ok(())
    }

    /// Reads the log itself, from where it was audited last, and checks that what it has of the directory is what this home's
    /// mirror has and what the checkpoint says (LOG-18).
    pub(crate) async fn audit_directory(&self, progress: &dyn Progress) -> Result<Audited> {
        self.forget_entries().await;
        let from = self.home.read_json::<u64>(AUDITED)?.unwrap_or_default();
        let mut audited = Directory::new(*self.server.registrar(), *self.server.operator());
        let mirrored = {
            let mirror = self.mirror().await?;
            let events = mirror.kept.iter().flat_map(|kept| &kept.events);
            for event in events.take_while(|event| event.index < from) {
                audited
                    .recall(event.index, &event.entry)
                    .map_err(Error::tampered(WHAT))?;
            }
            mirror.directory()?.clone()
        };
        let mut then = None;
        let checkpoint = self
            .scan_log(from, progress, |index, entry| {
                if index == mirrored.covered() {
                    then = Some(audited.head());
                }
                let bytes = entry.bytes()?;
                if protocol_spec::log::Entry::is_event(&bytes) {
                    audited
                        .take(index, &bytes.into())
                        .map_err(Error::tampered(WHAT))?;
                }
                Ok(())
            })
            .await?;
        let same = then.unwrap_or(audited.head()) == mirrored.head();
        if !Defence::DirectoryHead.holds(same) {
            return Err(Error::tampered(WHAT)(
                "the log has other events than the server has shown",
            ));
        }
        self.check_head(&mut audited, &checkpoint).await?;
        let _lock = self.home.lock().await?;
        self.home.write_json(AUDITED, &checkpoint.size)?;
        Ok(Audited {
            from,
            size: checkpoint.size,
            events: audited.head().events,
            institutions: audited.names().count() as u64,
        })
    }
}

/// What an audit of the log has read and found in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audited {
    /// The first entry that was read.
    pub from: u64,
    /// Entries of the log.
    pub size: u64,
    /// Events of the directory among them.
    pub events: u64,
    /// Institutions that they are about.
    pub institutions: u64,
}

/// Where the events of the directory behind so many are: in the newest log, or in that of which a quorum has cosigned a checkpoint.
pub(crate) fn events_after(after: u64, witnessed: bool) -> RequestTarget<(), pb::DirectoryEvents> {
    let at = api::DIRECTORY_EVENTS.here().with("after", &after);
    if witnessed {
        at.with("witnessed", &true)
    } else {
        at
    }
}

/// An event in its place (LOG-3), verified.
pub(crate) fn take(
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

pub(crate) const EVENTS: &str = "directory.events";
pub(crate) const CHECKPOINT: &str = "directory.checkpoint";
const AUDITED: &str = "directory-audited.json";
const CONFLICT: &str = "directory-conflict.checkpoint";

#[cfg(test)]
pub(crate) mod tests;
