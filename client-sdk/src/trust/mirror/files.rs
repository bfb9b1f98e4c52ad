//! What a home keeps of the directory: its events, and the checkpoint under which they are all.

use std::sync::Arc;

use protocol_spec::{
    log::{DirectoryHead, SignedCheckpoint, VerifiedCheckpoint},
    mirror::{Directory, KeptEvent},
};

use super::held::KeptDirectory;
use crate::{Result, connect::Server, home::Home};

/// Two files of a home that several processes read and replace.
pub(super) struct MirrorFiles {
    home: Home,
    server: Arc<Server>,
}

impl MirrorFiles {
    pub(super) fn new(home: Home, server: Arc<Server>) -> Self {
        Self { home, server }
    }

    /// What this session or another process of the home has verified last.
    pub(super) fn newest(&self, before: Option<KeptDirectory>) -> Result<KeptDirectory> {
        let note = self.home.read(CHECKPOINT)?.unwrap_or_default();
        match before {
            Some(kept) if kept.note == note => Ok(kept),
            _ => self.read(note),
        }
    }

    fn read(&self, note: Vec<u8>) -> Result<KeptDirectory> {
        let server = &self.server;
        let mut directory = Directory::new(*server.registrar(), *server.operator());
        let mut events = Vec::new();
        if note.is_empty() {
            return Ok(KeptDirectory::new(directory, events, note));
        }
        let file = self.home.read(EVENTS)?.unwrap_or_default();
        let damaged = |_| self.home.damaged(CHECKPOINT);
        let checkpoint = SignedCheckpoint::parse(&note)
            .and_then(|checkpoint| checkpoint.verify_by(server.operator()))
            .map_err(damaged)?;
        let count = DirectoryHead::of(&checkpoint).map_err(damaged)?.events;
        let damaged = |_| self.home.damaged(EVENTS);
        let all = KeptEvent::read_all(file).map_err(damaged)?;
        // What is more was written just before a crash, and is read again.
        for event in all.into_iter().take(usize::try_from(count).unwrap_or(usize::MAX)) {
            directory.recall(event.index, &event.entry).map_err(damaged)?;
            events.push(event);
        }
        directory.check(&checkpoint).map_err(damaged)?;
        Ok(KeptDirectory::new(directory, events, note))
    }

    /// Keeps what was verified, unless another process has kept more meanwhile: the events first, then the checkpoint that says how
    /// many of them there are.
    pub(super) async fn keep(
        &self,
        kept: &mut KeptDirectory,
        checkpoint: &VerifiedCheckpoint,
        had: usize,
    ) -> Result<()> {
        let note = checkpoint.note().to_string().into_bytes();
        if kept.note == note {
            return Ok(());
        }
        let _lock = self.home.lock().await?;
        if self.home.read(CHECKPOINT)?.unwrap_or_default() == kept.note {
            if kept.events.len() > had {
                write_events(&self.home, kept.events.clone())?;
            }
            self.home.write_soon(CHECKPOINT, &note)?;
        }
        kept.note = note;
        kept.said = None;
        kept.kept_at = Some(self.home.system().uptime());
        Ok(())
    }

    /// Keeps the checkpoint that has said since that there are no other events.
    pub(super) async fn keep_said(&self, kept: &mut KeptDirectory) -> Result<()> {
        let Some(said) = kept.said.take() else {
            return Ok(());
        };
        let had = kept.events.len();
        self.keep(kept, &said, had).await
    }

    /// The same when the session ends.
    pub(super) fn keep_last_said(&self, kept: KeptDirectory) -> Result<()> {
        let Some(said) = kept.said else {
            return Ok(());
        };
        let _lock = self.home.try_lock()?;
        if self.home.read(CHECKPOINT)?.unwrap_or_default() == kept.note {
            self.home
                .write_soon(CHECKPOINT, said.note().to_string().as_bytes())?;
        }
        Ok(())
    }
}

/// Writes all events, and the note under which they are all, whatever the home had before.
pub(in crate::trust) fn write_all(home: &Home, events: Vec<KeptEvent>, note: &[u8]) -> Result<()> {
    write_events(home, events)?;
    home.write(CHECKPOINT, note)
}

fn write_events(home: &Home, events: Vec<KeptEvent>) -> Result<()> {
    home.write(EVENTS, &KeptEvent::write_all(events))
}

pub(super) const EVENTS: &str = "directory.events";
pub(super) const CHECKPOINT: &str = "directory.checkpoint";
